"""Values against hand computation and naive references, errors, and loading without a network."""

from __future__ import annotations

import doctest
import functools
import math
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import evaluate
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from transformers import EvalPrediction

import hf_augment.metrics.classification
from hf_augment.metrics.classification import classification_metrics
from hf_augment.metrics.loading import load_metric, metric_path


NAMES = ["accuracy", "distinct_n", "expected_calibration_error", "f1", "self_bleu"]

FOLDERS = sorted(path.parent.name for path in Path(hf_augment.metrics.__path__[0]).glob("*/__init__.py"))


@pytest.mark.parametrize("name", FOLDERS)
def test_a_metric_is_its_folder_and_a_word_in_the_room_s_list(name):
    assert metric_path(name) == str(Path(hf_augment.metrics.__path__[0]) / name)
    assert f"`{name}`" in hf_augment.metrics.__doc__


few_examples = settings(max_examples=25, deadline=None)


# Outside a fixture, as Hypothesis has to reach them too.
cached = functools.cache(load_metric)


@pytest.fixture
def metrics() -> dict[str, evaluate.EvaluationModule]:
    return {name: cached(name) for name in NAMES}


def naive_ece(probabilities: list[list[float]], labels: list[int], n_bins: int) -> float:
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(n_bins)]
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    for row, label in zip(probabilities, labels, strict=True):
        confidence = min(max(row), 1.0)
        (index,) = [i for i in range(n_bins) if edges[i] < confidence <= edges[i + 1]]
        bins[index].append((confidence, row.index(max(row)) == label))
    total = 0.0
    for members in bins:
        if members:
            accuracy = sum(correct for _, correct in members) / len(members)
            confidence = sum(confidence for confidence, _ in members) / len(members)
            total += len(members) / len(labels) * abs(accuracy - confidence)
    return total


def naive_distinct(texts: list[str], n: int) -> float:
    seen, total = set(), 0
    for text in texts:
        tokens = text.split()
        for start in range(len(tokens)):
            if start + n <= len(tokens):
                seen.add(" ".join(tokens[start : start + n]))
                total += 1
    return len(seen) / total if total else 0.0


def naive_self_bleu(texts: list[str], max_order: int) -> float:
    bleu = BLEU(tokenize="13a", smooth_method="floor", effective_order=True, max_ngram_order=max_order)
    scores = [bleu.sentence_score(text, texts[:i] + texts[i + 1 :]).score for i, text in enumerate(texts)]
    return sum(scores) / len(scores) / 100


def test_accuracy_values(metrics):
    data = {"references": [0, 1, 2, 0], "predictions": [0, 1, 1, 0]}
    accuracy = metrics["accuracy"]
    assert accuracy.compute(**data) == {"accuracy": 0.75}
    assert accuracy.compute(**data, normalize=False) == {"accuracy": 3.0}
    assert accuracy.compute(**data, sample_weight=[1, 1, 6, 2]) == {"accuracy": pytest.approx(0.4)}


def test_multilabel_configuration():
    data = {"references": [[0, 1, 1], [1, 1, 0]], "predictions": [[0, 1, 1], [0, 1, 0]]}
    assert load_metric("accuracy", config_name="multilabel").compute(**data) == {"accuracy": 0.5}
    # Columns: 0 (recall 0), 1 and 1.
    f1 = load_metric("f1", config_name="multilabel")
    assert f1.compute(**data, average="macro", zero_division=0.0) == {"f1": pytest.approx(2 / 3)}


def test_f1_binary_values(metrics):
    data = {"references": [0, 1, 0, 1, 0], "predictions": [0, 0, 1, 1, 0]}
    f1 = metrics["f1"]
    assert f1.compute(**data) == {"f1": 0.5}  # precision 1/2, recall 1/2
    assert f1.compute(**data, pos_label=0) == {"f1": pytest.approx(2 / 3)}  # precision 2/3, recall 2/3
    # Weighted: true positives 3, false positives 2, false negatives 1.
    assert f1.compute(**data, sample_weight=[1, 1, 2, 3, 1]) == {"f1": pytest.approx(6 / 9)}


def test_f1_averages(metrics):
    # One, zero and 2 * 2 / (2 * 2 + 1 + 0), with support 1, 1 and 2.
    data = {"references": [0, 1, 2, 2], "predictions": [0, 2, 2, 2]}
    f1 = metrics["f1"]
    assert f1.compute(**data, average=None)["f1"].tolist() == pytest.approx([1.0, 0.0, 0.8])
    assert f1.compute(**data, average="macro") == {"f1": pytest.approx(0.6)}
    assert f1.compute(**data, average="weighted") == {"f1": pytest.approx(0.65)}
    assert f1.compute(**data, average="micro") == {"f1": pytest.approx(0.75)}
    assert f1.compute(**data, average="macro", labels=[0, 2]) == {"f1": pytest.approx(0.9)}


