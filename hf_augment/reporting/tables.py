"""The report's tables: what was found, as cells of text."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from hf_augment.evaluation.comparison import Difference, summarise
from hf_augment.evaluation.robustness import TableRows
from hf_augment.reporting.facts import Findings, ReportFacts
from hf_augment.reporting.samples import Sample


Rows = list[tuple[str, ...]]


def cost_table(findings: Findings) -> TableRows:
    """Steps, time, and what generation took of it, by arm."""
    facts = findings.facts
    reference = facts.mean(facts.reference, lambda run: run.seconds)
    rows: Rows = []
    for arm in facts.arms:
        seconds = facts.mean(arm, lambda run: run.seconds)
        funnel = findings.acceptance.get(arm, {})
        rows.append(
            (
                arm,
                f"{facts.mean(arm, lambda run: run.steps):.0f}",
                f"{seconds:.0f}",
                f"{seconds / reference:.2f} ×" if reference else "-",
                f"{100 * facts.mean(arm, lambda run: run.wait):.1f} %",
                f"{findings.generating[arm]:.0f}" if funnel else "-",
                f"{funnel['per_second']:.2f}" if funnel else "-",
            )
        )
    header = ("arm", "steps", "seconds", "relative", "waiting", "generating, s", "accepted/s")
    return f"Time of a run, relative to {facts.reference}", header, rows


def funnel_table(arm: str, funnel: Mapping[str, float]) -> TableRows:
    """What each filter accepted."""
    rows: Rows = [
        (name.removeprefix("acceptance_"), f"{100 * share:.1f} %")
        for name, share in funnel.items()
        if name.startswith("acceptance_")
    ]
    if funnel:
        rows.append(("all filters", f"{100 * funnel['acceptance']:.1f} %"))
        rows.append(("accepted examples in a second", f"{funnel['per_second']:.2f}"))
    return f"{arm}: share accepted, of what reached each filter", ("filter", "accepted"), rows


def sample_table(arm: str, verdict: str, samples: Sequence[Sample]) -> TableRows:
    """Examples of one verdict, with reasons and the nearest labelled rows where there are any."""
    columns = {"label": [s.label for s in samples], "example": [s.example for s in samples]}
    if any(s.reason for s in samples):
        columns["reason"] = [s.reason for s in samples]
    if any(s.similarity is not None for s in samples):
        columns["nearest labelled row"] = [s.nearest for s in samples]
        columns["similarity"] = [_figure(s.similarity, 2) for s in samples]
    return f"{arm}: {verdict} examples", tuple(columns), list(zip(*columns.values(), strict=True))


def memorization_table(facts: ReportFacts) -> TableRows:
    """How near synthetic examples come to the labelled rows, by arm."""
    arms = list(facts.memorization)
    names = dict.fromkeys(name for figures in facts.memorization.values() for name in figures)
    rows: Rows = [
        (name.replace("_", " "), *(_figure(facts.memorization[a].get(name)) for a in arms)) for name in names
    ]
    return "Memorisation: how near synthetic examples come to the labelled rows", ("measure", *arms), rows


def arm_table(facts: ReportFacts, evaluation: str) -> TableRows:
    """Means and deviations of the metrics by arm."""
    header = ("arm", "n", "steps", "seconds", "accuracy", "F1 macro", "ECE")
    rows: Rows = []
    for arm in facts.arms:
        of_arm = facts.of_arm(arm)
        seconds = facts.mean(arm, lambda run: run.seconds)
        row = [arm, str(len(of_arm)), str(of_arm[0].steps), f"{seconds:.0f}"]
        for key in ("accuracy", "f1_macro", "expected_calibration_error"):
            if not all(key in run.metrics[evaluation] for run in of_arm):
                row.append("-")
                continue
            mean, std, _ = summarise(of_arm, evaluation, key)[arm]
            row.append(f"{mean:.3f} ± {std:.3f}" if len(of_arm) > 1 else f"{mean:.3f}")
        rows.append(tuple(row))
    return f"{evaluation}: mean ± standard deviation over n runs", header, rows


def difference_table(facts: ReportFacts, evaluation: str, differences: Sequence[Difference]) -> TableRows:
    """Differences with their intervals and verdicts."""
    header = ("arm", "points", "95 % interval", "over", "verdict")
    rows: Rows = [
        (
            d.arm,
            f"{100 * d.mean:+.1f}",
            f"{100 * d.low:+.1f} to {100 * d.high:+.1f}",
            f"{d.unit}, {d.pairs} pair{'s' if d.pairs > 1 else ''}",
            d.verdict,
        )
        for d in differences
    ]
    return f"{evaluation}: accuracy against {facts.reference}", header, rows


def words_table(evaluation: str, differences: Sequence[Difference]) -> TableRows:
    """The same as a sentence for each arm."""
    return f"{evaluation}: findings in words", ("arm", "finding"), [(d.arm, d.describe()) for d in differences]


def statistics_table(facts: ReportFacts, evaluation: str, differences: Sequence[Difference]) -> TableRows:
    """What the tests say, for those who ask for more than the verdict."""
    header = ("arm", "p", "p (Holm)", "Cohen's h", "Cohen's d_z", "points for 80 % power, about")
    rows: Rows = [
        (
            d.arm,
            *(_figure(None if d.untested else value) for value in (d.p_value, d.p_holm)),
            *(_figure(value) for value in (d.effect_size, d.d_z)),
            _figure(None if d.detectable is None else 100 * d.detectable, 1),
        )
        for d in differences
    ]
    return f"{evaluation}: tests against {facts.reference}", header, rows


def robustness_table(facts: ReportFacts, evaluation: str, rows: Mapping[str, Mapping[str, float]]) -> TableRows:
    """The first and the last row of [`robustness_means`], and their difference."""
    clean, *_, perturbed = rows.values()
    header = ("arm", "not perturbed", "perturbed", "difference")
    of_arms: Rows = [
        (arm, f"{100 * clean[arm]:.1f}", f"{100 * mean:.1f}", f"{100 * (mean - clean[arm]):+.1f}")
        for arm, mean in perturbed.items()
    ]
    count = facts.data.get("perturbed_rows")
    which = f"{count} random rows" if count else "the same rows"
    return f"{evaluation}: accuracy on {which}, %", header, of_arms


def severity_table(facts: ReportFacts, evaluation: str) -> TableRows:
    """Accuracy by perturbation, arm and severity."""
    found = facts.robustness(evaluation)
    most = max((len(values) for by_arm in found.values() for values in by_arm.values()), default=0)
    rows: Rows = [
        (name, arm, *(f"{100 * value:.1f}" for value in values), *[""] * (most - len(values)))
        for name, by_arm in found.items()
        for arm, values in by_arm.items()
    ]
    header = ("perturbation", "arm", *(f"severity {s}" for s in range(1, most + 1)))
    return f"{evaluation}: accuracy by severity, %", header, rows


def generalization_table(facts: ReportFacts) -> TableRows:
    """Accuracy on every evaluation set by arm."""
    rows: Rows = [
        (arm, *(f"{100 * summarise(facts.runs, name, 'accuracy')[arm][0]:.1f}" for name in facts.evaluations))
        for arm in facts.arms
    ]
    return "Accuracy on each evaluation set, %", ("arm", *facts.evaluations), rows


def class_table(facts: ReportFacts, evaluation: str, figure: str, words: str) -> TableRows:
    """A figure of each class by arm, and on how many rows it rests."""
    found, support = facts.classes(evaluation, figure), facts.classes(evaluation, "support")
    arms = [arm for arm in facts.arms if any(arm in row for row in found.values())]
    rows: Rows = [
        (name, f"{max(support[name].values()):.0f}", *(_figure(by_arm.get(a) and 100 * by_arm[a], 1) for a in arms))
        for name, by_arm in found.items()
    ]
    return f"{evaluation}: {words} of each class, %", ("class", "rows", *arms), rows


def logged_changes(facts: ReportFacts, name: str) -> Rows:
    """Where a logged figure changed: arm, split, seed, step, from, to."""
    rows: Rows = []
    for run in facts.runs:
        logged = [(log["step"], log[name]) for log in run.curve if name in log]
        for (_, before), (step, after) in itertools.pairwise(logged):
            if after != before:
                rows.append((run.arm, str(run.split), str(run.seed), f"{step:.0f}", _figure(before), _figure(after)))
    return rows


def robustness_means(facts: ReportFacts, evaluation: str) -> dict[str, dict[str, float]]:
    """
    Mean accuracy over severities, by perturbation, then by arm; before them accuracy on these rows as they are, after
    them the mean over perturbations. Empty if nothing was perturbed.
    """
    found = facts.robustness(evaluation)
    if not found:
        return {}
    means = {name: {arm: float(np.mean(v)) for arm, v in by_arm.items()} for name, by_arm in found.items()}
    arms = list(dict.fromkeys(arm for by_arm in means.values() for arm in by_arm))
    over = {arm: float(np.mean([by_arm[arm] for by_arm in means.values() if arm in by_arm])) for arm in arms}
    whole = {arm: facts.mean(arm, lambda run: run.unperturbed_accuracy(evaluation)) for arm in arms}
    return {"not perturbed": whole, **means, "mean, perturbed": over}


def _figure(value: float | None, digits: int = 3) -> str:
    if value is None or np.isnan(value):
        return "-"
    if isinstance(value, int):
        return str(value)
    if digits == 3 and 0 < abs(value) < 0.0005:
        return "< 0.001" if value > 0 else "> -0.001"
    return f"{value:.{digits}f}"
