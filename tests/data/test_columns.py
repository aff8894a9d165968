"""Which column is what, and why."""

import datasets
import pytest

from hf_augment.data.columns import find_columns


TEXTS = [f"a text of several words, number {i}" for i in range(12)]
KINDS = ["x", "y", "z"] * 4


def find(columns, **options):
    return find_columns("my.csv", datasets.Dataset.from_dict(columns), **options)


def test_by_names():
    found = find({"id": list(range(12)), "intent": KINDS, "channel": KINDS, "Message": TEXTS, "title": TEXTS[::-1]})
    assert (found.data, found.label, found.kind, found.several) == (("Message",), "intent", "text", False)
    assert found.why == {
        "texts": "column 'Message', by its name (also there: 'title')",
        "labels": "column 'intent', by its name",
    }


def test_another_column_of_labels_is_told():
    both = find({"text": TEXTS, "topic": KINDS, "intent": KINDS})
    assert both.why["labels"] == "column 'intent', by its name (also there: 'topic')"


def test_by_contents_where_no_name_is_known():
    found = find({"kind": KINDS, "what was said": TEXTS, "when": ["2024-01-01"] * 12})
    assert (found.data, found.label) == (("what was said",), "kind")
    assert found.why["texts"] == "column 'what was said', the longest, 33 characters on average"
    assert found.why["labels"] == "column 'kind', the only one whose values recur"


def test_a_measured_target_is_not_passed_over():
    columns = {"text": TEXTS, "y": [i / 7 for i in range(12)], "country": KINDS}
    with pytest.raises(ValueError, match=r"Column 'y' .* \(regression\) is not supported.* or pass label_column"):
        find({name: cells * 10 for name, cells in columns.items()} | {"y": [i / 7 for i in range(120)]})
    assert find(columns, label_column="country").label == "country"
    # A rating may be beside the labels.
    ratings = {"text": TEXTS * 10, "stars": [i / 7 for i in range(120)], "country": KINDS * 10}
    assert find(ratings).label == "country"


def test_as_asked():
    found = find(
        {"label": KINDS, "other": KINDS, "a": TEXTS, "b": TEXTS}, text_column=["b", "a"], label_column="other"
    )
    assert (found.data, found.label, found.kind) == (("b", "a"), "other", "pair")
    assert found.why == {"texts": "columns 'b' and 'a', as asked", "labels": "column 'other', as asked"}


@pytest.mark.parametrize("names", [("premise", "hypothesis"), ("Sentence1", "Sentence2"), ("text_a", "text_b")])
def test_pairs(names):
    found = find({"label": KINDS, names[1]: TEXTS, names[0]: TEXTS[::-1]})
    assert (found.data, found.kind) == (names, "pair")


def test_names_beside_numbers():
    columns = {"text": TEXTS, "label": [0, 1, 2] * 4, "label_text": KINDS}
    assert find(columns).label == "label_text"
    assert find(columns | {"label_text": KINDS[::-1]}).label == "label_text"
    assert find(columns | {"label_text": ["x", "y", "y"] * 4}).label == "label"
    assert find(columns, label_column="label").label == "label"


def test_several_labels():
    sets = [["x", "y"], ["x"], []] * 4
    assert find({"text": TEXTS, "intents": sets}).several
    assert not find({"text": TEXTS, "labels": [[kind] for kind in KINDS]}).several
    assert find({"text": TEXTS, "labels": [[kind] for kind in KINDS]}, several=True).several
    written = find({"text": TEXTS, "tags": ["x;y", "x", "y;z"] * 4})
    assert (written.several, written.separator) == (True, ";")
    assert written.why["labels"] == "column 'tags', by its name; several in a cell, with ';' between them"
    assert not find({"text": TEXTS, "tags": ["x;y", "x", "y;z"] * 4}, several=False).several
    # Each set another one, so that no cell recurs.
    pairs = [f"{a};{b}" for a in "pqrs" for b in "xyz"]
    assert find({"text": TEXTS, "tags": pairs}).several


