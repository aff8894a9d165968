"""Data as people have them, opened by one call."""

import json
import unicodedata

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hf_augment.data.opening import open_data
from hf_augment.images.arrays import image_arrays
from tests.data.rows import write


KINDS = ("card_arrival", "lost_card", "refund")
RNG = np.random.default_rng(0)
WORDS = "please help me with my card money bank when where how to do account transfer london euro fast".split()  # noqa: SIM905


def sentences(count):
    return [f"{' '.join(RNG.choice(WORDS, 8, replace=False))} {i}" for i in range(count)]


TEXTS = sentences(60)
LABELS = [*KINDS] * 20
ROWS = pd.DataFrame({"text": TEXTS, "label": LABELS})


def names(data, rows):
    column = rows["labels" if data.several else "label"][:]
    return [[data.label_names[i] for i in row] if data.several else data.label_names[row] for row in column]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.json", "a.jsonl", "a.parquet", "saved", "both"])
def test_one_table(tmp_path, name):
    path = tmp_path / name
    if name == "saved":
        datasets.Dataset.from_pandas(ROWS).save_to_disk(path)
    elif name == "both":
        datasets.DatasetDict(train=datasets.Dataset.from_pandas(ROWS)).save_to_disk(path)
    elif "json" in name:
        ROWS.to_json(path, orient="records", lines=name == "a.jsonl")
    elif name == "a.parquet":
        ROWS.to_parquet(path)
    else:
        ROWS.to_csv(path, index=False, sep="\t" if name == "a.tsv" else ",")
    data = open_data(str(path))
    assert (data.kind, data.several, data.label_names) == ("text", False, list(KINDS))
    assert (len(data.train), len(data.test)) == (39, 21)
    assert np.bincount(data.test["label"][:]).tolist() == [7, 7, 7]
    assert sorted(data.train["text"][:] + data.test["text"][:]) == sorted(TEXTS)
    of = dict(zip(TEXTS, LABELS, strict=True))
    assert [of[text] for text in data.train["text"][:]] == names(data, data.train)
    assert data.why == [
        "texts: column 'text', by its name",
        "labels: column 'label', by its name",
        "test: 21 rows, a random part (33%), of each class the same share",
    ]
    assert data.left_out == {}


def test_a_division_depends_on_its_seed_alone(tmp_path):
    ROWS.to_csv(tmp_path / "a.csv", index=False)
    first, again, other = (open_data(str(tmp_path / "a.csv"), seed=seed).test["text"][:] for seed in (1, 1, 2))
    assert first == again != other
    assert len(open_data(str(tmp_path / "a.csv"), test_fraction=0.5).test) == 30
    with pytest.raises(ValueError, match=r"test_fraction=1.5 must be above 0 and below 1"):
        open_data(str(tmp_path / "a.csv"), test_fraction=1.5)


