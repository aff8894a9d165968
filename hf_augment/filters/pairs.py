"""The filter of candidates that are to be pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_augment.checks import read_texts
from hf_augment.filters.base import Filter, Verdict
from hf_augment.text_pairs import SEPARATOR, is_pair


class PairOfTexts(Filter):
    """
    Accepts pairs of two texts as [`~hf_augment.text_pairs`] writes them. A study of pairs has it in every arm that
    generates.

    Example:

    ```python
    >>> from hf_augment.filters.pairs import PairOfTexts
    >>> examples = [{"text": "A man sleeps. ||| A man is awake."}, {"text": "A man sleeps."}]
    >>> [verdict.accepted for verdict in PairOfTexts().judge(examples, [0, 0])]
    [True, False]
    ```

    Args:
        text_column (`str`, *optional*, defaults to `"text"`): The column to read.
    """

    name = "pair_of_texts"

    def __init__(self, text_column: str = "text") -> None:
        self.text_column = text_column

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        reasons = {True: "two texts", False: f"not two texts with {SEPARATOR} between them"}
        pairs = map(is_pair, read_texts(examples, self.text_column))
        return [Verdict(pair, float(pair), reasons[pair]) for pair in pairs]

    def fingerprint(self) -> str:
        return f"{self.name}(text_column={self.text_column!r})"
