"""Accepts scores, by a threshold or the best share of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hf_augment.checks import check_number


@dataclass(frozen=True)
class Acceptance:
    """
    Accepts the higher scores. Exactly one of the two is set.

    Args:
        threshold (`float`, *optional*): Accepts scores of at least this much.
        target (`float`, *optional*):
            In `(0, 1]`. Accepts this share of the scores, the best ones, rounded up; of equal scores the first.
    """

    threshold: float | None = None
    target: float | None = None

    def choose(self, scores: np.ndarray) -> np.ndarray:
        """One `bool` for each score."""
        if self.target is None:
            return scores >= self.threshold
        # 0.55 * 100 is 55.00000000000001, which must not become 56.
        count = math.ceil(self.target * len(scores) - 1e-9)
        accepted = np.zeros(len(scores), dtype=bool)
        accepted[np.argsort(-scores, kind="stable")[:count]] = True
        return accepted

    def __str__(self) -> str:
        if self.target is None:
            return f"threshold={self.threshold}"
        return f"target_acceptance={float(self.target)}"


def check_target_acceptance(name: str, value: float | None, target_acceptance: float | None) -> None:
    """Raises a `ValueError` if both the threshold called `name` and a target are given, or the target is no share."""
    if target_acceptance is None:
        return
    if value is not None:
        raise ValueError(
            f"`{name}` and `target_acceptance` exclude each other, but are {value!r} and {target_acceptance!r}. "
            "Give the one that is to decide."
        )
    hint = "It is the share of candidates to accept; to accept none, give no generator."
    check_number("target_acceptance", target_acceptance, 0, 1, hint=hint)
    if target_acceptance == 0:
        raise ValueError(f"`target_acceptance` must be above 0, but is {target_acceptance!r}. {hint}")
