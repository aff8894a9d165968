"""Checks of numbers, texts and labels that several rooms share."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import datasets
import numpy as np


def check_number(name: str, value: Any, low: float, high: float = math.inf, *, whole: bool = False, hint: str) -> None:
    """Raises a `ValueError` that names the argument unless `value` is a number (`whole`: an integer) in the range."""
    kind, described = (numbers.Integral, "a whole number") if whole else (numbers.Real, "a number")
    # The comparison is also False for NaN; bool is an Integral, but True words make no sense.
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= float(value) <= high:
        limits = f"of at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        raise ValueError(f"`{name}` must be {described} {limits}, but is {value!r}. {hint}")


def check_texts(name: str, texts: Iterable[str]) -> list[str]:
    """Returns the texts as a list, or raises a `ValueError` if there are none or one is not a `str`."""
    if isinstance(texts, str):
        raise ValueError(f"`{name}` must be a list of texts, but is the one text {texts[:40]!r}. Put it in a list.")
    listed = list(texts)
    if not listed:
        raise ValueError(f"`{name}` must hold at least one text, but is empty. Leave the filter out if there is none.")
    for row, text in enumerate(listed):
        if not isinstance(text, str):
            raise ValueError(f"`{name}` must hold only `str`, but row {row} is {text!r}. Drop or convert such rows.")
    return listed


def read_texts(examples: Sequence[dict[str, Any]], text_column: str) -> list[str]:
    """The texts of some examples, or a `ValueError` that says which columns there are."""
    texts = []
    for example in examples:
        text = example.get(text_column)
        if not isinstance(text, str):
            raise ValueError(
                f"`text_column` is {text_column!r}, but an example has {text!r} there; its columns are "
                f"{sorted(example)}. Give the filter the name of the generator's text column."
            )
        texts.append(text)
    return texts


def check_labels(name: str, labels: Any, n_examples: int, n_classes: int | None = None, of: str = "") -> np.ndarray:
    """
    Returns the labels as an array, or raises a `ValueError` unless there is a class, zero or more, per example: one of
    the `n_classes` that `of` has, if that is known.
    """
    classes = np.asarray(labels)
    if classes.shape != (n_examples,) or not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(
            f"`{name}` has shape {classes.shape} and type {classes.dtype}. Give one integer class for each of the "
            f"{n_examples} examples."
        )
    for row in np.flatnonzero((classes < 0) | (classes >= (np.inf if n_classes is None else n_classes)))[:1]:
        if n_classes is None:
            raise ValueError(f"`{name}[{row}]` is {classes[row]}. Give classes from 0 on.")
        raise ValueError(
            f"`{name}[{row}]` is {classes[row]}, but {of} {n_classes} classes. Give labels from 0 to {n_classes - 1}."
        )
    return classes


def check_targets(name: str, labels: Any, n_examples: int, n_classes: int | None = None, of: str = "") -> np.ndarray:
    """
    As [`check_labels`] for one class per example; for several labels, a row of 0 and 1 per example, returns bool of
    shape `(n_examples, num_labels)`.
    """
    rows = np.asarray(labels)
    if rows.ndim != 2:
        return check_labels(name, labels, n_examples, n_classes, of)
    shape = (n_examples, rows.shape[1] if n_classes is None else n_classes)
    if rows.shape != shape or not np.isin(rows, (0, 1)).all():
        raise ValueError(
            f"`{name}` has shape {rows.shape}. For several labels give 0 or 1 for each example and label, in an array "
            f"of shape {shape}."
        )
    return rows.astype(bool)


def class_column(dataset: datasets.Dataset, column: str, label_names: Sequence[str] | None = None) -> list[int]:
    """Returns the labels of a dataset, or raises a `ValueError` unless each is the number of a class."""
    if column not in dataset.column_names:
        raise ValueError(f"label_column={column!r} is not a column of the dataset, which has {dataset.column_names}.")
    names: Any = getattr(dataset.features[column], "names", label_names)
    if label_names is not None and list(names) != list(label_names):
        raise ValueError(
            f"The dataset's labels are {names}, the generator's {list(label_names)}. Make the generator with "
            f"dataset.features[{column!r}].names."
        )
    return class_numbers(dataset.with_format(None)[column][:], column, label_names)


def class_numbers(labels: Sequence[Any], column: str, label_names: Sequence[str] | None = None) -> list[int]:
    """Returns labels as `int`, or raises a `ValueError` unless each is a class, or -100, which losses ignore."""
    top = math.inf if label_names is None else len(label_names)
    found = []
    for row, label in enumerate(labels):
        try:
            number = operator.index(label)
        except TypeError:
            number = -1
        if not 0 <= number < top and not (number == -100 and label_names is None):
            classes = "a class" if label_names is None else f"one of the classes {list(label_names)}"
            raise ValueError(
                f"Row {row} has the label {label!r}, which is not the number of {classes}. Drop such rows, or number "
                f"names by `dataset.class_encode_column({column!r})`."
            )
        found.append(number)
    return found
