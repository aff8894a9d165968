"""Files, folders and names that cannot be read."""

import datasets
import pandas as pd
import pytest

from hf_augment.data.tables import find_path, load_table, load_tables
from tests.data.rows import load, rows, write


def test_a_split_that_is_not_there(folder):
    with pytest.raises(
        ValueError, match=r"reviews' could not be read with split='validation'.*'test', 'train'\]"
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


def test_the_hub_out_of_reach(monkeypatch):
    name = "someone/no-such-dataset"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=f"'{name}' is no folder here and could not be loaded from the Hub") as error:
        load(name)
    assert "\n" not in str(error.value)


def test_a_configuration_of_a_dataset_on_the_hub(tmp_path, monkeypatch):
    folder, build = tmp_path / "on_the_hub", datasets.load_dataset_builder
    folder.mkdir()
    for name in ("first", "second"):
        write(folder / f"{name}.csv", f"text,label\n{name},1\n")
    files = "".join(f"- config_name: {name}\n  data_files: {name}.csv\n" for name in ("first", "second"))
    write(folder / "README.md", f"---\nconfigs:\n{files}---\n")
    monkeypatch.setattr("datasets.load_dataset_builder", lambda path, **more: build(str(folder), **more))
    assert load_tables("owner/name:second")["train"]["text"][:] == ["second"]
    with pytest.raises(ValueError, match=r"available configs.*OWNER/NAME:CONFIGURATION\.$") as error:
        load_tables("owner/name")
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="is a file of no known type: use one of"):
        load(write(tmp_path / "a.docx", "x"))
    with pytest.raises(ValueError, match="could not be read: Parquet magic bytes"):
        load(write(tmp_path / "a.parquet", "not parquet"))
    with pytest.raises(ValueError, match=r"empty.csv' is empty"):
        load(write(tmp_path / "empty.csv", ""))
    with pytest.raises(
        OSError, match=r"could not be read .*Expected 2 fields in line 3, saw 3\): check that"
    ) as error:
        load(write(tmp_path / "long.csv", "text,label\nfine,1\nwell, or so,0\n"))
    assert "\n" not in str(error.value)
    (tmp_path / "void").mkdir()
    with pytest.raises(OSError, match=r"void' holds no file of data: pass a folder of CSV, TSV"):
        load(tmp_path / "void")


def test_a_path_that_is_not_there_is_not_looked_up_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "reviews.csv", "text,label\na,b\n")
    for name in ("data/reviewz", "my.csv", "owner/my.CSV", "reviews", "a/b/c", "data/reviews.csv.gz"):
        with pytest.raises(FileNotFoundError, match=f"'{name}' does not exist: pass a folder, a file or a Hub id"):
            find_path(name)
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'data/reviews.csv'\?"):
        find_path("data/review.csv")
    assert find_path("owner/reviews") is None
    assert find_path("data/reviews.csv").name == "reviews.csv"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("sep", [",", ";", "\t", "|"])
