"""Labelled texts from folders and files, and the draws from them."""

import bz2
import json
from types import SimpleNamespace

import datasets
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.study.data import (
    load_holdouts,
    load_texts,
    load_train_and_test,
    parse_map,
    sample_per_class,
    sample_rows,
    split_by_group,
    split_by_label,
    without_duplicates,
)
from tests.toys import LABELS


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def rows(labels, texts=None, names=LABELS):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))})
    texts = texts or [f"text {i}" for i in range(len(labels))]
    return datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)


def load(source, split="train", text="text", label="label", *args, **kwargs):
    return load_texts(str(source), split, text, label, *args, **kwargs)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def said(monkeypatch):
    """The warnings that were given."""
    messages = []
    monkeypatch.setattr("hf_augment.study.data.logger.warning", messages.append)
    return messages


@pytest.fixture
def folder(tmp_path):
    """As on the Hub: a parquet file for each split."""
    where = tmp_path / "reviews"
    where.mkdir()
    rows([1, 0, 1]).to_parquet(where / "train.parquet")
    rows([0, -1], ["dull", "who knows"]).to_parquet(where / "test.parquet")
    return where


def test_maps_of_labels():
    assert parse_map(None) == {}
    assert parse_map("") == {}
    assert parse_map(" fresh = positive , rotten=negative") == {"fresh": "positive", "rotten": "negative"}


@pytest.mark.parametrize("bad", ["fresh", "a=b=c", "a=b,", "=b", "a=", "a=b,,c=d", "a=b,a=c", "a==b", ","])
def test_what_is_not_a_map(bad):
    with pytest.raises(ValueError, match=r"label_map=.* is not a map of labels: write theirs=ours"):
        parse_map(bad)


def test_a_folder_as_on_the_hub(folder):
    train = load(folder)
    assert train.to_dict() == {"text": ["text 0", "text 1", "text 2"], "label": [1, 0, 1]}
    assert train.features == datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(LABELS))}
    )
    assert load(folder, "train[:2]")["text"][:] == ["text 0", "text 1"]


def test_rows_without_a_label_are_left_out(folder, tmp_path):
    assert load(folder, "test").to_dict() == {"text": ["dull"], "label": [0]}
    texts = write(tmp_path / "a.jsonl", '{"text": "x", "label": "b"}\n{"text": "y", "label": null}\n')
    assert load(texts).to_dict() == {"text": ["x"], "label": [0]}
    assert load(texts).features["label"].names == ["b"]
    only = tmp_path / "only.parquet"
    rows([-1, -1]).to_parquet(only)
    with pytest.raises(ValueError, match="has no row with a text and a label in split='train'"):
        load(only)