def test_f1_is_undefined_without_positives(metrics):
    data = {"references": [0, 0], "predictions": [0, 0]}
    assert metrics["f1"].compute(**data, zero_division=0.0) == {"f1": 0.0}
    with pytest.warns(UserWarning, match="ill-defined"):
        assert metrics["f1"].compute(**data) == {"f1": 0.0}


@pytest.mark.parametrize("name", ["accuracy", "f1"])
def test_a_failed_call_leaves_nothing_behind(metrics, name):
    with pytest.raises(ValueError, match="Mismatch in the number"):
        metrics[name].compute(references=[0, 1], predictions=[1])
    assert metrics[name].compute(references=[1, 1], predictions=[1, 1]) == {name: 1.0}


def test_ece_by_hand(metrics):
    # Bin (0.5, 1]: confidences 0.9, 0.8, 0.7, accuracy 2/3, gap |2 - 2.4| / 4; bin (0, 0.5]: 0.5, right, gap 0.5 / 4.
    predictions = [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.5, 0.5]]
    result = metrics["expected_calibration_error"].compute(references=[0, 1, 0, 0], predictions=predictions, n_bins=2)
    assert result == {"expected_calibration_error": pytest.approx(0.1 + 0.125)}


@pytest.mark.parametrize(("references", "error"), [([0, 1], 0.0), ([1, 0], 1.0)])
def test_ece_extremes(metrics, references, error):
    sure = [[1.0, 0.0], [0.0, 1.0]]
    result = metrics["expected_calibration_error"].compute(references=references, predictions=sure)
    assert result == {"expected_calibration_error": error}


def test_ece_bins_are_closed_on_the_right(metrics):
    # 0.6 belongs to (0.4, 0.6] with 0.5 of the other example, so that the two gaps cancel.
    result = metrics["expected_calibration_error"].compute(
        references=[1, 0], predictions=[[0.6, 0.4], [0.5, 0.5]], n_bins=5
    )
    assert result["expected_calibration_error"] == pytest.approx(abs(1 - 1.1) / 2)


def test_ece_accepts_half_precision(metrics):
    rows = np.random.default_rng(0).dirichlet(np.ones(10), size=20).astype(np.float16)
    assert np.abs(rows.astype(np.float64).sum(axis=1) - 1).max() > 1e-5
    result = metrics["expected_calibration_error"].compute(references=[0] * 20, predictions=rows.astype(np.float32))
    assert 0 <= result["expected_calibration_error"] <= 1


@st.composite
def classified(draw: st.DrawFn) -> tuple[list[list[float]], list[int]]:
    n_classes = draw(st.integers(2, 4))
    row = st.lists(st.integers(1, 20), min_size=n_classes, max_size=n_classes)
    weights = draw(st.lists(row, min_size=1, max_size=12))
    labels = draw(st.lists(st.integers(0, n_classes - 1), min_size=len(weights), max_size=len(weights)))
    return [[value / sum(row) for value in row] for row in weights], labels


@few_examples
@given(classified(), st.integers(1, 20))
def test_ece_equals_the_naive_one(data, n_bins):
    probabilities, labels = data
    result = cached("expected_calibration_error").compute(predictions=probabilities, references=labels, n_bins=n_bins)
    assert result["expected_calibration_error"] == pytest.approx(naive_ece(probabilities, labels, n_bins), abs=1e-12)


@pytest.mark.parametrize(
    ("predictions", "references", "n_bins", "message"),
    [
        ([[0.5, 0.4]], [0], 15, r"`predictions\[0\]` is \[0.5, 0.4\], with sum 0.9: .*apply a softmax"),
        ([[0.5, 0.5], [1.5, -0.5]], [0, 0], 15, r"`predictions\[1\]` is \[1.5, -0.5\]"),
        ([[math.nan, 1.0]], [0], 15, r"`predictions\[0\]` is \[nan, 1.0\]"),
        ([[0.5, 0.5], [1.0]], [0, 0], 15, r"`predictions` has rows of \[1, 2\] class probabilities"),
        ([[0.5, 0.5]], [2], 15, r"`references\[0\]` is 2, but `predictions` has 2 classes. Give labels from 0 to 1"),
        ([[0.5, 0.5]], [-1], 15, r"`references\[0\]` is -1"),
        ([[0.5, 0.5]], [0], 0, r"`n_bins` is 0"),
        ([], [], 15, r"`predictions` is empty"),
    ],
)
def test_ece_errors(metrics, predictions, references, n_bins, message):
    with pytest.raises(ValueError, match=message):
        metrics["expected_calibration_error"].compute(predictions=predictions, references=references, n_bins=n_bins)


