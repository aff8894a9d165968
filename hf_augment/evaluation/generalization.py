"""Accuracy on data from elsewhere, whose labels have other names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm.auto import tqdm
from transformers import EvalPrediction

from hf_augment.checks import check_targets
from hf_augment.evaluation.robustness import Predict, predicted_labels
from hf_augment.extras import optional_imports
from hf_augment.metrics.classification import classification_metrics, share_right


with optional_imports("filters"):
    from sklearn.metrics import precision_recall_fscore_support


@dataclass(frozen=True)
class HoldoutResult:
    """
    The result of a classifier on one hold-out; an [`ArmRun`] holds the first three of each evaluation set.

    Args:
        metrics (`dict[str, float]`): The [`classification_metrics`].
        correct (`list[float]`):
            For each row that counts 1 where the prediction was right, else 0; for several labels see
            [`~hf_augment.metrics.classification.share_right`].
        classes (`dict[str, dict[str, float]]`): By class name: `precision`, `recall`, `f1` and `support`.
        left_out (`dict[Any, int]`, *optional*): Rows of each label that the label map does not name.
    """

    metrics: dict[str, float]
    correct: list[float] = field(repr=False)
    classes: dict[str, dict[str, float]] = field(repr=False)
    left_out: dict[Any, int] = field(default_factory=dict)


def generalization(
    predict: Predict,
    holdouts: Mapping[str, tuple[Sequence[Any], Sequence[Hashable] | np.ndarray]],
    label_names: Sequence[str],
    label_maps: Mapping[str, Mapping[Any, str]] | None = None,
) -> dict[str, HoldoutResult]:
    """
    Measures a classifier on labelled data of other origin than what it was trained on.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment.evaluation.generalization import generalization
    >>> predict = lambda texts: np.array([[0.25, 0.75] if "good" in text else [0.75, 0.25] for text in texts])
    >>> reviews = ["a good toaster", "no good", "it broke", "it came"], ["5 stars", "1 star", "1 star", "3 stars"]
    >>> label_maps = {"toasters": {"1 star": "negative", "5 stars": "positive"}}
    >>> results = generalization(predict, {"toasters": reviews}, ["negative", "positive"], label_maps)
    >>> results["toasters"].correct, results["toasters"].left_out
    ([1, 0, 1], {'3 stars': 1})
    >>> results["toasters"].classes["positive"]
    {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666, 'support': 1.0}
    ```

    Args:
        predict (`Callable`):
            Values to logits or probabilities of shape `(values, classes)`. Rows that are all in `[0, 1]` with sum 1
            are taken for probabilities. For several labels it gives logits.
        holdouts (`Mapping[str, tuple[Sequence, Sequence]]`):
            By name, values and their labels; for several labels, which no map can translate, bool of shape `(values,
            classes)`.
        label_names (`Sequence[str]`): The classes that the classifier knows, in order.
        label_maps (`Mapping[str, Mapping[Any, str]]`, *optional*):
            By hold-out, its labels to names of ours; rows of other labels are left out and counted. A hold-out that is
            not named here has our classes, as numbers from 0.

    Returns:
        `dict[str, HoldoutResult]`: By hold-out.

    Raises:
        ValueError: If a map belongs to no hold-out or leads to no class, labels do not suit, or nothing is left.
    """
    label_maps = label_maps or {}
    if not holdouts or not all(len(labels) for _, labels in holdouts.values()):
        raise ValueError(f"holdouts={list(holdouts)}: give one or more, each with a row or more.")
    if not set(label_maps) <= set(holdouts):
        raise ValueError(f"label_maps is for {list(label_maps)} and holdouts has {list(holdouts)}: name the same.")
    # All before the first prediction, which may take long.
    kept = {}
    for name, (values, labels) in holdouts.items():
        if len(values) != len(labels):
            raise ValueError(f"holdouts[{name!r}] has {len(values)} values and {len(labels)} labels: give as many.")
        kept[name] = _mapped(name, labels, label_names, label_maps.get(name))
    results = {}
    for name, (values, labels) in tqdm(holdouts.items(), desc="generalization", unit="hold-out"):
        classes = kept[name]
        rows = [row for row, label in enumerate(classes) if label is not None]
        scores = np.asarray(predict([values[row] for row in rows]))
        left_out = Counter(label for label, ours in zip(labels, classes, strict=True) if ours is None)
        ours = np.array([classes[row] for row in rows])
        results[name] = _result(name, scores, ours, label_names, dict(left_out))
    return results


def _mapped(name: str, labels: Any, label_names: Sequence[str], label_map: Mapping[Any, str] | None) -> list[Any]:
    if label_map is None and np.ndim(labels) == 2:
        return list(check_targets(f"holdouts[{name!r}]", labels, len(labels), len(label_names)))
    index = {label_name: i for i, label_name in enumerate(label_names)}
    if label_map is None:
        label_map = dict(enumerate(label_names))
        unknown = [label for label in labels if label not in label_map]
        if unknown:
            raise ValueError(
                f"holdouts[{name!r}] has the label {unknown[0]!r}, which is no number of a class of "
                f"{list(label_names)}: give a map from its labels to these names in label_maps."
            )
    wrong = [theirs for theirs, ours in label_map.items() if ours not in index]
    if wrong:
        raise ValueError(
            f"label_maps[{name!r}] maps {wrong[0]!r} to {label_map[wrong[0]]!r}, which is none of "
            f"{list(label_names)}: leave labels without a class of ours out of the map."
        )
    classes = [index[label_map[label]] if label in label_map else None for label in labels]
    if all(label is None for label in classes):
        raise ValueError(
            f"label_maps[{name!r}] names {list(label_map)}, none of which is among the labels of the hold-out, "
            f"{sorted(set(labels), key=str)[:20]}: check the types too, since '1' is not 1."
        )
    return classes


def _result(
    name: str, scores: np.ndarray, labels: np.ndarray, label_names: Sequence[str], left_out: dict[Any, int]
) -> HoldoutResult:
    if scores.shape != (len(labels), len(label_names)):
        raise ValueError(
            f"predict gave an array of shape {scores.shape} for {len(labels)} values of {name!r} and "
            f"{len(label_names)} classes: it has to give logits or probabilities of shape (values, classes)."
        )
    predictions = predicted_labels(scores, labels, name)
    if labels.ndim == 1 and scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        with np.errstate(divide="ignore"):
            # The softmax of these gives the probabilities back.
            scores = np.log(scores)
    metrics = classification_metrics(EvalPrediction(predictions=scores, label_ids=labels))
    classes = class_scores(labels, predictions, label_names)
    return HoldoutResult(metrics, share_right(labels, predictions).tolist(), classes, left_out)


def class_scores(
    labels: Sequence[int] | np.ndarray, predictions: Sequence[int] | np.ndarray, label_names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """
    Precision, recall, F1 and support of every class by its name, as an [`ArmRun`] holds them; 0 where a figure is not
    defined. The name of class `i` is `label_names[i]`.

    Example:

    ```python
    >>> from hf_augment.evaluation.generalization import class_scores
    >>> class_scores([0, 0, 1], [0, 1, 1], ["neg", "pos"])["neg"]
    {'precision': 1.0, 'recall': 0.5, 'f1': 0.6666666666666666, 'support': 2.0}
    ```
    """
    figures = precision_recall_fscore_support(labels, predictions, labels=range(len(label_names)), zero_division=0.0)
    return {
        label_name: dict(zip(("precision", "recall", "f1", "support"), map(float, of_class), strict=True))
        for label_name, of_class in zip(label_names, zip(*figures, strict=True), strict=True)
    }
