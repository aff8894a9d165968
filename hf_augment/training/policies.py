"""What a round decides: for which class the next examples are, and which of the candidates are shown."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hf_augment.checks import check_number


@dataclass(frozen=True)
class Candidates:
    """
    Accepted examples that a round may choose.

    Args:
        slots (`np.ndarray`): Their slots, int64 of shape `(n,)`.
        labels (`np.ndarray`): The classes that they were asked to be, int64 of shape `(n,)`.
        probabilities (`np.ndarray`): What the classifier says of them now, float32 of shape `(n, num_labels)`.
        agreement (`np.ndarray`):
            The probability of the class asked for by the filter that judges labels, float64 of shape `(n,)`; 1 where
            no filter does.
    """

    slots: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    agreement: np.ndarray


@dataclass(frozen=True)
class Round:
    """
    One look at the classifier while it trains.

    Args:
        number (`int`): The number of the round, from 1.
        step (`int`): Optimizer steps done.
        label_names (`Sequence[str]`): The classes.
        class_shares (`np.ndarray`): Their shares without feedback, float of shape `(num_labels,)`.
        predict (`Callable`):
            Asks the classifier about the validation rows: returns its probabilities, float32 of shape
            `(n, num_labels)`, and their labels, int64 of shape `(n,)`.
    """

    number: int
    step: int
    label_names: Sequence[str]
    class_shares: np.ndarray
    predict: Callable[[], tuple[np.ndarray, np.ndarray]]

    @cached_property
    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        """What `predict` returns; asked once in a round."""
        return self.predict()

    @property
    def was_asked(self) -> bool:
        """Whether a policy has looked at the validation rows."""
        return "validation" in vars(self)


class Policy(ABC):
    """
    Decides one thing in each round: the shares of the classes, or which candidates are better. What it returns must
    depend on its arguments alone, since a resumed run does not ask again.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import Policy

    >>> class LeastLikely(Policy):
    ...     name = "least_likely"
    ...
    ...     def score(self, round, candidates):
    ...         rows = np.arange(len(candidates.labels))
    ...         return -candidates.probabilities[rows, candidates.labels]
    ```

    Attributes:
        name (`str`): Its name in briefs.
        random_share (`float`, defaults to 0.0):
            The share of what is chosen, in `[0, 1]`, that is drawn at random, whatever the scores.
        needs_validation (`bool`, defaults to `False`): Whether it looks at [`Round.validation`].
    """

    name: ClassVar[str]
    random_share: float = 0.0
    needs_validation: ClassVar[bool] = False

    def class_shares(self, round: Round) -> np.ndarray | None:
        """Returns the shares of the classes among what is chosen, `(num_labels,)`; `None`: not its task."""
        return None

    def score(self, round: Round, candidates: Candidates) -> np.ndarray | None:
        """
        Returns a number for each candidate, float of shape `(n,)`, of which the largest are chosen; those of `-inf`
        only where there are no others. `None`: not its task.
        """
        return None

    def fingerprint(self) -> str:
        """Identifies the policy with its settings but `random_share`, like [`Generator.fingerprint`]."""
        return self.name


class ClassAllocation(Policy):
    """
    More examples of the classes that the classifier gets wrong on rows that it does not train on.

    A class has the share `share * (error + prior * mean error)`, normalised, where a class of `n` validation rows has
    the error of these rows shrunk towards the mean of all classes as by `shrinkage` further rows. No class has less
    than `least` of its share without feedback.

    The trainer's `eval_dataset` is asked. It steers the training then, so that a report needs other rows.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import ClassAllocation
    >>> from hf_augment.training.policies import Round

    >>> says = np.array([[0.9, 0.1]] * 10, dtype=np.float32)
    >>> answers = lambda: (says, np.array([0, 1] * 5))
    >>> ClassAllocation(shrinkage=5).class_shares(Round(1, 50, ["neg", "pos"], np.array([0.5, 0.5]), answers)).round(3)
    array([0.25, 0.75])
    ```

    Args:
        shrinkage (`float`, *optional*, defaults to 20.0): Rows, 0 or more, that stand for the mean of all classes.
        least (`float`, *optional*, defaults to 0.5): In `[0, 1]`.

    Raises:
        ValueError: If an argument is out of range.
    """

    name = "class_allocation"
    needs_validation = True

    def __init__(self, shrinkage: float = 20.0, least: float = 0.5) -> None:
        check_number("shrinkage", shrinkage, 0, hint="It is a number of rows.")
        check_number("least", least, 0, 1, hint="It is a share of a class's share.")
        self.shrinkage, self.least = float(shrinkage), float(least)

    def class_shares(self, round: Round) -> np.ndarray:
        probabilities, labels = round.validation
        classes = len(round.class_shares)
        wrong = probabilities.argmax(1) != labels
        mean = wrong.mean() if len(labels) else 0.0
        rows, errors = (np.bincount(labels, weights, classes) for weights in (None, wrong))
        shrunk = (errors + self.shrinkage * mean) / np.maximum(rows + self.shrinkage, 1e-9)
        wanted = round.class_shares * shrunk
        if not wanted.sum():
            return round.class_shares
        least = self.least * round.class_shares
        return least + (1 - least.sum()) * wanted / wanted.sum()

    def fingerprint(self) -> str:
        return f"{self.name}(shrinkage={self.shrinkage}, least={self.least})"


class UncertaintySelection(Policy):
    """
    Candidates of which the classifier is unsure, and of which the judge is not.

    The score is the entropy of the classifier's probabilities, as a share of the largest that there can be, times the
    judge's probability of the class asked for (Hemmat et al. 2025, *Deliberate Practice*, arXiv 2502.15588, adds what
    has a high entropy). Very high entropy is the mark of examples of no class, so those above `max_entropy` come last.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import UncertaintySelection
    >>> from hf_augment.training.policies import Candidates

    >>> says = np.array([[0.99, 0.01], [0.8, 0.2], [0.5, 0.5]], dtype=np.float32)
    >>> candidates = Candidates(np.arange(3), np.array([0, 0, 1]), says, np.array([1.0, 0.9, 0.9]))
    >>> UncertaintySelection(max_entropy=0.95).score(None, candidates).round(3).tolist()
    [0.081, 0.65, -inf]
    ```

    Args:
        random_share (`float`, *optional*, defaults to 0.25): See [`Policy`].
        max_entropy (`float`, *optional*, defaults to 0.98): In `(0, 1]`, as a share of the largest.

    Raises:
        ValueError: If an argument is out of range.
    """

    name = "uncertainty_selection"

    def __init__(self, random_share: float = 0.25, max_entropy: float = 0.98) -> None:
        check_number("random_share", random_share, 0, 1, hint="It is a share of what is chosen.")
        check_number("max_entropy", max_entropy, 1e-6, 1, hint="It is a share of the largest entropy.")
        self.random_share, self.max_entropy = float(random_share), float(max_entropy)

    def score(self, round: Round, candidates: Candidates) -> np.ndarray:
        entropy = entropy_of(candidates.probabilities)
        return np.where(entropy <= self.max_entropy, entropy * candidates.agreement, -np.inf)

    def fingerprint(self) -> str:
        return f"{self.name}(random_share={self.random_share}, max_entropy={self.max_entropy})"


def entropy_of(probabilities: np.ndarray) -> np.ndarray:
    """The entropy of each row of probabilities, `(n, num_labels)`, as a share of the largest: float64, `(n,)`."""
    p = probabilities.astype(np.float64)
    return -(p * np.log(np.maximum(p, 1e-12))).sum(1) / np.log(p.shape[1])


def checked_shares(shares: Any, policy: Policy, classes: int) -> np.ndarray:
    """Shares that a policy returned, `(classes,)`; raises `ValueError` if they are none."""
    found = np.asarray(shares, dtype=np.float64)
    if found.shape != (classes,) or not (found >= 0).all() or not abs(found.sum() - 1) < 1e-6:
        raise ValueError(
            f"{type(policy).__name__}.class_shares returned {shares!r:.200}: return {classes} shares, 0 or more, that "
            "add up to 1."
        )
    return found


def checked_scores(scores: Any, policy: Policy, candidates: int) -> np.ndarray:
    """Scores that a policy returned, `(candidates,)`; raises `ValueError` if they are none."""
    found = np.asarray(np.nan if scores is None else scores, dtype=np.float64)
    if found.shape != (candidates,) or np.isnan(found).any() or (found == np.inf).any():
        raise ValueError(
            f"{type(policy).__name__}.score returned {scores!r:.200}: return {candidates} numbers, one for each "
            "candidate, finite or -inf."
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
