"""Scores a classifier's logits with the metrics of this package, as the `Trainer` asks for it."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from hf_augment.checks import check_labels
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
            classes or more (or a tuple that starts with them), and `label_ids` with one class for each; or lists of
            both by batch, as with `eval_do_concat_batches=False`.

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
    logits = _checked_logits(first_output(eval_prediction.predictions))
    label_ids = _joined(eval_prediction.label_ids)
    labels = check_labels("eval_prediction.label_ids", label_ids, len(logits), logits.shape[1], "the logits have")
    probabilities = special.softmax(logits, axis=-1)
    predictions = logits.argmax(axis=-1)

    def score(name: str, predicted: np.ndarray, **kwargs: Any) -> float:
        # By thread, as these objects collect what they score and would mix two threads' examples.
        metric = _cached_metric(name, threading.get_ident())
        return float(metric.compute(predictions=predicted, references=labels, **kwargs)[name])

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
