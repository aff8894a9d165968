"""The Fréchet distance of features, in the format of the `evaluate` library: loaded from its folder, no network."""

from collections.abc import Sequence

import evaluate
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from hf_augment.metrics.features import check_features, feature_info


_DESCRIPTION = """
The Fréchet distance between synthetic and real examples is that of two Gaussians fitted to their features: of the
means and of the covariances. It falls both when examples look less real and when they are less varied.
"""

_KWARGS_DESCRIPTION = """
Heusel et al. 2017, section 4: |m - m_r|² + Tr(C + C_r - 2 (C C_r)^½), with mean m and covariance C, computed by
[`torchmetrics.image.fid.FrechetInceptionDistance`]. With the features of Inception v3's last pooling layer this is
the FID; any other model's features give other numbers, which compare only with those of the same model.

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> frechet_distance = load_metric("frechet_distance")
>>> real = [[0.0], [2.0], [4.0]]
>>> frechet_distance.compute(data=[[3.0], [5.0], [7.0]], real=real)  # moved by 3
{'frechet_distance': 9.0}
```

Args:
    data (`list[list[float]]`): Features of the synthetic examples, `(examples, features)`, two or more; as float32.
    real (`Sequence[Sequence[float]]`):
        Features of real examples, from the same model. As many rows as features, or more, give covariances of full
        rank. The distance is biased, more so with few rows: compare it over equal numbers of rows only.

Returns:
    `dict[str, float]`: `frechet_distance`, zero or more; less is better.

Raises:
    `ValueError`: If one side is no table of finite numbers with two rows or more, or their widths differ.
"""

_CITATION = """
@inproceedings{heusel2017gans,
    title={{GANs} Trained by a Two Time-Scale Update Rule Converge to a Local {Nash} Equilibrium},
    author={Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and Hochreiter, Sepp},
    booktitle={Advances in Neural Information Processing Systems},
    year={2017}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class FrechetDistance(evaluate.Measurement):
    def _info(self) -> evaluate.MeasurementInfo:
        return feature_info(_DESCRIPTION, _KWARGS_DESCRIPTION, _CITATION, "https://arxiv.org/abs/1706.08500")

    def _compute(self, data: Sequence[Sequence[float]], real: Sequence[Sequence[float]]) -> dict[str, float]:
        synthetic, reference = check_features(data, real)
        # Not synchronised: this may run on one rank while the others train, which would wait for ever.
        metric = FrechetInceptionDistance(feature=_Identity(synthetic.shape[1]), sync_on_compute=False)
        metric.update(torch.from_numpy(synthetic), real=False)
        metric.update(torch.from_numpy(reference), real=True)
        # Rounding may lead to slightly less than 0 where the two sides are the same.
        return {"frechet_distance": max(float(metric.compute()), 0.0)}


class _Identity(torch.nn.Identity):
    """The features are given; torchmetrics asks their model how many there are."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
