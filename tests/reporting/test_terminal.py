"""The last lines of a run."""

from dataclasses import replace
from pathlib import Path

from hf_augment.reporting.results import Results
from hf_augment.reporting.terminal import closing_lines
from tests.reporting.card_results import make_results


ARMS = ("baseline_same_steps", "trained", "instruct")
MODELS = {arm: Path(f"runs/imdb/split-0/{arm}-0/model") for arm in ARMS}
REPORT = Path("runs/imdb/report/report.html")


def test_five_lines_say_what_was_found_and_how_to_use_it():
    results = Results.from_dict(make_results())
    assert closing_lines(results, REPORT, MODELS) == [
        "On test, against baseline_same_steps: helps: instruct (+7.0 points); hurts: baseline (-10.0 points); "
        "no detectable effect: trained (+0.7 points).",
        "The verdicts rest on 3 pairs of runs. Where no arm has an effect, at most 5 % of such comparisons say "
        "that one has.",
        "Report: runs/imdb/report/report.html",
        "Model: runs/imdb/split-0/instruct-0/model (instruct; mean accuracy 0.770)",
        'Use it: from transformers import pipeline; pipeline("text-classification", '
        'model="runs/imdb/split-0/instruct-0/model")("A text to classify.")',
    ]


def test_without_a_saved_model_there_are_three_lines():
    results = Results.from_dict(make_results())
    assert closing_lines(results, REPORT) == closing_lines(results, REPORT, MODELS)[:3]


def test_the_model_is_the_most_accurate_that_was_saved_of_those_that_help():
    results = Results.from_dict(make_results())
    without = {arm: folder for arm, folder in MODELS.items() if arm != "instruct"}
    assert closing_lines(results, REPORT, without)[3] == (
        "Model: runs/imdb/split-0/baseline_same_steps-0/model (baseline_same_steps; mean accuracy 0.700)"
    )


def test_the_reference_is_the_model_where_no_arm_helps():
    results = Results.from_dict(make_results())
    results = replace(results, differences=[replace(d, p_holm=1.0) for d in results.differences])
    assert "(baseline_same_steps, since no arm is seen to help; mean" in closing_lines(results, REPORT, MODELS)[3]


def test_one_pair_of_runs_names_no_winner_and_what_to_pass():
    results = Results.from_dict(make_results())
    results = replace(results, differences=[replace(d, pairs=1) for d in results.differences])
    found, rests, _, model, _ = closing_lines(results, REPORT, MODELS)
    assert found == (
        "On test, against baseline_same_steps: not tested: baseline (-10.0 points), trained (+0.7 points), "
        "instruct (+7.0 points)."
    )
    assert rests == "One pair of runs gives no verdict. For one, pass --seeds 3, or --splits 5 with train_per_class."
    assert "baseline_same_steps-0/model" in model


def test_one_arm_of_images_from_a_hostile_run():
    content = make_results() | {"differences": []}
    content["data"]["kind"] = "image"
    content["runs"] = [run for run in content["runs"] if run["arm"] == "baseline_same_steps"]
    results = replace(Results.from_dict(content), test="test")
    lines = closing_lines(results, REPORT, {"baseline_same_steps": Path("a\x1b[31m/model")})
    assert len(lines) == 5
    assert lines[0] == "There is one arm, baseline_same_steps, and nothing to compare it with."
    assert lines[4] == (
        "Use it: import hf_augment; from transformers import pipeline; "
        'pipeline("image-classification", model="a [31m/model")("picture.png")'
    )
