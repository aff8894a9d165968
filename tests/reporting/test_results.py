"""What is written is read back, and only what may be published."""

import json
import math
from dataclasses import replace

import pytest
from PIL import Image

from hf_augment.reporting.results import Data, Results
from hf_augment.reporting.samples import choose_samples
from hf_augment.synthesis.shards import Shard, ShardStore
from tests.reporting.builders import ARMS, REFERENCE, measured, reject, results, store
from tests.reporting.card_results import make_results


def public(found):
    """The results without what is kept for each row."""
    return replace(found, runs=[replace(run, correct={}, perturbed={}) for run in found.runs])


def test_results_are_read_back_as_they_were_written(tmp_path):
    given = {
        "data": Data("reviews", "text", ["negative", "positive"], 8, {"test": 60, "sst2": 60}, 40, "A note."),
        "models": {"classifier": "tiny-bert", "trained": "tiny-gpt"},
        "memorization": {"trained": {"copies": 0.25}},
        "tables": [("Quality", ("measure", "value"), [("copies", "0.0 %")])],
        "pictures": {"samples.png": "Images"},
        "versions": {"python": "3.11"},
        "settings": {"learning_rate": "5e-05"},
        "command": "python recipe.py",
    }
    stores = {"trained": store(tmp_path / "t", sample=[reject("short")])}
    made = [replace(run, perturbed={"test": [0.5, 0.25]}, shown=0.75) for run in measured(seeds=4)]
    found = results(tmp_path, runs=made, stores=stores, **given)
    found.save(tmp_path / "results.json")
    read = Results.load(tmp_path / "results.json")
    assert read == public(found)
    assert [(d.evaluation, d.arm) for d in read.differences] == [
        (name, arm) for name in ("test", "sst2", "test, perturbed") for arm in ARMS if arm != REFERENCE
    ]
    assert read.generating == {"trained": 4.0}
    read.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "results.json").read_bytes()


def test_the_file_says_verdicts_in_words(tmp_path):
    found = results(tmp_path)
    found.save(tmp_path / "results.json")
    written = json.loads((tmp_path / "results.json").read_text())
    assert [(d["verdict"], d["sentence"]) for d in written["differences"]] == [
        (d.verdict, d.describe()) for d in found.differences
    ]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"title": "x"}'])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"results\.json is damaged|has no `runs`|has no `reference`"):
        Results.load(path)
    with pytest.raises(ValueError, match=r"other\.json is missing"):
        Results.load(tmp_path / "other.json")


def test_a_metric_that_a_run_lacks_or_that_is_not_finite_is_none(tmp_path):
    found = Results.from_dict(make_results())
    assert found.metric("instruct", "test", "accuracy") == [0.76, 0.77, 0.78]
    found.runs[-1].metrics["test"]["accuracy"] = math.nan
    assert found.metric("instruct", "test", "accuracy") == []
    assert found.metric("trained", "test", "precision") == []
    assert found.evaluations == ["test", "sst2"]
    assert [run.split for run in found.of_arm("trained")] == [0, 1, 2]


def test_the_best_arm_is_the_one_that_helps_most():
    found = Results.from_dict(make_results())
    assert found.best_arm() == "instruct"
    assert found.best_arm(["trained"]) == "baseline_same_steps"
    more = [replace(d, mean=0.2, p_holm=0.01) if d.arm == "trained" else d for d in found.differences]
    assert replace(found, differences=more).best_arm() == "trained"


def test_images_of_pillow_are_shown_too(tmp_path):
    made = ShardStore(tmp_path, {"shard_size": 2}, "label", ["neg", "pos"])
    images = [Image.new("RGB", (4, 3), (7, 0, 0)), Image.new("L", (4, 3), 9)]
    made.write(Shard(0, [0, 1], [0, 1], [{"image": image} for image in images], [None] * 2, candidates=2))
    colour, grey = choose_samples(made)
    assert colour.image.shape == grey.image.shape == (3, 4, 3)
    assert colour.image[0, 0].tolist() == [7, 0, 0]
    assert grey.image[0, 0].tolist() == [9, 9, 9]


def test_rounds_are_means_over_the_runs_of_an_arm(tmp_path):
    found = results(tmp_path, runs=measured())
    assert found.class_shares("trained") == {32: [0.5, 0.5], 64: [0.75, 0.25]}
    assert found.confusions("trained") == {(0, 1): (6.0, 4.0), (1, 0): (2.0, 0.0)}
    assert found.class_shares("baseline") == found.confusions("baseline") == {}
    # As they are without feedback.
    alike = [replace(run, rounds=[run.rounds[0]] * 2) if run.rounds else run for run in found.runs]
    assert replace(found, runs=alike).class_shares("trained") == {}
    assert [found.class_name(0), replace(found, data=Data(label_names=["neg"])).class_name(0)] == ["0", "neg"]


def test_an_arm_that_is_not_compared_is_not_among_those_that_are_to_help(tmp_path):
    found = Results.from_dict(make_results())
    assert found.tried == ["trained", "instruct"]
    longer = results(tmp_path, runs=measured(), uncompared=["instruct"])
    assert longer.tried == ["trained"]
    # It is shown, and neither compared nor recommended.
    assert "instruct" in longer.arms
    assert {difference.arm for difference in longer.differences} == {"baseline", "trained"}
    # A reference of another method may have fewer steps.
    made = [replace(run, steps=run.steps + 1) if run.arm == "instruct" else run for run in measured()]
    assert results(tmp_path / "other", runs=made).tried == ["trained", "instruct"]
