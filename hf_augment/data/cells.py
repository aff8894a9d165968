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
_LISTS = datasets.List, datasets.LargeList
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
# Strings, numbers, and what is missing among them.
_ITEM = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?:-?\d+|None|True|False)(?![\w.])""", re.DOTALL)
_LIST = re.compile(rf"\[\s*(?:(?:{_ITEM.pattern})[\s,]*)*\]", re.DOTALL)
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
            numbered = isinstance(getattr(self.feature, "feature", self.feature), datasets.ClassLabel)
            values = [without_missing(value, numbered) for value in table[name][:]]
            self.values = [value for value in values if not is_missing(value, numbered)]
            self.kind = self._kind()

    def _kind(self) -> str:
        if isinstance(self.feature, _LISTS) and not isinstance(self.feature.feature, _LISTS):
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


def is_missing(value: Any, numbered: bool = False) -> bool:
    """Whether a cell says that there is nothing: none, blank, or below 0 where numbers are those of a `ClassLabel`."""
    if isinstance(value, str):
        return not value.strip()
    # NaN is not equal to itself.
    return value is None or bool(value != value) or (numbered and not isinstance(value, list) and value < 0)


def without_missing(value: Any, numbered: bool = False) -> Any:
    """A list without what [`is_missing`], or `None` if that was all it had; any other cell as it is."""
    if not (isinstance(value, list) and value):
        return value
    return [item for item in value if not is_missing(item, numbered)] or None


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
    while isinstance(feature, _LISTS):
        feature, depth = feature.feature, depth + 1
    return depth >= 2 and getattr(feature, "dtype", "").startswith(("int", "uint", "float"))


def split_cell(cell: str, separator: str | None) -> list[str]:
    """The labels in a cell, each once; `[]` is a cell of none."""
    if cell == "[]":
        return []
    if separator == "[":
        items = _items(cell)
        # No list, in a part whose first rows are some: one label, as it is.
        parts = [cell] if items is None else items
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
    return _items(text) is not None


def _items(text: str) -> list[str] | None:
    """The items of a list as Python writes it, with commas between them, or numpy, without; `None` if it is none."""
    if not _LIST.fullmatch(text):
        return None
    items = [item for item in _ITEM.findall(text[1:-1]) if item != "None"]
    try:
        return [str(ast.literal_eval(item)) for item in items]
    except (ValueError, SyntaxError):
        return None
