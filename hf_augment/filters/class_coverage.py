"""The filter that keeps the accepted examples of a class spread over its real images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_augment.checks import check_number
from hf_augment.filters.base import Filter, Verdict
from hf_augment.fingerprints import texts_digest
from hf_augment.neighbours.features import RealFeatures


class ClassCoverage(Filter):
    """
    Rejects images of which there are too many alike already, so that a generator that makes the same few things again
    and again cannot fill the shards with them.

    Each accepted example is counted at its nearest real image ([`RealFeatures`]) and for that image's class. A
    candidate is rejected if with it the real image would have more than `max_excess` times its share of the class's
    accepted examples, and more than `min_allowance` of them. Where coverage (Naeem et al. 2020, *Reliable fidelity and
    diversity metrics for generative models*, section 3.2) asks how many real images have a generated neighbour, this
    asks that none has too many. The score is how many times its share the real image would have. What is rejected now
    may be accepted later, when the class has more examples elsewhere.

    The share is what a real image has in real data, by leaving one out: `(1 + how many other real images are nearest
    to it) / (the sum of that over its class)`. Equal shares would be unjust: with many dimensions some points, the
    hubs, are the nearest of many (Radovanović et al. 2010, *Hubs in space*). Of 5,000 fresh draws from the
    64-dimensional normal distribution of the 5,000 real ones the defaults accept 97 %; with equal shares they would
    accept 66 %.

    Limits:

    - It makes nothing that the generator does not make: where most is rejected, shards stay partly empty.
    - It finds no loss of variety in which more than a share of `1 / max_excess` of the class is still made, and in a
      class with fewer than `max_excess` images it rejects nothing.
    - It says nothing of quality, as noise has a nearest real image too, nor of the label that was asked for (see
      [`LabelAgreement`]).
    - Each process counts for itself.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import ClassCoverage, RealFeatures

    >>> brightness = lambda examples: [[example["image"].mean()] for example in examples]
    >>> grey = lambda value: np.full((8, 8, 1), value, np.uint8)
    >>> real = RealFeatures(brightness, np.stack([grey(value) for value in range(0, 200, 10)]))
    >>> coverage = ClassCoverage(real, labels=[0] * 20, min_allowance=2)
    >>> verdicts = coverage.judge([{"image": grey(value)} for value in (51, 52, 49, 80)], labels=[0] * 4)
    >>> [verdict.accepted for verdict in verdicts]
    [True, True, False, True]
    >>> verdicts[2].reason
    'number 3 near training row 5, 20.0 times its share'
    ```

    Args:
        real (`RealFeatures`): The images that the generator was trained on.
        labels (`Sequence[int]`): Their classes, as many; whole numbers from 0.
        max_excess (`float`, *optional*, defaults to `5.0`):
            One or more. How many times its share of the class's accepted examples one real image may have. The lower,
            the more evenly the examples are spread, and the more of them are rejected by chance.
        min_allowance (`int`, *optional*, defaults to `3`):
            One or more. So many examples a real image may have in any case, without which there could be no first one.

    Raises:
        `ValueError`: If a number is out of range, or the labels are others than one whole number for each image.
    """

    name = "class_coverage"

    def __init__(
        self, real: RealFeatures, labels: Sequence[int], max_excess: float = 5.0, min_allowance: int = 3
    ) -> None:
        check_number("max_excess", max_excess, 1, hint="It is how many times its share a real image may have.")
        check_number("min_allowance", min_allowance, 1, whole=True, hint="With 0, there could be no first example.")
        classes = np.asarray(labels)
        if classes.shape != real.popularity.shape or classes.dtype.kind not in "iu" or classes.min() < 0:
            raise ValueError(
                f"`labels` must be {len(real.popularity)} whole numbers from 0, one for each real image, but is "
                f"{classes.dtype} of shape {classes.shape}. Give the label column of the rows that `real` was made of."
            )
        self.real = real
        self.max_excess = float(max_excess)
        self.min_allowance = min_allowance
        self._class_of = classes.astype(np.int64)
        in_class = np.bincount(self._class_of, weights=real.popularity)
        # A class may have no image that is not an earlier one of another class; such rows are nobody's nearest.
        self._shares = real.popularity / np.maximum(in_class, 1)[self._class_of]
        self.forget()

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        # Not yet remembered: a later filter may reject them.
        near = self._near.copy()
        totals = np.bincount(self._class_of, weights=near)
        verdicts = []
        for row in self.real.nearest(examples).rows:
            its_class = self._class_of[row]
            count = int(near[row]) + 1
            excess = count / (self._shares[row] * (totals[its_class] + 1))
            accepted = bool(count <= self.min_allowance or excess <= self.max_excess)
            near[row] += accepted
            totals[its_class] += accepted
            reason = f"number {count} near training row {row}, {excess:.1f} times its share"
            verdicts.append(Verdict(accepted, float(excess), reason))
        return verdicts

    def remember(self, examples: Sequence[dict[str, Any]]) -> None:
        np.add.at(self._near, self.real.nearest(examples).rows, 1)

    def forget(self) -> None:
        #: The number of accepted examples that are nearest to each real image.
        self._near = np.zeros(len(self._class_of), dtype=np.int64)

    def fingerprint(self) -> str:
        labels = texts_digest(map(str, self._class_of))
        return (
            f"{self.name}(max_excess={self.max_excess}, min_allowance={self.min_allowance}, labels={labels}, "
            f"{self.real.fingerprint()})"
        )
