"""CSV and TSV files: cells arrive as they are written, and none is lost without a word."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
from datasets.packaged_modules.csv.csv import CsvConfig


#: Options of pandas that keep words such as `NA` and `None`; only an empty cell is a missing value.
AS_WRITTEN: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "index_col": False}


def check_cells(source: str, table: datasets.Dataset, sep: str) -> None:
    """
    Refuses a file whose first line is a row, since a label stands there that other rows have too; and cells of a TSV
    file that have swallowed rows, since most such files have quotation marks as they are.
    """
    for name in table.column_names:
        cells = table[name][:]
        if (count := cells.count(name)) > 1:
            raise ValueError(
                f"{source!r} has no header: its first line has {name!r}, which {count} rows have in that column too. "
                "Add a first line with the names of the columns, such as text,label."
            )
        for row, cell in enumerate(cells if sep == "\t" else ()):
            if cell and "\t" in cell and "\n" in cell:
                raise ValueError(
                    f"{source!r} has a cell of several rows in column {name!r} of row {row}, from 0: a quotation mark "
                    "at its beginning is closed rows later. Put such cells in quotation marks and double theirs."
                )


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
