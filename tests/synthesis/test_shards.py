import json
import multiprocessing
import os
import pickle
import tempfile

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from hf_augment.files import write_json
from hf_augment.synthesis.prepared import PreparedShards
from hf_augment.synthesis.shards import Shard, ShardStore, acceptance, rejections
from hf_augment.training.preparing import RowMaker
from hf_augment.training.task import ClassTask
from tests.toys import (
    IMAGE,
    LABELS,
    TEXT,
    comparable,
    each_toy,  # noqa: F401 - the fixture `toy`
    tokenize,
)


IDENTITY = {"generator": "toy", "seed": 1, "shard_size": 4}


def shard(examples, index=0):
    """Of two examples."""
    return Shard(
        index,
        slots=[4 * index, 4 * index + 2],
        labels=[1, 0],
        examples=examples,
        label_probabilities=[(0.25, 0.75), None],
        candidates=6,
        rejected={"fluency": 4},
        seconds=0.5,
        reject_sample=[
            {"filter": "fluency", "reason": "short", "score": 1.0, "label": 0, "example": {"x": np.zeros((2, 3))}}
        ],
    )


def toy_shard(toy, index=0):
    return shard(toy.generator().generate([1, 0], seed=index), index)


def array_shard(values):
    return shard([{"x": value} for value in values])


@pytest.fixture
def store(tmp_path):
    return ShardStore(tmp_path, IDENTITY, "label", LABELS)


def test_a_shard_comes_back_as_it_went_and_no_file_is_a_pickle(store, toy):
    went = toy_shard(toy, 1)
    store.write(went)
    back = store.read(1)
    for name in ("index", "slots", "labels", "examples", "label_probabilities", "candidates", "rejected", "seconds"):
        assert comparable(getattr(back, name)) == comparable(getattr(went, name)), name
    assert back.reject_sample[0]["example"] == {"x": "float64 array of 2×3"}
    assert store.accepted(back).tolist() == [True, False, True, False]
    assert sorted(path.suffix for path in store.folder.iterdir()) == [".arrow", ".json", ".json"]


def test_rejected_arrays_of_bytes_are_kept_unless_they_are_large(store):
    small, large = (np.arange(n * n * 3, dtype=np.uint8).reshape(n, n, 3) for n in (147, 148))
    rejects = [{"label": 0, "example": {"x": x, "name": "a"}} for x in (small, large, small[0, 0, 0])]
    store.write(Shard(0, candidates=3, rejected={"never": 3}, reject_sample=rejects))
    kept, named, scalar = (reject["example"] for reject in store.account(0).reject_sample)
    assert (kept["x"].dtype, kept["name"]) == (np.uint8, "a")
    assert np.array_equal(kept["x"], small)
    assert named["x"] == "uint8 array of 148×148×3"
    assert scalar["x"] == 0


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "1", "I;16"])
def test_pictures_come_back_as_they_went(store, mode):
    numbers = np.random.default_rng(0).integers(0, 2**16, (2, 8, 6), dtype=np.uint16)
    pictures = [
        Image.fromarray(n) if mode == "I;16" else Image.fromarray(n.astype(np.uint8)).convert(mode) for n in numbers
    ]
    store.write(array_shard(pictures))
    prepared = prepare(store, lambda columns: {"half": [x.resize((3, 4)) for x in columns["x"]]})
    assert prepared.accepted(0).tolist() == [True, False, True, False]
    reader = pickle.loads(pickle.dumps(prepared.reader))  # As a worker gets it.
    for slot, picture in zip((0, 2), pictures, strict=True):
        row = reader.read(slot)
        assert (row["x"].mode, row["half"].size) == (mode, (3, 4))
        np.testing.assert_array_equal(np.asarray(row["x"]), np.asarray(picture))
        np.testing.assert_array_equal(np.asarray(row["half"]), np.asarray(picture.resize((3, 4))))


