"""Corruptions that blur (see `image_noise` for what all corruptions have in common), and the filters they are of."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage, signal

from hf_augment.perturbations.image_noise import Rngs


def whole_levels(images: np.ndarray) -> np.ndarray:
    """Clips to `[0, 1]` and cuts off what is between two of the 256 grey levels, as the official set does."""
    # What is exact but for floating point should not lose a level.
    return np.floor(255 * np.clip(images, 0, 1) + 1e-6) / 255


def streaks(images: np.ndarray, radius: int, sigma: float, angles: np.ndarray) -> np.ndarray:
    """
    Blurs each image, of `(images, height, width, channels)`, in one direction: an angle in radians for each, where 0
    is to the right and `π / 2` down.

    A pixel is the mean of itself and `2 * radius` pixels that lie ahead of it, with the weights of half a normal curve
    of deviation `sigma`: the definition of ImageMagick's motion blur, by which CIFAR-10-C was made. Beyond its edge an
    image goes on with the last pixel.
    """
    number, height, width, _ = images.shape
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    # To the nearest pixel, a half towards zero.
    down = np.ceil(steps * np.sin(angles)[:, None] - 0.5).astype(int)
    right = np.ceil(steps * np.cos(angles)[:, None] - 0.5).astype(int)
    blurred = np.zeros_like(images)
    for step, weight in enumerate(weights / weights.sum()):
        rows = np.clip(np.arange(height) + down[:, step, None], 0, height - 1)
        columns = np.clip(np.arange(width) + right[:, step, None], 0, width - 1)
        blurred += weight * images[np.arange(number)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return blurred


def zoomed(images: np.ndarray, factor: float) -> np.ndarray:
    """Magnifies the middle of each image (bilinear) to the size of the whole."""
    _, height, width, _ = images.shape
    # Along each axis a linear map, so that all images are zoomed by two products of matrices.
    return np.einsum(
        "yh,nhwc,xw->nyxc", _zoom_matrix(height, factor), images, _zoom_matrix(width, factor), optimize=True
    )


def _zoom_matrix(size: int, factor: float) -> np.ndarray:
    window = math.ceil(size / factor)
    positions = np.linspace(0, window - 1, round(window * factor))
    margin = (len(positions) - size) // 2
    positions = positions[margin : margin + size] + (size - window) // 2
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(size)))


def defocus_blur(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """A lens out of focus: the mean over a disk, whose edge is softened by a normal curve on 3×3 pixels."""
    radius, softness = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    offsets = np.arange(-1, 2)
    disk = (offsets**2 + offsets[:, None] ** 2 <= radius**2).astype(float)
    curve = np.exp(-(offsets**2) / (2 * softness**2))
    kernel = signal.convolve2d(disk, np.outer(curve, curve))
    return ndimage.correlate(images, (kernel / kernel.sum())[None, :, :, None], mode="mirror")


def glass_blur(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """
    Frosted glass: blurred, then (once or twice) each pixel or its left, upper or upper left neighbour at random, then
    blurred again.

    The authors' program means to let two neighbours change places; what it does, and so what is done here, is to copy.
    """
    sigma, rounds = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))[severity - 1]
    number, height, width, _ = images.shape
    images = whole_levels(ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest"))
    image, row, column = np.ogrid[:number, :height, :width]
    inside = (row >= 2) & (column >= 2)
    for _ in range(rounds):
        up, left = np.stack([rng.integers(0, 2, (2, height, width)) for rng in rngs], axis=1) * inside
        images = images[image, row - up, column - left]
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def motion_blur(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """A camera in motion, to the right and up to 45° from it; see [`streaks`]."""
    radius, sigma = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    angles = np.array([rng.uniform(-np.pi / 4, np.pi / 4) for rng in rngs])
    return streaks(images, radius, sigma, angles)


def zoom_blur(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """
    A camera that rushes at the object: the mean of the image (twice) and of zooms into it by 1 %, 2 %, … up to 6, 11,
    15, 20 or 25 %.
    """
    last = (6, 11, 15, 20, 25)[severity - 1]
    # The first factor, 1, is the image again. The authors' 1.25 is a trifle more, so that its 32.5 pixels become 33.
    factors = [1 + percent / 100 + 1e-12 for percent in range(last + 1)]
    return (images + sum(zoomed(images, factor) for factor in factors)) / (last + 2)
