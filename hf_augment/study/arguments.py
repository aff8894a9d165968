"""Arguments from the command line and from YAML, by one set of names."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from transformers import HfArgumentParser


def parse_arguments(dataclasses: Sequence[Any], argv: Sequence[str] | None = None) -> tuple[Any, ...]:
    """
    Fills dataclasses from `--config FILE.yaml` and from the command line, which wins.

    A list is emptied by its name without a value, in YAML by `[]`.

    Example:

    ```python
    >>> from transformers import TrainingArguments
    >>> from hf_augment.study.arguments import parse_arguments
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
        SystemExit: With status 2 and a message of one line, for a key or a value that is not known.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = HfArgumentParser(dataclasses, allow_abbrev=False)
    files = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # One line instead of the usage, which lists some two hundred arguments.
    parser.error = files.error = (  # type: ignore[method-assign]
        lambda message: parser.exit(2, f"error: {message}; --help lists the arguments.\n")
    )
    for action in parser._actions:
        action.nargs = "*" if action.nargs == "+" else action.nargs
    for either in (parser, files):
        either.add_argument("--config", help="YAML file with values for any of these; the command line wins.")
    path = files.parse_known_args(argv)[0].config
    try:
        if path is not None:
            # --config between the two, so that a list at the file's end does not go on in the command line.
            argv = [*_from_yaml(parser, Path(path)), f"--config={path}", *argv]
        *filled, _, unknown = parser.parse_args_into_dataclasses(argv, True, look_for_args_file=False)
        if unknown:
            raise ValueError(f"{unknown} are not known; --help lists the arguments.")
    except ValueError as error:  # Of the file, of an argument, or of a dataclass that refused it in its __post_init__.
        parser.exit(2, f"error: {' '.join(str(error).split())}\n")
    return tuple(filled)


def _from_yaml(parser: HfArgumentParser, path: Path) -> list[str]:
    """The file's values as a command line, so that both go through the same parser and the same checks."""
    if not path.is_file():
        raise ValueError(f"--config {path} does not exist: pass the path of a YAML file.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"--config {path} is a {type(values).__name__}: write lines of the form `name: value`.")
    actions = {action.dest: action for action in parser._actions if action.dest not in ("help", "config")}
    unknown = sorted(str(name) for name in values if name not in actions)
    if unknown:
        raise ValueError(f"--config {path} has the unknown keys {unknown}: see --help for the names.")
    optional = {
        name
        for kind in parser.dataclass_types
        for name, hint in get_type_hints(kind).items()
        if type(None) in get_args(hint)
    }
    argv: list[str] = []
    for name, value in values.items():
        if value is None and name in optional:
            parser.set_defaults(**{name: None})
        elif value is None or (isinstance(value, list) and actions[name].nargs != "*"):
            raise ValueError(f"--config {path} has {name}={value!r}: write one value, or leave the key out.")
        elif isinstance(value, list):
            argv += [f"--{name}", *map(str, value)]
        else:
            # In one string, since a value may begin with a dash.
            argv.append(f"--{name}={json.dumps(value) if isinstance(value, dict) else value}")
    return argv