def test_test_rows_of_their_own(tmp_path):
    ROWS[:30].to_csv(tmp_path / "train.csv", index=False)
    ROWS[29:].to_csv(tmp_path / "test.csv", index=False)
    data = open_data(str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    # The row that is in both is tested on.
    assert (data.train["text"][:], data.test["text"][:]) == (TEXTS[:29], TEXTS[29:])
    assert data.left_out == {"that repeat another row or a test row": 1}
    assert open_data(str(tmp_path)).test["text"][:] == TEXTS[29:]
    assert open_data(str(tmp_path)).why[-1] == "test: the split 'test'"
    ROWS[["text"]].to_csv(tmp_path / "test.csv", index=False)
    data = open_data(str(tmp_path))
    assert set(data.test["text"][:]) < set(TEXTS[:30])
    assert "not used: test" in data.why
    with pytest.raises(ValueError, match=r"test.csv' has no column 'label' but 'text'"):
        open_data(str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    ROWS.assign(label="other").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(ValueError, match=r"test.csv' has the labels 'other', of which no training row is"):
        open_data(str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))


def test_rows_that_repeat_are_on_one_side(tmp_path):
    near = [text + " !" for text in TEXTS[:30]]
    rows = pd.concat([ROWS, ROWS[:6], pd.DataFrame({"text": near, "label": LABELS[:30]})])
    rows.to_csv(tmp_path / "a.csv", index=False)
    data = open_data(str(tmp_path / "a.csv"))
    stems = [{text.removesuffix(" !") for text in side["text"][:]} for side in (data.train, data.test)]
    assert not stems[0] & stems[1]
    left = data.left_out
    assert left["that repeat another row"] == 6
    assert left["of the test part that nearly repeat a labelled text"] == 90 - len(data.train) - len(data.test) > 0


def test_texts_that_differ_by_their_unicode_form_repeat(tmp_path):
    texts = [f"café crème {text}" for text in TEXTS]
    forms = [unicodedata.normalize(form, text) for text in texts for form in ("NFC", "NFD")]
    pd.DataFrame({"text": forms, "label": [label for label in LABELS for _ in "12"]}).to_csv(tmp_path / "a.csv")
    write(tmp_path / "more.txt", "\n".join(forms[1::2]))
    data = open_data(tmp_path / "a.csv", unlabelled=tmp_path / "more.txt")
    assert data.left_out["that repeat another row"] == 60
    # The first is kept, as it is written.
    assert {*data.train["text"][:], *data.test["text"][:]} == {*texts}
    assert len(data.unlabelled) == 60 - len(data.test)


def test_groups_are_on_one_side(tmp_path):
    rows = ROWS.assign(writer=[f"w{i // 3}" for i in range(60)])
    rows.rename(columns={"label": "kind"}).to_csv(tmp_path / "a.csv", index=False)
    data = open_data(str(tmp_path / "a.csv"), group_column="writer")
    assert data.label_names == list(KINDS)
    writers = [{TEXTS.index(text) // 3 for text in side["text"][:]} for side in (data.train, data.test)]
    assert not writers[0] & writers[1]
    assert len(writers[1]) == 4
    assert data.train.column_names == ["text", "label"]
    with pytest.raises(ValueError, match=r"test_fraction=0.01 of the 20 groups in 'writer' would leave"):
        open_data(str(tmp_path / "a.csv"), group_column="writer", test_fraction=0.01)


@pytest.mark.parametrize("division", [{"group_column": "writer"}, {"test_fraction": 0.5}])
def test_a_division_is_refused_where_there_are_test_rows(tmp_path, division):
    for name, rows in (("train", ROWS[:30]), ("test", ROWS[30:])):
        rows.assign(writer=range(30)).to_csv(tmp_path / f"{name}.csv", index=False)
    ((name, value),) = division.items()
    for source, more in ((tmp_path, {}), (tmp_path / "train.csv", {"test": str(tmp_path / "test.csv")})):
        told = rf"{name}={value!r} says which rows to test on, and there are test rows already \(.*\): leave it out"
        with pytest.raises(ValueError, match=told):
            open_data(str(source), **more, label_column="label", **division)


def test_lists_of_other_lengths_in_the_test_rows(tmp_path):
    one = datasets.Dataset.from_dict({"text": TEXTS, "label": [[label] for label in LABELS]})
    one.to_parquet(tmp_path / "train.parquet")
    more = [f"{text} too" for text in TEXTS]

    def opened(first):
        rows = {"text": more, "label": [first, *([label] for label in LABELS[1:])]}
        datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "test.parquet")
        return open_data(str(tmp_path / "train.parquet"), test=str(tmp_path / "test.parquet"))

    with pytest.raises(
        ValueError, match=r"has a row with the labels \['card_arrival', 'lost_card'\], and the training"
    ):
        opened([*KINDS[:2]])
    assert opened([]).left_out == {"without a label": 1}


def test_rows_without_text_or_label(tmp_path):
    rows = pd.concat([ROWS, pd.DataFrame({"text": ["", "  ", "a text"], "label": ["refund", "refund", ""]})])
    rows.to_csv(tmp_path / "a.csv", index=False)
    data = open_data(str(tmp_path / "a.csv"))
    assert len(data.train) + len(data.test) == 60
    assert data.left_out == {"without a text": 2, "without a label": 1}


def test_blank_cells_are_no_class(tmp_path):
    ROWS.assign(label=[label if i % 5 else " " for i, label in enumerate(LABELS)]).to_csv(tmp_path / "a.csv")
    data = open_data(tmp_path / "a.csv")
    assert (data.label_names, data.left_out) == (list(KINDS), {"without a label": 12})
    ROWS.assign(label=["a;b", "b", " ; ", "a", "b;"] * 12).to_csv(tmp_path / "a.csv")
    data = open_data(tmp_path / "a.csv")
    assert (data.label_names, data.left_out) == (["a", "b"], {"without a label": 12})


@pytest.mark.parametrize("missing", [-1, None])
def test_items_of_lists_that_are_missing(tmp_path, missing):
    feature = datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    features = datasets.Features({"text": datasets.Value("string"), "labels": feature})
    numbers = [[0, 1], [0, missing], [missing], [], [missing, 1]] * 12
    rows = datasets.Dataset.from_dict({"text": TEXTS, "labels": numbers}, features=features)
    rows.save_to_disk(tmp_path / "saved")
    data = open_data(tmp_path / "saved")
    assert (data.several, data.label_names, data.left_out) == (True, ["a", "b"], {"without a label": 12})
    assert {tuple(row) for row in names(data, data.train)} == {("a", "b"), ("a",), (), ("b",)}
    lists = [[None if i == missing else "abc"[i] for i in row] for row in numbers]
    lines = [json.dumps({"text": text, "labels": of_row}) for text, of_row in zip(TEXTS, lists, strict=True)]
    data = open_data(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert (data.label_names, data.left_out) == (["a", "b"], {"without a label": 12})


def test_labels_as_they_are_written(tmp_path):
    rows = ROWS.assign(label=[f" {label} " if i % 2 else label for i, label in enumerate(LABELS)])
    rows.to_csv(tmp_path / "a.csv", index=False)
    assert open_data(str(tmp_path / "a.csv")).label_names == list(KINDS)
    ROWS.assign(label=[float(KINDS.index(label)) for label in LABELS]).to_csv(tmp_path / "b.csv", index=False)
    assert open_data(str(tmp_path / "b.csv")).label_names == ["0", "1", "2"]
    mapped = open_data(str(tmp_path / "a.csv"), label_map="refund=money,lost_card=card")
    assert mapped.label_names == ["card", "money"]
    assert mapped.left_out == {"with a label that label_map does not have": 20}
    with pytest.raises(ValueError, match=r"label_map='gone=x' names \['gone'\], which are no labels of"):
        open_data(str(tmp_path / "a.csv"), label_map="gone=x")


def test_a_map_of_several_labels(tmp_path):
    ROWS.assign(label=["a;b", "b;c", "a", "c", "b", "[]"] * 10).to_csv(tmp_path / "a.csv", index=False)
    data = open_data(tmp_path / "a.csv", label_map="a=A,b=B")
    # No label of a row is lost: rows with one that the map does not have are left out.
    assert (data.label_names, data.left_out["with a label that label_map does not have"]) == (["A", "B"], 20)
    mapped = {text: [["A", "B"], None, ["A"], None, ["B"], []][i % 6] for i, text in enumerate(TEXTS)}
    assert names(data, data.train) == [mapped[text] for text in data.train["text"][:]]
    data = open_data(tmp_path / "a.csv", label_map="a=A,b=A,c=C")
    assert {tuple(row) for row in names(data, data.train)} == {("A",), ("A", "C"), ("C",), ()}


def test_a_map_of_labels_that_the_test_rows_lack(tmp_path):
    ROWS.to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"text": sentences(6), "label": [*KINDS[:2]] * 3}).to_csv(tmp_path / "test.csv", index=False)
    to = ",".join(f"{kind}={kind.upper()}" for kind in KINDS)
    data = open_data(tmp_path / "a.csv", test=tmp_path / "test.csv", label_map=to)
    assert (data.label_names, data.counts(data.test)) == ([kind.upper() for kind in KINDS], [3, 3, 0])
    with pytest.raises(ValueError, match=r"label_map='.*,gone=x' names \['gone'\], which are no labels of"):
        open_data(tmp_path / "a.csv", test=tmp_path / "test.csv", label_map=f"{to},gone=x")


def test_several_labels(tmp_path):
    sets = [["a", "b"], ["a"], [], ["c", "a"]] * 15
    lines = [json.dumps({"text": text, "tags": tags}) for text, tags in zip(TEXTS, sets, strict=True)]
    data = open_data(str(write(tmp_path / "a.jsonl", "\n".join(lines))))
    assert (data.several, data.label_names) == (True, ["a", "b", "c"])
    assert data.train.features["labels"] == datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    of = dict(zip(TEXTS, sets, strict=True))
    assert names(data, data.test) == [of[text] for text in data.test["text"][:]]
    # Of each rarest label, and of no label, the same share.
    assert sorted(map(len, names(data, data.test))) == [0] * 5 + [1] * 5 + [2] * 10
    written = ROWS.assign(label=["; ".join(tags) or "[]" for tags in sets])
    written.to_csv(tmp_path / "a.csv", index=False)
    assert names(open_data(str(tmp_path / "a.csv")), open_data(str(tmp_path / "a.csv")).test) == names(data, data.test)


def test_large_lists(tmp_path):
    labels = pa.array([["a"], ["a", "b"]] * 30, pa.large_list(pa.large_string()))
    pq.write_table(pa.table({"text": TEXTS, "labels": labels}), tmp_path / "a.parquet")
    data = open_data(tmp_path / "a.parquet")
    assert (data.several, data.label_names, data.counts(data.test)) == (True, ["a", "b"], [20, 10])


def test_a_label_that_could_be_a_set(tmp_path):
    ROWS.assign(label=["a;b", "none", "b", "a"] * 15).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=r"The label 'none' of rows with several labels cannot be told from a set of"):
        open_data(tmp_path / "a.csv")
    assert open_data(tmp_path / "a.csv", label_map="a=a,b=b,none=nothing").label_names == ["a", "b", "nothing"]


