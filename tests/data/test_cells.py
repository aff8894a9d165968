"""What the cells of a column are."""

import datasets
import pytest

from hf_augment.data.cells import Cells, find_separator, split_cell


def cells(values, feature=None):
    features = datasets.Features({"x": feature}) if feature is not None else None
    return Cells(datasets.Dataset.from_dict({"x": values}, features=features), "x")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b", "a", "b"], "word"),
        (["one text", "another", "a third one"], "text"),
        (["1", "2.5", "-3e2", None], "number"),
        ([1, 0, 1], "number"),
        (["2024-01-31", "31/1/24"], "date"),
        (["a/1.PNG", "b.jpeg"], "path"),
        ([["a"], []], "list"),
        ([None, ""], "empty"),
        ([[[1, 2], [3, 4]]], "image"),
    ],
)
def test_kinds(values, kind):
    assert cells(values).kind == kind


def test_classes_and_images_by_their_features():
    assert cells([0, -1, 1], datasets.ClassLabel(names=["a", "b"])).counts == {"0": 1, "1": 1}
    assert cells([], datasets.Image()).kind == "image"


@pytest.mark.parametrize(
    ("numbers", "measured"),
    [
        ([0, 1, 2] * 4, False),
        ([1, 3, 7, 99], False),
        (list(range(77)) * 2, False),
        (list(range(1, 78)), False),
        (list(range(18, 70)), True),
        ([i / 8 for i in range(30)], True),
        ([0.5, 1.0, 1.5], False),
    ],
)
def test_numbers_that_measure(numbers, measured):
    assert cells(numbers).is_measured() is measured


@pytest.mark.parametrize(
    ("texts", "separator"),
    [
        (["a;b", "a", "b;c", "c; a"] * 3, ";"),
        (["a|b", "b|c", "a|c"], "|"),
        (["a, b", "b, c", "a, c"], ","),
        (["['a', 'b']", "[]", "['c']"], "["),
        (["['a' 'b']", "[]", "['c']"], "["),
        (["['a', None]", "[1 2]", "[True]"], "["),
        (["[a b]", "[c]", "[a b]"], None),
        # A name with a comma, however often, is one.
        (["Food, drink", "Los Angeles, CA", "other"] * 5, None),
        # One in a hundred rows is a mistake.
        (["a"] * 60 + ["b"] * 39 + ["a;b"], None),
        (["a, and this is a text of many words", "a, and this is a text of other words", "a"], None),
        ([], None),
    ],
)
def test_what_stands_between_labels(texts, separator):
    assert find_separator(texts) == separator


def test_a_separator_that_is_asked_for():
    assert find_separator(["a"] * 99 + ["a;b"], asked=True) == ";"
    assert find_separator(["a"] * 99, asked=True) is None


def test_labels_in_a_cell():
    assert split_cell(" a; b ;; a", ";") == ["a", "b"]
    assert split_cell("['a', 1]", "[") == ["a", "1"]
    # As numpy prints them, and what is no list.
    assert split_cell("""['it\\'s so' "b'c" None\n 'd,e']""", "[") == ["it's so", "b'c", "d,e"]
    assert split_cell("[0 12]", "[") == ["0", "12"]
    assert split_cell("very happy joy", "[") == ["very happy joy"]
    assert split_cell("[]", ";") == []
    assert split_cell("a;b", None) == ["a;b"]


def test_what_is_missing():
    assert cells(["a", " ", "a", "", None, "b", "b"]).counts == {"a": 2, "b": 2}
    assert cells([["a", None, " "], [None], []]).values == [["a"], []]
    assert cells([[0, -1], [-1], []], datasets.List(datasets.ClassLabel(names=["a", "b"]))).values == [[0], []]


def test_large_lists():
    assert cells([["a"], []], datasets.LargeList(datasets.Value("string"))).kind == "list"
    assert cells([[[1, 2]]], datasets.LargeList(datasets.List(datasets.Value("uint8")))).kind == "image"
