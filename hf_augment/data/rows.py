"""Rows of a table as one shape, by the columns that were found."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import datasets

from hf_augment.data.cells import few, is_missing, split_cell, without_missing, written
from hf_augment.data.columns import Columns
from hf_augment.data.labels import in_order
from hf_augment.data.tables import folder_of


#: The column of groups in rows that are to be divided.
GROUP = "group"


class Part:
    """
    The rows of one table that have data and, if they are wanted, labels.

    Args:
        source (`str`): Where the table is from.
        table (`datasets.Dataset`): The table.
        columns ([`Columns`]): Which of its columns are what.
        mapping (`Mapping[str, str]`, *optional*): Other names of labels; rows with any other label are left out.
        group_column (`str`, *optional*): A further column, to keep as `group`.
        split (`str`, *optional*): The split that the table is, for messages.

    Raises:
        ValueError: If a column is missing, or an image's file is.
    """

    def __init__(
        self,
        source: str,
        table: datasets.Dataset,
        columns: Columns,
        mapping: Mapping[str, str] | None = None,
        group_column: str | None = None,
        split: str | None = None,
    ) -> None:
        self.folder = folder_of(source)
        source += f", split {split}" if split is not None else ""
        wanted = [*columns.data, *columns.of_labels, *([] if group_column is None else [group_column])]
        for name in wanted:
            if name not in table.column_names:
                raise ValueError(
                    f"{source!r} has no column {name!r} but {few(table.column_names)}: name its columns alike."
                )
        self.source, self.table, self.columns, self.group_column = source, table, columns, group_column
        #: Rows with a label that `mapping` does not have.
        self.unmapped: set[int] = set()
        #: Names of `mapping` that no row has.
        self.unknown = {*(mapping or ())}
        self.labels = self._labels(mapping) if columns.of_labels else None
        #: Rows that are left out, by reason.
        self.left_out = Counter[str]()

    def _labels(self, mapping: Mapping[str, str] | None) -> list[list[str] | None]:
        """The names of each row's labels; `None` where there is none to be had."""
        labels = self._flags() if self.columns.label is None else self._named()
        if all(name.endswith(".0") and name[:-2].lstrip("-").isdigit() for names in labels for name in names or ()):
            # Numbers of classes that became fractions where some were missing.
            labels = [names and [name[:-2] for name in names] for names in labels]
        if not mapping:
            return labels
        self.unknown -= {name for names in labels for name in names or ()}
        mapped = [
            None if names is None or not {*names} <= {*mapping} else list(dict.fromkeys(mapping[n] for n in names))
            for names in labels
        ]
        self.unmapped = {row for row, names in enumerate(mapped) if names is None and labels[row]}
        return mapped

    def _flags(self) -> list[list[str] | None]:
        labels: list[list[str] | None] = [[] for _ in range(len(self.table))]
        for name in self.columns.flags:
            for row, value in enumerate(self.table[name][:]):
                flag = "" if value is None or value != value else written(value).lower().removesuffix(".0")
                if flag not in ("1", "true", "0", "false"):
                    raise ValueError(
                        f"Column {name!r} of {self.source!r} has {value!r} in row {row}, from 0, where 0 or 1 says "
                        "whether the row has that label: correct it."
                    )
                if (of_row := labels[row]) is not None and flag in ("1", "true"):
                    of_row.append(name)
        return labels

    def _known(self) -> list[str] | None:
        """The names of a `ClassLabel`, or of a list of them."""
        feature: Any = None if self.columns.label is None else self.table.features[self.columns.label]
        return getattr(getattr(feature, "feature", feature), "names", None)

    def _named(self) -> list[list[str] | None]:
        known, cells = self._known(), self.table[self.columns.label][:]
        numbers = {n for cell in cells if known for n in (cell if isinstance(cell, list) else [cell]) if n is not None}
        if beyond := sorted(n for n in numbers if n >= len(known or ())):
            raise ValueError(
                f"label_column={self.columns.label!r} of {self.source!r} has the labels {few(beyond)}, but its "
                f"ClassLabel names only {len(known or ())} classes: correct it, or drop those rows."
            )
        return [self._read(value, known) for value in cells]

    def _read(self, value: Any, known: Sequence[str] | None) -> list[str] | None:
        value = without_missing(value, known is not None)
        if isinstance(value, list) and (value or self.columns.several):
            return list(dict.fromkeys(known[item] if known else written(item) for item in value))
        if is_missing(value, known is not None) or value == []:
            return None
        if known:
            return [known[value]]
        if not self.columns.several:
            return [written(value)]
        names = split_cell(written(value), self.columns.separator)
        # A written list of none is no label; separators alone are a label that is missing.
        return names if names or not written(value).strip("[] ") else None

    def has_labels(self) -> bool:
        """Whether any row has a label."""
        return any(names is not None for names in self.labels or ())

    def classes(self) -> list[str]:
        """
        The classes of the rows, in the order of the `ClassLabel`, or sorted.

        Raises:
            ValueError: If there are fewer than two.
        """
        found = {name for names in self.labels or () for name in names or ()}
        known = self._known() or self.columns.flags
        if len(found) < 2:
            raise ValueError(
                f"The labels of {self.source!r}, in {self.columns.named()}, are of the classes {sorted(found)}: two "
                "are needed at least."
            )
        return [name for name in known if name in found] if known and found <= {*known} else in_order(found)

    def rows(self, names: Sequence[str] | None = None) -> datasets.Dataset:
        """
        Returns the rows: `text`, `text` and `text_pair`, or `image` as it is stored, with `label`, or `labels` where
        there may be several, and `group`. `names` are the classes.

        Raises:
            ValueError: If a label is none of them, or no row is left.
        """
        pictures = self._pictures() if self.columns.has_images else None
        texts = {} if pictures is not None else self._texts()
        filled = self._filled(pictures, texts)
        unlabelled = [row for row in filled if self.labels is not None and self.labels[row] is None]
        unmapped = self.unmapped & {*unlabelled}
        self.left_out["without a label"] = len(unlabelled) - len(unmapped)
        self.left_out["with a label that label_map does not have"] = len(unmapped)
        keep = sorted({*filled} - {*unlabelled})
        if not keep:
            wanted = "data" if self.labels is None else "data and a label"
            raise ValueError(f"{self.source!r} has no row with {wanted} in {self.columns.named()}: name the columns.")
        if pictures is not None:
            rows = pictures.select(keep)
        else:
            rows = datasets.Dataset.from_dict({name: [cells[row] for row in keep] for name, cells in texts.items()})
        if self.labels is not None and names is not None:
            rows = self._with_labels(rows, [self.labels[row] or [] for row in keep], names)
        if self.group_column is not None:
            groups = self.table[self.group_column][:]
            rows = rows.add_column(GROUP, [None if groups[row] is None else str(groups[row]) for row in keep])
        return rows

    def _filled(self, pictures: datasets.Dataset | None, texts: Mapping[str, list[str]]) -> list[int]:
        if pictures is not None:
            empty = pictures.with_format("arrow")[:]["image"].is_null().to_pylist()
        else:
            empty = [not all(cells) for cells in zip(*texts.values(), strict=True)]
        self.left_out["without an image" if texts == {} else "without a text"] = sum(empty)
        return [row for row, is_empty in enumerate(empty) if not is_empty]

    def _texts(self) -> dict[str, list[str]]:
        names = ("text", "text_pair")[: len(self.columns.data)]
        cells = [self.table[column][:] for column in self.columns.data]
        return {
            name: ["" if value is None or value != value else written(value) for value in values]
            for name, values in zip(names, cells, strict=True)
        }

    def _pictures(self) -> datasets.Dataset:
        """The column of images, where files are named by their absolute paths."""
        (column,) = self.columns.data
        pictures = self.table.select_columns([column])
        pictures = pictures if column == "image" else pictures.rename_column(column, "image")
        if not isinstance(pictures.features["image"], datasets.Value):
            return pictures
        files = [None if name is None else self.folder / name for name in pictures["image"][:]]
        if missing := [file for file in files if file is not None and not os.path.isfile(file)]:
            raise ValueError(
                f"{len(missing)} files that column {column!r} of {self.source!r} names are not there, such as "
                f"{str(missing[0])!r}: name them from the folder of that file."
            )
        features = datasets.Features({"image": datasets.Image()})
        return datasets.Dataset.from_dict({"image": [file and str(file) for file in files]}, features=features)

    def _with_labels(
        self, rows: datasets.Dataset, labels: Sequence[Sequence[str]], names: Sequence[str]
    ) -> datasets.Dataset:
        if unknown := sorted({name for of_row in labels for name in of_row} - {*names}):
            raise ValueError(
                f"{self.source!r} has the labels {few(unknown)}, of which no training row is: correct or map them, or "
                "add rows."
            )
        number = {name: i for i, name in enumerate(names)}
        feature = datasets.ClassLabel(names=list(names))
        numbers = [[number[name] for name in of_row] for of_row in labels]
        if self.columns.several:
            return rows.add_column("labels", numbers, feature=datasets.List(feature))
        if wrong := next((of_row for of_row in labels if len(of_row) != 1), None):
            raise ValueError(
                f"{self.source!r} has a row with the labels {wrong}, and the training rows have one each: correct it, "
                "or pass several."
            )
        return rows.add_column("label", [of_row[0] for of_row in numbers], feature=feature)
