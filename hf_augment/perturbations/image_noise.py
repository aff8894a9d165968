"""
Corruptions that draw each value anew: noise of light and of electronics.

This module and its siblings `image_blur`, `image_weather` and `image_digital` hold the 15 corruptions of Hendrycks &
Dietterich 2019, *Benchmarking neural network robustness to common corruptions and perturbations*, section 4, with the
strengths of the authors' CIFAR-10-C. Each function takes

- `images`, float64 of shape `(images, height, width, channels)` in `[0, 1]`, which it leaves as they are;
- `severity`, from 1 to 5;
- `rngs`, one NumPy generator per image, so that an image's fate does not depend on its neighbours (what is not random
  takes no notice of them);

and returns an array of the same shape, which may leave `[0, 1]`. [`corrupt_images`] is the way in: it checks, seeds,
clips and converts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


Rngs = Sequence[np.random.Generator]


def gaussian_noise(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """Adds normal noise, as in low light."""
    scale = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return images + scale * np.stack([rng.standard_normal(images.shape[1:]) for rng in rngs])


def shot_noise(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """Counts photons, of which a white pixel would get 500 down to 50: a Poisson variable."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    return np.stack([rng.poisson(image * photons) for image, rng in zip(images, rngs, strict=True)]) / photons


def impulse_noise(images: np.ndarray, severity: int, rngs: Rngs) -> np.ndarray:
    """Sets a share of all values to black or white, half of it each: salt and pepper, in each channel for itself."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    draws = np.stack([rng.random(images.shape[1:]) for rng in rngs])
    return np.where(draws < share, np.where(draws < share / 2, 0.0, 1.0), images)
