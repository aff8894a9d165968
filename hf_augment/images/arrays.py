"""Images as this package handles them: uint8 arrays of shape (height, width, channels), one size for all."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from hf_augment.extras import optional_imports


#: Pillow's modes by number of channels.
MODES = {1: "L", 3: "RGB"}


def image_arrays(dataset: datasets.Dataset, column: str = "image", num_channels: int | None = None) -> np.ndarray:
    """
    Decodes a column of images, once, so that no step has to.

    Example:

    ```python
    >>> import datasets
    >>> import numpy as np
    >>> from hf_augment.images.arrays import image_arrays
    >>> features = datasets.Features({"image": datasets.Image()})
    >>> dataset = datasets.Dataset.from_dict({"image": [np.zeros((8, 8, 3), np.uint8)] * 2}, features=features)
    >>> image_arrays(dataset).shape
    (2, 8, 8, 3)
    ```

    Args:
        dataset (`datasets.Dataset`): With a column of `datasets.Image`, or of arrays.
        column (`str`, *optional*, defaults to `"image"`): Its name.
        num_channels (`int`, *optional*): 1 for grey, 3 for colour. Defaults to that of the first image.

    Returns:
        `np.ndarray`: uint8 of shape `(rows, height, width, channels)`.

    Raises:
        ValueError: If the column is missing or empty, or a row is no image, is corrupt, or has another size, mode or
            type than the first.
    """
    if column not in dataset.column_names:
        raise ValueError(f"image_column={column!r} is not a column of the dataset, which has {dataset.column_names}.")
    if len(dataset) == 0:
        raise ValueError(f"The dataset has no row, so column {column!r} has no image: check its split and filters.")
    # A transform takes rows as they are decoded, which they are not yet.
    dataset = dataset.with_format(None)
    feature = dataset.features[column]
    if isinstance(feature, datasets.Image):
        # Encoded, since a decoder that meets a corrupt image does not say in which row.
        encoded = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))[column][:]
        return stack_images([_decode(feature, value, row) for row, value in enumerate(encoded)], num_channels)
    for row in np.flatnonzero(dataset.with_format("arrow")[:][column].is_null())[:1]:
        raise ValueError(_NOTHING.format(row=row))
    while hasattr(feature, "feature"):
        feature = feature.feature  # Nested lists.
    # Left to itself, the format makes int64 of every integer.
    exact = {"dtype": np.uint8} if getattr(feature, "dtype", None) == "uint8" else {}
    try:
        with np.errstate(invalid="raise"):
            values = dataset.with_format("numpy", **exact)[column][:]
    except FloatingPointError as error:
        raise ValueError(f"Column {column!r} has images in which numbers are missing: drop such rows.") from error
    return stack_images(values, num_channels)


_NOTHING = "Row {row} has no image: drop such rows."


@contextmanager
def name_corrupt(value: dict[str, Any] | None, row: int) -> Iterator[None]:
    """Names the file, or else the row, of an image that is missing or corrupt."""
    with optional_imports("images"):
        from PIL import Image, UnidentifiedImageError
    if value is None or value == {"bytes": None, "path": None}:
        raise ValueError(_NOTHING.format(row=row))
    try:
        yield
    except (OSError, SyntaxError, EOFError, ValueError, struct.error, Image.DecompressionBombError) as error:
        # Pillow's own words are the address of a buffer.
        why = (
            "of no known format"
            if isinstance(error, UnidentifiedImageError)
            else getattr(error, "strerror", 0) or error
        )
        file = value["path"] if value["bytes"] is None else None
        raise ValueError(f"{file or f'Row {row}'} is a corrupt image ({why}): drop or replace it.") from error


def read_header(value: dict[str, Any], row: int) -> Any:
    """
    Opens an image of an encoded column without decoding it. Raises a `ValueError` that names its file, or else its
    row, if it is none.
    """
    with optional_imports("images"):
        from PIL import Image

    with name_corrupt(value, row):
        # Pillow leaves a file open that it does not read to its end.
        return Image.open(io.BytesIO(Path(value["path"]).read_bytes() if value["bytes"] is None else value["bytes"]))


def _decode(feature: datasets.Image, value: dict[str, Any] | None, row: int) -> Any:
    with name_corrupt(value, row):
        image = datasets.Image().decode_example(value)  # The right way up.
    if feature.mode in (None, image.mode):
        return image
    _check_depth(image, row)
    return image.convert(feature.mode)


def _check_depth(image: Any, row: int) -> None:
    if image.mode.startswith(("I", "F")):
        raise ValueError(
            f"Row {row} is an image of mode {image.mode!r}, whose values go beyond 255, where `convert` and "
            "`datasets.Image(mode=...)` cut them off. Scale the images to 8 bits, those of 16 bits by "
            "`Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))`."
        )


def stack_images(values: Sequence[Any], num_channels: int | None = None) -> np.ndarray:
    """
    Stacks images of one kind to one array; a grey one may lack the axis of channels.

    Args:
        values (`Sequence`): Arrays or Pillow images.
        num_channels (`int`, *optional*): As for [`image_arrays`].

    Returns:
        `np.ndarray`: uint8 of shape `(images, height, width, channels)`.

    Raises:
        ValueError: As for [`image_arrays`].
    """
    if not len(values):
        raise ValueError("There is no image: pass at least one.")
    first = image_array(values[0]).shape
    if first[2] != (num_channels or first[2]):
        raise ValueError(
            f"Row 0 is {_shape(first)}, but num_channels={num_channels} was asked for: convert the images, as by "
            f"`image.convert({MODES.get(num_channels or 3)!r})`, or change num_channels."
        )
    # Rows of a dataset are arrays already, of which checks one by one would cost more than all the rest.
    if all(type(value) is np.ndarray and value.dtype == np.uint8 and value.shape == first for value in values):
        return np.stack(values)
    arrays = [image_array(value, row) for row, value in enumerate(values)]
    for row, array in enumerate(arrays):
        if array.shape != first:
            raise ValueError(
                f"Row {row} is {_shape(array.shape)} and row 0 is {_shape(first)}: bring all images to one size and "
                "mode, as by `image.convert(...).resize(...)`."
            )
    return np.stack(arrays)


def image_array(value: Any, row: int = 0) -> np.ndarray:
    """Converts one of the images of [`stack_images`] to a uint8 array of shape `(height, width, channels)`."""
    # Pillow's images of one bit and of palettes have numbers that are no intensities.
    if hasattr(value, "getbands") and value.mode not in MODES.values():
        _check_depth(value, row)
        raise ValueError(
            f"Row {row} is an image of mode {value.mode!r}: convert all images to one of {sorted(MODES.values())}, as "
            "by `image.convert('RGB')`, or a column of them by `cast_column(name, datasets.Image(mode='RGB'))`."
        )
    array = np.asarray(value)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in MODES or 0 in array.shape:
        raise ValueError(
            f"Row {row} has shape {np.shape(value)}: an image is an array of (height, width, channels) with "
            f"{' or '.join(map(str, MODES))} channels."
        )
    if array.dtype != np.uint8:
        raise ValueError(f"Row {row} is of type {array.dtype}: scale images to 0 to 255, and make them uint8.")
    return array


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}×{shape[1]} {MODES[shape[2]]}"


def check_images(name: str, images: Any) -> np.ndarray:
    """Returns the images, or raises a `ValueError` unless they are one array as of [`stack_images`]."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        described = f"{images.dtype} of shape {images.shape}" if isinstance(images, np.ndarray) else f"{type(images)}"
        raise ValueError(
            f"`{name}` must be a uint8 array of shape (images, height, width, channels) with at least one image, but "
            f"is {described}. Make it with `image_arrays(dataset)`."
        )
    return images


def read_images(examples: Sequence[dict[str, Any]], image_column: str) -> np.ndarray:
    """Stacks the images of examples, or raises a `ValueError` that says which columns there are."""
    for example in examples:
        if image_column not in example:
            raise ValueError(
                f"`image_column` is {image_column!r}, but the columns of an example are {sorted(example)}. Give the "
                "filter the name of the generator's image column."
            )
    return stack_images([example[image_column] for example in examples])
