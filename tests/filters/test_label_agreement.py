"""What the filter makes of its judge's answer, and how weights are identified."""

import numpy as np
import pytest

from hf_augment.filters.label_agreement import LabelAgreement
from tests.toys import TEXT


def examples(*texts):
    return [{"text": text} for text in texts]


def saying(*rows):
    """A judge that says the same whatever it is asked."""
    return lambda asked: np.array(rows)


def accepted(verdicts):
    return [verdict.accepted for verdict in verdicts]


def test_the_requested_labels_probability_decides():
    agreement = LabelAgreement(saying([0.09, 0.91], [0.5, 0.5], [0.49, 0.51]), label_names=["neg", "pos"])
    verdicts = agreement.judge(examples("a", "b", "c"), [1, 0, 0])
    assert accepted(verdicts) == [True, True, False]
    assert [verdict.score for verdict in verdicts] == [0.91, 0.5, 0.49]
    assert verdicts[0].reason == "judge says pos (0.91)"
    assert verdicts[0].label_probabilities == (0.09, 0.91)
    assert LabelAgreement(saying([0.2, 0.8])).judge(examples("a"), [0])[0].reason == "judge says class 1 (0.80)"


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.01, [False, True, False, False]),
        (0.5, [True, True, False, False]),
        (0.51, [True, True, False, True]),
        (1, [True] * 4),
    ],
)
def test_target_acceptance_is_the_best_share_rounded_up_with_ties_in_order(share, expected):
    agreement = LabelAgreement(saying([0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.6, 0.4]), target_acceptance=share)
    assert accepted(agreement.judge(examples(*"abcd"), [0] * 4)) == expected


def test_target_acceptance_is_not_led_astray_by_rounding():
    agreement = LabelAgreement(saying(*[[0.4, 0.6]] * 100), target_acceptance=0.55)
    assert sum(accepted(agreement.judge(examples(*["a"] * 100), [0] * 100))) == 55


def test_no_candidates_ask_nobody():
    assert LabelAgreement(lambda asked: 1 / 0).judge([], []) == []


def test_the_order_of_classes_must_agree():
    judge = saying([0.2, 0.3, 0.5])
    judge.label_names = ("neg", "neutral", "pos")
    LabelAgreement(judge, label_names=["neg", "neutral", "pos"])
    LabelAgreement(judge, label_names=["bad", "fair", "good"])
    with pytest.raises(ValueError, match=r"`label_names` is \['pos', 'neutral', 'neg'\], but the judge has"):
        LabelAgreement(judge, label_names=["pos", "neutral", "neg"])


class Knows:
    """A judge of named classes."""

    def __init__(self, *label_names):
        self.label_names = label_names

    def __call__(self, examples):
        return [[1 / len(self.label_names)] * len(self.label_names)] * len(examples)


@pytest.mark.parametrize(
    ("judge", "arguments", "message"),
    [
        (Knows("None", "neg", "pos"), {}, r"has the classes \['None', 'neg', 'pos'\], but the generator has"),
        (Knows("pos", "neg"), {}, "use a judge of the generator's classes"),
        (Knows("bad", "good"), {}, r"pass label_names=\['neg', 'pos'\]"),
        (Knows("LABEL_0", "LABEL_1", "LABEL_2"), {}, "has the classes"),
        (Knows("LABEL_0", "LABEL_1", "LABEL_2"), {"label_names": ["neg", "pos"]}, "has the classes"),
        (saying([0.5, 0.5]), {"label_names": ["pos", "neg"]}, "`label_names` is"),
    ],
)
def test_a_judge_of_other_classes_is_refused_when_the_trainer_is_built(tmp_path, judge, arguments, message):
    agreement = LabelAgreement(judge, **arguments)
    with pytest.raises(ValueError, match=message):
        agreement.check(["neg", "pos"])
    generator = TEXT.generator()
    generator.label_names = ("neg", "pos")
    with pytest.raises(ValueError, match=message):
        TEXT.trainer(tmp_path, generator, filters=[agreement])


@pytest.mark.parametrize(
    ("judge", "arguments"),
    [
        (Knows("neg", "pos"), {}),
        (Knows("LABEL_0", "LABEL_1"), {}),
        (Knows("bad", "good"), {"label_names": ["neg", "pos"]}),
        (saying([0.5, 0.5]), {}),
    ],
)
def test_a_judge_of_these_classes_is_not_refused(judge, arguments):
    LabelAgreement(judge, **arguments).check(("neg", "pos"))


def test_a_lambda_is_warned_of_since_another_one_has_its_name(caplog):
    LabelAgreement(saying([0.5, 0.5]))
    assert "`judge` is a lambda, which is known by that word alone" in caplog.text
    caplog.clear()
    LabelAgreement(Knows("a", "b"))
    assert not caplog.text


def test_the_fingerprint_covers_acceptance_and_judge():
    judge = saying([1, 0])
    judge.fingerprint = lambda: "abc"
    assert LabelAgreement(judge).fingerprint() == "label_agreement(threshold=0.5, reference=abc)"
    assert LabelAgreement(judge, target_acceptance=1).fingerprint() == (
        "label_agreement(target_acceptance=1.0, reference=abc)"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelAgreement("model"), "`judge` must be callable, but is 'model'"),
        (lambda: LabelAgreement(len, 0.5, 0.5), "`min_probability` and `target_acceptance` exclude each other"),
        (lambda: LabelAgreement(len, 50), "`min_probability` must be a number between 0 and 1, but is 50"),
        (lambda: LabelAgreement(len, target_acceptance=0), "`target_acceptance` must be above 0"),
        (lambda: LabelAgreement(len, target_acceptance=-1), "`target_acceptance`.*-1"),
        (lambda: LabelAgreement(saying([2.0, -3.0])).judge([{}], [0]), "Apply a softmax"),
        (lambda: LabelAgreement(saying([np.nan, 1])).judge([{}], [0]), "must return probabilities"),
        (lambda: LabelAgreement(saying([0.5, 0.5])).judge([{}, {}], [0, 0]), r"shape \(2, num_labels\).*\(1, 2\)"),
        (lambda: LabelAgreement(saying([1, 0]), label_names="abc").judge([{}], [0]), r"\(1, 3\).*\(1, 2\)"),
        (lambda: LabelAgreement(saying([0.5, 0.5])).judge([{}], [2]), "`labels` go from 2 to 2"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
