"""One training run's blend: plan, shards and producer put together, and what they report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_augment.blending.rows import RealRows
from hf_augment.blending.sampler import BlendedBatchSampler, DrawLayout
from hf_augment.blending.schedule import BlendPlan, RatioSchedule, batches_per_epoch
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.prepared import PreparedShards, Preprocess
from hf_augment.synthesis.producer import InlineProducer, Producer, ThreadProducer
from hf_augment.synthesis.shards import ShardStore, acceptance
from hf_augment.training.arguments import AugmentationArguments


@dataclass(frozen=True)
class RunShape:
    """
    The sizes of a run, as the Trainer will count them.

    Args:
        batch_size (`int`):
            Rows in a batch of one rank.
        accumulation (`int`):
            Batches in an optimizer step.
        batches_per_epoch (`int`):
            Of one rank.
        total_steps (`int`):
            Optimizer steps of the run.
    """

    batch_size: int
    accumulation: int
    batches_per_epoch: int
    total_steps: int

    @classmethod
    def of(
        cls,
        num_rows: int | None,
        batch_size: int,
        ratio: float,
        world_size: int,
        drop_last: bool,
        accumulation: int,
        max_steps: int,
        num_epochs: float,
    ) -> RunShape:
        """The shape for so many real rows, or for a stream (`None`), which is one epoch of `max_steps`."""
        if num_rows is None:
            return cls(batch_size, accumulation, max_steps * accumulation, max_steps)
        batches = batches_per_epoch(num_rows, batch_size, ratio, world_size, drop_last)
        if batches == 0:
            raise ValueError(
                f"dataloader_drop_last=True leaves no batch of {batch_size} on {world_size} processes from {num_rows} "
                "rows: pass False or lower per_device_train_batch_size."
            )
        shape = cls(batch_size, accumulation, batches, max_steps)
        steps = max_steps if max_steps > 0 else int(np.ceil(num_epochs * shape.steps_per_epoch))
        return cls(batch_size, accumulation, batches, steps)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of an epoch; the last may have fewer batches."""
        return -(-self.batches_per_epoch // self.accumulation)

    def batches_before(self, step: int) -> int:
        """Batches of one rank that the first `step` optimizer steps take."""
        epochs, steps = divmod(step, self.steps_per_epoch)
        return epochs * self.batches_per_epoch + steps * self.accumulation


class BlendedRun:
    """
    What the trainer holds of one run: a batch sampler and a reader for its loader, and the figures for its log.

    Args:
        shape (`RunShape`):
            Sizes of the run.
        augmentation (`AugmentationArguments`):
            The user's wishes.
        layout (`DrawLayout`):
            Which slots this rank draws.
        pipeline (`SynthesisPipeline`):
            Makes shards.
        store (`ShardStore`):
            Keeps them.
        rows (`RealRows`):
            The real rows.
        label_key (`str`):
            Label column of the real rows.
        preprocess (`Callable`, *optional*):
            As for [`PreparedShards`].
    """

    def __init__(
        self,
        shape: RunShape,
        augmentation: AugmentationArguments,
        layout: DrawLayout,
        pipeline: SynthesisPipeline,
        store: ShardStore,
        rows: RealRows,
        label_key: str,
        preprocess: Preprocess | None,
    ) -> None:
        self.shape, self.layout, self.store = shape, layout, store
        self.plan = BlendPlan(
            shape.batch_size,
            augmentation.synthetic_ratio,
            shape.batches_per_epoch,
            shape.batches_before(shape.total_steps),
            RatioSchedule(augmentation.synthetic_schedule),
            augmentation.synthetic_schedule_fraction,
        )
        self.producer: Producer
        shards = layout.shards(self.plan.total_draws)
        if augmentation.synthetic_producer == "thread":
            self.producer = ThreadProducer(pipeline, store, shards, timeout=augmentation.synthetic_timeout)
        else:
            self.producer = InlineProducer(pipeline, store, shards)
        self.prepared = PreparedShards(store, label_key, preprocess)
        self.sampler = BlendedBatchSampler(self.plan, layout, rows, self.accepted, epoch=lambda: self.epoch)
        self.epoch, self._next_epoch = 0, 0
        self._since = (0, time.perf_counter(), 0.0)

    def accepted(self, shard: int) -> np.ndarray:
        """Waits for a shard; returns which of its slots hold an example, bool of shape `(shard_size,)`."""
        self.producer.wait_for(shard)
        return self.prepared.accepted(shard)

    def start(self, step: int) -> None:
        """Training starts at this optimizer step: what epoch comes next, and what stretch [`log`] reports first."""
        self._next_epoch = step // self.shape.steps_per_epoch
        self._since = (step, time.perf_counter(), self.producer.waited_seconds)

    def log(self, step: int) -> dict[str, float]:
        """
        Describes what was shown since the last call.

        Returns:
            `dict[str, float]`: `synthetic_ratio`, the realised share of rows; `synthetic_reuse`, how often the
            examples shown had been shown, this time included; `synthetic_age`, optimizer steps since their shard was
            begun; `synthetic_acceptance` and `synthetic_acceptance_{filter}`, shares of candidates;
            `synthetic_per_second`, accepted examples in a second of generation; and `synthetic_wait`, the share of
            wall time that training waited for generation.
        """
        since, at, waited = self._since
        first, last = self.shape.batches_before(since), self.shape.batches_before(step)
        self._since = (step, time.perf_counter(), self.producer.waited_seconds)
        figures = self.sampler.progress.summary(first, last)
        if "age" in figures:
            figures["age"] /= self.shape.accumulation
            figures |= self.acceptance(since, step)
        figures["wait"] = (self.producer.waited_seconds - waited) / max(time.perf_counter() - at, 1e-9)
        return {("synthetic_" + name): round(value, 4) for name, value in figures.items()}

    def acceptance(self, since: int, step: int) -> dict[str, float]:
        """Shares accepted in the shards that this rank showed from step `since` to `step`; empty if there are none."""
        draws = self.sampler.progress.draws(self.shape.batches_before(since), self.shape.batches_before(step))
        shards = sorted({self.layout.locate(draw)[0] for draw in draws})
        return acceptance([self.store.account(shard) for shard in shards if self.store.has(shard)])

    def shown_share(self, step: int) -> float:
        """The share of the synthetic rows scheduled before optimizer step `step` that this rank was shown."""
        batches = self.shape.batches_before(step)
        draws = self.sampler.progress.draws(0, batches)
        slots = [divmod(self.layout.slot(draw), self.layout.shard_size) for draw in draws]
        shown = sum(bool(self.prepared.accepted(shard)[offset]) for shard, offset in slots)
        return shown / max(int(self.plan.first_draw[batches]), 1)

    def scale(self, step: int, factor: float) -> None:
        """After optimizer step `step`, so much of the live slots stays live; see [`BlendProgress.scale`]."""
        self.sampler.progress.scale(self.shape.batches_before(step), factor)

    def start_epoch(self) -> None:
        """The Trainer begins an epoch, of which no sampler under accelerate's skipping and sharding ones is told."""
        self.epoch, self._next_epoch = self._next_epoch, self._next_epoch + 1

    def close(self, wait: bool = True) -> None:
        """Ends the producer; see [`Producer.close`]."""
        self.producer.close(wait)


def store_for(
    pipeline: SynthesisPipeline,
    augmentation: AugmentationArguments,
    output_dir: str,
    layout: DrawLayout,
    label_key: str,
) -> ShardStore:
    """The store of a run, in `synthetic_dir` or beside its checkpoints."""
    root = Path(augmentation.synthetic_dir or Path(output_dir) / "synthetic")
    identity: dict[str, Any] = pipeline.identity() | {"label_column": label_key}
    if pipeline.filters:
        # A filter with a memory remembers the shards of its rank.
        identity["world_size"] = layout.world_size
    return ShardStore(root, identity, label_key, pipeline.generator.label_names)
