"""Datasets from the Hub, from folders and from files; cells of CSV and TSV files arrive as they are written."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from datasets.packaged_modules.csv.csv import CsvConfig
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from hf_augment.data.sources import resolve


FILE_TYPES = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}

#: Options of pandas that keep words such as `NA` and `None`; only an empty cell is a missing value.
AS_WRITTEN: dict[str, Any] = {"keep_default_na": False, "na_values": [""], "index_col": False}


def load_table(source: str, split: str) -> datasets.Dataset:
    """
    Loads a split of a source, both as for [`load_texts`], as it is. The columns of CSV and TSV files are texts, with
    `None` for an empty cell.

    Raises:
        OSError: If the source cannot be found, or a file is damaged.
        ValueError: If the split or the type of a file is not known, or a CSV file names a column twice.
    """
    path = Path(resolve(source)).expanduser()
    options: dict[str, Any] = {"path": str(path) if path.is_dir() else source}
    if path.is_file():
        suffix = next((s.lower() for s in reversed(path.suffixes) if s.lower() in FILE_TYPES), None)
        if suffix is None:
            raise ValueError(f"{source!r} is a file of no known type: use one of {sorted(FILE_TYPES)}.")
        # Escaped, since data_files are patterns.
        options = {"path": FILE_TYPES[suffix], "data_files": glob.escape(str(path))}
        options |= {"sep": "\t"} if suffix == ".tsv" else {}
    elif not path.is_dir() and (path.is_absolute() or source.startswith(".")):
        raise FileNotFoundError(f"{source!r} does not exist: pass a folder, a file or a Hub id.")
    try:
        builder = datasets.load_dataset_builder(**options)
        if isinstance(builder.config, CsvConfig):
            builder = datasets.load_dataset_builder(**{**options, **_csv_options(builder.config)})
        with no_cell_lost():
            builder.download_and_prepare()
        dataset = builder.as_dataset(split=split)
    except ValueError as error:
        raise ValueError(f"{source!r} could not be read with split={split!r}: {error}") from error
    except DatasetGenerationError as error:
        why = " ".join(str(error.__cause__).split())
        raise OSError(f"{source!r} could not be read ({why}): check that the file is whole.") from error
    except (ConnectionError, DatasetNotFoundError, HfHubHTTPError, OfflineModeIsEnabled) as error:
        raise OSError(
            f"{source!r} is no folder here and could not be loaded from the Hub ({type(error).__name__}): check the "
            "name and the network, or pass a local folder or parquet file."
        ) from error
    if getattr(builder.config, "sep", None) == "\t":
        _check_quotes(source, dataset)
    return dataset


def load_split(source: str, split: str, **columns: str | tuple[str, ...]) -> datasets.Dataset:
    """
    Loads a split as it is ([`load_table`]), or raises a `ValueError` unless it has the columns, each given under the
    name of the argument that names it.
    """
    dataset = load_table(source, split)
    for argument, wanted in columns.items():
        for column in (wanted,) if isinstance(wanted, str) else wanted:
            if column not in dataset.column_names:
                raise ValueError(
                    f"{argument}={column!r} is not a column of {source!r}, which has {dataset.column_names}."
                )
    return dataset


def _check_quotes(source: str, dataset: datasets.Dataset) -> None:
    """Refuses cells of a TSV file that have swallowed rows, since most such files have quotation marks as they are."""
    for name in dataset.column_names:
        for row, cell in enumerate(dataset[name][:]):
            if cell and "\t" in cell and "\n" in cell:
                raise ValueError(
                    f"{source!r} has a cell of several rows in column {name!r} of row {row}, from 0: a quotation mark "
                    "at its beginning is closed rows later. Put such cells in quotation marks and double theirs."
                )


def _csv_options(config: CsvConfig) -> dict[str, Any]:
    """Returns the options that read each column as text, by the header of the first file."""
    file, sep = next(iter(config.data_files.values()))[0], config.sep
    names = first_row(file, sep)
    if len(names) == 1 and ";" in names[0]:  # As spreadsheets write it where the comma is for decimals.
        sep = ";"
        names = first_row(file, sep)
    if twice := sorted({name for name in names if names.count(name) > 1 and name}):
        raise ValueError(f"{Path(file).name} has the columns {twice} more than once: rename or drop one of each")
    # The name that pandas gives to a column without one.
    columns = [name or f"Unnamed: {i}" for i, name in enumerate(names)]
    return AS_WRITTEN | {"sep": sep, "features": datasets.Features(dict.fromkeys(columns, datasets.Value("string")))}


@contextmanager
def no_cell_lost() -> Iterator[None]:
    """Turns pandas' warning that it leaves out cells of a row which is longer than the header into a `ValueError`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            yield
        except pd.errors.ParserWarning as warning:
            raise ValueError(f"A row has more cells than the header: {warning}") from warning


def first_row(file: str | Path, sep: str = ",") -> list[str]:
    """Reads the cells of the first row of a CSV file."""
    return pd.read_csv(file, header=None, nrows=1, dtype=str, keep_default_na=False, sep=sep).iloc[0].tolist()