def test_a_column_for_each_label():
    flags = {"toxic": [0, 1] * 6, "threat": [1, 0] * 6, "insult": ["0", "1", "1"] * 4}
    found = find({"comment": TEXTS} | flags)
    assert (found.label, found.flags, found.several) == (None, ("toxic", "threat", "insult"), True)
    assert found.why["labels"] == "columns 'toxic', 'threat', 'insult', which hold 0 and 1: several in a row"
    assert find({"comment": TEXTS, "label": KINDS} | flags).flags == ()
    assert find({"comment": TEXTS, "label": KINDS} | flags, label_column=["toxic", "insult"]).flags == (
        "toxic",
        "insult",
    )
    assert find({"comment": TEXTS} | flags, label_column=["toxic"]).label == "toxic"


def test_images(tmp_path):
    pictures = [f"{i}.png" for i in range(12)]
    found = find({"file": pictures, "caption": TEXTS, "animal": KINDS})
    assert (found.data, found.label, found.kind) == (("file",), "animal", "image")
    # Of images that are elsewhere texts are taken, if their name says so.
    rows = {"image_url": [f"https://x.org/{i}.png" for i in range(12)], "text": TEXTS, "label": KINDS}
    found = find(rows)
    assert (found.data, found.kind) == (("text",), "text")
    assert found.why["texts"] == "column 'text', by its name (the files that 'image_url' names are not there)"
    (tmp_path / "3.png").touch()
    found = find_columns(str(tmp_path), datasets.Dataset.from_dict(rows | {"file": pictures}))
    assert (found.data, found.kind) == (("file",), "image")
    arrays = [[[0, 1], [2, 3]]] * 12
    assert find({"img": arrays, "label": KINDS}).data == ("img",)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"text": TEXTS, "label": KINDS}, {"text_column": "txt"}, r"text_column='txt' is not a column of 'my.csv'"),
        ({"text": TEXTS, "label": KINDS}, {"text_column": ["text"] * 3}, "names 3 columns: name one, or two of pairs"),
        (
            {"text": TEXTS, "file": ["a.png"] * 12, "label": KINDS},
            {"text_column": "text", "image_column": "file"},
            "text_column='text' and image_column='file' are both given: pass one of them",
        ),
        ({"text": TEXTS, "label": ["x"] * 12}, {}, "holds one class, 'x': two are needed at least"),
        ({"text": TEXTS, "label": TEXTS[::-1]}, {}, "holds 12 different values in 12 rows, too many for classes"),
        ({"text": TEXTS, "label": [None] * 12}, {}, "label_column='label' of 'my.csv' holds nothing"),
        (
            {"text": TEXTS * 3, "score": [i / 7 for i in range(36)]},
            {},
            "'score' .* 36 different numbers.* not supported",
        ),
        ({"text": TEXTS * 3, "label": list(range(18, 54))}, {}, r"from 18 to 53: .*\(regression\) is not supported"),
        ({"text": TEXTS, "a": KINDS, "b": KINDS}, {}, "several columns that could be the labels, 'a', 'b': pass lab"),
        ({"text": TEXTS}, {}, "no column whose values recur, as labels do, beside the data: add one"),
        ({"n": [1, 2, 3] * 4, "label": KINDS}, {}, "no column of texts or images beside the labels, but 'n'"),
        ({"n": [1, 2, 3] * 4, "label": KINDS}, {"text_column": "n"}, "Column 'n' holds numbers: name a column"),
        ({"text": TEXTS, "label": [["x", "y"]] * 12}, {"several": False}, "has rows of several labels, and several=F"),
    ],
)
def test_what_is_refused(columns, options, message):
    with pytest.raises(ValueError, match=message):
        find(columns, **options)


def test_rows_without_labels():
    found = find({"message": TEXTS, "n": list(range(12))}, has_labels=False)
    assert (found.data, found.label) == (("message",), None)
