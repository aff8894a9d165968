"""The report's pictures: small panels that are legible at the width of a phone, and an overview of three."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font

from hf_augment.evaluation.comparison import ArmRun, Difference
from hf_augment.reporting.results import Results
from hf_augment.reporting.samples import Sample


#: Colours of the arms in their order, greys for the baselines.
COLOURS = (
    *("#5b6770", "#9aa5ae", "#0b7a75", "#d1603d", "#7b4b94"),
    *("#c8961a", "#2f6fb0", "#b5446e", "#6a8f2f", "#7a5236"),
)
#: Inches. A picture that fills a phone has letters of a readable size.
WIDTH = 4.8
SMALL, LARGE = 7.5, 9.0


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file, sharp on a screen of two pixels to the point."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=200 if figure.get_figwidth() <= WIDTH else 150)
    return picture.getvalue()


def overview(results: Results) -> Figure:
    """Accuracy on the test set, differences from the reference and acceptance, side by side."""
    funnels = _filled(results.acceptance)
    rows = max(4, len(results.arms), len(_filters(funnels)) if funnels else 0)
    figure = Figure(figsize=(13 if funnels else 9, 1.4 + 0.5 * rows), layout="constrained")
    panels = figure.subplots(1, 3 if funnels else 2, width_ratios=[1, 1.1, 1][: 3 if funnels else 2])
    _accuracy(panels[0], results)
    _differences(panels[1], results, results.on(results.test), names=False)
    if funnels:
        _acceptance(panels[2], results, funnels)
        figure.legend(*_legend(panels[2], funnels), loc="outside lower right", ncols=4, fontsize=LARGE, frameon=False)
    return figure


def accuracy(results: Results) -> Figure:
    """Accuracy on the test set by arm."""
    figure, axes = _panel(1.1 + 0.42 * len(results.arms))
    _accuracy(axes, results)
    return figure


def differences(results: Results, evaluation: str) -> Figure:
    """Differences from the reference on one evaluation set."""
    figure, axes = _panel(1.1 + 0.42 * len(results.arms))
    _differences(axes, results, results.on(evaluation))
    return figure


def acceptance(results: Results) -> Figure:
    """The share of candidates that the filters accepted, by arm."""
    funnels = _filled(results.acceptance)
    height = 1.0 + len(_filters(funnels)) * (0.2 + 0.16 * len(funnels))
    figure, axes = _panel(height)
    _acceptance(axes, results, funnels)
    _legend_below(figure, *_legend(axes, funnels))
    return figure


def curves(results: Results, names: Mapping[str, str]) -> Figure:
    """
    Logs of the training, a panel for each of `names` with its label: a thick line for the mean of an arm's runs, a
    thin one for each run.
    """
    figure = Figure(figsize=(WIDTH, 0.8 + 1.7 * len(names)), layout="constrained")
    shown: dict[str, Any] = {}
    panels = figure.subplots(len(names), sharex=True, squeeze=False)[:, 0]
    for axes, (name, label) in zip(panels, names.items(), strict=True):
        for arm, colour in _colours(results).items():
            lines = [_logged(run, name) for run in results.of_arm(arm)]
            lines = [line for line in lines if line]
            if len(lines) > 1:
                for line in lines:
                    axes.plot(line.keys(), line.values(), color=colour, linewidth=0.6, alpha=0.35)
            # The mean of what all runs have: where one is missing, another would look like a jump.
            steps = sorted(set.intersection(*map(set, lines))) if lines else []
            if steps:
                means = [np.mean([line[step] for line in lines]) for step in steps]
                marker = "o" if len(steps) == 1 else None
                shown[arm] = axes.plot(steps, means, color=colour, linewidth=1.6, marker=marker, markersize=4)[0]
        _tidy(axes, grid="both")
        if name.startswith("synthetic_"):
            # Shares: small changes shall look small.
            axes.set_ylim(0, 1.05)
        axes.set_ylabel(_plain(label), fontsize=LARGE)
    axes.set_xlabel("optimizer step", fontsize=LARGE)
    _legend_below(figure, list(shown.values()), [_plain(arm) for arm in shown])
    return figure


def class_shares(results: Results, arms: Sequence[str]) -> Figure:
    """
    The shares of the classes among what each of these arms chose, by round, the mean over runs: of many classes, those
    that moved most.
    """
    figure = Figure(figsize=(WIDTH, 1.0 + 1.9 * len(arms)), layout="constrained")
    panels = figure.subplots(len(arms), sharex=True, squeeze=False)[:, 0]
    found = {arm: results.class_shares(arm) for arm in arms}
    moves = sum(np.ptp(list(shares.values()), axis=0) for shares in found.values())
    most = sorted(np.argsort(-np.asarray(moves), kind="stable")[: len(COLOURS)].tolist())
    lines = {}
    for axes, (arm, shares) in zip(panels, found.items(), strict=True):
        for label, colour in zip(most, COLOURS, strict=False):
            values = [100 * of_round[label] for of_round in shares.values()]
            lines[label] = axes.plot(shares.keys(), values, "o-", color=colour, linewidth=1.6, markersize=3)[0]
        _tidy(axes, grid="both")
        axes.set_ylabel("share, %", fontsize=LARGE)
        axes.set_title(_plain(arm), fontsize=LARGE)
    axes.set_xlabel("optimizer step of the round", fontsize=LARGE)
    _legend_below(figure, list(lines.values()), [_plain(results.class_name(label)) for label in lines])
    return figure


def heat_map(results: Results, values: Mapping[str, Mapping[str, float]], title: str, unit: str) -> Figure:
    """
    A table of shares in `[0, 1]`, by row, then by arm, whose colours say in `unit` (`"points of accuracy"`) how an arm
    differs from the reference.
    """
    arms = [arm for arm in results.arms if any(arm in row for row in values.values())]
    table = 100 * np.array([[row.get(arm, np.nan) for arm in arms] for row in values.values()])
    coloured = results.reference in arms and len(arms) > 1
    gains = table - table[:, [arms.index(results.reference)]] if coloured else np.zeros_like(table)
    limit = max(float(np.nanmax(np.abs(gains))), 1.0)
    figure = Figure(figsize=(WIDTH, 1.6 + 0.24 * len(values) + 0.4 * coloured), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(gains, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    for y, x in np.argwhere(~np.isnan(table)):
        dark = abs(gains[y, x]) > 0.6 * limit
        axes.text(
            x, y, f"{table[y, x]:.1f}", ha="center", va="center", fontsize=SMALL, color="white" if dark else "black"
        )
    axes.set_xticks(range(len(arms)), [_plain(arm) for arm in arms], rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(values)), [_plain(name) for name in values])
    axes.tick_params(labelsize=SMALL, length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(_plain(title, 60), fontsize=LARGE)
    if coloured:
        bar = figure.colorbar(image, ax=axes, location="bottom", aspect=40, pad=0.02)
        bar.set_label(_plain(f"{unit} against {results.reference}", 60), fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
        bar.outline.set_visible(False)
    return figure


def generalization(results: Results) -> Figure:
    """Accuracy on every evaluation set by arm."""
    height = len(results.evaluations) * (0.25 + 0.17 * len(results.arms))
    figure, axes = _panel(1.1 + height)
    thickness = 0.82 / len(results.arms)
    for i, (arm, colour) in enumerate(_colours(results).items()):
        for y, name in enumerate(results.evaluations):
            position = y + (i - (len(results.arms) - 1) / 2) * thickness
            values = [run.metrics[name]["accuracy"] for run in results.of_arm(arm)]
            mean, label = float(np.mean(values)), _plain(arm) if y == 0 else None
            axes.barh(position, 100 * mean, 0.9 * thickness, color=colour, label=label)
            axes.plot(100 * np.array(values), [position] * len(values), "|", color="black", alpha=0.5, markersize=4)
            axes.text(100 * max(values) + 1.5, position, f"{100 * mean:.1f}", va="center", fontsize=SMALL - 1)
    names = [_plain(name) + ("\n(verdict)" if name == results.test else "") for name in results.evaluations]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 108)
    axes.set_xticks(range(0, 101, 20))
    _tidy(axes, grid="x")
    axes.set_xlabel("accuracy, % (bar: mean, tick: run)", fontsize=LARGE)
    _legend_below(figure, *axes.get_legend_handles_labels())
    return figure


def images(samples: Sequence[Sample]) -> Figure:
    """The images among samples, with their classes."""
    figure = Figure(figsize=(WIDTH, 1.2), layout="constrained")
    for axes, sample in zip(figure.subplots(1, len(samples), squeeze=False)[0], samples, strict=True):
        image = np.asarray(sample.image)
        axes.imshow(image if image.shape[2] == 3 else image[:, :, 0], cmap="gray", vmin=0, vmax=255)
        axes.set_title(_plain(sample.label, 10), fontsize=SMALL)
        axes.set_axis_off()
    return figure


# Panels.


def _accuracy(axes: Any, results: Results) -> None:
    colours = _colours(results)
    for y, (arm, colour) in enumerate(colours.items()):
        values = [100 * run.metrics[results.test]["accuracy"] for run in results.of_arm(arm)]
        axes.plot(values, [y] * len(values), "o", color=colour, markersize=4.5, alpha=0.45, markeredgewidth=0)
        axes.plot([np.mean(values)] * 2, [y - 0.3, y + 0.3], color=colour, linewidth=3, solid_capstyle="round")
    _arms_on_y(axes, list(colours))
    _tidy(axes, grid="x")
    axes.set_xlabel("accuracy, % (line: mean, dot: run)", fontsize=LARGE)
    axes.set_title(f"{_plain(results.test)}\naccuracy", fontsize=LARGE + 1)


def _differences(axes: Any, results: Results, found: Sequence[Difference], names: bool = True) -> None:
    colours = _colours(results)
    arms = list(colours)
    # In the middle of the panel: a text at the point would leave the panel where the point is at its edge.
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "center"}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.8}
    for d in found:
        y = arms.index(d.arm)
        axes.plot([100 * d.low, 100 * d.high], [y, y], color=colours[d.arm], linewidth=3, solid_capstyle="round")
        axes.plot(100 * d.mean, y, "o", color=colours[d.arm], markersize=7)
        axes.annotate(d.verdict.partition(":")[0], (0.5, y), (0, 6), fontsize=SMALL, bbox=box, **place)
    if results.reference in arms:
        y = arms.index(results.reference)
        axes.plot(0, y, "D", color=colours[results.reference], markersize=6)
        axes.annotate("reference", (0.5, y), (0, 6), fontsize=SMALL, bbox=box, color="#555555", **place)
    axes.axvline(0, color="black", linewidth=0.8, zorder=0)
    _arms_on_y(axes, arms if names else [""] * len(arms))
    _tidy(axes, grid="x")
    axes.set_xlabel("points of accuracy, 95 % interval", fontsize=LARGE)
    evaluation = found[0].evaluation if found else results.test
    # On two lines, since the picture ends where a title of the longest names does not.
    axes.set_title(f"{_plain(evaluation)}\nagainst {_plain(results.reference, 22)}", fontsize=LARGE + 1)


def _acceptance(axes: Any, results: Results, funnels: Mapping[str, Mapping[str, float]]) -> None:
    names, colours = _filters(funnels), _colours(results)
    thickness = 0.8 / len(funnels)
    for i, (arm, funnel) in enumerate(funnels.items()):
        for y, name in enumerate(names):
            # Arms may have different filters.
            if name in funnel:
                position, share = y + (i - (len(funnels) - 1) / 2) * thickness, 100 * funnel[name]
                label = _plain(arm) if name == "acceptance" else None
                axes.barh(position, share, 0.9 * thickness, color=colours.get(arm, "black"), label=label)
                axes.text(share + 1.5, position, f"{share:.0f}", va="center", fontsize=SMALL)
    labels = [name.removeprefix("acceptance_").replace("_", " ") for name in names]
    axes.set_yticks(range(len(names)), [_plain(label) for label in [*labels[:-1], "all filters"]])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 108)
    axes.set_xticks(range(0, 101, 20))
    _tidy(axes, grid="x")
    axes.set_xlabel("accepted, % of what reached the filter", fontsize=LARGE)
    axes.set_title("Candidates accepted", fontsize=LARGE + 1)


# What the panels share.


def _panel(height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _tidy(axes: Any, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=LARGE)


def _arms_on_y(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [_plain(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


def _legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    # In two columns, names of the longest kind do not leave a narrow picture.
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=SMALL + 0.5, frameon=False)


def _legend(axes: Any, funnels: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    return (handles, labels) if len(funnels) > 1 else ([], [])


def _colours(results: Results) -> dict[str, str]:
    return {arm: COLOURS[i % len(COLOURS)] for i, arm in enumerate(results.arms)}


def _filled(funnels: Mapping[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {arm: funnel for arm, funnel in funnels.items() if funnel}


def _filters(funnels: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The filters of all arms, and `"acceptance"`, that of all of them."""
    names = dict.fromkeys(name for funnel in funnels.values() for name in funnel if name.startswith("acceptance_"))
    return [*names, "acceptance"]


def _logged(run: ArmRun, name: str) -> dict[float, float]:
    return {log["step"]: log[name] for log in run.curve if name in log}


def _plain(text: str, longest: int = 26) -> str:
    """Text that matplotlib shows as it is, cut to what has room beside a panel."""
    font = get_font(findfont(FontProperties()))
    shown = "".join(c if c.isprintable() and font.get_char_index(ord(c)) else "\ufffd" for c in text)
    if len(shown) > longest:
        # In the middle, since names of arms begin alike.
        shown = f"{shown[: longest - longest // 2 - 1]}…{shown[-(longest // 2) :]}"
    # A pair of dollars would be a formula.
    return shown.replace("$", "\\$")
