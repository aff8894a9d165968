"""The tables of reports and cards: results in, cells of text out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from hf_augment.evaluation.comparison import Difference
from hf_augment.evaluation.robustness import TableRows
from hf_augment.reporting.answer import untrained
from hf_augment.reporting.results import Results
from hf_augment.reporting.samples import Sample
from hf_augment.sentences import counted


Rows = list[tuple[str, ...]]

#: The most classes that are named one by one.
MAX_LABELS = 20
#: The most kinds of mistakes that are told of an arm.
MOST_CONFUSIONS = 10


def data_table(results: Results) -> TableRows:
    """The data, the models and the number of runs: what one must know to read the figures."""
    data, runs = results.data, results.runs
    labels = ", ".join(data.label_names[:MAX_LABELS])
    more = len(data.label_names) - MAX_LABELS
    counts = {"arm": len(results.arms), "split": len({r.split for r in runs}), "seed": len({r.seed for r in runs})}
    counts |= {"run": len(runs)}
    models = {
        f"{'Generator' if results.is_generated(arm) else 'Further rows'} of {arm}": name
        for arm, name in results.models.items()
        if arm != "classifier"
    }
    rows: Rows = [
        ("Data", " - ".join(part for part in (data.name, data.note) if part)),
        ("Classes", f"{labels} and {more} more" if more > 0 else labels),
        ("Labelled rows of a run", str(data.train_rows or "")),
        *((f"Rows of {name}", str(count)) for name, count in data.evaluations.items()),
        ("Classifier", results.models.get("classifier", "")),
        *((title, name) for title, name in models.items()),
        ("Runs", ", ".join(counted(count, word) for word, count in counts.items())),
        ("Compared with", f"{results.reference}, on {results.test}" if len(results.arms) > 1 else ""),
    ]
    return "Data", ("name", "value"), [row for row in rows if row[1]]


def cost_table(results: Results) -> TableRows:
    """Steps, time, and what generation took of it, by arm."""
    seconds = {arm: results.mean(arm, lambda run: run.seconds) for arm in results.arms}
    reference = seconds[results.reference]
    rows: Rows = [
        (
            arm,
            str(round(results.mean(arm, lambda run: run.steps)) or "-"),
            f"{of_arm:.0f}",
            f"{of_arm / reference:.2f} ×" if reference else "-",
            f"{100 * results.mean(arm, lambda run: run.wait):.1f} %",
            _generating(results, arm),
            figure(results.acceptance.get(arm, {}).get("per_second"), 2),
        )
        for arm, of_arm in seconds.items()
    ]
    header = ("arm", "steps", "seconds", "relative", "waiting", "generating, s", "accepted/s")
    return f"Time of a run, relative to {results.reference}", header, rows


def _generating(results: Results, arm: str) -> str:
    """The seconds that an arm's examples took; those among which it chooses are other arms' candidates, too."""
    if arm not in results.generating and results.is_generated(arm):
        return "not counted"
    return figure(results.generating.get(arm), 0)


def acceptance_table(results: Results, arm: str) -> TableRows:
    """The share of candidates that each filter of an arm accepted."""
    shares = results.acceptance.get(arm, {})
    rows: Rows = [
        (name.removeprefix("acceptance_"), f"{100 * share:.1f} %")
        for name, share in shares.items()
        if name.startswith("acceptance_")
    ]
    if shares:
        rows.append(("all filters", f"{100 * shares['acceptance']:.1f} %"))
    if "per_second" in shares:
        rows.append(("accepted examples in a second", figure(shares["per_second"], 2)))
    return f"{arm}: share accepted, of what reached each filter", ("filter", "accepted"), rows


def sample_table(arm: str, verdict: str, samples: Sequence[Sample]) -> TableRows:
    """An arm's samples of one verdict, with reasons and the nearest labelled rows where there are any."""
    samples = [sample for sample in samples if sample.verdict == verdict]
    columns = {"label": [s.label for s in samples], "example": [s.example for s in samples]}
    if any(s.reason for s in samples):
        columns["reason"] = [s.reason for s in samples]
    if any(s.nearest for s in samples):
        columns["nearest labelled row"] = [s.nearest for s in samples]
    if any(s.similarity is not None for s in samples):
        columns["similarity to the nearest"] = [figure(s.similarity, 2) for s in samples]
    return f"{arm}: {verdict} examples", tuple(columns), list(zip(*columns.values(), strict=True))


