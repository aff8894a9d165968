"""Shards as the model's rows: preprocessed once, in a batch, and read by slices in any process."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import tempfile
import weakref
from collections.abc import Callable, Sequence
from multiprocessing import reduction
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from hf_augment.synthesis.shards import ShardStore


#: A shard's number, the raw columns of its examples and their labels to the columns of rows.
Prepare = Callable[[int, dict[str, list[Any]], Sequence[int]], dict[str, Any]]

# The number of a shard and the bytes that follow, padded so that Arrow's buffers are aligned.
_HEADER = struct.Struct("<qq48x")

# Columns beside those of the row; no dataset has names like these.
_SLOT, _PROBABILITIES = "hf_augment.slot", "hf_augment.label_probabilities"
# In the file's metadata: the columns that are encoded, and how.
_FEATURES = b"hf_augment.features"


class PreparedShards:
    """
    The rows of shards after preprocessing, in a temporary file that every worker can read.

    They are made anew in each run from the raw examples, in the main process, when a shard is first needed: a few
    hundred texts take milliseconds, a row can never be stale when the preprocessing has changed, and a user's
    tokenizer is never used by two threads at a time.

    Args:
        store (`ShardStore`):
            The raw examples.
        prepare (`Callable`):
            Makes the columns of rows from a shard's number, its columns and its labels.
    """

    def __init__(self, store: ShardStore, prepare: Prepare) -> None:
        self.store, self.prepare = store, prepare
        self._accepted: dict[int, np.ndarray] = {}
        self.reader = PreparedRows(store.shard_size)

    def accepted(self, index: int) -> np.ndarray:
        """Prepares a shard that is in the store; returns which slots hold an example, bool `(shard_size,)`."""
        if index not in self._accepted:
            shard = self.store.read(index)
            if shard.examples:
                columns = {name: [e[name] for e in shard.examples] for name in shard.examples[0]}
                made = self.prepare(index, columns, shard.labels)
                made |= {_SLOT: shard.slots, _PROBABILITIES: shard.label_probabilities}
                self.reader.append(index, _table(made))
            self._accepted[index] = self.store.accepted(shard)
        return self._accepted[index]

    def digest(self, index: int) -> str:
        """Identifies the rows of a shard: another preprocessing gives another digest."""
        filled = self.accepted(index).any()
        return hashlib.sha256(self.reader.content(index) if filled else b"").hexdigest()[:16]


class PreparedRows:
    """
    A file of prepared rows, to which the main process appends shards and from which any process reads.

    The file has no name: whatever ends the process, even a kill, nothing is left of it. Workers inherit it. A shard is
    a record at the start of a page: its number and length, then an Arrow file, which is read as mapped memory.

    Args:
        shard_size (`int`):
            Slots in a shard.
    """

    def __init__(self, shard_size: int) -> None:
        with tempfile.TemporaryFile(prefix="hf_augment-") as file:
            self._start(shard_size, os.dup(file.fileno()))

    def _start(self, shard_size: int, descriptor: int) -> None:
        self.shard_size, self._descriptor = shard_size, descriptor
        weakref.finalize(self, os.close, descriptor)
        self._end = 0  # Where the next record will begin, as far as this process knows.
        self._records: dict[int, tuple[int, int]] = {}
        self._open: dict[int, dict[str, Callable[[int], Any]]] = {}
        self._positions: dict[int, int] = {}

    def __reduce__(self) -> Any:
        # For workers that are not forked.
        return _inherited, (self.shard_size, reduction.DupFd(self._descriptor))

    def append(self, index: int, table: pa.Table) -> None:
        """Adds a shard."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        with open(self._descriptor, "r+b", closefd=False) as file:
            file.seek(self._end)
            file.write(_HEADER.pack(index, content.size))
            file.write(content)
        self._next_record()

    def read(self, slot: int) -> dict[str, Any]:
        """The columns of the row in a slot."""
        columns, i = self._locate(slot)
        return {name: value(i) for name, value in columns.items() if name not in (_SLOT, _PROBABILITIES)}

    def label_probabilities(self, slot: int) -> Sequence[float] | None:
        """The soft label of a slot, where a filter gave one."""
        columns, i = self._locate(slot)
        return columns[_PROBABILITIES](i)

    def _locate(self, slot: int) -> tuple[dict[str, Callable[[int], Any]], int]:
        index = slot // self.shard_size
        if index not in self._open:
            table = pa.ipc.open_file(self.content(index)).read_all()
            features = datasets.Features.from_dict(json.loads(table.schema.metadata[_FEATURES]))
            self._open[index] = {
                name: _column(table[name].combine_chunks(), features.get(name)) for name in table.column_names
            }
            self._positions |= {s: i for i, s in enumerate(table[_SLOT].to_pylist())}
        return self._open[index], self._positions[slot]

    def content(self, index: int) -> pa.Buffer:
        """The Arrow file of a shard, without a copy."""
        while index not in self._records:
            self._next_record()
        start, length = self._records[index]
        return pa.py_buffer(mmap.mmap(self._descriptor, length, access=mmap.ACCESS_READ, offset=start))[_HEADER.size :]

    def _next_record(self) -> None:
        index, size = _HEADER.unpack(os.pread(self._descriptor, _HEADER.size, self._end))
        length = _HEADER.size + size
        self._records[index] = self._end, length
        self._end += -(-length // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY


def _inherited(shard_size: int, descriptor: Any) -> PreparedRows:
    rows = PreparedRows.__new__(PreparedRows)
    rows._start(shard_size, descriptor.detach())
    return rows


def _table(columns: dict[str, Any]) -> pa.Table:
    features = datasets.Features()
    arrays = {name: _arrow(values, features, name) for name, values in columns.items()}
    return pa.table(arrays).replace_schema_metadata({_FEATURES: json.dumps(features.to_dict())})


def _arrow(values: Any, features: datasets.Features, name: str) -> pa.Array:
    first = values[0]
    # Arrow has no tensors of booleans.
    if hasattr(first, "__array__") and np.ndim(first) > 1 and np.asarray(first).dtype != bool:
        stacked = np.stack([np.asarray(value) for value in values])
        # Arrow would keep the memory of a permuted array, and its own reading of it fails.
        return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(stacked))
    if hasattr(first, "tolist"):
        return pa.array([value.tolist() for value in values])
    try:
        return pa.array(values)
    except pa.ArrowInvalid:
        # What only `datasets` knows how to keep comes back as the same kind of object.
        encoded = datasets.Dataset.from_dict({name: values})
        features[name] = encoded.features[name]
        return encoded.data.column(0).combine_chunks()


def _column(array: pa.Array, feature: Any) -> Callable[[int], Any]:
    """A function from a row's number to its value: slices of NumPy arrays where it can, since they are hot."""
    if feature is not None:
        return lambda i: feature.decode_example(array[i].as_py()) if array[i].is_valid else None
    if isinstance(array, pa.FixedShapeTensorArray):
        tensors = array.to_numpy_ndarray()
        # A copy, since torch takes no array that cannot be written to.
        return lambda i: tensors[i].copy()
    whole = array.null_count == 0
    if (
        whole
        and pa.types.is_list(array.type)
        and pa.types.is_integer(array.type.value_type)
        and not array.values.null_count
    ):
        values, offsets = array.values.to_numpy(), array.offsets.to_numpy()
        # Lists, as a tokenised dataset has them: a tokenizer's padding adds lists.
        return lambda i: values[offsets[i] : offsets[i + 1]].tolist()
    if whole and (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        numbers = array.to_numpy(zero_copy_only=False)
        return lambda i: numbers[i].item()
    return lambda i: array[i].as_py()
