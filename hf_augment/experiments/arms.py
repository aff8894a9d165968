"""One trained arm of a comparison, whatever the kind of data."""

from __future__ import annotations

import copy
import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import PreTrainedModel, TrainingArguments

from hf_augment.evaluation.comparison import ArmRun
from hf_augment.experiments.stages import last_checkpoint
from hf_augment.filters import Filter
from hf_augment.generators import Generator
from hf_augment.metrics import classification_metrics
from hf_augment.trainer import AugmentingTrainer


@dataclass
class LabelledData:
    """
    The rows of an experiment.

    Args:
        train (`datasets.Dataset`):
            All labelled rows, from which splits are drawn; `label` is a `ClassLabel`.
        evaluations (`dict[str, datasets.Dataset]`):
            The test set under `"test"`, and the hold-outs.
    """

    train: datasets.Dataset
    evaluations: dict[str, datasets.Dataset]

    @property
    def label_names(self) -> list[str]:
        """The classes."""
        return list(self.train.features["label"].names)


class Classifier(ABC):
    """A kind of classifier: a fresh model for every run, and what a trainer needs beside it."""

    #: What makes raw rows the model's input, as `Trainer(processing_class=...)`; saved with the model.
    processing_class: Any

    @abstractmethod
    def new_model(self, seed: int) -> PreTrainedModel:
        """A model whose random weights are drawn from `seed`."""

    @abstractmethod
    def rows(self, dataset: datasets.Dataset, description: str) -> Any:
        """Labelled rows as a dataset for the trainer."""

    @abstractmethod
    def reference(self, folder: Path) -> Callable[..., Any]:
        """A trained model of this kind, as a judge of candidates."""

    def collator(self, augment: str | None) -> Any:
        """The data collator, with classic augmentation by name; `None` for the Trainer's own."""
        if augment is not None:
            raise ValueError(f"augment={augment!r}: there is no classic augmentation for this kind of data.")
        return None

    @property
    def preprocess(self) -> Callable[..., Any] | None:
        """The function that makes the model's columns from the raw ones, if rows have them already."""
        return None


def run_arm(
    folder: Path,
    classifier: Classifier,
    args: TrainingArguments,
    train: datasets.Dataset,
    evaluations: dict[str, datasets.Dataset],
    seed: int,
    generator: Generator | None = None,
    filters: Sequence[Filter] = (),
    max_steps: int | None = None,
    save: bool = False,
    augment: str | None = None,
    **augmentation: Any,
) -> dict[str, Any]:
    """
    Trains a classifier and evaluates it; goes on from a checkpoint that an interrupted run left in `folder`.

    Args:
        folder (`Path`):
            Of checkpoints, and of the model with `save`.
        classifier (`Classifier`):
            The kind of classifier.
        args (`TrainingArguments`):
            Of the Trainer; its `output_dir` and `seed` are replaced, and with `max_steps` that too.
        train (`datasets.Dataset`):
            Labelled rows.
        evaluations (`dict[str, datasets.Dataset]`):
            What to evaluate on.
        seed (`int`):
            Of random weights, order and dropout.
        generator (`Generator`, *optional*):
            Feeds the training.
        filters (`Sequence[Filter]`, *optional*):
            Judge what it makes.
        max_steps (`int`, *optional*):
            Optimizer steps, instead of epochs.
        save (`bool`, *optional*, defaults to `False`):
            Whether to keep the model, in `folder/model`.
        augment (`str`, *optional*):
            Classic augmentation of the training rows, real and synthetic.
        augmentation (`Any`):
            Further arguments to replace, such as `synthetic_dir`.

    Returns:
        `dict[str, Any]`: `steps`, `seconds` (after a resume, of the last part), `metrics`, `correct`, `log`, as for
        [`ArmRun`]; with a generator also `shards`, the folder of what it was shown.
    """
    args = copy.copy(args)
    changed = {"output_dir": str(folder), "seed": seed, "push_to_hub": False, **augmentation}
    for name, value in (changed | ({"max_steps": max_steps} if max_steps is not None else {})).items():
        setattr(args, name, value)
    model = classifier.new_model(seed)
    trainer = AugmentingTrainer(
        model,
        args,
        data_collator=classifier.collator(augment),
        train_dataset=classifier.rows(train, "train"),
        processing_class=classifier.processing_class,
        compute_metrics=classification_metrics,
        generator=generator,
        filters=filters,
        preprocess=classifier.preprocess if generator is not None else None,
    )
    start = time.perf_counter()
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    result: dict[str, Any] = {"steps": trainer.state.global_step, "seconds": time.perf_counter() - start}
    result["log"] = trainer.state.log_history
    if augment is not None:
        # What is tested on is not augmented.
        trainer.data_collator = classifier.collator(None)
    if generator is not None:
        result["shards"] = trainer.shards.folder.name
    result |= _evaluate(trainer, {name: classifier.rows(rows, name) for name, rows in evaluations.items()})
    if save and trainer.is_world_process_zero():
        # Not save_model, which adds a pickle of the arguments.
        model.save_pretrained(folder / "model")
        classifier.processing_class.save_pretrained(folder / "model")
    return result


def _evaluate(trainer: AugmentingTrainer, evaluations: dict[str, Any]) -> dict[str, Any]:
    """By evaluation set: `metrics`, and `correct`, which says of each row whether it was right."""
    wanted = ("accuracy", "f1", "f1_macro", "expected_calibration_error")
    result: dict[str, Any] = {"metrics": {}, "correct": {}}
    for name, rows in evaluations.items():
        output = trainer.predict(rows, metric_key_prefix=name)
        logits = output.predictions[0] if isinstance(output.predictions, tuple) else output.predictions
        metrics = output.metrics or {}
        result["metrics"][name] = {key: metrics[f"{name}_{key}"] for key in wanted}
        result["correct"][name] = (np.argmax(logits, axis=-1) == output.label_ids).astype(int).tolist()
    return result


def as_run(arm: str, split: int, seed: int, result: dict[str, Any]) -> ArmRun:
    """The result of [`run_arm`] as a run of the comparison."""
    names = {f.name for f in dataclasses.fields(ArmRun)}
    return ArmRun(arm, split, seed, **{key: value for key, value in result.items() if key in names})
