"""The store: accepted examples as Arrow files, with what was rejected and why beside them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from hf_augment.files import read_json, write_atomically, write_json
from hf_augment.filters.unencodable import Unencodable
from hf_augment.synthesis.columns import as_dataset, decode, encode
from hf_augment.synthesis.guides import Guides


FORMAT_VERSION = 3
#: The most bytes of an array among the rejects of an account; a larger one is only named.
LARGEST_REJECT = 2**16


@dataclass
class Shard:
    """
    One shard: the examples that were accepted, by slot, and the account of how they came about.

    Args:
        index (`int`): The shard's number; its slots are `index * shard_size` and the following.
        slots (`list[int]`): The slots that hold an example, ascending.
        labels (`list[int]`): Their classes.
        examples (`list[dict[str, Any]]`): Their raw examples.
        label_probabilities (`list[tuple[float, ...] | None]`): Their soft labels, where a filter gave one.
        candidates (`int`): Number of examples that were generated.
        rejected (`dict[str, int]`): Rejections by the name of the filter.
        seconds (`float`): Wall time of generating and filtering.
        reject_sample (`list[dict[str, Any]]`):
            Some rejected candidates, with the keys `filter`, `reason`, `score`, `label`, `example`. Of their arrays
            the store keeps those of uint8 and 64 KiB at most; a text that names its shape takes the place of others.
    """

    index: int
    slots: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    label_probabilities: list[tuple[float, ...] | None] = field(default_factory=list)
    candidates: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    reject_sample: list[dict[str, Any]] = field(default_factory=list)


#: The parts of a shard that are columns of its Arrow file; the others make its account.
_AMONG_THE_EXAMPLES = ("slots", "labels", "examples", "label_probabilities")


class ShardStore:
    """
    A folder of shards. A file appears under its name only when it is whole. Each shard has two: `shard-000000.arrow`
    with the examples, whose presence says that the shard is done, and `shard-000000.json`, its account, which keeps
    the SHA-256 of the other. A shard that was changed afterwards is refused, never trained on.

    Example:

    ```python
    >>> from hf_augment.synthesis.shards import Shard, ShardStore
    >>> identity = {"generator": "phrases-1", "filters": [], "seed": 42, "shard_size": 4}
    >>> store = ShardStore("synthetic", identity, label_column="label", label_names=("negative", "positive"))
    >>> store.write(Shard(0, slots=[0, 2], labels=[1, 0], examples=[{"text": "A fine film."}, {"text": "Dull."}],
    ...                   label_probabilities=[None, None], candidates=4, rejected={"fluency": 2}))
    >>> store.dataset()[0]["text"]
    'A fine film.'
    ```

    Args:
        root (`str` or `Path`):
            Folder of all stores. This one is in a subfolder named after its identity, so shards of another generator,
            filter, seed or shard size are never mistaken for its own.
        identity (`dict[str, Any]`):
            Everything that the content of a slot depends on, JSON serialisable; must have the key `shard_size`.
        label_column (`str`): The name of the label column.
        label_names (`Sequence[str]`): The classes.
        guides (`dict[int, Guide]`, *optional*, defaults to `{}`):
            The guides of shards, by number. A shard with a guide has another name, so that runs with other guides may
            share the folder: each sees its own.
    """

    def __init__(
        self,
        root: str | Path,
        identity: dict[str, Any],
        label_column: str,
        label_names: Sequence[str],
        guides: Guides | None = None,
    ) -> None:
        self.identity = {"format_version": FORMAT_VERSION, **identity}
        text = json.dumps(self.identity, sort_keys=True)
        self.folder = Path(root) / hashlib.sha256(text.encode()).hexdigest()[:12]
        self.label_column, self.label_names = label_column, tuple(label_names)
        self.shard_size: int = identity["shard_size"]
        self.guides: Guides = {} if guides is None else guides

    @classmethod
    def open(cls, folder: str | Path, guides: Guides | None = None) -> ShardStore:
        """
        Opens a store's own folder, for a reader who knows nothing of the run; one with at least one shard.

        Args:
            folder (`str` or `Path`): The folder.
            guides (`dict[int, Guide]`, *optional*, defaults to `{}`):
                Those of the run to look at, of which keys are enough. Without them shards that have one are left out.

        Raises:
            `ValueError`: If there is no store, or a damaged one, or one of another version.
        """
        folder = Path(folder)
        remedy = f"Delete {folder} and train again: it is made again"
        about = read_json(folder / "store.json", remedy)
        version = about["identity"]["format_version"]
        if version != FORMAT_VERSION:
            raise ValueError(f"{folder} is of format {version}, not {FORMAT_VERSION}. {remedy}.")
        store = cls.__new__(cls)
        store.identity, store.folder, store.shard_size = about["identity"], folder, about["identity"]["shard_size"]
        store.label_column, store.label_names = about["label_column"], tuple(about["label_names"])
        store.guides = {} if guides is None else guides
        return store

    def name(self, index: int) -> str:
        """The name of a shard's files, without an ending."""
        guide = self.guides.get(index)
        return f"shard-{index:06d}" + ("" if guide is None else f"-{guide.key}")

    def has(self, index: int) -> bool:
        """Whether the shard is on disk. An empty file is what a power failure leaves, and counts as none."""
        return _size(self._arrow(index)) > 0 and self.was_made(index)

    def was_made(self, index: int) -> bool:
        """Whether there is an account of the shard, whose examples may have been dropped since."""
        return _size(self._account(index)) > 0

    def write(self, shard: Shard) -> None:
        """
        Writes a shard; the account first, the examples last, since they mark it as done. Nobody waits for the disk:
        what a power failure takes is made again. What was made before keeps its account.

        Raises:
            `ValueError`: If the shard was made before with other examples.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "store.json").exists():
            about = {"identity": self.identity, "label_column": self.label_column, "label_names": self.label_names}
            write_json(self.folder / "store.json", about)
        examples = self._encoded(shard)
        account = {name: value for name, value in vars(shard).items() if name not in _AMONG_THE_EXAMPLES}
        account["examples_sha256"] = hashlib.sha256(examples).hexdigest()
        if self.was_made(shard.index):
            self._compare(shard.index, account["examples_sha256"])
        else:
            write_json(self._account(shard.index), account, default=_packed, durable=False)
        write_atomically(self._arrow(shard.index), examples, durable=False)

    def compare(self, shard: Shard) -> None:
        """Raises `ValueError` if a shard that was made again has other examples than its account tells of."""
        self._compare(shard.index, hashlib.sha256(self._encoded(shard)).hexdigest())

    def drop(self, index: int) -> None:
        """Deletes the examples of a shard, if they are there; its account stays, and what is made again must match."""
        self._arrow(index).unlink(missing_ok=True)

    def read(self, index: int) -> Shard:
        """
        Reads a shard back whole.

        Raises:
            `ValueError`: If one of its files is missing or damaged.
        """
        shard, (_, table) = self.account(index), self._examples(index)
        features = datasets.Features.from_arrow_schema(table.schema)
        columns = {name: decode(table[name], features[name]) for name in table.column_names}
        shard.slots, shard.labels = columns.pop("slot"), columns.pop(self.label_column)
        shard.label_probabilities = [p and tuple(p) for p in columns.pop("label_probabilities")]
        shard.examples = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return shard

    def account(self, index: int) -> Shard:
        """Reads how a shard came about, without its examples; raises as [`read`]."""
        account = self._read_account(index)
        del account["examples_sha256"]
        for reject in account["reject_sample"]:
            reject["example"] = {name: _unpacked(value) for name, value in reject["example"].items()}
        return Shard(**account)

    def indices(self) -> list[int]:
        """The shards on disk, ascending."""
        return self._numbers("arrow")

    def dataset(self) -> datasets.Dataset:
        """
        All accepted examples so far as one dataset.

        Returns:
            `datasets.Dataset`: The raw columns, the label (a `ClassLabel`), `slot` and `label_probabilities`.

        Raises:
            `ValueError`: If a shard is damaged, or none holds an example.
        """
        filled = [(digest, table) for digest, table in map(self._examples, self.indices()) if len(table)]
        if not filled:
            raise ValueError(f"{self.folder} holds no accepted synthetic example: loosen the filters.")
        digests, tables = zip(*filled, strict=True)
        return as_dataset(tables, fingerprint=hashlib.sha256("".join(digests).encode()).hexdigest()[:16])

    def accounts(self) -> Iterator[Shard]:
        """The accounts of all shards that were made, in order, also of those whose examples were dropped."""
        return (self.account(index) for index in sorted({*self._numbers("json"), *self.indices()}))

    def accepted(self, shard: Shard) -> np.ndarray:
        """Which slots of a shard hold an example, bool of shape `(shard_size,)`."""
        mask = np.zeros(self.shard_size, dtype=bool)
        mask[np.array(shard.slots, dtype=np.int64) - shard.index * self.shard_size] = True
        return mask

    def _encoded(self, shard: Shard) -> pa.Buffer:
        """The Arrow file of a shard's examples."""
        names = list(shard.examples[0]) if shard.examples else []
        encoded = {name: encode([example[name] for example in shard.examples]) for name in names}
        probabilities = [p and list(p) for p in shard.label_probabilities]
        label = datasets.ClassLabel(names=list(self.label_names))
        encoded |= {
            self.label_column: (pa.array(shard.labels, pa.int64()), label),
            "slot": (pa.array(shard.slots, pa.int64()), datasets.Value("int64")),
            "label_probabilities": (
                pa.array(probabilities, pa.list_(pa.float64())),
                datasets.List(datasets.Value("float64")),
            ),
        }
        features = datasets.Features({name: feature for name, (_, feature) in encoded.items()})
        table = pa.table([column for column, _ in encoded.values()], schema=features.arrow_schema)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()

    def _compare(self, index: int, digest: str) -> None:
        expected = self._read_account(index)["examples_sha256"]
        if digest != expected:
            raise ValueError(
                f"Synthetic shard {index} was made again and is another one: the SHA-256 of its examples is "
                f"{digest[:12]}…, its account says {expected[:12]}…. The generator or a filter depends on more than "
                f"its arguments, or a library has changed. Delete {self._account(index)} to go on with other examples."
            )

    def _numbers(self, suffix: str) -> list[int]:
        names = [path.stem for path in self.folder.glob(f"shard-*.{suffix}")]
        numbered = [(int(name.split("-")[1]), name) for name in names]
        return sorted(number for number, name in numbered if name == self.name(number))

    def _examples(self, index: int) -> tuple[str, pa.Table]:
        """The SHA-256 of a shard's examples and themselves, mapped memory of which every byte is as it was written."""
        expected, path, remedy = self._read_account(index)["examples_sha256"], self._arrow(index), self._remedy(index)
        try:
            # The memory outlives the file, which thousands of shards must not keep open.
            with pa.memory_map(str(path)) as file:
                content = file.read_buffer()
        except OSError as error:
            raise ValueError(f"{path} cannot be read ({error}). {remedy}.") from error
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise ValueError(
                f"{path} is damaged: its SHA-256 is {found[:12]}…, its account says {expected[:12]}…. {remedy}."
            )
        return found, pa.ipc.open_stream(content).read_all()

    def _read_account(self, index: int) -> dict[str, Any]:
        path, remedy = self._account(index), self._remedy(index)
        account = read_json(path, remedy)
        if account["index"] != index:
            raise ValueError(f"{path} is the account of shard {account['index']}. {remedy}.")
        return account

    def _remedy(self, index: int) -> str:
        names = f"{self._arrow(index).name} and {self._account(index).name}"
        return f"Delete {names} in {self.folder}: the shard is made again when the training is resumed"

    def _arrow(self, index: int) -> Path:
        return self.folder / f"{self.name(index)}.arrow"

    def _account(self, index: int) -> Path:
        return self.folder / f"{self.name(index)}.json"


