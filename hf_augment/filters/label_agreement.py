"""The filter that asks a judge whether a candidate is of the class it was asked to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers.utils import logging

from hf_augment.checks import check_number
from hf_augment.filters.acceptance import Acceptance, check_target_acceptance
from hf_augment.filters.base import Filter, Verdict
from hf_augment.fingerprints import callable_fingerprint
from hf_augment.judges.classifier import Judge


logger = logging.get_logger(__name__)


class LabelAgreement(Filter):
    """
    Accepts candidates whose requested label a judge finds likely enough: the score is its probability. All
    probabilities go into `Verdict.label_probabilities`, so they can serve as a soft label.

    Example:

    ```python
    >>> from hf_augment import LabelAgreement

    >>> def judge(examples):
    ...     return [[0.91, 0.09] if "dull" in example["text"] else [0.2, 0.8] for example in examples]

    >>> agreement = LabelAgreement(judge, label_names=["neg", "pos"])
    >>> verdicts = agreement.judge([{"text": "A dull film."}, {"text": "A dull plot."}], labels=[0, 1])
    >>> [(verdict.accepted, verdict.reason) for verdict in verdicts]
    [(True, 'judge says neg (0.91)'), (False, 'judge says neg (0.91)')]
    ```

    Args:
        judge (`Callable`):
            Takes a sequence of examples and returns an array `(n, num_labels)` of probabilities, such as a
            [`ClassifierJudge`] for texts or an [`ImageClassifierJudge`]. Its `fingerprint()` becomes part of the
            filter's; without one, it is known by its name only.
        min_probability (`float`, *optional*, defaults to `0.5`):
            In `[0, 1]`. Candidates with at least this score are accepted. Not together with `target_acceptance`.
        target_acceptance (`float`, *optional*):
            In `(0, 1]`. Accepts this share of each call's candidates, the best ones; see [`Acceptance`].
        label_names (`Sequence[str]`, *optional*):
            The generator's classes in order, for the verdicts' reasons and to check the judge's own order.

    Raises:
        `ValueError`: If an argument is out of range, both thresholds are given, or the judge orders the same class
            names differently; from `judge`, if it returns anything else than one row of probabilities for each
            candidate.
    """

    name = "label_agreement"
    gives_label_probabilities = True

    def __init__(
        self,
        judge: Judge,
        min_probability: float | None = None,
        target_acceptance: float | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        if not callable(judge):
            raise ValueError(
                f"`judge` must be callable, but is {judge!r}. Wrap a model in `ClassifierJudge(model, "
                "tokenizer)` or `ImageClassifierJudge(model, image_processor)`, or give a function of examples."
            )
        if getattr(judge, "__name__", "") == "<lambda>":
            logger.warning(
                "`judge` is a lambda, which is known by that word alone: another one would be given the shards that "
                "this one has judged. Give a function with a name, or an object with `fingerprint()`."
            )
        check_target_acceptance("min_probability", min_probability, target_acceptance)
        threshold = None
        if target_acceptance is None:
            threshold = 0.5 if min_probability is None else min_probability
            check_number("min_probability", threshold, 0, 1, hint="It is a probability.")
            threshold = float(threshold)
        self._judge = judge
        self.acceptance = Acceptance(threshold, target_acceptance)
        self.label_names = None if label_names is None else list(label_names)
        theirs = getattr(judge, "label_names", None)
        if self.label_names and theirs and set(theirs) == set(self.label_names) and list(theirs) != self.label_names:
            raise ValueError(
                f"`label_names` is {self.label_names}, but the judge has {list(theirs)}: its probabilities would "
                "be taken for other classes. Use one order for the dataset, the generator and the judge."
            )

    def check(self, label_names: Sequence[str]) -> None:
        """Raises a `ValueError` if the judge has another number of classes, or other names that nobody has ordered."""
        theirs, wanted = getattr(self._judge, "label_names", None), list(label_names)
        if self.label_names is not None and self.label_names != wanted:
            raise ValueError(f"`label_names` is {self.label_names}, but the generator has {wanted}: pass these.")
        if theirs is None or list(theirs) == wanted:
            return
        # Names that transformers gives where nobody else did say nothing of an order.
        unnamed = list(theirs) == [f"LABEL_{i}" for i in range(len(theirs))]
        if len(theirs) != len(wanted) or not (unnamed or self.label_names):
            raise ValueError(
                f"The judge of {self.name!r} has the classes {list(theirs)}, but the generator has {wanted}: use a "
                "judge of the generator's classes. If it has them in this order under other names, pass label_names="
                f"{wanted} to {type(self).__name__}."
            )

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        if not examples:
            return []
        probabilities = self._ask(examples)
        if min(labels) < 0 or max(labels) >= probabilities.shape[1]:
            raise ValueError(
                f"`labels` go from {min(labels)} to {max(labels)}, but the judge knows {probabilities.shape[1]} "
                "classes. Use a judge that was trained on the generator's classes."
            )
        scores = probabilities[np.arange(len(labels)), np.asarray(labels)]
        return [
            Verdict(bool(accepted), float(score), self._reason(row), tuple(row.tolist()))
            for accepted, score, row in zip(self.acceptance.choose(scores), scores, probabilities, strict=True)
        ]

    def _ask(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """The judge's probabilities, checked."""
        probabilities = np.asarray(self._judge(examples), dtype=np.float64)
        classes = len(self.label_names) if self.label_names else None
        if (
            probabilities.ndim != 2
            or len(probabilities) != len(examples)
            or (classes and probabilities.shape[1] != classes)
        ):
            raise ValueError(
                f"`judge` must return an array of shape ({len(examples)}, {classes or 'num_labels'}), but its "
                f"shape is {probabilities.shape}. Return one row of probabilities for each example."
            )
        # Written so that NaN fails too.
        if not (probabilities.min() >= 0 and np.abs(probabilities.sum(axis=1) - 1).max() <= 0.01):
            raise ValueError(
                "`judge` must return probabilities, zero or more and with a sum of 1 in each row, but returned "
                f"{probabilities[0].round(3).tolist()} first. Apply a softmax to logits."
            )
        return probabilities

    def _reason(self, probabilities: np.ndarray) -> str:
        best = int(probabilities.argmax())
        name = self.label_names[best] if self.label_names else f"class {best}"
        return f"judge says {name} ({probabilities[best]:.2f})"

    def fingerprint(self) -> str:
        # Spelled as it always was, so that streams made before are known again.
        return f"{self.name}({self.acceptance}, reference={callable_fingerprint(self._judge)})"
