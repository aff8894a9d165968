"""Accuracy under perturbation, of whatever can predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm.auto import tqdm
from transformers import (
    TextClassificationPipeline,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from hf_augment.checks import check_targets
from hf_augment.extras import optional_imports
from hf_augment.metrics.classification import first_output, share_right
from hf_augment.metrics.robustness.summary import summarise_robustness
from hf_augment.seeding import derive_seed, isolated_rng


#: Values to logits or probabilities of shape `(values, classes)`, or to predicted classes of shape `(values,)`.
Predict = Callable[[Sequence[Any]], Any]
#: Title, header, rows.
TableRows = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
#: Values, the name of a perturbation, its severity and a seed to as many values.
Perturb = Callable[[Sequence[Any], str, int, int], Sequence[Any]]


@dataclass(frozen=True)
class RobustnessReport:
    """
    The accuracy of a classifier under perturbation.

    Args:
        clean (`float`): Accuracy without perturbation.
        accuracy (`dict[str, list[float]]`): By perturbation, accuracy at each severity.
        severities (`tuple[int, ...]`, *optional*, defaults to `(1, 2, 3, 4, 5)`): In the order of the accuracies.
        correct (`list[float]`, *optional*):
            For each value the share of its perturbed versions whose class was named right; their mean is
            `robust_accuracy`. Classifiers are compared by it on the same values: see [`ArmRun`].
    """

    clean: float
    accuracy: dict[str, list[float]] = field(repr=False)
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    correct: list[float] = field(default_factory=list, repr=False)

    def summary(self) -> dict[str, Any]:
        """`clean_accuracy`, `robust_accuracy`, `drop`, `worst_perturbation`, `worst_accuracy`, as of the metric."""
        return summarise_robustness(self.clean, self.accuracy)

    @property
    def robust_accuracy(self) -> float:
        """The mean over perturbations of the mean over severities, in `[0, 1]`."""
        return self.summary()["robust_accuracy"]

    @property
    def drop(self) -> float:
        """`clean` minus `robust_accuracy`."""
        return self.summary()["drop"]

    @property
    def worst(self) -> tuple[str, float]:
        """The perturbation with the lowest mean accuracy over severities, and this mean."""
        summary = self.summary()
        return summary["worst_perturbation"], summary["worst_accuracy"]

    def mean_corruption_error(self, baseline: RobustnessReport) -> float:
        """
        The mCE of Hendrycks and Dietterich 2019 (section 4), a ratio: for each perturbation the sum of errors over
        severities, divided by that of `baseline`, the report of another classifier on the same values, and the mean
        over perturbations. 1 for the baseline itself and less for what is more robust; the paper gives it in %.

        Raises:
            ValueError: If the reports are of other perturbations or severities, or the baseline makes no error under
                one.
        """
        own, other = (sorted(self.accuracy), self.severities), (sorted(baseline.accuracy), baseline.severities)
        if own != other:
            raise ValueError(f"baseline has perturbations and severities {other}, this report {own}: use the same.")
        ratios = []
        for name, values in self.accuracy.items():
            errors, reference = (sum(1 - value for value in of) for of in (values, baseline.accuracy[name]))
            if reference <= 0:
                raise ValueError(f"baseline makes no error under {name!r}, so there is no ratio to it: leave it out.")
            ratios.append(errors / reference)
        return sum(ratios) / len(ratios)

    def table(self) -> TableRows:
        """Title, header and rows of cells: a perturbation in each row, severities and their mean in the columns."""
        title = f"accuracy: clean {self.clean:.3f}, perturbed {self.robust_accuracy:.3f} (drop {self.drop:.3f})"
        rows: list[tuple[str, ...]] = [
            (name, *(f"{value:.3f}" for value in [*values, sum(values) / len(values)]))
            for name, values in self.accuracy.items()
        ]
        return title, ("perturbation", *(f"severity {severity}" for severity in self.severities), "mean"), rows


def robustness(
    predict: Predict,
    values: Sequence[Any],
    labels: ArrayLike,
    perturb: Perturb,
    names: Iterable[str],
    severities: Iterable[int] = (1, 2, 3, 4, 5),
    seed: int = 0,
) -> RobustnessReport:
    """
    Measures how much accuracy a classifier keeps when its inputs are perturbed.

    Example:

    ```python
    >>> from hf_augment.evaluation.robustness import robustness
    >>> from hf_augment.perturbations.text import perturb_texts
    >>> texts = ["a fine day", "a fine film", "a grim day", "a grim film"]
    >>> predict = lambda values: [1 if "fine" in text else 0 for text in values]
    >>> report = robustness(predict, texts, [1, 1, 0, 0], perturb_texts, ["case", "distractor_sentence"])
    >>> report.clean, report.accuracy["distractor_sentence"], report.worst[0]
    (1.0, [1.0, 1.0, 1.0, 1.0, 1.0], 'case')
    ```

    Args:
        predict (`Callable`):
            Values to logits or probabilities `(values, classes)`, or to predicted classes `(values,)`; for several
            labels to logits. See [`predict_with_trainer`] and [`predict_with_pipeline`].
        values (`Sequence`): The test inputs: texts, or uint8 images of shape `(height, width, channels)`.
        labels (`ArrayLike`):
            Their classes; for several labels a row of 0 and 1 for each value, and accuracy is the mean of
            [`~hf_augment.metrics.classification.share_right`].
        perturb (`Callable`):
            Values, name, severity and seed to as many values: [`perturb_texts`] or [`corrupt_images`].
        names (`Iterable[str]`): The perturbations, such as `TEXT_PERTURBATIONS`.
        severities (`Iterable[int]`, *optional*, defaults to `(1, 2, 3, 4, 5)`): The severities.
        seed (`int`, *optional*, defaults to 0): Seed of the perturbations.

    Raises:
        ValueError: If there is nothing to do, labels or results do not suit the values, or logits are not finite.
    """
    if isinstance(names, str) or not isinstance(severities, Iterable):
        raise ValueError(f"names={names!r} and severities={severities!r}: give a list of either, also of one.")
    names, severities = list(names), tuple(severities)
    if not len(values) or not names or not severities:
        raise ValueError(
            f"There are {len(values)} values, names={names} and severities={severities}: give at least one of each."
        )
    truth = check_targets("labels", labels, len(values))
    clean = float(_correct(predict, values, truth, "clean values").mean())
    accuracy: dict[str, list[float]] = {name: [] for name in names}
    right = np.zeros(len(truth))
    for name in tqdm(names, desc="robustness", unit="perturbation"):
        versions = [perturb(values, name, severity, seed) for severity in severities]
        for severity, version in zip(severities, versions, strict=True):
            if len(version) != len(truth):
                raise ValueError(
                    f"perturb gave {len(version)} values for {len(truth)} ({name!r} at severity {severity}): it has "
                    "to keep them all."
                )
        # All severities in one pass: a trainer's pass over few rows is mostly setting up.
        arrays = isinstance(versions[0], np.ndarray)
        together: Any = np.concatenate(versions) if arrays else [value for version in versions for value in version]
        repeated = np.concatenate([truth] * len(severities))
        correct = _correct(predict, together, repeated, repr(name)).reshape(-1, len(truth))
        accuracy[name] = correct.mean(axis=1).tolist()
        right += correct.sum(axis=0)
    shares = right / (len(accuracy) * len(severities))
    return RobustnessReport(clean, accuracy, severities, shares.tolist())


def _correct(predict: Predict, values: Sequence[Any], labels: np.ndarray, what: str) -> np.ndarray:
    scores = np.asarray(predict(values))
    if labels.ndim == 1 and scores.ndim == 2 and labels.max() >= scores.shape[1]:
        raise ValueError(
            f"labels has the class {labels.max()}, but predict gives scores of {scores.shape[1]} classes: number them "
            "from 0, in the model's order."
        )
    return share_right(labels, predicted_labels(scores, labels, what))


def predicted_labels(output: Any, labels: np.ndarray, what: str) -> np.ndarray:
    """
    Returns what a [`Predict`] named for each value, in the form of the true `labels`: a class ([`predicted_classes`]),
    or for several labels a row of bool, true where the logit is above 0.
    """
    if labels.ndim == 1:
        return predicted_classes(output, len(labels), what)
    scores = np.asarray(output)
    if scores.shape != labels.shape or np.isnan(scores).any():
        raise ValueError(
            f"predict gave {scores.dtype} of shape {scores.shape} for {len(labels)} values ({what}), or NaN: it has "
            f"to give logits of shape {labels.shape}, one for each value and label."
        )
    return scores > 0


def predicted_classes(output: Any, num_values: int, what: str) -> np.ndarray:
    """
    Returns the class that a [`Predict`] named for each of `num_values` values, int of shape `(num_values,)`. Raises a
    `ValueError` about `what` was predicted if the output is neither a class nor a row of finite scores for each.
    """
    scores = np.asarray(output)
    if scores.shape == (num_values,) and np.issubdtype(scores.dtype, np.integer):
        return scores
    if scores.ndim != 2 or len(scores) != num_values or scores.shape[1] < 2:
        raise ValueError(
            f"predict gave {scores.dtype} of shape {scores.shape} for {num_values} values ({what}): it has to give "
            "scores of shape (values, classes), or one whole number for each value."
        )
    # NaN carries over to the maximum; -inf only masks a class.
    bad = np.flatnonzero(~np.isfinite(scores.max(axis=1)))
    if bad.size:
        raise ValueError(
            f"predict gave {scores[bad[0]].tolist()} for value {bad[0]} ({what}): has the model diverged?"
        )
    return scores.argmax(axis=1)


def predict_with_trainer(
    trainer: Trainer, prepare: Callable[[Sequence[Any]], Any], data_collator: Callable[..., Any] | None = None
) -> Predict:
    """
    Lets a trainer's model predict, in its batches and on its devices: values to logits of shape `(values, classes)`.

    Example:

    ```python
    from datasets import Dataset
    from hf_augment import TEXT_PERTURBATIONS, perturb_texts, predict_with_trainer, robustness

    prepare = lambda texts: Dataset.from_dict(dict(tokenizer(list(texts), truncation=True)))
    predict = predict_with_trainer(trainer, prepare)
    report = robustness(predict, test["text"], test["label"], perturb_texts, TEXT_PERTURBATIONS)
    ```

    Args:
        trainer (`transformers.Trainer`): Its model.
        prepare (`Callable`): Values to a dataset for `trainer.predict`; it needs no labels, unless the collator does.
        data_collator (`Callable`, *optional*, defaults to the trainer's own):
            Collator while it predicts: one without augmentation.
    """

    def predict(values: Sequence[Any]) -> Any:
        own = trainer.data_collator
        try:
            trainer.data_collator = own if data_collator is None else data_collator
            return first_output(trainer.predict(prepare(values)).predictions)
        finally:
            trainer.data_collator = own

    return predict


def _pillow_image(array: np.ndarray) -> Any:
    with optional_imports("images"):
        from PIL import Image
    # Pillow wants grey images without an axis of channels.
    return Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array)


def predict_with_pipeline(pipeline: Any, label_names: Sequence[str]) -> Predict:
    """
    Lets a transformers pipeline for the classification of texts or images predict: values, texts or uint8 images of
    shape `(height, width, channels)`, to scores `(values, classes)`, for several labels to logits. A text is cut to
    the length that the tokenizer names.

    Example:

    ```python
    from transformers import pipeline
    from hf_augment import predict_with_pipeline

    predict = predict_with_pipeline(pipeline("text-classification", "my-classifier"), ["neg", "pos"])
    ```

    Args:
        pipeline (`transformers.Pipeline`): For `"text-classification"` or `"image-classification"`.
        label_names (`Sequence[str]`): The names its model has for the classes, in the order of the labels.

    Raises:
        ValueError: If the model has other labels.
    """
    column = {name: i for i, name in enumerate(label_names)}
    names = list(pipeline.model.config.id2label.values())
    if sorted(names) != sorted(label_names):
        raise ValueError(
            f"label_names={list(label_names)}, but the pipeline's model has {names}: give its names, in the order of "
            "your labels."
        )

    # A text pipeline does not cut what is too long for its model.
    options: dict[str, Any] = {"truncation": True} if isinstance(pipeline, TextClassificationPipeline) else {}
    if pipeline.model.config.problem_type == "multi_label_classification":
        options["function_to_apply"] = "none"

    def predict(values: Sequence[Any]) -> np.ndarray:
        inputs = [_pillow_image(value) if isinstance(value, np.ndarray) else value for value in values]
        scores = np.zeros((len(inputs), len(column)))
        for row, found in enumerate(pipeline(inputs, top_k=len(column), **options)):
            for label in found:
                scores[row, column[label["label"]]] = label["score"]
        return scores

    return predict


class RobustnessCallback(TrainerCallback):
    """
    Measures robustness when training ends, and logs it: `clean_accuracy`, `robust_accuracy`, `drop`, `worst_accuracy`
    and the mean `accuracy_{name}` of each perturbation. The whole is in `report`. Training is not disturbed: random
    states, the mode of the model and the trainer's collator are as before.

    Example:

    ```python
    predict = predict_with_trainer(trainer, prepare)
    trainer.add_callback(
        RobustnessCallback(trainer, predict, test["text"], test["label"], perturb_texts, TEXT_PERTURBATIONS)
    )
    trainer.train()
    trainer.state.log_history[-1]["robust_accuracy"]
    ```

    Args:
        trainer (`transformers.Trainer`): Logs the figures.
        predict, values, labels, perturb, names, severities, seed:
            As for [`robustness`].
    """

    def __init__(
        self,
        trainer: Trainer,
        predict: Predict,
        values: Sequence[Any],
        labels: Sequence[int],
        perturb: Perturb,
        names: Iterable[str],
        severities: Iterable[int] = (1, 2, 3, 4, 5),
        seed: int = 0,
    ) -> None:
        self.trainer = trainer
        self.report: RobustnessReport | None = None
        self._arguments = (predict, values, labels, perturb, list(names), tuple(severities), seed)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measures and logs."""
        model: torch.nn.Module = kwargs["model"]
        modes = [(module, module.training) for module in model.modules()]
        with isolated_rng(derive_seed(self._arguments[-1], "robustness")):
            report = self.report = robustness(*self._arguments)
        for module, training in modes:
            module.training = training
        summary = report.summary()
        # A name is nothing that loggers of numbers take.
        del summary["worst_perturbation"]
        means = {f"accuracy_{name}": sum(values) / len(values) for name, values in report.accuracy.items()}
        self.trainer.log(summary | means)