def test_lists_as_numpy_prints_them(tmp_path):
    written = [str(np.array(of_row)) for of_row in (["joy", "anger"], ["joy"], ["fear", "joy"])]
    ROWS.assign(label=written * 20).to_csv(tmp_path / "a.csv", index=False)
    assert open_data(tmp_path / "a.csv").label_names == ["anger", "fear", "joy"]
    # One label in a cell of the test rows is one, or none of the training rows.
    tests = pd.DataFrame({"text": sentences(4), "label": ["joy", "fear", "['anger', 'joy']", "joy"]})
    tests.to_csv(tmp_path / "test.csv", index=False)
    data = open_data(tmp_path / "a.csv", test=tmp_path / "test.csv")
    assert names(data, data.test) == [["joy"], ["fear"], ["anger", "joy"], ["joy"]]
    tests.assign(label="very happy joy").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(ValueError, match=r"test.csv' has the labels 'very happy joy', of which no training row is"):
        open_data(tmp_path / "a.csv", test=tmp_path / "test.csv")


def test_a_column_for_each_label(tmp_path):
    flags = {"toxic": [0, 1] * 30, "threat": [True, False, False] * 20}
    ROWS.drop(columns="label").assign(**flags).to_csv(tmp_path / "a.csv", index=False)
    data = open_data(tmp_path / "a.csv", label_column=["toxic", "threat"])
    assert (data.several, data.label_names) == (True, ["toxic", "threat"])
    of = {text: [name for name in flags if flags[name][row]] for row, text in enumerate(TEXTS)}
    assert names(data, data.test) == [of[text] for text in data.test["text"][:]]
    ROWS.assign(toxic=["0", "1", "x"] * 20, threat=1).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=r"'toxic' of .* has 'x' in row 2, from 0, where 0 or 1 says whether the row"):
        open_data(tmp_path / "a.csv", label_column=["toxic", "threat"])


