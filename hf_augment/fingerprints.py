"""What stands for weights, texts, images and functions in an identity."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch


def weights_fingerprint(module: torch.nn.Module) -> str:
    """
    Identifies a module by its weights: the same names, dtypes, shapes and bytes give the same fingerprint, on any
    device.

    Example:

    ```python
    >>> import torch
    >>> from hf_augment.fingerprints import weights_fingerprint
    >>> layer = torch.nn.Linear(2, 2)
    >>> before = weights_fingerprint(layer)
    >>> _ = layer.weight.data.mul_(2)
    >>> weights_fingerprint(layer) == before
    False
    ```

    Args:
        module (`torch.nn.Module`):
            Anything with a `state_dict` of tensors. It is hashed tensor by tensor, so no second copy is in memory.

    Returns:
        `str`: The first 16 hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        # NumPy has no bfloat16, but every dtype has bytes.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def texts_digest(texts: Iterable[str]) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of texts in their order."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        # The length keeps ["ab", "c"] and ["a", "bc"] apart.
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()[:16]


def rows_digest(rows: Iterable[Any]) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of rows in their order: dictionaries, tuples or single values."""
    digest = hashlib.sha256()
    for row in rows:
        cells = row if isinstance(row, Mapping) else dict(enumerate(row if isinstance(row, tuple | list) else [row]))
        for name, value in cells.items():
            array = np.asarray(str(value) if value is None or isinstance(value, str) else value)
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(str(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())
    return digest.hexdigest()[:16]


def images_digest(images: np.ndarray) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of images in their order, and of their size."""
    digest = hashlib.sha256(f"{images.shape}".encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()[:16]


def callable_fingerprint(function: Callable[..., Any]) -> str:
    """
    The `fingerprint()` of a callable or, for a bound method, of the object it belongs to; else its qualified name. A
    `partial` is its function with its arguments, as they are printed.

    A name says nothing of weights or of a function's body: whatever changes under the same name needs `fingerprint`.
    """
    if isinstance(function, functools.partial):
        return f"{callable_fingerprint(function.func)}{function.args}{sorted(function.keywords.items())}"
    for owner in (function, getattr(function, "__self__", None)):
        if callable(fingerprint := getattr(owner, "fingerprint", None)):
            return str(fingerprint())
    named = function if hasattr(function, "__qualname__") else type(function)
    # What multiprocessing calls the script that was started, in the processes that it starts.
    module = named.__module__.replace("__mp_main__", "__main__")
    return f"{module}.{named.__qualname__}"
