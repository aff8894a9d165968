"""What the cells of a column are: images, texts, classes, several labels, numbers."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any

import datasets

from hf_augment.data.image_folder import is_image


#: Names in a message.
MOST_NAMES = 8
SEPARATORS = (";", "|", ",")
#: From this many different numbers on, those that do not count classes are measurements.
MANY_NUMBERS = 20
#: The share of rows, and their number, from which a separator in labels is none by mistake.
_SEPARATED = 0.02, 3
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")


class Cells:
    """
    A column, and what it holds by its type and its cells: `kind` is one of `image`, `path` (of images), `class` (a
    `ClassLabel`), `list` (several labels), `number`, `date`, `text`, `word` (texts that recur), `empty`, `other`.

    Args:
        table (`datasets.Dataset`): Rows.
        name (`str`): The column.
    """

    def __init__(self, table: datasets.Dataset, name: str) -> None:
        self.name, self.feature, self.values = name, table.features[name], list[Any]()
        self.kind = "image" if _holds_images(self.feature) else "other"
        self.counts = Counter[str]()
        if self.kind == "other":
            # NaN is not equal to itself; -1 is how a ClassLabel says that there is none.
            missing = (None, "", -1) if isinstance(self.feature, datasets.ClassLabel) else (None, "")
            self.values = [value for value in table[name][:] if value not in missing and value == value]
            self.kind = self._kind()

    def _kind(self) -> str:
        if isinstance(self.feature, datasets.List) and not isinstance(self.feature.feature, datasets.List):
            return "list"
        if not all(isinstance(value, str | int | float) for value in self.values):
            return "other"
        self.counts = Counter(self.texts())
        if not self.values:
            return "empty"
        if isinstance(self.feature, datasets.ClassLabel):
            return "class"
        if all(map(is_image, self.counts)):
            return "path"
        if all(map(NUMBER.fullmatch, self.counts)):
            return "number"
        if all(map(_DATE.fullmatch, self.counts)):
            return "date"
        return "text" if len(self.counts) > len(self.values) / 2 or self.width > 60 else "word"

    def texts(self) -> list[str]:
        """The cells that are filled, as [`written`]."""
        return list(map(written, self.values))

    @property
    def width(self) -> float:
        """Characters in a filled cell on average."""
        return mean(map(len, self.texts()))

    def may_be_label(self) -> bool:
        """Whether values recur as labels do."""
        if self.kind == "text":
            return find_separator(self.texts()) is not None
        recur = sum(count for count in self.counts.values() if count > 1) >= len(self.values) / 2
        measured = self.kind == "number" and self.is_measured()
        return self.kind in ("class", "list") or (self.kind in ("word", "number") and recur and not measured)

    def is_measured(self) -> bool:
        """Whether numbers measure something, since they are many and do not count from 0 or 1."""
        numbers = sorted(map(float, self.counts))
        if any(number % 1 for number in numbers):
            return len(numbers) > MANY_NUMBERS / 2
        counting = [numbers[0] + i for i in range(len(numbers))] if numbers[0] in (0, 1) else []
        return len(numbers) > MANY_NUMBERS and numbers != counting

    def told(self) -> str:
        """What it holds, for a message."""
        return {"path": "names of images", "empty": "nothing", "other": str(self.feature)}.get(
            self.kind, f"{self.kind}s"
        )


def few(names: Iterable[Any]) -> str:
    """The first names, in quotation marks, and how many more there are; for a message."""
    names = list(names)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (", ".join(map(repr, names[:MOST_NAMES])) or "none") + more


def written(value: Any) -> str:
    """A label as a text: whole numbers without a fraction, no space around."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _holds_images(feature: Any) -> bool:
    if isinstance(feature, datasets.Image | datasets.Array2D | datasets.Array3D):
        return True
    depth = 0
    while isinstance(feature, datasets.List):
        feature, depth = feature.feature, depth + 1
    return depth >= 2 and getattr(feature, "dtype", "").startswith(("int", "uint", "float"))


def split_cell(cell: str, separator: str | None) -> list[str]:
    """The labels in a cell, each once; `[]` is a cell of none."""
    if cell == "[]":
        return []
    if separator == "[":
        parts = [str(part) for part in ast.literal_eval(cell)]
    else:
        parts = cell.split(separator) if separator else [cell]
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def find_separator(texts: Sequence[str], asked: bool = False) -> str | None:
    """
    What stands between labels where a cell has several: `"["` for lists as Python writes them, or one of `;`, `|` and
    `,` that stands in 2 % of the rows, 3 at least, between short parts that recur in other cells: half of them with a
    comma, else any. With `asked` one that stands in any cell will do.
    """
    if texts and all(map(_is_list, texts)):
        return "["
    distinct = set(texts)
    for separator in SEPARATORS:
        with_it = [text for text in distinct if separator in text]
        rows = sum(separator in text for text in texts)
        share, least = (0.0, 1) if asked else _SEPARATED
        if rows < max(share * len(texts), least):
            continue
        cells = Counter(part for text in distinct for part in split_cell(text, separator))
        parts = {part for text in with_it for part in split_cell(text, separator)}
        short = all(len(part.split()) <= 6 for part in parts)
        # A comma may be part of a name.
        enough = len(parts) / 2 if separator == "," else 1
        if asked or (short and sum(cells[part] > 1 for part in parts) >= enough):
            return separator
    return None


def _is_list(text: str) -> bool:
    if not (text.startswith("[") and text.endswith("]")):
        return False
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return isinstance(found, list) and all(isinstance(item, str | int) for item in found)
