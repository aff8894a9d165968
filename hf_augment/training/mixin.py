"""The mixin that makes any Trainer blend: wiring only."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import datasets
import torch.utils.data as torch_data
from transformers import Trainer, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, RemoveColumnsCollator, get_last_checkpoint
from transformers.utils import logging

from hf_augment.blending.dataset import BlendedDataset, BlendingCollator
from hf_augment.blending.rows import MapRows, RealRows, StreamRows
from hf_augment.files import write_json
from hf_augment.filters.base import Filter
from hf_augment.generators.base import Generator
from hf_augment.seeding import derive_seed
from hf_augment.synthesis.shards import ShardStore
from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.blend import Blend, BlendedRun, find_run
from hf_augment.training.callback import BlendProgressCallback
from hf_augment.training.checks import (
    CHECKPOINT_FILE,
    check_arguments,
    check_checkpoint,
    check_columns,
    check_own_loss,
    check_row_weights,
    check_shard_folder,
    class_shares,
    last_whole_checkpoint,
    warn_if_hardly_shown,
)
from hf_augment.training.feedback.briefs import Brief
from hf_augment.training.feedback.checks import check_feedback
from hf_augment.training.feedback.policies import Policy
from hf_augment.training.feedback.rounds import NO_FEEDBACK, Feedback
from hf_augment.training.feedback.scoring import Scorer
from hf_augment.training.filling import FillingMixin
from hf_augment.training.guard import AugmentationGuard
from hf_augment.training.loaders import bare_loader, check_loader, order_of, swapped, with_batches
from hf_augment.training.loss import WeighingMixin
from hf_augment.training.preparing import Preprocess, RowMaker
from hf_augment.training.shape import RunShape, lead_steps
from hf_augment.training.task import find_task, first_row


logger = logging.get_logger(__name__)


class AugmentingMixin(FillingMixin, WeighingMixin):
    """
    Makes a subclass of [`~transformers.Trainer`] blend its training batches with examples from a generator.

    Put it before the trainer: everything that trainer does goes on, and its loader is wrapped. Without a generator, or
    with `synthetic_ratio=0`, the trainer is what it was, bit for bit, unless real rows have weights.

    Example:

    ```python
    from dataclasses import dataclass

    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from hf_augment import AugmentationArguments, AugmentingMixin


    @dataclass
    class Arguments(AugmentationArguments, SentenceTransformerTrainingArguments):
        pass


    class MyTrainer(AugmentingMixin, SentenceTransformerTrainer):
        pass


    trainer = MyTrainer(model=model, args=Arguments("out"), train_dataset=train, loss=loss, generator=generator)
    ```

    *Weights of rows.* With weights of rows or classes, or soft labels, the stock loss of a classifier is weighed, at
    the scale that the model's own loss has; of a model with another loss that is an error. A loss of your own has to
    do it by itself: a `compute_loss_func` with a parameter `row_weights` (and `label_probabilities` for soft labels)
    is given them, and a `compute_loss` of a subclass finds them in `self.row_weights` and `self.label_probabilities`,
    or calls `super().compute_loss()`, which weighs if it is the stock one. One that does not look is an error.

    Args:
        args, kwargs:
            The trainer's own arguments. Plain [`~transformers.TrainingArguments`] give augmentation its defaults.
        generator (`Generator`, *optional*):
            Makes the synthetic examples; its `label_names` must be the dataset's, in order. Where a label is a row of
            0 and 1, they are sets of the model's labels, such as `"card; lost"`.
        filters (`Sequence[Filter]`, *optional*): Judge candidates, in this order.
        preprocess (`Callable`, *optional*):
            The function that made the model's columns from the raw ones, as given to
            `train_dataset.map(..., batched=True)`. Not needed where the dataset has `set_transform`, which applies to
            synthetic rows too, or where the collator takes raw columns.
        train_collator (`Callable`, *optional*, defaults to the trainer's `data_collator`):
            Collates training batches alone, such as one that augments; evaluation and prediction keep `data_collator`.
        weigh (`Callable`, *optional*, defaults to [`~hf_augment.training.row_weights.dynamic_weights`]):
            With `synthetic_weighting="dynamic"`, gives the weights of a batch's rows, `(batch,)`, from logits, classes
            and what the judge says of each synthetic row's class (NaN for a real row).
        policies (`Sequence[Policy]`, *optional*):
            With `synthetic_feedback`, which needs them, decide which candidates are shown. `[]` draws them at random.
            No policy was better than that everywhere; `recipes/README.md` has what was measured, under "Feedback".

    Attributes:
        blend (`Blend`, *optional*): The plan, the producer and the shards; `None` where nothing is blended.
        shards (`ShardStore`, *optional*): The synthetic examples of the run; `None` where nothing is blended.
        baseline_steps (`int`): Optimizer steps of this run, which an honest baseline needs as well.
        shown_share (`float`, *optional*):
            The share of the synthetic rows scheduled so far that were shown: filters and a guard leave slots to real
            rows.
        scheduled_rows (`int`): The number of synthetic rows scheduled so far, over all processes.

    Raises:
        ValueError: At construction, for what cannot work: with the argument, its value and the remedy.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        before = cls.__mro__[: cls.__mro__.index(AugmentingMixin)]
        trainers = [
            kind.__name__ for kind in before if issubclass(kind, Trainer) and not issubclass(kind, AugmentingMixin)
        ]
        if trainers:
            raise TypeError(
                f"{cls.__name__} has {trainers[0]} before AugmentingMixin, whose arguments it does not know: write "
                f"class {cls.__name__}(AugmentingMixin, {trainers[0]})."
            )

    def __init__(
        self,
        *args: Any,
        generator: Generator | None = None,
        filters: Sequence[Filter] = (),
        preprocess: Preprocess | None = None,
        train_collator: Callable[[list[Any]], Any] | None = None,
        policies: Sequence[Policy] | None = None,
        **kwargs: Any,
    ) -> None:
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, TrainingArguments)]
        if generator is not None:
            check_arguments(given[0] if given else TrainingArguments(), generator, filters)
        self.generator, self.filters, self.preprocess = generator, tuple(filters), preprocess
        self.train_collator, self.policies = train_collator, policies
        # Every loader has a run of its own; the one that is trained on is `_run`.
        self._runs: list[BlendedRun] = []
        self._run: BlendedRun | None = None
        self._feedback: Feedback | None = None
        self._saved: dict[str, Any] = {}
        self._blends: dict[Any, tuple[Blend, Any]] = {}
        super().__init__(*args, **kwargs)
        self._check()
        self.add_callback(BlendProgressCallback(self))

    # What there is to blend.

    @property
    def augments(self) -> bool:
        """Whether training batches are blended."""
        return self.generator is not None and self.augmentation.synthetic_ratio > 0

    @property
    def guard(self) -> AugmentationGuard | None:
        """The guard among the callbacks."""
        return next((c for c in self.callback_handler.callbacks if isinstance(c, AugmentationGuard)), None)

    @property
    def blend(self) -> Blend | None:
        """The plan, the producer and the shards, by the present arguments: a search changes them between trials."""
        augmentation = self._planned()
        if not self.augments or self.train_dataset is None:
            return None
        shape, made_of = self._shape(self.train_dataset), (self.train_dataset, self.generator, *self.filters)
        key = (
            shape,
            self.args.output_dir,
            self.args.seed,
            lead_steps(self.args),
            repr(astuple(augmentation)),
            *map(id, made_of),
        )
        if key not in self._blends:
            # What it was made of is kept, since another object may get the same id later.
            self._blends = {key: (self._new_blend(shape), made_of)}
        return self._blends[key][0]

    @property
    def shards(self) -> ShardStore | None:
        """The synthetic examples of the run."""
        return None if self.blend is None else self.blend.shards

    @property
    def baseline_steps(self) -> int:
        """Optimizer steps of this run, which an honest baseline needs as well."""
        return self._shape(self.train_dataset).total_steps

    @property
    def briefs(self) -> list[Brief]:
        """What the rounds of the training have decided so far; none without `synthetic_feedback`."""
        return [] if self._feedback is None else list(self._feedback.briefs)

    @property
    def waited_seconds(self) -> float:
        """Seconds that training has waited for generation since `train` was called."""
        return self._run.producer.waited_seconds if self._run is not None else 0.0

    @property
    def shown_share(self) -> float | None:
        """The share of the synthetic rows scheduled so far that were shown, in `[0, 1]`; `None` without any."""
        return None if self._run is None else self._run.shown_share(self.state.global_step)

    @property
    def scheduled_rows(self) -> int:
        """The number of synthetic rows scheduled so far, over all processes."""
        return 0 if self._run is None else self._run.scheduled(self.state.global_step) * self.args.world_size

    def _new_blend(self, shape: RunShape, world_size: int | None = None) -> Blend:
        generator, dataset, args = self.generator, self.train_dataset, self.args
        assert generator is not None
        check_arguments(args, generator, self.filters)
        row = first_row(dataset)
        has_transform = isinstance(dataset, datasets.Dataset) and dataset.format["type"] == "custom"
        made = self.preprocess is not None or has_transform
        config, names = getattr(self.model, "config", None), args.label_names or ()
        task = find_task(dataset, row, generator, names, bool(self.label_names), config, made)
        maker = RowMaker(task, generator.columns, row, self.preprocess)
        if not made:
            if args.remove_unused_columns:
                self._set_signature_columns_if_needed()
            weighed = {k: v for k, v in row.items() if k != self.augmentation.row_weight_column}
            check_columns(maker, weighed, self._signature_columns if args.remove_unused_columns else None)
        if self.augmentation.synthetic_feedback and not task.has_classes:
            raise ValueError("synthetic_feedback is for rows whose label is one class: pass 0.")
        check_own_loss(self, task.has_classes, self._has_own_loss)
        shares = class_shares(self.augmentation, task, dataset, generator)
        blend = Blend(shape, args, self._planned(), generator, self.filters, maker, shares, world_size)
        if args.push_to_hub:
            check_shard_folder(blend.shards.folder, str(args.output_dir))
        return blend

    def _planned(self) -> AugmentationArguments:
        """The arguments of augmentation as they are now, checked: a search or a callback sets them afterwards."""
        names = [field.name for field in fields(AugmentationArguments)]
        return AugmentationArguments(**{name: getattr(self.augmentation, name) for name in names})

    def _shape(self, dataset: Any, world_size: int | None = None) -> RunShape:
        stream = isinstance(dataset, torch_data.IterableDataset)
        ratio = self._planned().synthetic_ratio if self.augments else 0.0
        return RunShape.find(self.args, None if stream else len(dataset), ratio, self._train_batch_size, world_size)

    def _check(self) -> None:
        """Refuses what cannot work: when the trainer is built, and again when it trains, by arguments that changed."""
        check_feedback(self)
        check_row_weights(self)
        if self.guard is not None:
            self.guard.check(self.args, self.augments, self.eval_dataset, self.compute_metrics is not None)
        if self.augments and self.train_dataset is not None:
            assert self.blend is not None

    # The loader.

    def get_train_dataloader(self) -> torch_data.DataLoader:
        """The parent's training loader, with blended batches; unchanged without a generator or at ratio 0."""
        collator = {} if self.train_collator is None else {"data_collator": self.train_collator}
        with swapped(self, **collator):
            if self.blend is None:
                return super().get_train_dataloader()
            loader = bare_loader(self.accelerator, super().get_train_dataloader)
        check_loader(loader, self.blend.shape.batch_size)
        run = self.blend.open(self._real_rows(loader))
        self._runs.append(run)
        soft = self.augmentation.synthetic_labels == "soft"
        dynamic = self.augmentation.synthetic_weighting == "dynamic"
        collate: Any = loader.collate_fn
        streams = isinstance(loader.dataset, torch_data.IterableDataset)
        blended = BlendedDataset(
            None if streams else loader.dataset,
            run.prepared.reader,
            self.blend.maker.transform(loader.dataset),
            soft_labels=soft or dynamic,
            columns=collate.signature_columns if isinstance(collate, RemoveColumnsCollator) else None,
            constants={} if (column := self.augmentation.row_weight_column) is None else {column: 1.0},
        )
        run.rows = blended
        num_labels = len(self.blend.pipeline.generator.label_names)
        weight = self.augmentation.synthetic_weight
        collate = BlendingCollator(collate, weight, num_labels, soft, self.label_names, dynamic)
        seed = derive_seed(self.args.seed, "workers")
        return self.accelerator.prepare(with_batches(loader, blended, run.sampler, collate, seed))

    def _real_rows(self, loader: torch_data.DataLoader) -> RealRows:
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        dataset: Any = loader.dataset
        if isinstance(dataset, torch_data.IterableDataset):
            return StreamRows(dataset, seed)
        return MapRows(order_of(loader), seed)

    # Training.

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """As [`~transformers.Trainer.train`]. Refuses a checkpoint of another generator, filter or seed."""
        self._check()
        checkpoint = resume_from_checkpoint
        if checkpoint is True:
            checkpoint = get_last_checkpoint(self.args.output_dir)
            if self.augments and checkpoint is not None:
                resume_from_checkpoint = checkpoint = last_whole_checkpoint(checkpoint)
        self._saved, self._scale = {}, None
        if isinstance(checkpoint, (str, os.PathLike)):
            state = self._state(self.blend) if self.blend is not None else None
            self._saved = check_checkpoint(Path(checkpoint), state, self.generator is not None)
            if self.augments and self.args.ignore_data_skip:
                raise ValueError(
                    "ignore_data_skip=True would show the first batches of the epoch again, under the numbers of "
                    "others: leave it out, since batches are skipped by their indices alone."
                )
        self._close_runs(wait=True)
        finished = False
        try:
            output = super().train(resume_from_checkpoint, *args, **kwargs)
            finished = True
            warn_if_hardly_shown(self.shown_share)
            return output
        finally:
            # An interrupted user does not wait for the shard that is being made.
            self._close_runs(wait=finished)

    def _begin(self, loader: Any, args: TrainingArguments, state: TrainerState) -> None:
        """Training begins with this loader: its run is the one that is logged, guarded and kept in checkpoints."""
        run = find_run(loader, self._runs)
        if self.augments and run is None:
            raise ValueError(
                f"{type(self).__name__}.get_train_dataloader returns a loader without synthetic rows, so the "
                "generator would be left out: call super().get_train_dataloader() there, or put AugmentingMixin "
                "before the class that defines it."
            )
        self._run, self._feedback = run, None
        if run is None:
            return
        # What a try with larger batches left.
        for earlier in self._runs[: self._runs.index(run)]:
            earlier.close()
        run.start(state.global_step)
        if self.guard is not None:
            self.guard.start(run, args, state, self._saved.get("guard"))
        if self.augmentation.synthetic_feedback:
            scorer = Scorer(self, run.rows, len(run.blend.pipeline.generator.label_names))
            self._feedback = Feedback(run, self.policies or (), scorer, args)
            self._feedback.start(self._saved.get("feedback", NO_FEEDBACK) if self._saved else None)
        elif "feedback" in self._saved:
            raise ValueError("The checkpoint was trained with synthetic_feedback, and now it is 0: pass what it was.")
        before = self._saved.get("prepared")
        if before is not None:
            run.check_kept(before["shard"])
        if before is not None and run.prepared_digest(before["shard"]) not in (before, None):
            logger.warning("preprocess makes other rows of the same synthetic examples than before the checkpoint.")

    def _close_runs(self, wait: bool) -> None:
        for run in self._runs:
            run.close(wait)
        self._runs.clear()

    # Log and checkpoints.

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As [`~transformers.Trainer.log`]; with a training loss goes what [`BlendedRun.log`] says."""
        if self._run is not None and "loss" in logs:
            logs |= self._run.log(self.state.global_step)
            logs |= {} if self._feedback is None else self._feedback.figures()
            if self.guard is not None:
                logs["synthetic_guard"] = self.guard.factor(self.state.global_step)
        super().log(logs, *args, **kwargs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self._run is not None and self.args.should_save:
            # First, because the stock method pushes the folder before it returns.
            folder = Path(self._get_output_dir(trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / CHECKPOINT_FILE, self._state(self._run.blend))
        super()._save_checkpoint(model, trial)

    def _state(self, blend: Blend) -> dict[str, Any]:
        """Returns what a checkpoint keeps, JSON serialisable."""
        plan = blend.settings()
        state: dict[str, Any] = {"identity": blend.shards.identity, "plan": plan}
        if self._run is not None:
            state["prepared"] = self._run.prepared_digest()
        if self.guard is not None:
            plan["guard"], state["guard"] = self.guard.settings(), self.guard.state()
        if self._feedback is not None:
            state["feedback"] = self._feedback.state()
        return state
