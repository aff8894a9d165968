"""Names of classes as a person would say them, and files that describe them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import regex
import yaml


#: Where a word of a name begins: after what is no letter, digit or sign within a word; before a capital.
_WORD = regex.compile(r"(?:[\p{L}\p{M}\p{N}'\u2019&+#/]|(?<=\p{N})[.,](?=\p{N}))+")
_CAPITAL = regex.compile(r"(?<=[\p{Ll}\p{N}])(?=\p{Lu}\p{Ll})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})|(?<=\p{Ll})(?=\p{Lu}{2})")
#: Names that number a class and say nothing of it.
_NUMBER = regex.compile(r"(?:label|class|category|cat|topic|intent)?[\W_]*\d[\d\W_]*", regex.IGNORECASE)


def readable_name(name: str) -> str:
    """
    The name of a class in words: without underscores, dashes and punctuation, and in small letters but for what looks
    like an abbreviation.

    Example:

    ```python
    >>> from hf_augment.label_names import readable_name
    >>> [readable_name(name) for name in ("card_arrival", "CardArrival", "Card Arrival?", "ATM-support", "Sci/Tech")]
    ['card arrival', 'card arrival', 'card arrival', 'ATM support', 'sci/tech']
    ```
    """
    if "; " in name:  # A set of labels.
        return " and ".join(map(readable_name, name.split("; ")))
    words = [word for run in _WORD.findall(name) for word in _CAPITAL.split(run) if word]
    # In a name that is written in capitals, no word is an abbreviation.
    kept = len(name) < 5 or not name.isupper()
    return " ".join(w if kept and len(w) > 1 and w.isupper() else w.lower() for w in words) or name.strip()


def says_nothing(name: str) -> bool:
    """Whether a name numbers its class, such as `"3"` or `"LABEL_1"`, or is empty."""
    return not name.strip() or _NUMBER.fullmatch(name.strip()) is not None


def read_descriptions(path: str | Path, label_names: Sequence[str]) -> dict[str, str]:
    """
    Reads what the classes are from a file that says it for all of them.

    Args:
        path (`str` or `Path`):
            A YAML file of lines `label: description`, as `hf_augment inspect --descriptions` writes it, or a CSV file
            with a header and two columns in that order.
        label_names (`Sequence[str]`): The classes that must be described.

    Returns:
        `dict[str, str]`: The descriptions, in one line each, by label name and in the order of `label_names`.

    Raises:
        `OSError`: If the file cannot be read.
        `ValueError`: If it is not of that form, describes a class twice or none, or one that does not exist.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8-sig")
    pairs = _csv_pairs(path, text) if path.suffix.lower() == ".csv" else _yaml_pairs(path, text)
    found: dict[str, str] = {}
    for name, description in pairs:
        if name in found:
            raise ValueError(f"{path} describes {name!r} twice. Keep one of the lines.")
        found[name] = " ".join(description.split())
    if unknown := sorted(found.keys() - set(label_names)):
        raise ValueError(f"{path} describes {unknown[:5]}, but the labels are {list(label_names)}. Use these names.")
    if missing := [name for name in label_names if not found.get(name)]:
        raise ValueError(f"{path} does not describe {missing[:5]}. Add a line for each label.")
    return {name: found[name] for name in label_names}


def write_descriptions(path: str | Path, label_names: Sequence[str]) -> None:
    """
    Writes a draft that [`read_descriptions`] reads: a line `label: readable name` for each class, or, where the name
    of the file ends in `.csv`, a row.

    Raises:
        `FileExistsError`: If there is such a file, which may hold a person's work.
    """
    lines, path = {name: readable_name(name) for name in label_names}, Path(path)
    check_free(path)
    with path.open("x", encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".csv":
            csv.writer(file).writerows([("label", "description"), *lines.items()])
        else:
            yaml.safe_dump(lines, file, allow_unicode=True, sort_keys=False, width=1000)


def check_free(path: str | Path) -> None:
    """Raises `FileExistsError` if there is such a file, and `FileNotFoundError` if its folder is not there."""
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"descriptions={str(path)!r} is there already: pass another name, or delete it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"descriptions={str(path)!r} is in no folder that is there: make it first.")


def _csv_pairs(path: Path, text: str) -> Iterable[tuple[str, str]]:
    rows = [row for row in csv.reader(io.StringIO(text)) if any(row)]
    if wrong := next((row for row in rows if len(row) != 2), None):
        raise ValueError(f"{path} has the row {wrong}: it must have two columns, label and description.")
    return [(name, description) for name, description in rows[1:]]


def _yaml_pairs(path: Path, text: str) -> Iterable[tuple[str, str]]:
    try:
        # As they are written: a label `yes` or `007` is no truth value and no number.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML file: {' '.join(str(error).split())}") from error
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    if not pairs or not all(isinstance(node, yaml.ScalarNode) for pair in pairs for node in pair):
        raise ValueError(f"{path} must have lines `label: description`, and nothing else.")
    return [(name.value, description.value) for name, description in pairs]