def test_distinct_by_hand(metrics):
    # 6 unigrams of 4 kinds, 4 bigrams of 3 kinds ("film a" spans two texts and is none), 2 trigrams.
    result = metrics["distinct_n"].compute(data=["a fine film", "a fine day"])
    assert result == {"distinct_1": pytest.approx(4 / 6), "distinct_2": 0.75, "distinct_3": 1.0}


def test_distinct_options(metrics):
    distinct = metrics["distinct_n"]
    assert distinct.compute(data=["aab"], n=[1], tokenizer=list) == {"distinct_1": pytest.approx(2 / 3)}
    assert distinct.compute(data=["one two", ""], n=[3]) == {"distinct_3": 0.0}


@few_examples
@given(st.lists(st.text(alphabet="ab c", max_size=12), min_size=1, max_size=8), st.integers(1, 4))
def test_distinct_equals_the_naive_one(texts, n):
    distinct = cached("distinct_n")
    assert distinct.compute(data=texts, n=[n]) == {f"distinct_{n}": pytest.approx(naive_distinct(texts, n))}


def test_scripts_without_spaces_have_a_token_for_each_character(metrics):
    data = ["很好看很好看", "不好看 a b"]
    assert metrics["distinct_n"].compute(data=data, n=[1]) == {"distinct_1": pytest.approx(6 / 11)}
    assert metrics["distinct_n"].compute(data=["ดีดี", "ดี"], n=[1]) == {"distinct_1": pytest.approx(1 / 3)}
    for tokenize in ("13a", "intl", "none"):
        alike = metrics["self_bleu"].compute(data=["这部电影很好看", "这部电影不好看"], tokenize=tokenize)["self_bleu"]
        assert alike == pytest.approx(naive_self_bleu(["a b c d e g h", "a b c d f g h"], 4))
        assert 0.4 < alike < 0.7
    composed = ["un été", "un e\u0301te\u0301"]
    assert metrics["distinct_n"].compute(data=composed, n=[1]) == {"distinct_1": 0.5}
    assert metrics["self_bleu"].compute(data=composed) == {"self_bleu": pytest.approx(1.0)}


def test_self_bleu_by_hand(metrics):
    self_bleu = metrics["self_bleu"]
    assert self_bleu.compute(data=["a b c d e"] * 3) == {"self_bleu": pytest.approx(1.0)}
    assert self_bleu.compute(data=["a b c d", "e f g h"]) == {"self_bleu": 0.0}
    # Precisions of each: 3/4 and 2/3; equal lengths, so no penalty.
    result = self_bleu.compute(data=["a b c d", "a b c e"], max_order=2)
    assert result == {"self_bleu": pytest.approx(math.sqrt(3 / 4 * 2 / 3))}
    # The short text is all matched, but penalised by exp(1 - 4/2); the long one matches 2/4 words and 1/3 pairs.
    result = self_bleu.compute(data=["a b", "a b c d"], max_order=2)
    assert result == {"self_bleu": pytest.approx((math.exp(-1) + math.sqrt(1 / 6)) / 2)}


@few_examples
@given(st.lists(st.text(alphabet="aab,  ", max_size=16), min_size=2, max_size=7), st.integers(1, 5))
def test_self_bleu_equals_sentence_bleu(texts, max_order):
    self_bleu = cached("self_bleu")
    result = self_bleu.compute(data=texts, max_order=max_order)
    assert result == {"self_bleu": pytest.approx(naive_self_bleu(texts, max_order))}


def test_self_bleu_bounds_its_texts_evenly(metrics):
    texts = [f"text {i} has {i % 3} words of {i % 5} kinds" for i in range(11)]
    result = metrics["self_bleu"].compute(data=texts, max_texts=5)
    assert result == {"self_bleu": pytest.approx(naive_self_bleu([texts[i] for i in (0, 2, 5, 7, 10)], 4))}
    assert metrics["self_bleu"].compute(data=texts, max_texts=5) == result
    assert metrics["self_bleu"].compute(data=texts, max_texts=11) == metrics["self_bleu"].compute(data=texts)


