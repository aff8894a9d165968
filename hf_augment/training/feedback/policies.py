"""What a round decides: which of the candidates are shown, and what the next ones are made for and after."""

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
class TrainingRows:
    """
    Training rows after which a round may have examples written.

    Args:
        rows (`np.ndarray`): Their numbers in the training set, int64 of shape `(n,)`.
        labels (`np.ndarray`): Their classes, int64 of shape `(n,)`.
        probabilities (`np.ndarray`): What the classifier says of them now, float32 of shape `(n, num_labels)`.
    """

    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray


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

    @property
    def confusions(self) -> list[tuple[int, int, int]]:
        """Classes, what each was taken for, and how many validation rows; none if no policy has looked at them."""
        if not self.was_asked:
            return []
        probabilities, labels = self.validation
        taken = probabilities.argmax(1)
        pairs = np.stack([labels, taken], axis=1)[labels != taken]
        found, rows = np.unique(pairs, axis=0, return_counts=True)
        return [
            (label, taken_for, count) for (label, taken_for), count in zip(found.tolist(), rows.tolist(), strict=True)
        ]


class Policy(ABC):
    """
    Decides one thing in each round: the shares of the classes, which candidates are better, or which training rows the
    next ones are written after. What it returns must depend on its arguments alone, since a resumed run does not ask
    again.

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
        needs_judge (`bool`, defaults to `False`): Whether its scores tell little where no filter judges labels.
        ahead (`bool`, defaults to `False`):
            Whether its shares of the classes are also those of the candidates that are not made yet.
        seed_share (`float`, defaults to 0.5): The share of them, in `[0, 1]`, that is written after training rows.
        seed_rows (`int`, defaults to 256): The most training rows that it is asked about, drawn at random.
    """

    name: ClassVar[str]
    random_share: float = 0.0
    needs_validation: ClassVar[bool] = False
    needs_judge: ClassVar[bool] = False
    ahead: bool = False
    seed_share: float = 0.5
    seed_rows: int = 256

    def class_shares(self, round: Round) -> np.ndarray | None:
        """Returns the shares of the classes among what is chosen, `(num_labels,)`; `None`: not its task."""
        return None

    def score(self, round: Round, candidates: Candidates) -> np.ndarray | None:
        """
        Returns a number for each candidate, float of shape `(n,)`, of which the largest are chosen; those of `-inf`
        only where there are no others. `None`: not its task.
        """
        return None

    def seed(self, round: Round, rows: TrainingRows) -> np.ndarray | None:
        """
        Returns a number for each training row, float of shape `(n,)`: examples are written after those with the
        largest, never after those of `-inf`. `None`: not its task.
        """
        return None

    @property
    def seeds(self) -> bool:
        """Whether it chooses training rows to write after."""
        return type(self).seed is not Policy.seed

    @property
    def steers(self) -> bool:
        """Whether it decides what the candidates that come next are."""
        return self.seeds or (self.ahead and type(self).class_shares is not Policy.class_shares)

    def fingerprint(self) -> str:
        """
        Identifies the policy with its settings but `random_share`, `ahead`, `seed_share` and `seed_rows`, like
        [`Generator.fingerprint`].
        """
        return self.name

    def settings(self) -> list[Any]:
        """Returns what identifies the policy, JSON serialisable."""
        steering = [self.ahead, self.seed_share, self.seed_rows] if self.steers else []
        return [self.fingerprint(), self.random_share, *steering]


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
    >>> from hf_augment.training.feedback.policies import Round

    >>> says = np.array([[0.9, 0.1]] * 10, dtype=np.float32)
    >>> answers = lambda: (says, np.array([0, 1] * 5))
    >>> ClassAllocation(shrinkage=5).class_shares(Round(1, 50, ["neg", "pos"], np.array([0.5, 0.5]), answers)).round(3)
    array([0.25, 0.75])
    ```

    Args:
        shrinkage (`float`, *optional*, defaults to 20.0): Rows, 0 or more, that stand for the mean of all classes.
        least (`float`, *optional*, defaults to 0.5): In `[0, 1]`.
        ahead (`bool`, *optional*, defaults to `False`):
            Whether candidates that are not made yet are asked for with these shares, too. Of what is made already, a
            class has no more than its candidates. A run then makes shards of its own.

    Raises:
        ValueError: If an argument is out of range.
    """

    name = "class_allocation"
    needs_validation = True

    def __init__(self, shrinkage: float = 20.0, least: float = 0.5, ahead: bool = False) -> None:
        self.ahead = ahead
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


class HardSeeds(Policy):
    """
    Has examples written after the training rows that the classifier finds hardest now, one after each in a round.

    A row's score is `1 - p(label)`. Examples are asked for with the row in the prompt, so it takes a generator with
    [`~Generator.generate_like`], such as [`CausalLMGenerator`] with an [`InstructPrompt`]. From wrong rows to prompts:
    Lee et al. 2024, *LLM2LLM* (ACL Findings), who also write after original rows alone.

    The classifier has seen these rows. When it knows them all by heart, what is left of a ranking is how well.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import HardSeeds
    >>> from hf_augment.training.feedback.policies import TrainingRows

    >>> says = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]], dtype=np.float32)
    >>> HardSeeds().seed(None, TrainingRows(np.arange(3), np.array([0, 0, 1]), says)).round(3).tolist()
    [0.1, 0.6, 0.3]
    ```

    Args:
        share (`float`, *optional*, defaults to 0.5):
            The share of the examples, in `[0, 1]`, that are written after rows. It is less where a class has fewer.
        rows (`int`, *optional*, defaults to 256): The most training rows that are looked at in a round.
        most (`float`, *optional*, defaults to 0.98):
            Rows with a higher score, in `(0, 1]`, are left out: their label may be wrong.

    Raises:
        ValueError: If an argument is out of range.
    """

    name = "hard_seeds"

    def __init__(self, share: float = 0.5, rows: int = 256, most: float = 0.98) -> None:
        check_number("share", share, 0, 1, hint="It is a share of the examples.")
        check_number("rows", rows, 1, hint="It is a number of rows.")
        check_number("most", most, 1e-6, 1, hint="It is one minus a probability.")
        self.seed_share, self.seed_rows, self.most = float(share), int(rows), float(most)

    def seed(self, round: Round, rows: TrainingRows) -> np.ndarray:
        wrong = 1.0 - rows.probabilities[np.arange(len(rows.labels)), rows.labels].astype(np.float64)
        return np.where(wrong <= self.most, wrong, -np.inf)

    def fingerprint(self) -> str:
        return f"{self.name}(most={self.most})"
