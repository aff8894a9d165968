"""Policies that choose: which of several candidates the classifier is shown next."""

from __future__ import annotations

import numpy as np

from hf_augment.checks import check_number
from hf_augment.training.feedback.policies import Candidates, Policy, Round


class UncertaintySelection(Policy):
    """
    Candidates of which the classifier is unsure, and of which the judge is not.

    The score is the entropy of the classifier's probabilities, as a share of the largest that there can be, times the
    judge's probability of the class asked for (Hemmat et al. 2025, *Deliberate Practice*, arXiv 2502.15588, adds what
    has a high entropy). Without a filter that judges labels it is entropy alone, and what is mislabelled comes first:
    on SST-2 that was worse than chance (`model_cards/sst2_32_entropy`). Very high entropy is the mark of examples of
    no class, so those above `max_entropy` come last.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import UncertaintySelection
    >>> from hf_augment.training.feedback.policies import Candidates

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
    needs_judge = True

    def __init__(self, random_share: float = 0.25, max_entropy: float = 0.98) -> None:
        check_number("random_share", random_share, 0, 1, hint="It is a share of what is chosen.")
        check_number("max_entropy", max_entropy, 1e-6, 1, hint="It is a share of the largest entropy.")
        self.random_share, self.max_entropy = float(random_share), float(max_entropy)

    def score(self, round: Round, candidates: Candidates) -> np.ndarray:
        entropy = entropy_of(candidates.probabilities)
        return np.where(entropy <= self.max_entropy, entropy * candidates.agreement, -np.inf)

    def fingerprint(self) -> str:
        return f"{self.name}(random_share={self.random_share}, max_entropy={self.max_entropy})"


class AgreementSelection(Policy):
    """
    Candidates that the classifier takes for the class that they were asked to be, by chance among them.

    The score is the classifier's probability of the class asked for as a share of its largest: 1 where it agrees.
    Where labels are often wrong, what a network agrees with while it learns is mostly right, since it learns what
    labels have in common before it learns their mistakes (Han et al. 2018, *Co-teaching*, NeurIPS, arXiv 1804.06872,
    have two networks choose small losses for each other; here one chooses for itself). Among what it agrees with
    chance decides: what it is surest of teaches least. No judge is needed.

    Of pseudo-labelled digits it chose better than chance, by 3.3 points (`model_cards/digits_10`). Where labels are
    better than the classifier it leaves out what is hard: of digits with right labels it was worse, by 1.0 and 1.6
    points on two draws, and of sentences that a language model labelled on each of three, which is no finding
    (`model_cards/sst2_32_unlabelled`). Of a DCGAN's images it is not told from chance
    (`model_cards/digits_10_trained`).

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import AgreementSelection
    >>> from hf_augment.training.feedback.policies import Candidates

    >>> says = np.array([[0.99, 0.01], [0.6, 0.4], [0.8, 0.2]], dtype=np.float32)
    >>> candidates = Candidates(np.arange(3), np.array([0, 0, 1]), says, np.array([1.0, 0.9, 0.9]))
    >>> AgreementSelection().score(None, candidates).round(3).tolist()
    [1.0, 1.0, 0.25]
    ```

    Args:
        random_share (`float`, *optional*, defaults to 0.0): See [`Policy`].

    Raises:
        ValueError: If an argument is out of range.
    """

    name = "agreement_selection"

    def __init__(self, random_share: float = 0.0) -> None:
        check_number("random_share", random_share, 0, 1, hint="It is a share of what is chosen.")
        self.random_share = float(random_share)

    def score(self, round: Round, candidates: Candidates) -> np.ndarray:
        p = candidates.probabilities.astype(np.float64)
        share = p[np.arange(len(p)), candidates.labels] / p.max(1)
        # Where half precision overflows the classifier says nothing.
        return np.where(np.isnan(share), -np.inf, share)


def entropy_of(probabilities: np.ndarray) -> np.ndarray:
    """The entropy of each row of probabilities, `(n, num_labels)`, as a share of the largest: float64, `(n,)`."""
    p = probabilities.astype(np.float64)
    return -(p * np.log(np.maximum(p, 1e-12))).sum(1) / np.log(p.shape[1])
