"""Labelled rows from anywhere, as one shape: the column of the data and `label`, a `ClassLabel`."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import datasets
import numpy as np
from transformers.utils import logging

from hf_augment.seeding import derive_rng
from hf_augment.study.tables import load_table


logger = logging.get_logger(__name__)


def parse_map(text: str | None) -> dict[str, str]:
    """Reads a map such as `"fresh=positive,rotten=negative"`; empty for `None`."""
    if not text:
        return {}
    pairs = [[part.strip() for part in pair.split("=")] for pair in text.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise ValueError(f"label_map={text!r} is not a map of labels: write theirs=ours,theirs=ours, each once.")
    return dict(pairs)


def load_texts(
    source: str,
    split: str = "train",
    text_column: str = "text",
    label_column: str = "label",
    label_map: str | None = None,
    label_names: list[str] | None = None,
    keep_columns: tuple[str, ...] = (),
) -> datasets.Dataset:
    """
    Loads labelled texts. Rows without a text or a label (`None`, an empty cell of a CSV file, or -1 of a `ClassLabel`)
    are left out, and a warning says how many.

    Args:
        source (`str`):
            A Hub id, a folder, a parquet, CSV, TSV or JSON file, or a `wheel://` source. What a CSV or TSV file writes
            is what arrives: `NA` and `None` are words, and `007` stays as it is.
        split (`str`, *optional*, defaults to `"train"`):
            The split, or a part of one as in `"train[:80%]"`; a single file is the split `"train"`.
        text_column (`str`, *optional*, defaults to `"text"`): The column of the texts.
        label_column (`str`, *optional*, defaults to `"label"`): The column of the labels.
        label_map (`str`, *optional*):
            `"theirs=ours,…"`. With a map, rows with other labels are left out; without one, names stay.
        label_names (`list[str]`, *optional*):
            The classes in order. Defaults to those of the `ClassLabel`, or the sorted ones (numbers by value).
        keep_columns (`tuple[str, ...]`, *optional*): Further columns to keep.

    Returns:
        `datasets.Dataset`: `text`, `label` as a `ClassLabel`, and `keep_columns`.

    Raises:
        OSError: If it cannot be loaded.
        ValueError: If a split, a column or a label is not known, the texts are no strings, or no row is left.
    """
    dataset = load_split(source, split, text_column=text_column, label_column=label_column, keep_columns=keep_columns)
    if {"text", "label"} & set(keep_columns):
        raise ValueError(f"keep_columns={keep_columns} has a name that the result uses itself: rename that column.")
    kind = getattr(dataset.features[text_column], "dtype", None)
    if kind not in (None, "string", "large_string", "null"):
        raise ValueError(f"text_column={text_column!r} of {source!r} is {kind}: name a column of texts.")
    names, label_names = read_labels(dataset, source, label_column, label_map, label_names)
    texts = [text.strip() if isinstance(text, str) else "" for text in dataset[text_column][:]]
    say_left_out(source, "without a text", [i for i, text in enumerate(texts) if not text])
    keep = [i for i, (text, name) in enumerate(zip(texts, names, strict=True)) if text and name is not None]
    if not keep:
        raise ValueError(
            f"{source!r} has no row with a text and a label in split={split!r}: check the split, "
            f"text_column={text_column!r} and label_map={label_map!r}."
        )
    columns: dict[str, Any] = {
        "text": [texts[i] for i in keep],
        "label": [label_names.index(str(names[i])) for i in keep],
    }
    columns |= {name: dataset.select(keep)[name][:] for name in keep_columns}
    result = datasets.Dataset.from_dict(columns)
    return result.cast_column("label", datasets.ClassLabel(names=label_names))


def load_split(source: str, split: str, **columns: str | tuple[str, ...]) -> datasets.Dataset:
    """
    Loads a split as it is ([`load_table`]), or raises a `ValueError` unless it has the columns, each given under the
    name of the argument that names it.
    """
    dataset = load_table(source, split)
    for argument, wanted in columns.items():
        for column in (wanted,) if isinstance(wanted, str) else wanted:
            if column not in dataset.column_names:
                raise ValueError(
                    f"{argument}={column!r} is not a column of {source!r}, which has {dataset.column_names}."
                )
    return dataset


def load_train_and_test(
    args: Any,
    load: Callable[[str, list[str] | None, tuple[str, ...]], datasets.Dataset],
    keys: Callable[[datasets.Dataset], Sequence[Hashable]],
    seed: int,
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """
    Loads the labelled rows and the test rows: two splits, or one that is divided. A labelled row that repeats another
    one or is in the test set is left out: neither a fold nor a test may know it.

    Args:
        args (`ExperimentArguments`): Says which split, or how it is divided.
        load (`Callable`):
            Takes a split, the label names (`None`: the dataset's own) and columns to keep; returns labelled rows.
        keys (`Callable`): Rows to values that are equal for rows which are the same.
        seed (`int`): Seed of the division and of the choice of test rows.

    Raises:
        ValueError: If `test_fraction` is out of range, or a class is left without a labelled row.
    """
    if not 0 < args.test_fraction < 1:
        raise ValueError(f"test_fraction={args.test_fraction} must be above 0 and below 1.")
    if args.group_column is not None:
        whole = load(args.train_split, None, (args.group_column,))
        train, test = split_by_group(whole, args.group_column, args.test_fraction, seed)
    elif args.test_split is None:
        whole = load(args.train_split, None, ())
        train, test = split_by_label(whole, args.test_fraction, seed)
    else:
        train = whole = load(args.train_split, None, ())
        test = load(args.test_split, train.features["label"].names, ())
    train, test = without_duplicates(train, keys, test), sample_rows(test, args.max_test_rows, seed)
    if lost := _classes(whole) - _classes(train):
        raise ValueError(
            f"{args.dataset!r} has no labelled row of {sorted(lost)} that is not in the test set too: check the "
            f"splits, or pass another test_fraction than {args.test_fraction} or another seed."
        )
    if untested := _classes(train) - _classes(test):
        logger.warning(f"{args.dataset!r} has no test row of {sorted(untested)}: nothing is measured of these.")
    return train, test


def _classes(dataset: datasets.Dataset) -> set[str]:
    return {dataset.features["label"].int2str(label) for label in set(dataset["label"][:])}


def load_holdouts(
    args: Any, load: Callable[..., datasets.Dataset], label_names: list[str], seed: int
) -> dict[str, datasets.Dataset]:
    """
    Loads the hold-outs of an experiment, sets of another domain, by name: at most `max_test_rows` rows of each, with
    the same classes. `load` is [`load_texts`] or [`load_images`]. Raises a `ValueError` for one that is not written as
    it should be, or whose name is taken.
    """
    holdouts: dict[str, datasets.Dataset] = {}
    for holdout in args.holdouts:
        parts = holdout.split("|")
        if len(parts) != 6:
            raise ValueError(f"holdouts has {holdout!r}: write name|source|split|data_column|label_column|label_map.")
        name, *where = parts
        if name in ("test", *holdouts):
            raise ValueError(f"holdouts has {holdout!r}, but there is a set of the name {name!r} already: rename it.")
        holdouts[name] = sample_rows(load(*where, label_names), args.max_test_rows, seed)
    return holdouts


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
        found = _in_order({name for name in names if name is not None})
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


def _written(labels: Sequence[Any]) -> list[str | None]:
    """Turns values into names. Whole numbers that became floats because one of them is missing are whole again."""
    # NaN is not equal to itself.
    present = [value for value in labels if value is not None and value == value]
    whole = all(isinstance(value, float) and value.is_integer() for value in present)
    return [None if v is None or v != v else str(int(v)) if whole else str(v) for v in labels]


def _in_order(names: set[str]) -> list[str]:
    numbers = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names)
    return sorted(names, key=lambda name: (float(name), name)) if numbers else sorted(names)


def say_left_out(source: str, which: str, rows: Sequence[int]) -> None:
    """Warns of rows that are left out: how many there are, and the number of the first, counted from 0."""
    if rows:
        logger.warning(f"{source!r}: left out {len(rows)} row(s) {which}. The first is row {rows[0]}, from 0.")


def split_by_group(
    dataset: datasets.Dataset, group_column: str, test_fraction: float, seed: int
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """
    Divides a dataset so that no group, of equal values in `group_column`, is on both sides; the results lack that
    column. `test_fraction`, in `(0, 1)`, is the share of groups in the test part. Rows without a group are one group,
    and a warning counts them.

    Raises:
        ValueError: If a part would have no group.
    """
    of_row = dataset[group_column][:]
    groups = sorted(set(of_row), key=str)
    count = round(test_fraction * len(groups))
    if not 0 < count < len(groups):
        raise ValueError(
            f"test_fraction={test_fraction} of the {len(groups)} groups in {group_column!r} would leave train or test "
            "empty: pass another one, or another group_column."
        )
    if missing := of_row.count(None):
        logger.warning(f"group_column={group_column!r} is empty in {missing} rows, which are kept together.")
    order = derive_rng(seed, "split_by_group").permutation(len(groups))
    held_out = {groups[i] for i in order[:count]}
    return _divided(dataset.remove_columns(group_column), np.array([group in held_out for group in of_row]))


def split_by_label(
    dataset: datasets.Dataset, test_fraction: float, seed: int
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """
    Divides a dataset at random into a training and a test part, both in the dataset's order. The test part has the
    same share of every class, but the last row of a class stays in the training part.

    Raises:
        ValueError: If no row would be in the test part.
    """
    labels = np.array(dataset["label"][:])
    rng, test = derive_rng(seed, "split_by_label"), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test[rows[: min(round(test_fraction * len(rows)), len(rows) - 1)]] = True
    if not test.any():
        raise ValueError(
            f"test_fraction={test_fraction} of each class, of {len(labels)} rows in all, would leave no test row: "
            "pass a larger one, or more rows."
        )
    return _divided(dataset, test)


def _divided(dataset: datasets.Dataset, test: np.ndarray) -> tuple[datasets.Dataset, datasets.Dataset]:
    return dataset.select(np.flatnonzero(~test)), dataset.select(np.flatnonzero(test))


def without_duplicates(
    dataset: datasets.Dataset,
    keys: Callable[[datasets.Dataset], Sequence[Hashable]],
    other: datasets.Dataset | None = None,
) -> datasets.Dataset:
    """Keeps the first row of each key, and none whose key is in `other`."""
    seen = set(keys(other)) if other is not None and len(other) else set()
    rows = []
    for row, key in enumerate(keys(dataset) if len(dataset) else ()):
        if key not in seen:
            seen.add(key)
            rows.append(row)
    return dataset if len(rows) == len(dataset) else dataset.select(rows)


def sample_rows(dataset: datasets.Dataset, count: int | None, seed: int, *counters: int) -> datasets.Dataset:
    """
    Draws at most `count` random rows, in the dataset's order; all for `None`.

    Raises:
        ValueError: If `count` is not positive.
    """
    if count is None:
        return dataset
    if count < 1:
        raise ValueError(f"count={count} random rows is not possible: pass 1 or more, or None for all.")
    if count >= len(dataset):
        return dataset
    return dataset.select(np.sort(derive_rng(seed, "sample_rows", *counters).permutation(len(dataset))[:count]))


def sample_per_class(dataset: datasets.Dataset, count: int | None, seed: int, *counters: int) -> datasets.Dataset:
    """
    Draws `count` random rows of each class, in the dataset's order; all for `None`.

    Raises:
        ValueError: If a class has fewer, or `count` is not positive.
    """
    if count is None:
        return dataset
    if count < 1:
        raise ValueError(f"train_per_class={count} must be 1 or more, or None for all rows.")
    labels = np.array(dataset["label"][:])
    chosen = []
    for label, name in enumerate(dataset.features["label"].names):
        rows = np.flatnonzero(labels == label)
        if len(rows) < count:
            raise ValueError(f"train_per_class={count} is more than the {len(rows)} rows of {name!r}: lower it.")
        chosen.append(derive_rng(seed, "sample_per_class", label, *counters).permutation(rows)[:count])
    return dataset.select(np.sort(np.concatenate(chosen)))
