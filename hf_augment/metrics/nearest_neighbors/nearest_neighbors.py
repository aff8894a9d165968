"""Nearest real neighbours of synthetic features, in the format of the `evaluate` library: it needs no network."""

from collections.abc import Sequence
from typing import Any

import evaluate
import numpy as np

from hf_augment.metrics.features import check_features, feature_info, kth_nearest


_DESCRIPTION = """
How far each synthetic example is from the real example nearest to it, compared with how far real examples are from
each other. It shows copies of training examples, and which they are of.
"""

_KWARGS_DESCRIPTION = """
Distances of generated and of real examples to the nearest training example are compared as by Meehan et al. 2020; here
a real example's is to the nearest of the others, so that no held-out set is needed, and medians take a test's place.

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> nearest_neighbors = load_metric("nearest_neighbors")
>>> nearest_neighbors.compute(data=[[0.0], [6.0], [9.0]], real=[[0.0], [4.0], [8.0]])
{'indices': [0, 1, 2], 'distances': [0.0, 2.0, 1.0], 'relative_distance': 0.25, 'copies': 0.3333333333333333}
```

Args:
    data (`list[list[float]]`): Features of the synthetic examples, `(examples, features)`, two or more; as float32.
    real (`Sequence[Sequence[float]]`):
        Features of the real examples that the generator was trained on, from the same model.
    threshold (`float`, *optional*, defaults to `0.1`):
        More than 0. A synthetic example nearer to a real one than this share of the median distance between nearest
        real ones counts as its copy.

Returns:
    `dict`: In the order of the synthetic examples, or over all of them:

    - `indices` (`list[int]`): The row of `real` nearest to each.
    - `distances` (`list[float]`): The Euclidean distance to it.
    - `relative_distance` (`float`): The median of these distances, divided by the median distance of a real example to
      the nearest other one. About 1 for examples like the real ones, near 0 for copies.
    - `copies` (`float`): The share of synthetic examples that are copies, in `[0, 1]`; less is better.

Raises:
    `ValueError`: If one side is no table of finite numbers with two rows or more, their widths differ, `threshold` is
        not more than 0, or at least half of the real examples equal another one, so that there is no distance to
        compare with.
"""

_CITATION = """
@inproceedings{meehan2020nonparametric,
    title={A Non-Parametric Test to Detect Data-Copying in Generative Models},
    author={Meehan, Casey and Chaudhuri, Kamalika and Dasgupta, Sanjoy},
    booktitle={Proceedings of the 23rd International Conference on Artificial Intelligence and Statistics},
    year={2020}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class NearestNeighbors(evaluate.Measurement):
    def _info(self) -> evaluate.MeasurementInfo:
        return feature_info(_DESCRIPTION, _KWARGS_DESCRIPTION, _CITATION, "https://arxiv.org/abs/2004.05675")

    def _compute(
        self, data: Sequence[Sequence[float]], real: Sequence[Sequence[float]], threshold: float = 0.1
    ) -> dict[str, Any]:
        if not threshold > 0:
            raise ValueError(
                f"`threshold` is {threshold}. Give a share of the distance between real examples, such as 0.1."
            )
        synthetic, reference = check_features(data, real)
        real_distance = float(np.median(kth_nearest(reference, 1)[1]))
        if real_distance == 0:
            raise ValueError(
                f"`real` has {len(reference)} rows, of which at least half equal another one: the median distance to "
                "the nearest is 0. Drop repeated rows, or take features that tell the examples apart."
            )
        indices, distances = kth_nearest(reference, 1, synthetic)
        return {
            "indices": indices.tolist(),
            "distances": distances.tolist(),
            "relative_distance": float(np.median(distances)) / real_distance,
            "copies": float((distances < threshold * real_distance).mean()),
        }
