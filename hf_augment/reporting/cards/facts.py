"""What a card reads of a run's `results.json`; what it cannot do without is asked for by name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from hf_augment.reporting.escape import plain


#: A run as `results.json` holds it.
Run = dict[str, Any]

KINDS = ("text", "image")

#: What each entry of a list must have.
RECORDS = {
    "runs": ("arm", "split", "seed", "steps", "seconds", "metrics"),
    "differences": ("arm", "reference", "evaluation", "mean", "low", "high", "pairs", "unit", "verdict"),
    "samples": ("verdict", "label", "example", "reason"),
}


def require(results: dict[str, Any], path: str) -> Any:
    """
    Reads a fact that a card cannot do without.

    Args:
        results (`dict[str, Any]`):
            What is in `results.json`.
        path (`str`):
            Keys, joined by dots.

    Returns:
        `Any`: The value.

    Raises:
        ValueError: If there is none, or only a text without a printable character.
    """
    value: Any = results
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or (isinstance(value, str) and not plain(value)):
        raise ValueError(f"`results` has no `{path}`, which a card needs: write it into the run's results.json.")
    return value


def check_results(results: dict[str, Any], arm: str | None = None) -> None:
    """
    Raises a `ValueError` that names the fact unless everything is there that each card needs.

    Args:
        results (`dict[str, Any]`):
            What is in `results.json`.
        arm (`str`, *optional*):
            The arm that the card is of.
    """
    for path in ("title", "data.name", "data.label_names", "data.train_rows", "models.classifier"):
        require(results, path)
    kind, evaluations, test = (require(results, path) for path in ("data.kind", "data.evaluations", "test"))
    if kind not in KINDS:
        raise ValueError(f"`results` has the `data.kind` {kind!r}, which is none of {KINDS}.")
    if test not in evaluations:
        raise ValueError(f"`data.evaluations` of `results` are {list(evaluations)}, without the `test` {test!r}.")
    if unnamed := [name for name in evaluations if not plain(name)]:
        raise ValueError(f"`data.evaluations` of `results` has the name {unnamed[0]!r}, which nobody can read.")
    for name, record in _records(results):
        if missing := [key for key in RECORDS[name] if key not in record]:
            raise ValueError(f"An entry of `{name}` in `results` has no `{missing[0]}`, which a card needs.")
    for run in require(results, "runs"):
        if "accuracy" not in run["metrics"].get(test, {}):
            raise ValueError(f"A run of arm {run['arm']!r} has no accuracy on the `test` {test!r} in its `metrics`.")
    arms = arms_of(results)
    for name, wanted in (("reference", require(results, "reference")), ("arm", arm)):
        if wanted is not None and wanted not in arms:
            raise ValueError(f"{name}={wanted!r} is none of the arms that were run, {arms}.")


def _records(results: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in ("runs", "differences"):
        yield from ((name, record) for record in results.get(name, []))
    yield from (("samples", record) for of_arm in results.get("samples", {}).values() for record in of_arm)


def generator_of(results: dict[str, Any], arm: str) -> str | None:
    """What generates for the arm, or `None` if nothing does."""
    return results["models"].get(arm) if arm != "classifier" else None


def check_generator(results: dict[str, Any], arm: str) -> None:
    """Raises a `ValueError` unless it is known what generates for the arm."""
    if generator_of(results, arm) is None:
        having = [name for name in arms_of(results) if generator_of(results, name) is not None]
        raise ValueError(f"arm={arm!r} has no generator in the `models` of `results`; those that have are {having}.")


def arms_of(results: dict[str, Any]) -> list[str]:
    """The arms, in order of appearance."""
    return list(dict.fromkeys(run["arm"] for run in results["runs"]))


def runs_of(results: dict[str, Any], arm: str) -> list[Run]:
    """The runs of an arm."""
    return [run for run in results["runs"] if run["arm"] == arm]


def evaluations_of(results: dict[str, Any]) -> list[str]:
    """The evaluation sets, the test set first."""
    names = dict.fromkeys(name for run in results["runs"] for name in run["metrics"])
    return [results["test"], *(name for name in names if name != results["test"])]


def perturbed(evaluation: str) -> str:
    """What the perturbed rows of an evaluation set are called where arms are compared on them."""
    return f"{evaluation}, perturbed"


def values_of(runs: Iterable[Run], evaluation: str, metric: str) -> list[float]:
    """A metric of each run; empty if a run has none or no finite one."""
    values = [run["metrics"].get(evaluation, {}).get(metric) for run in runs]
    return values if all(value is not None and math.isfinite(value) for value in values) else []


def severities_of(runs: Iterable[Run], evaluation: str) -> dict[str, list[float]]:
    """By perturbation, the mean accuracy at severity 1, 2, … of the runs for which it was measured."""
    measured = [run.get("robustness", {}).get(evaluation) for run in runs]
    by_name: dict[str, list[Sequence[float]]] = {}
    for perturbations in measured:
        for name, accuracies in (perturbations or {}).items():
            by_name.setdefault(name, []).append(accuracies)
    return {name: np.mean(accuracies, axis=0).tolist() for name, accuracies in by_name.items()}


def robust_accuracy(severities: dict[str, list[float]]) -> float | None:
    """The mean over perturbations of the mean over severities; `None` if there are none."""
    return float(np.mean([np.mean(accuracies) for accuracies in severities.values()])) if severities else None


def number(value: Any, form: str = ".3f") -> str:
    """A number for a table; `n/a` for none."""
    return f"{value:{form}}" if isinstance(value, int | float) and math.isfinite(value) else "n/a"


def points(value: Any, form: str = "+.1f") -> str:
    """A difference of shares in percentage points."""
    return number(None if value is None else 100 * value, form)


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation, n - 1, of more than one value."""
    if len(values) < 2:
        return number(values[0]) if values else "n/a"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
