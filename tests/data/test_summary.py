"""What is in data, and what is odd."""

import datasets
import numpy as np
import pytest

from hf_augment.data.oddities import find_oddities
from hf_augment.data.opening import Data
from hf_augment.data.summary import summarize
from hf_augment.images.forms import Forms


def rows(pairs, names, several=False):
    label = datasets.ClassLabel(names=names)
    key, feature = ("labels", datasets.List(label)) if several else ("label", label)
    features = datasets.Features({"text": datasets.Value("string"), key: feature})
    texts, labels = zip(*pairs, strict=True)
    return datasets.Dataset.from_dict({"text": list(texts), key: list(labels)}, features=features)


def data(train, test, names=("good", "bad"), several=False, **options):
    names = list(names)
    return Data("my.csv", "text", several, rows(train, names, several), rows(test, names, several), **options)


def texts(count, label=0, start=0):
    return [
        (f"text {i} has the words {' '.join(map(str, range(i, i + 9)))}", label) for i in range(start, start + count)
    ]


def said(data):
    return list(map(str, find_oddities(data)))


FINE = [*texts(6), *texts(6, 1, 100)], [*texts(3, 0, 200), *texts(3, 1, 300)]


def test_nothing_is_odd():
    assert said(data(*FINE)) == []


@pytest.mark.parametrize(
    ("changes", "names", "message"),
    [
        (([("of its own", 2)], []), ("good", "bad", "odd"), "! Of 'odd' there is one row: nothing can be measured"),
        (
            (texts(2, 2, 400), []),
            ("good", "bad", "odd"),
            "! Of 'odd' there is no test row: nothing is measured of it.",
        ),
        ((texts(50, 0, 500), []), ("good", "bad"), None),
        ((texts(120, 0, 500), []), ("good", "bad"), "! 'good' has 126 labelled rows, 'bad' 6: look at each class"),
        (([], []), ("Card-arrival", "card_arrival"), "! One class in several spellings: 'Card-arrival' and 'card_arr"),
        (
            (texts(120, 0, 500), []),
            ("card_arrival", "card_arival"),
            "! 'card_arival' (6 rows) may be 'card_arrival'",
        ),
        ((texts(120, 0, 500), []), ("a group 11", "a group 12"), None),
        (([], []), ("good", "good;bad"), "! 'good;bad' look like several labels in one cell: pass --several"),
        (([], []), ("good", "food, drink"), None),
        (([], []), ("3", "bad"), "! Some labels are numbers and some are words: are they of one kind?"),
        (([], []), ("-1", "1"), "- '-1', '1' say nothing to a language model: name or describe the classes."),
        (
            ([], [(FINE[0][0][0] + "!", 0)]),
            ("good", "bad"),
            "! 1 of 7 test texts nearly repeat a labelled one, such",
        ),
        (([], []), ("text", "bad"), None),
        (([], []), ("-1", "not 1"), "! Some labels are numbers"),
    ],
)
def test_what_is_odd(changes, names, message):
    found = said(data(FINE[0] + changes[0], FINE[1] + changes[1], names))
    if message is None:
        assert not [line for line in found if "look at each" not in line]
    else:
        assert any(line.startswith(message) for line in found), found


def test_texts_that_name_their_class():
    train = [(f"{text} Label: very_bad", label) if label else (text, label) for text, label in FINE[0]]
    assert said(data(train, FINE[1], ("good", "very_bad"))) == [
        "! Most texts of 'very_bad' have its name in them: does the text give its label away?"
    ]


def test_rows_that_were_left_out_or_contradict():
    found = said(data(*FINE, contradictory=2, left_out={"without a text": 3}))
    assert found == [
        "! 2 row(s) repeat another one with another label: the first is kept. Correct them.",
        "- 3 row(s) without a text: left out.",
    ]


def test_tables_of_texts():
    summary = summarize(data(*FINE, unlabelled=datasets.Dataset.from_dict({"text": ["好看 film", "кино", "!"]})))
    classes, words = summary.tables
    assert classes == (
        "2 classes",
        ["class", "labelled", "test"],
        [["bad", "6", "3"], ["good", "6", "3"], ["all rows", "12", "6"]],
    )
    assert words[0] == "Words in a text"
    assert words[2][0] == ["labelled", "14", "14", "14", "14", "14", "Latin 100%"]
    assert words[2][2] == ["unlabelled", "0", "0", "1", "2", "3", "Chinese characters 33%, Latin 33%, Cyrillic 33%"]


def test_many_classes_are_shown_by_their_ends():
    names = [f"class {chr(97 + i)}" for i in range(20)]
    train = [(f"{i} {n}", i) for i in range(20) for n in range(20 - i)]
    title, _, lines = summarize(data(train, [("x", 0)], names)).tables[0]
    assert (title, len(lines)) == ("20 classes", 14)
    assert lines[0] == ["class a", "20", "1"]
    assert lines[6] == ["… 8 more classes", "", ""]
    assert lines[12] == ["class t", "1", "0"]


def test_several_labels_in_a_row():
    train, test = ([(text, [0, 1] if label else []) for text, label in part] for part in FINE)
    title, _, lines = summarize(data(train, test, several=True)).tables[0]
    assert title == "2 labels, several in a row"
    assert lines == [["bad", "6", "3"], ["good", "6", "3"], ["none of them", "6", "3"], ["all rows", "12", "6"]]


def test_tables_of_images():
    features = datasets.Features({"image": datasets.Array3D((8, 8, 1), "uint8"), "label": datasets.ClassLabel(2)})
    pictures = datasets.Dataset.from_dict(
        {"image": np.zeros((2, 8, 8, 1), np.uint8), "label": [0, 1]}, features=features
    )
    forms = Forms()
    forms.sizes.update({(10, 20): 1, (30, 40): 3})
    forms.modes.update({"RGB": 3, "L": 1})
    forms.changes.update({"resized": 4})
    found = summarize(Data("pets", "image", False, pictures, pictures, forms=forms))
    assert found.tables[1][2] == [
        ["used as", "8×8 pixels, grey"],
        ["width", "10 to 30 pixels, half of them up to 30"],
        ["height", "20 to 40 pixels, half of them up to 40"],
        ["mode", "RGB: 3, L: 1"],
        ["changed", "resized: 4"],
    ]