def memorization_table(results: Results, arms: Sequence[str]) -> TableRows:
    """Similarity of synthetic examples to the labelled rows, by arm."""
    measured = {arm: figures for arm, figures in results.memorization.items() if arm in arms}
    names = dict.fromkeys(name for figures in measured.values() for name in figures)
    rows: Rows = [(name.replace("_", " "), *(figure(m.get(name)) for m in measured.values())) for name in names]
    return "Memorisation: how near synthetic examples come to the labelled rows", ("measure", *measured), rows


def arm_table(results: Results, evaluation: str) -> TableRows:
    """Means and deviations of the metrics by arm."""
    header = ("arm", "n", "steps", "accuracy", "F1 macro", "ECE")
    rows: Rows = []
    for arm in results.arms:
        runs, row = results.distinct(arm), []
        for name in ("accuracy", "f1_macro", "expected_calibration_error"):
            values = results.metric(arm, evaluation, name)
            deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
            row.append(f"{np.mean(values):.3f}{deviation}" if values else "-")
        rows.append((arm, str(len(runs)), str(runs[0].steps or "-"), *row))
    if evaluation == results.test:
        rows += [(name, "-", "-", f"{share:.3f}", "-", "-") for name, share in untrained(results).items()]
    return f"{evaluation}: mean ± standard deviation over n runs", header, rows


def difference_table(differences: Sequence[Difference]) -> TableRows:
    """Differences with their intervals and verdicts, one or more."""
    header = ("arm", "points", "95 % interval", "over", "verdict")
    rows: Rows = [
        (
            d.arm,
            d.points,
            d.interval,
            f"{d.unit}, {counted(d.pairs, 'pair')}",
            d.verdict,
        )
        for d in differences
    ]
    return f"{differences[0].evaluation}: accuracy against {differences[0].reference}", header, rows


def statistics_table(differences: Sequence[Difference]) -> TableRows:
    """P-values, effect sizes and power, for those who ask for more than the verdict."""
    header = ("arm", "p", "p (Holm)", "Cohen's h", "Cohen's d_z", "points for 80 % power, about")
    rows: Rows = [
        (
            d.arm,
            *(figure(None if d.untested else value) for value in (d.p_value, d.p_holm)),
            *(figure(value) for value in (d.effect_size, d.d_z)),
            figure(None if d.detectable is None else 100 * d.detectable, 1),
        )
        for d in differences
    ]
    return f"{differences[0].evaluation}: tests against {differences[0].reference}", header, rows


def robustness_table(results: Results, evaluation: str, rows: Mapping[str, Mapping[str, float]]) -> TableRows:
    """The first and the last row of [`robustness_means`], and their difference."""
    clean, *_, perturbed = rows.values()
    header = ("arm", "not perturbed", "perturbed", "difference")
    of_arms: Rows = [
        (arm, f"{100 * clean[arm]:.1f}", f"{100 * mean:.1f}", f"{100 * (mean - clean[arm]):+.1f}")
        for arm, mean in perturbed.items()
    ]
    count = results.data.perturbed_rows
    which = f"{count} random rows" if count else "the same rows"
    return f"{evaluation}: accuracy on {which}, %", header, of_arms


