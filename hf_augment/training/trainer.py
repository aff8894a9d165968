"""The Trainer that blends: wiring only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
import torch.utils.data as torch_data
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, get_last_checkpoint, seed_worker

from hf_augment.blending.dataset import (
    LABEL_PROBABILITIES,
    SAMPLE_WEIGHT,
    BlendedDataset,
    BlendingCollator,
    label_input,
)
from hf_augment.blending.rows import MapRows, RealRows, StreamRows
from hf_augment.blending.sampler import DrawLayout
from hf_augment.blending.schedule import BlendPlan
from hf_augment.filters.base import Filter
from hf_augment.generators.base import Generator
from hf_augment.seeding import derive_seed
from hf_augment.synthesis.pipeline import SynthesisPipeline, class_weights
from hf_augment.synthesis.prepared import Preprocess
from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.blend import BlendedRun, RunShape, store_for
from hf_augment.training.checks import (
    CHECKPOINT_FILE,
    check_arguments,
    check_checkpoint,
    check_labels,
    count_labels,
    find_label_key,
    row_keys,
    weighs_rows,
)
from hf_augment.training.guard import AugmentationGuard


class AugmentingTrainer(Trainer):
    """
    A [`~transformers.Trainer`] whose training batches blend the dataset with examples from a generator.

    Without a generator, or with `synthetic_ratio=0`, it is the stock `Trainer`, bit for bit.

    Example:

    ```python
    from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, CausalLMGenerator, NearDuplicates

    trainer = AugmentingTrainer(
        model=model,
        args=AugmentingTrainingArguments("out", synthetic_ratio=0.5),
        train_dataset=tokenized_train,
        eval_dataset=tokenized_test,
        processing_class=tokenizer,
        generator=CausalLMGenerator.from_pretrained("my-generator"),
        filters=[NearDuplicates()],
        preprocess=tokenize,
    )
    trainer.train()
    ```

    Args:
        model, args, data_collator, train_dataset, eval_dataset, processing_class, model_init, compute_loss_func, \
