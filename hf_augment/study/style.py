"""Rows without labels of which a generator learns what such rows are like, beside the labelled ones."""

from __future__ import annotations

import datasets

from hf_augment.data.splits import sample_rows
from hf_augment.seeding import derive_seed
from hf_augment.study.arms import Source
from hf_augment.study.split import Basis, Split


def check_style_rows(study: Basis, name: str, count: int) -> None:
    """Raises `ValueError` if the source of this name is to learn from rows without labels and there are none."""
    if count < 0:
        raise ValueError(f"{name} has style_rows={count}: it must be 0 or more.")
    if count and not len(study.split(0).unlabelled):
        raise ValueError(
            f"{name} has style_rows={count}, and there are no rows without labels: pass unlabelled, or style_rows=0."
        )


def style_rows_of(split: Split, count: int) -> datasets.Dataset | None:
    """Returns so many random rows of a split without labels, or all that there are; `None` for 0."""
    if not count:
        return None
    return sample_rows(split.unlabelled, count, derive_seed(split.seed, "style", split.index))


def learned_rows(split: Split, source: Source) -> list[datasets.Dataset]:
    """
    Returns the rows of a split that a source may repeat: the labelled ones, and those without labels that its
    generators learn the style of.
    """
    counts = [getattr(leaf, "style_rows", 0) for leaf in source.leaves()]
    return [split.train, *(rows for count in counts if (rows := style_rows_of(split, count)) is not None)]
