"""Which column holds the texts or images, and which the labels: found by names and contents, and said why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import datasets

from hf_augment.data.cells import Cells, few, find_separator
from hf_augment.data.tables import folder_of


#: Names of columns, in the order in which they are looked for, as [`_plain`] writes them.
LABEL_NAMES = (
    *("label", "labels", "class", "classes", "category", "categories", "intent", "intents", "target", "targets"),
    *("sentiment", "topic", "topics", "emotion", "emotions", "tag", "tags", "stars", "rating", "polarity", "y"),
    *("label_text", "label_name", "class_name", "category_name", "coarse_label", "fine_label"),
)
#: Of these, those of a number to predict; others, such as a rating, may be beside the labels.
TARGET_NAMES = ("target", "targets", "y")
TEXT_NAMES = (
    *(
        "text",
        "texts",
        "sentence",
        "utterance",
        "review",
        "content",
        "message",
        "comment",
        "body",
        "question",
        "query",
    ),
    *("tweet", "post", "document", "description", "input", "prompt", "title", "headline"),
)
PAIRS = (
    *(("premise", "hypothesis"), ("question", "passage"), ("question", "context"), ("question", "sentence")),
    *(("query", "document"), ("query", "passage"), ("claim", "evidence"), ("text", "text_pair")),
)


@dataclass
class Columns:
    """
    The columns that are taken.

    Args:
        data (`tuple[str, ...]`): The column of the images, of the texts, or the two of pairs of texts.
        has_images (`bool`): Whether it holds images.
        label (`str`, *optional*): The column of the labels.
        flags (`tuple[str, ...]`, *optional*): In its place, a column of 0 and 1 for each of several labels.
        several (`bool`, *optional*, defaults to `False`): Whether a row may have several labels.
        separator (`str`, *optional*): What stands between several labels in a cell of text; `"["` for written lists.
        why (`dict[str, str]`, *optional*): By what was taken: which, and why.
    """

    data: tuple[str, ...]
    has_images: bool
    label: str | None = None
    flags: tuple[str, ...] = ()
    several: bool = False
    separator: str | None = None
    why: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What a row holds: `"text"`, `"pair"` or `"image"`."""
        return "image" if self.has_images else "pair" if len(self.data) > 1 else "text"

    @property
    def of_labels(self) -> tuple[str, ...]:
        """The columns of the labels."""
        return self.flags if self.label is None else (self.label,)

    def named(self) -> str:
        """The columns, for a message."""
        return ", ".join(map(repr, (*self.data, *self.of_labels)))


def find_columns(
    source: str,
    table: datasets.Dataset,
    text_column: str | Sequence[str] | None = None,
    image_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    several: bool | None = None,
    has_labels: bool = True,
) -> Columns:
    """
    Finds the columns that hold the data and the labels. All arguments but the first two are those of [`open_data`];
    `has_labels` is whether labels are wanted.

    Raises:
        ValueError: If a column is missing or not to be told from others, or its cells are no classes.
    """
    texts = (text_column,) if isinstance(text_column, str) else tuple(text_column or ())
    if len(texts) > 2:
        raise ValueError(f"text_column={list(texts)} names {len(texts)} columns: name one, or two of pairs of texts.")
    if texts and image_column:
        raise ValueError(
            f"text_column={text_column!r} and image_column={image_column!r} are both given: pass one of them, since a "
            "row is texts or an image."
        )
    flags = (label_column,) if isinstance(label_column, str) else tuple(label_column or ())
    pictures = (image_column,) if image_column else ()
    named = {"text_column": texts, "image_column": pictures, "label_column": flags}
    for argument, names in named.items():
        for name in names:
            if name not in table.column_names:
                raise ValueError(
                    f"{argument}={name!r} is not a column of {source!r}, which has {few(table.column_names)}."
                )
    cells = {name: Cells(table, name) for name in table.column_names}
    given = pictures or texts
    label = flags[0] if flags else _label_by_name(cells, given) if has_labels else None
    rest = [cell for name, cell in cells.items() if name != label]
    columns = _named(cells, given) if given else _pictures(source, rest) or _texts(source, rest)
    if not has_labels:
        return columns
    if len(flags) > 1:
        return _with_flags(columns, flags, "as asked")
    if flags:
        columns.why["labels"] = f"column {label!r}, as asked"
    elif label is not None:
        others = [cell.name for cell in rest if cell.may_be_label() and plain(cell.name) in LABEL_NAMES]
        more = f" (also there: {', '.join(map(repr, others))})" if others else ""
        columns.why["labels"] = f"column {label!r}, by its name{more}"
        label = _with_names(cells, label, columns)
    else:
        rest = [cell for cell in rest if cell.name not in columns.data]
        found = [cell.name for cell in rest if cell.may_be_label()]
        if len(found) > 2 and all({*cells[name].counts} == {"0", "1"} for name in found):
            return _with_flags(columns, found, "which hold 0 and 1")
        label = _label_by_contents(source, rest, columns)
    columns.label = label
    _find_several(source, cells[label], columns, several)
    return columns


