"""Writes a report: for readers, for programs, and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from hf_augment.files import write_atomically
from hf_augment.reporting import plots
from hf_augment.reporting.html import check_pictures, render_html
from hf_augment.reporting.markdown import render_report
from hf_augment.reporting.results import Results
from hf_augment.reporting.sections import make_sections
from hf_augment.reporting.terminal import how_to_use, print_results


def write_report(
    folder: Path, results: Results, console: Console | None = None, models: Mapping[str, Path] | None = None
) -> Results:
    """
    Prints the results and writes them into `folder`, where their further pictures lie: `report.html`, a page that
    needs no network; `report.md`; `results.json`; `report.png`, and where there is something to show `curves.png`,
    `rounds.png`, `class_shares.png`, `robustness.png` and `generalization.png`. Returns what is in `results.json`, and
    so may be published. `models` are folders of classifiers, by arm, of which the page names the best.

    Raises:
        ValueError: If a further picture is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    check_pictures(results, folder)
    # First what cannot be made again without the runs.
    results.save(folder / "results.json")
    sections = make_sections(results)
    write_atomically(folder / "report.png", plots.png(plots.overview(results)))
    for picture in (picture for section in sections for picture in section.pictures if picture.file):
        write_atomically(folder / picture.file, picture.content)
    write_atomically(folder / "report.md", render_report(results).encode())
    use = how_to_use(results, models) if models else []
    write_atomically(folder / "report.html", render_html(results, sections, folder, use).encode())
    print_results(console or Console(), results)
    return Results.load(folder / "results.json")