CSV = "review,stars,film\n  good one ,5,a\nbad one,1,b\n,1,b\nso so,3,c\n"
FILES = {
    "plain.csv": CSV.encode(),
    "packed.v1.csv.bz2": bz2.compress(CSV.encode()),
    "tabs.tsv": CSV.replace(",", "\t").encode(),
    "UPPER.CSV": CSV.encode(),
    "odd [1]*.csv": CSV.encode(),
    "lines.jsonl": b"".join(
        json.dumps({"review": r, "stars": s, "film": f}).encode() + b"\n"
        for r, s, f in [("good one", 5, "a"), ("bad one", 1, "b"), (None, 1, "b"), ("so so", 3, "c")]
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_single_files(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    dataset = load(tmp_path / name, "train", "review", "stars", keep_columns=("film",))
    assert dataset.to_dict() == {"text": ["good one", "bad one", "so so"], "label": [2, 0, 1], "film": ["a", "b", "c"]}
    assert dataset.features["label"].names == ["1", "3", "5"]
    mapped = load(tmp_path / name, "train", "review", "stars", "5=positive,1=negative")
    assert mapped.to_dict() == {"text": ["good one", "bad one"], "label": [1, 0]}
    assert mapped.features["label"].names == ["negative", "positive"]


#: What pandas takes for missing values.
WORDS = ["None", "NA", "null", "n/a", "nan", "NaN", "#N/A", "-nan", "<NA>", "N/A", "NULL"]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "folder/train.csv", "folder/train.tsv"])
def test_words_for_a_missing_value_are_words(tmp_path, said, name):
    (tmp_path / "folder").mkdir()
    sep = "\t" if name.endswith("tsv") else ","
    lines = ["text,label,film", *(f"{word},{word},{word}" for word in WORDS), "fine,good,007"]
    path = write(tmp_path / name, "\n".join(lines).replace(",", sep))
    dataset = load(path.parent if "folder" in name else path, keep_columns=("film",))
    assert dataset["text"][:] == [*WORDS, "fine"]
    assert dataset["film"][:] == [*WORDS, "007"]
    assert dataset.features["label"].names == sorted([*WORDS, "good"])
    assert [dataset.features["label"].int2str(i) for i in dataset["label"]] == [*WORDS, "good"]
    assert said == []


def test_holdouts_and_maps_of_such_words(tmp_path):
    path = write(tmp_path / "a.csv", "text,label\nx,None\ny,NA\nnull,01\n")
    assert load(path, "train", "text", "label", "None=neither,01=one").to_dict() == {
        "text": ["x", "null"],
        "label": [0, 1],
    }
    sets = load_holdouts(wanted(holdouts=[f"words|{path}|train|text|label|"]), load_texts, ["NA", "None", "01"], 0)
    assert sets["words"].to_dict() == {"text": ["x", "y", "null"], "label": [1, 0, 2]}


def test_empty_cells_are_counted_and_change_no_other(tmp_path, said):
    source = write(tmp_path / "a.csv", 'text,label\na,0\nb,\n,1\n"",1\nc,1\nd\n')
    dataset = load(source)
    assert dataset.to_dict() == {"text": ["a", "c"], "label": [0, 1]}
    assert dataset.features["label"].names == ["0", "1"]
    assert said == [
        f"'{source}': left out 2 row(s) without a label. The first is row 1, from 0.",
        f"'{source}': left out 2 row(s) without a text. The first is row 2, from 0.",
    ]


CSV_FORMS = {
    "as usual": "text,label\none,1\ntwo,0\n",
    "byte order mark": "\ufefftext,label\none,1\ntwo,0\n",
    "semicolons": "text;label\none;1\ntwo;0\n",
    "an index": ",text,label\n0,one,1\n1,two,0\n",
    "a comma too many": "text,label\none,1,\ntwo,0,\n",
    "quotes": '"text","label"\n"one","1"\n"two","0"\n',
    "carriage returns": "text,label\r\none,1\r\ntwo,0\r\n",
    "empty lines": "text,label\n\none,1\n\ntwo,0\n\n",
}


@pytest.mark.parametrize("form", CSV_FORMS)
def test_forms_of_csv(tmp_path, form):
    assert load(write(tmp_path / "a.csv", CSV_FORMS[form])).to_dict() == {"text": ["one", "two"], "label": [1, 0]}


def test_a_text_of_two_lines(tmp_path):
    source = write(tmp_path / "a.csv", 'text,label\n"one\ntwo, three",a\n')
    assert load(source)["text"][:] == ["one\ntwo, three"]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("text,label,label\na,1,2\n", ValueError, r"a.csv has the columns \['label'\] more than once: rename or drop"),
        ("text,label\na,b,1\nc,2\n", OSError, "Length of header or names does not match length of data"),
    ],
)
def test_csv_that_cannot_be_read_as_it_is_written(tmp_path, content, error, message):
    with pytest.raises(error, match=message):
        load(write(tmp_path / "a.csv", content))


def test_a_quotation_mark_that_would_swallow_rows(tmp_path):
    texts = ['"Quite', "well", 'good"', "bad"]
    source = tmp_path / "a.tsv"
    with pytest.raises(ValueError, match=r"a cell of several rows in column .text. of row 0, from 0: a quotation"):
        load(write(source, "text\tlabel\n" + "".join(f"{text}\t1\n" for text in texts)))
    doubled = [text.replace('"', '""') for text in texts]
    assert load(write(source, "text\tlabel\n" + "".join(f'"{text}"\t1\n' for text in doubled)))["text"][:] == texts


def test_labels_of_many_chunks(tmp_path):
    # Numbers first, a word after more rows than are read at a time.
    lines = [f"text {i},{i % 2}" for i in range(10_500)] + ["last,neither"]
    dataset = load(write(tmp_path / "a.csv", "text,label\n" + "\n".join(lines)))
    assert dataset.features["label"].names == ["0", "1", "neither"]
    assert len(dataset) == 10_501


JSON_LABELS = {
    "a gap": ([0, None, 1], ["0", "1"], [0, 1]),
    "fractions that are whole": ([0.0, 2.0, 1.0], ["0", "1", "2"], [0, 2, 1]),
    "fractions": ([0.5, 1.0], ["0.5", "1.0"], [0, 1]),
    "truth": ([True, False], ["False", "True"], [1, 0]),
    "leading zeros": (["007", "7", "08"], ["007", "7", "08"], [0, 1, 2]),
    "an empty name": (["", "b"], ["", "b"], [0, 1]),
    "words": (["NA", "null", None], ["NA", "null"], [0, 1]),
}


