"""Scores a classifier's logits with the metrics of this package, as the `Trainer` asks for it."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from hf_augment.checks import check_targets
from hf_augment.metrics.loading import load_metric


if TYPE_CHECKING:
    from evaluate import EvaluationModule
    from transformers import EvalPrediction


def classification_metrics(eval_prediction: EvalPrediction) -> dict[str, float]:
    """
    Scores a classifier's logits: `Trainer(..., compute_metrics=classification_metrics)`.

    Example:

    ```python
    >>> import numpy as np
    >>> from transformers import EvalPrediction
    >>> from hf_augment import classification_metrics
    >>> logits = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0], [0.0, 4.0]])
    >>> metrics = classification_metrics(EvalPrediction(predictions=logits, label_ids=np.array([0, 1, 1, 1])))
    >>> metrics["accuracy"], metrics["f1"], round(metrics["f1_macro"], 3)
    (0.75, 0.8, 0.733)
    ```

    Args:
        eval_prediction (`transformers.EvalPrediction`):
            As [`~transformers.Trainer`] gives it: `predictions` with one row of logits for each example, for two
            classes or more (or a tuple that starts with them), and `label_ids` with one class for each, or, for
            several labels, a row of 0 and 1; or lists of both by batch, as with `eval_do_concat_batches=False`.

    Returns:
        `dict[str, float]`: All in `[0, 1]`:

        - `accuracy`; for several labels, of which those with a logit above 0 are predicted, the mean of
          [`share_right`].
        - `exact_match`, for several labels only: the share of examples of which all labels are right.
        - `f1`: of class 1 where there are two classes, else the mean over classes weighted by support; for several
          labels over all of them together (micro).
        - `f1_macro`: the plain mean over the classes that are predicted or present.
        - `expected_calibration_error`: of the softmax of the logits, with 15 bins (Guo et al. 2017, section 2); for
          several labels of the sigmoid, each label of each example being one case.

    Raises:
        `ValueError`: If the logits are not a table with two classes or more, are not finite (apart from `-inf` for
            some classes of a row), or do not suit the labels.
    """
    logits = _checked_logits(first_output(eval_prediction.predictions))
    label_ids = _joined(eval_prediction.label_ids)
    labels = check_targets("eval_prediction.label_ids", label_ids, len(logits), logits.shape[1], "the logits have")
    if labels.ndim == 2:
        return _several_labels(logits, labels)
    predictions = logits.argmax(axis=-1)
    # A small evaluation set may hold no example of a class: its F1 is then 0, and not worth a warning each time.
    f1_average = "binary" if logits.shape[1] == 2 else "weighted"
    return {
        "accuracy": _score("accuracy", predictions, labels),
        "f1": _score("f1", predictions, labels, average=f1_average, zero_division=0.0),
        "f1_macro": _score("f1", predictions, labels, average="macro", zero_division=0.0),
        "expected_calibration_error": _score("expected_calibration_error", special.softmax(logits, axis=-1), labels),
    }


def _several_labels(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    predictions, sure = logits > 0, special.expit(logits).reshape(-1, 1)
    rows, truth = predictions.astype(int), labels.astype(int)
    known = np.flatnonzero((labels | predictions).any(axis=0)).tolist() or None
    return {
        "accuracy": float(share_right(labels, predictions).mean()),
        "exact_match": _score("accuracy", rows, truth, "multilabel"),
        "f1": _score("f1", rows, truth, "multilabel", average="micro", zero_division=0.0),
        "f1_macro": _score("f1", rows, truth, "multilabel", average="macro", labels=known, zero_division=0.0),
        "expected_calibration_error": _score(
            "expected_calibration_error", np.hstack([1 - sure, sure]), truth.reshape(-1)
        ),
    }


def _score(name: str, predictions: np.ndarray, references: np.ndarray, config: str | None = None, **how: Any) -> float:
    # By thread, as these objects collect what they score and would mix two threads' examples.
    metric = _cached_metric(name, threading.get_ident(), config)
    return float(metric.compute(predictions=predictions, references=references, **how)[name])


@functools.lru_cache(maxsize=32)
def _cached_metric(name: str, thread_id: int, config: str | None) -> EvaluationModule:
    return load_metric(name, config_name=config)


def share_right(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """
    How right the prediction of each example is. One class is right or wrong. Of several labels, given as rows of bool,
    it is the Jaccard index: of the labels that an example has or is said to have the share of those that it has and is
    said to have, and 1 where there are none. Its mean is called accuracy by Godbole and Sarawagi 2004 (*Discriminative
    methods for multi-labeled classification*); where every set is of one label, it is the usual one.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment.metrics.classification import share_right
    >>> labels, predictions = np.array([[1, 1, 0], [0, 0, 0]], bool), np.array([[1, 0, 0], [0, 0, 0]], bool)
    >>> share_right(labels, predictions).tolist()
    [0.5, 1.0]
    ```

    Returns:
        `np.ndarray`: Of shape `(examples,)`: int for one class, float64 in `[0, 1]` for several labels.
    """
    if labels.ndim == 1:
        return (labels == predictions).astype(int)
    both, either = (labels & predictions).sum(axis=1), (labels | predictions).sum(axis=1)
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def first_output(predictions: Any) -> Any:
    """
    Returns the logits of what a `Trainer` predicted: the first of a tuple, if a model returns hidden states or
    attentions too, and the batches of `eval_do_concat_batches=False` as one array.
    """
    if isinstance(predictions, list) and isinstance(predictions[0], tuple):
        predictions = [batch[0] for batch in predictions]
    return _joined(predictions[0] if isinstance(predictions, tuple) else predictions)


def _joined(batches: Any) -> Any:
    by_batch = isinstance(batches, list) and all(isinstance(batch, np.ndarray) for batch in batches)
    return np.concatenate(batches) if by_batch and batches else batches


def _checked_logits(predictions: Any) -> np.ndarray:
    logits = np.asarray(predictions, dtype=np.float64)
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