def test_numbers_that_a_class_label_does_not_name(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a", "b"])})
    table = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 2] * 20}).data.table
    schema = datasets.Dataset.from_dict({"text": [], "label": []}, features=features).features.arrow_schema
    pq.write_table(table.replace_schema_metadata(schema.metadata), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"has the labels 2, but its ClassLabel names only 2 classes"):
        open_data(tmp_path / "a.parquet")


def test_pairs(tmp_path):
    ROWS.rename(columns={"text": "premise"}).assign(hypothesis=TEXTS[::-1]).to_csv(tmp_path / "a.csv", index=False)
    data = open_data(str(tmp_path / "a.csv"))
    assert (data.kind, data.train.column_names) == ("pair", ["text", "text_pair", "label"])
    assert {TEXTS[59 - TEXTS.index(text)] for text in data.test["text"][:]} == set(data.test["text_pair"][:])


def test_rows_without_labels(tmp_path):
    ROWS.to_csv(tmp_path / "a.csv", index=False)
    write(tmp_path / "more.txt", "one more\nand another\n\n")
    data = open_data(str(tmp_path / "a.csv"), unlabelled=str(tmp_path / "more.txt"))
    assert data.unlabelled.to_dict() == {"text": ["one more", "and another"]}
    pd.DataFrame({"id": [1, 2], "body": TEXTS[:2]}).to_csv(tmp_path / "more.csv", index=False)
    data = open_data(tmp_path / "a.csv", unlabelled=tmp_path / "more.csv")
    # What is tested on is learned in no form.
    assert data.unlabelled["text"][:] == [text for text in TEXTS[:2] if text not in data.test["text"][:]]
    pd.DataFrame({"body": [*TEXTS, "new", "new"]}).to_csv(tmp_path / "more.csv", index=False)
    data = open_data(tmp_path / "a.csv", unlabelled=tmp_path / "more.csv")
    assert data.unlabelled["text"][:] == [text for text in TEXTS if text not in data.test["text"][:]] + ["new"]
    assert data.left_out["without a label that repeat another row or a test row"] == 22


