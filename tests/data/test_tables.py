"""Files, folders and names that cannot be read."""

import pytest

from tests.data.rows import load, write


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
