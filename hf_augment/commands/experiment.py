"""`hf_augment experiment DATA`: does a generator help a classifier of one's own data?"""

from __future__ import annotations

import argparse

from hf_augment.commands.trainer_options import (
    add_model_arguments,
    add_own_arguments,
    add_share_argument,
    read_more,
)


SUMMARY = "compare a classifier of your data with and without generated examples"
DESCRIPTION = """\
Trains a classifier of your data by itself and with generated examples, as often as the time allows, and tells whether
they helped at equal steps, what they cost, and what the classifier was shown. Columns, classes, sizes and times are
found out and said; every option of this page replaces one that would be chosen. Further options are those of the
Trainer: --help-all lists them. The same command goes on where it was interrupted; after a single run of
each arm also with other --minutes or --seeds."""

#: What is not known here is for the Trainer.
TAKES_MORE = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_own_arguments(parser)
    group = parser.add_argument_group("comparison")
    group.add_argument("--minutes", type=float, default=15, help="time that it may take (default: 15)")
    group.add_argument("--arms", nargs="+", metavar="ARM", help="what is compared (default: what the time allows)")
    group.add_argument("--seeds", type=int, metavar="N", help="runs of each arm on each draw (default: by the time)")
    group.add_argument(
        "--train_per_class",
        type=int,
        metavar="N",
        help="learn from N rows of each class alone, to see what labels are worth",
    )
    group.add_argument("--splits", type=int, metavar="N", help="draws of these rows (default: 1)")
    add_share_argument(group)
    group.add_argument("--max_test_rows", type=int, metavar="ROWS", help="random test rows, at most")
    group.add_argument("--processes", type=int, metavar="N", help="runs at a time (default: by the cores; GPU: 1)")
    group.add_argument("--output_dir", metavar="FOLDER", help="where all results are kept (default: runs/DATA)")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Finds out, compares and reports."""
    from hf_augment.progress import working

    with working("Loading PyTorch and transformers"):
        from hf_augment.study.own_data import compare
    read_more(options, add_arguments)
    compare(options)
