"""
Metrics in the `evaluate` library's format, shipped with the package: loading them asks no network.

`accuracy`, `f1` and `expected_calibration_error` score classifiers, `robustness` their answers to perturbed inputs;
`distinct_n` and `self_bleu` measure how diverse texts are. `frechet_distance`, `kernel_distance`,
`precision_recall_density_coverage`, `nearest_neighbors`, `feature_diversity` and `classification_accuracy_score`
compare synthetic examples with real ones by the features that any model has of them. Each is a folder that
`evaluate.load` takes as it is.
"""

from __future__ import annotations

import functools
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch


if TYPE_CHECKING:
    from evaluate import EvaluationModule
    from transformers import EvalPrediction

__all__ = ["classification_metrics", "load_metric", "metric_path"]


def metric_path(name: str) -> str:
    """
    Finds a metric that ships with the package, in the form that `evaluate.load` takes.

    Example:

    ```python
    >>> import evaluate
    >>> from hf_augment.metrics import metric_path
    >>> accuracy = evaluate.load(metric_path("accuracy"))
    >>> accuracy.compute(references=[0, 1], predictions=[0, 1])
    {'accuracy': 1.0}
    ```

    Args:
        name (`str`):
            `"accuracy"`, `"classification_accuracy_score"`, `"distinct_n"`, `"expected_calibration_error"`, `"f1"`,
            `"feature_diversity"`, `"frechet_distance"`, `"kernel_distance"`, `"nearest_neighbors"`,
            `"precision_recall_density_coverage"`, `"robustness"` or `"self_bleu"`.

    Returns:
        `str`: The metric's folder.

    Raises:
        `ValueError`: If there is no metric of that name.
    """
    # A script of the folder's own name is what makes a folder a metric to `evaluate`.
    folders = {
        script.parent.name: script.parent
        for script in Path(__file__).parent.glob("*/*.py")
        if script.stem == script.parent.name
    }
    if name not in folders:
        raise ValueError(
            f"`name` is {name!r}, which is not a metric of this package. Choose one of {sorted(folders)}."
        )
    return str(folders[name])


def load_metric(name: str, **kwargs: Any) -> EvaluationModule:
    """
    Loads a metric that ships with the package. Safe in parallel processes: unlike `evaluate.load`, it keeps what it
    collects in memory, or under an `experiment_id` of its own, so that no two processes share a file.

    Example:

    ```python
    >>> from hf_augment.metrics import load_metric
    >>> f1 = load_metric("f1")
    >>> f1.compute(references=[0, 1, 2, 1], predictions=[0, 1, 2, 2], average="micro")
    {'f1': 0.75}
    ```

    Args:
        name (`str`):
            See [`metric_path`].
        kwargs (*optional*):
            For `evaluate.load`, such as `config_name="multilabel"` for `"accuracy"` and `"f1"`. `keep_in_memory`
            defaults to `True` here. With `num_process` above one, `experiment_id` must be given, the same for all
            processes.

    Returns:
        `evaluate.EvaluationModule`: With `compute`, `add` and `add_batch`. One object serves one thread at a time.

    Raises:
        `ValueError`: If there is no metric of that name, or `num_process` is above one without `experiment_id`.
    """
    # Here, as it takes long to import and most that imports this package computes no metric.
    import evaluate

    path = metric_path(name)
    num_process = kwargs.get("num_process", 1)
    if num_process == 1:
        kwargs = {"keep_in_memory": True, "experiment_id": uuid.uuid4().hex, **kwargs}
    elif kwargs.get("experiment_id") is None:
        raise ValueError(
            f"`num_process` is {num_process} and `experiment_id` is not given. Give every process of this run the "
            "same `experiment_id`, one that no other run uses: they share files of that name."
        )
    return evaluate.load(path, **kwargs)