def test_all_shards_are_one_dataset_anybody_can_open(store, toy):
    shards = [toy_shard(toy, 0), Shard(1), toy_shard(toy, 2)]
    for each in shards:
        store.write(each)
    dataset = store.dataset()
    assert list(map(toy.key, dataset)) == [toy.key(example) for each in shards for example in each.examples]
    assert dataset["slot"][:] == [0, 2, 8, 10]
    ours = {"slot": datasets.Value("int64"), "label_probabilities": datasets.List(datasets.Value("float64"))}
    assert dataset.features == toy.features | {"label": datasets.ClassLabel(names=list(LABELS))} | ours
    assert store.indices() == [0, 1, 2]
    assert [account.candidates for account in store.accounts()] == [6, 0, 6]


def test_acceptance_is_a_share_of_what_reached_each_filter():
    accounts = [
        Shard(0, candidates=8, rejected={"fluency": 4, "near_duplicates": 1}, seconds=0.5),
        Shard(1, candidates=2, rejected={"fluency": 0, "near_duplicates": 2}, seconds=1.0),
        Shard(2, candidates=0, rejected={}, seconds=0.5),
    ]
    expected = {"acceptance": 0.3, "acceptance_fluency": 0.6, "acceptance_near_duplicates": 0.5, "per_second": 1.5}
    assert acceptance(accounts) == pytest.approx(expected)
    assert acceptance(accounts[2:]) == {}


def test_a_filter_that_nothing_reached_has_no_share():
    nothing_left = acceptance([Shard(0, candidates=2, rejected={"a": 2, "b": 0}, seconds=1.0)])
    assert nothing_left == {"acceptance": 0.0, "acceptance_a": 0.0, "per_second": 0.0}


def test_the_order_of_shards_does_not_change_what_reached_a_filter():
    """What cannot be encoded never reached the filters, also where no shard before had any of it."""
    with_it = Shard(0, candidates=100, rejected={"unencodable": 50, "fluency": 50, "label_agreement": 0}, seconds=1.0)
    without = Shard(1, candidates=100, rejected={"fluency": 0, "label_agreement": 50}, seconds=1.0)
    expected = {"unencodable": 50, "fluency": 50, "label_agreement": 50}
    for accounts in ([with_it, without], [without, with_it]):
        assert list(rejections(accounts).items()) == list(expected.items())
        assert acceptance(accounts)["acceptance_label_agreement"] == 0.5
        assert acceptance(accounts)["acceptance_unencodable"] == 0.75


def test_a_store_of_nothing_says_so(store):
    with pytest.raises(ValueError, match="holds no accepted synthetic example"):
        store.dataset()


def test_another_identity_is_another_folder(tmp_path, store, toy):
    store.write(toy_shard(toy))
    other = ShardStore(tmp_path, IDENTITY | {"generator": "other"}, "label", LABELS)
    again = ShardStore(tmp_path, dict(reversed(IDENTITY.items())), "label", LABELS)
    assert not other.has(0)
    assert again.has(0)
    assert json.loads((store.folder / "store.json").read_text())["identity"]["generator"] == "toy"
    opened = ShardStore.open(store.folder)
    assert opened.dataset().to_dict() == store.dataset().to_dict()
    assert vars(opened) == vars(store)


def test_what_a_kill_left_half_written_is_not_a_shard(store, toy):
    store.write(toy_shard(toy))
    (store.folder / "shard-000001.json").write_text("{}")
    (store.folder / "shard-000001.arrow.123.partial").write_bytes(b"half")
    assert not store.has(1)
    assert store.indices() == [0]


@pytest.mark.parametrize("suffix", ["arrow", "json"])
def test_what_a_power_failure_left_empty_is_not_a_shard(store, toy, suffix):
    store.write(toy_shard(toy))
    (store.folder / f"shard-000000.{suffix}").write_bytes(b"")
    assert not store.has(0)
    store.write(toy_shard(toy))
    assert comparable(store.read(0).examples) == comparable(toy_shard(toy).examples)


def test_a_shard_of_images_is_hardly_larger_than_its_pixels_and_anybody_reads_it(store):
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    store.write(array_shard(list(images)))
    path = store.folder / "shard-000000.arrow"
    assert images.nbytes < path.stat().st_size < 1.1 * images.nbytes
    assert np.array_equal(datasets.Dataset.from_file(str(path))["x"][:], images)


def test_thousands_of_shards_do_not_keep_thousands_of_files_open(store):
    for index in range(3):
        store.write(toy_shard(IMAGE, index))
    before = len(os.listdir("/dev/fd"))
    dataset = store.dataset()
    assert len(os.listdir("/dev/fd")) == before
    assert len(dataset) == 6


