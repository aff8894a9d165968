"""Hold-outs by hand: maps, what is left out, scores of probabilities and of logits, errors."""

import doctest

import numpy as np
import pytest

from hf_augment.evaluation.generalization import class_scores, generalization


NAMES = ["neg", "pos"]
TABLE = {"a": [0.9, 0.1], "b": [0.2, 0.8], "c": [0.3, 0.7], "d": [0.0, 1.0]}


def predict(values):
    return np.array([TABLE[value] for value in values])


def test_a_map_leaves_out_what_it_does_not_name():
    labels = ["bad", "good", "so-so", "bad", None, "so-so", "good"]
    results = generalization(
        predict, {"shop": (list("abcbcda"), labels)}, NAMES, {"shop": {"bad": "neg", "good": "pos"}}
    )
    result = results["shop"]
    # Left: a neg, b pos, b neg, a pos, of which the first two are right.
    assert result.left_out == {"so-so": 2, None: 1}
    assert result.correct == [1, 1, 0, 0]
    assert result.metrics["accuracy"] == 0.5
    assert result.metrics["f1_macro"] == 0.5
    # Confidences 0.9 and 0.8, each right half the time.
    assert result.metrics["expected_calibration_error"] == pytest.approx((0.4 + 0.3) / 2)
    half = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2.0}
    assert result.classes == {"neg": half, "pos": half}


def test_of_rows_with_several_labels_the_share_that_is_right_is_counted():
    logits = {"a": [2.0, -1.0, 0.5], "b": [-1.0, -2.0, -0.5]}
    truth = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1]])
    holdouts = {"shop": (list("aba"), truth)}
    result = generalization(lambda values: np.array([logits[v] for v in values]), holdouts, ["x", "y", "z"])["shop"]
    assert result.correct == [0.5, 1.0, pytest.approx(1 / 3)]
    assert result.metrics["accuracy"] == pytest.approx((0.5 + 1 + 1 / 3) / 3)
    assert result.metrics["exact_match"] == pytest.approx(1 / 3)
    assert result.classes["x"] == {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1.0}
    with pytest.raises(ValueError, match=r"`holdouts\['shop'\]` has shape \(3, 3\). .* of shape \(3, 2\)"):
        generalization(predict, holdouts, NAMES)


def test_several_labels_may_be_one_class_and_numbers_need_no_map():
    holdouts = {"stars": (list("abd"), [1, 4, 5]), "own": (list("ad"), [0, 0])}
    stars = {1: "neg", 2: "neg", 4: "pos", 5: "pos"}
    results = generalization(predict, holdouts, NAMES, {"stars": stars})
    assert list(results) == ["stars", "own"]
    assert results["stars"].correct == [1, 1, 1]
    assert results["stars"].left_out == {}
    assert results["own"].correct == [1, 0]
    assert results["own"].classes["pos"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0.0}
    assert results["own"].metrics["f1_macro"] == pytest.approx((2 / 3 + 0) / 2)


def test_logits_and_their_probabilities_come_to_the_same():
    logits = np.random.default_rng(0).normal(size=(20, 3)) * 3
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = [i % 3 for i in range(20)]
    results = [
        generalization(lambda values, table=table: table, {"x": (list(range(20)), labels)}, ["a", "b", "c"])["x"]
        for table in (logits, softmax)
    ]
    assert results[0].metrics == pytest.approx(results[1].metrics)
    assert results[0].correct == results[1].correct
    confidence = softmax.max(axis=1)
    assert results[0].metrics["accuracy"] == np.mean(softmax.argmax(axis=1) == labels)
    assert 0 < results[0].metrics["expected_calibration_error"] < confidence.max()


def test_class_scores():
    scores = class_scores([0, 0, 1, 2], [0, 1, 1, 1], ["a", "b", "c", "d"])
    assert scores["a"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2.0}
    assert scores["b"] == {"precision": pytest.approx(1 / 3), "recall": 1.0, "f1": 0.5, "support": 1.0}
    assert scores["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1.0}
    assert scores["d"]["support"] == 0.0


@pytest.mark.parametrize(
    ("holdouts", "maps", "message"),
    [
        ({}, {}, r"holdouts=\[\]: give one or more, each with a row"),
        ({"x": (["a"], [0]), "y": ([], [])}, {}, r"holdouts=\['x', 'y'\]: give one or more, each with a row"),
        ({"x": (["a"], [0])}, {"y": {}}, r"label_maps is for \['y'\] and holdouts has \['x'\]"),
        ({"x": (["a"], [0, 1])}, {}, r"holdouts\['x'\] has 1 values and 2 labels"),
        ({"x": (["a"], [2])}, {}, r"holdouts\['x'\] has the label 2, which is no number of a class"),
        ({"x": (["a"], ["pos"])}, {}, "has the label 'pos'.*give a map"),
        ({"x": (["a"], [0])}, {"x": {0: "negative"}}, r"label_maps\['x'\] maps 0 to 'negative', which is none of"),
        ({"x": (["a"], ["1"])}, {"x": {1: "pos"}}, r"names \[1\], none of which .* \['1'\]: check the types"),
    ],
)
def test_errors_come_before_any_prediction(holdouts, maps, message):
    def never(values):
        raise AssertionError

    with pytest.raises(ValueError, match=message):
        generalization(never, holdouts, NAMES, maps)


@pytest.mark.parametrize("output", [[0, 1], [[0.1, 0.2, 0.7]] * 2, [[0.5, 0.5]]])
def test_scores_of_another_shape(output):
    with pytest.raises(ValueError, match="for 2 values of 'x' and 2 classes: it has to give logits or prob"):
        generalization(lambda values: output, {"x": (["a", "b"], [0, 1])}, NAMES)


@pytest.mark.parametrize("function", [generalization, class_scores])
def test_documented_examples_run(function):
    text = function.__doc__.replace("```python", "").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, function.__name__, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
