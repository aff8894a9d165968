"""Summary of accuracies under perturbation, for the metric and for reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def summarise_robustness(clean: float, accuracy: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """
    Sums accuracies under perturbation up: `clean_accuracy`; `robust_accuracy`, the mean over perturbations of the mean
    over severities; `drop`, the first minus the second; `worst_perturbation`, the one of the lowest mean over
    severities (of equals the first), and `worst_accuracy`, this mean.

    Example:

    ```python
    >>> from hf_augment.metrics.robustness.summary import summarise_robustness
    >>> summary = summarise_robustness(0.75, {"noise": [0.75, 0.25], "blur": [0.5, 0.25]})
    >>> summary["robust_accuracy"], summary["drop"], summary["worst_perturbation"], summary["worst_accuracy"]
    (0.4375, 0.3125, 'blur', 0.375)
    ```
    """
    means = {name: sum(values) / len(values) for name, values in accuracy.items()}
    robust = sum(means.values()) / len(means)
    worst = min(means, key=lambda name: means[name])
    return {
        "clean_accuracy": clean,
        "robust_accuracy": robust,
        "drop": clean - robust,
        "worst_perturbation": worst,
        "worst_accuracy": means[worst],
    }
