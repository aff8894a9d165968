"""The options of every command that opens data."""

from __future__ import annotations

import argparse
from typing import Any


#: The options, which are the arguments of [`~hf_augment.data.opening.open_data`].
NAMES = (
    *("test", "unlabelled", "text_column", "image_column", "label_column", "label_map", "several"),
    *("group_column", "test_fraction", "image_size"),
)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the data, and the options that say what in it is what where that cannot be found out."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a CSV, TSV, JSON, JSONL, parquet or Excel file, a folder of images by class, a saved dataset, a Hub id "
        "(owner/name, or owner/name:configuration)",
    )
    add = parser.add_argument_group("data (found out where not given)").add_argument
    add("--test", metavar="FILE", help="test rows (default: a split of that name, or a part of the rows)")
    add("--unlabelled", metavar="FILE", help="rows without labels, which the arm pseudo_labels learns from")
    add("--text_column", metavar="NAME", nargs="+", help="column of the texts; two of pairs of texts")
    add("--image_column", metavar="NAME", help="column of the images; `pixels` for a CSV of pixels")
    add("--label_column", metavar="NAME", nargs="+", help="column of the labels; or columns of 0 and 1, one a label")
    add("--label_map", metavar="THEIRS=OURS,...", help="other names of labels; other rows are left out")
    add("--several", action=argparse.BooleanOptionalAction, help="whether a row may have several labels")
    add("--group_column", metavar="NAME", help="column, such as the writer, of which no value is on both sides")
    add("--test_fraction", metavar="SHARE", type=float, help="share of the rows to test on, above 0 and below 1")
    add("--image_size", metavar="PIXELS", type=int, help="height and width to resize images to")


def data_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of [`~hf_augment.data.opening.open_data`] beside the data."""
    given = {name: getattr(options, name) for name in NAMES}
    return {name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in given.items()}
