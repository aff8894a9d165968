"""The filter that every pipeline has: what cannot be written to a file costs one candidate, not the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hf_augment.filters.base import Filter, Verdict


class Unencodable(Filter):
    """Rejects text that UTF-8 cannot encode: half of a surrogate pair, as JSON from a server may hold."""

    name = "unencodable"

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        return [_verdict(example) for example in examples]

    def fingerprint(self) -> str:
        return self.name


def escaped(value: Any) -> Any:
    """The same value with the code of each lone surrogate in its place, so that it can be written for a person."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, (list, tuple)) else value


def _verdict(example: dict[str, Any]) -> Verdict:
    try:
        # All texts of it, however deep; arrays and the like hold none.
        json.dumps(example, ensure_ascii=False, default=lambda _: None).encode()
    except UnicodeEncodeError as error:
        return Verdict(False, 0.0, f"a lone surrogate, U+{ord(error.object[error.start]):04X}")
    return Verdict(True, 1.0, "UTF-8")
