"""Results in a terminal: the tables, the findings in words, and what to do with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hf_augment.reporting.advice import next_steps
from hf_augment.reporting.answer import accuracies, answer
from hf_augment.reporting.cautions import cautions
from hf_augment.reporting.escape import plain
from hf_augment.reporting.results import Data, Results
from hf_augment.reporting.sections import make_sections


#: The page with all synthetic examples, beside the report's.
REVIEW_PAGE = "review.html"


def print_results(console: Console, results: Results) -> None:
    """Prints the tables, then the notes and the findings in words, where a terminal stands."""
    for table in (table for section in make_sections(results) for table in section.tables):
        print_table(console, *table)
    for sentence in [*results.notes, *(difference.describe() for difference in results.differences)]:
        console.print(printable(sentence))


def print_table(console: Console, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table. Cells are untrusted: printed as they are, not as markup."""
    table = Table(title=printable(title), title_justify="left")
    for name in header:
        table.add_column(printable(name))
    for row in rows:
        table.add_row(*map(printable, row))
    console.print(table)


def print_data(console: Console, why: Iterable[str], tables: Iterable[Sequence[Any]], findings: Iterable[Any]) -> None:
    """Prints what was found in data: what was taken for what, tables, and what is odd."""
    for line in why:
        console.print(printable(line))
    for table in tables:
        print_table(console, *table)
    for finding in findings:
        console.print(printable(str(finding)))


def closing_lines(results: Results, report: Path, models: Mapping[str, Path] | None = None) -> list[str]:
    """
    Says what was found and what to beware of, what to try next, where the report's page and the model are, and how to
    use the model.

    `models` are the folders of the classifiers that were saved, by arm, at least that of the reference. The one that
    is named is that of [`Results.best_arm`].
    """
    lines = [answer(results), accuracies(results), *(f"! {sentence}" for sentence in cautions(results))]
    lines += [f"Try next: {sentence}" for sentence in next_steps(results)]
    lines.append(f"Report: {report}")
    if (review := report.with_name(REVIEW_PAGE)).is_file():
        lines.append(f"All examples, to look at: {review}")
    return [*map(plain, lines), *(how_to_use(results, models) if models else [])]


def how_to_use(results: Results, models: Mapping[str, Path]) -> list[str]:
    """Names the model's folder and the code that loads it."""
    arm = results.best_arm(list(models))
    verdicts = {d.verdict for d in results.on(results.test)}
    why = ", since no arm is seen to help" if arm == results.reference and verdicts and "helps" not in verdicts else ""
    return [
        plain(f"Model: {models[arm]} ({arm}{why}; mean accuracy {results.accuracy(arm):.3f}). To use it:"),
        *usage(models[arm], results.data),
    ]


def usage(model: Path, data: Data) -> list[str]:
    """The code that loads a classifier of such data and asks it as it was tested."""
    of_images = data.kind == "image"
    # A pipeline reads all of a text, or fails where that is too long.
    cut = "" if data.max_length is None else f", truncation=True, max_length={data.max_length}"
    row = '"picture.png"' if of_images else '"A text to classify."'
    if data.pairs:
        row = '{"text": "A text to classify.", "text_pair": "The text beside it."}'
    call = f"classify({row})"
    if data.several:
        call = f'[found["label"] for found in classify({row}, top_k=None) if found["score"] > 0.5]'
    return [
        # Transformers learns the architecture of the small image classifier from the package.
        *(["    import hf_augment.images.small_resnet"] if of_images else []),
        "    from transformers import pipeline",
        f'    classify = pipeline("{data.kind}-classification", model="{plain(model.as_posix())}"{cut})',
        f"    print({call})",
    ]


def printable(text: str) -> Text:
    """A line of untrusted text, for a terminal."""
    return Text(plain(text))
