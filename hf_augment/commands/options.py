"""Options that several commands have, and what is said of one that is not known."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence


def nearest(unknown: Sequence[str], *parsers: argparse.ArgumentParser) -> str:
    """
    Returns what to say of arguments that no parser knows: options with the nearest known one, and not their values,
    which may be secret.
    """
    known = [option for parser in parsers for action in parser._actions for option in action.option_strings]
    options = [argument.partition("=")[0] for argument in unknown if argument.startswith("-")]
    words = []
    for argument in options or unknown:
        near = difflib.get_close_matches(argument, known, 1)
        words.append(f"{argument} (did you mean {near[0]}?)" if near else argument)
    return f"unknown: {', '.join(words)}"