def test_other_shards_of_a_store_are_another_dataset(store):
    store.write(toy_shard(TEXT, 0))
    one = store.dataset()._fingerprint
    assert store.dataset()._fingerprint == one
    store.write(toy_shard(TEXT, 1))
    assert store.dataset()._fingerprint != one


def prepare(store, preprocess=None):
    """Prepared shards as a trainer has them."""
    return PreparedShards(store, RowMaker(ClassTask("label", LABELS), [], [], preprocess).prepare)


# --- damage ------------------------------------------------------------------------------------------------------


def flipped(path, at=0.5):
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 1
    path.write_bytes(bytes(data))


def cut(path, at=0.5):
    path.write_bytes(path.read_bytes()[: int(at * path.stat().st_size)])


def another(path):
    path.write_bytes(path.with_name(path.name.replace("1", "0")).read_bytes())


DAMAGE = {
    "a flipped bit": flipped,
    "the last bit": lambda path: flipped(path, 1),
    "half": cut,
    "nothing": lambda path: cut(path, 0),
    "all but the end": lambda path: cut(path, 0.99),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "that of another shard": another,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("suffix", ["arrow", "json"])
def test_a_damaged_shard_is_named_with_what_to_do_and_is_made_again(store, toy, suffix, damage):
    for index in (0, 1):
        store.write(toy_shard(toy, index))
    whole = store.read(1)
    path = store.folder / f"shard-000001.{suffix}"
    damage(path)
    remedy = r"Delete shard-000001\.arrow and shard-000001\.json in .*: the shard is made again"
    readers = [lambda: prepare(store, toy.preprocess).accepted(1)]
    if path.is_file():
        readers += [lambda: store.read(1), store.dataset]
    if suffix == "json":
        readers += [lambda: store.account(1), lambda: list(store.accounts())]
    for read in readers:
        with pytest.raises(ValueError, match=rf"shard-000001\.{suffix} .*\. {remedy}"):
            read()
    path.rmdir() if path.is_dir() else path.unlink()
    store.write(toy_shard(toy, 1))
    assert comparable(store.read(1).examples) == comparable(whole.examples)


def test_a_shard_without_its_account_is_refused(store):
    store.write(toy_shard(TEXT))
    (store.folder / "shard-000000.json").unlink()
    for read in (lambda: store.read(0), lambda: store.account(0), store.dataset):
        with pytest.raises(ValueError, match=r"shard-000000\.json is missing\. Delete shard-000000\.arrow and"):
            read()


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: path.unlink(), "is missing"),
        (flipped, "is damaged"),
        (cut, "is damaged: it is no JSON"),
        (lambda path: path.write_text('{"identity": {"format_version": 1}}'), "has no checksum"),
        (lambda path: write_json(path, {"identity": {"format_version": 1}}), "is of format 1, not 3"),
    ],
)
def test_a_store_of_another_format_or_a_damaged_one_is_not_opened(store, damage, what):
    store.write(toy_shard(TEXT))
    damage(store.folder / "store.json")
    with pytest.raises(ValueError, match=rf"{store.folder}.* {what}.*Delete {store.folder} and train again"):
        ShardStore.open(store.folder)


# --- prepared rows -----------------------------------------------------------------------------------------------


def test_prepared_rows_are_the_examples_in_their_slots_with_what_preprocess_adds(store, toy):
    went = toy_shard(toy, 2)
    store.write(went)
    prepared = prepare(store, toy.preprocess)
    assert prepared.accepted(2).tolist() == [True, False, True, False]
    for slot, i in ((8, 0), (10, 1)):
        added = toy.preprocess({name: [went.examples[i][name]] for name in toy.features}) if toy.preprocess else {}
        row = went.examples[i] | {"label": went.labels[i]} | {name: values[0] for name, values in added.items()}
        assert comparable(prepared.reader.read(slot)) == comparable(row)
    assert prepared.reader.label_probabilities(8) == [0.25, 0.75]
    assert prepared.reader.label_probabilities(10) is None


