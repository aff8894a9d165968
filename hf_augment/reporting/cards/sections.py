"""The sections of cards: of a run's facts, the values and tables that the templates show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hf_augment.reporting.cards.facts import (
    arms_of,
    evaluations_of,
    generator_of,
    number,
    perturbed,
    points,
    robust_accuracy,
    runs_of,
    severities_of,
    spread,
    values_of,
)


MAX_LABELS, MAX_SAMPLES, MAX_CHARACTERS = 20, 3, 200


class TableView(NamedTuple):
    """A table under a title."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def view(results: dict[str, Any], arms: Sequence[str]) -> dict[str, Any]:
    """
    Everything that a template may show.

    Args:
        results (`dict[str, Any]`):
            What is in `results.json`, checked.
        arms (`Sequence[str]`):
            The arms that the card is of.

    Returns:
        `dict[str, Any]`: Values by name. What is not known is `None` or empty.
    """
    data, test, runs = results["data"], results["test"], results["runs"]
    holdouts = [name for name in evaluations_of(results) if name != test]
    return {
        "title": results["title"],
        "kind": data["kind"],
        "data": data,
        "note": data.get("note"),
        "labels": _labels(data["label_names"]),
        "test": test,
        "holdouts": [comparison(results, arms, name) for name in holdouts],
        "comparison": comparison(results, arms, test),
        "reference": results["reference"],
        "classifier": results["models"]["classifier"],
        "generators": {arm: generator for arm in arms if (generator := generator_of(results, arm))},
        "sentences": [d["sentence"] for d in differences_of(results, arms, test) if d.get("sentence")],
        "robustness": [
            (table, difference_view(results, arms, perturbed(name)))
            for name in [test, *holdouts]
            if (table := robustness(results, arms, name))
        ],
        "cost": cost(results),
        "acceptance": [table for arm in arms if (table := acceptance(results, arm))],
        "memorization": [table for arm in arms if (table := memorization(results, arm))],
        "samples": [table for arm in arms if (table := samples(results, arm))],
        "further": [TableView(*table) for table in results.get("tables", []) if table[2]],
        "pictures": results.get("pictures", {}),
        "notes": results.get("notes", []),
        "command": results.get("command"),
        "versions": ", ".join(f"{name} {version}" for name, version in results.get("versions", {}).items()),
        "settings": json.dumps(results["settings"], indent=1, default=str) if results.get("settings") else None,
        "splits": len({run["split"] for run in runs}),
        "runs": max(len(runs_of(results, arm)) for arm in arms),
        "units": sorted({str(d["unit"]) for d in differences_of(results, arms, test) if d.get("unit")}),
        "corrected": any(d.get("p_holm") is not None for d in results.get("differences", [])),
    }


def differences_of(results: dict[str, Any], arms: Sequence[str], evaluation: str) -> list[dict[str, Any]]:
    """What the arms were found to differ from others on an evaluation set."""
    return [d for d in results.get("differences", []) if d["arm"] in arms and d["evaluation"] == evaluation]


def comparison(results: dict[str, Any], arms: Sequence[str], evaluation: str) -> dict[str, Any]:
    """All arms on an evaluation set, and the differences of those that the card is of."""
    means = []
    for arm in arms_of(results):
        runs = runs_of(results, arm)
        values = [values_of(runs, evaluation, key) for key in ("accuracy", "f1_macro", "expected_calibration_error")]
        means.append([arm, str(len(runs)), str(runs[0]["steps"]), *map(spread, values)])
    return {
        "name": evaluation,
        "rows": results["data"]["evaluations"].get(evaluation),
        "means": TableView(evaluation, ("arm", "n", "steps", "accuracy", "F1 macro", "ECE"), means),
        "differences": difference_view(results, arms, evaluation),
    }


def difference_view(results: dict[str, Any], arms: Sequence[str], evaluation: str) -> TableView | None:
    """What the card's arms were found to differ from others."""
    rows = [
        [
            d["arm"],
            d["reference"],
            points(d["mean"]),
            f"{points(d['low'])} to {points(d['high'])}",
            f"{d['unit']}, {d['pairs']} pair{'' if d['pairs'] == 1 else 's'}",
            "n/a" if d["verdict"].startswith("not tested") else number(d.get("p_holm"), ".3g"),
            points(d.get("detectable"), ".1f"),
            d["verdict"],
        ]
        for d in differences_of(results, arms, evaluation)
    ]
    header = ("arm", "against", "points", "95 % interval", "over", "p (Holm)", "for 80 % power", "verdict")
    return TableView(evaluation, header, rows) if rows else None


