"""The recipe from end to end with tiny models in local folders, and what it refuses."""

import json
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hf_augment import ShardStore
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toys import toy_rows


ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A dataset in parquet, a classifier and a language model."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "data").mkdir()
    toy_rows(60).to_parquet(folder / "data/train.parquet")
    toy_rows(20, seed=1).to_parquet(folder / "data/test.parquet")
    tokenizer = tiny_tokenizer()
    for name, model in (("classifier", tiny_classifier()), ("lm", tiny_causal_lm(tokenizer))):
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


def recipe_arguments(parts):
    defaults = {
        "dataset": parts / "data",
        "model": parts / "classifier",
        "generator_model": parts / "lm",
        "instruct_model": parts / "lm",
        "instruct_negative": "negative",
        "instruct_positive": "positive",
        "output_dir": parts / "run",
        "train_per_class": 8,
        "num_train_epochs": 2,
        "generator_num_train_epochs": 1,
        "max_length": 24,
        "generator_max_length": 24,
        "max_new_tokens": 8,
        "min_label_probability": 0.05,
        "synthetic_shard_size": 16,
        "zero_shot_rows": 4,
        "save_strategy": "no",
        "dataloader_pin_memory": "false",
    }
    holdout = f"again|{parts / 'data'}|test|text|label|negative=negative,positive=positive"
    pairs = [(f"--{name}", str(value)) for name, value in defaults.items()]
    return ["--holdouts", holdout, *(word for pair in pairs for word in pair)]


def run(parts, *arguments, launcher=(), timeout=250):
    command = [sys.executable, *launcher, str(ROOT / "recipes/imdb.py"), *recipe_arguments(parts)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HOME": str(parts / "home"), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=environment,
        cwd=parts,
    )


@pytest.mark.slow
def test_the_whole_story_and_again_from_what_is_on_disk(parts):
    first = run(parts, "--generators", "trained", "instruct", "--seeds", "2")
    assert first.returncode == 0, first.stderr[-3000:]
    results = json.loads((parts / "run/report/results.json").read_text())
    runs = results["runs"]
    assert [(r["arm"], r["seed"]) for r in runs] == [
        (arm, seed) for arm in ("baseline", "baseline_same_steps", "trained", "instruct") for seed in (0, 1)
    ]
    steps = {r["arm"]: r["steps"] for r in runs}
    assert steps == {"baseline": 2, "baseline_same_steps": 4, "trained": 4, "instruct": 4}
    assert all(set(r["metrics"]) == {"test", "again"} for r in runs)
    assert {d["verdict"] for d in results["differences"]} <= {"helps", "hurts", "no detectable effect"}
    (store,) = (parts / "run/split-0/instruct-shards").iterdir()
    assert set(ShardStore.open(store).dataset().column_names) == {"text", "label", "slot", "label_probabilities"}
    # Of pickles only what the stock Trainer writes, and only in its checkpoints.
    assert not [path for path in (parts / "run").rglob("*") if path.suffix in {".bin", ".pkl", ".pt", ".pth"}]

    start = time.time()
    second = run(parts, "--generators", "trained", "instruct", "--seeds", "2")
    assert second.returncode == 0, second.stderr[-3000:]
    assert "train_runtime" not in second.stdout
    assert json.loads((parts / "run/report/results.json").read_text()) == results
    assert time.time() - start < 60

    other = run(parts, "--learning_rate", "1e-3")
    assert other.returncode != 0
    assert "was made with learning_rate='2e-05', and now it is '0.001'" in other.stderr


@pytest.mark.slow
def test_the_story_with_two_processes(parts):
    # What `accelerate launch` runs; by itself it starts several processes on a CPU through MPI alone.
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    output = ("--output_dir", parts / "run-2")
    done = run(parts, *output, "--use_cpu", "true", "--ddp_backend", "gloo", launcher=launcher)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((parts / "run-2/report/results.json").read_text())
    assert {r["arm"]: r["steps"] for r in results["runs"]} == {"baseline": 2, "baseline_same_steps": 2, "trained": 2}


BAD = {
    "text column": (["--text_column", "sentence"], "text_column='sentence' is not a column"),
    "label column": (["--label_column", "stars"], "label_column='stars' is not a column"),
    "unknown label": (["--label_map", "good=positive"], r"label_map='good=positive' names ['good']"),
    "dataset that is not there": (["--dataset", "./nowhere"], "'./nowhere' does not exist"),
    "no network": (["--dataset", "stanfordnlp/imdb"], "could not be loaded from the Hub"),
    "no network for the model": (
        ["--model", "google-bert/bert-base-uncased"],
        "model='google-bert/bert-base-uncased'",
    ),
    "no network for the generator": (["--generator_model", "openai-community/gpt2"], "openai-community/gpt2"),
    "too few rows": (["--train_per_class", "1000"], "train_per_class=1000 is more than the"),
    "ratio": (["--synthetic_ratio", "1.0"], "synthetic_ratio=1.0 is out of range"),
    "generator's labels": (
        ["--generators", "instruct", "--instruct_negative", "bad"],
        "are not the labels of",
    ),
    "unknown argument": (["--synthetic_ration", "0.5"], "--synthetic_ration"),
    "unknown arm": (["--generators", "magic"], "generators=['magic'] must be some of"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_with_one_line_before_any_training(parts, case, monkeypatch, capfd):
    arguments, message = BAD[case]
    output = parts / f"bad-{list(BAD).index(case)}"
    monkeypatch.setattr(sys, "argv", ["imdb.py", *recipe_arguments(parts), "--output_dir", str(output), *arguments])
    monkeypatch.syspath_prepend(str(ROOT / "recipes"))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "recipes/imdb.py"), run_name="__main__")
    # A string given to sys.exit is printed, and the status is 1.
    line = ended.value.code if isinstance(ended.value.code, str) else capfd.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert "\n" not in line
    assert message in line
    assert not list(output.rglob("stage.json"))
