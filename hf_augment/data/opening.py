"""Data as a person has them, in one call: what is in a file or a folder is found, and said."""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import datasets
import numpy as np

from hf_augment.data.cells import few
from hf_augment.data.columns import Columns, find_columns
from hf_augment.data.image_folder import images_in
from hf_augment.data.images import PIXELS, image_digests, read_pixels
from hf_augment.data.labels import parse_map
from hf_augment.data.rows import GROUP, Part
from hf_augment.data.splits import near_copies, share_of_test, split_by_group, split_by_label, without_duplicates
from hf_augment.data.tables import find_path, load_tables
from hf_augment.images.arrays import image_arrays
from hf_augment.images.forms import Forms, median_side, resize, uniform_images
from hf_augment.label_sets import check_label_names
from hf_augment.text_pairs import join_pairs


@dataclass
class Data:
    """
    Labelled rows, divided: what [`open_data`] found.

    Args:
        name (`str`): The source.
        kind (`str`): `"text"`, `"pair"` (of texts) or `"image"`.
        several (`bool`): Whether a row may have several labels.
        train (`datasets.Dataset`):
            Labelled rows: `text`, or `text` and `text_pair`, or `image` (`Array3D` of uint8), beside `label`, a
            `ClassLabel`, or `labels`, a list of them.
        test (`datasets.Dataset`): Test rows, alike.
        unlabelled (`datasets.Dataset`, *optional*): Rows without the labels.
        why (`list[str]`, *optional*): What was taken for what, and why.
        left_out (`Counter`, *optional*): Rows that were left out, by reason.
        contradictory (`int`, *optional*, defaults to 0): Rows that repeat another one with another label.
        forms ([`Forms`], *optional*): What images were before they became alike.
    """

    name: str
    kind: str
    several: bool
    train: datasets.Dataset
    test: datasets.Dataset
    unlabelled: datasets.Dataset | None = None
    why: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    contradictory: int = 0
    forms: Forms | None = None

    @property
    def label_names(self) -> list[str]:
        """The classes."""
        feature = self.train.features["labels" if self.several else "label"]
        return list((feature.feature if self.several else feature).names)

    def counts(self, rows: datasets.Dataset) -> list[int]:
        """Rows of each class."""
        column = rows["labels" if self.several else "label"][:]
        found = Counter(label for labels in column for label in labels) if self.several else Counter(column)
        return [found[label] for label in range(len(self.label_names))]

    def keys(self, rows: datasets.Dataset) -> Sequence[Hashable]:
        """Values that are equal for rows which are the same; of texts whatever their Unicode form, as to judges."""
        if self.kind == "image":
            return image_digests(rows)
        return [unicodedata.normalize("NFC", text) for text in texts_of(rows)]