compute_metrics, callbacks, optimizers, optimizer_cls_and_kwargs, preprocess_logits_for_metrics:
            As for [`~transformers.Trainer`], in its order. `args` may be plain
            [`~transformers.TrainingArguments`]; augmentation then has its defaults.
        generator (`Generator`, *optional*):
            Makes the synthetic examples; its `label_names` must be the dataset's, in order.
        filters (`Sequence[Filter]`, *optional*):
            Judge candidates, in this order.
        preprocess (`Callable`, *optional*):
            The function that made the model's columns from the raw ones, as given to
            `train_dataset.map(..., batched=True)`. Not needed where the dataset has `set_transform`, which applies to
            synthetic rows too, or where the collator takes raw columns.

    Raises:
        ValueError: At construction, for what cannot work: with the argument, its value and the remedy.
    """

    def __init__(
        self,
        model: Any = None,
        args: TrainingArguments | None = None,
        data_collator: Callable[[list[Any]], Any] | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: Callable[..., Any] | None = None,
        compute_loss_func: Callable[..., Any] | None = None,
        compute_metrics: Callable[..., dict[str, Any]] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        optimizer_cls_and_kwargs: tuple[type[torch.optim.Optimizer], dict[str, Any]] | None = None,
        preprocess_logits_for_metrics: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
        *,
        generator: Generator | None = None,
        filters: Sequence[Filter] = (),
        preprocess: Preprocess | None = None,
    ) -> None:
        self.augmentation = args if isinstance(args, AugmentationArguments) else AugmentationArguments()
        self.augments = generator is not None and self.augmentation.synthetic_ratio > 0
        if self.augments:
            assert generator is not None
            plain = args or TrainingArguments()
            check_arguments(plain, self.augmentation, generator, filters, compute_loss_func is not None)
        super().__init__(
            model,
            args,
            data_collator,
            train_dataset,
            eval_dataset,
            processing_class,
            model_init,
            compute_loss_func,
            compute_metrics,
            callbacks,
            optimizers,
            optimizer_cls_and_kwargs,
            preprocess_logits_for_metrics,
        )
        self.generator, self.filters, self.preprocess = generator, tuple(filters), preprocess
        # Every loader has a run of its own; the one that is trained on is `_run`.
        self._runs: list[BlendedRun] = []
        self._run: BlendedRun | None = None
        self._saved_guard: dict[str, Any] | None = None
        self._set_up_for: Any = None
        self._check_guard()
        if self.augments:
            self.add_callback(_Progress(self))
            if train_dataset is not None:
                self._set_up_augmentation()

    @property
    def guard(self) -> AugmentationGuard | None:
        """The guard among the callbacks."""
        return next((c for c in self.callback_handler.callbacks if isinstance(c, AugmentationGuard)), None)

    def _check_guard(self) -> None:
        if self.guard is not None:
            self.guard.check(self.args, self.augments, self.eval_dataset, self.compute_metrics is not None)

    def _set_up_augmentation(self) -> None:
        assert self.generator is not None
        self._streams = isinstance(self.train_dataset, torch_data.IterableDataset)
        dataset: Any = self.train_dataset
        if not self._streams and len(dataset) == 0:
            raise ValueError("train_dataset is empty: check the filters and the split it was made with.")
        self._label_key = find_label_key(row_keys(self.train_dataset), self.args.label_names)
        check_labels(self.train_dataset, self._label_key, self.generator, getattr(self.model, "config", None))
        self._check_columns()
        seed = self.augmentation.synthetic_seed
        self._layout = DrawLayout(
            self.augmentation.synthetic_shard_size,
            self.augmentation.synthetic_reuse,
            self.args.seed if seed is None else seed,
            self.args.process_index,
            self.args.world_size,
        )
        self._pipeline = SynthesisPipeline(
            self.generator,
            self.filters,
            self._class_weights(),
            self._layout.seed,
            self._layout.shard_size,
            self.augmentation.synthetic_max_attempts,
        )
        output_dir = self.args.output_dir or "trainer_output"
        self.shards = store_for(self._pipeline, self.augmentation, output_dir, self._layout, self._label_key)
        if weighs_rows(self.augmentation):
            # The loss below is the mean of a batch; the Trainer must not take it for a sum over the whole step
            # (https://github.com/huggingface/transformers/issues/47688).
            self.model_accepts_loss_kwargs = False
        shape = self._shape(dataset)
        BlendPlan(
            shape.batch_size, self.augmentation.synthetic_ratio, shape.batches_per_epoch, shape.batches_per_epoch
        )
        self._set_up_for = self.train_dataset

    def _check_columns(self) -> None:
        if self.preprocess is not None or self._transform() is not None:
            return
        have = {*self.generator.columns, self._label_key}  # type: ignore[union-attr]
        missing = [name for name in row_keys(self.train_dataset) if name not in have]
        if self.args.remove_unused_columns:
            self._set_signature_columns_if_needed()
            missing = [name for name in missing if name in (self._signature_columns or ())]
        if missing:
            raise ValueError(
                f"train_dataset has the columns {missing}, which the generator's columns {sorted(have)} do not give: "
                "pass preprocess=..., the function that made them from the raw columns."
            )

    def _class_weights(self) -> np.ndarray:
        balance = self.augmentation.synthetic_class_balance
        num_labels = len(self.generator.label_names)  # type: ignore[union-attr]
        indexed = isinstance(self.train_dataset, datasets.Dataset)
        if balance == "uniform" and not indexed:
            return np.full(num_labels, 1 / num_labels)
        if self._streams:
            raise ValueError(
                f"synthetic_class_balance={balance!r} needs the labels of a whole dataset, which a stream does not "
                "give: pass synthetic_class_balance='uniform'."
            )
        return class_weights(balance, count_labels(self.train_dataset, self._label_key, num_labels))

    def _transform(self) -> Callable[..., Any] | None:
        """The transform that `set_transform` gave the dataset."""
        if not isinstance(self.train_dataset, datasets.Dataset) or self.train_dataset.format["type"] != "custom":
            return None
        return self.train_dataset.format["format_kwargs"]["transform"]

    def get_train_dataloader(self) -> torch_data.DataLoader:
        """The training loader, with blended batches; the stock one without a generator or at ratio 0."""
        if not self.augments or self.train_dataset is None:
            return super().get_train_dataloader()
        if self._set_up_for is not self.train_dataset:
            self._set_up_augmentation()
        dataset: Any = self.train_dataset
        collator: Any = self.data_collator
        if isinstance(dataset, datasets.Dataset):
            dataset = self._remove_unused_columns(dataset, description="training")
        else:
            collator = self._get_collator_with_removed_columns(collator, description="training")
        used = self._signature_columns if self.args.remove_unused_columns else None
        soft = self.augmentation.synthetic_labels == "soft"
        num_labels = len(self.generator.label_names)  # type: ignore[union-attr]
        weight = self.augmentation.synthetic_weight
        collator = BlendingCollator(collator, weight, num_labels, soft, self.label_names)
        run = self._new_run(dataset)
        self._runs.append(run)
        blended = BlendedDataset(
            None if self._streams else dataset,
            run.prepared.reader,
            self._transform(),
            soft_labels=soft,
            columns=used,
        )
        workers = self.args.dataloader_num_workers
        loader = torch_data.DataLoader(
            blended,
            batch_sampler=run.sampler,
            collate_fn=collator,
            num_workers=workers,
            pin_memory=self.args.dataloader_pin_memory,
            persistent_workers=self.args.dataloader_persistent_workers,
            prefetch_factor=self.args.dataloader_prefetch_factor,
            multiprocessing_context=getattr(self.args, "dataloader_multiprocessing_context", None),
            worker_init_fn=partial(seed_worker, num_workers=workers, rank=self.args.process_index),
            # Without one of its own, a loader with workers moves the global random state at every epoch.
            generator=torch.Generator().manual_seed(derive_seed(self.args.seed, "workers")),
        )
        return self.accelerator.prepare(loader)

    def _new_run(self, dataset: Any) -> BlendedRun:
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        rows: RealRows
        if self._streams:
            rows = StreamRows(dataset, seed)
        else:
            sampler = self._get_train_sampler(dataset)
            rows = MapRows(sampler, len(dataset), seed)  # type: ignore[arg-type]
        return BlendedRun(
            self._shape(dataset),
            self.augmentation,
            self._layout,
            self._pipeline,
            self.shards,
            rows,
            self._label_key,
            self.preprocess,
        )

    def _shape(self, dataset: Any) -> RunShape:
        if self._streams and self.args.max_steps <= 0:
            raise ValueError(f"max_steps={self.args.max_steps} for a stream: say how many steps to train.")
        return RunShape.of(
            None if self._streams else len(dataset),
            self._train_batch_size,
            self.augmentation.synthetic_ratio,
            self._layout.world_size,
            self.args.dataloader_drop_last,
            self.args.gradient_accumulation_steps,
            self.args.max_steps,
            self.args.num_train_epochs,
        )

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """
        As [`~transformers.Trainer.train`]. Refuses a checkpoint of another generator, filter or seed.
        """
        self._check_guard()
        checkpoint, saved = resume_from_checkpoint, {}
        if checkpoint is True:
            checkpoint = get_last_checkpoint(self.args.output_dir)
        if isinstance(checkpoint, (str, os.PathLike)):
            facts = self._checkpoint_facts() if self.augments else None
            saved = check_checkpoint(Path(checkpoint), facts, self.generator is not None)
        self._saved_guard = saved.get("guard")
        self._close_runs(wait=True)
        finished = False
        try:
            output = super().train(resume_from_checkpoint, *args, **kwargs)
            finished = True
            return output
        finally:
            # An interrupted user does not wait for the shard that is being made.
            self._close_runs(wait=finished)

    @property
    def waited_seconds(self) -> float:
        """How long training has waited for generation, since `train` was called."""
        return self._run.producer.waited_seconds if self._run is not None else 0.0

    def _close_runs(self, wait: bool) -> None:
        for run in self._runs:
            run.close(wait)
        self._runs.clear()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """
        The stock loss, unless synthetic rows have another weight or soft labels: then the weighted mean of the batch's
        cross-entropies, in float32.
        """
        if SAMPLE_WEIGHT not in inputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        weights = inputs.pop(SAMPLE_WEIGHT)
        targets = inputs.pop(label_input(inputs, self.label_names)).view(-1)
        targets = inputs.pop(LABEL_PROBABILITIES, targets)
        outputs = model(**inputs)
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        losses = F.cross_entropy(logits.float(), targets, reduction="none")
        loss = (weights * losses).sum() / weights.sum()
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As [`~transformers.Trainer.log`]; with a training loss goes what [`BlendedRun.log`] says."""
        if self._run is not None and "loss" in logs:
            logs |= self._run.log(self.state.global_step)
            if self.guard is not None:
                logs["synthetic_guard"] = self.guard.factor(self.state.global_step)
        super().log(logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if self._run is not None and self.args.should_save:
            # First, because the stock method pushes the folder before it returns.
            folder = Path(self._get_output_dir(trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / CHECKPOINT_FILE).write_text(json.dumps(self._checkpoint_facts(), indent=2))
        super()._save_checkpoint(model, trial)

    def _checkpoint_facts(self) -> dict[str, Any]:
        names = ("synthetic_ratio", "synthetic_schedule", "synthetic_schedule_fraction", "synthetic_reuse")
        plan: dict[str, Any] = {name: getattr(self.augmentation, name) for name in names}
        facts = {"identity": self.shards.identity, "plan": plan}
        if self.guard is not None:
            plan["guard"], facts["guard"] = self.guard.settings(), self.guard.state()
        return facts


class _Progress(TrainerCallback):
    """Tells the run at which step training starts, which only the loaded state knows, and when an epoch begins."""

    def __init__(self, trainer: AugmentingTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.trainer._run = self.trainer._runs[-1] if self.trainer._runs else None
        if self.trainer._run is not None:
            self.trainer._run.start(state.global_step)
            if self.trainer.guard is not None:
                self.trainer.guard.start(self.trainer._run, args, state, self.trainer._saved_guard)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.trainer._run is not None:
            self.trainer._run.start_epoch()