@pytest.mark.parametrize(
    ("name", "data", "kwargs", "message"),
    [
        ("distinct_n", [], {}, "`data` is empty"),
        ("distinct_n", ["a", None], {}, r"`data\[1\]` is None"),
        ("distinct_n", ["a"], {"n": [0, 1]}, r"`n` is \[0, 1\]"),
        ("distinct_n", ["a"], {"n": []}, r"`n` is \[\]"),
        ("self_bleu", ["alone"], {}, r"`data` has 1 text\(s\). Give two or more"),
        ("self_bleu", [], {}, r"`data` has 0 text\(s\)"),
        ("self_bleu", ["a", None], {}, r"`data\[1\]` is None"),
        ("self_bleu", ["a", "b"], {"max_texts": 1}, "`max_texts` is 1"),
        ("self_bleu", ["a", "b"], {"max_order": 0}, "`max_order` is 0"),
    ],
)
def test_text_measurement_errors(metrics, name, data, kwargs, message):
    with pytest.raises(ValueError, match=message):
        metrics[name].compute(data=data, **kwargs)


def test_metric_path_names_what_there_is():
    assert [Path(metric_path(name)).name for name in NAMES] == NAMES
    with pytest.raises(ValueError, match="`name` is 'bleurt'") as error:
        metric_path("bleurt")
    assert all(repr(name) in str(error.value) for name in NAMES)
    with pytest.raises(ValueError, match="Choose one of"):
        load_metric("../metrics/f1")


def test_loads_offline_with_empty_caches(tmp_path):
    program = """
import warnings
warnings.simplefilter("error")
import os, socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("the network was asked")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
# Without Transformers, which these metrics may not need, `evaluate` is imported much faster.
sys.modules["transformers"] = None
import evaluate
del sys.modules["transformers"]  # `datasets` takes the key to mean that it is imported
for folder in sys.argv[1:]:
    name = os.path.basename(folder)
    for path in [folder, f"{folder}/{name}.py"]:
        metric = evaluate.load(path)
        if metric.module_type == "measurement":
            result = metric.compute(data=["a b c d", "a b c d"])
        else:
            predictions = [[0.0, 1.0]] if name.startswith("expected") else [1]
            result = metric.compute(predictions=predictions, references=[1])
        print(name, *(round(value, 6) for value in result.values()))
"""
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {
        "PYTHONPATH": str(Path(hf_augment.__file__).parents[1]),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "HF_MODULES_CACHE": str(tmp_path / "modules"),
    }
    command = [sys.executable, "-c", program, *map(metric_path, NAMES)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    values = ["accuracy 1.0", "distinct_n 0.5 0.5 0.5", "expected_calibration_error 0.0", "f1 1.0", "self_bleu 1.0"]
    assert done.stdout.splitlines() == [line for line in values for _ in range(2)]


def test_load_metric_shares_no_files(tmp_path):
    first, second = (load_metric("accuracy", keep_in_memory=False, cache_dir=str(tmp_path)) for _ in range(2))
    assert first.experiment_id != second.experiment_id
    first.add_batch(references=[1], predictions=[1])
    second.add_batch(references=[1], predictions=[0])
    assert first.compute() == {"accuracy": 1.0}
    assert second.compute() == {"accuracy": 0.0}
    assert load_metric("accuracy").keep_in_memory


def test_load_metric_of_several_processes_needs_an_experiment_id(tmp_path):
    with pytest.raises(ValueError, match="`num_process` is 2 and `experiment_id` is not given"):
        load_metric("accuracy", num_process=2)
    metric = load_metric("accuracy", num_process=2, process_id=1, experiment_id="run", cache_dir=str(tmp_path))
    assert (metric.num_process, metric.process_id, metric.experiment_id) == (2, 1, "run")


@pytest.mark.parametrize("name", NAMES)
def test_documented_examples_run(name):
    module = import_module(f"hf_augment.metrics.{name}.{name}")
    run_examples(module._KWARGS_DESCRIPTION, name)


@pytest.mark.parametrize("function", [metric_path, load_metric, classification_metrics])
def test_public_examples_run(function):
    run_examples(function.__doc__, function.__name__)


def run_examples(docstring: str, name: str) -> None:
    text = docstring.replace("```python", "").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test).failed == 0


def logits_of(probabilities: list[list[float]]) -> np.ndarray:
    return np.log(np.array(probabilities)) + 3.0  # a softmax ignores what is added to a row


def test_classification_metrics_binary():
    logits = logits_of([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]]).astype(np.float32)
    result = classification_metrics(EvalPrediction(predictions=logits, label_ids=np.array([0, 1, 1, 1])))
    # Predicted 0, 1, 0, 1: class 1 has precision 1 and recall 2/3, class 0 precision 1/2 and recall 1.
    # Four bins of one example each: gaps 0.1, 0.2, 0.7 and 0.4.
    assert result == {
        "accuracy": 0.75,
        "f1": pytest.approx(0.8),
        "f1_macro": pytest.approx((0.8 + 2 / 3) / 2),
        "expected_calibration_error": pytest.approx(0.35),
    }
    assert all(type(value) is float for value in result.values())