def test_texts_keep_their_markup_and_tokens_are_lists(store):
    texts = ["a bright <b>film</b>\n", "dull"]
    store.write(shard([{"text": text} for text in texts]))
    assert store.dataset()["text"][:] == texts
    prepared = prepare(store, tokenize)
    prepared.accepted(0)
    row = prepared.reader.read(0)
    assert (row["text"], row["attention_mask"]) == (texts[0], [1, 1, 1])
    assert isinstance(row["input_ids"], list)


def test_a_shard_is_prepared_once(store):
    calls = []
    store.write(toy_shard(TEXT))
    prepared = prepare(store, lambda columns: calls.append(len(columns["text"])) or tokenize(columns))
    assert [prepared.accepted(0).tolist() for _ in range(3)] == [[True, False, True, False]] * 3
    assert calls == [2]


def test_prepared_rows_leave_no_file_whatever_ends_the_process(store, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    store.write(toy_shard(TEXT))
    prepared = prepare(store, tokenize)
    prepared.accepted(0)
    assert os.listdir(tmp_path / "temporary") == []
    assert prepared.reader.read(0)["label"] == 1


def answer(reader, asked, answers):
    for slot in iter(asked.get, None):
        answers.put((comparable(reader.read(slot)), reader.label_probabilities(slot)))


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_read_what_was_prepared_before_and_after_they_began(store, method):
    context = multiprocessing.get_context(method)
    asked, answers = context.Queue(), context.Queue()
    for index in range(3):
        store.write(toy_shard(IMAGE, index))
    prepared = prepare(store)
    prepared.accepted(2)
    worker = context.Process(target=answer, args=(prepared.reader, asked, answers), daemon=True)
    worker.start()
    prepared.accepted(0)
    prepared.accepted(1)
    for slot in (8, 4, 0, 10):
        asked.put(slot)
        expected = comparable(prepared.reader.read(slot)), prepared.reader.label_probabilities(slot)
        assert answers.get(timeout=120) == expected
    asked.put(None)
    worker.join(60)
    assert worker.exitcode == 0


# --- what is given up --------------------------------------------------------------------------------------------


def prepared_text(store, index, words):
    """Prepares a shard whose rows are as long as it is told."""
    store.write(shard([{"text": " ".join([f"{index}"] * words)}, {"text": "dull"}], index))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3000)), min_size=1, max_size=12))
def test_rows_that_are_left_behind_make_room_and_the_others_stay(steps):
    """Against a dict of rows. Two readers: one that reads as it goes, one that comes for the first time at the end."""
    with tempfile.TemporaryDirectory() as folder:
        store = ShardStore(folder, IDENTITY, "label", LABELS)
        prepared, naive, first = prepare(store, tokenize), {}, 0
        reader = pickle.loads(pickle.dumps(prepared.reader))
        for index, (freed, words) in enumerate(steps):
            prepared_text(store, index, words)
            prepared.accepted(index)
            naive |= {4 * index: [f"{index}"] * words, 4 * index + 2: ["dull"]}
            for each in (reader, prepared.reader):
                assert each.read(4 * index)["text"].split() == naive[4 * index]
            for _ in range(min(freed, index - first)):
                prepared.free(first)
                del naive[4 * first], naive[4 * first + 2]
                first += 1
        late = pickle.loads(pickle.dumps(prepared.reader))
        for slot, words in naive.items():
            for each in (reader, late, prepared.reader):
                row = each.read(slot)
                assert row["text"].split() == words
                assert row["input_ids"] == tokenize({"text": [" ".join(words)]})["input_ids"][0]


def test_a_file_of_prepared_rows_grows_with_the_shards_in_use_alone(store):
    prepared, sizes = prepare(store), []
    for index in range(40):
        store.write(toy_shard(IMAGE, index))
        prepared.accepted(index)
        prepared.reader.read(4 * index)
        if index >= 2:
            prepared.free(index - 2)
        sizes.append(os.fstat(prepared.reader._descriptor).st_size)
    assert sizes[2] == sizes[-1] > sizes[0]
    assert len(prepared._accepted) == 2
    assert len(prepared.reader._begins) == 2
    assert len(prepared.reader._open) <= 2
    with pytest.raises(RuntimeError, match="shard 3 was asked for after training had left it"):
        prepared.accepted(3)


