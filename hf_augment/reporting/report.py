"""What was found: printed, and written for readers and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hf_augment.files import write_atomically
from hf_augment.reporting import plots
from hf_augment.reporting.escape import plain
from hf_augment.reporting.facts import Findings, ReportFacts, find
from hf_augment.reporting.html import check_pictures, render_html
from hf_augment.reporting.markdown import render_markdown
from hf_augment.reporting.sections import Section, make_sections


def write_report(folder: Path, facts: ReportFacts, console: Console | None = None) -> dict[str, Any]:
    """
    Prints the findings and writes them: `report.html`, a page that needs no network; `report.md`; `results.json`;
    `report.png`, and where there is something to show `curves.png`, `robustness.png` and `generalization.png`.

    Example:

    ```python
    from pathlib import Path
    from hf_augment.evaluation.comparison import ArmRun
    from hf_augment.reporting.facts import ReportFacts
    from hf_augment.reporting.report import write_report

    metrics = {"test": {"accuracy": 0.5, "f1_macro": 0.5, "expected_calibration_error": 0.1}}
    run = ArmRun("baseline", split=0, seed=0, steps=8, seconds=1.0, metrics=metrics, correct={"test": [0, 1]})
    facts = ReportFacts("A first run", {}, [run], reference="baseline", test="test", stores={})
    results = write_report(Path("report"), facts)
    ```

    Args:
        folder (`Path`):
            Where to; the further pictures lie there already.
        facts ([`ReportFacts`]):
            What was run.
        console (`rich.console.Console`, *optional*):
            Where to print. Defaults to the terminal.

    Returns:
        `dict[str, Any]`: What is in `results.json`.

    Raises:
        ValueError: If the arms cannot be compared, or a further picture is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_pictures(facts, folder)
    findings = find(facts)
    results = findings.results()
    # First what cannot be made again without the runs.
    write_atomically(folder / "results.json", json.dumps(results, indent=1, default=str).encode())
    sections = make_sections(findings)
    write_atomically(folder / "report.png", plots.png(plots.overview(findings)))
    for picture in (picture for section in sections for picture in section.pictures if picture.file):
        write_atomically(folder / picture.file, picture.content)
    write_atomically(folder / "report.md", render_markdown(findings, sections).encode())
    write_atomically(folder / "report.html", render_html(findings, sections, folder).encode())
    console = console or Console()
    _print(console, findings, sections)
    console.print(Text(f"Report: {folder / 'report.html'}, {folder / 'report.md'}"), soft_wrap=True)
    return results


def _print(console: Console, findings: Findings, sections: Sequence[Section]) -> None:
    """What a reader waits for comes last, where a terminal stands."""
    # Generated text is untrusted: printed as it is, not as markup.
    for title, header, rows in (table for section in sections for table in section.tables):
        table = Table(title=_printable(title), title_justify="left")
        for name in header:
            table.add_column(_printable(name))
        for row in rows:
            table.add_row(*map(_printable, row))
        console.print(table)
    sentences = [*findings.facts.notes, *(difference.describe() for difference in findings.differences)]
    for sentence in sentences:
        console.print(_printable(sentence))


def _printable(text: str) -> Text:
    return Text(plain(text))
