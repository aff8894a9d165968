"""Candidates of a shard that were made ahead of it, where filters with a memory need the shards before it first."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from hf_augment.files import write_atomically, write_json
from hf_augment.filters.unencodable import Unencodable
from hf_augment.synthesis.columns import decode, encode
from hf_augment.synthesis.shards import ShardStore


#: The folder in that of the shards, with a folder for each shard.
FOLDER = "candidates"
_DONE = "done.json"
_COMPARED = (str, bytes, int, float, dict, list, tuple, np.ndarray, np.generic, type(None))


class Candidates:
    """
    What a generator made in the attempts at one shard, on disk until the shard is. They are the generator's and not
    yet filtered, so that they can be made in any order, by anyone.

    Args:
        store ([`ShardStore`]): Keeps the shards, of the same identity.
        index (`int`): The shard.
    """

    def __init__(self, store: ShardStore, index: int) -> None:
        self.folder = store.folder / FOLDER / store.name(index)
        self.index = index

    def done(self) -> bool:
        """Whether all were kept that an empty memory asks for."""
        return (self.folder / _DONE).exists()

    def finish(self) -> None:
        """Says that they are all there."""
        write_json(self.folder / _DONE, {"index": self.index}, durable=False)

    def read(self, attempt: int, slots: Sequence[int]) -> list[dict[str, Any]] | None:
        """
        Reads the candidates of an attempt; `None` if none were kept for exactly these slots.

        Raises:
            `ValueError`: If the file is damaged.
        """
        path = self._path(attempt)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        digest, examples = content[:32], content[32:]
        if hashlib.sha256(examples).digest() != digest:
            raise ValueError(f"{path} is damaged: it has another SHA-256. Delete {self.folder}: it is made again.")
        table = pa.ipc.open_stream(examples).read_all()
        features = datasets.Features.from_arrow_schema(table.schema)
        columns = {name: decode(table[name], features[name]) for name in table.column_names}
        if columns.pop("slot") != list(slots):
            return None
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def keep(self, attempt: int, slots: Sequence[int], examples: list[dict[str, Any]]) -> None:
        """
        Keeps the candidates of an attempt. Those with a text that UTF-8 cannot encode are not kept: they are made
        again.

        Raises:
            `ValueError`: If they would be read back as others, of which other shards would be made.
        """
        names = list(examples[0])
        if not all(verdict.accepted for verdict in Unencodable().judge(examples, [])):
            return
        encoded = {name: encode([example[name] for example in examples]) for name in names}
        encoded["slot"] = (pa.array(slots, pa.int64()), datasets.Value("int64"))
        features = datasets.Features({name: feature for name, (_, feature) in encoded.items()})
        table = pa.table([column for column, _ in encoded.values()], schema=features.arrow_schema)
        for name in names:
            for example, value in zip(examples, decode(table[name], features[name]), strict=True):
                if not _same(example[name], value):
                    raise ValueError(
                        f"The column {name!r} holds {example[name]!r:.80}, which is read back from a file as "
                        f"{value!r:.80}: with filters that have a memory, a shard that several hosts fill needs "
                        "examples of texts, numbers, pictures or arrays with two axes or more, of one type in a "
                        "column."
                    )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue().to_pybytes()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path(attempt), hashlib.sha256(content).digest() + content, durable=False)

    def drop(self) -> None:
        """Deletes them: the shard is there."""
        if self.folder.exists():
            # Another process may do the same.
            shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, attempt: int) -> Path:
        return self.folder / f"attempt-{attempt}"


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal, of the same type, and so on inside of them."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if not issubclass(type(one), _COMPARED):
        # Of other kinds, whose classes tell what they were read from, a shard keeps this.
        return encode([one])[0].equals(encode([other])[0])
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (isinstance(one, float) and math.isnan(one) and math.isnan(other))
