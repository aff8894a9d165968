import datasets
import pytest

from hf_augment.training.preparing import RowMaker
from hf_augment.training.task import ClassTask
from tests.toys import TEXT


NAMES = ["negative", "positive"]
TEXTS = {"text": ["dull", "moving"]}


def maker(preprocess, forms=None, known=()):
    return RowMaker(ClassTask("labels", NAMES, forms), ["text"], known, preprocess)


def lengths(columns):
    return {"length": [len(text) for text in columns["text"]]}


def test_raw_columns_and_labels_come_with_what_preprocess_makes():
    assert maker(lengths).prepare(0, TEXTS, [0, 1]) == TEXTS | {"labels": [0, 1], "length": [4, 6]}
    assert maker(None).prepare(0, TEXTS, [0, 1]) == TEXTS | {"labels": [0, 1]}


@pytest.mark.parametrize(
    "labels",
    [
        lambda columns: columns["label"],
        lambda columns: [NAMES.index(word) for word in columns["category"]],
        lambda columns: [{"negative": 0, "positive": 1}[word] for word in columns["label"]],
    ],
    ids=["numbers", "words in a column of another name", "a table of words"],
)
def test_a_preprocess_that_also_writes_labels_is_given_the_raw_label_it_reads(labels):
    """The raw column was removed after `map`, as it is with `remove_columns`."""
    made = maker(lambda columns: lengths(columns) | {"labels": labels(columns)})
    for shard in (0, 1):
        assert made.prepare(shard, TEXTS, [1, 0])["labels"] == [1, 0]


def test_words_that_were_replaced_by_their_numbers_are_given_again():
    made = maker(lambda columns: {"labels": [{"negative": 0, "positive": 1}[word] for word in columns["labels"]]})
    assert made.prepare(0, TEXTS, [1, 0])["labels"] == [1, 0]


def test_a_label_column_that_is_still_there_has_its_form():
    forms = {"labels": [0, 1], "verdict": ["rotten", "fresh"]}
    made = maker(lambda columns: {"labels": [int(word == "fresh") for word in columns["verdict"]]}, forms)
    row = made.prepare(0, TEXTS, [1, 0])
    assert (row["verdict"], row["labels"]) == (["fresh", "rotten"], [1, 0])


def test_a_preprocess_that_gives_another_class_than_was_asked_for_is_named():
    made = maker(lambda columns: {"labels": [1, 1]})
    with pytest.raises(ValueError, match=r"preprocess gives labels=1 to an example of class 'negative', .* number 0"):
        made.prepare(0, TEXTS, [1, 0])


def test_one_hot_labels_are_kept_as_they_are_made():
    made = maker(lambda columns: {"labels": [[0.0, 1.0], [1.0, 0.0]]})
    assert made.prepare(0, TEXTS, [1, 0])["labels"] == [[0.0, 1.0], [1.0, 0.0]]


def test_other_columns_of_the_training_rows_hold_nothing():
    made = maker(lambda columns: {"id": columns["id"]}, known=["id", "text"])
    assert made.prepare(0, TEXTS, [1, 0])["id"] == [None, None]


def test_a_column_that_nothing_gives_is_named_with_those_there_are():
    made = maker(lambda columns: {"input_ids": columns["sentence"]})
    with pytest.raises(ValueError, match=r"preprocess found no 'sentence': .* columns \['text', 'labels'\]\. Let the"):
        made.prepare(0, TEXTS, [0, 1])


def test_a_word_that_is_looked_up_in_a_table_is_no_column():
    made = maker(lambda columns: {"id": [{"a": 0}[name] for name in columns["id"]]}, known=["id", "text"])
    with pytest.raises(KeyError) as caught:
        made.prepare(0, TEXTS, [0, 1])
    assert "Synthetic examples hold None in ['id']" in caught.value.__notes__[0]


def test_a_preprocess_that_drops_rows_is_named():
    with pytest.raises(ValueError, match="preprocess returned 1 values in column 'input_ids' for 2 examples"):
        maker(lambda columns: {"input_ids": [[1]]}).prepare(0, TEXTS, [0, 1])


ROWS = datasets.Dataset.from_dict({"text": ["a bc"], "label": [1], "id": [7]})


def transformed(function, **options):
    rows = ROWS.with_transform(function, **options)
    made = RowMaker(ClassTask("label", NAMES), ["text"], rows.column_names)
    apply = made.transform(rows)
    return list(rows[0]), apply(made.prepare(0, TEXTS, [0, 1]))


def test_a_transform_is_given_the_columns_of_its_format_and_others_are_kept_if_asked_for():
    keys, made = transformed(lengths, columns=["text"], output_all_columns=True)
    assert sorted(made) == sorted(keys)
    assert made == {"label": [0, 1], "id": [None, None], "length": [4, 6]}
    assert transformed(lengths)[1] == {"length": [4, 6]}
    _, made = transformed(lambda columns: {"given": [sorted(columns)] * len(columns["text"])}, columns=["text", "id"])
    assert made == {"given": [["id", "text"]] * 2}


def test_a_transform_may_read_or_keep_a_column_that_the_generator_lacks():
    _, made = transformed(lambda columns: lengths(columns) | {"id": columns["id"], "labels": columns["label"]})
    assert made == {"length": [4, 6], "id": [None, None], "labels": [0, 1]}


def test_a_function_that_cannot_do_without_such_a_column_is_told_of_it():
    with pytest.raises(TypeError) as caught:
        transformed(
            lambda columns: {"text": [t + str(i + 1) for t, i in zip(columns["text"], columns["id"], strict=True)]}
        )
    assert "Synthetic examples hold None in ['id']" in caught.value.__notes__[0]


def test_without_a_transform_there_is_none():
    assert maker(None).transform(TEXT.dataset()) is None
