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

# The number of a shard, the bytes that follow and those of the extent, padded so that Arrow's buffers are aligned.
_HEADER = struct.Struct("<qqq40x")

# Shards of which a process keeps the columns at hand: of these it reads row by row.
_OPEN = 8

# Columns beside those of the row; no dataset has names like these.
_SLOT, _PROBABILITIES = "hf_augment.slot", "hf_augment.label_probabilities"
# In the file's metadata: the columns that are encoded, and how.
_FEATURES = b"hf_augment.features"


class PreparedShards:
    """
    The rows of shards after preprocessing, in a temporary file that every worker can read.

    They are made anew in each run from the raw examples, in the main process, when a shard is first needed: a few
    hundred texts take milliseconds, a row can never be stale when the preprocessing has changed, and a user's
    tokenizer is never used by two threads at a time. What has been trained on is freed, so a long run takes no more
    room than a short one.

    Args:
        store (`ShardStore`): The raw examples.
        prepare (`Callable`): Makes the columns of rows from a shard's number, its columns and its labels.
    """

    def __init__(self, store: ShardStore, prepare: Prepare) -> None:
        self.store, self.prepare = store, prepare
        self._accepted: dict[int, np.ndarray] = {}
        self._freed = -1
        self.reader = PreparedRows(store.shard_size)

    def accepted(self, index: int) -> np.ndarray:
        """Prepares a shard that is in the store; returns which slots hold an example, bool `(shard_size,)`."""
        if index not in self._accepted:
            if index <= self._freed:
                raise RuntimeError(
                    f"Synthetic shard {index} was asked for after training had left it: use a new loader."
                )
            shard = self.store.read(index)
            if shard.examples:
                columns = {name: [e[name] for e in shard.examples] for name in shard.examples[0]}
                made = self.prepare(index, columns, shard.labels)
                made |= {_SLOT: shard.slots, _PROBABILITIES: shard.label_probabilities}
                self.reader.write(index, _table(made))
            self._accepted[index] = self.store.accepted(shard)
        return self._accepted[index]

    def free(self, index: int) -> None:
        """Gives up the rows of a shard, after those of the shards before it; nobody may ask for them any more."""
        self._freed = index
        if self._accepted.pop(index, np.zeros(0)).any():
            self.reader.free(index)

    def digest(self, index: int) -> str:
        """Identifies the rows of a shard: another preprocessing gives another digest."""
        filled = self.accepted(index).any()
        return hashlib.sha256(self.reader.content(index) if filled else b"").hexdigest()[:16]


class PreparedRows:
    """
    A file of prepared rows, to which the main process writes shards and from which any process reads.

    The file has no name: whatever ends the process, even a kill, nothing is left of it. Workers inherit it. It is cut
    into extents of whole pages, each with a header and then an Arrow file, which is read as mapped memory. A shard
    that is freed leaves its extent to another one. So the file grows with the shards in use, not with all of them, and
    a worker finds a shard that was written after it began by the headers.

    Args:
        shard_size (`int`): Slots in a shard.
    """

    def __init__(self, shard_size: int) -> None:
        with tempfile.TemporaryFile(prefix="hf_augment-") as file:
            self._start(shard_size, os.dup(file.fileno()))

    def _start(self, shard_size: int, descriptor: int) -> None:
        self.shard_size, self._descriptor = shard_size, descriptor
        weakref.finalize(self, os.close, descriptor)
        self._end = 0  # Where the next extent will begin, as far as this process knows.
        self._extents: dict[int, int] = {}  # The bytes of each, by where it begins.
        self._free: list[int] = []
        self._begins: dict[int, int] = {}  # Where the extent of each shard begins.
        self._open: dict[int, tuple[dict[str, Callable[[int], Any]], dict[int, int]]] = {}

    def __reduce__(self) -> Any:
        # For workers that are not forked.
        return _inherited, (self.shard_size, reduction.DupFd(self._descriptor))

    def write(self, index: int, table: pa.Table) -> None:
        """Adds a shard."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        size = _HEADER.size + content.size
        fitting = [begin for begin in self._free if self._extents[begin] >= size]
        if fitting:
            begin = min(fitting, key=self._extents.__getitem__)
            self._free.remove(begin)
        else:
            begin, pages = self._end, -(-size // mmap.ALLOCATIONGRANULARITY)
            self._extents[begin] = pages * mmap.ALLOCATIONGRANULARITY
            self._end += self._extents[begin]
        with open(self._descriptor, "r+b", closefd=False) as file:
            file.seek(begin)
            file.write(_HEADER.pack(index, content.size, self._extents[begin]))
            file.write(content)
        self._begins[index] = begin

    def free(self, index: int) -> None:
        """Leaves the place of a shard, which no process will read any more, to others."""
        self._open.pop(index, None)
        self._free.append(self._begins.pop(index))

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
            columns = {name: _column(table[name].combine_chunks(), features.get(name)) for name in table.column_names}
            if len(self._open) == _OPEN:
                del self._open[next(iter(self._open))]
            self._open[index] = columns, {s: i for i, s in enumerate(table[_SLOT].to_pylist())}
        columns, positions = self._open[index]
        return columns, positions[slot]

    def content(self, index: int) -> pa.Buffer:
        """The Arrow file of a shard, without a copy."""
        if index not in self._begins:
            self._look(index)
        begin = self._begins[index]
        length = _HEADER.size + self._header(begin)[1]
        return pa.py_buffer(mmap.mmap(self._descriptor, length, access=mmap.ACCESS_READ, offset=begin))[_HEADER.size :]

    def _look(self, index: int) -> None:
        """Looks for what another process has written since, in new extents and then in old ones."""
        while header := os.pread(self._descriptor, _HEADER.size, self._end):
            number, _, extent = _HEADER.unpack(header)
            self._begins[number], self._extents[self._end] = self._end, extent
            self._end += extent
        if index not in self._begins:
            self._begins = {self._header(begin)[0]: begin for begin in self._extents}

    def _header(self, begin: int) -> tuple[int, int, int]:
        return _HEADER.unpack(os.pread(self._descriptor, _HEADER.size, begin))


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
