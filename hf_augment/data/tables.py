"""Datasets from the Hub, from folders and from files; cells of CSV and TSV files arrive as they are written."""

from __future__ import annotations

import difflib
import glob
import re
import zipfile
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
from datasets.data_files import FILES_TO_IGNORE, EmptyDatasetError
from datasets.exceptions import DataFilesNotFoundError, DatasetGenerationError, DatasetNotFoundError
from datasets.packaged_modules.csv.csv import CsvConfig
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from hf_augment.data.cells import few
from hf_augment.data.delimited import check_cells, csv_options, no_cell_lost
from hf_augment.data.image_folder import SUFFIXES, image_folder, is_image, splits_of
from hf_augment.data.sources import resolve
from hf_augment.fingerprints import texts_digest


FILE_TYPES = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".txt": "text"}
EXCEL = (".xlsx", ".xls", ".ods")
COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".zst")
#: Of a dataset with several configurations one can be named.
_HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::([\w.-]+))?")


def load_table(source: str, split: str) -> datasets.Dataset:
    """
    Loads a split of a source, both as for [`load_texts`], as it is ([`load_tables`]).

    Raises:
        OSError: As [`load_tables`].
        ValueError: As [`load_tables`], or if the split is not known.
    """
    tables = load_tables(source)
    try:
        parts = datasets.ReadInstruction.from_spec(split).to_absolute({name: len(t) for name, t in tables.items()})
    except ValueError as error:
        raise ValueError(f"{source!r} could not be read with split={split!r}: {error}") from error
    read = [
        tables[part.splitname] if part.from_ is None and part.to is None else _part(tables[part.splitname], part)
        for part in parts
    ]
    return read[0] if len(read) == 1 else datasets.concatenate_datasets(read)


def _part(table: datasets.Dataset, part: Any) -> datasets.Dataset:
    return table.select(range(*slice(part.from_, part.to).indices(len(table))))


def load_tables(source: str) -> dict[str, datasets.Dataset]:
    """
    Loads what a source holds, as it is, by split; a single file is the split `"train"`. The columns of CSV, TSV and
    Excel files are texts, with `None` for an empty cell.

    Raises:
        OSError: If the source cannot be found, or a file is damaged.
        ValueError: If the type of a file is not known, or a CSV file names a column twice.
    """
    path = find_path(source)
    if path is None and (of_hub := _HUB_ID.fullmatch(source)):
        name, config = of_hub.groups()
        return _load(source, {"path": name} | ({"name": config} if config else {}))
    assert path is not None
    if path.is_dir():
        if (path / "dataset_dict.json").is_file() or (path / "dataset_info.json").is_file():
            return _saved(path)
        return image_folder(path) or _folder(source, path)
    suffix = next((s.lower() for s in reversed(path.suffixes) if s.lower() in (*FILE_TYPES, *EXCEL)), None)
    if suffix is None:
        raise ValueError(f"{source!r} is a file of no known type: use one of {sorted((*FILE_TYPES, *EXCEL))}.")
    if not path.stat().st_size:
        raise ValueError(f"{source!r} is empty.")
    if suffix in EXCEL:
        return _excel(path)
    # Escaped, since data_files are patterns.
    options = {"path": FILE_TYPES[suffix], "data_files": glob.escape(str(path))}
    tables = _load(source, options | ({"sep": "\t"} if suffix == ".tsv" else {}))
    if suffix == ".json" and len(tables["train"]) == 1:
        raise ValueError(
            f"{source!r} has one record: write a list of records, one for each row, as "
            "DataFrame.to_json(orient='records') does."
        )
    return tables


def _folder(source: str, path: Path) -> dict[str, datasets.Dataset]:
    """Reads the files of a folder; where a table names images beside it, that table."""
    tables = _tables_in(path)
    if any(is_image(file.name) for file in path.rglob("*")):
        if len(tables) != 1:
            raise ValueError(
                f"{source!r} has images, but no two folders of them, nor one table that names them: put the images of "
                "each class in a folder of its own, or add a CSV file with the columns file and label."
            )
        return load_tables(str(tables[0]))
    if splits := _split_files(tables):
        # One by one, since what is to be predicted may lack its labels.
        return {split: _alone(file) for split, file in splits.items()}
    return _load(source, {"path": str(path), "cache_dir": str(_cache(path))}, path)


