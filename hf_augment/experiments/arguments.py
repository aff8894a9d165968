"""Arguments from the command line and from YAML, by one set of names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser


def parse_arguments(dataclasses: Sequence[Any], argv: Sequence[str] | None = None) -> tuple[Any, ...]:
    """
    Fills dataclasses from `--config FILE.yaml` and from the command line, which wins.

    Example:

    ```python
    >>> from transformers import TrainingArguments
    >>> from hf_augment.experiments.arguments import parse_arguments
    >>> (args,) = parse_arguments([TrainingArguments], ["--output_dir", "out", "--learning_rate", "1e-4"])
    >>> args.learning_rate
    0.0001
    ```

    Args:
        dataclasses (`Sequence[type]`):
            As for [`~transformers.HfArgumentParser`].
        argv (`Sequence[str]`, *optional*, defaults to `sys.argv[1:]`):
            The command line.

    Returns:
        `tuple`: One instance of each.

    Raises:
        SystemExit: With status 2 and a message, for a key or a value that is not known.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = HfArgumentParser(dataclasses, allow_abbrev=False)
    # One line instead of the usage, which lists some two hundred arguments.
    parser.error = lambda message: parser.exit(2, f"error: {message}; --help lists the arguments.\n")
    parser.add_argument("--config", help="YAML file with values for any of these arguments; the command line wins.")
    files = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    files.add_argument("--config")
    path = files.parse_known_args(argv)[0].config
    if path is not None:
        argv = [*_from_yaml(parser, Path(path)), *argv]
    try:
        *filled, _ = parser.parse_args_into_dataclasses(argv)
    except ValueError as error:  # A dataclass that refused a value in its __post_init__, or an unknown argument.
        parser.exit(2, f"error: {error}\n")
    return tuple(filled)


def _from_yaml(parser: HfArgumentParser, path: Path) -> list[str]:
    """The file's values as a command line, so that both go through the same parser and the same checks."""
    if not path.is_file():
        parser.exit(2, f"error: --config {path} does not exist: pass the path of a YAML file.\n")
    values = yaml.safe_load(path.read_text()) or {}
    known = {action.dest for action in parser._actions}
    unknown = sorted(set(values) - known) if isinstance(values, dict) else [str(values)]
    if unknown:
        parser.exit(2, f"error: --config {path} has the unknown keys {unknown}: see --help for the names.\n")
    argv: list[str] = []
    for name, value in values.items():
        if value is None or value == []:
            parser.set_defaults(**{name: value})
            continue
        argv += [f"--{name}", *(str(v) for v in (value if isinstance(value, list) else [value]))]
    return argv