@pytest.mark.parametrize("case", JSON_LABELS)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet"])
def test_labels_of_typed_files(tmp_path, case, name):
    written, names, expected = JSON_LABELS[case]
    rows = [{"text": f"text {i}", "label": label} for i, label in enumerate(written)]
    if name == "a.parquet":
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / name)
    else:
        text = json.dumps(rows) if name == "a.json" else "\n".join(map(json.dumps, rows))
        write(tmp_path / name, text)
    dataset = load(tmp_path / name)
    assert (dataset.features["label"].names, dataset["label"][:]) == (names, expected)


def test_a_gap_that_pandas_made(tmp_path):
    pd.DataFrame({"text": ["a", "b", "c"], "label": [0, None, 1]}).to_parquet(tmp_path / "a.parquet")
    assert load(tmp_path / "a.parquet").features["label"].names == ["0", "1"]


def test_a_class_without_a_name_keeps_its_rows(tmp_path):
    rows([0, 1, 0], names=("", "b")).to_parquet(tmp_path / "a.parquet")
    dataset = load(tmp_path / "a.parquet")
    assert (dataset.features["label"].names, dataset["label"][:]) == (["", "b"], [0, 1, 0])


def test_labels_of_mixed_types(tmp_path):
    lines = write(tmp_path / "a.jsonl", '{"text": "x", "label": 0}\n{"text": "y", "label": "b"}\n')
    with pytest.raises(ValueError, match=r"label_column='label' of .* is Json.*: pass a column with one label"):
        load(lines)


def test_a_single_parquet_file(folder):
    assert load(folder / "train.parquet")["label"][:] == [1, 0, 1]
    with pytest.raises(ValueError, match=r"could not be read with split='test'.*\['train'\]"):
        load(folder / "train.parquet", "test")


def test_numbers_are_in_the_order_of_their_values(tmp_path):
    lines = "".join(f"text {i},{i}\n" for i in (10, 2, 1, 0))
    dataset = load(write(tmp_path / "a.csv", "text,label\n" + lines))
    assert dataset.features["label"].names == ["0", "1", "2", "10"]
    assert dataset["label"][:] == [3, 2, 1, 0]


def test_a_map_of_a_class_label_and_the_classes_of_another_set(folder):
    mapped = load(folder, "train", "text", "label", "positive=pos", ["neg", "pos"])
    assert mapped.to_dict() == {"text": ["text 0", "text 2"], "label": [1, 1]}
    # A class that no row here has is no error: it is the dataset's.
    assert load(folder, "test", "text", "label", "positive=pos,negative=neg").to_dict() == {
        "text": ["dull"],
        "label": [0],
    }
    assert load(folder, "train", label_names=["positive", "negative"])["label"][:] == [0, 1, 0]


def test_labels_that_are_not_known(folder, tmp_path):
    with pytest.raises(ValueError, match=r"label_map='good=pos' names \['good'\].*\['negative', 'positive'\]"):
        load(folder, "train", "text", "label", "good=pos")
    numbers = write(tmp_path / "a.csv", "text,label\nx,0\ny,1\nz,7\n")
    with pytest.raises(ValueError, match=r"labels \['7'\], which are none of \['0', '1'\]: map.*label_map='7=0'"):
        load(numbers, label_names=["0", "1"])
    # Numbers for which the ClassLabel has no name, as nothing but a file can have.
    table = datasets.Dataset.from_dict({"text": ["x", "y", "z"], "label": [0, 2, 7]}).data.table
    pq.write_table(table.replace_schema_metadata(rows([]).features.arrow_schema.metadata), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"'label' of .* has the labels \[2, 7\], but its ClassLabel names only 2"):
        load(tmp_path / "a.parquet")


def test_columns_that_are_not_there(folder):
    listed = r"is not a column of '.*reviews', which has \['text', 'label'\]"
    with pytest.raises(ValueError, match=f"text_column='sentence' {listed}"):
        load(folder, "train", "sentence")
    with pytest.raises(ValueError, match=f"label_column='stars' {listed}"):
        load(folder, "train", "text", "stars")
    with pytest.raises(ValueError, match=f"keep_columns='film' {listed}"):
        load(folder, keep_columns=("film",))
    with pytest.raises(ValueError, match=r"keep_columns=\('label',\) has a name that the result uses"):
        load(folder, keep_columns=("label",))


