"""`hf_augment generate DATA`: just the examples, as a dataset."""

from __future__ import annotations

import argparse

from hf_augment.commands.trainer_options import add_model_arguments, add_own_arguments, read_more


SUMMARY = "write generated examples for the classes of your data as a dataset"
DESCRIPTION = """\
Generates examples for the classes of your data, filters them as `hf_augment experiment` does, and writes exactly as
many as were asked for into FOLDER: a dataset that `datasets.load_dataset` reads, with some of the rejected candidates,
the reasons, and a card of the counts. Test rows, given or held out as for a comparison, are neither learned nor
repeated. The same command goes on where it was interrupted, and one with more --examples from what is there."""

#: What is not known here is for the Trainer, such as --synthetic_class_balance.
TAKES_MORE = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_own_arguments(parser)
    parser.add_argument("--examples", type=int, default=200, metavar="N", help="examples to write (default: 200)")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="where the dataset is written")
    parser.add_argument(
        "--generator",
        metavar="NAME",
        help="prompted (default), or trained: it learns your rows first (default for images)",
    )
    parser.add_argument(
        "--max_candidates", type=int, metavar="N", help="candidates after which it ends (default: 20 an example)"
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Generates, writes, and says what came of it."""
    from hf_augment.progress import working

    with working("Loading PyTorch and transformers"):
        from hf_augment.study.own_arm import generate
    read_more(options, add_arguments)
    generate(options)