def plain(name: str) -> str:
    """The name of a column in small letters, with `_` between its words."""
    return "_".join(name.casefold().replace("-", " ").replace("_", " ").split())


def _first(cells: Iterable[Cells], names: Sequence[str]) -> Cells | None:
    """The cells whose column has the first of some names."""
    ranked = [cell for cell in cells if plain(cell.name) in names]
    return min(ranked, key=lambda cell: names.index(plain(cell.name)), default=None)


def _label_by_name(cells: dict[str, Cells], taken: Sequence[str]) -> str | None:
    free = [cell for cell in cells.values() if cell.name not in taken]
    found = _first([cell for cell in free if cell.may_be_label()], LABEL_NAMES)
    # What is named so and cannot be: it is told why.
    found = found or _first([cell for cell in free if cell.kind in ("text", "number", "empty")], LABEL_NAMES[:4])
    found = found or _first([cell for cell in free if cell.kind == "number" and cell.is_measured()], TARGET_NAMES)
    return found.name if found else None


def _named(cells: dict[str, Cells], given: Sequence[str]) -> Columns:
    for name in given:
        if cells[name].kind not in ("image", "path", "text", "word"):
            raise ValueError(f"Column {name!r} holds {cells[name].told()}: name a column of texts or images.")
    has_images = cells[given[0]].kind in ("image", "path")
    what = "images" if has_images else "texts"
    return Columns(
        tuple(given),
        has_images,
        why={what: f"column{'s' * (len(given) > 1)} {' and '.join(map(repr, given))}, as asked"},
    )


def _pictures(source: str, cells: Sequence[Cells]) -> Columns | None:
    here = [cell.name for cell in cells if cell.kind == "image" or _names_files(source, cell)]
    # Addresses, or files that are elsewhere, may be beside texts.
    texts = _first([cell for cell in cells if cell.kind == "text"], TEXT_NAMES)
    found = here or [cell.name for cell in cells if cell.kind == "path" and texts is None]
    if not found:
        return None
    others = f", the first of {', '.join(map(repr, found))}" if len(found) > 1 else ""
    return Columns((found[0],), True, why={"images": f"column {found[0]!r}{others}"})


def _names_files(source: str, cell: Cells) -> bool:
    """Whether one of the files is there that a column names."""
    return cell.kind == "path" and any(map(os.path.isfile, map(folder_of(source).joinpath, cell.counts)))


def _texts(source: str, cells: Sequence[Cells]) -> Columns:
    found = [cell for cell in cells if cell.kind in ("text", "word")]
    if not found:
        raise ValueError(
            f"{source!r} has no column of texts or images beside the labels, but {_names(cells)}: pass text_column, "
            "or image_column ('pixels' for a CSV file whose rows are the pixels of images)."
        )
    known = _first(found, TEXT_NAMES)
    taken = known or max(found, key=lambda cell: cell.width)
    why = "by its name" if known else f"the longest, {taken.width:.0f} characters on average"
    for first, second in _pairs(found):
        if taken.name in (first, second) or not known:
            return Columns((first, second), False, why={"texts": f"columns {first!r} and {second!r}, by their names"})
    others = ", ".join(repr(cell.name) for cell in found if cell is not taken and cell.kind == "text")
    why += f" (also there: {others})" if others else ""
    why += "".join(f" (the files that {cell.name!r} names are not there)" for cell in cells if cell.kind == "path")
    return Columns((taken.name,), False, why={"texts": f"column {taken.name!r}, {why}"})


