"""An index of real images in a feature space, which tells the one nearest to a candidate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from hf_augment.extras import optional_imports
from hf_augment.fingerprints import callable_fingerprint, images_digest
from hf_augment.images.arrays import check_images, read_images


with optional_imports("filters"):
    from sklearn.neighbors import NearestNeighbors


#: Examples in, an array `(n, d)` of their points out.
Features = Callable[[Sequence[dict[str, Any]]], ArrayLike]

#: An image nearer to a real one than this is a copy, in the distance that is usual between real ones, unless a user
#: says otherwise.
COPY_DISTANCE = 0.1
#: From so many images on, computing their features shows its progress.
_SLOW_TO_MEASURE = 5_000
#: Images measured at a time.
_CHUNK = 64


class Nearest(NamedTuple):
    """
    The nearest real image of each of n candidates: its row, int64 of shape `(n,)`, and the distance to it in units of
    [`RealFeatures.unit`], float64 of shape `(n,)`.
    """

    rows: np.ndarray
    distances: np.ndarray


class RealFeatures:
    """
    The real images in a feature space, for filters that compare candidates with them.

    A distance in a feature space has no meaning by itself, so all are given in the distance that is usual between real
    images: the median, over the images, of the distance to the nearest other one. Equal images count once.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import RealFeatures

    >>> brightness = lambda examples: [[example["image"].mean()] for example in examples]
    >>> images = np.stack([np.full((8, 8, 1), value, np.uint8) for value in (0, 10, 30)])
    >>> real = RealFeatures(brightness, images)
    >>> real.unit
    10.0
    >>> nearest = real.nearest([{"image": np.full((8, 8, 1), 25, np.uint8)}])
    >>> nearest.rows.tolist(), nearest.distances.tolist()
    ([2], [0.5])
    ```

    Args:
        features (`Callable`):
            Takes a sequence of examples and returns an array `(n, d)` of numbers, such as [`ClassifierFeatures`]; the
            same ones for the same image. Its `fingerprint()` becomes part of the filters'; without one, it is known by
            its name.
        images (`np.ndarray`):
            The real images, uint8 of shape `(rows, height, width, channels)`, two or more different.
        image_column (`str`, *optional*, defaults to `"image"`):
            The column of the examples to read, and the one under which `features` finds the real images.

    Attributes:
        unit (`float`): The median distance of a real image to the nearest other one, above 0.
        first_rows (`np.ndarray`): For each row the first one with the same image, int64 of shape `(rows,)`.
        popularity (`np.ndarray`):
            For each row the number of different images, itself among them, to which it is the nearest when they are
            left out; 0 for a row that repeats an earlier one. int64 of shape `(rows,)`.

    Raises:
        `ValueError`: If `images` is no such array, or `features` returns anything else than one vector for each
            example or the same for most images.
    """

    def __init__(self, features: Features, images: np.ndarray, image_column: str = "image") -> None:
        if not callable(features):
            raise ValueError(
                f"`features` must be callable, but is {type(features)}. Give `ClassifierFeatures(judge)`, or a "
                "function of examples."
            )
        images = check_images("images", images)
        self.features, self.image_column = features, image_column
        self._image_shape = images.shape[1:]
        self._row_of: dict[bytes, int] = {}
        self.first_rows = np.array([self._row_of.setdefault(_key(image), row) for row, image in enumerate(images)])
        self._rows = np.unique(self.first_rows)
        if len(self._rows) < 2:
            raise ValueError(
                f"`images` must hold at least two different images, but its {len(images)} are all alike. Check how "
                "they were made."
            )
        self._points = self._measure(images, self._rows)
        self._index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(self._points)
        # Without an argument, no point is its own neighbour.
        neighbours = self._index.kneighbors(return_distance=False)[:, 0]
        self.unit = float(np.median(_lengths(self._points, self._points[neighbours])))
        if self.unit == 0:
            raise ValueError(
                "`features` must tell most images apart, but more than half of the real ones have the same vector as "
                "another one. Give features of a trained classifier."
            )
        self.popularity = np.bincount(self._rows[neighbours], minlength=len(images))
        self.popularity[self._rows] += 1
        self._digest = images_digest(images)

    def nearest(self, examples: Sequence[dict[str, Any]]) -> Nearest:
        """
        The real image nearest to each example: the same one, at distance 0, else the nearest in feature space.

        Raises:
            `ValueError`: If the column is missing or holds images of another size than the real ones.
        """
        if not examples:
            return Nearest(np.empty(0, dtype=np.int64), np.empty(0))
        images = read_images(examples, self.image_column)
        if images.shape[1:] != self._image_shape:
            raise ValueError(
                f"The real images have shape {self._image_shape}, but the examples' are {images.shape[1:]}. Give the "
                "real images as the generator makes them."
            )
        points = self._measure(images, np.arange(len(images)))
        found = self._index.kneighbors(points, return_distance=False)[:, 0]
        rows, distances = self._rows[found], _lengths(points, self._points[found]) / self.unit
        for index, image in enumerate(images):
            if (same := self._row_of.get(_key(image))) is not None:
                rows[index], distances[index] = same, 0.0
        return Nearest(rows, distances)

    def _measure(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The points of some rows, float32 of shape `(n, d)`."""
        parts = []
        for start in tqdm(
            range(0, len(rows), _CHUNK), desc="features of real images", disable=len(rows) <= _SLOW_TO_MEASURE
        ):
            chunk = rows[start : start + _CHUNK]
            # Always equally many, since on a GPU the last digits depend on their number: an image must have the same
            # nearest row when an interrupted run asks again, and with other images.
            filled = np.resize(chunk, _CHUNK)
            points = np.asarray(self.features([{self.image_column: images[row]} for row in filled]), dtype=np.float32)
            if points.ndim != 2 or len(points) != _CHUNK or not np.isfinite(points).all():
                raise ValueError(
                    f"`features` must return finite numbers of shape ({_CHUNK}, d) for {_CHUNK} examples, but its "
                    f"shape is {points.shape}, with {np.count_nonzero(~np.isfinite(points))} NaN or infinite. Return "
                    "one vector for each example."
                )
            parts.append(points[: len(chunk)])
        return np.concatenate(parts)

    def fingerprint(self) -> str:
        """Identifies the images, their features and the column."""
        features = callable_fingerprint(self.features)
        return f"images={self._digest}, features={features}, image_column={self.image_column!r}"


def _key(image: np.ndarray) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _lengths(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    # The search itself subtracts large squares, which leaves little of a small distance.
    return np.linalg.norm(points.astype(np.float64) - others, axis=1)