def test_splits_of_other_sources_that_are_not_used_are_told(tmp_path):
    ROWS.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "more").mkdir()
    for name in ("train", "test"):
        pd.DataFrame({"text": sentences(6), "label": [*KINDS] * 2}).to_csv(tmp_path / "more" / f"{name}.csv")
    more = tmp_path / "more"
    told = open_data(tmp_path / "a.csv", unlabelled=more).why
    assert told[-3:-2] + told[-1:] == [f"not used of unlabelled={more}: test", f"unlabelled: 6 rows of {more}"]
    told = open_data(tmp_path / "a.csv", test=more).why
    assert told[-2:] == [f"test: {more}", f"not used of test={more}: train"]


def test_labels_are_no_rows_without_labels(tmp_path):
    ROWS.to_csv(tmp_path / "a.csv", index=False)
    write(tmp_path / "labels.csv", "label\nyes\nno\n")
    with pytest.raises(ValueError, match=r"labels\.csv' has no column but 'label', of labels: pass rows of 'text'"):
        open_data(tmp_path / "a.csv", unlabelled=tmp_path / "labels.csv")
    write(tmp_path / "more.csv", "label,words\nyes,one more\nno,and another\n")
    data = open_data(tmp_path / "a.csv", unlabelled=tmp_path / "more.csv")
    assert data.unlabelled.to_dict() == {"text": ["one more", "and another"]}


def pictures(root, count=6, size=(40, 30)):
    for kind in ("cat", "dog"):
        for i in range(count):
            (root / kind).mkdir(parents=True, exist_ok=True)
            pixels = RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).convert("L" if i % 2 else "RGB").save(root / kind / f"{i}.png")
    return root


def test_a_folder_of_images(tmp_path):
    data = open_data(str(pictures(tmp_path / "pets")))
    assert (data.kind, data.label_names) == ("image", ["cat", "dog"])
    assert image_arrays(data.train).shape == (8, 32, 32, 3)
    assert np.bincount(data.test["label"][:]).tolist() == [2, 2]
    assert "image size: 32, since the shorter sides have a median of 30 pixels" in data.why
    assert data.forms.changes == {"resized": 12, "grey to colour": 6}
    assert image_arrays(open_data(str(tmp_path / "pets"), image_size=16).test).shape == (4, 16, 16, 3)
    (tmp_path / "pets/dog/1.png").write_text("no image")
    with pytest.raises(ValueError, match=r"pets': .*dog/1.png is a corrupt image \(of no known format\)"):
        open_data(str(tmp_path / "pets"))


