"""Arguments from the command line and from YAML, by one set of names."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from transformers import HfArgumentParser
from transformers.hf_argparser import string_to_bool


def parse_arguments(dataclasses: Sequence[Any], argv: Sequence[str] | None = None) -> tuple[Any, ...]:
    """
    Fills dataclasses, as of [`~transformers.HfArgumentParser`], from `--config FILE.yaml` and from the command line
    (by default that of the program), which wins.

    A list is emptied by its name without a value, in YAML by `[]`. A value of the file means what the same characters
    would mean on the command line: `no` is a word where a text is wanted, and `010` is not 8. Only `null`, `~` or
    nothing after the colon is `None`.

    Example:

    ```python
    >>> from transformers import TrainingArguments
    >>> from hf_augment.study.arguments import parse_arguments
    >>> (args,) = parse_arguments([TrainingArguments], ["--output_dir", "out", "--learning_rate", "1e-4"])
    >>> args.learning_rate
    0.0001
    ```

    Raises:
        SystemExit: With status 2 and a message of one line, for a key or a value that is not known, or a key that is
            in the file twice.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = HfArgumentParser(dataclasses, allow_abbrev=False)
    # One line instead of the usage, which lists some two hundred arguments.
    parser.error = (  # type: ignore[method-assign]
        lambda message: parser.exit(2, f"error: {message}; --help lists the arguments.\n")
    )
    for action in parser._actions:
        action.nargs = "*" if action.nargs == "+" else action.nargs
    files = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    files.error = parser.error  # type: ignore[method-assign]
    for either in (parser, files):
        either.add_argument("--config", help="YAML file with values for any of these; the command line wins.")
    path = files.parse_known_args(argv)[0].config
    try:
        if path is not None:
            parser.set_defaults(**_from_yaml(parser, Path(path)))
        *filled, _, unknown = parser.parse_args_into_dataclasses(argv, True, look_for_args_file=False)
        if unknown:
            raise ValueError(f"{unknown} are not known; --help lists the arguments.")
    # Of the file, of an argument, or of a dataclass that refused it in its __post_init__.
    except (ValueError, argparse.ArgumentError) as error:
        parser.exit(2, f"error: {' '.join(str(error).split())}\n")
    return tuple(filled)


class _Plain(str):
    """A value without quotation marks."""


class _AsWritten(yaml.SafeLoader):
    """Leaves every value a text, since the type of its argument says what it stands for."""

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise yaml.YAMLError(f"the keys {twice} are there more than once")
        return super().construct_mapping(node, deep)


_AsWritten.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("<<$"), ["<"])
_AsWritten.add_constructor("tag:yaml.org,2002:str", lambda _, node: _text(node))


def _text(node: Any) -> str:
    return node.value if node.style else _Plain(node.value)


def _from_yaml(parser: HfArgumentParser, path: Path) -> dict[str, Any]:
    """Returns the file's values, each converted and checked by its argument."""
    if not path.is_file():
        raise ValueError(f"--config {path} does not exist: pass the path of a YAML file.")
    try:
        written = yaml.load(path.read_text(encoding="utf-8"), _AsWritten) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"--config {path} is not YAML: {error}") from error
    if not isinstance(written, dict):
        raise ValueError(f"--config {path} is no list of lines of the form `name: value`.")
    hints = {name: hint for kind in parser.dataclass_types for name, hint in get_type_hints(kind).items()}
    actions: dict[str, Any] = {name: parser._option_string_actions.get(f"--{name}") for name in hints}
    unknown = sorted(str(name) for name in written if actions.get(name) is None)
    if unknown:
        raise ValueError(f"--config {path} has the unknown keys {unknown}: see --help for the names.")
    values: dict[str, Any] = {}
    for name, value in written.items():
        action, kinds = actions[name], [hints[name], *get_args(hints[name])]
        action.required = False  # On the command line.
        items = value if isinstance(value, list) and action.nargs == "*" else [value]
        if _is_null(value) and type(None) in kinds:
            values[name] = None
        elif isinstance(value, dict) and any(dict in (kind, get_origin(kind)) for kind in kinds):
            values[name] = _typed(value)
        elif _is_null(value) or any(isinstance(item, list | dict) or (not item and _is_null(item)) for item in items):
            raise ValueError(f"--config {path} has {name}={value!r}: write one value, or leave the key out.")
        else:
            converted = [_converted(parser, action, item) for item in items]
            values[name] = converted if action.nargs == "*" else converted[0]
    return values


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, _Plain) and value in ("", "~", "null", "Null", "NULL"))


def _converted(parser: HfArgumentParser, action: argparse.Action, item: Any) -> Any:
    if action.type is string_to_bool:
        item = {"on": "true", "off": "false"}.get(item, item)
    value = parser._get_value(action, str(item))
    parser._check_value(action, value)
    return value


def _typed(value: Any) -> Any:
    """Reads the numbers, booleans and nulls of a dictionary, for which there is no argument."""
    if isinstance(value, dict):
        return {str(name): _typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    try:
        return json.loads({"True": "true", "False": "false"}.get(value, value)) if isinstance(value, _Plain) else value
    except ValueError:
        return str(value)
