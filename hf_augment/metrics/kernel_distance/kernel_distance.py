"""The kernel distance of features, in the format of the `evaluate` library: loaded from its folder, no network."""

import warnings
from collections.abc import Sequence

import evaluate
import torch
from torchmetrics.image.kid import KernelInceptionDistance

from hf_augment.metrics.features import check_features, feature_info
from hf_augment.seeding import derive_seed, isolated_rng


_DESCRIPTION = """
The kernel distance between synthetic and real examples is the squared maximum mean discrepancy of their features under
a cubic kernel. Unlike the Fréchet distance it has no bias, so it suits small sets, and it assumes no Gaussian.
"""

_KWARGS_DESCRIPTION = """
Bińkowski et al. 2018, section 4: the unbiased estimate with the kernel (x·y / d + 1)³ of d features, averaged over
random subsets, computed by [`torchmetrics.image.kid.KernelInceptionDistance`]. With the features of Inception v3's
last pooling layer this is the KID; any other model's features give numbers that compare only with those of that model.

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> kernel_distance = load_metric("kernel_distance")
>>> kernel_distance.compute(data=[[1.0], [1.0]], real=[[0.0], [0.0]])  # 2³ + 1³ - 2 · 1³
{'kernel_distance': 7.0, 'kernel_distance_std': 0.0}
```

Args:
    data (`list[list[float]]`): Features of the synthetic examples, `(examples, features)`, two or more; as float32.
    real (`Sequence[Sequence[float]]`): Features of real examples, from the same model.
    subsets (`int`, *optional*, defaults to `100`):
        Number of pairs of subsets to average over, one or more. 100, as in the paper's code.
    subset_size (`int`, *optional*):
        The rows in each subset, two or more. Defaults to 1000, as in the paper's code, or to the number of rows of
        the smaller side if that is less. Where it is all rows of both sides, the subsets are all the same.
    seed (`int`, *optional*, defaults to `0`): Draws the subsets, zero or more. The global random state stays as it is.

Returns:
    `dict[str, float]`: `kernel_distance`, the mean over subsets; less is better, and 0 is expected where both sides
        have one distribution, so that it may be slightly negative. `kernel_distance_std`, the standard deviation over
        subsets.

Raises:
    `ValueError`: If one side is no table of finite numbers with two rows or more, their widths differ, `subsets` is
        less than one, or `subset_size` is less than two or more than a side has rows.
"""

_CITATION = """
@inproceedings{binkowski2018demystifying,
    title={Demystifying {MMD} {GANs}},
    author={Bi{\\'n}kowski, Miko{\\l}aj and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur},
    booktitle={International Conference on Learning Representations},
    year={2018}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class KernelDistance(evaluate.Measurement):
    def _info(self) -> evaluate.MeasurementInfo:
        return feature_info(_DESCRIPTION, _KWARGS_DESCRIPTION, _CITATION, "https://arxiv.org/abs/1801.01401")

    def _compute(
        self,
        data: Sequence[Sequence[float]],
        real: Sequence[Sequence[float]],
        subsets: int = 100,
        subset_size: int | None = None,
        seed: int = 0,
    ) -> dict[str, float]:
        synthetic, reference = check_features(data, real)
        smaller = min(len(synthetic), len(reference))
        size = min(1000, smaller) if subset_size is None else subset_size
        if subsets < 1:
            raise ValueError(f"`subsets` is {subsets}. Give one or more; 100 is usual.")
        if not 2 <= size <= smaller:
            raise ValueError(
                f"`subset_size` is {size}. Give between 2 and {smaller}, the rows of the smaller of `data` and `real`."
            )
        with warnings.catch_warnings():
            # It holds what we hold already.
            warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save all extracted features")
            # Not synchronised: this may run on one rank while the others train, which would wait for ever.
            metric = KernelInceptionDistance(
                feature=torch.nn.Identity(), subsets=subsets, subset_size=size, sync_on_compute=False
            )
        metric.update(torch.from_numpy(synthetic), real=False)
        metric.update(torch.from_numpy(reference), real=True)
        # The subsets come from torch's global generator.
        with isolated_rng(derive_seed(seed, "kernel_distance")):
            mean, deviation = metric.compute()
        return {"kernel_distance": float(mean), "kernel_distance_std": float(deviation)}
