"""The rows that a study trains and tests on."""

import numpy as np
import pytest

from hf_augment.data.holdouts import load_holdouts, load_train_and_test
from hf_augment.data.splits import sample_rows
from hf_augment.data.texts import load_texts
from tests.data.rows import rows, texts, wanted, write
from tests.toys import LABELS


class Loads:
    """Plays a loader: rows by split, and what was asked for."""

    def __init__(self, **splits):
        self.splits, self.calls = splits, []

    def __call__(self, split, label_names, keep_columns):
        self.calls.append((split, label_names, keep_columns))
        return self.splits[split]


def test_train_and_test_of_two_splits():
    load = Loads(train=rows([0, 1] * 10), test=rows([1] * 30, [f"test {i}" for i in range(30)]))
    train, test = load_train_and_test(wanted(), load, texts, 3)
    assert train is load.splits["train"]
    assert test is load.splits["test"]
    # The test set has the classes of the training set.
    assert load.calls == [("train", None, ()), ("test", list(LABELS), ())]
    _, few = load_train_and_test(wanted(max_test_rows=4), load, texts, 3)
    assert few["text"][:] == sample_rows(load.splits["test"], 4, 3)["text"][:]


def test_train_and_test_of_one_split():
    load = Loads(train=rows([0, 1] * 10))
    train, test = load_train_and_test(wanted(test_split=None), load, texts, 3)
    assert load.calls == [("train", None, ())]
    assert np.bincount(test["label"][:]).tolist() == [2, 2]
    assert set(train["text"][:]) | set(test["text"][:]) == set(load.splits["train"]["text"][:])
    assert len(train) == 16


def test_train_and_test_of_groups():
    whole = rows([0, 1] * 10).add_column("film", [f"film {i // 2}" for i in range(20)])
    load = Loads(train=whole)
    train, test = load_train_and_test(wanted(group_column="film", test_fraction=0.2), load, texts, 3)
    assert load.calls == [("train", None, ("film",))]
    assert (len(train), len(test), train.column_names) == (16, 4, ["text", "label"])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, 2.0])
@pytest.mark.parametrize("other", [{"test_split": None}, {"group_column": "film"}, {}])
def test_a_share_that_is_none(fraction, other):
    with pytest.raises(ValueError, match=f"test_fraction={fraction} must be above 0 and below 1"):
        load_train_and_test(wanted(test_fraction=fraction, **other), Loads(), texts, 0)


def test_holdouts(folder, tmp_path):
    stars = write(tmp_path / "stars.csv", "review,stars\ngood,5\nbad,1\nso so,3\n")
    holdouts = [
        f"again|{folder}|test|text|label|",
        f"stars|{stars}|train|review|stars|5=positive,1=negative",
    ]
    loaded = load_holdouts(wanted(holdouts=holdouts), load_texts, list(LABELS), 0)
    assert {name: dataset.to_dict() for name, dataset in loaded.items()} == {
        "again": {"text": ["dull"], "label": [0]},
        "stars": {"text": ["good", "bad"], "label": [1, 0]},
    }
    few = load_holdouts(wanted(holdouts=holdouts, max_test_rows=1), load_texts, list(LABELS), 0)
    assert {name: len(dataset) for name, dataset in few.items()} == {"again": 1, "stars": 1}


@pytest.mark.parametrize("bad", ["sst2", "a|b|c|d|e", "a|b|c|d|e|f|g"])
def test_holdouts_of_another_form(bad):
    with pytest.raises(ValueError, match=r"holdouts has '.*': write name\|source\|split\|data_column\|label_column"):
        load_holdouts(wanted(holdouts=[bad]), load_texts, list(LABELS), 0)


@pytest.mark.parametrize("names", [["test"], ["again", "again"]])
def test_names_of_holdouts_that_are_taken(folder, names):
    holdouts = [f"{name}|{folder}|test|text|label|" for name in names]
    with pytest.raises(ValueError, match=f"there is a set of the name '{names[-1]}' already: rename it"):
        load_holdouts(wanted(holdouts=holdouts), load_texts, list(LABELS), 0)


def test_a_labelled_row_that_is_tested_on_is_left_out():
    load = Loads(train=rows([0, 1, 0, 1], ["a", "b", "c", "e"]), test=rows([1, 0], ["b", "d"]))
    train, test = load_train_and_test(wanted(), load, texts, 0)
    assert (texts(train), texts(test)) == (["a", "c", "e"], ["b", "d"])


def test_a_class_without_a_labelled_row():
    lost = r"'x' has no labelled row of \['positive'\] that is not in the test set too: check the splits, or pass"
    with pytest.raises(ValueError, match=lost):
        load_train_and_test(wanted(), Loads(train=rows([0, 1], ["a", "b"]), test=rows([1, 0], ["b", "d"])), texts, 0)
    # Each group is of one class.
    load = Loads(train=rows([0, 1] * 4).add_column("film", ["p", "q"] * 4))
    with pytest.raises(ValueError, match=r"\['(positive|negative)'\].* or pass another test_fraction than 0.5"):
        load_train_and_test(wanted(group_column="film", test_fraction=0.5), load, texts, 0)
    # A class that has no row at all is no fault of the division.
    assert len(load_train_and_test(wanted(test_split=None), Loads(train=rows([0] * 8)), texts, 0)[0]) == 6


def test_a_class_without_a_test_row_is_told(said):
    load_train_and_test(wanted(test_split=None), Loads(train=rows([0] * 8 + [1])), texts, 0)
    assert said == ["'x' has no test row of ['positive']: nothing is measured of these."]
