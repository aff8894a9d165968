"""How many rows of each batch are synthetic: a pure function, known before training starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cached_property

import numpy as np


#: A run that was shown a smaller share of its scheduled synthetic rows than this was hardly augmented.
LEAST_SHOWN = 0.1


class RatioSchedule(StrEnum):
    """The course of the share of live slots over the run; see [`BlendPlan`]."""

    CONSTANT = "constant"
    LINEAR_WARMUP = "linear_warmup"
    COSINE_DECAY = "cosine_decay"
    STOP_AFTER = "stop_after"

    def factor(self, progress: np.ndarray, fraction: float) -> np.ndarray:
        """
        The share of the slots that are live.

        Args:
            progress (`np.ndarray`): Shares of the run that lie behind, float in `[0, 1)`, of any shape.
            fraction (`float`):
                Share of the run, in `(0, 1]`: the length of the warm-up, or where the decay ends, or where to stop.
                `constant` ignores it.

        Returns:
            `np.ndarray`: Float in `[0, 1]`, of the shape of `progress`.
        """
        if self is RatioSchedule.CONSTANT:
            return np.ones_like(progress)
        inside = np.minimum(progress / fraction, 1.0)
        if self is RatioSchedule.LINEAR_WARMUP:
            return inside
        if self is RatioSchedule.COSINE_DECAY:
            return 0.5 * (1.0 + np.cos(np.pi * inside))
        return np.where(inside < 1.0, 1.0, 0.0)


@dataclass(frozen=True)
class BlendPlan:
    """
    The plan of a run on one rank: for every batch, its base rows, its slots, and how many slots are live.

    A batch of `batch_size` rows has *base* rows, which walk through the real data once an epoch, and *slots*. A live
    slot shows a synthetic example; every other slot shows one more real row, a *fill*. So the ratio may fall
    (schedule, filters, an early stop) and batches, epoch length and learning-rate schedule stay. With no live slot at
    all the plan is the baseline at equal steps.

    All ranks have the same numbers of base rows and slots, so no rank waits for another.

    Example:

    ```python
    >>> from hf_augment.blending.schedule import BlendPlan
    >>> plan = BlendPlan(batch_size=4, synthetic_ratio=0.25, batches_per_epoch=4, total_batches=4)
    >>> plan.slots.tolist(), plan.live.tolist()
    ([1, 1, 1, 1], [1, 1, 1, 1])
    ```

    Args:
        batch_size (`int`): Rows in a batch of one rank.
        synthetic_ratio (`float`):
            Share of slots among the rows, in `(0, 1)`. At least one row of each batch is a base row.
        batches_per_epoch (`int`): Batches of one rank in an epoch; see [`batches_per_epoch`].
        total_batches (`int`): Batches of one rank in the run, on which the schedule's progress is measured.
        schedule (`RatioSchedule`, *optional*, defaults to `RatioSchedule.CONSTANT`):
            Course of the share of live slots.
        schedule_fraction (`float`, *optional*, defaults to 1.0): See [`RatioSchedule.factor`].
    """

    batch_size: int
    synthetic_ratio: float
    batches_per_epoch: int
    total_batches: int
    schedule: RatioSchedule = RatioSchedule.CONSTANT
    schedule_fraction: float = 1.0

    def __post_init__(self) -> None:
        if not self.slots.any():
            raise ValueError(
                f"synthetic_ratio={self.synthetic_ratio} leaves no synthetic row in {self.total_batches} batches of "
                f"{self.batch_size}: raise synthetic_ratio, or pass 0 to train without a generator."
            )
        if max_slots(self.batch_size, self.synthetic_ratio) >= self.batch_size:
            raise ValueError(
                f"synthetic_ratio={self.synthetic_ratio} leaves batches of {self.batch_size} without a real row: "
                "lower synthetic_ratio or raise per_device_train_batch_size."
            )

    @cached_property
    def slots(self) -> np.ndarray:
        """Slots of each batch, int64 of shape `(total_batches,)`."""
        share = self.batch_size * _exact(self.synthetic_ratio)
        # Of some ratios only Python's own integers hold the products.
        whole = max(self.batches_per_epoch * share.numerator, share.denominator) < 2**63
        batches = np.arange(self.batches_per_epoch + 1, dtype=np.int64 if whole else object)
        # Every epoch starts the pattern anew, so that each has the same number of base rows.
        slots = np.diff(batches * share.numerator // share.denominator).astype(np.int64)
        return np.resize(slots, self.total_batches)

    @cached_property
    def live(self) -> np.ndarray:
        """Live slots of each batch, int64 of shape `(total_batches,)`: what rounding cuts off is carried on."""
        progress = np.arange(self.total_batches) / self.total_batches
        wanted = np.cumsum(self.slots * self.schedule.factor(progress, self.schedule_fraction))
        # The tiny addend: what adds up to 10 may be just below.
        live = np.diff(np.floor(wanted + 1e-9).astype(np.int64), prepend=0)
        return np.minimum(live, self.slots)

    @cached_property
    def first_draw(self) -> np.ndarray:
        """The number of live slots before each batch, int64 of shape `(total_batches + 1,)`; the last is the total."""
        return np.concatenate([[0], np.cumsum(self.live)])

    @property
    def total_draws(self) -> int:
        """Live slots in the run on one rank."""
        return int(self.first_draw[-1])


def slots_before(batch_size: int, ratio: float, batch: int) -> int:
    """Slots of one rank in the first `batch` batches of an epoch: an exact floor, 0.3 of 10 rows is always 3."""
    return math.floor(batch * batch_size * _exact(ratio))


def base_rows_before(batch_size: int, ratio: float, batch: int) -> int:
    """Base rows of one rank in the first `batch` batches of an epoch."""
    return batch * batch_size - slots_before(batch_size, ratio, batch)


def max_slots(batch_size: int, ratio: float) -> int:
    """The most slots any batch has."""
    return math.ceil(batch_size * _exact(ratio))


def batches_per_epoch(num_rows: int, batch_size: int, ratio: float, world_size: int, drop_last: bool) -> int:
    """
    Batches of one rank in which the base rows of all ranks hold the real data once.

    Args:
        num_rows (`int`): Real rows.
        batch_size (`int`): Rows in a batch of one rank.
        ratio (`float`): Share of slots, in `(0, 1)`.
        world_size (`int`): Number of ranks.
        drop_last (`bool`): Whether rows that do not fill a batch on every rank are left out, instead of filled up.

    Returns:
        `int`: At least 1 unless `drop_last`.
    """
    per_batch = batch_size * (1 - _exact(ratio)) * world_size
    batch = max(math.floor(num_rows / per_batch) - 1, 0)
    while (held := world_size * base_rows_before(batch_size, ratio, batch)) < num_rows:
        batch += 1
    return batch - 1 if drop_last and held > num_rows else batch


def _exact(ratio: float) -> Fraction:
    # Binary 0.3 * 10 is just below 3 for some m: the decimal that the user wrote is meant.
    return Fraction(str(ratio))
