"""The command line: `hf_augment COMMAND`, or `python -m hf_augment COMMAND`."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Sequence
from typing import NoReturn

from hf_augment.commands.options import nearest
from hf_augment.progress import one_line_errors


#: Modules of `hf_augment.commands`, in the order in which they are listed.
COMMANDS = ("inspect", "experiment", "train", "fill", "generate", "report", "review", "push")


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened options and, for an unknown one, names the nearest."""

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Ends the program; an option that takes several values may have taken the data."""
        super().error(message + (" (before the options)" if message.endswith("required: DATA") else ""))

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Ends the program for arguments that this parser does not know. What follows an option is not shown."""
        self.error(f"{nearest(unknown, self)}. `{self.prog} --help` lists what there is.")


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Runs a command. Bad input, and a Hub that refuses, end with one line, not with a traceback.

    Args:
        arguments (`Sequence[str]`, *optional*): Defaults to what was typed.
    """
    parser = Parser(prog="hf_augment", description="Does a generator help a classifier? On your own data.")
    parser.add_argument(
        "--version", action="version", version=f"hf_augment {importlib.metadata.version('hf_augment')}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for name in COMMANDS:
        command = importlib.import_module(f"hf_augment.commands.{name}")
        own = commands.add_parser(name, help=command.SUMMARY, description=command.DESCRIPTION)
        command.add_arguments(own)
        own.set_defaults(command=command, parser=own)
    options, more = parser.parse_known_args(arguments)
    command, own = options.__dict__.pop("command"), options.__dict__.pop("parser")
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if more and not getattr(command, "TAKES_MORE", False):
        own.refuse(more)
    if more:
        place = typed.index(options.data)
        before, after = typed[place - 1], typed[place + 1 : place + 2]
        if before.startswith("-") and before in more and after and after[0] in more and not after[0].startswith("-"):
            # What is not known here took a value for the data, and the data are left.
            own.error(f"write DATA before {before}")
    options.more = more
    with one_line_errors():
        command.run(options)
