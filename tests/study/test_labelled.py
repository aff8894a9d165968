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
        ({"synthetic_weight": 0.5}, LABELS, "is not supported for several labels in a row: pass 1.0"),
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


def pairs(count=24, seed=0):
    """Pairs of texts that agree or do not."""
    rng = np.random.default_rng(seed)
    words = [str(rng.choice(["so", "it", "was", "day"], 3)) + f" {seed} {i}" for i in range(count)]
    columns = {"text": words, "text_pair": [f"not {text}" if i % 2 else text for i, text in enumerate(words)]}
    found = datasets.Dataset.from_dict(columns | {"label": [i % 2 for i in range(count)]})
    return found.cast_column("label", datasets.ClassLabel(names=["same", "other"]))


class SaysPairs(Says):
    """Every third time, one text alone."""

    def generate(self, labels, seed):
        letters = np.random.default_rng(seed).choice(list("abcdefgh"), (len(labels), 2, 6, 4))
        texts = [[" ".join(map("".join, words)) for words in pair] for pair in letters]
        return [{"text": " ||| ".join(pair[: 1 + (i % 3 > 0)])} for i, pair in enumerate(texts)]


def test_a_study_of_pairs_of_texts_from_end_to_end(tmp_path):
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(2, tokenizer)):
        part.save_pretrained(tmp_path / "tiny")
    data = LabelledData(pairs(), {"test": pairs(10, seed=1)})
    assert data.pairs
    assert data.train.column_names == ["label", "text"]
    assert data.train["text"][1] == f"{pairs()['text'][1]} ||| not {pairs()['text'][1]}"
    classifier = TextClassifier(str(tmp_path / "tiny"), data.label_names, max_length=48, pairs=True)
    # Read as a tokenizer reads a pair.
    read = classifier.tokenize({"text": ["a day ||| not a day"]})
    assert read["input_ids"] == tokenizer(["a day"], ["not a day"])["input_ids"]
    (perturbed,) = classifier.perturb(["It was a day. ||| It was so."], "case", 5, 0)
    assert perturbed.lower() == "it was a day. ||| it was so."
    assert perturbed.partition(" ||| ")[0] != "It was a day."
    study = Study(
        data,
        classifier,
        AugmentingTrainingArguments(
            str(tmp_path / "run"), max_steps=2, use_cpu=True, save_strategy="no", report_to="none"
        ),
        [
            Arm("said", SaysPairs(data.label_names), filters=TextFilters(min_words=1, min_label_probability=0.01)),
            Arm("eda", augment="eda"),
            Arm("real", RealRows()),
            Arm("probe", probe="said"),
        ],
        train_per_class=6,
        seeds=1,
        robustness_rows=4,
    )
    assert [run.arm for run in study.run()][2:] == ["said", "eda", "real", "probe"]
    account = study.stores["said"].account(0)
    assert account.rejected["pair_of_texts"] > 0
    assert all(" ||| " in text for text in study.stores["said"].dataset()["text"][:])
    study.report()
    with pytest.raises(ValueError, match=r"classifier has pairs=False, and the rows have pairs=True: pass Text"):
        Study(data, TextClassifier(str(tmp_path / "tiny"), data.label_names), study.training, [])


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (pairs().remove_columns("text_pair"), r"test has no column 'text_pair' among \['text', 'label'\]"),
        (pairs().map(lambda row: {"text_pair": None}), "test has 24 rows without a text_pair"),
    ],
)
def test_a_text_without_its_pair_is_refused(test, message):
    with pytest.raises(ValueError, match=message):
        LabelledData(pairs(), {"test": test})
