import json

import datasets
import numpy as np
import pytest

from hf_augment.synthesis import PreparedShards, Shard, ShardStore
from tests.toys import LABELS, tokenize


IDENTITY = {"generator": "toy", "seed": 1, "shard_size": 4}


def shard(index=0):
    return Shard(
        index,
        slots=[4 * index, 4 * index + 2],
        labels=[1, 0],
        examples=[{"text": "a bright <b>film</b>\n"}, {"text": "dull"}],
        label_probabilities=[(0.25, 0.75), None],
        candidates=6,
        rejected={"fluency": 4},
        seconds=0.5,
        reject_sample=[
            {"filter": "fluency", "reason": "short", "score": 1.0, "label": 0, "example": {"x": np.zeros((2, 3))}}
        ],
    )


@pytest.fixture
def store(tmp_path):
    return ShardStore(tmp_path, IDENTITY, "label", LABELS)


def test_a_shard_comes_back_as_it_went_and_no_file_is_a_pickle(store):
    store.write(shard(1))
    back = store.read(1)
    for name in ("index", "slots", "labels", "examples", "label_probabilities", "candidates", "rejected", "seconds"):
        assert getattr(back, name) == getattr(shard(1), name), name
    assert back.reject_sample[0]["example"] == {"x": "ndarray of shape (2, 3)"}
    assert store.accepted(back).tolist() == [True, False, True, False]
    assert sorted(path.suffix for path in store.folder.iterdir()) == [".arrow", ".json", ".json"]


def test_all_shards_are_one_dataset_anybody_can_open(store):
    store.write(shard(0))
    store.write(Shard(1))
    store.write(shard(2))
    dataset = store.dataset()
    assert dataset["text"][:] == ["a bright <b>film</b>\n", "dull"] * 2
    assert dataset["slot"][:] == [0, 2, 8, 10]
    assert dataset.features["label"] == datasets.ClassLabel(names=list(LABELS))
    assert store.indices() == [0, 1, 2]
    assert [account.candidates for account in store.accounts()] == [6, 0, 6]


def test_a_store_of_nothing_says_so(store):
    with pytest.raises(ValueError, match="holds no accepted synthetic example"):
        store.dataset()


def test_another_identity_is_another_folder(tmp_path, store):
    store.write(shard(0))
    other = ShardStore(tmp_path, IDENTITY | {"generator": "other"}, "label", LABELS)
    again = ShardStore(tmp_path, dict(reversed(IDENTITY.items())), "label", LABELS)
    assert not other.has(0)
    assert again.has(0)
    assert json.loads((store.folder / "store.json").read_text())["identity"]["generator"] == "toy"
    opened = ShardStore.open(store.folder)
    assert opened.dataset().to_dict() == store.dataset().to_dict()
    assert vars(opened) == vars(store)


def test_what_a_kill_left_half_written_is_not_a_shard(store):
    store.write(shard(0))
    (store.folder / "shard-000001.json").write_text("{}")
    (store.folder / "shard-000001.arrow.123.partial").write_bytes(b"half")
    assert not store.has(1)
    assert store.indices() == [0]


def test_prepared_rows_are_slices_of_the_preprocessed_columns(store):
    store.write(shard(2))
    prepared = PreparedShards(store, "label", tokenize)
    assert prepared.accepted(2).tolist() == [True, False, True, False]
    row = prepared.reader.read(8)
    assert row == {
        "text": "a bright <b>film</b>\n",
        "label": 1,
        "input_ids": tokenize({"text": ["a bright <b>film</b>\n"]})["input_ids"][0],
        "attention_mask": [1, 1, 1],
    }
    assert isinstance(row["input_ids"], list)
    assert prepared.reader.label_probabilities(8) == [0.25, 0.75]
    assert prepared.reader.label_probabilities(10) is None


def test_arrays_stay_arrays(store):
    store.write(shard(0))
    pixels = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    prepared = PreparedShards(store, "label", lambda columns: {"pixels": list(pixels)})
    prepared.accepted(0)
    back = prepared.reader.read(2)["pixels"]
    assert back.dtype == np.uint8
    assert np.array_equal(back, pixels[1])


def test_a_preprocess_that_drops_rows_is_named(store):
    store.write(shard(0))
    with pytest.raises(ValueError, match="preprocess returned 1 values in column 'input_ids' for 2 examples"):
        PreparedShards(store, "label", lambda columns: {"input_ids": [[1]]}).accepted(0)
