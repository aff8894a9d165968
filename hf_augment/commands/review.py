"""`hf_augment review RUN`: leaves out what a person rejected of a run's synthetic examples."""

from __future__ import annotations

import argparse
from pathlib import Path


SUMMARY = "write a run's synthetic examples without those that you rejected"
DESCRIPTION = """\
Look at RUN/report/review.html, check what you do not want and save the list as ids.txt. This command writes the other
examples as datasets into FOLDER, one for each stream that an id names. DatasetGenerator draws from them:

  generator = DatasetGenerator(load_from_disk("FOLDER/NAME"))"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("run_dir", metavar="RUN", help="the output_dir of a run")
    parser.add_argument("--reject", metavar="FILE", type=Path, required=True, help="ids to leave out, one in a line")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="where to write what is left")


def run(options: argparse.Namespace) -> None:
    """Writes the datasets, and prints where they are."""
    from hf_augment.study.review import leave_out

    for kept in leave_out(options.run_dir, options.reject.read_text(encoding="utf-8-sig").split(), options.out):
        print(f"{kept.folder}: {kept.rows} examples, without the {kept.rejected} that you rejected")
        if kept.missing:
            print(f"! No example of {', '.join(kept.missing)} is left, and DatasetGenerator needs one of each class.")
