"""Labels of any form: the name of each row's class, and the classes in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import datasets
from transformers.utils import logging


logger = logging.get_logger(__name__)


def read_labels(
    dataset: datasets.Dataset, source: str, column: str, label_map: str | None, label_names: list[str] | None
) -> tuple[list[str | None], list[str]]:
    """
    Reads labels of any form, and warns of rows that have none. `source` is the dataset's name in messages; the other
    arguments are those of [`load_texts`]. Returns the name of each row's label, `None` for a row to leave out, and the
    classes.

    Raises:
        ValueError: If a label or the column's type is not known.
    """
    mapping = parse_map(label_map)
    feature, raw = dataset.features[column], dataset[column][:]
    names: list[str | None]
    if isinstance(feature, datasets.ClassLabel):
        found = list(feature.names)
        beyond = sorted({value for value in raw if value is not None and value >= len(found)})
        if beyond:
            raise ValueError(
                f"label_column={column!r} of {source!r} has the labels {beyond}, but its ClassLabel names only "
                f"{len(found)} classes: correct it, or drop those rows."
            )
        names = [None if value is None or value < 0 else found[value] for value in raw]
    elif isinstance(feature, datasets.Value):
        names = _written(raw)
        found = in_order({name for name in names if name is not None})
    else:
        raise ValueError(
            f"label_column={column!r} of {source!r} is {feature}: pass a column with one label in each row."
        )
    say_left_out(source, "without a label", [row for row, name in enumerate(names) if name is None])
    if mapping:
        unknown = sorted(set(mapping) - set(found))
        if unknown:
            raise ValueError(
                f"label_map={label_map!r} names {unknown}, but {source!r} has the labels {found}: correct it."
            )
        unmapped = [row for row, name in enumerate(names) if name is not None and name not in mapping]
        say_left_out(source, "whose label is not in label_map", unmapped)
        names = [None if name is None else mapping.get(name) for name in names]
        found = sorted(set(mapping.values()) & set(names))
    if label_names is None:
        return names, found
    unknown = sorted({name for name in names if name is not None} - set(label_names))
    if unknown:
        raise ValueError(
            f"{source!r} has the labels {unknown}, which are none of {label_names}: map them, as in "
            f"label_map='{unknown[0]}={label_names[0]}'."
        )
    return names, label_names


def parse_map(text: str | None) -> dict[str, str]:
    """Reads a map such as `"fresh=positive,rotten=negative"`; empty for `None`."""
    if not text:
        return {}
    pairs = [[part.strip() for part in pair.split("=")] for pair in text.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise ValueError(f"label_map={text!r} is not a map of labels: write theirs=ours,theirs=ours, each once.")
    return dict(pairs)


def _written(labels: Sequence[Any]) -> list[str | None]:
    """Turns values into names. Whole numbers that became floats because one of them is missing are whole again."""
    # NaN is not equal to itself.
    present = [value for value in labels if value is not None and value == value]
    whole = all(isinstance(value, float) and value.is_integer() for value in present)
    return [None if v is None or v != v else str(int(v)) if whole else str(v) for v in labels]


def in_order(names: set[str]) -> list[str]:
    """The names of classes sorted, numbers by value."""
    numbers = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names)
    return sorted(names, key=lambda name: (float(name), name)) if numbers else sorted(names)


def say_left_out(source: str, which: str, rows: Sequence[int]) -> None:
    """Warns of rows that are left out: how many there are, and the number of the first, counted from 0."""
    if rows:
        logger.warning(f"{source!r}: left out {len(rows)} row(s) {which}. The first is row {rows[0]}, from 0.")
