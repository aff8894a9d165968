"""Feature vectors as the metrics of synthetic examples take them: checked, and compared row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import datasets
import numpy as np

from hf_augment.checks import check_labels
from hf_augment.extras import optional_imports


with optional_imports("metrics"):
    import evaluate
    from sklearn.metrics import pairwise_distances_chunked
    from sklearn.neighbors import NearestNeighbors


#: MiB of distances at a time, so that 10,000 rows do not need all their 10^8 distances at once.
_WORKING_MEMORY = 128


def feature_info(description: str, inputs_description: str, citation: str, *urls: str) -> evaluate.MeasurementInfo:
    """What a measurement of features tells `evaluate` of itself: it collects a vector for each synthetic example."""
    return evaluate.MeasurementInfo(
        description=description,
        citation=citation,
        inputs_description=inputs_description,
        features=datasets.Features({"data": datasets.List(datasets.Value("float32"))}),
        reference_urls=list(urls),
    )


def check_features(data: Any, real: Any) -> tuple[np.ndarray, np.ndarray]:
    """
    Both sides as float64 of shape `(examples, features)`, or a `ValueError` that names the argument unless each is a
    table of finite numbers with two rows or more, as wide as the other.
    """
    synthetic, reference = _table("data", data), _table("real", real)
    if synthetic.shape[1] != reference.shape[1]:
        raise ValueError(
            f"`data` has {synthetic.shape[1]} features and `real` has {reference.shape[1]}. Take both from the same "
            "layer of the same model."
        )
    return synthetic, reference


def _table(name: str, rows: Any) -> np.ndarray:
    try:
        # `evaluate` keeps `data` in float32. Rounding `real` alike lets a copy have distance 0.
        table = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` is not a table of numbers ({error}). Give one vector for each example, all of one width."
        ) from error
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise ValueError(
            f"`{name}` has shape {table.shape}. Give vectors as (examples, features), two examples or more; flatten "
            "images first."
        )
    bad_rows = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if bad_rows.size:
        raise ValueError(
            f"`{name}` is not finite in {bad_rows.size} of {len(table)} rows. The first is row {bad_rows[0]}. Check "
            "the model that made the features and its inputs, or drop such rows."
        )
    return table.astype(np.float64)


def split_classes(
    data: np.ndarray, labels: Any, real: np.ndarray, real_labels: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The synthetic and the real rows of each class, from 0 to the largest of `real_labels`; either may be empty."""
    classes = check_labels("labels", labels, len(data))
    real_classes = check_labels("real_labels", real_labels, len(real))
    unknown = np.flatnonzero(classes > real_classes.max())
    if unknown.size:
        raise ValueError(
            f"`labels[{unknown[0]}]` is {classes[unknown[0]]}, but the largest of `real_labels` is "
            f"{real_classes.max()}. Number the classes of both alike."
        )
    return [(data[classes == label], real[real_classes == label]) for label in range(int(real_classes.max()) + 1)]


def kth_nearest(rows: np.ndarray, k: int, queries: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """
    For each query, the index of the k-th nearest row and its Euclidean distance. Without queries, for each row among
    the other rows.
    """
    # Brute force, as trees are slower from some twenty features on.
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows)
    indices = index.kneighbors(queries, return_distance=False)[:, -1]
    # The search uses |x|² - 2xy + |y|², which is fast but leaves copies at a distance slightly above 0.
    return indices, np.linalg.norm(rows[indices] - (rows if queries is None else queries), axis=1)


def distance_blocks(rows: np.ndarray, others: np.ndarray | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """
    The Euclidean distances of all rows to the others (by default to each other), some rows at a time, with the rows
    that they are of.
    """
    start = 0
    for distances in pairwise_distances_chunked(rows, others, working_memory=_WORKING_MEMORY):
        yield slice(start, start + len(distances)), distances
        start += len(distances)
