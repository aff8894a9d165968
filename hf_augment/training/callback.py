"""What tells an augmenting trainer how far its training is."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_augment.training.checks import WEIGHING, check_shard_folder, check_unchanged, row_inputs


class BlendProgressCallback(TrainerCallback):
    """Tells the trainer at which step training starts, which only the loaded state knows, and when an epoch begins."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer
        self.planned = trainer.augmentation

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.planned = self.trainer._planned()
        self.trainer._begin(kwargs["train_dataloader"], args, state)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.trainer._run is not None:
            self.trainer._run.start_epoch()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        run = self.trainer._run
        planned = {name: getattr(self.planned, name) for name in WEIGHING[:2]} if run is None else vars(self.planned)
        check_unchanged(planned, args)
        if heeded := row_inputs(self.planned, blended=run is not None):
            self.trainer._check_read(heeded)
        if run is not None:
            check_unchanged({"gradient_accumulation_steps": run.shape.accumulation}, args)
            if self.trainer._feedback is not None:
                self.trainer._feedback.step(state.global_step)
            run.leave(state.global_step, saved=False)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.trainer._run is not None:
            self.trainer._run.leave(state.global_step, saved=True)

    def on_push_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.trainer.shards is not None:
            check_shard_folder(self.trainer.shards.folder, str(args.output_dir))
