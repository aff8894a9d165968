"""A grid of images as a PNG file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hf_augment.extras import optional_imports


with optional_imports("images"):
    from matplotlib.figure import Figure


def write_grid(path: Path, rows: Mapping[str, Sequence[np.ndarray]]) -> None:
    """
    Writes a picture of images, a named row at a time.

    Args:
        path (`Path`): The PNG file.
        rows (`Mapping[str, Sequence[np.ndarray]]`):
            Images of one shape, uint8 `(height, width, channels)`, under the name that stands beside them.
    """
    height, columns, longest = 0.55, max(map(len, rows.values())), max(map(len, rows))
    figure = Figure(figsize=(0.3 + 0.09 * longest + height * columns, height * len(rows) + 0.1), layout="constrained")
    for axes, (name, images) in zip(figure.subplots(len(rows), squeeze=False)[:, 0], rows.items(), strict=True):
        # A white line between two images.
        padded = [np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=255) for image in images]
        strip = np.concatenate(padded, axis=1)
        axes.imshow(strip if strip.shape[2] == 3 else strip[:, :, 0], cmap="gray", vmin=0, vmax=255)
        # A pair of dollars would be a formula.
        label = name.replace("$", "\\$")
        axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80)
    path.write_bytes(picture.getvalue())
