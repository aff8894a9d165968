import datasets
import numpy as np
import pytest

from hf_augment import DatasetGenerator
from hf_augment.generators.dataset import examples_of


TEXTS = [f"text {i}" for i in range(7)]
LABELS = [0, 1, 0, 1, 0, 1, 0]
CLASSES = datasets.ClassLabel(names=["neg", "pos"])


def rows(texts=TEXTS, labels=LABELS):
    return datasets.Dataset.from_dict({"text": texts, "label": labels}).cast_column("label", CLASSES)


def test_rows_have_the_labels_asked_for_and_none_twice_while_there_are_others():
    generator = DatasetGenerator(rows())
    assert list(generator.label_names) == ["neg", "pos"]
    assert generator.columns == ("text",)
    asked = [0, 1, 0, 1, 0, 1, 0]
    drawn = [example["text"] for example in generator.generate(asked, seed=3)]
    assert sorted(drawn) == TEXTS
    assert [LABELS[TEXTS.index(text)] for text in drawn] == asked


def test_more_than_there_are_begins_again():
    drawn = [example["text"] for example in DatasetGenerator(rows()).generate([1] * 7, seed=0)]
    counts = [drawn.count(text) for text in ("text 1", "text 3", "text 5")]
    assert sorted(counts) == [2, 2, 3]


def test_of_several_labels_the_classes_are_the_sets_that_occur_as_often_as_they_do():
    column = datasets.List(datasets.ClassLabel(names=["card", "lost", "new"]))
    several = datasets.Dataset.from_dict({"text": TEXTS[:4], "labels": [[1, 0], [], [0, 1], [2]]})
    generator = DatasetGenerator(several.cast_column("labels", column), "labels")
    assert generator.label_names == ["card; lost", "new", "none"]
    assert list(generator.label_shares) == [2, 1, 1]
    assert generator.columns == ("text",)
    assert [example["text"] for example in generator.generate([1, 2], seed=0)] == ["text 3", "text 1"]


def test_classes_as_they_occur_leave_out_those_without_a_row():
    generator = DatasetGenerator(rows(labels=[1] * 3 + [0] * 4).filter(lambda row: row["label"]), as_they_occur=True)
    assert generator.label_names == ["pos"]
    assert {example["text"] for example in generator.generate([0, 0, 0], seed=0)} == set(TEXTS[:3])


def test_the_seed_decides():
    generator = DatasetGenerator(rows())
    assert generator.generate([0, 1, 1], seed=5) == generator.generate([0, 1, 1], seed=5)
    assert len({str(generator.generate([0, 0, 1], seed=seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize("first", [2, None])
def test_arrays_are_read_together_as_they_would_be_one_by_one(first):
    images = [np.full((2, 2, 1), i, dtype=np.uint8) for i in range(5)]
    if first is None:
        images[3] = np.full((3, 2, 1), 7, dtype=np.uint8)
    kinds = {"text": datasets.Value("string"), "image": datasets.Array3D((first, 2, 1), "uint8"), "n": CLASSES}
    columns = {"text": TEXTS[:5], "image": images, "n": [0, 1, 0, 1, 0]}
    dataset = datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))
    found = examples_of(dataset.select([4, 3, 2, 1, 0]), [1, 0, 3])
    assert [list(example) for example in found] == [["text", "image", "n"]] * 3
    assert [(example["text"], example["n"]) for example in found] == [("text 3", 1), ("text 4", 0), ("text 1", 1)]
    for example, i in zip(found, (3, 4, 1), strict=True):
        assert example["image"].dtype == np.uint8
        np.testing.assert_array_equal(example["image"], images[i])
    assert examples_of(dataset, []) == []


def test_a_missing_array_is_refused_and_whole_numbers_stay_exact():
    kinds = datasets.Features({"n": datasets.Array2D((1, 2), "int64")})
    dataset = datasets.Dataset.from_dict({"n": [[[2**60 + 1, 0]], None, [[1, 2]]]}, features=kinds)
    assert [example["n"][0, 0] for example in examples_of(dataset, [0, 2])] == [2**60 + 1, 1]
    with pytest.raises(ValueError, match="'n' is missing in a row"):
        examples_of(dataset, [0, 1])
    # In chunks that are not read as one.
    halves = datasets.concatenate_datasets([dataset.select([0]), dataset.select([2])])
    assert [example["n"][0, 1] for example in examples_of(halves, [1, 0])] == [2, 0]


def test_images_come_back_as_they_are():
    images = np.arange(4 * 2 * 2 * 1, dtype=np.uint8).reshape(4, 2, 2, 1)
    features = datasets.Features({"image": datasets.Array3D((2, 2, 1), "uint8"), "label": CLASSES})
    dataset = datasets.Dataset.from_dict({"image": images, "label": [0, 1, 0, 1]}, features=features)
    (example,) = DatasetGenerator(dataset.select([0, 3])).generate([1], seed=0)
    assert isinstance(example["image"], np.ndarray)
    assert example["image"].dtype == np.uint8
    np.testing.assert_array_equal(example["image"], images[3])


def test_pictures_come_back_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    features = datasets.Features({"image": datasets.Image(), "note": datasets.Value("string"), "label": CLASSES})
    columns = {"image": list(images), "note": ["a", "b", "c", "d"], "label": [0, 1, 0, 1]}
    generator = DatasetGenerator(datasets.Dataset.from_dict(columns, features=features).select([0, 3]))
    (example,) = generator.generate([1], seed=0)
    np.testing.assert_array_equal(np.asarray(example["image"]), images[3])
    assert example["note"] == "d"
    assert len(generator.fingerprint()) == 16


def test_the_fingerprint_knows_rows_and_labels():
    prints = {
        DatasetGenerator(rows()).fingerprint(),
        DatasetGenerator(rows([*TEXTS[:-1], "other"])).fingerprint(),
        DatasetGenerator(rows(labels=[1, 0, 0, 1, 0, 1, 0])).fingerprint(),
    }
    assert len(prints) == 3
    assert DatasetGenerator(rows()).fingerprint() == DatasetGenerator(rows()).fingerprint()


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (datasets.Dataset.from_dict({"text": ["a"], "label": [0]}), "name its ClassLabel column"),
        (rows(["a"], [1]), r"no row of \['neg'\]"),
    ],
)
def test_what_cannot_be_drawn_from_is_refused(dataset, message):
    with pytest.raises(ValueError, match=message):
        DatasetGenerator(dataset)


@pytest.mark.parametrize("label", [0.5, -1, 2])
def test_labels_that_are_no_classes(label):
    with pytest.raises(ValueError, match=rf"labels has \[{label}\], but label_names has only 2 names"):
        DatasetGenerator(rows()).generate([0, label], seed=0)
