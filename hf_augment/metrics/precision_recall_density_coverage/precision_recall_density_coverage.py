"""Precision, recall, density and coverage of features, in the format of the `evaluate` library: no network."""

from collections.abc import Sequence

import evaluate
import numpy as np

from hf_augment.metrics.features import check_features, distance_blocks, feature_info, kth_nearest, split_classes


_DESCRIPTION = """
Precision and density tell how real synthetic examples look, recall and coverage how much of the real variety they
have. A ball around each example, out to its k-th nearest neighbour on the same side, stands for what is near it.
"""

_KWARGS_DESCRIPTION = """
Precision and recall: Kynkäänniemi et al. 2019, section 2. Density and coverage: Naeem et al. 2020, section 3; they
are less swayed by outliers. The balls include their surface, and distances are Euclidean.

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> prdc = load_metric("precision_recall_density_coverage")
>>> prdc.compute(data=[[0.2], [0.3], [0.4]], real=[[0.0], [1.0], [5.0]], k=1)  # real, but hardly varied
{'precision': 1.0, 'recall': 0.0, 'density': 2.0, 'coverage': 0.6666666666666666}
```

Args:
    data (`list[list[float]]`): Features of the synthetic examples, of shape `(examples, features)`; float32 is kept.
    real (`Sequence[Sequence[float]]`):
        Features of real examples, from the same model. Recall and coverage depend on the numbers of rows: compare them
        over equal numbers only.
    k (`int`, *optional*, defaults to `5`):
        Number of the neighbour that a ball reaches, at least 1 and fewer than the rows of each side. Naeem et al. use
        5, Kynkäänniemi et al. 3.
    labels (`Sequence[int]`, *optional*):
        The class of each synthetic example, from 0 on. Given together with `real_labels`, for coverage by class.
    real_labels (`Sequence[int]`, *optional*): The class of each real example; each class has more than `k` of them.

Returns:
    `dict`: More is better in all of them:

    - `precision` (`float`): The share of synthetic examples within a real example's ball, in `[0, 1]`.
    - `recall` (`float`): The share of real examples within a synthetic example's ball, in `[0, 1]`.
    - `density` (`float`): In how many real balls a synthetic example is on average, divided by k. Zero or more, and
      about 1 for examples like the real ones.
    - `coverage` (`float`): The share of real examples with a synthetic one in their ball, in `[0, 1]`.
    - `coverage_per_class` (`list[float]`): With labels only. The same among the examples of each class, from 0 on; 0
      for a class without synthetic examples.

Raises:
    `ValueError`: If one side is no table of finite numbers with more than `k` rows, their widths differ, `k` is less
        than one, one of `labels` and `real_labels` is given without the other or does not suit its examples, or a
        class has `k` real examples or fewer.
"""

_CITATION = """
@inproceedings{kynkaanniemi2019improved,
    title={Improved Precision and Recall Metric for Assessing Generative Models},
    author={Kynk{\\"a}{\\"a}nniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and Aila, Timo},
    booktitle={Advances in Neural Information Processing Systems},
    year={2019}
}
@inproceedings{naeem2020reliable,
    title={Reliable Fidelity and Diversity Metrics for Generative Models},
    author={Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, Jaejun},
    booktitle={Proceedings of the 37th International Conference on Machine Learning},
    year={2020}
}
"""

# Of the largest distance from the mean: well above what rounding does to distances, far below what features differ by.
# Without it, rounding decides whether a neighbour on a ball's surface is in the ball.
_SLACK = 1e-6


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class PrecisionRecallDensityCoverage(evaluate.Measurement):
    def _info(self) -> evaluate.MeasurementInfo:
        urls = ["https://arxiv.org/abs/1904.06991", "https://arxiv.org/abs/2002.09797"]
        return feature_info(_DESCRIPTION, _KWARGS_DESCRIPTION, _CITATION, *urls)

    def _compute(
        self,
        data: Sequence[Sequence[float]],
        real: Sequence[Sequence[float]],
        k: int = 5,
        labels: Sequence[int] | None = None,
        real_labels: Sequence[int] | None = None,
    ) -> dict[str, float | list[float]]:
        synthetic, reference = check_features(data, real)
        smaller = min(len(synthetic), len(reference))
        if not 1 <= k < smaller:
            raise ValueError(
                f"`k` is {k}. Give between 1 and {smaller - 1}, fewer than the rows of the smaller of `data` and "
                "`real`."
            )
        if (labels is None) != (real_labels is None):
            given, missing = ("real_labels", "labels") if labels is None else ("labels", "real_labels")
            raise ValueError(f"`{given}` is given but `{missing}` is None. Give both, or neither.")
        # Distances stay the same, and round least near the origin.
        center = reference.mean(axis=0)
        synthetic, reference = synthetic - center, reference - center
        slack = _SLACK * max(np.linalg.norm(rows, axis=1).max() for rows in (synthetic, reference))
        scores: dict[str, float | list[float]] = {**_scores(synthetic, reference, k, slack)}
        if labels is not None:
            classes = split_classes(synthetic, labels, reference, real_labels)
            _check_class_sizes([len(rows) for _, rows in classes], k)
            scores["coverage_per_class"] = [
                _coverage(rows, real_rows, kth_nearest(real_rows, k)[1] + slack) for rows, real_rows in classes
            ]
        return scores


def _check_class_sizes(sizes: list[int], k: int) -> None:
    for label, size in enumerate(sizes):
        if size <= k:
            raise ValueError(
                f"`real_labels` has class {label} {size} time(s), but `k` is {k}. Give more than {k} real examples of "
                "each class, or a smaller `k`."
            )


def _scores(synthetic: np.ndarray, reference: np.ndarray, k: int, slack: float) -> dict[str, float]:
    radii = kth_nearest(synthetic, k)[1] + slack
    real_radii = kth_nearest(reference, k)[1] + slack
    n_precise, n_pairs, recalled = 0, 0, np.zeros(len(reference), dtype=bool)
    for rows, distances in distance_blocks(synthetic, reference):
        in_real_ball = distances <= real_radii
        n_precise += int(in_real_ball.any(axis=1).sum())
        n_pairs += int(in_real_ball.sum())
        recalled |= (distances <= radii[rows, None]).any(axis=0)
    return {
        "precision": n_precise / len(synthetic),
        "recall": float(recalled.mean()),
        "density": n_pairs / (k * len(synthetic)),
        "coverage": _coverage(synthetic, reference, real_radii),
    }


def _coverage(synthetic: np.ndarray, reference: np.ndarray, real_radii: np.ndarray) -> float:
    if len(synthetic) == 0:
        return 0.0
    return float((kth_nearest(synthetic, 1, reference)[1] <= real_radii).mean())