@pytest.mark.parametrize("with_hidden_states", [False, True])
def test_classification_metrics_takes_batches(with_hidden_states):
    logits, labels = logits_of([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1]]), np.array([0, 1, 1])
    batches = [logits[:2], logits[2:]]
    if with_hidden_states:
        batches = [(batch, np.zeros((len(batch), 5))) for batch in batches]
    by_batch = classification_metrics(EvalPrediction(predictions=batches, label_ids=[labels[:2], labels[2:]]))
    assert by_batch == classification_metrics(EvalPrediction(predictions=logits, label_ids=labels))


def test_classification_metrics_takes_the_first_of_a_tuple():
    logits = logits_of([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    hidden_states = np.zeros((3, 5))
    result = classification_metrics(EvalPrediction(predictions=(logits, hidden_states), label_ids=np.array([0, 1, 2])))
    assert result == {
        "accuracy": pytest.approx(2 / 3),
        "f1": pytest.approx((2 / 3 + 0 + 1) / 3),  # weighted by support, which is equal
        "f1_macro": pytest.approx((2 / 3 + 0 + 1) / 3),
        "expected_calibration_error": pytest.approx((abs(1 - 1.2) + 0.2) / 3),
    }


def test_classification_metrics_without_positives_is_quiet():
    result = classification_metrics(EvalPrediction(predictions=logits_of([[0.9, 0.1]]), label_ids=np.array([0])))
    assert (result["accuracy"], result["f1"], result["f1_macro"]) == (1.0, 0.0, 1.0)


def test_classification_metrics_allows_masked_classes():
    logits = np.array([[0.0, 0.0, -np.inf]])
    result = classification_metrics(EvalPrediction(predictions=logits, label_ids=np.array([0])))
    assert result["expected_calibration_error"] == pytest.approx(0.5)


def test_classification_metrics_loads_once_and_spares_the_random_state(monkeypatch):
    prediction = EvalPrediction(predictions=np.eye(2), label_ids=np.array([0, 1]))
    first = classification_metrics(prediction)
    monkeypatch.setattr(hf_augment.metrics.classification, "load_metric", None)  # would fail if it were called
    np.random.seed(0)
    assert classification_metrics(prediction) == first
    after = np.random.random()
    np.random.seed(0)
    assert after == np.random.random()


def test_several_labels_are_scored_by_row_and_by_label():
    labels = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]], dtype=float)
    predicted = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    metrics = classification_metrics(EvalPrediction(predictions=20.0 * predicted - 10, label_ids=labels))
    # One of two labels; none of none; all; none of those it has.
    assert metrics["accuracy"] == pytest.approx((0.5 + 1 + 1 + 0) / 4)
    assert metrics["exact_match"] == 0.5
    # Of three predicted labels two are right, of four true ones two are found.
    assert metrics["f1"] == pytest.approx(2 * 2 / (3 + 4))
    # The first label has 2 right, 1 wrong, 0 missed; the second is missed; two are of no row.
    assert metrics["f1_macro"] == pytest.approx((0.8 + 0) / 2)
    assert metrics["expected_calibration_error"] == pytest.approx(3 / 16, abs=1e-3)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros(3), np.zeros(3, int), r"`eval_prediction.predictions` has shape \(3,\)"),
        (np.zeros((3, 1)), np.zeros(3, int), r"has shape \(3, 1\). Give logits"),
        (np.zeros((0, 2)), np.zeros(0, int), r"has shape \(0, 2\)"),
        (
            np.array([[0, 1], [np.nan, 1]]),
            np.zeros(2, int),
            r"not finite in 1 of 2 rows. The first is row 1: \[nan, 1.0\]",
        ),
        (np.zeros((2, 2)), np.zeros((2, 1, 1)), r"`eval_prediction.label_ids` has shape \(2, 1, 1\) and type float64"),
        (np.zeros((2, 2)), np.full((2, 2), 0.5), r"has shape \(2, 2\). For several labels give 0 or 1 for each"),
        (np.zeros((2, 2)), np.zeros((2, 3)), r"has shape \(2, 3\). .* in an array of shape \(2, 2\)"),
        (np.zeros((2, 2)), np.array([0, -100]), r"`eval_prediction.label_ids\[1\]` is -100, .* from 0 to 1"),
    ],
)
def test_classification_metrics_errors(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        classification_metrics(EvalPrediction(predictions=logits, label_ids=labels))