def test_a_column_of_several_labels(tmp_path):
    datasets.Dataset.from_dict({"text": ["a"], "label": [[0, 1]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"label_column='label' of .* one label in each row"):
        load(tmp_path / "a.parquet")


def test_nothing_left(folder, tmp_path):
    empty = write(tmp_path / "a.csv", "text,label\n ,a\n,b\n")
    with pytest.raises(ValueError, match="has no row with a text and a label in split='train'"):
        load(empty)
    with pytest.raises(ValueError, match=r"text_column='label' of .* is int64: name a column of texts"):
        load(folder, "train", "label")
    dates = write(tmp_path / "a.jsonl", '{"text": "2020-01-01", "label": "a"}\n')
    with pytest.raises(ValueError, match=r"text_column='text' of .* is timestamp"):
        load(dates)


def test_a_split_that_is_not_there(folder):
    with pytest.raises(
        ValueError, match=r"reviews' could not be read with split='validation'.*'train', 'test'\]"
    ) as e:
        load(folder, "validation")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "../nowhere.csv"])
def test_folders_that_are_not_there(name):
    with pytest.raises(FileNotFoundError, match=f"'{name}' does not exist: pass a folder, a file or a Hub id"):
        load(name)


def test_home_is_expanded(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(load("~/reviews")) == 3
    with pytest.raises(FileNotFoundError, match="'~/nothing' does not exist"):
        load("~/nothing")


@pytest.mark.parametrize("name", ["someone/no-such-dataset", "no-such-dataset"])
def test_the_hub_out_of_reach(monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=f"'{name}' is no folder here and could not be loaded from the Hub") as error:
        load(name)
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="is a file of no known type: use one of"):
        load(write(tmp_path / "a.docx", "x"))
    with pytest.raises(ValueError, match="could not be read with split='train'"):
        load(write(tmp_path / "a.parquet", "not parquet"))
    with pytest.raises(ValueError, match=r"could not be read .*: No columns to parse from file"):
        load(write(tmp_path / "empty.csv", ""))
    with pytest.raises(
        OSError, match=r"could not be read .*Expected 2 fields in line 3, saw 3\): check that"
    ) as error:
        load(write(tmp_path / "long.csv", "text,label\nfine,1\nwell, or so,0\n"))
    assert "\n" not in str(error.value)
    (tmp_path / "void").mkdir()
    with pytest.raises(FileNotFoundError, match="void doesn't contain any data files"):
        load(tmp_path / "void")


def grouped(groups):
    return datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(len(groups))], "film": groups})


def test_no_group_is_on_both_sides():
    films = [f"film {i % 10}" for i in range(57)]
    dataset = grouped(films)
    both = dict(zip(("train", "test"), split_by_group(dataset, "film", 0.3, seed=4), strict=True))
    assert both["train"].column_names == ["text"]
    film = dict(zip(dataset["text"][:], films, strict=True))
    sides = {side: {film[text] for text in both[side]["text"][:]} for side in both}
    assert sides["train"].isdisjoint(sides["test"])
    assert (len(sides["train"]), len(sides["test"])) == (7, 3)
    assert len(both["train"]) + len(both["test"]) == 57
    _, again = split_by_group(dataset.select(range(56, -1, -1)), "film", 0.3, seed=4)
    assert set(again["text"][:]) == set(both["test"]["text"][:])
    others = [set(split_by_group(dataset, "film", 0.3, seed=s)[1]["text"][:]) for s in range(5, 9)]
    assert any(other != set(both["test"]["text"][:]) for other in others)


def test_rows_of_no_group_are_one_group(said):
    both = split_by_group(grouped([None, "a", None, "b"]), "film", 0.34, seed=0)
    assert {len(side) for side in both} <= {1, 2, 3}
    assert sorted(both[0]["text"][:] + both[1]["text"][:]) == ["t0", "t1", "t2", "t3"]
    assert any({"t0", "t2"} <= set(side["text"][:]) for side in both)
    assert said == ["group_column='film' is empty in 2 rows, which are kept together."]


