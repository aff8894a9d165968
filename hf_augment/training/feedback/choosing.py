"""What a round makes of what its policies return: checked, and turned into a choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_augment.training.feedback.policies import Policy


def checked_shares(shares: Any, policy: Policy, classes: int) -> np.ndarray:
    """Shares that a policy returned, `(classes,)`; raises `ValueError` if they are none."""
    found = np.asarray(shares, dtype=np.float64)
    if found.shape != (classes,) or not (found >= 0).all() or not abs(found.sum() - 1) < 1e-6:
        raise ValueError(
            f"{type(policy).__name__}.class_shares returned {shares!r:.200}: return {classes} shares, 0 or more, that "
            "add up to 1."
        )
    return found


def checked_scores(scores: Any, policy: Policy, count: int, method: str = "score") -> np.ndarray:
    """Scores that a policy's method returned, `(count,)`; raises `ValueError` if they are none."""
    found = np.asarray(np.nan if scores is None else scores, dtype=np.float64)
    if found.shape != (count,) or np.isnan(found).any() or (found == np.inf).any():
        raise ValueError(
            f"{type(policy).__name__}.{method} returned {scores!r:.200}: return {count} numbers, one for each that it "
            "was given, finite or -inf."
        )
    return found


def choose(
    labels: np.ndarray,
    scores: np.ndarray | None,
    shares: np.ndarray,
    count: int,
    random_share: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """
    Chooses candidates: of each class as many as its share says, of these a part at random, the others by their scores.
    What a class lacks the others give.

    Args:
        labels (`np.ndarray`): Classes of the candidates, int64 of shape `(n,)`.
        scores (`np.ndarray`, *optional*): Float of shape `(n,)`; `None`: all are chosen at random.
        shares (`np.ndarray`): Shares of the classes, float of shape `(num_labels,)`, adding up to 1.
        count (`int`): Number of candidates to choose; all where there are fewer.
        random_share (`float`): In `[0, 1]`.
        rng (`np.random.Generator`): What is drawn at random.

    Returns:
        `np.ndarray`: Their places among the candidates, ascending, int64.
    """
    # Equal scores, and all of them where there are none, are in random order.
    order = rng.permutation(len(labels))
    if scores is not None:
        order = order[np.argsort(-scores[order], kind="stable")]
    at_random = rng.permutation(len(labels))
    # Systematic sampling, as for the labels of a shard: what rounding cuts off one round goes to another.
    points = (np.arange(count) + rng.random()) / max(count, 1)
    wanted = np.bincount(np.searchsorted(np.cumsum(shares)[:-1], points, side="right"), minlength=len(shares))
    taken = np.zeros(len(labels), dtype=bool)
    # The same over classes: of each of many, one alone may be wanted.
    chance = np.floor(np.cumsum([0, *wanted]) * (0.0 if scores is None else random_share) + rng.random())
    for label, (number, by_chance) in enumerate(zip(wanted.tolist(), np.diff(chance).astype(int), strict=True)):
        _take(taken, at_random[labels[at_random] == label], by_chance)
        best = order[labels[order] == label]
        best = best if scores is None else best[np.isfinite(scores[best])]
        _take(taken, best, number - int(taken[labels == label].sum()))
    # Of what is left, whatever its score: an example is better than none.
    _take(taken, order, count - int(taken.sum()))
    return np.flatnonzero(taken)


def _take(taken: np.ndarray, order: np.ndarray, number: int) -> None:
    free = order[~taken[order]]
    taken[free[: max(number, 0)]] = True
