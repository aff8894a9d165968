"""`hf_augment report RUN`: shows the results of a run again."""

from __future__ import annotations

import argparse
from pathlib import Path


SUMMARY = "show the results of a run again"
DESCRIPTION = """\
Print what RUN found, from RUN/report/results.json, or from such a file. With --out, write its pages there too, by this
version of hf_augment; results.json has no labelled row and no image, so these pages show none, unlike those that the
run wrote itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("run_dir", metavar="RUN", type=Path, help="the output_dir of a run, or a results.json")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="where to write the pages (default: nowhere)")


def run(options: argparse.Namespace) -> None:
    """Prints the results, and writes the pages if asked to."""
    from dataclasses import replace

    from hf_augment.extras import optional_imports

    with optional_imports("report"):
        from rich.console import Console

    from hf_augment.reporting.report import write_report
    from hf_augment.reporting.results import Results
    from hf_augment.reporting.terminal import print_results
    from hf_augment.study.publication import print_end

    file = options.run_dir if options.run_dir.is_file() else options.run_dir / "report/results.json"
    # Further pictures lie beside the run's own pages.
    results, console = replace(Results.load(file), pictures={}), Console()
    page = file.parent / "report.html"
    if options.out is None:
        print_results(console, results)
    else:
        write_report(options.out, results, console)
        page = options.out / "report.html"
    print_end(console, results, file.absolute().parents[1], page)
