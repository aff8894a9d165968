"""The diversity of features within classes, in the format of the `evaluate` library: it needs no network."""

from collections.abc import Sequence

import evaluate
import numpy as np

from hf_augment.metrics.features import check_features, distance_blocks, feature_info, split_classes


_DESCRIPTION = """
How far the synthetic examples of a class are from each other, compared with the real examples of that class; and of
this the least over the classes. It falls when a generator repeats itself, even if it does so in one class only.
"""

_KWARGS_DESCRIPTION = """
Within each class, the mean Euclidean distance between two synthetic examples divided by that between two real ones.
Odena et al. 2017, section 4.2, compare mean similarities of pairs within classes in the same way, by MS-SSIM.

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> feature_diversity = load_metric("feature_diversity")
>>> data, real = [[1.0], [2.0], [7.0], [9.0]], [[0.0], [2.0], [6.0], [8.0]]
>>> feature_diversity.compute(data=data, labels=[0, 0, 1, 1], real=real, real_labels=[0, 0, 1, 1])
{'feature_diversity': 0.5, 'per_class': [0.5, 1.0]}
```

Args:
    data (`list[list[float]]`):
        Features of the synthetic examples, `(examples, features)`, two or more of each class; kept in float32.
    labels (`Sequence[int]`): The class of each synthetic example, from 0 on.
    real (`Sequence[Sequence[float]]`): Features of real examples, from the same model, two or more of each class.
    real_labels (`Sequence[int]`): The class of each real example, from 0 on, with none left out.

Returns:
    `dict`: `feature_diversity` (`float`), the least over the classes, zero or more: about 1 where synthetic examples
        are as varied as real ones. `per_class` (`list[float]`), by class from 0 on.

Raises:
    `ValueError`: If one side is no table of finite numbers, their widths differ, labels do not suit the examples, a
        class has fewer than two examples on a side, or all real examples of a class are equal.
"""

_CITATION = """
@inproceedings{odena2017conditional,
    title={Conditional Image Synthesis with Auxiliary Classifier {GANs}},
    author={Odena, Augustus and Olah, Christopher and Shlens, Jonathon},
    booktitle={Proceedings of the 34th International Conference on Machine Learning},
    year={2017}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class FeatureDiversity(evaluate.Measurement):
    def _info(self) -> evaluate.MeasurementInfo:
        return feature_info(_DESCRIPTION, _KWARGS_DESCRIPTION, _CITATION, "https://arxiv.org/abs/1610.09585")

    def _compute(
        self,
        data: Sequence[Sequence[float]],
        labels: Sequence[int],
        real: Sequence[Sequence[float]],
        real_labels: Sequence[int],
    ) -> dict[str, float | list[float]]:
        synthetic, reference = check_features(data, real)
        per_class = []
        for label, (rows, real_rows) in enumerate(split_classes(synthetic, labels, reference, real_labels)):
            distance = _mean_distance("labels", label, rows)
            real_distance = _mean_distance("real_labels", label, real_rows)
            if real_distance == 0:
                raise ValueError(
                    f"`real` has {len(real_rows)} rows of class {label}, all equal, so there is no distance to "
                    "compare with. Give different examples, or features that tell them apart."
                )
            per_class.append(distance / real_distance)
        return {"feature_diversity": min(per_class), "per_class": per_class}


def _mean_distance(name: str, label: int, rows: np.ndarray) -> float:
    if len(rows) < 2:
        raise ValueError(f"`{name}` has class {label} {len(rows)} time(s). Give two examples or more of each class.")
    # Distances stay the same, and rows that are all equal get a distance of exactly 0.
    blocks = distance_blocks(rows - rows[0])
    # Each pair twice, and the zeros of the diagonal, which are not counted.
    return sum(float(distances.sum()) for _, distances in blocks) / (len(rows) * (len(rows) - 1))
