"""The command line: `hf_augment COMMAND`, or `python -m hf_augment COMMAND`."""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
from collections.abc import Sequence
from typing import NoReturn

from hf_augment.progress import one_line_errors


#: Modules of `hf_augment.commands`, in the order in which they are listed.
COMMANDS = ("inspect", "report", "review", "push")


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened options and, for an unknown one, names the nearest."""

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)  # type: ignore[arg-type]

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Ends the program for arguments that this parser does not know. What follows an option is not shown."""
        known = [option for action in self._actions for option in action.option_strings]
        options = [argument.partition("=")[0] for argument in unknown if argument.startswith("-")]
        words = []
        for argument in options or unknown:
            near = difflib.get_close_matches(argument, known, 1)
            words.append(f"{argument} (did you mean {near[0]}?)" if near else argument)
        self.error(f"unknown: {', '.join(words)}. `{self.prog} --help` lists what there is.")


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
        own.set_defaults(run=command.run, parser=own)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        options.parser.refuse(unknown)
    with one_line_errors():
        options.run(options)
