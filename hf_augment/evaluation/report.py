"""What was found, for a terminal, for a reader of Markdown and as a picture."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from hf_augment.evaluation.comparison import ArmRun, Difference, compare, summarise
from hf_augment.synthesis.shards import ShardStore, acceptance, write_atomically


COLOURS = ("#5b6770", "#93a1ad", "#0b7a75", "#d1603d", "#7b4b94", "#b8860b")


@dataclass
class ReportFacts:
    """
    All that a report is made of.

    Args:
        title (`str`):
            What was run.
        settings (`dict[str, Any]`):
            What the figures depend on.
        runs (`list[ArmRun]`):
            All arms, the baselines first.
        reference (`str`):
            The arm that the others are compared with.
        test (`str`):
            The evaluation set of the verdict; the others are hold-outs.
        stores (`dict[str, ShardStore]`):
            The synthetic examples by arm.
        notes (`list[str]`, *optional*):
            Sentences that belong beside the table.
    """

    title: str
    settings: dict[str, Any]
    runs: list[ArmRun]
    reference: str
    test: str
    stores: dict[str, ShardStore]
    notes: list[str] = field(default_factory=list)

    @property
    def evaluations(self) -> list[str]:
        """The evaluation sets, the test set first."""
        return [self.test, *(name for name in self.runs[0].metrics if name != self.test)]

    @property
    def arms(self) -> list[str]:
        """The arms, in order of appearance."""
        return list(dict.fromkeys(run.arm for run in self.runs))

    def differences(self) -> list[Difference]:
        """Every arm against the reference, on every evaluation set."""
        others = [arm for arm in self.arms if arm != self.reference]
        return [compare(self.runs, arm, self.reference, name) for name in self.evaluations for arm in others]


def write_report(folder: Path, facts: ReportFacts, console: Console | None = None) -> dict[str, Any]:
    """
    Prints the findings and writes `results.json`, `report.md` and `report.png`.

    Args:
        folder (`Path`):
            Where to.
        facts (`ReportFacts`):
            What was found.
        console (`rich.console.Console`, *optional*):
            Where to print.

    Returns:
        `dict[str, Any]`: What is in `results.json`.
    """
    console = console or Console()
    folder.mkdir(parents=True, exist_ok=True)
    differences = facts.differences()
    funnels = {arm: acceptance(list(store.accounts())) for arm, store in facts.stores.items()}
    samples = {arm: example_rows(store) for arm, store in facts.stores.items()}
    results = {
        "title": facts.title,
        "settings": facts.settings,
        "runs": [{key: value for key, value in asdict(run).items() if key != "correct"} for run in facts.runs],
        "differences": [asdict(d) | {"verdict": d.verdict} for d in differences],
        "acceptance": funnels,
        "notes": facts.notes,
    }
    write_atomically(folder / "results.json", json.dumps(results, indent=1).encode())
    _plot(facts, differences, funnels).savefig(folder / "report.png", dpi=150)
    tables = [_arm_table(facts), _difference_table(differences)]
    tables += [_funnel_table(arm, funnel) for arm, funnel in funnels.items()]
    tables += [_sample_table(arm, rows) for arm, rows in samples.items()]
    write_atomically(folder / "report.md", _markdown(facts, tables).encode())
    for title, header, rows in tables:
        table = Table(*header, title=title, title_justify="left")
        for row in rows:
            # Generated text is untrusted: printed as it is, not as markup.
            table.add_row(*(_printable(cell) for cell in row))
        console.print(table)
    for note in facts.notes:
        console.print(note, markup=False)
    console.print(f"Report: {folder / 'report.md'}, picture: {folder / 'report.png'}", markup=False)
    return results


TableRows = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


def _arm_table(facts: ReportFacts) -> TableRows:
    header = ["arm", "n", "steps", "seconds"]
    header += [f"{name}: {metric}" for name in facts.evaluations for metric in ("accuracy", "F1 macro", "ECE")]
    keys = ("accuracy", "f1_macro", "expected_calibration_error")
    rows = []
    for arm in facts.arms:
        of_arm = [run for run in facts.runs if run.arm == arm]
        row = [arm, str(len(of_arm)), str(of_arm[0].steps)]
        row.append(f"{sum(run.seconds for run in of_arm) / len(of_arm):.0f}")
        for name in facts.evaluations:
            for key in keys:
                mean, std, _ = summarise(of_arm, name, key)[arm]
                row.append(f"{mean:.3f} ± {std:.3f}")
        rows.append(tuple(row))
    return "Arms (mean ± standard deviation over n runs)", tuple(header), rows


def _difference_table(differences: Sequence[Difference]) -> TableRows:
    header = ("evaluation", "arm", "against", "accuracy, points", "95 % interval", "over", "verdict")
    rows = [
        (
            d.evaluation,
            d.arm,
            d.reference,
            f"{100 * d.mean:+.1f}",
            f"{100 * d.low:+.1f} to {100 * d.high:+.1f}",
            f"{d.unit} ({d.pairs} pairs)",
            d.verdict,
        )
        for d in differences
    ]
    return "Against the baseline with the same number of steps", header, rows


def _funnel_table(arm: str, funnel: dict[str, float]) -> TableRows:
    rows = [
        (name.removeprefix("acceptance_"), f"{100 * share:.1f} %")
        for name, share in funnel.items()
        if name.startswith("acceptance_")
    ]
    rows.append(("all filters", f"{100 * funnel.get('acceptance', 0.0):.1f} %"))
    rows.append(("accepted examples in a second", f"{funnel.get('per_second', 0.0):.2f}"))
    return f"{arm}: share accepted, of what reached each filter", ("filter", "accepted"), rows


def example_rows(store: ShardStore, each: int = 6) -> list[tuple[str, ...]]:
    """`each` accepted and as many rejected examples, the latter of different filters where there are."""
    accepted, rejected = [], []
    for index in store.indices():
        shard = store.read(index)
        for label, example in zip(shard.labels, shard.examples, strict=True):
            accepted.append(("accepted", store.label_names[label], _text(example), ""))
        for reject in shard.reject_sample:
            label = store.label_names[reject["label"]]
            reason = f"{reject['filter']}: {reject['reason']}"
            rejected.append(("rejected", label, _text(reject["example"]), reason))
    by_filter: dict[str, list[tuple[str, ...]]] = {}
    for row in rejected:
        by_filter.setdefault(row[3].partition(":")[0], []).append(row)
    chosen: list[tuple[str, ...]] = []
    while len(chosen) < min(each, len(rejected)):
        chosen += [rows.pop(0) for rows in by_filter.values() if rows]
    return accepted[:each] + chosen[:each]


def _sample_table(arm: str, rows: list[tuple[str, ...]]) -> TableRows:
    return f"{arm}: examples", ("verdict", "label", "example", "reason"), rows


def _text(example: dict[str, Any]) -> str:
    text = " ".join(str(value) for value in example.values())
    return text if len(text) <= 160 else text[:159] + "…"


def _printable(cell: str) -> Any:
    from rich.text import Text

    return Text("".join(c if c.isprintable() else " " for c in cell))


def _markdown(facts: ReportFacts, tables: Sequence[TableRows]) -> str:
    def cell(value: str) -> str:
        escaped = html.escape("".join(c if c.isprintable() else " " for c in value))
        # So that a generated text is neither a link, nor an image, nor a further column.
        return "".join(f"\\{c}" if c in "\\`*_[]|!" else c for c in escaped)

    lines = [f"# {facts.title}", "", "![Accuracy by arm, differences and acceptance](report.png)", ""]
    for title, header, rows in tables:
        lines += [f"## {title}", "", f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
        lines += [f"| {' | '.join(cell(value) for value in row)} |" for row in rows] + [""]
    lines += [*(f"- {cell(note)}" for note in facts.notes), "", "## Settings", "", "```json"]
    lines += [json.dumps(facts.settings, indent=1, ensure_ascii=True).replace("```", "` ` `"), "```", ""]
    return "\n".join(lines)


def _plot(facts: ReportFacts, differences: Sequence[Difference], funnels: dict[str, dict[str, float]]) -> Figure:
    matplotlib.use("Agg", force=False)
    colours = {arm: COLOURS[i % len(COLOURS)] for i, arm in enumerate(facts.arms)}
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.5, 1.2, 1])
    _plot_arms(left, facts, colours)
    test = [d for d in differences if d.evaluation == facts.test]
    for y, d in enumerate(test):
        middle.plot([100 * d.low, 100 * d.high], [y, y], color=colours[d.arm], linewidth=3, solid_capstyle="round")
        middle.plot(100 * d.mean, y, "o", color=colours[d.arm])
        middle.annotate(d.verdict, (100 * d.mean, y), (0, 9), textcoords="offset points", ha="center", fontsize=8)
    middle.axvline(0, color="black", linewidth=0.8)
    middle.set_yticks(range(len(test)), [d.arm for d in test])
    middle.set_ylim(-0.6, len(test) - 0.2)
    middle.set_xlabel("points of accuracy, 95 % interval")
    middle.set_title(f"Against {facts.reference} ({facts.test})", fontsize=10)
    for i, (arm, funnel) in enumerate(funnels.items()):
        names = [name for name in funnel if name.startswith("acceptance")][::-1]
        labels = [name.removeprefix("acceptance_").replace("acceptance", "all filters") for name in names]
        height = 0.8 / len(funnels)
        positions = [y + i * height for y in range(len(names))]
        right.barh(positions, [100 * funnel[name] for name in names], height, color=colours[arm], label=arm)
        right.set_yticks(range(len(names)), labels)
    right.set_xlabel("accepted, %")
    right.set_xlim(0, 100)
    right.set_title("Candidates accepted", fontsize=10)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plot_arms(axes: Any, facts: ReportFacts, colours: dict[str, str]) -> None:
    width = 0.8 / len(facts.arms)
    for i, arm in enumerate(facts.arms):
        for x, name in enumerate(facts.evaluations):
            position = x + (i - (len(facts.arms) - 1) / 2) * width
            values = [run.metrics[name]["accuracy"] for run in facts.runs if run.arm == arm]
            mean = summarise([run for run in facts.runs if run.arm == arm], name, "accuracy")[arm][0]
            axes.bar(position, mean, width * 0.9, color=colours[arm], alpha=0.75, label=arm if x == 0 else None)
            axes.plot([position] * len(values), values, ".", color="black", markersize=4)
    axes.set_xticks(range(len(facts.evaluations)), facts.evaluations)
    axes.set_ylabel("accuracy")
    lowest = min(run.metrics[name]["accuracy"] for run in facts.runs for name in facts.evaluations)
    axes.set_ylim(max(0.0, lowest - 0.1), 1.0)
    axes.set_title("Accuracy (bar: mean, dot: run)", fontsize=10)
    axes.legend(fontsize=7, loc="upper left", frameon=False, ncols=2)
