"""What a person threw out of a run's synthetic examples: the others, as a dataset that a generator draws from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets

from hf_augment.files import write_json
from hf_augment.synthesis.shards import ShardStore


@dataclass(frozen=True)
class Kept:
    """
    What is left of a stream.

    Args:
        folder (`Path`): A folder for `datasets.load_from_disk`.
        rejected (`int`): Number of examples that were left out.
        rows (`int`): Number of the others.
        missing (`list[str]`): Classes without an example, of which a [`DatasetGenerator`] needs one each.
    """

    folder: Path
    rejected: int
    rows: int
    missing: list[str]


def leave_out(run_dir: str | Path, ids: Sequence[str], out: str | Path) -> list[Kept]:
    """
    Writes the synthetic examples of a run without those that a person rejected: for each stream that an id names a
    folder in `out`, under the name of what generated it.

    What is written is a dataset of the raw columns and the label, not another store: a store's slots follow from its
    identity, and no generator and filters give this one. As rows of a [`DatasetGenerator`] it has an identity of its
    own, the digest of all its rows, and may be filtered, mixed and compared like any other. `review.json` beside the
    rows says where they are from: the identity of their stream, and what was left out. Soft labels are not kept.

    Example:

    ```python
    from datasets import load_from_disk

    from hf_augment import DatasetGenerator
    from hf_augment.study.review import leave_out

    leave_out("runs/reviews", ["3f2a9c01d4be-17"], "reviewed")
    generator = DatasetGenerator(load_from_disk("reviewed/prompted"))
    ```

    Args:
        run_dir (`str` or `Path`): The output folder of a study.
        ids (`Sequence[str]`): Ids of examples, as the page `report/review.html` shows them.
        out (`str` or `Path`): The folder to write into.

    Raises:
        ValueError: If there is no id, or one of no example of the run, or if the folder of a stream exists.
    """
    stores = _stores(Path(run_dir))
    by_store: dict[str, set[int]] = {}
    for name in ids:
        identity, _, slot = name.rpartition("-")
        if identity not in stores or not slot.isdecimal():
            raise ValueError(
                f"{name!r} is no example of {run_dir}: its streams are {sorted(stores)}, and an id is one of these "
                "with '-' and a slot, as on report/review.html."
            )
        by_store.setdefault(identity, set()).add(int(slot))
    if not by_store:
        raise ValueError("There is no id: check some examples on report/review.html, and save the list.")
    # All are checked before one is written.
    left = {identity: _left(stores[identity], slots) for identity, slots in by_store.items()}
    folders = {identity: Path(out) / stores[identity].folder.parent.name.removesuffix("-shards") for identity in left}
    for folder in folders.values():
        if folder.exists():
            raise ValueError(f"{folder} exists: write into another folder, or delete it.")
    for identity, rows in left.items():
        rows.save_to_disk(folders[identity])
        rejected = [f"{identity}-{slot}" for slot in sorted(by_store[identity])]
        about = {"stream": identity, "identity": stores[identity].identity, "rejected": rejected}
        write_json(folders[identity] / "review.json", about)
    return [
        Kept(folders[identity], len(by_store[identity]), len(rows), _missing(stores[identity], rows))
        for identity, rows in left.items()
    ]


def _stores(run_dir: Path) -> dict[str, ShardStore]:
    """The streams of a run's first split, which are those on its page, by identity."""
    found = {path.parent.name: ShardStore.open(path.parent) for path in run_dir.glob("split-0/*-shards/*/store.json")}
    if not found:
        raise ValueError(f"run_dir={str(run_dir)!r} holds no synthetic examples: pass the output_dir of a study.")
    return found


def _left(store: ShardStore, rejected: set[int]) -> datasets.Dataset:
    dataset = store.dataset()
    slots = dataset["slot"][:]
    if unknown := rejected - set(slots):
        raise ValueError(f"{store.folder.name} has no example {min(unknown)}: take ids from report/review.html.")
    left = dataset.select([row for row, slot in enumerate(slots) if slot not in rejected])
    return left.remove_columns(["slot", "label_probabilities"])


def _missing(store: ShardStore, rows: datasets.Dataset) -> list[str]:
    found = set(rows[store.label_column][:])
    return [name for label, name in enumerate(store.label_names) if label not in found]
