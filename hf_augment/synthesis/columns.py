"""Columns of examples as Arrow keeps them, and back: arrays of one shape take the bytes of their values, no more."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets.features.features import generate_from_arrow_type, require_decoding
from datasets.table import InMemoryTable


#: What `datasets` calls arrays, by their number of axes.
ARRAYS = {2: datasets.Array2D, 3: datasets.Array3D, 4: datasets.Array4D, 5: datasets.Array5D}
#: Of these Arrow makes by itself what `datasets` would make of them.
_PLAIN = (str, int, float, bool)


def encode(values: Sequence[Any]) -> tuple[pa.Array, Any]:
    """
    One column as Arrow, and what `datasets` calls it.

    Arrays of one shape become nested lists of fixed lengths, which Arrow keeps without their offsets: of 32×32 pixels
    in three colours these would be larger than the values. Everything else is left to `datasets`.

    Args:
        values (`Sequence[Any]`): At least one.
    """
    kinds = {type(value) for value in values} - {type(None)}
    if len(kinds) == 1 and kinds <= {*_PLAIN}:
        column = pa.array(values)
        return column, generate_from_arrow_type(column.type)
    shapes = {value.shape if isinstance(value, np.ndarray) else () for value in values}
    if len(shapes) == 1 and len(shape := shapes.pop()) in ARRAYS and math.prod(shape):
        stacked = np.stack(values)
        if stacked.dtype.kind in "biuf":
            column = pa.array(stacked.reshape(-1))
            for length in reversed(shape):
                column = pa.FixedSizeListArray.from_arrays(column, length)
            return column, generate_from_arrow_type(column.type)
    made = datasets.Dataset.from_dict({"values": values})
    return made.data.column(0).combine_chunks(), made.features["values"]


def decode(column: pa.ChunkedArray, feature: Any) -> list[Any]:
    """The values of a column that [`encode`] made. Arrays have memory of their own, which may be written to."""
    shape = _shape(column.type)
    if shape:
        flat = [_innermost(chunk).to_numpy(zero_copy_only=False) for chunk in column.chunks]
        return [array for values in flat for array in values.reshape(-1, *shape).copy()]
    if require_decoding(feature):
        features = datasets.Features({"values": feature})
        return datasets.Dataset(InMemoryTable(pa.table([column], schema=features.arrow_schema)))["values"][:]
    return column.to_pylist()


def as_dataset(tables: Iterable[pa.Table], fingerprint: str) -> datasets.Dataset:
    """
    Tables of columns that [`encode`] made as one dataset, in which arrays are `Array2D`, `Array3D` and so on. The
    memory of their values is shared.

    Args:
        tables (`Iterable[pa.Table]`): At least one, with the features in their metadata.
        fingerprint (`str`): Identifies their content.
    """
    parts = []
    for _, like in itertools.groupby(tables, key=lambda table: table.schema):
        table = pa.concat_tables(like)
        features = datasets.Features.from_arrow_schema(table.schema)
        columns = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            if shape := _shape(column.type):
                features[name] = ARRAYS[len(shape)](shape, _innermost(features[name]).dtype)
                kind = features[name]()
                chunks = [pa.ExtensionArray.from_storage(kind, _lists(chunk)) for chunk in column.chunks]
                column = pa.chunked_array(chunks, kind)
            columns.append(column)
        table = InMemoryTable(pa.table(columns, schema=features.arrow_schema))
        parts.append(datasets.Dataset(table, fingerprint=fingerprint))
    return datasets.concatenate_datasets(parts)


def _shape(kind: pa.DataType) -> tuple[int, ...]:
    """The shape of the arrays in a column; `()` if it has none."""
    if not pa.types.is_fixed_size_list(kind):
        return ()
    return kind.list_size, *_shape(kind.value_type)


def _innermost(nested: Any) -> Any:
    """The values of nested lists of fixed lengths, or what `datasets` says of them."""
    if isinstance(nested, pa.FixedSizeListArray):
        return _innermost(nested.flatten())
    return _innermost(nested.feature) if isinstance(nested, datasets.List) else nested


def _lists(array: pa.Array) -> pa.Array:
    """Nested lists of fixed lengths as the lists of any length that `datasets` makes arrays of."""
    if not pa.types.is_fixed_size_list(array.type):
        return array
    offsets = _offsets(array.type.list_size, 1 << len(array).bit_length())
    return pa.ListArray.from_arrays(offsets[: len(array) + 1], _lists(array.flatten()))


@lru_cache(maxsize=64)
def _offsets(length: int, count: int) -> pa.Array:
    """Where each of `count` lists of a length begins: shared by all shards, since it is larger than the values."""
    return pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(length))
