"""CSV and TSV files: cells arrive as they are written, and none is lost without a word."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
from datasets.packaged_modules.csv.csv import CsvConfig


#: Options of pandas that keep words such as `NA` and `None`; only an empty cell is a missing value.
AS_WRITTEN: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "index_col": False}


def check_cells(source: str, table: datasets.Dataset, sep: str | None = None) -> None:
    """
    Refuses a file whose first line is a row, since a label stands there that other rows have too; and, if `sep` stands
    between its cells, one with a cell that has swallowed rows, since a quotation mark begins it.
    """
    for name in table.column_names:
        _check_header(source, table, name)
    names = table.column_names if sep is not None else []
    lines = {name: [row for row, cell in enumerate(table[name][:]) if cell and "\n" in cell] for name in names}
    known = [_recurring(table[name][:]) for name in names] if any(lines.values()) else []
    for name, rows in lines.items():
        cells = table[name][:] if rows else []
        for row in rows:
            # Most TSV files have quotation marks as they are.
            if (sep == "\t" and sep in cells[row]) or _has_row(cells[row], sep, known):
                raise ValueError(
                    f"{source!r} has a cell of several rows in column {name!r} of row {row}, from 0: a quotation mark "
                    "at its beginning is closed rows later. Put such cells in quotation marks and double theirs."
                )


def _check_header(source: str, table: datasets.Dataset, name: str) -> None:
    cells = table[name][:]
    rows = [row for row, cell in enumerate(cells) if cell == name]
    others = [other for other in table.column_names if other != name]
    if rows and others and all(table[row][other] == other for row in rows for other in others):
        raise ValueError(f"{source!r} has its header again in row {rows[0]}, from 0: drop that row.")
    # A text may be its column's name; a label that is one was a row's.
    if len(rows) > 1 or (rows and _recurring(cells)):
        have = f"{len(rows)} rows have" if len(rows) > 1 else "another row has"
        raise ValueError(
            f"{source!r} has no header: its first line has {name!r}, which {have} in that column too. Add a first "
            "line with the names of the columns, such as text,label."
        )


def _recurring(cells: Sequence[str | None]) -> set[str]:
    """The values of a column that recur, if most do, as labels."""
    counts = Counter(cell for cell in cells if cell)
    found = {cell for cell, count in counts.items() if count > 1}
    return found if sum(counts[cell] for cell in found) >= counts.total() / 2 else set()


def _has_row(cell: str, sep: str | None, known: Sequence[set[str]]) -> bool:
    """Whether a line of a cell is a row: as many cells, one of them known of that column."""
    rows = [line.rstrip("\r").split(sep) for line in cell.split("\n")]
    # What ends with a comma is a line of a letter.
    whole = [row for row in rows if len(row) == len(known) > 1 and all(row)]
    return any(part in of_column for row in whole for part, of_column in zip(row, known, strict=True))


def csv_options(config: CsvConfig) -> dict[str, Any]:
    """Returns the options that read each column as text, by the header of the first file."""
    file, sep = next(iter(config.data_files.values()))[0], config.sep
    encoding = {}
    if Path(file).is_file():
        with Path(file).open("rb") as raw:
            # As spreadsheets write what they call Unicode text.
            encoding = {"encoding": "utf-16"} if raw.read(2) in (b"\xff\xfe", b"\xfe\xff") else {}
    names = first_row(file, sep, **encoding)
    # As spreadsheets write it where the comma is for decimals.
    if len(names) == 1 and (others := [other for other in ";\t|" if other in names[0]]):
        sep = others[0]
        names = first_row(file, sep, **encoding)
    if twice := sorted({name for name in names if names.count(name) > 1 and name}):
        raise ValueError(f"{Path(file).name} has the columns {twice} more than once: rename or drop one of each")
    # The name that pandas gives to a column without one.
    columns = [name or f"Unnamed: {i}" for i, name in enumerate(names)]
    return (
        AS_WRITTEN
        | encoding
        | {"sep": sep, "features": datasets.Features(dict.fromkeys(columns, datasets.Value("string")))}
    )


@contextmanager
def no_cell_lost() -> Iterator[None]:
    """Turns pandas' warning that it leaves out cells of a row which is longer than the header into a `ValueError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            yield
        except pd.errors.ParserWarning as warning:
            raise ValueError(f"A row has more cells than the header: {warning}") from warning


def first_row(file: str | Path, sep: str = ",", **options: str) -> list[str]:
    """Reads the cells of the first row of a CSV file."""
    return (
        pd.read_csv(file, header=None, nrows=1, dtype=str, keep_default_na=False, sep=sep, **options).iloc[0].tolist()
    )
