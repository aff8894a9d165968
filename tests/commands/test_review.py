"""`hf_augment review`: the list from the page in, what is left out."""

import datasets

from hf_augment.cli import main
from tests.reporting.builders import image_store


def test_what_is_listed_is_left_out(tmp_path, capsys):
    made = image_store(tmp_path / "run/split-0/gan-shards", count=5)
    (tmp_path / "ids.txt").write_text(f"\ufeff{made.folder.name}-0\r\n{made.folder.name}-3\r\n")
    out = tmp_path / "out"
    main(["review", str(tmp_path / "run"), "--reject", str(tmp_path / "ids.txt"), "--out", str(out)])
    assert capsys.readouterr().out == f"{out / 'gan'}: 3 examples, without the 2 that you rejected\n"
    assert len(datasets.load_from_disk(out / "gan")) == 3


def test_a_class_without_an_example_is_named(tmp_path, capsys):
    made = image_store(tmp_path / "run/split-0/gan-shards", count=3)
    (tmp_path / "ids.txt").write_text(f"{made.folder.name}-1")
    main(["review", str(tmp_path / "run"), "--reject", str(tmp_path / "ids.txt"), "--out", str(tmp_path / "out")])
    assert "! No example of negative is left, and DatasetGenerator needs" in capsys.readouterr().out
