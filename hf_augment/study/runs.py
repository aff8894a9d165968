"""One run of a study: trains and evaluates a classifier."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import TrainingArguments

from hf_augment.evaluation.comparison import ArmRun
from hf_augment.evaluation.generalization import generalization
from hf_augment.evaluation.robustness import robustness
from hf_augment.filters.base import Filter
from hf_augment.generators.base import Generator
from hf_augment.metrics.classification import classification_metrics
from hf_augment.seeding import derive_rng
from hf_augment.study.classifiers import Classifier
from hf_augment.study.stages import last_checkpoint
from hf_augment.training.feedback.policies import Policy
from hf_augment.training.trainer import AugmentingTrainer


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
    validation: datasets.Dataset | None = None,
    robustness_rows: int = 0,
    callbacks: Sequence[Any] = (),
    policies: Sequence[Policy] | None = None,
    probe: Sequence[datasets.Dataset] | None = None,
    **augmentation: Any,
) -> dict[str, Any]:
    """
    Trains a classifier and evaluates it; goes on from a checkpoint that an interrupted run left in `folder`.

    The Trainer gets `args` with `output_dir=folder`, `seed`, and where they are given `max_steps`, `callbacks` and
    the values of `augmentation`, such as `synthetic_dir`. `augment` names a classic augmentation of the training
    rows, real and synthetic. `eval_strategy` evaluates on `validation`; without such rows it is `"no"`. The model
    then predicts `evaluations`, the test set first, of which `robustness_rows` random rows are perturbed too. With
    `save` it is kept in `folder/model`. With `probe` nothing is trained but the last layer, on `train` and these rows.

    Returns:
        `dict[str, Any]`: What [`ArmRun`] is made of (`seconds` and `wait` after a resume of the last part); with a
        generator also `shards`, the name of the folder of what was shown.
    """
    # A run takes as long as one that reads all its rows itself.
    start = time.perf_counter() + classifier.cache.spared
    model = classifier.begin(seed, train) if probe is None else classifier.probe(seed, train, *probe)
    changed = augmentation | ({"max_steps": max_steps} if max_steps is not None else {})
    trainer = make_trainer(
        folder,
        classifier,
        model,
        args,
        train,
        seed,
        generator,
        filters,
        augment,
        validation,
        callbacks,
        policies,
        **changed,
    )
    if probe is None:
        trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    result = _course(trainer, time.perf_counter() + classifier.cache.spared - start)
    result |= _evaluate(classifier, trainer, evaluations, robustness_rows)
    if save and trainer.is_world_process_zero():
        # Not save_model, which adds a pickle of the arguments.
        classifier.save(model, folder / "model")
    return result


def make_trainer(
    folder: Path,
    classifier: Classifier,
    model: Any,
    args: TrainingArguments,
    train: datasets.Dataset,
    seed: int,
    generator: Generator | None = None,
    filters: Sequence[Filter] = (),
    augment: str | None = None,
    validation: datasets.Dataset | None = None,
    callbacks: Sequence[Any] = (),
    policies: Sequence[Policy] | None = None,
    **changed: Any,
) -> AugmentingTrainer:
    """Returns the trainer of a run; see [`run_arm`]. `changed` are values in the place of those of `args`."""
    # Checkpoints hold the arguments; a token is nothing to keep.
    changed = {"output_dir": str(folder), "seed": seed, "push_to_hub": False, "hub_token": None, **changed}
    changed |= {"eval_strategy": "no"} if validation is None else {}
    return AugmentingTrainer(
        model,
        _replaced(args, changed),
        data_collator=classifier.collator(None),
        train_collator=classifier.collator(augment),
        train_dataset=classifier.rows(train, "train"),
        eval_dataset=None if validation is None else classifier.rows(validation, "validation"),
        processing_class=classifier.processing_class,
        compute_metrics=classification_metrics,
        callbacks=[*classifier.callbacks(model), *callbacks],
        generator=generator,
        filters=filters,
        preprocess=classifier.preprocess if generator is not None else None,
        policies=policies,
    )


def _replaced(args: TrainingArguments, changed: dict[str, Any]) -> TrainingArguments:
    """Returns a copy that is not checked anew: `__post_init__` would ask the devices again."""
    args = copy.copy(args)
    for name, value in changed.items():
        setattr(args, name, value)
    return args


def _course(trainer: AugmentingTrainer, seconds: float) -> dict[str, Any]:
    """Returns the course of a training."""
    course: dict[str, Any] = {"steps": trainer.state.global_step, "seconds": seconds}
    course["wait"] = trainer.waited_seconds / seconds
    if trainer.shown_share is not None:
        course |= {"shown": trainer.shown_share, "scheduled": trainer.scheduled_rows}
    course["curve"] = [log for log in trainer.state.log_history if "loss" in log or "eval_loss" in log]
    if trainer.briefs:
        course["rounds"] = [brief.told() for brief in trainer.briefs]
    if trainer.shards is not None:
        course["shards"] = trainer.shards.folder.name
    return course


def _evaluate(
    classifier: Classifier,
    trainer: AugmentingTrainer,
    evaluations: dict[str, datasets.Dataset],
    robustness_rows: int,
) -> dict[str, Any]:
    result: dict[str, Any] = {"metrics": {}, "correct": {}, "classes": {}, "robustness": {}, "perturbed": {}}
    if not evaluations:
        return result
    predict = classifier.predict(trainer)
    names = classifier.label_names if classifier.labels is None else classifier.labels
    sets = {name: (classifier.values(rows), classifier.targets(rows)) for name, rows in evaluations.items()}
    for name, found in generalization(predict, sets, names).items():
        result["metrics"][name], result["correct"][name] = found.metrics, found.correct
        result["classes"][name] = found.classes
    if robustness_rows:
        name, rows = next(iter(evaluations.items()))
        rows = rows.select(rows_to_perturb(len(rows), robustness_rows))
        values, labels = classifier.values(rows), classifier.targets(rows)
        report = robustness(predict, values, labels, classifier.perturb, classifier.perturbations)
        result["robustness"][name], result["perturbed"][name] = report.accuracy, report.correct
    return result


def rows_to_perturb(total: int, count: int) -> np.ndarray:
    """Returns random rows of a test set, the same for every run: the first ones may be of one class."""
    return np.sort(derive_rng(0, "rows_to_perturb").permutation(total)[:count])


def as_run(arm: str, split: int, seed: int, result: dict[str, Any], perturbed_rows: int) -> ArmRun:
    """Returns the result of [`run_arm`] as a run of the comparison, of which so many rows were perturbed."""
    names = {f.name for f in dataclasses.fields(ArmRun)}
    correct = {name: np.array(result["correct"][name]) for name in result["robustness"]}
    unperturbed = {name: float(of[rows_to_perturb(len(of), perturbed_rows)].mean()) for name, of in correct.items()}
    known = {key: value for key, value in result.items() if key in names}
    return ArmRun(arm, split, seed, unperturbed=unperturbed, **known)