def test_what_spreadsheets_write(tmp_path, encoding, sep):
    (tmp_path / "a.csv").write_text(f"text{sep}label\nça va{sep}b\n", encoding=encoding)
    assert load_tables(str(tmp_path / "a.csv"))["train"].to_dict() == {"text": ["ça va"], "label": ["b"]}


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.csv", "text,label\nfoo,ça\n".encode("latin-1"), OSError, r"is not in UTF-8 \(.*\): save it in that enc"),
        ("a.csv", b"text,label\n", ValueError, "a.csv' could not be read: it has no row"),
        (
            "a.csv",
            b"good,pos\nbad,neg\nfine,pos\ndull,pos",
            ValueError,
            "has no header: its first line has 'pos', which 2",
        ),
        ("a.csv", b"good,pos\nbad,neg\nfine,pos\ndull,neg", ValueError, "has 'pos', which another row has in that"),
        (
            "a.csv",
            b"text,label\ngood,pos\nbad,neg\ntext,label\ndull,neg\nfine,pos\n",
            ValueError,
            r"a.csv' has its header again in row 2, from 0: drop that row\.",
        ),
        ("a.json", b'{"data": [{"text": "a"}]}', ValueError, "has one record: write a list of records"),
        ("a.xlsx", b"x", OSError, "a.xlsx' could not be read .*: check that the file is whole"),
    ],
)
def test_files_that_cannot_be_taken(tmp_path, name, content, error, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        load_tables(str(tmp_path / name))


def test_a_spreadsheet(tmp_path, monkeypatch):
    table = pd.DataFrame({"text": ["a", None], "label": ["007", "NA"]})
    sheets = {"Table1": table, "Notes": pd.DataFrame()}

    def read_excel(path, **options):
        assert options == {"sheet_name": None, "dtype": str, "keep_default_na": False, "na_values": [""]}
        return sheets

    monkeypatch.setattr(pd, "read_excel", read_excel)
    write(tmp_path / "a.xlsx", "x")
    read = {"text": ["a", None], "label": ["007", "NA"]}
    assert load_tables(str(tmp_path / "a.xlsx"))["train"].to_dict() == read
    # Several sheets with rows are splits, or one has to be chosen.
    sheets["Notes"] = table[:1]
    with pytest.raises(ValueError, match=r"a.xlsx' has rows in the sheets 'Table1', 'Notes': save the one with"):
        load_tables(str(tmp_path / "a.xlsx"))
    sheets["Train "], sheets["test"] = sheets.pop("Table1"), sheets.pop("Notes")
    found = {name: rows.to_dict() for name, rows in load_tables(str(tmp_path / "a.xlsx")).items()}
    assert found == {"train": read, "test": {"text": ["a"], "label": ["007"]}}
    (tmp_path / "both").mkdir()
    for name in ("train.xlsx", "test.xlsx"):
        write(tmp_path / "both" / name, "x")
    with pytest.raises(ValueError, match=r"t[a-z]+.xlsx' has the splits train, test, beside files of splits: pass it"):
        load_tables(str(tmp_path / "both"))
    sheets.clear()
    sheets["Table1"] = pd.DataFrame({"good one": ["bad", "fine", "dull"], "pos": ["neg", "pos", "pos"]})
    with pytest.raises(ValueError, match=r"a.xlsx' has no header: its first line has 'pos', which 2 rows have"):
        load_tables(str(tmp_path / "a.xlsx"))
    sheets.clear()
    with pytest.raises(OSError, match=r"a.xlsx' has no row in any sheet"):
        load_tables(str(tmp_path / "a.xlsx"))


def test_a_spreadsheet_without_the_package_that_reads_it(tmp_path, monkeypatch):
    def missing(path, **options):
        raise ImportError("Missing optional dependency 'openpyxl'. Use pip or conda to install openpyxl.")

    monkeypatch.setattr(pd, "read_excel", missing)
    write(tmp_path / "a.xlsx", "x")
    with pytest.raises(OSError, match=r"a.xlsx' cannot be read: Missing .*openpyxl\. Or save the sheet as CSV"):
        load_tables(str(tmp_path / "a.xlsx"))


def test_a_part_of_what_was_saved(tmp_path):
    rows([0, 1, 0, 1]).save_to_disk(tmp_path / "saved")
    assert load_table(str(tmp_path / "saved"), "train[1:3]")["label"][:] == [1, 0]
    assert load_table(str(tmp_path / "saved"), "train[:25%]+train[3:]")["label"][:] == [0, 1]


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_what_was_saved_with_a_format(tmp_path, kind):
    table = rows([0, 1])
    table.set_format(kind)
    datasets.DatasetDict(train=table).save_to_disk(tmp_path / "both")
    table.save_to_disk(tmp_path / "saved")
    for name in ("saved", "both"):
        assert load_tables(str(tmp_path / name))["train"]["label"][:] == [0, 1]


def test_a_folder_with_a_card_is_read_as_it_is_now(tmp_path):
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: train.parquet\n---\n")
    for count in (4, 6):
        pd.DataFrame({"text": list("abcdef")[:count], "label": [0] * count}).to_parquet(tmp_path / "train.parquet")
        assert len(load_tables(str(tmp_path))["train"]) == count


def test_files_named_after_two_names_of_a_split(tmp_path):
    for name in ("train", "test", "eval"):
        write(tmp_path / f"{name}.csv", f"text,label\n{name},1\n")
    found = {split: table["text"][:] for split, table in load_tables(str(tmp_path)).items()}
    assert found == {"train": ["train"], "test": ["test"], "eval": ["eval"]}


@pytest.mark.parametrize(
    ("names", "read", "left"),
    [
        (["train.csv", "more.csv"], "'train.csv'", "'more.csv'"),
        (["a.csv", "b.jsonl"], "'b.jsonl'", "'a.csv'"),
        (["a.csv", "b.csv", "deep/c.parquet"], "'a.csv', 'b.csv'", "'deep/c.parquet'"),
        (["a.csv", "b.jsonl.gz", "LICENSE.txt", "README.txt", "c.csv"], "'a.csv', 'c.csv'", "'b.jsonl.gz'"),
    ],
)
def test_no_file_of_a_folder_is_left_out_in_silence(tmp_path, names, read, left):
    for i, name in enumerate(names):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame({"text": [f"text {i}"], "label": ["a"]})
        if ".json" in name:
            table.to_json(file, orient="records", lines=True)
        elif ".parquet" in name:
            table.to_parquet(file)
        else:
            table.to_csv(file, index=False)
    told = rf"data' could not be read: of its files {read} would be read, and {left} left out: put the rows into one f"
    with pytest.raises(ValueError, match=told):
        load_tables(str(tmp_path / "data"))


def test_what_may_lie_beside_tables(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("data[1].csv", "more.csv"):
        write(folder / name, f"text,label\n{name},1\n")
    for name in ("LICENSE.txt", "README.txt", "notes.txt", "README.md", "dataset_infos.json", ".hidden.csv"):
        write(folder / name, "{}")
    assert load_tables(str(folder))["train"]["text"][:] == ["data[1].csv", "more.csv"]
    (folder / "more.csv").unlink()
    assert load_tables(str(folder))["train"]["text"][:] == ["data[1].csv"]


@pytest.mark.parametrize("sep", [",", ";"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_quotation_mark_that_swallows_rows(tmp_path, sep, order):
    texts = ["fine", '"so so', "dull", "good", '"nice" one', "bad", "poor", "great"]
    rows = [(text, "pn"[i % 2]) for i, text in enumerate(texts)]
    lines = [sep.join(cells[::order]) for cells in [("text", "label"), *rows]]
    told = r"a.csv' has a cell of several rows in column 'text' of row 1, from 0: a quotation mark at its beginning is"
    with pytest.raises(ValueError, match=told):
        load_tables(str(write(tmp_path / "a.csv", "\n".join(lines) + "\n")))


def test_a_text_of_several_lines_is_no_swallowed_row(tmp_path):
    texts = ["Hi,\nI lost it, and more.\np,\n", "one\r\ntwo, three\r\n", "text", "p", "Hi"]
    table = pd.DataFrame({"text": texts, "label": ["p", "n", "p", "n", "p"]})
    table.to_csv(tmp_path / "a.csv", index=False)
    assert load_tables(str(tmp_path / "a.csv"))["train"]["text"][:] == texts


def test_a_folder_of_links(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    # As in the Hub's cache.
    (folder / "more.txt.csv").symlink_to(write(tmp_path / "blob", "text,label\nmore,1\n"))
    assert load_tables(str(folder))["train"]["text"][:] == ["more"]
    write(folder / "a.csv", "text,label\na,1\n")
    (folder / "b.jsonl").symlink_to(write(tmp_path / "other", '{"text": "b"}'))
    with pytest.raises(ValueError, match=r"'a.csv', 'more.txt.csv' would be read, and 'b.jsonl' left out"):
        load_tables(str(folder))
