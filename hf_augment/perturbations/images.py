"""The 15 common corruptions of images at 5 severities: made here, or read from the official set."""

from __future__ import annotations

import numbers
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_augment.images.arrays import stack_images
from hf_augment.perturbations.image_blur import defocus_blur, glass_blur, motion_blur, whole_levels, zoom_blur
from hf_augment.perturbations.image_digital import contrast, elastic_transform, jpeg_compression, pixelate
from hf_augment.perturbations.image_noise import gaussian_noise, impulse_noise, shot_noise
from hf_augment.perturbations.image_weather import brightness, fog, frost, snow
from hf_augment.seeding import derive_rng


_FUNCTIONS = {
    function.__name__: function
    for function in (
        *(gaussian_noise, shot_noise, impulse_noise),
        *(defocus_blur, glass_blur, motion_blur, zoom_blur),
        *(snow, frost, fog, brightness),
        *(contrast, elastic_transform, pixelate, jpeg_compression),
    )
}

#: Names of the corruptions, in the order of Hendrycks & Dietterich 2019.
IMAGE_CORRUPTIONS: tuple[str, ...] = tuple(_FUNCTIONS)

SEVERITIES = (1, 2, 3, 4, 5)

#: Enough to spend little time outside NumPy, few enough to need little memory.
CHUNK = 250

MIN_SIZE = 8

#: Rows of the official set: the test set of CIFAR-10, or of CIFAR-100.
OFFICIAL_ROWS = 10_000


def corrupt_images(images: Sequence[Any] | np.ndarray, name: str, severity: int, seed: int = 0) -> np.ndarray:
    """
    Corrupts images as the CIFAR-10-C of Hendrycks & Dietterich 2019 (*Benchmarking neural network robustness to common
    corruptions and perturbations*) does: the same definitions at the same strengths, which for 32×32 pixels are milder
    than ImageNet-C's.

    Kernels and displacements are so many pixels, whatever the size of the images: on images much larger than 32×32 the
    blurs and `elastic_transform` do little. `frost` has a pattern that is drawn instead of photographs of ice; all
    else is random as in the official set. To compare with published figures, read that set with
    [`load_corrupted_set`].

    Severities are those of the authors: more severe is not in every case more harmful. In `glass_blur`, 4 blurs less
    than 3 but shuffles twice; in `elastic_transform`, a shift of the whole gives way to local displacements.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment.perturbations.images import corrupt_images
    >>> images = np.full((2, 32, 32, 3), 100, np.uint8)
    >>> corrupt_images(images, "brightness", severity=3)[0, 0, 0]
    array([138, 138, 138], dtype=uint8)
    ```

    Args:
        images (`np.ndarray` or `Sequence[np.ndarray]`):
            uint8 of shape `(images, height, width, channels)`, or arrays of `(height, width, channels)` of one shape,
            with 1 channel or 3 (RGB) and at least 8 pixels on each side.
        name (`str`): One of `IMAGE_CORRUPTIONS`.
        severity (`int`): From 1 to 5.
        seed (`int`, *optional*, defaults to 0):
            Zero or more. What becomes of an image depends on the image, its place, `name`, `severity` and `seed`
            alone.

    Returns:
        `np.ndarray`: uint8 of shape `(images, height, width, channels)`.

    Raises:
        ValueError: If `name` or `severity` is not known, `seed` is negative, there is no image, or one is no uint8
            array, too small or unlike the first.
    """
    _check(name, severity)
    if seed < 0:
        raise ValueError(f"seed={seed}: it must be zero or more.")
    stacked = stack_images(list(images))
    if min(stacked.shape[1:3]) < MIN_SIZE:
        raise ValueError(
            f"images of {stacked.shape[1]}×{stacked.shape[2]} pixels: resize them to {MIN_SIZE}×{MIN_SIZE} or more."
        )
    corrupted = np.empty_like(stacked)
    for start in range(0, len(stacked), CHUNK):
        chunk = stacked[start : start + CHUNK]
        rngs = [derive_rng(seed, f"image corruption {name}", severity, start + row) for row in range(len(chunk))]
        values = whole_levels(_FUNCTIONS[name](chunk / 255, severity, rngs))
        corrupted[start : start + CHUNK] = np.rint(255 * values)
    return corrupted


def _check(name: str, severity: int) -> None:
    if name not in IMAGE_CORRUPTIONS:
        raise ValueError(f"name={name!r} is no corruption of images: choose one of {', '.join(IMAGE_CORRUPTIONS)}.")
    if not isinstance(severity, numbers.Integral) or severity not in SEVERITIES:
        raise ValueError(f"severity={severity!r}: choose one of {SEVERITIES}.")


def load_corrupted_set(folder: str | os.PathLike[str], name: str, severity: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Reads one corruption at one severity of the official CIFAR-10-C, or of CIFAR-100-C, from a local copy.

    Its images are those of the test set in the usual order, so for that set the result can take the place of
    [`corrupt_images`]'s; that the labels are equal shows that the order is.

    Example:

    ```python
    from hf_augment import load_corrupted_set

    images, labels = load_corrupted_set("CIFAR-10-C", "fog", severity=5)
    ```

    Args:
        folder (`str` or `os.PathLike`):
            The folder of `labels.npy`, `fog.npy` and so on: the archive of https://zenodo.org/records/2535967,
            unpacked.
        name (`str`): One of `IMAGE_CORRUPTIONS`.
        severity (`int`): From 1 to 5.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Images, uint8 of shape `(10000, 32, 32, 3)`, and labels, int64 of shape
            `(10000,)`.

    Raises:
        FileNotFoundError: If one of the two files is not there.
        ValueError: If `name` or `severity` is not known, or a file has another shape or type.
    """
    _check(name, severity)
    rows = slice((severity - 1) * OFFICIAL_ROWS, severity * OFFICIAL_ROWS)
    images = _official(Path(folder) / f"{name}.npy", (len(SEVERITIES) * OFFICIAL_ROWS, 32, 32, 3))
    labels = _official(Path(folder) / "labels.npy", (len(SEVERITIES) * OFFICIAL_ROWS,))
    if images.dtype != np.uint8:
        raise ValueError(f"{name}.npy in {str(folder)!r} holds {images.dtype}, not uint8: download it again.")
    return np.array(images[rows]), labels[rows].astype(np.int64)


def _official(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(
            f"folder={str(path.parent)!r} has no {path.name}: download CIFAR-10-C.tar from "
            "https://zenodo.org/records/2535967, unpack it and pass the folder with the .npy files."
        )
    # Mapped, since only a fifth of a file is wanted.
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != shape:
        raise ValueError(
            f"{path.name} in {str(path.parent)!r} has shape {array.shape}, not {shape}: download it again."
        )
    return array
