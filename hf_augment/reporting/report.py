"""Writes a report: for readers, for programs, and on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from hf_augment.files import write_atomically
from hf_augment.reporting import plots
from hf_augment.reporting.html import check_pictures, render_html
from hf_augment.reporting.markdown import render_report
from hf_augment.reporting.results import Results
from hf_augment.reporting.sections import make_sections
from hf_augment.reporting.terminal import print_results


def write_report(folder: Path, results: Results, console: Console | None = None) -> Results:
    """
    Prints the results and writes them: `report.html`, a page that needs no network; `report.md`; `results.json`;
    `report.png`, and where there is something to show `curves.png`, `robustness.png` and `generalization.png`.

    Example:

    ```python
    from pathlib import Path
    from hf_augment.evaluation.comparison import ArmRun
    from hf_augment.reporting.results import Results
    from hf_augment.reporting.report import write_report

    metrics = {"test": {"accuracy": 0.5, "f1_macro": 0.5, "expected_calibration_error": 0.1}}
    run = ArmRun("baseline", split=0, seed=0, steps=8, seconds=1.0, metrics=metrics, correct={"test": [0, 1]})
    results = Results.of_runs("A first run", [run], reference="baseline", test="test")
    published = write_report(Path("report"), results)
    ```

    Args:
        folder (`Path`): Folder to write to; the further pictures lie there already.
        results ([`Results`]): Results of a comparison.
        console (`rich.console.Console`, *optional*): Console to print on. Defaults to the terminal.

    Returns:
        [`Results`]: What is in `results.json`, and so may be published.

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
    write_atomically(folder / "report.html", render_html(results, sections, folder).encode())
    print_results(console or Console(), results)
    return Results.load(folder / "results.json")
