"""The rows that a study trains and tests on: labelled rows, test rows, and sets of another domain."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import datasets
from transformers.utils import logging

from hf_augment.data.splits import sample_rows, split_by_group, split_by_label, without_duplicates


logger = logging.get_logger(__name__)


def load_train_and_test(
    args: Any,
    load: Callable[[str, list[str] | None, tuple[str, ...]], datasets.Dataset],
    keys: Callable[[datasets.Dataset], Sequence[Hashable]],
    seed: int,
) -> tuple[datasets.Dataset, datasets.Dataset]:
    """
    Loads the labelled rows and the test rows: two splits, or one that is divided. A labelled row that repeats another
    one or is in the test set is left out: neither a fold nor a test may know it.

    Args:
        args (`ExperimentArguments`): Says which split, or how it is divided.
        load (`Callable`):
            Takes a split, the label names (`None`: the dataset's own) and columns to keep; returns labelled rows.
        keys (`Callable`): Rows to values that are equal for rows which are the same.
        seed (`int`): Seed of the division and of the choice of test rows.

    Raises:
        ValueError: If `test_fraction` is out of range, or a class is left without a labelled row.
    """
    if not 0 < args.test_fraction < 1:
        raise ValueError(f"test_fraction={args.test_fraction} must be above 0 and below 1.")
    if args.group_column is not None:
        whole = load(args.train_split, None, (args.group_column,))
        train, test = split_by_group(whole, args.group_column, args.test_fraction, seed)
    elif args.test_split is None:
        whole = load(args.train_split, None, ())
        train, test = split_by_label(whole, args.test_fraction, seed)
    else:
        train = whole = load(args.train_split, None, ())
        test = load(args.test_split, train.features["label"].names, ())
    train, test = without_duplicates(train, keys, test), sample_rows(test, args.max_test_rows, seed)
    if lost := _classes(whole) - _classes(train):
        raise ValueError(
            f"{args.dataset!r} has no labelled row of {sorted(lost)} that is not in the test set too: check the "
            f"splits, or pass another test_fraction than {args.test_fraction} or another seed."
        )
    if untested := _classes(train) - _classes(test):
        logger.warning(f"{args.dataset!r} has no test row of {sorted(untested)}: nothing is measured of these.")
    return train, test


def _classes(dataset: datasets.Dataset) -> set[str]:
    return {dataset.features["label"].int2str(label) for label in set(dataset["label"][:])}


def load_holdouts(
    args: Any, load: Callable[..., datasets.Dataset], label_names: list[str], seed: int
) -> dict[str, datasets.Dataset]:
    """
    Loads the hold-outs of an experiment, sets of another domain, by name: at most `max_test_rows` rows of each, with
    the same classes. `load` is [`load_texts`] or [`load_images`]. Raises a `ValueError` for one that is not written as
    it should be, or whose name is taken.
    """
    holdouts: dict[str, datasets.Dataset] = {}
    for holdout in args.holdouts:
        parts = holdout.split("|")
        if len(parts) != 6:
            raise ValueError(f"holdouts has {holdout!r}: write name|source|split|data_column|label_column|label_map.")
        name, *where = parts
        if name in ("test", *holdouts):
            raise ValueError(f"holdouts has {holdout!r}, but there is a set of the name {name!r} already: rename it.")
        holdouts[name] = sample_rows(load(*where, label_names), args.max_test_rows, seed)
    return holdouts
