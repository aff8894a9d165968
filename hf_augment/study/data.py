"""Labelled rows from anywhere, as one shape: the column of the data and `label`, a `ClassLabel`."""

from __future__ import annotations

import glob
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from hf_augment.seeding import derive_rng
from hf_augment.study.sources import resolve


FILE_TYPES = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}


def parse_map(text: str | None) -> dict[str, str]:
    """`"fresh=positive,rotten=negative"` as a dictionary; empty for `None`."""
    if not text:
        return {}
    pairs = [[part.strip() for part in pair.split("=")] for pair in text.split(",")]
    if any(len(pair) != 2 or not all(pair) for pair in pairs) or len({pair[0] for pair in pairs}) < len(pairs):
        raise ValueError(f"label_map={text!r} is not a map of labels: write theirs=ours,theirs=ours, each once.")
    return dict(pairs)


def load_texts(
    source: str,
    split: str,
    text_column: str,
    label_column: str,
    label_map: str | None = None,
    label_names: list[str] | None = None,
    keep_columns: tuple[str, ...] = (),
) -> datasets.Dataset:
    """
    Loads labelled texts. Rows without a text or without a label (`None`, or -1 of a `ClassLabel`) are left out.

    Args:
        source (`str`):
            A Hub id, a folder, a parquet, CSV or JSON file, or a `wheel://` source.
        split (`str`):
            The split, or a part of one as in `"train[:80%]"`; a single file is the split `"train"`.
        text_column (`str`):
            The column of the texts.
        label_column (`str`):
            The column of the labels.
        label_map (`str`, *optional*):
            `"theirs=ours,…"`. With a map, rows with other labels are left out; without one, names stay.
        label_names (`list[str]`, *optional*):
            The classes in order. Defaults to those of the `ClassLabel`, or the sorted ones (numbers by value).
        keep_columns (`tuple[str, ...]`, *optional*):
            Further columns to keep.

    Returns:
        `datasets.Dataset`: `text`, `label` as a `ClassLabel`, and `keep_columns`.

    Raises:
        OSError: If it cannot be loaded.
        ValueError: If a split, a column or a label is not known, or no row is left.
    """
    dataset = load_split(source, split, text_column=text_column, label_column=label_column, keep_columns=keep_columns)
    if {"text", "label"} & set(keep_columns):
        raise ValueError(f"keep_columns={keep_columns} has a name that the result uses itself: rename that column.")
    names, label_names = read_labels(dataset, source, label_column, label_map, label_names)
    texts = [text if isinstance(text, str) else "" for text in dataset[text_column][:]]
    keep = [i for i, (text, name) in enumerate(zip(texts, names, strict=True)) if text.strip() and name]
    if not keep:
        raise ValueError(
            f"{source!r} has no row with a text and a label in split={split!r}: check the split, "
            f"text_column={text_column!r} and label_map={label_map!r}."
        )
    columns: dict[str, Any] = {
        "text": [texts[i].strip() for i in keep],
        "label": [label_names.index(names[i]) for i in keep],
    }
    columns |= {name: dataset.select(keep)[name][:] for name in keep_columns}
    result = datasets.Dataset.from_dict(columns)
    return result.cast_column("label", datasets.ClassLabel(names=label_names))