def severity_table(results: Results, evaluation: str, arms: Sequence[str]) -> TableRows:
    """Accuracy by perturbation, arm and severity."""
    found = results.robustness(evaluation)
    most = max((len(values) for by_arm in found.values() for values in by_arm.values()), default=0)
    rows: Rows = [
        (name, arm, *(f"{100 * value:.1f}" for value in values), *["-"] * (most - len(values)))
        for name, by_arm in found.items()
        for arm, values in by_arm.items()
        if arm in (*arms, results.reference)
    ]
    header = ("perturbation", "arm", *(f"severity {s}" for s in range(1, most + 1)))
    return f"{evaluation}: accuracy by severity, %", header, rows


def generalization_table(results: Results) -> TableRows:
    """Accuracy on every evaluation set by arm."""
    rows: Rows = []
    for arm in results.arms:
        means = [results.metric(arm, name, "accuracy") for name in results.evaluations]
        rows.append((arm, *(f"{100 * np.mean(values):.1f}" if values else "-" for values in means)))
    return "Accuracy on each evaluation set, %", ("arm", *results.evaluations), rows


def class_table(results: Results, evaluation: str, name: str, words: str) -> TableRows:
    """A figure of each class by arm, and on how many rows it rests."""
    found, support = results.classes(evaluation, name), results.classes(evaluation, "support")
    arms = [arm for arm in results.arms if any(arm in row for row in found.values())]
    rows: Rows = [
        (label, f"{max(support[label].values()):.0f}", *(figure(by_arm.get(a) and 100 * by_arm[a], 1) for a in arms))
        for label, by_arm in found.items()
    ]
    return f"{evaluation}: {words} of each class, %", ("class", "rows", *arms), rows


def confusion_table(results: Results, arm: str) -> TableRows:
    """What validation rows were most often taken for while training, in an arm's first round and in its last."""
    found = results.confusions(arm)
    # Those of the first round, and those that came to it.
    most = sorted(found, key=lambda pair: (-max(found[pair]), pair))[:MOST_CONFUSIONS]
    rows: Rows = [
        (*(results.class_name(label) for label in pair), *(figure(rows, 1) for rows in found[pair])) for pair in most
    ]
    title = f"{arm}: validation rows that were taken for another class, the mean over runs"
    return title, ("class", "taken for", "first round", "last round"), rows


def changes_table(results: Results, name: str) -> TableRows:
    """Steps at which a logged figure changed, in each run."""
    rows: Rows = []
    for run in results.runs:
        logged = [(log["step"], log[name]) for log in run.curve if name in log]
        for (_, before), (step, after) in itertools.pairwise(logged):
            if after != before:
                rows.append((run.arm, str(run.split), str(run.seed), f"{step:.0f}", figure(before), figure(after)))
    return "Decisions", ("arm", "split", "seed", "step", "from", "to"), rows


def robustness_means(results: Results, evaluation: str) -> dict[str, dict[str, float]]:
    """
    Mean accuracy over severities, by perturbation, then by arm; before them accuracy on these rows as they are, after
    them the mean over perturbations. Empty if nothing was perturbed.
    """
    found = results.robustness(evaluation)
    if not found:
        return {}
    means = {name: {arm: float(np.mean(v)) for arm, v in by_arm.items()} for name, by_arm in found.items()}
    arms = list(dict.fromkeys(arm for by_arm in means.values() for arm in by_arm))
    over = {arm: float(np.mean([by_arm[arm] for by_arm in means.values() if arm in by_arm])) for arm in arms}
    whole = {arm: results.mean(arm, lambda run: run.unperturbed_accuracy(evaluation)) for arm in arms}
    return {"not perturbed": whole, **means, "mean, perturbed": over}


def figure(value: float | None, digits: int = 3) -> str:
    """A number as a cell of text; `-` for none."""
    if value is None or np.isnan(value):
        return "-"
    if isinstance(value, int):
        return str(value)
    if digits == 3 and 0 < abs(value) < 0.0005:
        return "< 0.001" if value > 0 else "> -0.001"
    return f"{value:.{digits}f}"
