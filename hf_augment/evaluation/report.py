"""What was found, for a terminal, for a reader of Markdown and as a picture."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hf_augment.evaluation.comparison import ArmRun, Difference, compare, summarise
from hf_augment.synthesis.shards import ShardStore, acceptance, summarise_array, write_atomically


COLOURS = ("#5b6770", "#93a1ad", "#0b7a75", "#d1603d", "#7b4b94", "#b8860b")


#: Title, header, rows.
TableRows = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


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
        tables (`list[TableRows]`, *optional*):
            Further tables: title, header, rows.
        pictures (`dict[str, str]`, *optional*):
            Further pictures that lie in the report's folder: file names and what they show.
        command (`str`, *optional*):
            What was typed to get the figures.
        versions (`dict[str, str]`, *optional*):
            Of Python and the libraries.
        data (`dict[str, Any]`, *optional*):
            `name`, `note`, `label_names`, `train_rows` (labelled rows of a run) and `evaluations` (rows by name).
        models (`dict[str, str]`, *optional*):
            `classifier`, and each generator by its arm: names a reader can look up.
        memorization (`dict[str, dict[str, float]]`, *optional*):
            By arm, how near synthetic examples come to the labelled rows: what it says is shown as it is.
        nearest (`dict[str, Callable]`, *optional*):
            By arm, a function from a list of raw examples to the nearest labelled row of each: a list of
            `(text, similarity in [0, 1])`.
    """

    title: str
    settings: dict[str, Any]
    runs: list[ArmRun]
    reference: str
    test: str
    stores: dict[str, ShardStore]
    notes: list[str] = field(default_factory=list)
    tables: list[TableRows] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    memorization: dict[str, dict[str, float]] = field(default_factory=dict)
    nearest: dict[str, Callable[[list[dict[str, Any]]], list[tuple[str, float]]]] = field(default_factory=dict)

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
        "tables": facts.tables,
    }
    write_atomically(folder / "results.json", json.dumps(results, indent=1, default=str).encode())
    picture = io.BytesIO()
    _plot(facts, differences, funnels).savefig(picture, format="png", dpi=150)
    write_atomically(folder / "report.png", picture.getvalue())
    tables = []
    for name in facts.evaluations:
        tables.append(_arm_table(facts, name))
        tables.append(_difference_table(facts, name, [d for d in differences if d.evaluation == name]))
    tables += facts.tables
    tables += [_funnel_table(arm, funnel) for arm, funnel in funnels.items()]
    tables += [_sample_table(arm, rows) for arm, rows in samples.items()]
    write_atomically(folder / "report.md", _markdown(facts, tables).encode())
    # Generated text is untrusted: printed as it is, not as markup.
    for title, header, rows in tables:
        if rows:
            table = Table(*header, title=_printable(title), title_justify="left")
            for row in rows:
                table.add_row(*map(_printable, row))
            console.print(table)
    for note in facts.notes:
        console.print(_printable(note))
    console.print(Text(f"Report: {folder / 'report.md'}, picture: {folder / 'report.png'}"), soft_wrap=True)
    return results


def _arm_table(facts: ReportFacts, evaluation: str) -> TableRows:
    header = ("arm", "n", "steps", "seconds", "accuracy", "F1 macro", "ECE")
    rows: list[tuple[str, ...]] = []
    for arm in facts.arms:
        of_arm = [run for run in facts.runs if run.arm == arm]
        seconds = sum(run.seconds for run in of_arm) / len(of_arm)
        row = [arm, str(len(of_arm)), str(of_arm[0].steps), f"{seconds:.0f}"]
        for key in ("accuracy", "f1_macro", "expected_calibration_error"):
            mean, std, _ = summarise(of_arm, evaluation, key)[arm]
            row.append(f"{mean:.3f} ± {std:.3f}" if len(of_arm) > 1 else f"{mean:.3f}")
        rows.append(tuple(row))
    return f"{evaluation}: mean ± standard deviation over n runs", header, rows


