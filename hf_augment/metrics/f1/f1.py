"""The F1 score, in the format of the `evaluate` library: loaded from its folder, so it needs no network."""

from collections.abc import Sequence
from typing import Any

import evaluate
import numpy as np
from sklearn.metrics import f1_score

from hf_augment.metrics.classes import class_info


_DESCRIPTION = """
F1 is the harmonic mean of precision and recall: 2 * precision * recall / (precision + recall).
"""

_KWARGS_DESCRIPTION = """
Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> f1 = load_metric("f1")
>>> f1.compute(references=[0, 1, 0, 1, 0], predictions=[0, 0, 1, 1, 0])
{'f1': 0.5}
>>> f1.compute(references=[0, 1, 2, 2], predictions=[0, 2, 2, 2], average=None)["f1"].tolist()
[1.0, 0.0, 0.8]
```

Args:
    predictions (`list[int]`):
        Predicted classes. With `config_name="multilabel"`, one list of 0 and 1 for each example.
    references (`list[int]`): True classes, as many as predictions.
    labels (`list[int]`, *optional*):
        The classes to average over, in the order to report them when `average` is `None`; by default those found in
        predictions or references.
    pos_label (`int`, *optional*, defaults to `1`): The class that `average="binary"` scores.
    average (`str`, *optional*, defaults to `"binary"`):
        `"binary"` scores `pos_label` alone, `"macro"` is the plain mean over classes, `"weighted"` their mean weighted
        by support, `"micro"` counts over all classes, `"samples"` is for multilabel, and `None` reports every class.
    sample_weight (`list[float]`, *optional*): A weight, zero or more, for each example.
    zero_division (`float` or `str`, *optional*, defaults to `"warn"`):
        The score of a class that is neither predicted nor present: `0.0`, `1.0`, or `"warn"` for 0 and a warning.

Returns:
    `dict`: `f1`, a `float` in `[0, 1]`, or a NumPy array of them where `average` is `None`; more is better.

Raises:
    `ValueError`: If predictions and references differ in number, or `average` does not suit the classes found.
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class F1(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        return class_info(_DESCRIPTION, _KWARGS_DESCRIPTION, "f1_score", self.config_name)

    def _compute(
        self,
        predictions: Sequence[Any],
        references: Sequence[Any],
        labels: Sequence[int] | None = None,
        pos_label: int = 1,
        average: str | None = "binary",
        sample_weight: Sequence[float] | None = None,
        zero_division: float | str = "warn",
    ) -> dict[str, Any]:
        score = f1_score(
            references,
            predictions,
            labels=labels,
            pos_label=pos_label,
            average=average,
            sample_weight=sample_weight,
            zero_division=zero_division,
        )
        # scikit-learn gives a Python float or a NumPy one, depending on its version.
        return {"f1": float(score) if np.ndim(score) == 0 else score}