@pytest.mark.parametrize(("fraction", "groups"), [(0.0, 10), (1.0, 10), (0.01, 10), (0.5, 1), (-0.5, 4), (1.5, 4)])
def test_a_side_without_a_group(fraction, groups):
    with pytest.raises(ValueError, match=f"test_fraction={fraction} of the {groups} groups in 'film' would leave"):
        split_by_group(grouped([str(i) for i in range(groups)]), "film", fraction, seed=0)


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.integers(0, 2), min_size=8, max_size=60),
    fraction=st.floats(0.3, 0.7),
    seed=st.integers(0, 2**31),
)
def test_the_same_share_of_every_class_is_held_out(labels, fraction, seed):
    dataset = rows(labels, names=("a", "b", "c"))
    train, test = split_by_label(dataset, fraction, seed)
    positions = [[int(text.split()[1]) for text in side["text"][:]] for side in (train, test)]
    assert sorted(positions[0] + positions[1]) == list(range(len(labels)))
    assert all(side == sorted(side) for side in positions)
    counts = np.bincount(labels, minlength=3)
    shares = [min(round(fraction * count), max(count - 1, 0)) for count in counts]
    assert np.bincount(test["label"][:], minlength=3).tolist() == shares
    assert split_by_label(dataset, fraction, seed)[1]["text"][:] == test["text"][:]


def test_other_rows_are_held_out_by_other_seeds():
    dataset = rows([0, 1] * 20)
    draws = {tuple(split_by_label(dataset, 0.25, seed)[1]["text"][:]) for seed in range(4)}
    assert len(draws) == 4


def test_the_last_row_of_a_class_is_not_held_out():
    train, test = split_by_label(rows([0, 0, 0, 0, 1, 1, 2], names=("a", "b", "c")), 0.9, 0)
    assert np.bincount(train["label"][:]).tolist() == [1, 1, 1]
    assert np.bincount(test["label"][:]).tolist() == [3, 1]


@pytest.mark.parametrize(("labels", "fraction"), [([0, 1] * 4, 0.1), ([0], 0.9), ([0, 1], 0.5)])
def test_no_row_to_hold_out(labels, fraction):
    message = rf"test_fraction={fraction} of each class, of {len(labels)} rows in all, would leave no test row"
    with pytest.raises(ValueError, match=message):
        split_by_label(rows(labels), fraction, 0)


def wanted(**kwargs):
    """Arguments of an experiment, as far as its data go."""
    defaults = {
        "dataset": "x",
        "train_split": "train",
        "test_split": "test",
        "group_column": None,
        "test_fraction": 0.25,
        "max_test_rows": None,
        "holdouts": [],
    }
    return SimpleNamespace(**(defaults | kwargs))


class Loads:
    """Plays a loader: rows by split, and what was asked for."""

    def __init__(self, **splits):
        self.splits, self.calls = splits, []

    def __call__(self, split, label_names, keep_columns):
        self.calls.append((split, label_names, keep_columns))
        return self.splits[split]


def texts(dataset):
    return dataset["text"][:]


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


def test_the_first_of_each_text_stays():
    dataset = rows([0, 1, 1, 0], ["a", "b", "a", "c"])
    assert without_duplicates(dataset, texts).to_dict() == {"text": ["a", "b", "c"], "label": [0, 1, 0]}
    unique = rows([0, 1])
    assert without_duplicates(unique, texts) is unique
    assert texts(without_duplicates(dataset, texts, rows([0], ["b"]))) == ["a", "c"]


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


def test_some_rows():
    dataset = rows([0, 1] * 20)
    assert sample_rows(dataset, None, 1) is dataset
    assert sample_rows(dataset, 40, 1) is dataset
    assert sample_rows(dataset, 99, 1) is dataset
    draws = [sample_rows(dataset, 7, *key)["text"][:] for key in [(1, 0), (1, 0), (2, 0), (1, 1), (1, 2)]]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) == 4
    for draw in draws:
        positions = [int(text.split()[1]) for text in draw]
        assert positions == sorted(set(positions))
        assert len(positions) == 7
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"count={count} random rows"):
            sample_rows(dataset, count, 1)


def test_some_rows_of_each_class():
    dataset = rows([0] * 30 + [1] * 10)
    assert sample_per_class(dataset, None, 1) is dataset
    draws = [sample_per_class(dataset, 4, *key) for key in [(1, 0), (1, 0), (2, 0), (1, 1), (1, 2)]]
    for draw in draws:
        assert np.bincount(draw["label"][:]).tolist() == [4, 4]
        assert draw["label"][:] == sorted(draw["label"][:])
    assert draws[0].to_dict() == draws[1].to_dict()
    assert len({tuple(draw["text"][:]) for draw in draws}) == 4
    assert set(sample_per_class(dataset, 10, 3)["text"][-10:]) == set(dataset["text"][30:])
    with pytest.raises(ValueError, match="train_per_class=11 is more than the 10 rows of 'positive': lower it"):
        sample_per_class(dataset, 11, 1)
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"train_per_class={count} must be 1 or more"):
            sample_per_class(dataset, count, 1)
