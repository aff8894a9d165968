"""Rows with several labels: each set of labels is a class of its own, named after its labels as in `"card; lost"`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import datasets
import numpy as np


#: Between the labels of a set.
SEPARATOR = "; "
#: The set without a label.
NONE = "none"


def set_name(labels: Iterable[str]) -> str:
    """
    The name of a set of labels.

    Example:

    ```python
    >>> from hf_augment.label_sets import set_name
    >>> set_name(["card", "lost"]), set_name([])
    ('card; lost', 'none')
    ```
    """
    return SEPARATOR.join(labels) or NONE


def labels_of(dataset: datasets.Dataset, column: str = "labels") -> list[str] | None:
    """The names of the labels in a column of lists of `ClassLabel`; `None` if it is no such column."""
    feature: Any = getattr(dataset.features.get(column), "feature", None)
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def sets_of(dataset: datasets.Dataset, column: str = "labels") -> list[str]:
    """The name of each row's set of labels, which are in the order of their numbers."""
    labels = labels_of(dataset, column)
    assert labels is not None
    check_label_names(labels)
    return [set_name(labels[number] for number in sorted(set(row))) for row in dataset[column][:]]


def with_sets(
    dataset: datasets.Dataset, sets: Sequence[str] | None = None, column: str = "labels"
) -> datasets.Dataset:
    """
    Returns rows whose `label` is the class that their set of labels is.

    Example:

    ```python
    >>> import datasets
    >>> from hf_augment.label_sets import with_sets
    >>> labels = datasets.List(datasets.ClassLabel(names=["card", "lost"]))
    >>> rows = datasets.Dataset.from_dict({"text": ["My card is gone.", "Hello."], "labels": [[0, 1], []]})
    >>> rows = with_sets(rows.cast_column("labels", labels))
    >>> rows["label"][:], rows.features["label"].names
    ([0, 1], ['card; lost', 'none'])
    ```

    Args:
        dataset (`datasets.Dataset`): Rows with several labels.
        sets (`Sequence[str]`, *optional*): Names of all sets. Defaults to those that occur, sorted.
        column (`str`, *optional*, defaults to `"labels"`): A list of `ClassLabel`. The result lacks it.

    Raises:
        ValueError: If a row has a set that is none of `sets`, or a label cannot be told from a set.
    """
    found = sets_of(dataset, column)
    names = sorted(set(found)) if sets is None else list(sets)
    number = {name: i for i, name in enumerate(names)}
    if unknown := sorted(set(found) - set(names)):
        raise ValueError(f"Rows have the sets of labels {unknown[:5]}, which are none of the {len(names)} in sets.")
    rows = dataset.remove_columns([name for name in (column, "label") if name in dataset.column_names])
    return rows.add_column("label", [number[name] for name in found], feature=datasets.ClassLabel(names=names))


def members(name: str) -> list[str]:
    """The labels of a set of this name."""
    return [] if name == NONE else name.split(SEPARATOR)


def described_sets(sets: Sequence[str], descriptions: Mapping[str, str]) -> dict[str, str]:
    """
    What sets of labels are, by what their labels are; nothing of the set without a label.

    Example:

    ```python
    >>> from hf_augment.label_sets import described_sets
    >>> described_sets(["card; lost", "card", "none"], {"card": "a new card", "lost": "a lost one"})
    {'card; lost': 'a new card and a lost one', 'card': 'a new card'}
    ```
    """
    return {name: " and ".join(descriptions[label] for label in members(name)) for name in sets if members(name)}


def memberships(sets: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """
    Which labels each set has.

    Example:

    ```python
    >>> from hf_augment.label_sets import memberships
    >>> memberships(["card; lost", "card", "none"], ["card", "lost"]).astype(int).tolist()
    [[1, 1], [1, 0], [0, 0]]
    ```

    Args:
        sets (`Sequence[str]`): Names of sets.
        labels (`Sequence[str]`): All labels, in the order of the model's outputs.

    Returns:
        `np.ndarray`: Bool of shape `(sets, labels)`.

    Raises:
        ValueError: If a set has a label that is none of these, or a label cannot be told from a set.
    """
    check_label_names(labels)
    column = {label: i for i, label in enumerate(labels)}
    found = np.zeros((len(sets), len(column)), dtype=bool)
    for row, name in enumerate(sets):
        if unknown := [label for label in members(name) if label not in column]:
            raise ValueError(f"The set {name!r} has the labels {unknown}, which are none of {list(labels)}.")
        found[row, [column[label] for label in members(name)]] = True
    return found


def check_label_names(labels: Sequence[str]) -> None:
    """Raises a `ValueError` for a label whose name could be that of a set."""
    for label in labels:
        if SEPARATOR in label or label in (NONE, ""):
            raise ValueError(
                f"The label {label!r} of rows with several labels cannot be told from a set of labels, which are "
                f"written {set_name(['one', 'other'])!r}, and {NONE!r} without any: rename it."
            )