def open_data(
    source: str | os.PathLike[str],
    *,
    test: str | os.PathLike[str] | None = None,
    unlabelled: str | os.PathLike[str] | None = None,
    text_column: str | Sequence[str] | None = None,
    image_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    label_map: str | None = None,
    several: bool | None = None,
    group_column: str | None = None,
    test_fraction: float | None = None,
    image_size: int | None = None,
    seed: int = 42,
) -> Data:
    """
    Opens labelled texts, pairs of texts or images, finds out what is what, and divides them.

    Columns are found by their names and contents. A row may have one class, or several: a list, or a cell such as
    `a;b` whose parts recur in others. The test rows are those of the split `test`, or `validation`, or a part: a fifth
    of the rows, but up to 200 of fewer, and no more than 5,000; of each class the same share, no group on both sides,
    and no text that nearly repeats a labelled one. Repeated rows are kept once, rows without data or label left out.

    Example:

    ```python
    from hf_augment import open_data

    data = open_data("tickets.csv")
    print(*data.why, sep="\\n")  # texts: column 'message', by its name ...
    data.train["text"], data.train["label"], data.label_names
    ```

    Args:
        source (`str` or `os.PathLike`):
            A CSV, TSV, JSON, JSONL, parquet or Excel file (compressed ones too); a folder of images by class, with or
            without folders `train` and `test`; a folder of such files; a file that names images beside their labels; a
            folder of `save_to_disk`; a `wheel://` source; or a Hub id, `owner/name` or `owner/name:configuration`.
        test (`str` or `os.PathLike`, *optional*): A source of the test rows, with the same columns.
        unlabelled (`str` or `os.PathLike`, *optional*):
            A source of rows without labels: of texts also a TXT file with one in each line, of images any folder. Test
            rows among them are left out.
        text_column (`str` or `Sequence[str]`, *optional*): The column of the texts, or the two of pairs.
        image_column (`str`, *optional*): The column of the images, or of their files' names.
        label_column (`str` or `Sequence[str]`, *optional*):
            The column of the labels, or a column of 0 and 1 for each of several labels.
        label_map (`str`, *optional*): `"theirs=ours,…"`: other names of labels; rows with any other one are left out.
        several (`bool`, *optional*): Whether a row may have several labels. Defaults to what the cells look like.
        group_column (`str`, *optional*): A column, such as the writer, of which no value is on both sides.
        test_fraction (`float`, *optional*): The share of rows (or groups), in `(0, 1)`, to test on.
        image_size (`int`, *optional*):
            Height and width, in pixels, to resize images to. Defaults to 32 if the median of the shorter sides is
            below 48, else 64.
        seed (`int`, *optional*, defaults to 42): Seed of the division.

    Returns:
        [`Data`]

    Raises:
        OSError: If something cannot be found or read.
        ValueError: If a column is not known or not to be told from others, labels are no classes, a class is left
            without a labelled row, or an image is corrupt.
    """
    if test_fraction is not None and not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction={test_fraction} must be above 0 and below 1.")
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size={image_size} must be 1 or more.")
    if test is not None:
        _check_division(os.fspath(test), group_column=group_column, test_fraction=test_fraction)
    source = os.fspath(source)
    if image_column == PIXELS:
        keep = () if group_column is None else (group_column,)
        tables = {"train": read_pixels(source, label_column if isinstance(label_column, str) else "label", keep)}
    else:
        tables = load_tables(source)
    main = _split(tables, "train")
    others = main.remove_columns([group_column] if group_column in main.column_names else [])
    columns = find_columns(source, others, text_column, image_column, label_column, several)
    mapping = parse_map(label_map)
    parts = {"train": Part(source, main, columns, mapping, group_column)}
    if (tested := _test_part(source, tables, columns, mapping, None if test is None else os.fspath(test))) is not None:
        parts["test"] = tested
        _check_division(columns.why["test"], group_column=group_column, test_fraction=test_fraction)
    if unknown := sorted(set.intersection(*(part.unknown for part in parts.values()))):
        raise ValueError(f"label_map={label_map!r} names {unknown}, which are no labels of {source!r}: correct it.")
    names = parts["train"].classes()
    if columns.several:
        check_label_names(names)
    rows = {role: part.rows(names) for role, part in parts.items()}
    if unlabelled is not None:
        parts["unlabelled"] = _unlabelled_part(os.fspath(unlabelled), columns)
        rows["unlabelled"] = parts["unlabelled"].rows()
    data = Data(source, columns.kind, columns.several, rows["train"], rows.get("test", rows["train"]))
    data.why = [f"{name}: {reason}" for name, reason in columns.why.items()]
    if unused := [split for split, table in tables.items() if all(table is not part.table for part in parts.values())]:
        data.why.append(f"not used: {', '.join(unused)}")
    data.left_out = sum((part.left_out for part in parts.values()), Counter[str]())
    if columns.has_images:
        data.forms = _make_alike(data, rows, image_size)
    elif image_size is not None:
        raise ValueError(f"image_size={image_size} is of images, and {source!r} holds texts: leave it out.")
    _divide(data, rows["train"], rows.get("test"), group_column, test_fraction, seed)
    if "unlabelled" in rows:
        data.unlabelled = without_duplicates(rows["unlabelled"], data.keys, data.test)
        repeated = len(rows["unlabelled"]) - len(data.unlabelled)
        data.left_out += Counter({"without a label that repeat another row or a test row": repeated})
        data.why.append(f"unlabelled: {len(data.unlabelled)} rows of {parts['unlabelled'].source}")
    return data


def _split(tables: dict[str, datasets.Dataset], name: str) -> datasets.Dataset:
    """The split of that name, or else the first."""
    return tables.get(name, next(iter(tables.values())))


def _test_part(
    source: str, tables: dict[str, datasets.Dataset], columns: Columns, mapping: dict[str, str], test: str | None
) -> Part | None:
    """The rows of `test`, or of the first split that holds test rows with labels."""
    if test is not None:
        columns.why["test"] = test
        return Part(test, _table_like(columns, test, "test"), columns, mapping)
    for split in ("test", "validation", "dev", "eval"):
        if split in tables and len(tables) > 1 and {*columns.of_labels} <= {*tables[split].column_names}:
            part = Part(source, tables[split], columns, mapping, split=split)
            if part.has_labels():
                columns.why["test"] = f"the split {split!r}"
                return part
    return None


def _table_like(columns: Columns, source: str, split: str) -> datasets.Dataset:
    """A further source, read as the labelled rows were; of pixels those with a label's column, too."""
    if columns.data != (PIXELS,):
        tables = load_tables(source)
        taken = _split(tables, split)
        if unused := [name for name, table in tables.items() if table is not taken]:
            columns.why[f"not used of {'unlabelled' if split == 'train' else split}={source}"] = ", ".join(unused)
        return taken
    return read_pixels(source, columns.label if split == "test" else None)


