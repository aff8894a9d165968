"""Results in a terminal: the tables, the findings in words, and what to do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hf_augment.evaluation.comparison import Difference
from hf_augment.reporting.escape import plain
from hf_augment.reporting.results import Results
from hf_augment.reporting.sections import make_sections


def print_results(console: Console, results: Results) -> None:
    """Prints the tables, then the notes and the findings in words, where a terminal stands."""
    # Generated text is untrusted: printed as it is, not as markup.
    for title, header, rows in (table for section in make_sections(results) for table in section.tables):
        table = Table(title=_printable(title), title_justify="left")
        for name in header:
            table.add_column(_printable(name))
        for row in rows:
            table.add_row(*map(_printable, row))
        console.print(table)
    for sentence in [*results.notes, *(difference.describe() for difference in results.differences)]:
        console.print(_printable(sentence))


def closing_lines(results: Results, report: Path, models: Mapping[str, Path] | None = None) -> list[str]:
    """
    Says in five lines what was found, where the report's page and the model are, and how to use the model.

    `models` are the folders of the classifiers that were saved, by arm, at least that of the reference. The one that
    is named is that of the most accurate arm that helps, or of the reference if none does. Without them there are
    three lines.
    """
    differences = results.on(results.test)
    found = f"There is one arm, {results.reference}, and nothing to compare it with."
    rests = "For a comparison, add arms."
    if differences:
        found = f"On {results.test}, against {results.reference}: {_by_verdict(differences)}."
        rests = (
            f"The verdicts rest on {differences[0].pairs} pairs of runs. Where no arm has an effect, at most 5 % of "
            "such comparisons say that one has."
        )
    if any(d.pairs == 1 for d in differences):
        rests = "One pair of runs gives no verdict. For one, pass --seeds 3, or --splits 5 with train_per_class."
    return list(map(plain, [found, rests, f"Report: {report}", *(_use(results, models) if models else [])]))


def _use(results: Results, models: Mapping[str, Path]) -> list[str]:
    """Names the model's folder and the code that loads it."""
    arm, kind = results.best_arm(list(models)), results.data.kind
    accuracy = results.mean(arm, lambda run: run.metrics[results.test]["accuracy"])
    verdicts = {d.verdict for d in results.on(results.test)}
    why = ", since no arm is seen to help" if verdicts and "helps" not in verdicts else ""
    # Transformers learns the architecture of the small image classifier from the package.
    imports = "import hf_augment; " if kind == "image" else ""
    example = "picture.png" if kind == "image" else "A text to classify."
    return [
        f"Model: {models[arm]} ({arm}{why}; mean accuracy {accuracy:.3f})",
        f"Use it: {imports}from transformers import pipeline; "
        f'pipeline("{kind}-classification", model="{models[arm].as_posix()}")("{example}")',
    ]


def _by_verdict(differences: Sequence[Difference]) -> str:
    """The arms under each verdict, effects first."""
    order = ("helps", "hurts", "no detectable effect", "not tested")
    arms: dict[str, list[str]] = {verdict: [] for verdict in order}
    for d in differences:
        arms[d.verdict.partition(":")[0]].append(f"{d.arm} ({100 * d.mean:+.1f} points)")
    return "; ".join(f"{verdict}: {', '.join(named)}" for verdict, named in arms.items() if named)


def _printable(text: str) -> Text:
    return Text(plain(text))