def _split_files(tables: list[Path]) -> dict[str, Path]:
    """The files of a folder by split, if all are named after one."""
    splits = splits_of(file.stem for file in tables)
    by_split = {splits[file.stem]: file for file in tables if file.stem in splits}
    return by_split if "train" in by_split and len(by_split) == len(tables) else {}


def _alone(file: Path) -> datasets.Dataset:
    found = load_tables(str(file))
    if len(found) > 1:
        raise ValueError(f"{str(file)!r} has the splits {', '.join(found)}, beside files of splits: pass it alone.")
    return next(iter(found.values()))


def _tables_in(path: Path, deep: bool = False) -> list[Path]:
    """The files of tables in a folder, or wherever they lie in it; lists of texts, such as a licence, are none."""
    files = [file.relative_to(path) for file in sorted(path.rglob("*") if deep else path.iterdir()) if _is_table(file)]
    return [path / file for file in files if not any(part.startswith((".", "__")) for part in file.parts)]


def _is_table(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return bool({*suffixes[-1:]} & ({*FILE_TYPES, *EXCEL} - {".txt"})) and file.name not in FILES_TO_IGNORE


def _of_folder(path: Path, options: dict[str, Any]) -> tuple[datasets.DatasetBuilder, dict[str, Any]]:
    """
    Returns what reads the tables of a folder, without texts that lie beside them, and its options; and refuses tables
    of which some would be left out, such as one of another type, or without a split in its name where others have one.
    """
    builder = datasets.load_dataset_builder(**options)
    files = builder.config.data_files or {}
    read = {Path(file).resolve() for of_split in files.values() for file in of_split}
    tables = _tables_in(path, deep=True)
    if tables and len(files) == 1 and "data_files" not in options and all(".txt" in file.suffixes for file in read):
        return _of_folder(path, options | {"data_files": [glob.escape(str(f.relative_to(path))) for f in tables]})
    left = [str(file.relative_to(path)) for file in tables if file.resolve() not in read]
    if left and not _is_described(path):
        those = [name for name in map(str, (f.relative_to(path) for f in tables)) if name not in left]
        those = those or sorted(file.name for file in read)
        raise ValueError(
            f"of its files {few(those)} would be read, and {few(left)} left out: put the rows into one file, name the "
            "files train and test, or move what is no data away"
        )
    return builder, options


def _is_described(path: Path) -> bool:
    """Whether the card of a folder says which files are its data."""
    cards = [path / name for name in ("README.md", ".huggingface.yaml")]
    return any(re.search(r"^configs:", card.read_text("utf-8"), re.MULTILINE) for card in cards if card.is_file())


def reads_top_alone(path: Path) -> bool:
    """Whether of a folder nothing is read that lies deeper: it was saved, or has a file for each split."""
    saved = (path / "dataset_dict.json").is_file() or (path / "dataset_info.json").is_file()
    return saved or (bool(_split_files(_tables_in(path))) and not any(is_image(f.name) for f in path.rglob("*")))


def _cache(folder: Path) -> Path:
    """
    A cache for what the files of a folder are now: where a card names them, `datasets` takes what it once read of the
    folder for what is there.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
    states = ((path.relative_to(folder), path.stat()) for path in files)
    digest = texts_digest(f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states)
    return Path(datasets.config.HF_DATASETS_CACHE) / "hf_augment" / digest


def find_path(source: str) -> Path | None:
    """
    Returns the folder or file that a source names on this machine, or `None` for a Hub id, which is `owner/name` or
    `owner/name:configuration`.

    Raises:
        FileNotFoundError: If there is none, and it is no Hub id.
    """
    path = Path(resolve(source)).expanduser()
    if path.exists():
        return path
    known = {*FILE_TYPES, *EXCEL, *COMPRESSED, *SUFFIXES}
    # What begins with a folder that is here names something in it.
    if _HUB_ID.fullmatch(source) and path.suffix.lower() not in known and not path.parent.exists():
        return None
    siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, 1)
    meant = f" Did you mean {str(path.parent / near[0])!r}?" if near else ""
    raise FileNotFoundError(f"{source!r} does not exist: pass a folder, a file or a Hub id (owner/name).{meant}")


def folder_of(source: str) -> Path:
    """The folder from which a table names files: its own; that where one is, for the Hub."""
    path = Path(resolve(source)).expanduser()
    return path if path.is_dir() else path.parent if path.exists() else Path()


def _saved(path: Path) -> dict[str, datasets.Dataset]:
    """Reads what `save_to_disk` wrote."""
    # What a format makes of cells, such as tensors, is left out.
    saved = datasets.load_from_disk(str(path)).with_format(None)
    return dict(saved) if isinstance(saved, datasets.DatasetDict) else {"train": saved}


def _excel(path: Path) -> dict[str, datasets.Dataset]:
    """Reads the one sheet of a spreadsheet that has rows, or those whose names are of splits."""
    try:
        sheets = pd.read_excel(path, sheet_name=None, dtype=str, keep_default_na=False, na_values=[""])
    except ImportError as error:
        raise OSError(f"{str(path)!r} cannot be read: {error} Or save the sheet as CSV.") from error
    # What is no spreadsheet, whatever its name.
    except (zipfile.BadZipFile, ValueError, KeyError) as error:
        raise OSError(f"{str(path)!r} could not be read ({error}): check that the file is whole.") from error
    tables = {
        name: datasets.Dataset.from_pandas(sheet.astype(object).where(sheet.notna(), None), preserve_index=False)
        for name, sheet in sheets.items()
        if len(sheet)
    }
    if not tables:
        raise OSError(f"{str(path)!r} has no row in any sheet.")
    for table in tables.values():
        check_cells(str(path), table)
    if len(tables) == 1:
        return {"train": next(iter(tables.values()))}
    named = splits_of(name.strip() for name in tables)
    splits = {named.get(name.strip(), ""): table for name, table in tables.items()}
    if "train" in splits and "" not in splits and len(splits) == len(tables):
        return splits
    raise ValueError(
        f"{str(path)!r} has rows in the sheets {', '.join(map(repr, tables))}: save the one with the data as a CSV "
        "file, or name them train and test."
    )


def _load(source: str, options: dict[str, Any], folder: Path | None = None) -> dict[str, datasets.Dataset]:
    verbosity = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # What goes wrong is said below.
    try:
        if folder is None:
            builder = datasets.load_dataset_builder(**options)
        else:
            builder, options = _of_folder(folder, options)
        if isinstance(builder.config, CsvConfig):
            builder = datasets.load_dataset_builder(**{**options, **csv_options(builder.config)})
        with no_cell_lost():
            builder.download_and_prepare()
        if not builder.info.splits.total_num_examples:
            raise ValueError("it has no row")
        tables = dict(builder.as_dataset())
    except (DataFilesNotFoundError, EmptyDatasetError) as error:
        raise OSError(
            f"{source!r} holds no file of data: pass a folder of CSV, TSV, JSON, parquet or text files, or one of "
            "images by class."
        ) from error
    except UnicodeDecodeError as error:
        raise OSError(_ENCODING.format(source=source, error=error)) from error
    except ValueError as error:
        why = " ".join(str(error).split())
        if "Config name is missing" in why:
            why += " Here this is OWNER/NAME:CONFIGURATION."
        raise ValueError(f"{source!r} could not be read: {why}") from error
    except DatasetGenerationError as error:
        cause = error.__cause__
        if isinstance(cause, UnicodeDecodeError):
            raise OSError(_ENCODING.format(source=source, error=cause)) from error
        why = " ".join(str(cause or error).split())
        quoted = ", and cells with a separator in quotation marks" if "tokenizing" in why else ""
        raise OSError(f"{source!r} could not be read ({why}): check that the file is whole{quoted}.") from error
    except (ConnectionError, DatasetNotFoundError, HfHubHTTPError, OfflineModeIsEnabled) as error:
        raise OSError(
            f"{source!r} is no folder here and could not be loaded from the Hub ({type(error).__name__}): check the "
            "name and the network, or pass a local folder or file."
        ) from error
    finally:
        datasets.logging.set_verbosity(verbosity)
    if isinstance(builder.config, CsvConfig):
        for table in tables.values():
            check_cells(source, table, builder.config.sep)
    return tables


_ENCODING = "{source!r} is not in UTF-8 ({error}): save it in that encoding, as editors and spreadsheets can."


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
                    f"{argument}={column!r} is not a column of {source!r}, which has {few(dataset.column_names)}."
                )
    return dataset
