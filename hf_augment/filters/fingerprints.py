"""What a filter's fingerprint is made of, beside its thresholds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


def texts_digest(texts: Iterable[str]) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of texts in their order."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        # The length keeps ["ab", "c"] and ["a", "bc"] apart.
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()[:16]


def images_digest(images: np.ndarray) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of images in their order, and of their size."""
    digest = hashlib.sha256(f"{images.shape}".encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()[:16]


def callable_fingerprint(function: Callable[..., Any]) -> str:
    """
    The `fingerprint()` of a callable or, for a bound method, of the object it belongs to; else its qualified name.

    A name says nothing of weights or of a function's body: whatever changes under the same name needs `fingerprint`.
    """
    for owner in (function, getattr(function, "__self__", None)):
        if callable(fingerprint := getattr(owner, "fingerprint", None)):
            return str(fingerprint())
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
