"""Parts of a dataset: train and test, rows without repeats, random rows, some rows of each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import datasets
import numpy as np
from transformers.utils import logging

from hf_augment.label_sets import memberships
from hf_augment.neighbours.texts import COPY_SIMILARITY, TextIndex, sketch_texts
from hf_augment.seeding import derive_rng


logger = logging.get_logger(__name__)


def split_by_group(
    dataset: datasets.Dataset, group_column: str, test_fraction: float, seed: int, called: str | None = None
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """
    Divides a dataset so that no group, of equal values in `group_column`, is on both sides; the results lack that
    column, which messages name as it is `called`. `test_fraction`, in `(0, 1)`, is the share of groups in the test
    part. Rows without a group are one group, and a warning counts them.

    Raises:
        ValueError: If a part would have no group.
    """
    of_row, called = dataset[group_column][:], called or group_column
    groups = sorted(set(of_row), key=str)
    count = round(test_fraction * len(groups))
    if not 0 < count < len(groups):
        raise ValueError(
            f"test_fraction={test_fraction} of the {len(groups)} groups in {called!r} would leave train or test "
            "empty: pass another one, or another group_column."
        )
    if missing := of_row.count(None):
        logger.warning(f"group_column={called!r} is empty in {missing} rows, which are kept together.")
    order = derive_rng(seed, "split_by_group").permutation(len(groups))
    held_out = {groups[i] for i in order[:count]}
    return _divided(dataset.remove_columns(group_column), np.array([group in held_out for group in of_row]))


def split_by_label(
    dataset: datasets.Dataset, test_fraction: float, seed: int
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """
    Divides a dataset at random into a training and a test part, both in the dataset's order. The test part has the
    same share of every class, but the last row of a class stays in the training part. A row of several `labels` counts
    for the rarest of them.

    Raises:
        ValueError: If no row would be in the test part.
    """
    labels = _strata(dataset)
    rng, test = derive_rng(seed, "split_by_label"), np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test[rows[: min(round(test_fraction * len(rows)), len(rows) - 1)]] = True
    if not test.any():
        raise ValueError(
            f"test_fraction={test_fraction} of each class, of {len(labels)} rows in all, would leave no test row: "
            "pass a larger one, or more rows."
        )
    return _divided(dataset, test)


def _strata(dataset: datasets.Dataset) -> np.ndarray:
    if "labels" not in dataset.column_names:
        return np.array(dataset["label"][:])
    of_row = dataset["labels"][:]
    counts = Counter(label for labels in of_row for label in labels)
    return np.array([min(labels, key=lambda label: (counts[label], label), default=-1) for labels in of_row])


def share_of_test(count: int) -> float:
    """The share of rows to test on: a fifth, but up to 200 rows of fewer, a third at most, and 5,000 at most."""
    return min(max(count / 5, min(200, count / 3)), 5000) / max(count, 1)


def near_copies(texts: Sequence[str], others: Sequence[str]) -> list[int]:
    """The numbers of the texts that nearly repeat one of the others."""
    index = TextIndex()
    index.add(sketch_texts(others))
    return [row for row, s in enumerate(sketch_texts(texts)) if index.nearest(s).similarity >= COPY_SIMILARITY]


def _divided(dataset: datasets.Dataset, test: np.ndarray) -> tuple[datasets.Dataset, datasets.Dataset]:
    return dataset.select(np.flatnonzero(~test)), dataset.select(np.flatnonzero(test))


def without_duplicates(
    dataset: datasets.Dataset,
    keys: Callable[[datasets.Dataset], Sequence[Hashable]],
    other: datasets.Dataset | None = None,
) -> datasets.Dataset:
    """Keeps the first row of each key, and none whose key is in `other`."""
    seen = set(keys(other)) if other is not None and len(other) else set()
    rows = []
    for row, key in enumerate(keys(dataset) if len(dataset) else ()):
        if key not in seen:
            seen.add(key)
            rows.append(row)
    return dataset if len(rows) == len(dataset) else dataset.select(rows)


def sample_rows(dataset: datasets.Dataset, count: int | None, seed: int, *counters: int) -> datasets.Dataset:
    """
    Draws at most `count` random rows, in the dataset's order; all for `None`.

    Raises:
        ValueError: If `count` is not positive.
    """
    if count is None:
        return dataset
    if count < 1:
        raise ValueError(f"count={count} random rows is not possible: pass 1 or more, or None for all.")
    if count >= len(dataset):
        return dataset
    return dataset.select(np.sort(derive_rng(seed, "sample_rows", *counters).permutation(len(dataset))[:count]))


def _check_count(train_per_class: int) -> None:
    if train_per_class < 1:
        raise ValueError(f"train_per_class={train_per_class} must be 1 or more, or None for all rows.")


def sample_per_class(dataset: datasets.Dataset, count: int | None, seed: int, *counters: int) -> datasets.Dataset:
    """
    Draws `count` random rows of each class, in the dataset's order; all for `None`.

    Raises:
        ValueError: If a class has fewer, or `count` is not positive.
    """
    if count is None:
        return dataset
    _check_count(count)
    labels = np.array(dataset["label"][:])
    chosen = []
    for label, name in enumerate(dataset.features["label"].names):
        rows = np.flatnonzero(labels == label)
        if len(rows) < count:
            raise ValueError(f"train_per_class={count} is more than the {len(rows)} rows of {name!r}: lower it.")
        chosen.append(derive_rng(seed, "sample_per_class", label, *counters).permutation(rows)[:count])
    return dataset.select(np.sort(np.concatenate(chosen)))


def sample_per_label(
    dataset: datasets.Dataset, labels: Sequence[str], count: int | None, seed: int, *counters: int
) -> datasets.Dataset:
    """
    Draws random rows until each label, and having none, is in `count` of them, in the dataset's order; all for `None`.
    Labels are served in the order of their frequency, the rarest first, as in Sechidis et al. 2011 (*On the
    stratification of multi-label data*); of one with fewer rows all are drawn.

    Args:
        dataset (`datasets.Dataset`): Rows whose `label` is a set of labels; see [`~hf_augment.label_sets`].
        labels (`Sequence[str]`): The labels.
        count (`int`, *optional*): Number of rows, 1 or more.
        seed (`int`): Seed of the draw.
        *counters (`int`): Numbers of the draw.

    Raises:
        ValueError: If `count` is not positive.
    """
    if count is None:
        return dataset
    _check_count(count)
    has = memberships(dataset.features["label"].names, labels)[dataset["label"][:]]
    has = np.column_stack([has, ~has.any(axis=1)])
    chosen = np.zeros(len(has), dtype=bool)
    for label in np.argsort(has.sum(axis=0), kind="stable").tolist():
        others = np.flatnonzero(has[:, label] & ~chosen)
        lacking = max(count - int(has[chosen, label].sum()), 0)
        chosen[derive_rng(seed, "sample_per_label", label, *counters).permutation(others)[:lacking]] = True
    return dataset.select(np.flatnonzero(chosen))
