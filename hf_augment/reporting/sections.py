"""The chapters of reports and cards, which the page, Markdown and the terminal show each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from matplotlib.figure import Figure

from hf_augment.evaluation.robustness import TableRows
from hf_augment.reporting import plots, tables
from hf_augment.reporting.results import Results, perturbed
from hf_augment.sentences import counted


#: Rows of a picture that one can still take in.
MOST_CLASSES = 25
#: What an interval does not cover, by what it ranges over.
UNCOVERED = {
    "test rows": "another training run, other labelled rows, other synthetic examples",
    "seeds and rows": "other labelled rows, other synthetic examples",
    "splits and rows": "what a generator that all draws share would make another time",
}


@dataclass
class Picture:
    """
    A picture of a report, drawn when its content is asked for.

    Args:
        caption (`str`): Description, for those who do not see it too.
        draw (`Callable[[], Figure]`): Draws it.
        file (`str`, *optional*): Name of its file in the report's folder, if it is to lie there.
    """

    caption: str
    draw: Callable[[], Figure] = field(repr=False)
    file: str = ""

    @cached_property
    def content(self) -> bytes:
        """Content of the PNG file."""
        return plots.png(self.draw())


@dataclass
class Section:
    """
    A chapter of a report.

    Args:
        title (`str`): Heading.
        text (`list[str]`, *optional*): Paragraphs that one must know to read it.
        pictures (`list[Picture]`, *optional*): Pictures beside the tables, which hold the same figures.
        tables (`list[TableRows]`, *optional*): Tables for every reader; those without rows are left out.
        folded (`list[TableRows]`, *optional*): Tables for readers who look closer; those without rows are left out.
    """

    title: str
    text: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[TableRows] = field(default_factory=list)
    folded: list[TableRows] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tables = [table for table in self.tables if table[2]]
        self.folded = [table for table in self.folded if table[2]]


def make_sections(results: Results, arms: Sequence[str] | None = None) -> list[Section]:
    """
    Arranges what was found: the cost, what the model was shown, then the evidence; only chapters with content. Of
    `arms` (by default all) the differences, examples and robustness are shown; the means are of all.
    """
    arms = results.arms if arms is None else arms
    made = [
        _cost(results),
        _shown(results, arms),
        _accuracy(results, arms),
        _curves(results),
        _rounds(results, arms),
        _robustness(results, arms),
        _generalization(results, arms),
        _classes(results),
        _guard(results),
        Section("Further figures", tables=list(results.tables)),
    ]
    return [section for section in made if section.tables or section.pictures]


def limits(results: Results, arms: Sequence[str]) -> list[str]:
    """Returns the limits of the figures of these arms, a sentence each."""
    runs, splits = max(len(results.of_arm(arm)) for arm in arms), len({run.split for run in results.runs})
    counts = f"{counted(runs, 'run')} of an arm and {counted(splits, 'draw')} of labelled rows"
    measured = f"Measured with {counts}."
    if splits == 1:
        measured += " What another draw of labelled rows would give was not measured."
    said = [measured]
    for unit in dict.fromkeys(d.unit for d in results.on(results.test, arms)):
        said.append(f"The intervals range over {unit}: they do not cover {UNCOVERED[unit]}.")
    if results.on(results.test, arms):
        said.append(
            "Where no arm has an effect, at most 5 % of such comparisons say that one has. "
            '"No detectable effect" means that a true effect smaller than about the points for 80 % power may exist '
            'and was not seen; "not tested", that these runs cannot tell.'
        )
    if any(map(results.is_generated, arms)):
        said += [
            "What a generator knows beyond the labelled rows, it may pass on: its knowledge of the task, its mistakes "
            "and the biases of what it was trained on. It may also repeat what it learned, in part or in whole.",
            "Generated examples are untrusted input: they may be false, offensive or misleading, and their labels "
            "were asked for and filtered, not given by a person.",
        ]
        if not any(results.memorization.get(arm) for arm in arms):
            said.append("How near the synthetic examples come to the labelled rows was not measured.")
    said.append(
        "The licences of the data and of the models that were started from apply to what was made of them; they were "
        "not checked."
    )
    return said


def _cost(results: Results) -> Section:
    text = [
        "Seconds are the wall time of a run's training, the mean over runs; waiting is the share of it spent waiting "
        "for generation. Generating is the time the first split's synthetic examples took, which all its runs share. "
        "Training a generator, or classifiers that judge labels, is not among them."
    ]
    return Section("What did it cost?", text, tables=[tables.cost_table(results)])


def _shown(results: Results, arms: Sequence[str]) -> Section:
    pictures = []
    if any(results.acceptance.values()):
        caption = "Of the candidates that reached a filter, the share it accepted"
        pictures.append(Picture(caption, partial(plots.acceptance, results)))
    samples = {arm: samples for arm, samples in results.samples.items() if arm in arms}
    shown = []
    for arm, of_arm in samples.items():
        if images := [s for s in of_arm if s.image is not None and s.verdict == "accepted"]:
            caption = f"{arm}: accepted images under the class asked for"
            pictures.append(Picture(caption, partial(plots.images, images)))
        shown += [tables.sample_table(arm, verdict, of_arm) for verdict in ("accepted", "rejected")]
    shown += [tables.acceptance_table(results, arm) for arm in results.acceptance if arm in arms]
    text = ["The examples were made by a generator: nobody wrote or checked them."]
    return Section("What was the model shown?", text, pictures, [*shown, tables.memorization_table(results, arms)])


def _accuracy(results: Results, arms: Sequence[str]) -> Section:
    test = results.test
    picture = Picture(f"{test}: accuracy by arm", partial(plots.accuracy, results))
    section = Section("Accuracy", [], [picture], [tables.arm_table(results, test)])
    _add_differences(section, results, test, arms)
    if beside := [d for d in results.beside_probe if d.arm in arms]:
        section.tables.append(tables.difference_table(beside))
    return section


def _add_differences(section: Section, results: Results, name: str, arms: Sequence[str]) -> None:
    found = results.on(name, arms)
    if found:
        caption = f"{name}: difference in accuracy from {results.reference}, with its 95 % interval"
        section.pictures.append(Picture(caption, partial(plots.differences, results, name)))
        section.tables.append(tables.difference_table(found))
        section.folded.append(tables.statistics_table(found))
        # Those on the test set are what every reader sees first.
        section.text += [d.describe() for d in found if name != results.test]


def _curves(results: Results) -> Section:
    logged = dict.fromkeys(name for run in results.runs for log in run.curve for name in log)
    ends = ("_loss", "_accuracy", "_f1_macro")
    learning = {"loss": "training loss"} if "loss" in logged else {}
    learning |= {name: name.replace("_", " ") for name in logged if name.startswith("eval_") and name.endswith(ends)}
    blend = {
        "synthetic_ratio": "synthetic, share of rows",
        "synthetic_wait": "waiting, share of time",
        "synthetic_acceptance": "accepted, share",
    }
    blend = {name: label for name, label in blend.items() if name in logged}
    caption = "Learning curves: the mean over runs, and each run thin"
    pictures = _curve_picture(results, learning, caption, "curves.png")
    pictures += _curve_picture(results, blend, "What was blended in while training, and what it waited for")
    return Section("Learning curves", pictures=pictures)


def _rounds(results: Results, arms: Sequence[str]) -> Section:
    logged = {name for run in results.runs for log in run.curve for name in log}
    rounds = {
        "synthetic_entropy": "candidates, entropy",
        "synthetic_entropy_chosen": "chosen, entropy",
        "synthetic_moved": "moved to other classes",
        "synthetic_seeded": "written after rows",
        "synthetic_validation_accuracy": "validation accuracy",
    }
    rounds = {name: label for name, label in rounds.items() if name in logged}
    pictures = _curve_picture(results, rounds, "What the classifier decided in rounds", "rounds.png")
    moved = [arm for arm in arms if results.class_shares(arm)]
    if moved:
        caption = "Shares of the classes among what was chosen, by round"
        pictures.append(Picture(caption, partial(plots.class_shares, results, moved), "class_shares.png"))
    text = ["Every so many steps the classifier was asked what it should be shown next."]
    return Section("Rounds", text, pictures, [tables.confusion_table(results, arm) for arm in arms])


def _curve_picture(results: Results, names: Mapping[str, str], caption: str, file: str = "") -> list[Picture]:
    return [Picture(caption, partial(plots.curves, results, names), file)] if names else []


def _robustness(results: Results, arms: Sequence[str]) -> Section:
    section = Section("Robustness", ["Accuracy on perturbed rows, the mean over runs and over severities."])
    for name in results.evaluations:
        means = tables.robustness_means(results, name)
        if means:
            title = f"{name}: accuracy under perturbation, %"
            draw = partial(plots.heat_map, results, means, title, "points of accuracy")
            file = "robustness.png" if name == results.test else ""
            section.pictures.append(Picture(f"{title}; colours: against {results.reference}", draw, file))
            section.tables.append(tables.robustness_table(results, name, means))
            section.folded.append(tables.severity_table(results, name, arms))
            _add_differences(section, results, perturbed(name), arms)
            if not results.on(perturbed(name)):
                section.text.append(f"No test was made of whether arms differ on perturbed rows of {name}.")
    return section


def _generalization(results: Results, arms: Sequence[str]) -> Section:
    section = Section("Generalisation")
    if len(results.evaluations) > 1:
        section.text.append(
            f"Hold-outs are rows of another source than the labelled ones, {results.test} is of the same."
        )
        draw = partial(plots.generalization, results)
        section.pictures.append(Picture("Accuracy on each evaluation set by arm", draw, "generalization.png"))
        section.tables.append(tables.generalization_table(results))
    for name in results.evaluations[1:]:
        section.tables.append(tables.arm_table(results, name))
        _add_differences(section, results, name, arms)
    return section


def _classes(results: Results) -> Section:
    section = Section("Classes", ["The mean over runs."])
    for name in results.evaluations:
        scores = results.classes(name, "f1")
        if not scores:
            continue
        if name == results.test:
            # Of many classes, those in which the arms differ most.
            spread = sorted(scores, key=lambda c: min(scores[c].values()) - max(scores[c].values()))[:MOST_CLASSES]
            chosen = {label: row for label, row in scores.items() if label in spread}
            title = f"{name}: F1 of {'each class' if len(chosen) == len(scores) else 'classes that differ most'}, %"
            section.pictures.append(Picture(title, partial(plots.heat_map, results, chosen, title, "points of F1")))
        words = {"f1": "F1", "precision": "precision", "recall": "recall"}
        section.folded += [tables.class_table(results, name, figure, word) for figure, word in words.items()]
    return section


def _guard(results: Results) -> Section:
    if not any("synthetic_guard" in log for run in results.runs for log in run.curve):
        return Section("Guard")
    caption = "The share of the scheduled synthetic rows that the guard left"
    pictures = _curve_picture(results, {"synthetic_guard": "share left by the guard"}, caption)
    text = ["The guard lowers the synthetic share when it has seen harm."]
    return Section("Guard", text, pictures, [tables.changes_table(results, "synthetic_guard")])
