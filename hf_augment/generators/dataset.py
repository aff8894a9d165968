"""Rows of a dataset in the place of a generator's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import datasets
import numpy as np

from hf_augment.generators.base import Generator
from hf_augment.label_sets import labels_of, with_sets


ARRAYS = (datasets.Array2D, datasets.Array3D, datasets.Array4D, datasets.Array5D)
#: Rows that are read at a time.
_CHUNK = 1024


def examples_of(dataset: datasets.Dataset, rows: Iterable[int]) -> list[dict[str, Any]]:
    """Returns rows of an unformatted dataset as raw examples: it would give arrays as lists, and take its time."""
    places = [int(row) for row in rows]
    dtypes = {name: kind.dtype for name, kind in dataset.features.items() if isinstance(kind, ARRAYS)}
    if not dtypes or not places:
        return [dataset[place] for place in places]
    table = dataset.with_format("arrow", columns=list(dtypes))[places]
    # Chunk by chunk: of large images a single one may have more bytes than Arrow counts.
    arrays = {name: [row for chunk in table[name].chunks for row in _rows_of(chunk, name)] for name in dtypes}
    others = dataset.remove_columns(list(dtypes))
    examples = [others[place] for place in places] if others.column_names else [{} for _ in places]
    return [
        {n: np.array(arrays[n][i], dtypes[n]) if n in dtypes else example[n] for n in dataset.features}
        for i, example in enumerate(examples)
    ]


def _rows_of(chunk: Any, name: str) -> Any:
    """The arrays of a part of a column; raises `ValueError` if one is missing."""
    if chunk.null_count:
        raise ValueError(f"{name!r} is missing in a row that is drawn: leave out rows without it.")
    return chunk.to_numpy(zero_copy_only=False)


class DatasetGenerator(Generator):
    """
    Draws labelled rows of a dataset, so that what a generator does can be compared with what real rows would have
    done (the ceiling), or with rows that were generated beforehand.

    Example:

    ```python
    >>> import datasets
    >>> from hf_augment import DatasetGenerator

    >>> rows = datasets.Dataset.from_dict({"text": ["Dull.", "Moving.", "Flat."], "label": [0, 1, 0]})
    >>> rows = rows.cast_column("label", datasets.ClassLabel(names=["negative", "positive"]))
    >>> DatasetGenerator(rows).generate([1], seed=0)
    [{'text': 'Moving.'}]
    ```

    Args:
        dataset (`datasets.Dataset`): Raw rows of every class.
        label_column (`str`, *optional*, defaults to `"label"`):
            A `ClassLabel` column; or a list of them, where rows have several labels: the classes are then the sets of
            labels that occur ([`~hf_augment.label_sets`]).
        as_they_occur (`bool`, *optional*, defaults to `False`):
            Whether the classes are those that have a row, and are asked for as often as they have. For several labels
            always so.
        label_shares (`Sequence[float]`, *optional*):
            How often each class is asked for, in any unit; one that never is needs no row. Not with `as_they_occur`.

    Raises:
        ValueError: If `label_column` is none of these, or a class that is asked for has no row.
    """

    def __init__(
        self,
        dataset: datasets.Dataset,
        label_column: str = "label",
        as_they_occur: bool = False,
        label_shares: Sequence[float] | None = None,
    ) -> None:
        if several := labels_of(dataset, label_column) is not None:
            dataset, label_column = with_sets(dataset, column=label_column), "label"
        feature = dataset.features.get(label_column)
        if not isinstance(feature, datasets.ClassLabel):
            raise ValueError(
                f"label_column={label_column!r} is {feature} in the dataset: name its ClassLabel column, or cast it."
            )
        self.label_names, self.label_shares = list(feature.names), label_shares
        labels = np.array(dataset[label_column][:])
        if several or as_they_occur:
            found, labels, counts = np.unique(labels, return_inverse=True, return_counts=True)
            self.label_names, self.label_shares = [feature.names[label] for label in found], counts.tolist()
        rows = dataset.with_format(None).remove_columns(label_column)
        self.columns = tuple(rows.column_names)
        self._dataset = rows
        self._rows = [np.flatnonzero(labels == label) for label in range(len(self.label_names))]
        asked = self.label_shares or np.ones(len(self._rows))
        if len(asked) != len(self._rows):
            raise ValueError(f"label_shares={label_shares} must have a share for each of {self.label_names}.")
        without = zip(self.label_names, self._rows, asked, strict=True)
        if missing := [name for name, rows, share in without if share and not len(rows)]:
            raise ValueError(f"The dataset has no row of {missing}: pass rows of every class.")

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        """Draws a row for each label; within a call none is drawn twice while there are others of its class."""
        if unknown := set(labels) - set(range(len(self.label_names))):
            raise ValueError(f"labels has {sorted(unknown)}, but label_names has only {len(self.label_names)} names.")
        rng = np.random.default_rng(seed)
        wanted = np.asarray(labels, dtype=np.int64)
        chosen = np.zeros(len(wanted), dtype=np.int64)
        for label in np.unique(wanted):
            places, rows = np.flatnonzero(wanted == label), self._rows[label]
            rounds = [rng.permutation(rows) for _ in range(-(-len(places) // len(rows)))]
            chosen[places] = np.concatenate(rounds)[: len(places)]
        return examples_of(self._dataset, chosen)

    def fingerprint(self) -> str:
        """A hash of every row."""
        digest = hashlib.sha256(repr((list(self.label_names), self._dataset.features)).encode())
        for row, rows in enumerate(self._rows):
            digest.update(np.asarray([row, *rows]).tobytes())
        for start in range(0, len(self._dataset), _CHUNK):
            for example in examples_of(self._dataset, range(start, min(start + _CHUNK, len(self._dataset)))):
                for value in example.values():
                    digest.update(np.asarray(value).tobytes() if np.ndim(value) else repr(value).encode())
        return digest.hexdigest()[:16]
