"""Images of any size and mode, as people have them, to arrays of one size and one number of channels."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import datasets
import numpy as np
import torch

from hf_augment.extras import optional_imports
from hf_augment.images.arrays import MODES, name_corrupt, read_header


#: The tag of EXIF that says which way up an image is.
_ORIENTATION = 0x0112


@dataclass
class Forms:
    """
    What the images of a dataset were before they became alike.

    Args:
        sizes (`Counter`): Images by (width, height) in pixels, as they are stored.
        modes (`Counter`): Images by Pillow's mode.
        changes (`Counter`): Images by what was done to them, in words.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)


def uniform_images(dataset: datasets.Dataset, column: str, size: int | None = None) -> tuple[np.ndarray, Forms]:
    """
    Decodes a column of images of any form, one at a time, and makes them alike: upright as their EXIF data say, 16
    bits scaled to 8, alpha on white, the first frame of an animation, palettes and CMYK as RGB, grey ones as RGB where
    one is in colour, and resized, whatever their proportions.

    Example:

    ```python
    >>> import datasets
    >>> import numpy as np
    >>> from hf_augment.images.forms import uniform_images
    >>> features = datasets.Features({"image": datasets.Image()})
    >>> mixed = [np.zeros((8, 9), np.uint8), np.zeros((50, 40, 3), np.uint8)]
    >>> images, forms = uniform_images(datasets.Dataset.from_dict({"image": mixed}, features=features), "image", 32)
    >>> images.shape, dict(forms.changes)
    ((2, 32, 32, 3), {'resized': 2, 'grey to colour': 1})
    ```

    Args:
        dataset (`datasets.Dataset`): With a column of `datasets.Image`.
        column (`str`): Its name.
        size (`int`, *optional*): Height and width to resize to, in pixels. Without it, all must be of one size.

    Returns:
        `tuple[np.ndarray, Forms]`: uint8 of shape `(rows, height, width, channels)`, and what they were.

    Raises:
        ValueError: If files are corrupt, which names them; a row has no image; values have no known scale; or sizes
            differ and there is no `size`.
    """
    forms, arrays, corrupt = Forms(), [], []
    for row, value in enumerate(_encoded(dataset, column)):
        try:
            arrays.append(_uniform(value, row, size, forms))
        except ValueError as error:
            corrupt.append(str(error))
    if corrupt:
        raise ValueError(" ".join(corrupt[:3]) + (f" So are {len(corrupt) - 3} more." if len(corrupt) > 3 else ""))
    if len({array.shape[:2] for array in arrays}) > 1:
        few = ", ".join(f"{width}×{height}" for (width, height), _ in forms.sizes.most_common(3))
        raise ValueError(f"images have {len(forms.sizes)} sizes, such as {few}: pass image_size, to which to resize.")
    channels = max(array.shape[2] for array in arrays)
    if grey := sum(array.shape[2] < channels for array in arrays):
        forms.changes["grey to colour"] += grey
    shape = (len(arrays), *arrays[0].shape[:2], channels)
    images = np.empty(shape, np.uint8)
    for i, array in enumerate(arrays):
        images[i] = array
    return images, forms


def median_side(dataset: datasets.Dataset, column: str) -> float:
    """Returns the median of the shorter sides of some 500 images, in pixels, without those that cannot be read."""
    sides = []
    for row, value in enumerate(_encoded(dataset.select(range(0, len(dataset), len(dataset) // 500 + 1)), column)):
        # `uniform_images` names what is no image.
        with contextlib.suppress(ValueError):
            sides.append(min(read_header(value, row).size))
    return float(np.median(sides)) if sides else 0.0


def _encoded(dataset: datasets.Dataset, column: str) -> Iterator[Any]:
    encoded = dataset.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    return (value for rows in encoded.iter(1000) for value in rows[column])


def _uniform(value: Any, row: int, size: int | None, forms: Forms) -> np.ndarray:
    """An image as an array in grey or in colour, of the size wanted."""
    with optional_imports("images"):
        from PIL import Image, ImageOps

    image = read_header(value, row)
    full = image.size
    with name_corrupt(value, row):
        if size is not None:
            image.draft(image.mode, (2 * size, 2 * size))  # A large JPEG is decoded to no more than it takes.
        image.load()
    forms.modes[image.mode] += 1
    forms.sizes[full] += 1
    done = ["first frame of several"] if getattr(image, "n_frames", 1) > 1 else []
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
        done.append("turned upright")
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_eight_bits(np.asarray(image), row))
        done.append("scaled to 8 bits")
    if "a" in image.mode.lower().replace("lab", "") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
        done.append("alpha on white")
    elif image.mode not in MODES.values():
        mode = "L" if image.mode == "1" else "RGB"
        done.append(f"mode {image.mode} to {mode}")
        image = image.convert(mode)
    array = np.asarray(image)
    array = array[:, :, None] if array.ndim == 2 else array
    if size is not None and array.shape[:2] != (size, size):
        array = resize(array[None], size)[0]
    if size is not None and full != (size, size):
        done.append("resized")
    forms.changes.update(done)
    return array


def _eight_bits(values: np.ndarray, row: int) -> np.ndarray:
    """Scales what goes beyond 8 bits: numbers of 16 bits, and fractions from 0 to 1; those to 255 stay."""
    low, high = float(values.min()), float(values.max())
    whole = values.dtype.kind in "iu"
    top = 65535 if whole else 1 if high <= 1 else 255
    if not 0 <= low <= high <= top:
        raise ValueError(
            f"Row {row} is an image with values from {low:g} to {high:g}, of no known scale: save it with 8 bits."
        )
    return (values * (255 / top)).round().astype(np.uint8)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Resizes uint8 images of shape `(images, height, width, channels)` to `size` × `size`."""
    if images.shape[1:3] == (size, size):
        return images
    with optional_imports("images"):
        from torchvision.transforms.v2 import functional

    tensors = torch.from_numpy(images.copy()).permute(0, 3, 1, 2)
    return functional.resize(tensors, [size, size], antialias=True).permute(0, 2, 3, 1).contiguous().numpy()


def fit(image: np.ndarray, size: tuple[int, int], num_channels: int = 3) -> np.ndarray:
    """
    Cuts an image to the proportions of a size, around its centre, and resizes it by Pillow's Lanczos filter, which
    takes the mean of what becomes one pixel.

    Args:
        image (`np.ndarray`): uint8 of shape `(height, width, 1 or 3)`.
        size (`tuple[int, int]`): Height and width wanted, in pixels.
        num_channels (`int`, *optional*, defaults to 3): 3 for RGB, 1 for grey.

    Returns:
        `np.ndarray`: uint8 of shape `(*size, num_channels)`.
    """
    with optional_imports("images"):
        from PIL import Image, ImageOps

    pillow = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).convert(MODES[num_channels])
    fitted = np.array(ImageOps.fit(pillow, size[::-1], Image.Resampling.LANCZOS))
    return fitted.reshape(*size, num_channels)
