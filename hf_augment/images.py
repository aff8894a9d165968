"""Images as this package handles them: uint8 arrays of shape (height, width, channels), one size for all."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
from PIL import Image, UnidentifiedImageError


#: Pillow's modes by number of channels.
MODES = {1: "L", 3: "RGB"}


def image_arrays(dataset: datasets.Dataset, column: str = "image", num_channels: int | None = None) -> np.ndarray:
    """
    Decodes a column of images, once, so that no step has to.

    Example:

    ```python
    >>> import datasets
    >>> import numpy as np
    >>> from hf_augment.images import image_arrays
    >>> features = datasets.Features({"image": datasets.Image()})
    >>> dataset = datasets.Dataset.from_dict({"image": [np.zeros((8, 8, 3), np.uint8)] * 2}, features=features)
    >>> image_arrays(dataset).shape
    (2, 8, 8, 3)
    ```

    Args:
        dataset (`datasets.Dataset`):
            With a column of `datasets.Image`, or of arrays.
        column (`str`, *optional*, defaults to `"image"`):
            Its name.
        num_channels (`int`, *optional*):
            1 for grey, 3 for colour. Defaults to that of the first image.

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
    feature = dataset.features[column]
    if isinstance(feature, datasets.Image):
        # Encoded, since a decoder that meets a corrupt image does not say in which row.
        encoded = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))[column][:]
        values: Sequence[Any] = [_decode(value, row) for row, value in enumerate(encoded)]
    else:
        values = dataset.with_format("numpy")[column][:]
    return stack_images(values, num_channels)


def _decode(value: dict[str, Any] | None, row: int) -> np.ndarray:
    if value is None:
        raise ValueError(f"Row {row} has no image: drop such rows.")
    try:
        with Image.open(io.BytesIO(value["bytes"]) if value["bytes"] is not None else value["path"]) as image:
            # Images of one bit and palettes have numbers that are no intensities.
            if image.mode not in MODES.values():
                raise ValueError(
                    f"Row {row} is an image of mode {image.mode!r}: convert all images to one of "
                    f"{sorted(MODES.values())}, as by `image.convert('RGB')`."
                )
            return np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"Row {row} is a corrupt image ({error}): drop or replace it.") from error


def stack_images(values: Sequence[Any], num_channels: int | None = None) -> np.ndarray:
    """
    Images of one kind as one array; a grey one may lack the axis of channels.

    Args:
        values (`Sequence`):
            Arrays or Pillow images.
        num_channels (`int`, *optional*):
            As for [`image_arrays`].

    Returns:
        `np.ndarray`: uint8 of shape `(images, height, width, channels)`.

    Raises:
        ValueError: As for [`image_arrays`].
    """
    arrays = [_array(value, row) for row, value in enumerate(values)]
    if not arrays:
        raise ValueError("There is no image: pass at least one.")
    first = arrays[0].shape
    if first[2] != (num_channels or first[2]):
        raise ValueError(
            f"Row 0 is {_shape(first)}, but num_channels={num_channels} was asked for: convert the images, as by "
            f"`image.convert({MODES.get(num_channels or 3)!r})`, or change num_channels."
        )
    for row, array in enumerate(arrays):
        if array.shape != first:
            raise ValueError(
                f"Row {row} is {_shape(array.shape)} and row 0 is {_shape(first)}: bring all images to one size and "
                "mode, as by `image.convert(...).resize(...)`."
            )
    return np.stack(arrays)


def _array(value: Any, row: int) -> np.ndarray:
    array = np.asarray(value)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in MODES or 0 in array.shape:
        raise ValueError(
            f"Row {row} has shape {np.shape(value)}: an image is an array of (height, width, channels) with "
            f"{' or '.join(map(str, MODES))} channels."
        )
    if array.dtype != np.uint8:
        raise ValueError(f"Row {row} is of type {array.dtype}: give images as uint8, from 0 to 255.")
    return array


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}×{shape[1]} {MODES[shape[2]]}"
