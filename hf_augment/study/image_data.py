"""Labelled images from anywhere, as one shape: the columns `image`, arrays of uint8, and `label`, a `ClassLabel`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import torch
from torchvision.transforms.v2 import functional

from hf_augment.images.arrays import image_arrays
from hf_augment.study.data import load_split, read_labels
from hf_augment.study.sources import resolve


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
    Loads labelled images and decodes them, once. Rows without a label (`None`, or -1 of a `ClassLabel`) are left out.

    Args:
        source (`str`):
            As for [`load_texts`]; or a CSV file of pixels, with `image_column="pixels"`: all columns but the label's
            and those to keep, row by row of square grey images. Without a header, columns have their numbers for
            names.
        split (`str`):
            As for [`load_texts`].
        image_column (`str`):
            The column of the images.
        label_column (`str`):
            The column of the labels.
        label_map (`str`, *optional*):
            As for [`load_texts`].
        label_names (`list[str]`, *optional*):
            As for [`load_texts`].
        keep_columns (`tuple[str, ...]`, *optional*):
            Further columns to keep.
        image_size (`int`, *optional*):
            Height and width to resize to. Defaults to what they are.

    Returns:
        `datasets.Dataset`: `image` as an `Array3D` of shape `(height, width, channels)`, `label`, and `keep_columns`.

    Raises:
        OSError: If it cannot be loaded.
        ValueError: If a split, a column or a label is not known, no row is left, or a row is no image like the first.
    """
    if image_column == PIXELS and ".csv" in source:
        dataset = _read_pixels(source, split, label_column, keep_columns)
    else:
        dataset = load_split(
            source, split, image_column=image_column, label_column=label_column, keep_columns=keep_columns
        )
    names, label_names = read_labels(dataset, source, label_column, label_map, label_names)
    keep = [row for row, name in enumerate(names) if name]
    if not keep:
        raise ValueError(
            f"{source!r} has no row with a label in split={split!r}: check {label_column=}, {label_map=}."
        )
    dataset = dataset.select(keep)
    try:
        images = _resized(image_arrays(dataset, image_column), image_size)
    except ValueError as error:
        raise ValueError(f"{source!r}, split={split!r}, of the rows with a label: {error}") from error
    columns = {"image": list(images), "label": [label_names.index(names[row]) for row in keep]}
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


def _read_pixels(source: str, split: str, label_column: str, keep_columns: tuple[str, ...]) -> datasets.Dataset:
    if split != "train":
        raise ValueError(
            f"{source!r} is one file, whose only split is 'train', not {split!r}: pass test_split=null (in a --config "
            "file) to test on a part of it."
        )
    path = Path(resolve(source)).expanduser()
    first = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
    has_header = not all(str(value).lstrip("-").isdigit() for value in first)
    table = pd.read_csv(path, header=0 if has_header else None)
    table.columns = table.columns.map(str)
    others = [label_column, *keep_columns]
    for name in others:
        if name not in table.columns:
            raise ValueError(
                f"label_column and other columns: {name!r} is none of {source!r}, which has {table.columns[0]!r} to "
                f"{table.columns[-1]!r}."
            )
    images = _square(source, table.drop(columns=others).to_numpy())
    # Its own types keep numbers whole where one is missing.
    rows = datasets.Dataset.from_pandas(table[others].convert_dtypes(), preserve_index=False)
    features = datasets.Features({PIXELS: datasets.Array3D(images.shape[1:], "uint8")})
    return datasets.concatenate_datasets([rows, datasets.Dataset.from_dict({PIXELS: list(images)}, features)], axis=1)


def _square(source: str, pixels: np.ndarray) -> np.ndarray:
    count = pixels.shape[1]
    size = round(count**0.5)
    if not len(pixels) or not count or size**2 != count:
        raise ValueError(
            f"{source!r} has {len(pixels)} rows of {count} columns beside the label: each row must be the pixels of a "
            "square image."
        )
    if pixels.dtype.kind not in "iu" or pixels.min() < 0 or pixels.max() > 255:
        raise ValueError(f"{source!r} has pixels that are no whole numbers from 0 to 255: convert them.")
    return pixels.astype(np.uint8).reshape(-1, size, size, 1)


def _resized(images: np.ndarray, size: int | None) -> np.ndarray:
    if size is None or images.shape[1:3] == (size, size):
        return images
    tensors = torch.from_numpy(images).permute(0, 3, 1, 2)
    return functional.resize(tensors, [size, size], antialias=True).permute(0, 2, 3, 1).contiguous().numpy()


def image_digests(dataset: datasets.Dataset) -> list[bytes]:
    """Equal for equal images."""
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in image_arrays(dataset)]
