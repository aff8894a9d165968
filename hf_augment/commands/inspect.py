"""`hf_augment inspect DATA`: what is in it, and what is odd."""

from __future__ import annotations

import argparse
import shlex

from hf_augment.commands.data_options import NAMES, add_data_arguments, data_arguments


SUMMARY = "say what is in a file or a folder: columns, classes, lengths, and what is odd"
DESCRIPTION = """\
Say what was found in DATA: which column is taken for what, rows by class, lengths and scripts of texts, sizes of
images, and what is odd: classes of one row or in two spellings, repeated and contradictory rows, labels given away."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_data_arguments(parser)
    parser.add_argument("--seed", type=int, default=42, help="seed of the division (default: 42)")
    parser.add_argument(
        "--descriptions",
        metavar="FILE",
        help="write a draft of what each class is, for prompts, to this YAML or CSV file",
    )


def experiment_command(options: argparse.Namespace) -> str:
    """The command that compares on the same data, read in the same way."""
    words = ["hf_augment", "experiment", options.data]
    given = {name: getattr(options, name) for name in (*NAMES, "descriptions")}
    given |= {} if options.seed == 42 else {"seed": options.seed}
    for name, value in given.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return shlex.join(words)


def run(options: argparse.Namespace) -> None:
    """Prints what is in the data, and writes a draft of descriptions where asked."""
    import datasets

    from hf_augment.extras import optional_imports

    with optional_imports("report"):
        from rich.console import Console

    from hf_augment.data.opening import open_data
    from hf_augment.data.summary import summarize
    from hf_augment.label_names import check_free, write_descriptions
    from hf_augment.progress import working
    from hf_augment.reporting.terminal import print_data, printable

    if options.descriptions is not None:
        check_free(options.descriptions)
    datasets.disable_progress_bars()
    console = Console()
    with working(f"reading {options.data}"):
        data = open_data(options.data, **data_arguments(options), seed=options.seed)
        summary = summarize(data)
    print_data(console, data.why, summary.tables, summary.findings)
    # On one line, to be copied.
    console.print(printable(f"To compare: {experiment_command(options)}"), soft_wrap=True)
    if options.descriptions is not None:
        write_descriptions(options.descriptions, data.label_names)
        console.print(printable(f"Descriptions: {options.descriptions}. Say in each line what the class is."))
