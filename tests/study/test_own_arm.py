"""One arm on one's own data, by the command line: a classifier to load, and examples alone."""

import csv
import json
import re
from pathlib import Path

import datasets
import pytest
from transformers import pipeline

from hf_augment import Filter, Verdict
from hf_augment.cli import main
from hf_augment.data.opening import open_data
from hf_augment.study.labelled import LabelledData
from hf_augment.study.written_examples import as_opened
from hf_augment.training.blend import SHARD_FOLDER
from tests.study.test_own_data import pictures, tiny  # noqa: F401 - fixtures
from tests.toys import TEXT


MODELS = ["--model", "tiny", "--generator_model", "lm", "--backend", "torch", "--max_new_tokens", "6"]
#: Random models write what no judge would confirm.
EASY = ["--max_steps", "3", "--per_device_train_batch_size", "4"]


def generated(folder):
    return datasets.load_dataset(str(folder), split="train")


@pytest.fixture
def accepting(monkeypatch):
    """Filters that accept what random models write."""
    monkeypatch.setattr("hf_augment.study.text.TextFilters.__call__", lambda *_: [])


def test_the_classifier_is_in_its_folder_alone_and_is_loaded_with_the_names_of_the_file(tiny, accepting, capsys):  # noqa: F811
    command = ["train", "tickets.csv", *MODELS, *EASY, "--output_dir", "mine"]
    main(command)
    told = capsys.readouterr().out
    assert "prompted: accuracy " in told
    assert 'model="mine"' in told
    assert "max_test_rows" not in told
    files = {path.name for path in Path("mine").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", ".cache"} <= files
    found = pipeline("text-classification", model="mine")("a film")[0]["label"]
    assert found in TEXT.rows(4).features["label"].names
    # The same again trains nothing.
    main(command)
    assert "train_runtime" not in capsys.readouterr().out


def test_any_arm_is_trained_and_an_unknown_one_is_named(tiny, capsys):  # noqa: F811
    main(["train", "tickets.csv", *MODELS, *EASY, "--arm", "baseline_same_steps"])
    assert Path("runs/tickets-baseline_same_steps/model.safetensors").is_file()
    with pytest.raises(SystemExit, match=r"There is no arm 'nice'\. There are probe, eda, prompted, probe_prompted"):
        main(["train", "tickets.csv", *MODELS, "--arm", "nice"])


def test_a_probe_of_generated_examples_has_its_arm(tiny, accepting, capsys):  # noqa: F811
    main(["train", "tickets.csv", *MODELS, *EASY, "--arm", "probe_prompted", "--output_dir", "mine"])
    assert "probe_prompted: accuracy" in capsys.readouterr().out
    assert Path("mine/model.safetensors").is_file()


def test_exactly_so_many_examples_are_written_and_more_begin_with_them(tiny, accepting, capsys):  # noqa: F811
    command = ["generate", "tickets.csv", *MODELS, "--out", "made"]
    main([*command, "--examples", "5"])
    first = generated("made")
    assert len(first) == 5
    assert first.features["label"].names == TEXT.rows(4).features["label"].names
    assert first.column_names == ["text", "label"]
    assert "5 examples that lm generated" in Path("made/README.md").read_text()
    main([*command, "--examples", "40"])
    more = generated("made")
    assert (len(more), more[:5]) == (40, first[:])
    assert "learning_rate" not in capsys.readouterr().out
    # What is written can be opened again.
    assert len(open_data("made").train) > 0


class Even(Filter):
    """Accepts texts of an even length."""

    name = "even"

    def judge(self, examples, labels):
        return [Verdict(len(example["text"]) % 2 == 0, score=None, reason="odd") for example in examples]

    def fingerprint(self):
        return "even"


def test_what_is_missing_and_why_is_said_and_rejects_are_kept(tiny, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setattr("hf_augment.study.text.TextFilters.__call__", lambda *_: [Even()])
    main(["generate", "tickets.csv", *MODELS, "--out", "made", "--examples", "50", "--max_candidates", "33"])
    told = capsys.readouterr().out
    made = generated("made")
    assert all(len(text) % 2 == 0 for text in made["text"])
    assert re.search(rf"! {50 - len(made)} of 50 examples are missing: of \d\d candidates, 33 or more", told)
    rejected = datasets.load_dataset("made", "rejected", split="train")
    assert rejected.column_names == ["text", "label", "filter", "reason", "score"]
    assert set(rejected["label"]) <= set(TEXT.rows(4).features["label"].names)
    assert set(rejected["reason"]) == {"odd"}


def test_of_nothing_that_is_accepted_it_is_said_what_rejected_it(tiny, monkeypatch, capsys):  # noqa: F811
    class Strict(Filter):
        name = "strict"

        def judge(self, examples, labels):
            return [Verdict(False, 0.0, "never") for _ in examples]

        def fingerprint(self):
            return "strict"

    monkeypatch.setattr("hf_augment.study.text.TextFilters.__call__", lambda *_: [Strict()])
    with pytest.raises(SystemExit, match="Of 96 candidates filters accepted none, so there is nothing to write"):
        main(["generate", "tickets.csv", *MODELS, "--out", "made", "--examples", "4", "--max_candidates", "60"])
    told = capsys.readouterr().out
    assert re.search(r"strict\W+96\W+96", told)
    assert {path.name for path in Path("made").iterdir()} == {".cache"}


def test_sets_of_labels_are_written_as_they_are_read(tiny, accepting):  # noqa: F811
    texts = [f"{text} {i}" for i, text in enumerate(TEXT.rows(60)["text"][:])]
    with open("several.csv", "w", newline="") as file:
        rows = [[text, ("card;lost", "lost", "new")[i % 3]] for i, text in enumerate(texts)]
        csv.writer(file).writerows([["text", "labels"], *rows])
    main(["generate", "several.csv", *MODELS, "--out", "sets", "--examples", "6"])
    sets = generated("sets")
    assert sets.features["labels"].feature.names == ["card", "lost", "new"]
    assert {tuple(labels) for labels in sets["labels"]} <= {(0, 1), (1,), (2,)}
    # A row with two labels is one example.
    assert "6 examples that lm generated" in Path("sets/README.md").read_text()


@pytest.mark.slow
def test_images_are_written_as_images(pictures, monkeypatch):  # noqa: F811
    monkeypatch.setattr("hf_augment.study.settling.GAN_STEPS", 4)
    monkeypatch.setattr("hf_augment.study.image.ImageFilters.__call__", lambda *_: [])
    main(["generate", "pictures", "--out", "made", "--examples", "3"])
    rows = generated("made")
    assert rows.features["image"] == datasets.Image()
    assert rows[0]["image"].size == (32, 32)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--examples", "0"], "examples=0 must be 1 or more"),
        (["--max_candidates", "0"], "max_candidates=0 must be 1 or more"),
        (["--generator", "eda"], "generator='eda' is no generator by itself: it must be 'prompted' or 'trained'"),
        (["--exampels", "3"], r"unknown: --exampels \(did you mean --examples\?\)"),
    ],
)
def test_what_generates_nothing_is_refused(typed, told, tiny):  # noqa: F811
    with pytest.raises(SystemExit, match=told):
        main(["generate", "tickets.csv", *MODELS, "--out", "made", *typed])
    assert not Path("made/README.md").exists()