def _size(path: Path) -> int:
    """The bytes of a file; 0 if there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def acceptance(accounts: list[Shard]) -> dict[str, float]:
    """
    Acceptance over shards: of all candidates, of what reached each filter, and accepted examples in a second.

    Args:
        accounts (`list[Shard]`): Shards or their accounts.

    Returns:
        `dict[str, float]`: `acceptance`, `acceptance_{filter}` in the filters' order, but for those that nothing
        reached, `per_second`; each share in `[0, 1]`. Empty without a candidate.
    """
    candidates = sum(account.candidates for account in accounts)
    if not candidates:
        return {}
    figures, left = {}, candidates
    for name, count in rejections(accounts).items():
        if left:
            figures[f"acceptance_{name}"] = (left - count) / left
        left -= count
    seconds = sum(account.seconds for account in accounts)
    return {"acceptance": left / candidates, **figures, "per_second": left / max(seconds, 1e-9)}


def rejections(accounts: Iterable[Shard]) -> dict[str, int]:
    """Returns how many candidates each filter rejected over shards, in the filters' order."""
    rejected: Counter[str] = Counter()
    for account in accounts:
        for name, count in account.rejected.items():
            rejected[name] += count
    # The first filter of all is named by those shards alone in which it rejected something.
    first = {name: rejected.pop(name) for name in [Unencodable.name] if name in rejected}
    return first | rejected


def _packed(value: Any) -> Any:
    """What stands for an array among the rejects of an account."""
    array = np.asarray(value)
    if array.dtype != np.uint8 or not array.ndim or array.nbytes > LARGEST_REJECT:
        return summarise_array(array)
    return {"shape": array.shape, "uint8": base64.b64encode(array.tobytes()).decode()}


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict) or value.keys() != {"shape", "uint8"}:
        return value
    return np.frombuffer(base64.b64decode(value["uint8"]), np.uint8).reshape(value["shape"])


def summarise_array(value: Any) -> Any:
    """Returns what stands for an array where only text can stand."""
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else f"{array.dtype} array of {'×'.join(map(str, array.shape))}"
