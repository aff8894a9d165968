"""Sample grids, diversity and alarms of a GAN while it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from hf_augment.generators.dcgan import DCGANGenerator
from hf_augment.images.grids import write_grid
from hf_augment.neighbours.features import Features
from hf_augment.seeding import derive_rng, derive_seed


#: An alarm needs so many measurements in a row, since one alone is noisy.
PATIENCE = 3


class GANMonitor:
    """
    Measures a generator against the real images it learns from.

    Args:
        images (`np.ndarray`): The real ones, uint8 of shape `(n, height, width, channels)`.
        labels (`np.ndarray`): Their classes, int of shape `(n,)`, at least one of each.
        column (`str`): The column of images in an example.
        features (`Callable`, *optional*):
            Examples to an array `(n, d)`, such as [`ClassifierFeatures`]. Defaults to the pixels.
        seed (`int`): Seed of the latents and of the choice of real images; the same in every measurement.
        per_class (`int`, *optional*, defaults to 64): Images of each class to compare.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        column: str,
        features: Features | None,
        seed: int,
        per_class: int = 64,
    ) -> None:
        self.column, self.features, self.seed, self.per_class = column, features or self._pixels, seed, per_class
        self.real: list[float] = []
        for label in range(int(labels.max()) + 1):
            rows = derive_rng(seed, "monitor", label).permutation(np.flatnonzero(labels == label))[:per_class]
            self.real.append(mean_distance(np.asarray(self.features([{column: images[row]} for row in rows]))))

    def _pixels(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        return np.stack([example[self.column] for example in examples]).reshape(len(examples), -1).astype(np.float32)

    def diversity(self, generator: DCGANGenerator) -> list[float]:
        """
        Measures how different the images of each class are from each other: the mean distance of two feature vectors,
        as a share of that of real images. 0 where a class has collapsed to one image, 1 where it varies like the real
        one. A class with a single real image counts as 1.
        """
        ratios = []
        for label, real in enumerate(self.real):
            examples = generator.generate([label] * self.per_class, derive_seed(self.seed, "diversity", label))
            ratios.append(mean_distance(np.asarray(self.features(examples))) / real if real else 1.0)
        return ratios

    def write_samples(self, path: Path, generator: DCGANGenerator, columns: int = 10, rows: int = 20) -> None:
        """Draws images of the first `rows` classes, a row for each, always from the same latents."""
        names = generator.label_names[:rows]
        labels = [label for label in range(len(names)) for _ in range(columns)]
        images = [e[self.column] for e in generator.generate(labels, derive_seed(self.seed, "samples"))]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_grid(path, {name: images[i * columns : (i + 1) * columns] for i, name in enumerate(names)})


def mean_distance(features: np.ndarray) -> float:
    """
    Returns the mean Euclidean distance of two different rows of `features`, float of shape `(n, d)`; 0 for one row.
    """
    return float(pdist(features).mean()) if len(features) > 1 else 0.0


def in_a_row(log_history: Sequence[dict[str, Any]], name: str, holds: Callable[[float], bool]) -> bool:
    """Whether the last `PATIENCE` logged values of a figure all fulfil a condition."""
    values = [log[name] for log in log_history if name in log][-PATIENCE:]
    return len(values) == PATIENCE and all(map(holds, values))
