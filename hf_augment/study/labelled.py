"""The rows that a study compares classifiers on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datasets


@dataclass
class LabelledData:
    """
    The rows of a study.

    Args:
        train (`datasets.Dataset`): All labelled rows, from which splits are drawn; `label` is a `ClassLabel`.
        evaluations (`dict[str, datasets.Dataset]`):
            The test set under `"test"`, and the hold-outs, with the same classes.
        name (`str`, *optional*, defaults to `"data"`): Name in the report.
        note (`str`, *optional*): Note for readers, in the title of the report.

    Raises:
        ValueError: If there is no test set, or rows lack a column, a text or a label, or have other classes.
    """

    train: datasets.Dataset
    evaluations: dict[str, datasets.Dataset]
    name: str = "data"
    note: str | None = None

    def __post_init__(self) -> None:
        _check_rows("train", self.train)
        if "test" not in self.evaluations:
            raise ValueError(f"evaluations={list(self.evaluations)} has no test set: pass one under 'test'.")
        for name, rows in self.evaluations.items():
            _check_rows(name, rows, self.label_names)

    @property
    def label_names(self) -> list[str]:
        """The classes."""
        return list(self.train.features["label"].names)


def _check_rows(name: str, rows: Any, label_names: Sequence[str] | None = None) -> None:
    """Refuses rows that cannot be compared; `label_names` are the classes that they must have, in order."""
    if not isinstance(rows, datasets.Dataset):
        raise ValueError(f"{name}={type(rows).__name__} must be a datasets.Dataset, as load_texts(...) returns.")
    if not len(rows):
        raise ValueError(f"{name} has no row.")
    kinds = [kind for kind in ("text", "image") if kind in rows.column_names]
    if len(kinds) != 1:
        raise ValueError(
            f"{name} has the columns {rows.column_names}: it needs 'text' or 'image' beside 'label', so rename_column."
        )
    label = rows.features.get("label")
    if not isinstance(label, datasets.ClassLabel):
        raise ValueError(f"{name} has the label {label}: make it a ClassLabel, as by class_encode_column('label').")
    if label_names is not None and label.names != list(label_names):
        raise ValueError(f"{name} has the classes {label.names}, but train has {list(label_names)}: give it the same.")
    empty = {"label": sum(value is None or value < 0 for value in rows["label"][:])}
    if kinds == ["text"]:
        empty["text"] = sum(not isinstance(value, str) for value in rows["text"][:])
    for column, count in empty.items():
        if count:
            raise ValueError(f"{name} has {count} rows without a {column}: leave them out, as load_texts(...) does.")