def load_split(source: str, split: str, **columns: str | tuple[str, ...]) -> datasets.Dataset:
    """
    Loads a split as it is, and checks that it has the columns.

    Args:
        source (`str`):
            As for [`load_texts`].
        split (`str`):
            As for [`load_texts`].
        columns (`str` or `tuple[str, ...]`):
            The columns it must have, by the name of the argument that names them.

    Raises:
        OSError: If it cannot be loaded.
        ValueError: If the split or a column is not known.
    """
    dataset = _load(source, split)
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
    The labelled rows and the test rows: of two splits, or of one that is divided. A labelled row that repeats another
    one or is in the test set is left out: neither a fold nor a test may know it.

    Args:
        args (`ExperimentArguments`):
            `train_split`, `test_split`, `group_column`, `test_fraction` and `max_test_rows` of it.
        load (`Callable`):
            Takes a split, the label names (`None`: the dataset's own) and columns to keep; returns labelled rows.
        keys (`Callable`):
            Rows to values that are equal for rows which are the same.
        seed (`int`):
            Of the division and of the choice of test rows.

    Returns:
        `tuple[datasets.Dataset, datasets.Dataset]`: Both with the same classes.

    Raises:
        ValueError: If `test_fraction` is out of range, or leaves a part without a row.
    """
    if not 0 < args.test_fraction < 1:
        raise ValueError(f"test_fraction={args.test_fraction} must be above 0 and below 1.")
    if args.group_column is not None:
        whole = load(args.train_split, None, (args.group_column,))
        both = split_by_group(whole, args.group_column, args.test_fraction, seed)
        train, test = both["train"], both["test"]
    elif args.test_split is None:
        whole = load(args.train_split, None, ())
        train, test = split_by_label(whole, args.test_fraction, seed)
    else:
        train = load(args.train_split, None, ())
        test = load(args.test_split, train.features["label"].names, ())
    train = without_duplicates(train, keys, test)
    if len(train) == 0:
        raise ValueError(f"{args.dataset!r} has no labelled row that is not in the test set too: check the splits.")
    return train, sample_rows(test, args.max_test_rows, seed)


def load_holdouts(
    args: Any, load: Callable[..., datasets.Dataset], label_names: list[str], seed: int
) -> dict[str, datasets.Dataset]:
    """
    The sets of another domain.

    Args:
        args (`ExperimentArguments`):
            `holdouts` and `max_test_rows` of it.
        load (`Callable`):
            Such as [`load_texts`].
        label_names (`list[str]`):
            The classes.
        seed (`int`):
            Of the choice of rows.

    Raises:
        ValueError: If one is not written as it should be, or its name is taken.
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
) -> tuple[list[str], list[str]]:
    """
    Reads labels of any form.

    Args:
        dataset (`datasets.Dataset`):
            With the column.
        source (`str`):
            Its name, for errors.
        column (`str`):
            Of the labels.
        label_map (`str`, *optional*):
            As for [`load_texts`].
        label_names (`list[str]`, *optional*):
            As for [`load_texts`].

    Returns:
        `tuple[list[str], list[str]]`: The name of each row's label, `""` for none, and the classes.

    Raises:
        ValueError: If a label or the column's type is not known.
    """
    mapping = parse_map(label_map)
    feature, raw = dataset.features[column], dataset[column][:]
    if not isinstance(feature, datasets.ClassLabel | datasets.Value):
        raise ValueError(
            f"label_column={column!r} of {source!r} is {feature}: pass a column with one label in each row."
        )
    own = list(feature.names) if isinstance(feature, datasets.ClassLabel) else None
    if own is None:
        names = ["" if value is None else str(value) for value in raw]
    else:
        beyond = sorted({value for value in raw if value is not None and value >= len(own)})
        if beyond:
            raise ValueError(
                f"label_column={column!r} of {source!r} has the labels {beyond}, but its ClassLabel names only "
                f"{len(own)} classes: correct it, or drop those rows."
            )
        names = ["" if value is None or value < 0 else own[value] for value in raw]
    found = own or [str(value) for value in sorted({value for value in raw if value not in (None, "")})]
    if mapping:
        unknown = sorted(set(mapping) - set(found))
        if unknown:
            raise ValueError(
                f"label_map={label_map!r} names {unknown}, but {source!r} has the labels {found}: correct it."
            )
        names = [mapping.get(name, "") for name in names]
        found = sorted(set(names) - {""})
    if label_names is None:
        return names, found
    unknown = sorted(set(names) - set(label_names) - {""})
    if unknown:
        raise ValueError(
            f"{source!r} has the labels {unknown}, which are none of {label_names}: map them, as in "
            f"label_map='{unknown[0]}={label_names[0]}'."
        )
    return names, label_names