def robustness(results: dict[str, Any], arms: Sequence[str], evaluation: str) -> TableView | None:
    """Accuracy under each perturbation: the reference and the card's arms, one below the other."""
    shown = [arm for arm in arms_of(results) if arm in (*arms, results["reference"])]
    measured = {arm: severities_of(runs_of(results, arm), evaluation) for arm in shown}
    measured = {arm: by_name for arm, by_name in measured.items() if by_name}
    if not measured:
        return None
    names = list(dict.fromkeys(name for by_name in measured.values() for name in by_name))
    most = max(len(accuracies) for by_name in measured.values() for accuracies in by_name.values())
    rows = []
    for arm in measured:
        # On the rows that were perturbed, which may be some of the set alone.
        clean = [
            run.get("unperturbed", {}).get(evaluation, run["metrics"][evaluation]["accuracy"])
            for run in runs_of(results, arm)
            if evaluation in run["metrics"]
        ]
        rows.append(["not perturbed", arm, *["n/a"] * most, number(float(np.mean(clean)) if clean else None)])
    for name in names:
        for arm, by_name in measured.items():
            if name in by_name:
                cells = [number(accuracy) for accuracy in by_name[name]]
                cells += ["n/a"] * (most - len(cells))
                rows.append([name, arm, *cells, number(float(np.mean(by_name[name])))])
    rows += [["all", arm, *["n/a"] * most, number(robust_accuracy(by_name))] for arm, by_name in measured.items()]
    header = ("perturbation", "arm", *(f"severity {severity}" for severity in range(1, most + 1)), "mean")
    return TableView(evaluation, header, rows)


def cost(results: dict[str, Any]) -> TableView:
    """What the arms took."""
    rows = []
    for arm in arms_of(results):
        runs = runs_of(results, arm)
        seconds = float(np.mean([run["seconds"] for run in runs]))
        wait = results.get("wait", {}).get(arm)
        rows.append([arm, str(runs[0]["steps"]), number(seconds, ".0f"), points(wait, ".1f")])
    return TableView("cost", ("arm", "steps", "seconds", "% of them waiting for generation"), rows)


def acceptance(results: dict[str, Any], arm: str) -> TableView | None:
    """What of the candidates each filter let through."""
    shares = results.get("acceptance", {}).get(arm)
    if not shares:
        return None
    prefix = "acceptance_"
    rows = [[key.removeprefix(prefix), points(v, ".1f")] for key, v in shares.items() if key.startswith(prefix)]
    rows.append(["all filters", points(shares.get("acceptance"), ".1f")])
    rows.append(["accepted examples in a second", number(shares.get("per_second"), ".2f")])
    return TableView(arm, ("filter", "accepted, % of what reached it"), rows)


def memorization(results: dict[str, Any], arm: str) -> TableView | None:
    """How near synthetic examples come to the labelled rows."""
    facts = results.get("memorization", {}).get(arm)
    if not facts:
        return None
    rows = [[name, str(value) if isinstance(value, int) else number(value, ".4g")] for name, value in facts.items()]
    return TableView(arm, ("measure", "value"), rows)


def samples(results: dict[str, Any], arm: str) -> TableView | None:
    """
    A few accepted and rejected texts. The nearest labelled row is left out: a card may be read by more people than
    the labelled rows may be. Images are shown as pictures.
    """
    examples = results.get("samples", {}).get(arm)
    if not examples or results["data"]["kind"] != "text":
        return None
    rows = []
    for verdict in ("accepted", "rejected"):
        for sample in [sample for sample in examples if sample["verdict"] == verdict][:MAX_SAMPLES]:
            cells = [verdict, sample["label"], _short(sample["example"]), _short(sample["reason"])]
            rows.append([*cells, number(sample.get("similarity"), ".2f")])
    header = ("verdict", "label", "example", "reason", "similarity to the nearest labelled row")
    return TableView(arm, header, rows)


def _labels(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_LABELS])
    return shown if len(names) <= MAX_LABELS else f"{shown} and {len(names) - MAX_LABELS} more"


def _short(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS - 1]}…"
