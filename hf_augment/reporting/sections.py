"""The report's chapters, which the page, Markdown and the terminal show each in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from hf_augment.evaluation.robustness import TableRows
from hf_augment.reporting import plots, tables
from hf_augment.reporting.cards.facts import perturbed
from hf_augment.reporting.facts import Findings, ReportFacts


#: Rows of a picture that one can still take in.
MOST_CLASSES = 25


@dataclass
class Picture:
    """
    A picture of a report.

    Args:
        caption (`str`):
            What it shows, in words for those who do not see it too.
        content (`bytes`):
            Of the PNG file.
        file (`str`, *optional*):
            Its name in the report's folder, if it is to lie there.
    """

    caption: str
    content: bytes = field(repr=False)
    file: str = ""


@dataclass
class Section:
    """
    A chapter of a report.

    Args:
        title (`str`):
            Its heading.
        text (`list[str]`, *optional*):
            What one must know to read it.
        pictures (`list[Picture]`, *optional*):
            Beside the tables, which hold the same figures.
        tables (`list[TableRows]`, *optional*):
            For every reader; those without rows are left out.
        folded (`list[TableRows]`, *optional*):
            For readers of the page who look closer; those without rows are left out.
    """

    title: str
    text: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[TableRows] = field(default_factory=list)
    folded: list[TableRows] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tables = [table for table in self.tables if table[2]]
        self.folded = [table for table in self.folded if table[2]]


def make_sections(findings: Findings) -> list[Section]:
    """
    Arranges what was found.

    Args:
        findings ([`Findings`]):
            What was found.

    Returns:
        `list[Section]`: What it cost, what the model was shown, then the evidence; only those with content.
    """
    facts = findings.facts
    made = [
        _cost(findings),
        _shown(findings),
        _accuracy(findings),
        _curves(facts),
        _robustness(findings),
        _generalization(findings),
        _classes(facts),
        _guard(facts),
        Section("Further figures", tables=facts.tables),
    ]
    return [section for section in made if section.tables or section.pictures]


def _cost(findings: Findings) -> Section:
    text = [
        "Seconds are the wall time of a run's training, the mean over runs; waiting is the share of it spent waiting "
        "for generation. Generating is the time the first split's synthetic examples took, which all its runs share. "
        "Training a generator, or classifiers that judge labels, is not among them."
    ]
    return Section("What did it cost?", text, tables=[tables.cost_table(findings)])


def _shown(findings: Findings) -> Section:
    facts, pictures = findings.facts, []
    if any(findings.acceptance.values()):
        pictures.append(
            _picture("Of the candidates that reached a filter, the share it accepted", plots.acceptance(findings))
        )
    for arm, samples in findings.samples.items():
        of_images = [sample for sample in samples if sample.image is not None]
        if of_images:
            pictures.append(_picture(f"{arm}: accepted images under the class asked for", plots.images(of_images)))
    shown = [
        tables.sample_table(arm, verdict, [sample for sample in samples if sample.verdict == verdict])
        for arm, samples in findings.samples.items()
        for verdict in ("accepted", "rejected")
    ]
    funnels = [tables.funnel_table(arm, funnel) for arm, funnel in findings.acceptance.items()]
    made = [*shown, *funnels, tables.memorization_table(facts)]
    return Section("What was the model shown?", pictures=pictures, tables=made)


def _accuracy(findings: Findings) -> Section:
    facts, test = findings.facts, findings.facts.test
    picture = _picture(f"{test}: accuracy by arm", plots.accuracy(facts))
    pictures, shown, folded = _differences(findings, test)
    return Section("Accuracy", [], [picture, *pictures], [tables.arm_table(facts, test), *shown], folded)


def _differences(findings: Findings, name: str) -> tuple[list[Picture], list[TableRows], list[TableRows]]:
    facts, found = findings.facts, findings.on(name)
    if not found:
        return [], [], []
    caption = f"{name}: difference in accuracy from {facts.reference}, with its 95 % interval"
    picture = _picture(caption, plots.differences(findings, name))
    folded = [tables.words_table(name, found), tables.statistics_table(facts, name, found)]
    return [picture], [tables.difference_table(facts, name, found)], folded


def _curves(facts: ReportFacts) -> Section:
    logged = dict.fromkeys(name for run in facts.runs for log in run.curve for name in log)
    ends = ("_loss", "_accuracy", "_f1_macro")
    learning = {"loss": "training loss"} if "loss" in logged else {}
    learning |= {name: name.replace("_", " ") for name in logged if name.startswith("eval_") and name.endswith(ends)}
    blend = {
        "synthetic_ratio": "synthetic, share of rows",
        "synthetic_wait": "waiting, share of time",
        "synthetic_acceptance": "accepted, share",
    }
    pictures = _curve_picture(facts, learning, "Learning curves: the mean over runs, and each run thin", "curves.png")
    blend = {name: label for name, label in blend.items() if name in logged}
    pictures += _curve_picture(facts, blend, "What was blended in while training, and what it waited for")
    return Section("Learning curves", pictures=pictures)


def _curve_picture(facts: ReportFacts, names: Mapping[str, str], caption: str, file: str = "") -> list[Picture]:
    return [_picture(caption, plots.curves(facts, names), file)] if names else []


def _robustness(findings: Findings) -> Section:
    facts = findings.facts
    section = Section("Robustness", ["Accuracy on perturbed rows, the mean over runs and over severities."])
    for name in facts.evaluations:
        rows = tables.robustness_means(facts, name)
        if rows:
            title = f"{name}: accuracy under perturbation, %"
            figure = plots.heat_map(facts, rows, title, "points of accuracy")
            file = "robustness.png" if name == facts.test else ""
            section.pictures.append(_picture(f"{title}; colours: against {facts.reference}", figure, file))
            section.tables.append(tables.robustness_table(facts, name, rows))
            pictures, shown, folded = _differences(findings, perturbed(name))
            section.pictures += pictures
            section.tables += shown
            section.folded += [tables.severity_table(facts, name), *folded]
    return section


def _generalization(findings: Findings) -> Section:
    facts = findings.facts
    section = Section("Generalisation")
    if len(facts.evaluations) > 1:
        section.text.append(
            f"Hold-outs are rows of another source than the labelled ones, {facts.test} is of the same."
        )
        section.pictures.append(
            _picture("Accuracy on each evaluation set by arm", plots.generalization(facts), "generalization.png")
        )
        section.tables.append(tables.generalization_table(facts))
    for name in facts.evaluations[1:]:
        pictures, shown, folded = _differences(findings, name)
        section.pictures += pictures
        section.tables += [tables.arm_table(facts, name), *shown]
        section.folded += folded
    return section


def _classes(facts: ReportFacts) -> Section:
    section = Section("Classes", ["The mean over runs."])
    for name in facts.evaluations:
        scores = facts.classes(name, "f1")
        if not scores:
            continue
        if name == facts.test:
            # Of many classes, those in which the arms differ most.
            spread = sorted(scores, key=lambda c: min(scores[c].values()) - max(scores[c].values()))[:MOST_CLASSES]
            chosen = {label: row for label, row in scores.items() if label in spread}
            title = f"{name}: F1 of {'each class' if len(chosen) == len(scores) else 'classes that differ most'}, %"
            section.pictures.append(_picture(title, plots.heat_map(facts, chosen, title, "points of F1")))
        words = {"f1": "F1", "precision": "precision", "recall": "recall"}
        section.folded += [tables.class_table(facts, name, figure, word) for figure, word in words.items()]
    return section


def _guard(facts: ReportFacts) -> Section:
    if not any("synthetic_guard" in log for run in facts.runs for log in run.curve):
        return Section("Guard")
    caption = "The share of the scheduled synthetic rows that the guard left"
    pictures = _curve_picture(facts, {"synthetic_guard": "share left by the guard"}, caption)
    header = ("arm", "split", "seed", "step", "from", "to")
    decisions: list[TableRows] = [("Decisions", header, tables.logged_changes(facts, "synthetic_guard"))]
    return Section("Guard", ["The guard lowers the synthetic share when it has seen harm."], pictures, decisions)


def _picture(caption: str, figure: Figure, file: str = "") -> Picture:
    return Picture(caption, plots.png(figure), file)
