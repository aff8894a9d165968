"""Labelled texts from folders and files."""

import bz2
import json

import datasets
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hf_augment.data.holdouts import load_holdouts
from hf_augment.data.texts import load_texts
from tests.data.rows import load, rows, wanted, write
from tests.toys import LABELS


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
    listed = r"is not a column of '.*reviews', which has 'text', 'label'"
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
