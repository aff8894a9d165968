"""Accuracy, in the format of the `evaluate` library: loaded from its folder, so it needs no network."""

from collections.abc import Sequence
from typing import Any

import evaluate
from sklearn.metrics import accuracy_score

from hf_augment.metrics.classes import class_info


_DESCRIPTION = """
Accuracy is the share of predictions that equal their reference.
"""

_KWARGS_DESCRIPTION = """
Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> accuracy = load_metric("accuracy")
>>> accuracy.compute(references=[0, 1, 2, 0], predictions=[0, 1, 1, 0])
{'accuracy': 0.75}
```

Args:
    predictions (`list[int]`):
        Predicted classes. With `config_name="multilabel"`, one list of 0 and 1 for each example.
    references (`list[int]`): True classes, as many as predictions.
    normalize (`bool`, *optional*, defaults to `True`):
        Whether to divide by the number of examples (or by their weight) instead of counting the correct ones.
    sample_weight (`list[float]`, *optional*): A weight, zero or more, for each example.

Returns:
    `dict[str, float]`: `accuracy`, in `[0, 1]` if `normalize`; more is better.

Raises:
    `ValueError`: If predictions and references differ in number.
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Accuracy(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        return class_info(_DESCRIPTION, _KWARGS_DESCRIPTION, "accuracy_score", self.config_name)

    def _compute(
        self,
        predictions: Sequence[Any],
        references: Sequence[Any],
        normalize: bool = True,
        sample_weight: Sequence[float] | None = None,
    ) -> dict[str, float]:
        score = accuracy_score(references, predictions, normalize=normalize, sample_weight=sample_weight)
        return {"accuracy": float(score)}