def classification_metrics(eval_prediction: EvalPrediction) -> dict[str, float]:
    """
    Scores a classifier's logits: `Trainer(..., compute_metrics=classification_metrics)`.

    Example:

    ```python
    >>> import numpy as np
    >>> from transformers import EvalPrediction
    >>> from hf_augment.metrics import classification_metrics
    >>> logits = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0], [0.0, 4.0]])
    >>> metrics = classification_metrics(EvalPrediction(predictions=logits, label_ids=np.array([0, 1, 1, 1])))
    >>> metrics["accuracy"], metrics["f1"], round(metrics["f1_macro"], 3)
    (0.75, 0.8, 0.733)
    ```

    Args:
        eval_prediction (`transformers.EvalPrediction`):
            What [`~transformers.Trainer`] gives: `predictions` with one row of logits for each example, for two
            classes or more (or a tuple that starts with them), and `label_ids` with one class for each.

    Returns:
        `dict[str, float]`: All in `[0, 1]`:

        - `accuracy`.
        - `f1`: of class 1 where there are two classes, else the mean over classes weighted by support.
        - `f1_macro`: the plain mean over the classes that are predicted or present.
        - `expected_calibration_error`: of the softmax of the logits, with 15 bins (Guo et al. 2017, section 2).

    Raises:
        `ValueError`: If the logits are not a table with two classes or more, are not finite (apart from `-inf` for
            some classes of a row), or do not suit the labels.
    """
    logits = _checked_logits(eval_prediction.predictions)
    labels = _checked_labels(eval_prediction.label_ids, *logits.shape)
    probabilities = torch.from_numpy(logits).softmax(dim=-1).numpy()
    predictions = logits.argmax(axis=-1)

    def score(name: str, predicted: np.ndarray, **kwargs: Any) -> float:
        # By thread, as these objects collect what they score and would mix two threads' examples.
        result = _cached_metric(name, threading.get_ident()).compute(
            predictions=predicted, references=labels, **kwargs
        )
        return float(result[name])

    # A small evaluation set may hold no example of a class: its F1 is then 0, and not worth a warning each time.
    f1_average = "binary" if logits.shape[1] == 2 else "weighted"
    return {
        "accuracy": score("accuracy", predictions),
        "f1": score("f1", predictions, average=f1_average, zero_division=0.0),
        "f1_macro": score("f1", predictions, average="macro", zero_division=0.0),
        "expected_calibration_error": score("expected_calibration_error", probabilities),
    }


@functools.lru_cache(maxsize=32)
def _cached_metric(name: str, thread_id: int) -> EvaluationModule:
    return load_metric(name)


def _checked_logits(predictions: Any) -> np.ndarray:
    # Models that return hidden states or attentions too give a tuple, logits first.
    first = predictions[0] if isinstance(predictions, tuple) else predictions
    logits = np.asarray(first, dtype=np.float64)
    if logits.ndim != 2 or logits.shape[0] < 1 or logits.shape[1] < 2:
        raise ValueError(
            f"`eval_prediction.predictions` has shape {logits.shape}. Give logits of shape (examples, classes), with "
            "one example and two classes or more."
        )
    # The maximum alone has to be finite: NaN carries over to it, and -inf only masks a class.
    bad_rows = np.flatnonzero(~np.isfinite(logits.max(axis=1)))
    if bad_rows.size:
        raise ValueError(
            f"`eval_prediction.predictions` is not finite in {bad_rows.size} of {len(logits)} rows. The first is "
            f"row {bad_rows[0]}: {logits[bad_rows[0]].tolist()}. The model has probably diverged: try a lower "
            "learning rate, or clip gradients."
        )
    return logits


def _checked_labels(label_ids: Any, n_examples: int, n_classes: int) -> np.ndarray:
    labels = np.asarray(label_ids)
    if labels.shape != (n_examples,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`eval_prediction.label_ids` has shape {labels.shape} and type {labels.dtype}. Give one integer class "
            f"for each of the {n_examples} examples."
        )
    outside = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if outside.size:
        raise ValueError(
            f"`eval_prediction.label_ids[{outside[0]}]` is {labels[outside[0]]}, but the logits have {n_classes} "
            f"classes. Give labels from 0 to {n_classes - 1}."
        )
    return labels