def _check_division(tested: str, **division: Any) -> None:
    """Refuses what says how the rows are divided where test rows are given: it would be left out without a word."""
    for name, value in division.items():
        if value is not None:
            raise ValueError(
                f"{name}={value!r} says which rows to test on, and there are test rows already ({tested}): leave it "
                "out."
            )


def _unlabelled_part(source: str, columns: Columns) -> Part:
    path = find_path(source)
    if columns.has_images and path is not None and path.is_dir():
        table = images_in(path)
        columns = Columns(("image",), has_images=True)
    else:
        table = _table_like(columns, source, "train")
    if not {*columns.data} <= {*table.column_names}:
        labels = [name for name in (columns.label, *columns.flags) if name in table.column_names]
        if len(labels) == len(table.column_names):
            raise ValueError(
                f"unlabelled={source!r} has no column but {', '.join(map(repr, labels))}, of labels: pass rows of "
                f"{', '.join(map(repr, columns.data))}."
            )
        columns = find_columns(source, table.remove_columns(labels), has_labels=False)
    return Part(source, table, dataclasses.replace(columns, label=None, flags=()))


def _make_alike(data: Data, rows: dict[str, datasets.Dataset], size: int | None) -> Forms | None:
    """Decodes images to arrays of one size and one number of channels, and returns what they were."""
    whole = datasets.concatenate_datasets([part.select_columns(["image"]) for part in rows.values()])
    try:
        forms = None
        if isinstance(whole.features["image"], datasets.Image):
            size = size or _size(data, median_side(whole, "image"))
            images, forms = uniform_images(whole, "image", size)
        else:
            images = image_arrays(whole, "image")
            images = resize(images, size or _size(data, min(images.shape[1:3])))
    except ValueError as error:
        raise ValueError(f"{data.name!r}: {error}") from error
    ends = np.cumsum([len(part) for part in rows.values()])
    features = datasets.Features({"image": datasets.Array3D(images.shape[1:], "uint8")})
    for (role, part), some in zip(list(rows.items()), np.split(images, ends[:-1]), strict=True):
        pixels = datasets.Dataset.from_dict({"image": list(some)}, features=features)
        others = part.remove_columns("image")
        rows[role] = datasets.concatenate_datasets([pixels, others], axis=1) if others.column_names else pixels
    return forms


def _size(data: Data, side: float) -> int:
    size = 32 if side < 48 else 64
    data.why.append(f"image size: {size}, since the shorter sides have a median of {side:.0f} pixels")
    return size


def _divide(
    data: Data,
    labelled: datasets.Dataset,
    test: datasets.Dataset | None,
    group_column: str | None,
    fraction: float | None,
    seed: int,
) -> None:
    """Fills train and test, without rows that repeat others."""
    first: dict[Hashable, Any] = {}
    of_row = labelled["labels" if data.several else "label"][:]
    pairs = zip(data.keys(labelled), of_row, strict=True)
    data.contradictory = sum(first.setdefault(key, label) != label for key, label in pairs)
    train = without_duplicates(labelled, data.keys, test)
    if repeated := len(labelled) - len(train):
        data.left_out["that repeat another row" + (" or a test row" if test is not None else "")] = repeated
    if test is None:
        fraction = fraction or (0.2 if group_column else share_of_test(len(train)))
        by = f", no {group_column} on both sides" if group_column else ", of each class the same share"
        if group_column is not None:
            train, test = split_by_group(train, GROUP, fraction, seed, group_column)
        else:
            train, test = split_by_label(train, fraction, seed)
        if data.kind != "image":
            near = set(near_copies(texts_of(test), texts_of(train)))
            data.left_out += Counter({"of the test part that nearly repeat a labelled text": len(near)})
            test = test.select([row for row in range(len(test)) if row not in near])
        data.why.append(f"test: {len(test)} rows, a random part ({fraction:.0%}){by}")
    data.train, data.test = train.remove_columns([GROUP] if GROUP in train.column_names else []), test
    _check_classes(data)


def _check_classes(data: Data) -> None:
    if not len(data.test):
        raise ValueError(f"{data.name!r} has no test row that does not repeat a labelled one: pass test=FILE.")
    lost = [name for name, count in zip(data.label_names, data.counts(data.train), strict=True) if not count]
    if lost:
        raise ValueError(
            f"{data.name!r} has no labelled row of {few(lost)} that is not in the test part too: pass another "
            "test_fraction or seed, or more rows."
        )


def texts_of(rows: datasets.Dataset) -> list[str]:
    """The text of each row; of pairs, both."""
    texts = rows["text"][:]
    return join_pairs(texts, rows["text_pair"][:]) if "text_pair" in rows.column_names else texts
