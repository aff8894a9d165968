"""Corruptions by weather (see `image_noise` for what all corruptions have in common)."""

from __future__ import annotations

import numpy as np

from hf_augment.perturbations.image_blur import streaks, whole_levels, zoomed
from hf_augment.perturbations.image_noise import Rngs


#: Of red, green and blue in grey (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])


def snow(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """
    Flakes that fall (a layer of streaks, and the same layer upside down) on an image that is whitened a little.

    The flakes are what is above a threshold in normal noise, magnified and then blurred in one direction within 45° of
    the vertical.
    """
    mean, std, zoom, threshold, radius, sigma, kept = (
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    )[severity - 1]
    layer = np.stack([rng.normal(mean, std, (*images.shape[1:3], 1)) for rng in rngs])
    layer = zoomed(layer, zoom)
    layer[layer < threshold] = 0
    angles = np.array([rng.uniform(-0.75 * np.pi, -0.25 * np.pi) for rng in rngs])
    layer = whole_levels(streaks(whole_levels(layer), int(radius), sigma, angles))
    grey = images if images.shape[-1] == 1 else (images @ LUMA)[..., None]
    whitened = kept * images + (1 - kept) * np.maximum(images, 1.5 * grey + 0.5)
    return whitened + layer + np.rot90(layer, 2, axes=(1, 2))


def frost(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """
    Ice on the lens: the image, darkened, and a picture of ice are added.

    The official set cuts its ice from five photographs, which we cannot pass on. Here each image gets a picture of its
    own, noise whose mean, contrast, colour and spatial correlation are those of the photographs' cuts: it has the
    brightness and the grain of ice, but no crystals.
    """
    kept, added = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))[severity - 1]
    _, height, width, channels = images.shape
    ice = np.stack([_ice(height, width, rng) for rng in rngs])
    return kept * images + added * (ice if channels == 3 else (ice @ LUMA)[..., None])


def _ice(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    # White noise plus noise whose amplitude falls with the frequency, in a proportion by which neighbours correlate by
    # 0.36 and pixels 8 apart by 0.1, as in the photographs. Drawn at twice the size, since it is periodic.
    shape = (2 * height, 2 * width)
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
    frequency[0, 0] = np.inf
    amplitude = frequency**-1.5 + 28
    pattern = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * amplitude, shape)[:height, :width]
    pattern = (pattern - pattern.mean()) / pattern.std()
    # Means and contrasts of the photographs' cuts, in grey levels, and their cast of colour.
    grey = rng.uniform(100, 224) + rng.uniform(12, 36) * pattern
    return np.clip((grey[:, :, None] + np.array([-18, 3, 15])) / 255, 0, 1)


def fog(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """Adds a cloud, a fractal of values in `[0, 1]`, and scales so that the brightest value stays what it was."""
    thickness, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
    _, height, width, _ = images.shape
    clouds = _clouds(max(height, width), decay, rngs)[:, :height, :width, None]
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + thickness * clouds) * brightest / (brightest + thickness)


def _clouds(min_size: int, decay: float, rngs: Rngs) -> np.ndarray:
    """
    Height maps by the diamond-square algorithm (Fournier et al. 1982), periodic, of shape `(images, size, size)`.

    Between known points come their means plus noise, whose amplitude falls by the square of `decay` with each halving.
    """
    size = 1 << (min_size - 1).bit_length()
    clouds = np.stack([rng.uniform(-1, 1, (size, size)) for rng in rngs])
    clouds[:, 0, 0] = 0
    step, amplitude = size, 1.0
    while step >= 2:
        half = step // 2
        known, middles = clouds[:, ::step, ::step], clouds[:, half::step, half::step]
        # Views: what is written is what the next line reads.
        rows, columns = clouds[:, ::step, half::step], clouds[:, half::step, ::step]
        next_column, next_row = np.roll(known, -1, axis=2), np.roll(known, -1, axis=1)
        middles[:] = amplitude * middles + (known + next_column + next_row + np.roll(next_row, -1, axis=2)) / 4
        rows[:] = amplitude * rows + (known + next_column + middles + np.roll(middles, 1, axis=1)) / 4
        columns[:] = amplitude * columns + (known + next_row + middles + np.roll(middles, 1, axis=2)) / 4
        step, amplitude = half, amplitude / decay**2
    clouds -= clouds.min(axis=(1, 2), keepdims=True)
    return clouds / clouds.max(axis=(1, 2), keepdims=True)


def brightness(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """Daylight: raises the value of HSV, the largest channel, by 0.05 to 0.3, up to 1. Hue and saturation stay."""
    value = images.max(axis=-1, keepdims=True)
    raised = np.minimum(value + (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1], 1)
    # Black has no hue: it becomes grey.
    return np.where(value > 0, images / np.where(value > 0, value, 1), 1) * raised
