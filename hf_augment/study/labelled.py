"""The rows that a study compares classifiers on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datasets

from hf_augment.label_sets import labels_of, sets_of, with_sets
from hf_augment.text_pairs import join_pairs


@dataclass
class LabelledData:
    """
    The rows of a study.

    Args:
        train (`datasets.Dataset`):
            All labelled rows, from which splits are drawn; `label` is a `ClassLabel`. Rows with several labels, or
            with none, have `labels` instead, a list of `ClassLabel`: each set of labels that occurs becomes a class of
            its own ([`~hf_augment.label_sets`]), which generators are asked for. Pairs of texts have `text` and
            `text_pair`, which become one text ([`~hf_augment.text_pairs`]): generators write both, filters compare
            both.
        evaluations (`dict[str, datasets.Dataset]`):
            The test set under `"test"`, and the hold-outs, with the same classes.
        name (`str`, *optional*, defaults to `"data"`): Name in the report.
        note (`str`, *optional*): Note for readers, in the title of the report.
        labels (`Sequence[str]`, *optional*, defaults to those of the column `labels`):
            The labels that the classes are sets of.
        pairs (`bool`, *optional*, defaults to whether there is a column `text_pair`):
            Whether a text is a pair.
        unlabelled (`datasets.Dataset`, *optional*):
            Rows of the same kind without labels, for arms that learn from them; none of them a test row.

    Example:

    ```python
    >>> import datasets
    >>> from hf_augment import LabelledData
    >>> labels = datasets.List(datasets.ClassLabel(names=["card", "lost"]))
    >>> rows = datasets.Dataset.from_dict({"text": ["My card is gone.", "Hello."], "labels": [[0, 1], []]})
    >>> rows = rows.cast_column("labels", labels)
    >>> data = LabelledData(rows, {"test": rows})
    >>> data.label_names, data.labels
    (['card; lost', 'none'], ['card', 'lost'])
    ```

    Raises:
        ValueError: If there is no test set, or rows lack a column, a text or a label, or have other classes.
    """

    train: datasets.Dataset
    evaluations: dict[str, datasets.Dataset]
    name: str = "data"
    note: str | None = None
    labels: Sequence[str] | None = None
    pairs: bool = False
    unlabelled: datasets.Dataset | None = None

    def __post_init__(self) -> None:
        if "test" not in self.evaluations:
            raise ValueError(f"evaluations={list(self.evaluations)} has no test set: pass one under 'test'.")
        every = {"train": self.train, **self.evaluations}
        for name, rows in every.items():
            if not isinstance(rows, datasets.Dataset):
                raise ValueError(
                    f"{name}={type(rows).__name__} must be a datasets.Dataset, as load_texts(...) returns."
                )
        if "text_pair" in self.train.column_names:
            self.pairs = True
            every = {name: _joined(name, rows) for name, rows in every.items()}
            self.unlabelled = None if self.unlabelled is None else _joined("unlabelled", self.unlabelled)
        if (labels := labels_of(self.train)) is not None:
            self.labels = labels
            sets = sorted(set().union(*(_sets(name, rows, labels) for name, rows in every.items())))
            every = {name: with_sets(rows, sets) for name, rows in every.items()}
        self.train = every.pop("train")
        self.evaluations = every
        _check_rows("train", self.train)
        for name, rows in every.items():
            _check_rows(name, rows, self.label_names)
        if self.unlabelled is not None:
            _check_inputs("unlabelled", self.unlabelled)

    @property
    def label_names(self) -> list[str]:
        """The classes."""
        return list(self.train.features["label"].names)


def _joined(name: str, rows: datasets.Dataset) -> datasets.Dataset:
    """Rows whose text is a pair."""
    columns = ["text", "text_pair"]
    if missing := [column for column in columns if column not in rows.column_names]:
        raise ValueError(f"{name} has no column {missing[0]!r} among {rows.column_names}, as pairs of texts need.")
    for column in columns:
        _check_texts(name, column, rows[column][:])
    # Last of all, since a dataset without columns has no rows either.
    pairs = rows.add_column("hf_augment.pair", join_pairs(*(rows[column][:] for column in columns)))
    return pairs.remove_columns(columns).rename_column("hf_augment.pair", "text")


def _sets(name: str, rows: datasets.Dataset, labels: Sequence[str]) -> set[str]:
    """The sets of labels that occur in rows."""
    if (found := labels_of(rows)) != labels:
        raise ValueError(
            f"{name} has the labels {found} in column 'labels', but train has {labels}: give it the same."
        )
    if without := rows["labels"][:].count(None):
        raise ValueError(f"{name} has {without} rows without labels: leave them out, or give an empty list for none.")
    return set(sets_of(rows))


def _check_rows(name: str, rows: datasets.Dataset, label_names: Sequence[str] | None = None) -> None:
    """Refuses rows that cannot be compared; `label_names` are the classes that they must have, in order."""
    _check_inputs(name, rows)
    label = rows.features.get("label")
    if getattr(label, "dtype", "").startswith(("float", "decimal")):
        raise ValueError(
            f"{name} has a number as label, {label}: regression is not supported in a study. Make classes of it, or "
            "train with AugmentingTrainer and a generator that brings the target."
        )
    if not isinstance(label, datasets.ClassLabel):
        raise ValueError(f"{name} has the label {label}: make it a ClassLabel, as by class_encode_column('label').")
    if label_names is not None and label.names != list(label_names):
        raise ValueError(f"{name} has the classes {label.names}, but train has {list(label_names)}: give it the same.")
    _check_filled(name, "label", sum(value is None or value < 0 for value in rows["label"][:]))


def _check_inputs(name: str, rows: datasets.Dataset) -> None:
    """Refuses rows without texts or images."""
    if not len(rows):
        raise ValueError(f"{name} has no row.")
    kinds = [kind for kind in ("text", "image") if kind in rows.column_names]
    if len(kinds) != 1:
        raise ValueError(
            f"{name} has the columns {rows.column_names}: it needs 'text' or 'image' beside 'label', so rename_column."
        )
    if kinds == ["text"]:
        _check_texts(name, "text", rows["text"][:])


def _check_texts(name: str, column: str, values: Sequence[Any]) -> None:
    _check_filled(name, column, sum(not isinstance(value, str) for value in values))


def _check_filled(name: str, column: str, empty: int) -> None:
    if empty:
        raise ValueError(f"{name} has {empty} rows without a {column}: leave them out, as load_texts(...) does.")
