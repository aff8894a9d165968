"""The expected calibration error, in the format of the `evaluate` library: loaded from its folder, no network."""

from collections.abc import Sequence

import datasets
import evaluate
import numpy as np

from hf_augment.checks import check_labels


_DESCRIPTION = """
The expected calibration error is how far a classifier's confidence is from its accuracy: examples are put into bins of
equal width by confidence, and the gaps |accuracy - mean confidence| are averaged, weighted by the bins' sizes.
"""

_KWARGS_DESCRIPTION = """
Guo et al. 2017, section 2, equation 3. The confidence of an example is its largest class probability, and bin m of M
is the interval ((m - 1) / M, m / M].

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> ece = load_metric("expected_calibration_error")
>>> ece.compute(references=[1, 0], predictions=[[0.25, 0.75], [0.25, 0.75]])  # right half the time, 75% sure
{'expected_calibration_error': 0.25}
```

Args:
    predictions (`list[list[float]]`):
        Class probabilities of each example: in `[0, 1]`, with sum 1 (both to within 0.001, for half precision).
    references (`list[int]`): True classes, each an index into its row of probabilities.
    n_bins (`int`, *optional*, defaults to `15`): The number of bins, one or more.

Returns:
    `dict[str, float]`: `expected_calibration_error`, in `[0, 1]`; less is better.

Raises:
    `ValueError`: If a row is not a probability distribution, a reference is not one of the classes, there are no
        examples, or `n_bins` is less than one.
"""

_CITATION = """
@inproceedings{guo2017calibration,
    title={On Calibration of Modern Neural Networks},
    author={Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.},
    booktitle={Proceedings of the 34th International Conference on Machine Learning},
    pages={1321--1330},
    year={2017}
}
"""

# A softmax in half precision may miss 1 by this much; logits or percentages miss it by far more.
_TOLERANCE = 1e-3


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class ExpectedCalibrationError(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.List(datasets.Value("float64")), "references": datasets.Value("int64")}
            ),
            reference_urls=["https://arxiv.org/abs/1706.04599"],
        )

    def _compute(
        self, predictions: Sequence[Sequence[float]], references: Sequence[int], n_bins: int = 15
    ) -> dict[str, float]:
        if n_bins < 1:
            raise ValueError(f"`n_bins` is {n_bins}. Give one bin or more; 15 is usual.")
        probabilities = _checked_probabilities(predictions)
        rows, classes = probabilities.shape
        labels = check_labels("references", references, rows, classes, "`predictions` has")
        confidence = probabilities.max(axis=1).clip(0.0, 1.0)
        correct = probabilities.argmax(axis=1) == labels
        # Only the inner edges: what exceeds the last one falls in the last bin.
        bins = np.digitize(confidence, np.linspace(0.0, 1.0, n_bins + 1)[1:-1], right=True)
        # size / n * |accuracy - confidence| of a bin is |sum of (correct - confidence)| / n, also where it is empty.
        gaps = np.bincount(bins, weights=correct - confidence, minlength=n_bins)
        return {"expected_calibration_error": float(np.abs(gaps).sum() / len(labels))}


def _checked_probabilities(predictions: Sequence[Sequence[float]]) -> np.ndarray:
    if len(predictions) == 0:
        raise ValueError("`predictions` is empty. Give the class probabilities of one example or more.")
    widths = {len(row) for row in predictions}
    if len(widths) > 1 or 0 in widths:
        raise ValueError(
            f"`predictions` has rows of {sorted(widths)} class probabilities. Give every example one for each class."
        )
    probabilities = np.asarray(predictions, dtype=np.float64)
    in_range = ((probabilities >= -_TOLERANCE) & (probabilities <= 1 + _TOLERANCE)).all(axis=1)
    # Written so that NaN, for which every comparison is false, is a bad row too.
    bad_rows = np.flatnonzero(~(in_range & (np.abs(probabilities.sum(axis=1) - 1) <= _TOLERANCE)))
    if bad_rows.size:
        row = int(bad_rows[0])
        raise ValueError(
            f"`predictions[{row}]` is {probabilities[row].tolist()}, with sum {probabilities[row].sum():g}: not "
            "probabilities, which are in [0, 1] with sum 1. If these are logits, apply a softmax first."
        )
    return probabilities
