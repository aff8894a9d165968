"""Accuracy under perturbation, in the format of the `evaluate` library: loaded from its folder, no network."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from hf_augment.metrics.robustness.summary import summarise_robustness


_DESCRIPTION = """
How accurate a classifier is on perturbed examples, and how much is lost against clean ones. Every perturbation counts
the same, and within it every severity, whatever the number of examples (Hendrycks and Dietterich 2019, section 4,
without the division by a baseline's errors that makes it the mCE).
"""

_KWARGS_DESCRIPTION = """
Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> robustness = load_metric("robustness")
>>> robustness.compute(
...     predictions=[0, 1, 0, 0],
...     references=[0, 1, 0, 1],
...     perturbations=["", "", "typos", "typos"],
...     severities=[0, 0, 1, 2],
... )
{'clean_accuracy': 1.0, 'robust_accuracy': 0.5, 'drop': 0.5, 'worst_perturbation': 'typos', 'worst_accuracy': 0.5,
 'accuracy': {'typos': [1.0, 0.0]}}
```

Args:
    predictions (`list[int]`): Predicted classes.
    references (`list[int]`): True classes.
    perturbations (`list[str]`): Perturbation of each example: `""` for a clean one.
    severities (`list[int]`): Severity: 0 for a clean one, from 1 for the others; the same ones of every perturbation.

Returns:
    `dict`: Accuracies in `[0, 1]`; more is better, except for `drop`:

    - `clean_accuracy` (`float`): On the clean examples.
    - `robust_accuracy` (`float`): The mean over perturbations of the mean over severities.
    - `drop` (`float`): `clean_accuracy` minus `robust_accuracy`, in `[-1, 1]`.
    - `worst_perturbation` (`str`): The one of the lowest mean over severities.
    - `worst_accuracy` (`float`): This mean.
    - `accuracy` (`dict[str, list[float]]`): By perturbation, at each severity in ascending order.

Raises:
    `ValueError`: If there are no clean or no perturbed examples, an example has a perturbation without a severity or a
        severity without a perturbation, or perturbations differ in their severities.
"""

_CITATION = """
@inproceedings{hendrycks2019benchmarking,
    title={Benchmarking Neural Network Robustness to Common Corruptions and Perturbations},
    author={Hendrycks, Dan and Dietterich, Thomas},
    booktitle={International Conference on Learning Representations},
    year={2019}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Robustness(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        number, name = datasets.Value("int64"), datasets.Value("string")
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": number, "references": number, "perturbations": name, "severities": number}
            ),
            reference_urls=["https://arxiv.org/abs/1903.12261"],
        )

    def _compute(
        self,
        predictions: Sequence[int],
        references: Sequence[int],
        perturbations: Sequence[str],
        severities: Sequence[int],
    ) -> dict[str, Any]:
        correct = np.asarray(predictions) == np.asarray(references)
        groups: dict[tuple[str, int], list[bool]] = {}
        for row, (name, severity) in enumerate(zip(perturbations, severities, strict=True)):
            if (severity == 0) != (name == "") or severity < 0:
                raise ValueError(
                    f"`perturbations[{row}]` is {name!r} and `severities[{row}]` is {severity}. Give '' and 0 for a "
                    "clean example, a name and a number from 1 for a perturbed one."
                )
            groups.setdefault((name, int(severity)), []).append(bool(correct[row]))
        clean = groups.pop(("", 0), None)
        if clean is None or not groups:
            raise ValueError(
                f"`perturbations` has the names {sorted(set(perturbations))}. Give both clean examples, of the name "
                "'', and perturbed ones."
            )
        accuracy: dict[str, dict[int, float]] = {}
        for name, severity in sorted(groups):
            accuracy.setdefault(name, {})[severity] = float(np.mean(groups[name, severity]))
        found = {name: list(by_severity) for name, by_severity in accuracy.items()}
        if len(set(map(tuple, found.values()))) > 1:
            raise ValueError(f"`severities` differ between perturbations: {found}. Perturb all at the same ones.")
        lists = {name: list(by_severity.values()) for name, by_severity in accuracy.items()}
        return {**summarise_robustness(float(np.mean(clean)), lists), "accuracy": lists}
