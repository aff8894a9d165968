"""`hf_augment experiment DATA`: does a generator help a classifier of one's own data?"""

from __future__ import annotations

import argparse
from typing import Any

from hf_augment.commands.data_options import add_data_arguments, data_arguments
from hf_augment.commands.options import nearest


SUMMARY = "compare a classifier of your data with and without generated examples"
DESCRIPTION = """\
Trains a classifier of your data by itself and with generated examples, as often as the time allows, and tells whether
they helped at equal steps, what they cost, and what the classifier was shown. Columns, classes, sizes and times are
found out and said; every option of this page replaces one that would be chosen. Further options are those of the
Trainer: --help-all lists them. The same command goes on where it was interrupted."""

#: What is not known here is for the Trainer.
TAKES_MORE = True


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what learns and what generates."""
    group = parser.add_argument_group("models")
    group.add_argument("--model", help="classifier of texts: Hub id or folder (default: MiniLM)")
    group.add_argument("--max_length", type=int, metavar="TOKENS", help="what the classifier sees of a text")
    group.add_argument(
        "--generator_model", metavar="MODEL", help="chat model: Hub id or folder (default: SmolLM2-135M-Instruct)"
    )
    group.add_argument("--gguf_file", metavar="FILE", help="GGUF file in it")
    group.add_argument(
        "--backend", choices=["torch", "openvino"], help="what samples texts (default: openvino where it is installed)"
    )
    group.add_argument("--kind", metavar="WORDS", help="what one text is, such as 'message from a customer to a bank'")
    group.add_argument("--descriptions", metavar="FILE", help="what each label means, as `inspect` drafts it")
    group.add_argument("--prompt", metavar="FILE", help="JSON file of a prompt of your own")
    group.add_argument("--max_new_tokens", type=int, metavar="TOKENS", help="longest generated text")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_data_arguments(parser)
    parser.add_argument("--seed", type=int, default=42, help="of everything that is random (default: 42)")
    group = parser.add_argument_group("comparison")
    group.add_argument("--minutes", type=float, default=15, help="time that it may take (default: 15)")
    group.add_argument("--arms", nargs="+", metavar="ARM", help="what is compared (default: what the time allows)")
    group.add_argument("--seeds", type=int, metavar="N", help="runs of each arm (default: what the time allows)")
    group.add_argument("--max_test_rows", type=int, metavar="ROWS", help="random test rows, at most")
    group.add_argument("--processes", type=int, metavar="N", help="runs at a time (default: by the cores; GPU: 1)")
    group.add_argument("--output_dir", metavar="FOLDER", help="where all results are kept (default: runs/DATA)")
    add_model_arguments(parser)
    parser.add_argument("--help-all", action=_HelpAll, nargs=0, help="show the options of the Trainer, too, and exit")


class _HelpAll(argparse.Action):
    """Prints the options of the Trainer below one's own."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from hf_augment.study.settling import training_parser

        parser.print_help()
        print("\nThe Trainer's options:\n")
        print(training_parser().format_help().partition("\n\n")[2])
        parser.exit()


def run(options: argparse.Namespace) -> None:
    """Finds out, compares and reports."""
    from hf_augment.progress import working

    with working("Loading PyTorch and transformers"):
        from hf_augment.study.own_data import compare
        from hf_augment.study.settling import training_parser
    parser = training_parser()
    given, unknown = parser.parse_known_args(options.more)
    if unknown:
        own = argparse.ArgumentParser()
        add_arguments(own)
        raise ValueError(f"{nearest(unknown, own, parser)}. --help and --help-all list what there is.")
    options.more, options.opening = vars(given), data_arguments(options) | {"seed": options.seed}
    compare(options)
