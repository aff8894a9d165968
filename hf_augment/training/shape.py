"""The sizes of a run, counted as the Trainer will count them, before it begins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from transformers import TrainingArguments

from hf_augment.blending.schedule import batches_per_epoch
from hf_augment.training.arguments import AugmentationArguments


#: Batches from a decision to its effect. The loader has handed out 1 + workers * prefetch_factor beyond the training
#: step; a constant above that makes the effect, and so the weights, the same for any usual number of workers.
LEAD = 16


def lead_steps(args: TrainingArguments) -> int:
    """Optimizer steps from a decision to its effect: no batch after them has been handed out."""
    ahead = 1 + args.dataloader_num_workers * (args.dataloader_prefetch_factor or 2)
    return math.ceil(max(LEAD, ahead) / args.gradient_accumulation_steps)


def effects_of(period: int, total: int, args: TrainingArguments) -> range:
    """
    Returns the optimizer steps, of `total`, at which the rounds of every `period` take effect. Raises a `ValueError`
    if there is none.
    """
    effects = range(period + lead_steps(args), total, period)
    if not effects:
        raise ValueError(
            f"synthetic_feedback={period} leaves no round in {total} steps: a first one after {period} takes effect "
            f"{lead_steps(args)} steps later. Lower it, or pass 0."
        )
    return effects


@dataclass(frozen=True)
class RunShape:
    """
    The sizes of a run, as the Trainer will count them.

    Args:
        batch_size (`int`): Rows in a batch of one rank.
        accumulation (`int`): Batches in an optimizer step.
        batches_per_epoch (`int`): Batches of one rank in an epoch.
        total_steps (`int`): Optimizer steps of the run.
    """

    batch_size: int
    accumulation: int
    batches_per_epoch: int
    total_steps: int

    @classmethod
    def find(
        cls,
        args: TrainingArguments,
        num_rows: int | None,
        ratio: float,
        batch_size: int | None = None,
        world_size: int | None = None,
    ) -> RunShape:
        """
        Counts as the Trainer will.

        Args:
            args (`TrainingArguments`): Those of the run.
            num_rows (`int`, *optional*): Real rows; `None` for a stream, which is one epoch of `max_steps`.
            ratio (`float`): Share of slots, in `[0, 1)`.
            batch_size (`int`, *optional*, defaults to `args.train_batch_size`): Rows in a batch of one rank.
            world_size (`int`, *optional*, defaults to `args.world_size`): Number of ranks.

        Raises:
            ValueError: If a stream has no `max_steps`, or no batch is left.
        """
        accumulation, max_steps = args.gradient_accumulation_steps, int(args.max_steps)
        batch_size, world_size = batch_size or args.train_batch_size, world_size or args.world_size
        if num_rows is None:
            if max_steps <= 0:
                raise ValueError(f"max_steps={max_steps} for a stream: say how many steps to train.")
            return cls(batch_size, accumulation, max_steps * accumulation, max_steps)
        if num_rows == 0:
            raise ValueError("train_dataset is empty: check the filters and the split it was made with.")
        batches = batches_per_epoch(num_rows, batch_size, ratio, world_size, args.dataloader_drop_last)
        if batches == 0:
            raise ValueError(
                f"dataloader_drop_last=True leaves no batch of {batch_size} on {world_size} processes from "
                f"{num_rows} rows: pass False or lower per_device_train_batch_size."
            )
        shape = cls(batch_size, accumulation, batches, max_steps)
        steps = max_steps if max_steps > 0 else int(np.ceil(args.num_train_epochs * shape.steps_per_epoch))
        return cls(batch_size, accumulation, batches, steps)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch; the last may have fewer batches."""
        return -(-self.batches_per_epoch // self.accumulation)

    def batches_before(self, step: int) -> int:
        """Batches of one rank that the first `step` optimizer steps take."""
        epochs, steps = divmod(step, self.steps_per_epoch)
        return epochs * self.batches_per_epoch + steps * self.accumulation


def baseline_steps(args: TrainingArguments, num_rows: int) -> int:
    """
    Returns how many optimizer steps an augmented run takes, which an honest baseline needs as well.

    Example:

    ```python
    >>> from hf_augment import AugmentingTrainingArguments, baseline_steps
    >>> args = AugmentingTrainingArguments("out", synthetic_ratio=0.5, per_device_train_batch_size=8, use_cpu=True)
    >>> baseline_steps(args, num_rows=100)  # three epochs, each of 25 batches with 4 real rows
    75
    ```

    Args:
        args (`TrainingArguments`): Those of the augmented run; without arguments of augmentation their defaults count.
        num_rows (`int`): Real rows of the training set.
    """
    augmentation = args if isinstance(args, AugmentationArguments) else AugmentationArguments()
    return RunShape.find(args, num_rows, augmentation.synthetic_ratio).total_steps