def test_nothing_of_the_work_is_beside_what_was_asked_for(tiny, accepting):  # noqa: F811
    main(["generate", "tickets.csv", *MODELS, "--out", "made", "--examples", "4"])
    assert {path.name for path in Path("made").iterdir()} == {"README.md", "data", ".cache"}
    assert (Path("made") / SHARD_FOLDER).is_dir()
    assert "made" not in json.dumps(datasets.load_dataset("made", split="train").features.to_dict())


def test_pairs_are_written_in_two_columns():
    class Store:
        label_names = ("n", "y")

        def dataset(self):
            label = datasets.ClassLabel(names=["n", "y"])
            columns = {
                "text": ["a ||| b", "c ||| d"],
                "label": [1, 0],
                "slot": [0, 1],
                "label_probabilities": [None] * 2,
            }
            return datasets.Dataset.from_dict(columns).cast_column("label", label)

    rows = datasets.Dataset.from_dict({"text": ["x"], "text_pair": ["y"], "label": [0]})
    rows = rows.cast_column("label", datasets.ClassLabel(names=["n", "y"]))
    assert as_opened(LabelledData(rows, {"test": rows}), Store(), 1).to_dict() == {
        "text": ["a"],
        "text_pair": ["b"],
        "label": [1],
    }


@pytest.mark.parametrize(("command", "option"), [("train", "--output_dir"), ("generate", "--out")])
def test_a_folder_with_other_files_is_left_alone(command, option, tiny):  # noqa: F811
    Path("mine").mkdir()
    Path("mine/README.md").write_text("notes")
    with pytest.raises(SystemExit, match=rf"{option[2:]}='mine' holds other files: pass a new folder"):
        main([command, "tickets.csv", *MODELS, option, "mine"])
    assert Path("mine/README.md").read_text() == "notes"


@pytest.mark.parametrize("command", [["train"], ["fill"], ["generate", "--out", "made"]])
def test_a_push_that_would_not_be_done_is_refused(command, tiny):  # noqa: F811
    with pytest.raises(SystemExit, match="push_to_hub is of `hf_augment experiment`, whose cards say"):
        main([*command, "tickets.csv", *MODELS, "--push_to_hub", "--hub_model_id", "user/name"])
    assert not Path("made").exists()
