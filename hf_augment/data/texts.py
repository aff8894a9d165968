"""Labelled texts from anywhere, as one shape: the columns `text` and `label`, a `ClassLabel`."""

from __future__ import annotations

from typing import Any

import datasets

from hf_augment.data.labels import read_labels, say_left_out
from hf_augment.data.tables import load_split


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
