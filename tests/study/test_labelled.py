"""Rows of a study whose label is not one class: several labels, or a number."""

import json
from functools import partial

import datasets
import numpy as np
import pytest
from transformers import pipeline

from hf_augment import (
    Arm,
    AugmentingTrainingArguments,
    Generator,
    InstructPrompt,
    LabelledData,
    LabelPrompt,
    SamplingConfig,
    Study,
    TextClassifier,
)
from hf_augment.study.arms import RealRows
from hf_augment.study.text import TextFilters
from hf_augment.study.text_sources import PromptedLanguageModel, TrainedLanguageModel
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer


LABELS = ["card", "lost", "new"]
SETS = [[0], [0, 1], [0, 2], [], [2]]


def rows(count=40, sets=SETS, seed=0):
    """Texts that name their labels, each another one."""
    rng = np.random.default_rng(seed)
    labels = [sets[i % len(sets)] for i in range(count)]
    words = ["so", "it", "was", "a", "day"]
    texts = [
        f"{' '.join(LABELS[i] for i in of)} {' '.join(rng.choice(words, 6))} {seed} {k}" for k, of in enumerate(labels)
    ]
    found = datasets.Dataset.from_dict({"text": texts, "labels": labels})
    return found.cast_column("labels", datasets.List(datasets.ClassLabel(names=LABELS)))


class Says(Generator):
    """Says what it was asked for."""

    def __init__(self, label_names):
        self.label_names = label_names

    def generate(self, labels, seed):
        return [{"text": f"{self.label_names[label]} {seed % 1000} {i}"} for i, label in enumerate(labels)]

    def fingerprint(self):
        return "says"


@pytest.fixture
def make(tmp_path):
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(len(LABELS), tokenizer)):
        part.save_pretrained(tmp_path / "tiny")
    data = LabelledData(rows(), {"test": rows(15, [*SETS, [1, 2]], seed=1)}, "toys")

    def study(arms, training=None, **arguments):
        training = {"max_steps": 2, "per_device_train_batch_size": 4, "save_strategy": "no"} | (training or {})
        return Study(
            data,
            TextClassifier(str(tmp_path / "tiny"), data.label_names, max_length=24, labels=data.labels),
            AugmentingTrainingArguments(str(tmp_path / "run"), report_to="none", use_cpu=True, **training),
            arms,
            **{"train_per_class": 3, "seeds": 1} | arguments,
        )

    return study


def test_each_set_of_labels_is_a_class():
    data = LabelledData(rows(), {"test": rows(15, [*SETS, [1, 2]], seed=1)})
    assert data.labels == LABELS
    # Sets that only test rows have are known, too.
    assert data.label_names == ["card", "card; lost", "card; new", "lost; new", "new", "none"]
    assert data.train["label"][:5] == [0, 1, 2, 5, 4]
    assert data.train.column_names == ["text", "label"]
    assert data.evaluations["test"]["label"][5] == 3


def test_a_study_of_rows_with_several_labels_from_end_to_end(make, capsys):
    sets = make([]).data.label_names
    agreement = TextFilters(min_words=1, min_label_probability=0.01)
    arms = [Arm("said", Says(sets), filters=agreement), Arm("real", RealRows()), Arm("probe", probe="real")]
    study = make([Arm("eda", augment="eda"), *arms], robustness_rows=4)
    # Each label, and none of them, is in three labelled rows at least.
    has = study.classifier.targets(study.split(0).train)
    assert has.sum(axis=0).min() >= 3
    assert (~has.any(axis=1)).sum() == 3
    runs = {run.arm: run for run in study.run()}
    assert list(runs) == ["baseline", "baseline_same_steps", "eda", "said", "real", "probe"]
    run = runs["said"]
    assert set(run.metrics["test"]) == {"accuracy", "exact_match", "f1", "f1_macro", "expected_calibration_error"}
    assert run.metrics["test"]["accuracy"] == pytest.approx(np.mean(run.correct["test"]))
    assert list(run.classes["test"]) == LABELS
    assert len(run.perturbed["test"]) == 4
    # No set is asked for that no labelled row has, and of real rows as many of each as there are.
    asked = set(study.stores["said"].dataset()["label"][:])
    assert asked <= set(study.split(0).train["label"][:])
    study.report()
    results = json.loads((study.folder / "report/results.json").read_text())
    assert results["data"]["label_names"] == LABELS
    assert [difference.arm for difference in study.differences()] == ["baseline", "eda", "said", "real", "probe"]
    model = pipeline("text-classification", str(study.folder / "split-0/said-0/model"), top_k=None)
    assert model.model.config.problem_type == "multi_label_classification"
    assert {found["label"] for found in model("my card")[0]} == set(LABELS)


def test_a_trained_and_a_prompted_language_model_learn_and_write_sets(make, tmp_path):
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_causal_lm(tokenizer)):
        part.save_pretrained(tmp_path / "lm")
    ask = partial(InstructPrompt.for_labels, template="{label}: {examples}", num_examples=1)
    short = SamplingConfig(max_new_tokens=2)
    trained = TrainedLanguageModel(
        "trained", str(tmp_path / "lm"), LabelPrompt("Intents ({label}):"), short, training={"max_steps": 1}
    )
    prompted = PromptedLanguageModel("prompted", str(tmp_path / "lm"), ask, short)
    study = make([Arm("trained", trained), Arm("prompted", prompted)])
    runs = {run.arm: run for run in study.run()}
    assert runs["trained"].shown == runs["prompted"].shown == 1.0


@pytest.mark.parametrize(
    ("training", "labels", "message"),
    [
        ({}, None, r"classifier has labels=None, but the rows have \['card', 'lost', 'new'\]"),
        ({"synthetic_weight": 0.5}, LABELS, "not supported for several labels in a row: pass 'hard' and 1"),
    ],
)
def test_what_does_not_go_with_several_labels_is_refused(make, tmp_path, training, labels, message):
    make([])
    data = LabelledData(rows(), {"test": rows()})
    classifier = TextClassifier(str(tmp_path / "tiny"), data.label_names, labels=labels)
    args = AugmentingTrainingArguments(str(tmp_path / "run"), use_cpu=True, **training)
    with pytest.raises(ValueError, match=message):
        Study(data, classifier, args, [])


def test_a_number_as_label_is_refused():
    numbers = datasets.Dataset.from_dict({"text": ["a"], "label": [0.5]})
    with pytest.raises(ValueError, match="regression is not supported in a study"):
        LabelledData(numbers, {"test": numbers})