def _load(source: str, split: str) -> datasets.Dataset:
    path = Path(resolve(source)).expanduser()
    options: dict[str, Any] = {"path": str(path) if path.is_dir() else source}
    if path.is_file():
        suffix = next((s.lower() for s in reversed(path.suffixes) if s.lower() in FILE_TYPES), None)
        if suffix is None:
            raise ValueError(f"{source!r} is a file of no known type: use one of {sorted(FILE_TYPES)}.")
        # Escaped, since data_files are patterns.
        options = {"path": FILE_TYPES[suffix], "data_files": glob.escape(str(path))}
        options |= {"delimiter": "\t"} if suffix == ".tsv" else {}
    elif not path.is_dir() and (path.is_absolute() or source.startswith(".")):
        raise FileNotFoundError(f"{source!r} does not exist: pass a folder, a file or a Hub id.")
    try:
        return datasets.load_dataset(**options, split=split)
    except ValueError as error:
        raise ValueError(f"{source!r} could not be read with split={split!r}: {error}") from error
    except DatasetGenerationError as error:
        raise OSError(f"{source!r} could not be read ({error.__cause__}): check that the file is whole.") from error
    except (ConnectionError, DatasetNotFoundError, HfHubHTTPError, OfflineModeIsEnabled) as error:
        raise OSError(
            f"{source!r} is no folder here and could not be loaded from the Hub ({type(error).__name__}): check the "
            "name and the network, or pass a local folder or parquet file."
        ) from error


def split_by_group(
    dataset: datasets.Dataset, group_column: str, test_fraction: float, seed: int
) -> datasets.DatasetDict:
    """
    Splits so that no group is on both sides.

    Args:
        dataset (`datasets.Dataset`):
            With the column `group_column`, which the result has no more.
        group_column (`str`):
            What must stay together.
        test_fraction (`float`):
            Share of the groups in the test split, in `(0, 1)`.
        seed (`int`):
            Of the choice.

    Returns:
        `datasets.DatasetDict`: `train` and `test`.

    Raises:
        ValueError: If one of them would have no group.
    """
    groups = sorted(set(dataset[group_column][:]), key=str)
    count = round(test_fraction * len(groups))
    if not 0 < count < len(groups):
        raise ValueError(
            f"test_fraction={test_fraction} of the {len(groups)} groups in {group_column!r} would leave train or test "
            "empty: pass another one, or another group_column."
        )
    order = derive_rng(seed, "split_by_group").permutation(len(groups))
    held_out = {groups[i] for i in order[:count]}
    on_test = np.array([group in held_out for group in dataset[group_column][:]])
    dataset = dataset.remove_columns(group_column)
    return datasets.DatasetDict(
        train=dataset.select(np.flatnonzero(~on_test)), test=dataset.select(np.flatnonzero(on_test))
    )


def split_by_label(
    dataset: datasets.Dataset, test_fraction: float, seed: int
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """
    A random part for tests, the same share of every class; both parts in the dataset's order.

    Raises:
        ValueError: If one of them would have no row.
    """
    labels = np.array(dataset["label"][:])
    rng, test = derive_rng(seed, "split_by_label"), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test[rows[: round(test_fraction * len(rows))]] = True
    if test.all() or not test.any():
        raise ValueError(
            f"test_fraction={test_fraction} of each class, of {len(labels)} rows in all, would leave train or test "
            "empty: pass another one."
        )
    return dataset.select(np.flatnonzero(~test)), dataset.select(np.flatnonzero(test))


def without_duplicates(
    dataset: datasets.Dataset,
    keys: Callable[[datasets.Dataset], Sequence[Hashable]],
    other: datasets.Dataset | None = None,
) -> datasets.Dataset:
    """The first row of each key, and none whose key is in `other`."""
    seen = set(keys(other)) if other is not None and len(other) else set()
    rows = []
    for row, key in enumerate(keys(dataset) if len(dataset) else ()):
        if key not in seen:
            seen.add(key)
            rows.append(row)
    return dataset if len(rows) == len(dataset) else dataset.select(rows)


def sample_rows(dataset: datasets.Dataset, count: int | None, seed: int, *counters: int) -> datasets.Dataset:
    """
    At most `count` random rows, in the dataset's order; all for `None`.

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
    `count` random rows of each class, in the dataset's order; all for `None`.

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
