"""The blend of a trainer: plan, layout, shards and rows put together, and the runs that show them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainingArguments

from hf_augment.blending.chosen import ChosenLayout
from hf_augment.blending.rows import RealRows
from hf_augment.blending.sampler import BlendedBatchSampler, DrawLayout
from hf_augment.blending.schedule import BlendPlan, RatioSchedule
from hf_augment.filters.base import Filter
from hf_augment.generators.base import Generator
from hf_augment.seeding import derive_seed, isolated_rng
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.prepared import PreparedShards
from hf_augment.synthesis.producer import InlineProducer, Producer, ThreadProducer
from hf_augment.synthesis.shards import Shard, acceptance
from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.preparing import RowMaker
from hf_augment.training.shape import RunShape, effects_of


#: The shards' folder in `output_dir`. No upload of huggingface_hub takes along what lies below `.cache/huggingface`.
SHARD_FOLDER = Path(".cache", "huggingface", "hf_augment")
#: Rounds in which a candidate may be chosen: the one that is the first to know it, and the one after.
LIFETIME = 2


class Blend:
    """
    Everything synthetic of a trainer: what is planned and how it is made and kept. A [`BlendedRun`] shows it.

    Args:
        shape (`RunShape`): Sizes of the run.
        args (`TrainingArguments`): Those of the trainer: seed, ranks and `output_dir`.
        augmentation (`AugmentationArguments`): Arguments of augmentation.
        generator (`Generator`): Makes candidates.
        filters (`Sequence[Filter]`): Judge them.
        maker (`RowMaker`): Makes rows of the examples, and knows the task.
        class_weights (`np.ndarray`): The share of each class among synthetic rows, float of shape `(num_labels,)`.
        world_size (`int`, *optional*, defaults to that of `args`):
            Number of ranks of a run that is not this one, of which this is the first.

    Attributes:
        plan (`BlendPlan`): Rows and slots of each batch.
        layout (`DrawLayout`): The slots that this rank draws.
        pipeline (`SynthesisPipeline`): Makes shards.
        shards (`ShardStore`): Keeps them.

    Raises:
        ValueError: If no batch has a slot, or one has nothing else; if shards are dropped that a filter needs.
    """

    def __init__(
        self,
        shape: RunShape,
        args: TrainingArguments,
        augmentation: AugmentationArguments,
        generator: Generator,
        filters: Sequence[Filter],
        maker: RowMaker,
        class_weights: np.ndarray,
        world_size: int | None = None,
    ) -> None:
        self.shape, self.augmentation, self.maker, self.data_seed = shape, augmentation, maker, args.data_seed
        seed = args.seed if augmentation.synthetic_seed is None else augmentation.synthetic_seed
        rank, ranks = (args.process_index, args.world_size) if world_size is None else (0, world_size)
        size, attempts = augmentation.synthetic_shard_size, augmentation.synthetic_max_attempts
        self.pipeline = SynthesisPipeline(generator, filters, class_weights, seed, size, attempts)
        self.plan = BlendPlan(
            shape.batch_size,
            augmentation.synthetic_ratio,
            shape.batches_per_epoch,
            shape.batches_before(shape.total_steps),
            RatioSchedule(augmentation.synthetic_schedule),
            augmentation.synthetic_schedule_fraction,
        )
        self.layout = self._layout(args, seed, rank, ranks)
        root = Path(augmentation.synthetic_dir or Path(args.output_dir or "trainer_output") / SHARD_FOLDER)
        self.shards = self.pipeline.store(root, maker.task.shard_column, ranks)
        self.drops = augmentation.synthetic_keep == "recent"
        self.has_checkpoints = args.save_strategy != "no"
        if self.drops and self.pipeline.remembering:
            raise ValueError(
                f"synthetic_keep='recent' does not go with the filters {self.pipeline.remembering}, which compare "
                "with all earlier examples, also after a resume: pass synthetic_keep='all', or leave them out."
            )

        if self.drops and not generator.replayable:
            raise ValueError(
                f"synthetic_keep='recent' deletes what {type(generator).__name__} would not make again: pass "
                "synthetic_keep='all'."
            )

    def _layout(self, args: TrainingArguments, seed: int, rank: int, world_size: int) -> DrawLayout:
        planned = self.augmentation
        sizes = planned.synthetic_shard_size, planned.synthetic_reuse, seed, rank, world_size
        if not planned.synthetic_feedback:
            return DrawLayout(*sizes)
        effects = effects_of(planned.synthetic_feedback, self.shape.total_steps, args)
        starts = [int(self.plan.first_draw[self.shape.batches_before(step)]) for step in effects]
        starts = [0, *starts, self.plan.total_draws]
        return ChosenLayout(*sizes, tuple(starts), planned.synthetic_candidates, LIFETIME)

    def settings(self) -> dict[str, Any]:
        """Returns what a resumed run may change, with a warning: it decides which examples are shown, when and how."""
        names = ("ratio", "schedule", "schedule_fraction", "reuse", "weight", "weighting", "labels")
        settings = {f"synthetic_{name}": getattr(self.augmentation, f"synthetic_{name}") for name in names}
        return settings | {
            "row_weight_column": self.augmentation.row_weight_column,
            "class_weights": self.augmentation.class_weights,
            "world_size": self.layout.world_size,
            "per_device_train_batch_size": self.shape.batch_size,
            "gradient_accumulation_steps": self.shape.accumulation,
            "data_seed": self.data_seed,
            # Both decide which rows a batch has, and where a schedule stands.
            "batches_per_epoch": self.shape.batches_per_epoch,
            "total_steps": None if self.plan.schedule is RatioSchedule.CONSTANT else self.shape.total_steps,
        }

    def shard(self, index: int) -> Shard:
        """
        Returns a shard by its number, for an audit: from the disk, or made again where it was dropped.

        Raises:
            ValueError: If it is damaged, or has other examples than its account says, or none.
        """
        if self.shards.has(index):
            return self.shards.read(index)
        if not self.shards.was_made(index):
            raise ValueError(
                f"Synthetic shard {index} has no account in {self.shards.folder}: it was not made, or it was made by "
                "what a round decided, which a trainer knows that has made it or resumed from a checkpoint."
            )
        with isolated_rng(derive_seed(self.pipeline.seed, "inline", index)):
            shard = self.pipeline.make(index)
        self.shards.compare(shard)
        return shard

    def open(self, rows: RealRows) -> BlendedRun:
        """Returns a run over real rows, for one loader."""
        return BlendedRun(self, rows)


class BlendedRun:
    """
    The blend in one loader: a batch sampler and a reader of its own, and the figures for its log.

    Args:
        blend (`Blend`): The plan, the rows and the shards.
        rows (`RealRows`): The real rows.
    """

    def __init__(self, blend: Blend, rows: RealRows) -> None:
        self.blend, self.shape, self.layout, self.plan = blend, blend.shape, blend.layout.for_run(), blend.plan
        self.store = blend.shards
        shards = self.layout.shards(self.plan.total_draws)
        self.producer: Producer
        if blend.augmentation.synthetic_producer == "thread":
            timeout = blend.augmentation.synthetic_timeout
            self.producer = ThreadProducer(blend.pipeline, self.store, shards, timeout=timeout)
        else:
            self.producer = InlineProducer(blend.pipeline, self.store, shards)
        self.prepared = PreparedShards(self.store, blend.maker.prepare)
        self.sampler = BlendedBatchSampler(self.plan, self.layout, rows, self.accepted, epoch=lambda: self.epoch)
        self.epoch, self._next_epoch = 0, 0
        self._first_step, self._begun = 0, False
        # Of shards whose examples are dropped: which of their slots hold one.
        self._masks: dict[int, np.ndarray] = {}
        self._last: int | None = None
        #: The rows of the loader, once it is made.
        self.rows: Any = None
        # So many of the first shards have been given up: their rows, and their files.
        self._freed, self._dropped = 0, 0
        self._since = (0, time.perf_counter(), 0.0)

    def accepted(self, shard: int) -> np.ndarray:
        """Waits for a shard; returns which of its slots hold an example, bool of shape `(shard_size,)`."""
        self.begin()
        if shard != self._last:
            self.producer.wait_for(shard)
            self._last = shard
        accepted = self.prepared.accepted(shard)
        if self.blend.drops and self.layout.in_order(self.plan.total_draws) < self.plan.total_draws:
            self._masks[shard] = accepted
        return accepted

    def begin(self) -> None:
        """Tells the producer which shards will not be asked for; not before a guard that goes on has changed draws."""
        if not self._begun:
            self._begun = True
            self.producer.begin(self.producer.shards[self._shards_done(self._first_step)])

    def start(self, step: int) -> None:
        """Training starts at this optimizer step: what epoch comes next, and what stretch [`log`] reports first."""
        self._next_epoch = step // self.shape.steps_per_epoch
        self.sampler.first_batch = self.shape.batches_before(step)
        self._first_step = step
        self._since = (step, time.perf_counter(), self.producer.waited_seconds)

    def check_kept(self, *shards: int) -> None:
        """
        Checks that a checkpoint's shards are there which could not be made again.

        Args:
            shards (`int`): The last shard that was shown, or those of which some may be.

        Raises:
            ValueError: If one of them is lost.
        """
        pipeline = self.blend.pipeline
        if pipeline.generator.replayable or not shards:
            return
        last = max(shards)
        earlier = [shard for shard in self.producer.shards if shard < last] if pipeline.remembering else []
        for shard in dict.fromkeys([*earlier, *shards]):
            if not self.store.has(shard):
                raise ValueError(
                    f"Synthetic shard {shard}, which the checkpoint was trained on, is not in {self.store.folder}, "
                    f"and {type(pipeline.generator).__name__} would not make it again: bring that folder back, or "
                    "train anew."
                )

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
        shards = np.unique(self.layout.shown(draws)[1]).tolist()
        return acceptance([self.store.account(shard) for shard in shards if self.store.was_made(shard)])

    def shown_share(self, step: int) -> float:
        """The share of the synthetic rows scheduled before optimizer step `step` that this rank was shown."""
        draws = self.sampler.progress.draws(0, self.shape.batches_before(step))
        in_order = self.layout.in_order(draws.stop)
        done = in_order // self.layout.draws_per_shard
        # With another ratio before a resume, not all of those that this plan names were.
        whole = [self.store.account(shard) for shard in self.producer.shards[:done] if self.store.was_made(shard)]
        shown = self.layout.reuse * sum(account.candidates - sum(account.rejected.values()) for account in whole)
        for shard, places in self.layout.slots(range(done * self.layout.draws_per_shard, in_order)):
            if shard in self._masks or self.store.has(shard):
                mask = self._masks.get(shard)
                shown += int((self.store.accepted(self.store.read(shard)) if mask is None else mask)[places].sum())
        # What was chosen was accepted.
        shown += len(self.layout.shown(range(in_order, draws.stop))[0])
        return shown / max(self.scheduled(step), 1)

    def scheduled(self, step: int) -> int:
        """The number of this rank's synthetic rows that are scheduled before optimizer step `step`."""
        return int(self.plan.first_draw[self.shape.batches_before(step)])

    def leave(self, step: int, saved: bool) -> None:
        """
        Gives up what optimizer step `step` and those before it have shown for the last time.

        Args:
            step (`int`): All rows up to it have been trained on, so no worker reads them any more.
            saved (`bool`): Whether a checkpoint holds this step, so that a resume will not ask for them either.
        """
        # The last shard says in a checkpoint how rows were prepared.
        done = 0 if self._last is None else min(self._shards_done(step), self.producer.shards.index(self._last))
        for shard in self.producer.shards[self._freed : done]:
            self.prepared.free(shard)
        self._freed = max(self._freed, done)
        if self.blend.drops and (saved or not self.blend.has_checkpoints):
            for shard in self.producer.shards[self._dropped : done]:
                self.store.drop(shard)
            self._dropped = max(self._dropped, done)

    def _shards_done(self, step: int) -> int:
        """The number of this rank's shards that are shown for the last time before the end of a step."""
        return self.layout.done(int(self.sampler.progress.first_draw[self.shape.batches_before(step)]))

    def scale(self, step: int, factor: float) -> None:
        """After optimizer step `step`, so much of the live slots stays live; see [`BlendProgress.scale`]."""
        self.sampler.progress.scale(self.shape.batches_before(step), factor)

    def start_epoch(self) -> None:
        """The Trainer begins an epoch, of which no sampler under accelerate's skipping and sharding ones is told."""
        self.epoch, self._next_epoch = self._next_epoch, self._next_epoch + 1

    def prepared_digest(self, shard: int | None = None) -> dict[str, Any] | None:
        """Returns what identifies the preprocessing: the digest of a shard's rows, by default the last shard's."""
        shard = self._last if shard is None else shard
        if shard is None or not self.store.has(shard):
            return None
        return {"shard": shard, "digest": self.prepared.digest(shard)}

    def close(self, wait: bool = True) -> None:
        """Ends the producer; see [`Producer.close`]."""
        self.producer.close(wait)


def find_run(loader: Any, runs: Sequence[BlendedRun]) -> BlendedRun | None:
    """The run whose sampler a loader has, below what accelerate has put around it."""
    sampler: Any = loader
    while (inner := getattr(sampler, "batch_sampler", None)) is not None:
        sampler = inner
    return next((run for run in runs if run.sampler is sampler), None)
