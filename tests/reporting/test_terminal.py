"""The last lines of a run."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from transformers import ViTImageProcessor

from hf_augment import SmallResNetForImageClassification
from hf_augment.reporting.results import Data, Results
from hf_augment.reporting.terminal import closing_lines, usage
from tests.reporting.card_results import make_results
from tests.tiny import tiny_classifier, tiny_tokenizer


ARMS = ("baseline_same_steps", "trained", "instruct")
MODELS = {arm: Path(f"runs/imdb/split-0/{arm}-0/model") for arm in ARMS}
REPORT = Path("runs/imdb/report/report.html")


def model_line(results, models=MODELS):
    (line,) = [line for line in closing_lines(results, REPORT, models) if line.startswith("Model: ")]
    return line


def test_the_last_lines_say_what_was_found_and_how_to_use_it():
    results = Results.from_dict(make_results())
    results.runs[0].classes["test"] = {n: {"recall": 0.0, "support": 200.0} for n in results.data.label_names}
    assert closing_lines(results, REPORT, MODELS) == [
        "Yes: instruct raises accuracy on test from 70.0 % (baseline_same_steps) to 77.0 %, +7.0 points "
        "(95 % interval +5.0 to +9.0, 3 pairs of runs).",
        "Accuracy on test: baseline 60.0 %, baseline_same_steps 70.0 %, trained 70.7 %, instruct 77.0 %, "
        "always 'negative' 50.0 %.",
        "! Never recognised: 'negative', 'positive', by baseline, on any test row.",
        "Try next: Try another judge of labels, or label more rows for it: the one here learned the same rows as "
        "baseline_same_steps, and has an accuracy of 70.0 % on test.",
        "Report: runs/imdb/report/report.html",
        "Model: runs/imdb/split-0/instruct-0/model (instruct; mean accuracy 0.770). To use it:",
        "    from transformers import pipeline",
        '    classify = pipeline("text-classification", model="runs/imdb/split-0/instruct-0/model")',
        '    print(classify("A text to classify."))',
    ]


def test_without_a_saved_model_the_report_is_the_last_line():
    results = Results.from_dict(make_results())
    assert closing_lines(results, REPORT)[-1] == f"Report: {REPORT}"
    assert closing_lines(results, REPORT) == closing_lines(results, REPORT, MODELS)[:-4]


def test_the_model_is_the_most_accurate_that_was_saved_of_those_that_help():
    results = Results.from_dict(make_results())
    without = {arm: folder for arm, folder in MODELS.items() if arm != "instruct"}
    assert model_line(results, without) == (
        "Model: runs/imdb/split-0/baseline_same_steps-0/model (baseline_same_steps; mean accuracy 0.700). To use it:"
    )


def test_the_reference_is_the_model_where_no_arm_helps():
    results = Results.from_dict(make_results())
    results = replace(results, differences=[replace(d, p_holm=1.0) for d in results.differences])
    assert "(baseline_same_steps, since no arm is seen to help; mean" in model_line(results)


def test_one_pair_of_runs_names_no_winner_and_what_to_pass():
    results = Results.from_dict(make_results())
    results = replace(results, differences=[replace(d, pairs=1) for d in results.differences])
    lines = closing_lines(results, REPORT, MODELS)
    assert lines[0] == "Not tested: trained (one pair of runs), instruct (one pair of runs)."
    assert lines[2] == (
        "Try next: Compare more runs: one pair gives no verdict. Pass --seeds 3, or --splits 5 with train_per_class."
    )
    assert "baseline_same_steps-0/model" in model_line(results)


def test_one_arm_of_images_from_a_hostile_run():
    content = make_results() | {"differences": []}
    content["data"]["kind"] = "image"
    content["runs"] = [run for run in content["runs"] if run["arm"] == "baseline_same_steps"]
    results = replace(Results.from_dict(content), test="test")
    lines = closing_lines(results, REPORT, {"baseline_same_steps": Path("a\x1b[31m/model")})
    assert lines[0] == "No answer: nothing was tried that could be compared with baseline_same_steps."
    assert lines[-4:] == [
        "    import hf_augment.images.small_resnet",
        "    from transformers import pipeline",
        '    classify = pipeline("image-classification", model="a [31m/model")',
        '    print(classify("picture.png"))',
    ]


@pytest.mark.parametrize("kind", ["image", "text", "pair", "several"])
def test_the_lines_that_use_a_model_do(tmp_path, kind):
    """In a process of its own, as a reader copies them."""
    data = Data(kind="image" if kind == "image" else "text", pairs=kind == "pair", several=kind == "several")
    if kind == "image":
        Image.new("RGB", (32, 32)).save(tmp_path / "picture.png")
        ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "model")
        SmallResNetForImageClassification.build(["cat", "dog"], width=8).save_pretrained(tmp_path / "model")
    else:
        # The tiny model has few positions: a text has to be cut.
        data = replace(data, max_length=8)
        tokenizer = tiny_tokenizer()
        for part in (tokenizer, tiny_classifier(tokenizer=tokenizer)):
            part.save_pretrained(tmp_path / "model")
    lines = textwrap.dedent("\n".join(usage(Path("model"), data)))
    lines = lines.replace("A text to classify.", "a good film " * 1000)
    done = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith({"pair": "{'label': '", "several": "['"}.get(kind, "[{'label': '"))


def test_pairs_and_several_labels_are_asked_for_as_they_were_tested():
    called = [usage(Path("m"), Data(pairs=pairs, several=several))[-1] for pairs, several in ((1, 0), (0, 1))]
    assert called == [
        '    print(classify({"text": "A text to classify.", "text_pair": "The text beside it."}))',
        '    print([found["label"] for found in classify("A text to classify.", top_k=None) if found["score"] > 0.5])',
    ]
