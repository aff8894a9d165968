"""Values by hand, errors, and loading as a metric."""

import doctest

import pytest

from hf_augment.metrics.loading import load_metric
from hf_augment.metrics.robustness import robustness as module
from hf_augment.metrics.robustness.summary import summarise_robustness


@pytest.fixture(scope="module")
def metric():
    return load_metric("robustness")


def test_values(metric):
    # Clean: 3 of 4. Noise at 1: 1 of 2, at 2: 0 of 1. Blur at 1: 1 of 1, at 2: 2 of 3. Rows in any order.
    rows = [
        *[("", 0, True)] * 3,
        ("noise", 2, False),
        ("blur", 2, True),
        ("noise", 1, True),
        ("blur", 1, True),
        ("", 0, False),
        ("noise", 1, False),
        ("blur", 2, True),
        ("blur", 2, False),
    ]
    result = metric.compute(
        predictions=[3] * len(rows),
        references=[3 if right else 1 for _, _, right in rows],
        perturbations=[name for name, _, _ in rows],
        severities=[severity for _, severity, _ in rows],
    )
    assert result == {
        "clean_accuracy": 0.75,
        "robust_accuracy": pytest.approx((1 / 4 + 5 / 6) / 2),
        "drop": pytest.approx(0.75 - (1 / 4 + 5 / 6) / 2),
        "worst_perturbation": "noise",
        "worst_accuracy": 0.25,
        "accuracy": {"blur": [1.0, pytest.approx(2 / 3)], "noise": [0.5, 0.0]},
    }


def test_severities_are_ordered_as_numbers(metric):
    result = metric.compute(
        predictions=[0] * 4, references=[0, 0, 1, 0], perturbations=["", "a", "a", "a"], severities=[0, 10, 9, 1]
    )
    assert result["accuracy"] == {"a": [1.0, 0.0, 1.0]}


@pytest.mark.parametrize(
    ("perturbations", "severities", "message"),
    [
        (["", ""], [0, 0], r"`perturbations` has the names \[''\]. Give both"),
        (["a", "a"], [1, 1], r"`perturbations` has the names \['a'\]. Give both"),
        (["", "a"], [0, 0], r"`perturbations\[1\]` is 'a' and `severities\[1\]` is 0"),
        (["", ""], [0, 1], r"`perturbations\[1\]` is '' and `severities\[1\]` is 1"),
        (["a", ""], [-1, 0], r"`severities\[0\]` is -1"),
        (["", "a", "b"], [0, 1, 2], r"`severities` differ between perturbations: {'a': \[1\], 'b': \[2\]}"),
    ],
)
def test_errors(metric, perturbations, severities, message):
    n = len(perturbations)
    with pytest.raises(ValueError, match=message):
        metric.compute(predictions=[0] * n, references=[0] * n, perturbations=perturbations, severities=severities)


def test_of_equal_perturbations_the_first_is_the_worst():
    assert summarise_robustness(1.0, {"b": [0.5], "a": [0.5]})["worst_perturbation"] == "b"


@pytest.mark.parametrize("docstring", [module._KWARGS_DESCRIPTION, summarise_robustness.__doc__])
def test_documented_examples_run(docstring):
    text = docstring.replace("```python", "").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, "robustness", None, 0)
    assert test.examples
    assert doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test).failed == 0
