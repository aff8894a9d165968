"""The filter that rejects images which the generator copied from the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_augment.checks import check_number
from hf_augment.filters.base import Filter, Verdict
from hf_augment.neighbours.features import COPY_DISTANCE, RealFeatures


class FeatureCopies(Filter):
    """
    Rejects images that are nearly a real training image, so that what the classifier gets is new.

    The score is the distance to the nearest real image in a feature space, in the distance that is usual between a
    real image and the nearest other one ([`RealFeatures`]): 1 is as far as real images are from each other, 0 is a
    copy, as is an image with the very pixels of a real one, whatever the features. Copies that are mirrored, shifted
    or cut are found as far as the features take no notice of it.

    That samples much nearer to training data than fresh real data are copies is the test of Meehan et al. 2020 (*A
    non-parametric test to detect data-copying in generative models*); that features find copies that pixels hide is
    shown by Somepalli et al. 2023 (*Diffusion art or digital forgery?*). The default of 0.1 is from neither: it is a
    cautious choice. Of fresh real data that fill `d` dimensions about a share of `0.7 * 0.1**d` is so near.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import FeatureCopies, RealFeatures

    >>> brightness = lambda examples: [[example["image"].mean()] for example in examples]
    >>> grey = lambda value: np.full((8, 8, 1), value, np.uint8)
    >>> copies = FeatureCopies(RealFeatures(brightness, np.stack([grey(0), grey(100), grey(200)])))
    >>> verdicts = copies.judge([{"image": grey(103)}, {"image": grey(150)}], labels=[0, 0])
    >>> [(verdict.accepted, verdict.reason) for verdict in verdicts]
    [(False, '0.03 from training row 1'), (True, '0.50 from training row 1')]
    ```

    Args:
        real (`RealFeatures`): The images that the generator was trained on.
        min_distance (`float`, *optional*, defaults to `0.1`):
            Zero or more. Candidates nearer than this to a real image are rejected, and always those at distance 0.

    Raises:
        `ValueError`: If `min_distance` is out of range.
    """

    name = "feature_copies"

    def __init__(self, real: RealFeatures, min_distance: float = COPY_DISTANCE) -> None:
        check_number("min_distance", min_distance, 0, hint="1 is the usual distance between real images.")
        self.real = real
        self.min_distance = float(min_distance)

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        rows, distances = self.real.nearest(examples)
        far = (distances >= self.min_distance) & (distances > 0)
        return [
            Verdict(bool(accepted), float(distance), f"{distance:.2f} from training row {row}")
            for row, distance, accepted in zip(rows, distances, far, strict=True)
        ]

    def fingerprint(self) -> str:
        return f"{self.name}(min_distance={self.min_distance}, {self.real.fingerprint()})"