def _difference_table(facts: ReportFacts, evaluation: str, differences: Sequence[Difference]) -> TableRows:
    header = ("arm", "points", "95 % interval", "over", "verdict")
    rows: list[tuple[str, ...]] = [
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


def _funnel_table(arm: str, funnel: dict[str, float]) -> TableRows:
    rows: list[tuple[str, ...]] = [
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
    text = " ".join(str(value) if np.ndim(value) == 0 else summarise_array(value) for value in example.values())
    return text if len(text) <= 160 else text[:159] + "…"


def _printable(text: str) -> Text:
    return Text("".join(c if c.isprintable() else " " for c in text))


def _escape(text: str) -> str:
    """Markdown that shows the text: no link, image, HTML, formula or further column."""
    plain = html.escape(_printable(text).plain, quote=False)
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|!~$@" else c for c in plain)
    # Bare addresses become links too.
    return escaped.replace("://", ":\\//").replace("www.", "www\\.")


def _markdown(facts: ReportFacts, tables: Sequence[TableRows]) -> str:
    lines = [f"# {_escape(facts.title)}", "", "![Accuracy by arm, differences and acceptance](report.png)", ""]
    for title, header, rows in tables:
        if rows:
            lines += [f"## {_escape(title)}", "", f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
            lines += [f"| {' | '.join(map(_escape, row))} |" for row in rows] + [""]
    for name, caption in facts.pictures.items():
        lines += [f"## {_escape(caption)}", "", f"![{_escape(caption)}]({name})", ""]
    lines += [*(f"- {_escape(note)}" for note in facts.notes), "", "## Settings", "", "```json"]
    lines += [json.dumps(facts.settings, indent=1, ensure_ascii=True, default=str).replace("```", "` ` `"), "```", ""]
    return "\n".join(lines)


def _plot(facts: ReportFacts, differences: Sequence[Difference], funnels: dict[str, dict[str, float]]) -> Figure:
    colours = {arm: COLOURS[i % len(COLOURS)] for i, arm in enumerate(facts.arms)}
    figure = Figure(figsize=(13, 1.8 + 0.55 * max(4, len(facts.arms))), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.5, 1.3, 1])
    _plot_arms(left, facts, colours)
    test = [d for d in differences if d.evaluation == facts.test]
    for y, d in enumerate(test):
        middle.plot([100 * d.low, 100 * d.high], [y, y], color=colours[d.arm], linewidth=3, solid_capstyle="round")
        middle.plot(100 * d.mean, y, "o", color=colours[d.arm])
        # In the middle of the panel: a text at the point would leave the panel where the point is at its edge.
        place, box = ("axes fraction", "data"), {"facecolor": "white", "edgecolor": "none", "pad": 1}
        middle.annotate(d.verdict, (0.5, y), (0, 8), place, "offset points", ha="center", fontsize=8, bbox=box)
    middle.axvline(0, color="black", linewidth=0.8)
    middle.set_yticks(range(len(test)), [_plain(d.arm) for d in test])
    middle.set_ylim(max(len(test), 1) - 0.4, -0.6)
    middle.set_xlabel("points of accuracy, 95 % interval")
    middle.set_title(_plain(f"{facts.test}: against {facts.reference}"), fontsize=10)
    _plot_funnels(right, funnels, colours)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(COLOURS), fontsize=9, frameon=False)
    return figure


def _plot_arms(axes: Any, facts: ReportFacts, colours: dict[str, str]) -> None:
    width = 0.8 / len(facts.arms)
    for i, arm in enumerate(facts.arms):
        of_arm = [run for run in facts.runs if run.arm == arm]
        for x, name in enumerate(facts.evaluations):
            position = x + (i - (len(facts.arms) - 1) / 2) * width
            mean = summarise(of_arm, name, "accuracy")[arm][0]
            label = _plain(arm) if x == 0 else None
            ends = [position - 0.45 * width, position + 0.45 * width]
            axes.plot(ends, [mean, mean], color=colours[arm], linewidth=3, label=label)
            values = [run.metrics[name]["accuracy"] for run in of_arm]
            axes.plot([position] * len(values), values, "o", color=colours[arm], markersize=4, alpha=0.6)
    axes.set_xticks(range(len(facts.evaluations)), [_plain(name) for name in facts.evaluations])
    axes.set_xlim(-0.6, len(facts.evaluations) - 0.4)
    axes.set_ylabel("accuracy")
    axes.grid(axis="y", alpha=0.3)
    axes.set_title("Accuracy (line: mean, dot: run)", fontsize=10)


def _plot_funnels(axes: Any, funnels: dict[str, dict[str, float]], colours: dict[str, str]) -> None:
    names = list(
        dict.fromkeys(name for funnel in funnels.values() for name in funnel if name.startswith("acceptance_"))
    )
    names.append("acceptance")
    height = 0.8 / max(len(funnels), 1)
    for i, (arm, funnel) in enumerate(funnels.items()):
        # Arms may have different filters.
        shown = [(y, funnel[name]) for y, name in enumerate(names) if name in funnel]
        positions = [y + (i - (len(funnels) - 1) / 2) * height for y, _ in shown]
        axes.barh(positions, [100 * share for _, share in shown], height * 0.9, color=colours[arm])
    labels = [name.removeprefix("acceptance_").replace("_", " ") for name in names]
    axes.set_yticks(range(len(names)), [_plain(label) for label in [*labels[:-1], "all filters"]])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("accepted, %")
    axes.set_xlim(0, 100)
    axes.set_title("Candidates accepted by each filter", fontsize=10)


def _plain(text: str) -> str:
    # A pair of dollars would be a formula.
    return text.replace("$", "\\$")
