"""The front matter of cards, as the Hub's own classes write it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import CardData, DatasetCardData, EvalResult, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hf_augment.reporting.escape import plain
from hf_augment.reporting.results import Results
from hf_augment.reporting.tables import robustness_means


TASKS = {"text": "text-classification", "image": "image-classification"}

#: The Hub's type, the name and the arguments of a run's metrics.
METRICS: dict[str, tuple[str, str, dict[str, Any] | None]] = {
    "accuracy": ("accuracy", "Accuracy", None),
    "f1_macro": ("f1", "F1 (macro)", {"average": "macro"}),
    "expected_calibration_error": ("expected_calibration_error", "Expected calibration error", None),
}


def hub_id(name: str) -> str | None:
    """
    Returns the name of a dataset or a model if it is of the form `namespace/name` and no folder or file here, which
    the libraries would take instead; `None` for a bare name, a path or another kind of source.
    """
    try:
        validate_repo_id(name)
    except HFValidationError:
        return None
    return name if "/" in name and not Path(name).exists() else None


def card_metadata(results: Results, kind: str, arm: str, data_files: str) -> CardData:
    """The metadata of a card; see [`~hf_augment.reporting.cards.render_card`]."""
    source, task, title = hub_id(results.data.name), TASKS[results.data.kind], plain(results.title)
    text = results.data.kind == "text"
    if kind == "results":
        # results.json is no table.
        tags = ["hf_augment", "evaluation-results"]
        return DatasetCardData(task_categories=[task], pretty_name=title, tags=tags, viewer=False)
    if kind == "dataset":
        name = f"Synthetic examples of {arm}: {title}"
        return synthetic_metadata(name, results.data.kind, results.data.name, {"default": data_files})
    datasets = [source] if source else None
    if kind == "generator":
        return ModelCardData(
            base_model=hub_id(results.models[arm]),
            datasets=datasets,
            library_name="transformers",
            # The Hub has no task for images of a given class.
            pipeline_tag="text-generation" if text else None,
            tags=["hf_augment", "synthetic-data", "class-conditional"],
        )
    eval_results = _eval_results(results, arm)
    return ModelCardData(
        base_model=hub_id(results.models["classifier"]),
        datasets=datasets,
        library_name="transformers",
        metrics=list(dict.fromkeys(result.metric_type for result in eval_results)),
        pipeline_tag=task,
        tags=["hf_augment", "generated_from_trainer", *(["synthetic-data"] if results.is_generated(arm) else [])],
        model_name=f"{title} ({plain(arm)})",
        eval_results=eval_results,
    )


def synthetic_metadata(title: str, kind: str, source: str, files: Mapping[str, str]) -> DatasetCardData:
    """
    The metadata of generated examples.

    Args:
        title (`str`): Their name.
        kind (`str`): `"text"` or `"image"`.
        source (`str`): The data whose classes they have.
        files (`Mapping[str, str]`): The files of each configuration.
    """
    known = hub_id(source)
    return DatasetCardData(
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"] if kind == "text" else None,
        source_datasets=[f"extended|{known}"] if known else None,
        task_categories=[TASKS[kind]],
        pretty_name=plain(title),
        tags=["hf_augment", "synthetic", "synthetic-data"],
        configs=[{"config_name": name, "data_files": path} for name, path in files.items()],
    )


def _eval_results(results: Results, arm: str) -> list[EvalResult]:
    """Means over the arm's runs, on every evaluation set."""
    test = results.test
    found: list[EvalResult] = []
    for evaluation in results.evaluations:
        name = results.data.name if evaluation == test else evaluation
        # The library gathers by type and split what belongs to one set.
        dataset: dict[str, Any] = {
            "task_type": TASKS[results.data.kind],
            "dataset_type": _dataset_type(name, {result.dataset_type for result in found}),
            "dataset_name": plain(name),
            "dataset_split": _test_split(results) if evaluation == test else None,
        }
        for kind, title, value, arguments in _measured(results, arm, evaluation):
            metric: dict[str, Any] = {"metric_type": kind, "metric_name": title, "metric_value": round(value, 4)}
            found.append(EvalResult(**dataset, **metric, metric_args=arguments))
    return found


def _measured(results: Results, arm: str, evaluation: str) -> Iterator[tuple[str, str, float, dict[str, Any] | None]]:
    """Type, name, mean and arguments of each metric that all runs have."""
    for key, (kind, title, arguments) in METRICS.items():
        if values := results.metric(arm, evaluation, key):
            yield kind, title, float(np.mean(values)), arguments
    means = {name: by_arm[arm] for name, by_arm in robustness_means(results, evaluation).items() if arm in by_arm}
    if means and math.isfinite(robust := list(means.values())[-1]):
        count = len(means) - 2
        yield "accuracy", f"Robust accuracy (mean over severities and {count} perturbations)", robust, None


def _dataset_type(name: str, taken: set[str]) -> str:
    """A Hub id, or what of the name may stand in one; another one for each set."""
    kept = hub_id(name) or re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80].strip("-._") or "dataset"
    return next(kind for i in range(1, len(taken) + 2) if (kind := kept if i == 1 else f"{kept}-{i}") not in taken)


def _test_split(results: Results) -> str | None:
    """The split that the test rows are, or `None` if they were held out of another one, or nothing says which."""
    settings = results.settings
    split = plain(str(settings.get("test_split")))
    held_out = split == "None" or str(settings.get("group_column")) != "None"
    return None if held_out else split or None