def _pairs(cells: Sequence[Cells]) -> list[tuple[str, str]]:
    """The columns whose names say that they are two sides of a pair."""
    names = {plain(cell.name): cell.name for cell in cells}
    numbered = [(name, f"{name[:-1]}{other}") for name in names for one, other in ("12", "ab") if name.endswith(one)]
    return [(names[a], names[b]) for a, b in (*PAIRS, *numbered) if a in names and b in names]


def _with_names(cells: dict[str, Cells], label: str, columns: Columns) -> str:
    """A column that names the classes which `label` only numbers, as `label_text` beside `label`; or else `label`."""
    numbers = cells[label]
    if numbers.kind != "number":
        return label
    for cell in cells.values():
        if cell.kind == "word" and len(cell.counts) == len(numbers.counts) and len(cell.values) == len(numbers.values):
            pairs = set(zip(numbers.values, cell.values, strict=True))
            if len(pairs) == len(cell.counts):
                columns.why["labels"] = f"column {cell.name!r}, which names the classes that {label!r} numbers"
                return cell.name
    return label


def _label_by_contents(source: str, cells: Sequence[Cells], columns: Columns) -> str:
    found = [cell for cell in cells if cell.may_be_label()]
    for kinds in (("class",), ("list", "word", "text"), ("number",)):
        of_kind = [cell for cell in found if cell.kind in kinds]
        if len(of_kind) == 1:
            columns.why["labels"] = f"column {of_kind[0].name!r}, the only one whose values recur"
            return of_kind[0].name
        if of_kind:
            break
    if measured := [cell for cell in cells if cell.kind == "number" and cell.is_measured()]:
        raise ValueError(_measured(source, measured[0]))
    if found:
        raise ValueError(
            f"{source!r} has several columns that could be the labels, {_names(found)}: pass label_column."
        )
    among = f", among {_names(cells)}" if cells else ", beside the data"
    raise ValueError(f"{source!r} has no column whose values recur, as labels do{among}: add one.")


def _with_flags(columns: Columns, flags: Sequence[str], why: str) -> Columns:
    columns.flags, columns.several = tuple(flags), True
    columns.why["labels"] = f"columns {', '.join(map(repr, flags))}, {why}: several in a row"
    return columns


def _names(cells: Sequence[Cells]) -> str:
    return few(cell.name for cell in cells)


def _measured(source: str, cell: Cells) -> str:
    low, high = min(map(float, cell.counts)), max(map(float, cell.counts))
    return (
        f"Column {cell.name!r} of {source!r} holds {len(cell.counts)} different numbers, from {low:g} to {high:g}: "
        "a number in each row to predict (regression) is not supported. If they are classes, write them as words, "
        "such as 'seven'; if not, make a few ranges of them, or pass label_column, the column of the classes."
    )


def _find_several(source: str, cell: Cells, columns: Columns, several: bool | None) -> None:
    """Finds out whether a row may have several labels, and refuses cells that are no classes."""
    if cell.kind in ("image", "path", "empty", "other", "date"):
        raise ValueError(f"label_column={cell.name!r} of {source!r} holds {cell.told()}: pass a column of labels.")
    columns.separator = (
        None if several is False or cell.kind == "list" else find_separator(cell.texts(), bool(several))
    )
    columns.several = bool(several or columns.separator or (cell.kind == "list" and several is not False))
    if cell.kind == "list" and all(len(value) == 1 for value in cell.values) and not several:
        columns.several = False
    elif cell.kind == "list" and several is False:
        raise ValueError(f"label_column={cell.name!r} of {source!r} has rows of several labels, and several=False.")
    if columns.separator:
        how = "written as lists" if columns.separator == "[" else f"with {columns.separator!r} between them"
        columns.why["labels"] += f"; several in a cell, {how}"
    if columns.several:
        return
    where = f"label_column={cell.name!r} of {source!r} holds"
    if cell.kind == "number" and cell.is_measured():
        raise ValueError(_measured(source, cell))
    if cell.kind != "list" and len(cell.counts) < 2:
        raise ValueError(f"{where} one class, {next(iter(cell.counts))!r}: two are needed at least.")
    if cell.kind != "list" and sum(n for n in cell.counts.values() if n > 1) < len(cell.values) / 2:
        raise ValueError(
            f"{where} {len(cell.counts)} different values in {len(cell.values)} rows, too many for classes: pass the "
            "column of the labels."
        )
