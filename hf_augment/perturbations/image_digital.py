"""Corruptions of processing (see `image_noise` for what all corruptions have in common)."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from hf_augment.extras import optional_imports
from hf_augment.perturbations.image_noise import Rngs


with optional_imports("images"):
    from PIL import Image


def contrast(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """Brings each channel nearer to its mean over the image: 0.75 down to 0.15 of the distance is left."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    return mean + (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1] * (images - mean)


def elastic_transform(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """
    Rubber: a random affine map, then (from severity 2 on) a smooth random displacement of each pixel.

    The affine map moves three points around the middle by up to 2.56 (down to 0.96) pixels in each direction. The
    displacements are uniform noise that was smoothed and multiplied: with severity they get rougher and larger, while
    the affine map gets weaker.
    """
    shift, strength, sigma = ((2.56, 0, 0), (2.24, 1.6, 6.4), (1.92, 2.56, 1.92), (1.6, 3.2, 1.28), (0.96, 3.2, 0.96))[
        severity - 1
    ]
    _, height, width, _ = images.shape
    row, column = np.mgrid[:height, :width]
    arm = min(height, width) // 3
    corners = np.array([height // 2, width // 2]) + arm * np.array([[1, 1], [-1, 1], [-1, -1]])
    moved = corners + np.stack([rng.uniform(-shift, shift, corners.shape) for rng in rngs])
    ones = np.ones((len(images), 3, 1))
    affine = np.linalg.solve(np.concatenate([moved, ones], axis=-1), np.broadcast_to(corners, moved.shape))
    # Where a pixel comes from.
    source = np.stack([row, column, np.ones_like(row)], axis=-1) @ affine[:, None]
    images = _sample(images, source[..., 0], source[..., 1], mode="mirror")
    noise = np.stack([rng.uniform(-1, 1, (2, height, width)) for rng in rngs])
    down, right = strength * ndimage.gaussian_filter(noise, (0, 0, sigma, sigma), truncate=3).swapaxes(0, 1)
    return _sample(images, row + down, column + right, mode="reflect")


def _sample(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, mode: str) -> np.ndarray:
    number = np.broadcast_to(np.arange(len(images))[:, None, None], rows.shape)
    channels = np.moveaxis(images, -1, 0)
    return np.stack(
        [ndimage.map_coordinates(channel, [number, rows, columns], order=1, mode=mode) for channel in channels],
        axis=-1,
    )


def pixelate(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """Makes images smaller, to 95 % down to 65 % of their sides, and large again, in both cases without smoothing."""
    share = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]

    def through_fewer_pixels(image: Image.Image) -> Image.Image:
        few = image.resize((int(image.width * share), int(image.height * share)), Image.Resampling.BOX)
        return few.resize(image.size, Image.Resampling.BOX)

    return _by_pillow(through_fewer_pixels, images)


def jpeg_compression(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """Compresses with losses, at a quality of 80 down to 40."""
    quality = (80, 65, 58, 50, 40)[severity - 1]

    def through_a_file(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return _by_pillow(through_a_file, images)


def _by_pillow(function: Callable[[Image.Image], Image.Image], images: np.ndarray) -> np.ndarray:
    grey = images.shape[-1] == 1
    arrays = np.rint(255 * images).astype(np.uint8)
    results = [function(Image.fromarray(array[:, :, 0] if grey else array)) for array in arrays]
    return np.stack([np.asarray(result) for result in results]).reshape(images.shape) / 255
