"""Generated examples as a dataset in a folder, for who has no run of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from hf_augment.files import write_atomically
from hf_augment.hub.staging import synthetic_dataset
from hf_augment.label_sets import members
from hf_augment.reporting.examples_card import examples_card
from hf_augment.study.labelled import LabelledData
from hf_augment.study.publication import short_names
from hf_augment.synthesis.shards import Shard, ShardStore
from hf_augment.text_pairs import split_pairs


#: Folders of the dataset, by configuration.
FOLDERS = {"default": "data", "rejected": "rejected"}


def as_opened(data: LabelledData, store: ShardStore, count: int) -> datasets.Dataset:
    """
    Returns the first examples of a store, `count` at most, in the form in which data are opened: pairs in two columns,
    and sets of labels as lists.
    """
    rows = synthetic_dataset(store)
    rows = rows.select(range(min(count, len(rows)))).remove_columns(["slot", "label_probabilities"])
    if data.pairs:
        texts = dict(zip(("text", "text_pair"), split_pairs(rows["text"][:]), strict=True))
        pairs = datasets.Dataset.from_dict(texts)
        rows = datasets.concatenate_datasets([pairs, rows.remove_columns("text")], axis=1)
    if data.labels is not None:
        labels, sets = list(data.labels), rows.features["label"].names
        found = [[labels.index(member) for member in members(sets[number])] for number in rows["label"][:]]
        feature = datasets.List(datasets.ClassLabel(names=labels))
        rows = rows.remove_columns("label").add_column("labels", found, feature=feature)
    return rows


def count_classes(rows: datasets.Dataset) -> dict[str, int]:
    """Returns the number of rows of each class, or with each label."""
    several = "labels" in rows.column_names
    feature: Any = rows.features["labels" if several else "label"]
    names = feature.feature.names if several else feature.names
    numbers = [n for row in rows["labels"][:] for n in row] if several else rows["label"][:]
    counts = np.bincount(np.array(numbers, dtype=np.int64), minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))


def write_examples(
    folder: Path,
    data: str,
    models: Sequence[str],
    rows: datasets.Dataset,
    accounts: Sequence[Shard],
    store: ShardStore,
) -> None:
    """
    Writes a dataset that `datasets.load_dataset(folder)` reads: the examples, some of what was rejected as the
    configuration `rejected`, and last the card. What was there before is replaced.

    Args:
        folder (`Path`): The folder.
        data (`str`): Name of the data whose classes they have.
        models (`Sequence[str]`): What generated them.
        rows (`datasets.Dataset`): The examples, of [`as_opened`].
        accounts (`Sequence[Shard]`): How they came about.
        store ([`ShardStore`]): Where they are from.
    """
    parts, rejects = {"default": rows}, [reject for account in accounts for reject in account.reject_sample]
    if rejects:
        parts["rejected"] = _rejected(rejects, store.label_names)
    # Of a folder with a card `datasets` reads a file of a known name once, whatever is written into it later.
    name = f"train-{store.folder.name}-{len(rows)}.parquet"
    for part in FOLDERS.values():
        for old in (folder / part).glob("train-*.parquet"):
            old.unlink()
    for part, written in parts.items():
        (folder / FOLDERS[part]).mkdir(parents=True, exist_ok=True)
        written.to_parquet(folder / FOLDERS[part] / name)
    card = examples_card(
        short_names([data])[0],
        "image" if "image" in rows.column_names else "text",
        " and ".join(short_names(models)),
        len(rows),
        count_classes(rows),
        accounts,
        json.dumps(store.identity, indent=1, ensure_ascii=True),
        {part: f"{FOLDERS[part]}/{name}" for part in parts},
    )
    write_atomically(folder / "README.md", card.encode())


def _rejected(rejects: list[dict[str, Any]], names: Sequence[str]) -> datasets.Dataset:
    """Rejected candidates, of which some texts may stand for what could not be kept."""
    examples = [reject["example"] for reject in rejects]
    columns: dict[str, Any] = {}
    for name in examples[0]:
        values = [example[name] for example in examples]
        columns[name] = values
        if all(isinstance(value, np.ndarray) for value in values):
            columns[name] = [value[:, :, 0] if value.ndim == 3 and value.shape[2] == 1 else value for value in values]
    columns |= {"label": [names[reject["label"]] for reject in rejects]}
    columns |= {key: [reject[key] for reject in rejects] for key in ("filter", "reason", "score")}
    found = datasets.Dataset.from_dict({name: values for name, values in columns.items() if name != "image"})
    if "image" not in columns:
        return found
    images = datasets.Dataset.from_dict(
        {"image": columns["image"]}, features=datasets.Features({"image": datasets.Image()})
    )
    return datasets.concatenate_datasets([images, found], axis=1)