def test_a_reader_of_many_shards_keeps_few_of_them_open(store):
    prepared = prepare(store)
    for index in range(20):
        store.write(toy_shard(IMAGE, index))
        prepared.accepted(index)
    rows = [comparable(prepared.reader.read(4 * index)) for index in range(20)]
    assert len(prepared.reader._open) == 8
    assert [comparable(prepared.reader.read(4 * index)) for index in range(20)] == rows


def test_a_dropped_shard_keeps_its_account_and_must_come_back_as_it_was(store, toy):
    for index in (0, 1):
        store.write(toy_shard(toy, index))
    account = (store.folder / "shard-000000.json").read_bytes()
    store.drop(0)
    store.drop(0)
    assert not store.has(0)
    assert store.was_made(0)
    assert store.indices() == [1]
    assert [each.index for each in store.accounts()] == [0, 1]
    assert store.account(0).candidates == 6
    again = toy_shard(toy, 0)
    again.seconds = 9.0
    store.compare(again)
    store.write(again)
    assert comparable(store.read(0).examples) == comparable(again.examples)
    assert (store.folder / "shard-000000.json").read_bytes() == account
    store.drop(0)
    other = shard(toy.generator().generate([1, 0], seed=99), 0)
    for made_again in (store.write, store.compare):
        with pytest.raises(ValueError, match=r"shard 0 was made again and is another one.*Delete .*000000\.json"):
            made_again(other)
    assert not store.has(0)


# --- arrays ------------------------------------------------------------------------------------------------------


def views(array):
    """The same values as memory may hold them: whole, every second one, or with the axes the other way round."""
    return st.sampled_from([array, np.repeat(array, 2, axis=0)[::2], np.asfortranarray(array)])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_arrays_of_one_shape_come_back_as_they_went(data):
    dtype = data.draw(st.sampled_from(["uint8", "int32", "float16", "float32", "float64"]))
    shape = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    values = [data.draw(arrays(dtype, shape).flatmap(views)) for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        store = ShardStore(folder, IDENTITY, "label", LABELS)
        store.write(array_shard(values))
        prepared = prepare(store)
        prepared.accepted(0)
        read = [example["x"] for example in store.read(0).examples]
        rows = [prepared.reader.read(slot)["x"] for slot in (0, 2)]
        assert store.dataset().features["x"].dtype == dtype
    for came in (read, rows):
        assert comparable(came) == comparable([np.ascontiguousarray(value) for value in values])
        # A tensor made of an array that cannot be written to is a warning.
        assert all(torch.from_numpy(array).shape == array.shape for array in came)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["arrays", "tensors"])
def test_what_preprocess_makes_of_arrays_stays_arrays(store, kind):
    store.write(toy_shard(TEXT))
    pixels = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    prepared = prepare(store, lambda columns: {"pixels": list(kind(pixels))})
    prepared.accepted(0)
    assert comparable(prepared.reader.read(2)["pixels"]) == comparable(pixels[1])


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["arrays", "tensors"])
def test_preprocess_may_put_the_channels_first(store, kind):
    went = toy_shard(IMAGE)
    store.write(went)

    def channels_first(columns):
        return {"pixel_values": [np.moveaxis(image, -1, 0) for image in columns["image"]]}

    prepared = prepare(store, lambda columns: {k: list(map(kind, v)) for k, v in channels_first(columns).items()})
    prepared.accepted(0)
    expected = np.ascontiguousarray(np.moveaxis(went.examples[1]["image"], -1, 0))
    assert comparable(prepared.reader.read(2)["pixel_values"]) == comparable(expected)


def test_arrays_of_two_types_lose_nothing(store):
    values = [np.full((2, 2), 1, dtype=np.uint8), np.full((2, 2), 0.5, dtype=np.float32)]
    store.write(array_shard(values))
    assert all(np.array_equal(e["x"], value) for e, value in zip(store.read(0).examples, values, strict=True))


def test_masks_can_be_prepared(store):
    store.write(array_shard([np.eye(2, dtype=bool)] * 2))
    prepared = prepare(store)
    prepared.accepted(0)
    assert prepared.reader.read(2)["x"] == np.eye(2, dtype=bool).tolist()