def test_images_without_labels(tmp_path):
    pictures(tmp_path / "pets")
    pictures(tmp_path / "more", count=2, size=(50, 50))
    data = open_data(tmp_path / "pets", unlabelled=tmp_path / "more")
    assert image_arrays(data.unlabelled).shape == (4, 32, 32, 3)
    assert data.unlabelled.column_names == ["image"]


def test_a_table_that_names_images(tmp_path):
    pictures(tmp_path, size=(80, 90))
    rows = [(f"{kind}/{i}.png", f"a {kind}") for kind in ("cat", "dog") for i in range(6)]
    pd.DataFrame(rows, columns=["file", "animal"]).to_csv(tmp_path / "labels.csv", index=False)
    data = open_data(str(tmp_path / "labels.csv"))
    assert data.label_names == ["a cat", "a dog"]
    assert image_arrays(data.test).shape == (4, 64, 64, 3)
    pd.DataFrame([*rows, ("gone.png", "a dog")], columns=["file", "animal"]).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(ValueError, match=r"1 files that column 'file' .* names are not there, such as '.*gone.png'"):
        open_data(str(tmp_path / "b.csv"))


def test_images_in_one_folder(tmp_path):
    pictures(tmp_path / "all")
    folder = tmp_path / "all" / "cat"
    with pytest.raises(ValueError, match="has images, but no two folders of them, nor one table that names them"):
        open_data(str(folder))
    rows = [(f"{i}.png", "xy"[i % 2]) for i in range(6)]
    pd.DataFrame(rows, columns=["file", "label"]).to_csv(folder / "labels.csv", index=False)
    assert open_data(str(folder)).label_names == ["x", "y"]


def test_pixels(tmp_path):
    rows = [[*RNG.integers(0, 256, 16), "ab"[i % 2]] for i in range(20)]
    pd.DataFrame(rows, columns=[*map(str, range(16)), "label"]).to_csv(tmp_path / "a.csv", index=False)
    data = open_data(str(tmp_path / "a.csv"), image_column="pixels", image_size=4)
    assert image_arrays(data.train).shape == (14, 4, 4, 1)
    # Test rows and others are read in the same way, and groups are kept apart.
    table = pd.DataFrame([[*RNG.integers(0, 256, 16), "ab"[i % 2]] for i in range(6)])
    table.columns = [*map(str, range(16)), "label"]
    table.to_csv(tmp_path / "test.csv", index=False)
    table.drop(columns="label").to_csv(tmp_path / "more.csv", index=False)
    more = {name: str(tmp_path / f"{name}.csv") for name in ("test",)} | {"unlabelled": str(tmp_path / "more.csv")}
    data = open_data(str(tmp_path / "a.csv"), image_column="pixels", image_size=4, **more)
    assert (len(data.train), len(data.test), len(data.unlabelled)) == (20, 6, 0)
    more["unlabelled"] = str(tmp_path / "floats.csv")
    (table.drop(columns="label")[:1] // 2 * 1.0).to_csv(tmp_path / "floats.csv", index=False, header=False)
    data = open_data(str(tmp_path / "a.csv"), image_column="pixels", image_size=4, **more)
    assert image_arrays(data.unlabelled)[0].ravel().tolist() == (table.iloc[0, :16] // 2).tolist()
    assert image_arrays(data.test)[0].ravel().tolist() == table.iloc[0, :16].tolist()
    table.assign(writer=[1, 1, 2, 2, 3, 3]).to_csv(tmp_path / "b.csv", index=False)
    data = open_data(str(tmp_path / "b.csv"), image_column="pixels", image_size=4, group_column="writer")
    assert (len(data.train), len(data.test)) == (4, 2)
    with pytest.raises(ValueError, match=r"no column of texts or images .* and 8 more: .*'pixels' for a CSV file"):
        open_data(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("same text here", "a"), ("same text here", "b")] * 4, "would leave no test row"),
        (
            [(f"the very same long text in each row but {i}", "ab"[i % 2]) for i in range(12)],
            "no test row that ",
        ),
    ],
)
def test_nothing_to_test_on(tmp_path, rows, message):
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=message):
        open_data(str(tmp_path / "a.csv"))
