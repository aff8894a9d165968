"""Labelled images from anywhere, as one shape: the columns `image`, arrays of uint8, and `label`, a `ClassLabel`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import datasets
import numpy as np
import pandas as pd

from hf_augment.data.delimited import AS_WRITTEN, first_row, no_cell_lost
from hf_augment.data.labels import read_labels
from hf_augment.data.sources import resolve
from hf_augment.data.tables import load_split
from hf_augment.images.arrays import image_arrays
from hf_augment.images.forms import resize, uniform_images
from hf_augment.progress import say


#: The image column of a CSV file whose rows are pixels.
PIXELS = "pixels"


def load_images(
    source: str,
    split: str,
    image_column: str,
    label_column: str,
    label_map: str | None = None,
    label_names: list[str] | None = None,
    keep_columns: tuple[str, ...] = (),
    image_size: int | None = None,
) -> datasets.Dataset:
    """
    Loads labelled images, decodes them, once, and makes them alike ([`uniform_images`]), which is said. Rows without a
    label are left out, as by [`load_texts`].

    Args:
        source (`str`):
            As for [`load_texts`]; or a CSV file of pixels, with `image_column="pixels"`: all columns but the label's
            and those to keep, row by row of square grey images. Without a header, columns have their numbers for
            names.
        split (`str`): As for [`load_texts`].
        image_column (`str`): The column of the images.
        label_column (`str`): The column of the labels.
        label_map (`str`, *optional*): As for [`load_texts`].
        label_names (`list[str]`, *optional*): As for [`load_texts`].
        keep_columns (`tuple[str, ...]`, *optional*): Further columns to keep.
        image_size (`int`, *optional*): Height and width to resize to. Defaults to what they are.

    Returns:
        `datasets.Dataset`: `image` as an `Array3D` of shape `(height, width, channels)`, `label`, and `keep_columns`.

    Raises:
        OSError: If it cannot be loaded.
        ValueError: If a split, a column or a label is not known, no row is left, a row is no image, or sizes differ
            and there is no `image_size`.
    """
    if image_column == PIXELS and ".csv" in source:
        if split != "train":
            raise ValueError(
                f"{source!r} is one file, whose only split is 'train', not {split!r}: pass test_split=null (in a "
                "--config file) to test on a part of it."
            )
        dataset = read_pixels(source, label_column, keep_columns)
    else:
        dataset = load_split(
            source, split, image_column=image_column, label_column=label_column, keep_columns=keep_columns
        )
    names, label_names = read_labels(dataset, source, label_column, label_map, label_names)
    keep = [row for row, name in enumerate(names) if name is not None]
    if not keep:
        raise ValueError(
            f"{source!r} has no row with a label in split={split!r}: check {label_column=}, {label_map=}."
        )
    dataset = dataset.select(keep)
    try:
        if isinstance(dataset.features[image_column], datasets.Image):
            images, forms = uniform_images(dataset, image_column, image_size)
            if forms.changes:
                changes = ", ".join(f"{what}: {count}" for what, count in forms.changes.most_common())
                say(f"{source!r}, split={split!r}, {len(images)} images, of which were changed: {changes}")
        else:
            images = image_arrays(dataset, image_column)
            images = images if image_size is None else resize(images, image_size)
    except ValueError as error:
        raise ValueError(f"{source!r}, split={split!r}, of the rows with a label: {error}") from error
    columns = {"image": list(images), "label": [label_names.index(str(names[row])) for row in keep]}
    features = datasets.Features(
        {
            "image": datasets.Array3D(shape=images.shape[1:], dtype="uint8"),
            "label": datasets.ClassLabel(names=label_names),
        }
    )
    result = datasets.Dataset.from_dict(columns, features=features)
    for name in keep_columns:
        result = result.add_column(name, dataset[name][:])
    return result


def read_pixels(source: str, label_column: str | None, keep_columns: tuple[str, ...] = ()) -> datasets.Dataset:
    """
    Reads a CSV file of pixels, as for [`load_images`]: `pixels`, arrays of uint8, and the columns named. Without a
    label's column all others are pixels.
    """
    path = Path(resolve(source)).expanduser()
    first = first_row(path)
    numbers = all(map(_is_number, first))
    # A row of pixels may hold a number like that of the label's column; but then it has some number twice.
    if label_column is None:
        # Names that only count the columns are no image.
        has_header = first == [str(i) for i in range(len(first))] or not all(map(_is_float, first))
    else:
        doubtful = _is_number(label_column) and (numbers or len(set(first)) < len(first))
        has_header = label_column in first and not doubtful
    names = first if has_header else [str(i) for i in range(len(first))]
    others = [*([] if label_column is None else [label_column]), *keep_columns]
    for name in others:
        if name not in names:
            ends = [(names if numbers else first)[i] for i in (0, -1)]
            raise ValueError(
                f"label_column or keep_columns: {name!r} is none of {source!r}, which has {ends[0]!r} to {ends[1]!r}."
            )
    # Of text only the columns that are no pixels, of which there may be millions.
    options = {"header": 0 if has_header else None, "names": names, "dtype": dict.fromkeys(others, str)}
    with no_cell_lost():
        table = pd.read_csv(path, **options, **AS_WRITTEN)
    images = _square(source, table.drop(columns=others))
    features = datasets.Features({PIXELS: datasets.Array3D(images.shape[1:], "uint8")})
    pictures = datasets.Dataset.from_dict({PIXELS: list(images)}, features)
    if not others:
        return pictures
    rows = datasets.Dataset.from_pandas(table[others].astype(object), preserve_index=False)
    return datasets.concatenate_datasets([rows, pictures], axis=1)


def _is_number(cell: str) -> bool:
    return cell.lstrip("-").isdigit()


def _is_float(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _square(source: str, table: pd.DataFrame) -> np.ndarray:
    count = table.shape[1]
    size = round(count**0.5)
    if not len(table) or not count or size**2 != count:
        raise ValueError(
            f"{source!r} has {len(table)} rows of {count} columns beside the label: each row must be the pixels of a "
            "square image."
        )
    pixels = table.to_numpy()
    if pixels.dtype.kind not in "iu" or pixels.min() < 0 or pixels.max() > 255:
        numbers = table.apply(pd.to_numeric, errors="coerce")
        for row, column in np.argwhere(~numbers.isin(range(256)).to_numpy())[:1]:
            raise ValueError(
                f"{source!r} has pixels that are no whole numbers from 0 to 255: convert them. The first is "
                f"{table.iat[row, column]}, in row {row} (from 0) and column {table.columns[column]!r}."
            )
        pixels = numbers.to_numpy()
    return pixels.astype(np.uint8).reshape(-1, size, size, 1)


def image_digests(dataset: datasets.Dataset) -> list[bytes]:
    """Returns bytes for each image that are equal for equal images."""
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in image_arrays(dataset)]
