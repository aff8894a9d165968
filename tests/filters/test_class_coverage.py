"""How many accepted examples may crowd around one real image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.filters.class_coverage import ClassCoverage
from hf_augment.neighbours.features import RealFeatures


VALUES = [0, 10, 20, 21, 22, 100, 110, 120, 10]
LABELS = [0, 0, 0, 1, 1, 1, 1, 1, 1]


def grey(value):
    return np.full((2, 2, 1), value, dtype=np.uint8)


def examples(values):
    return [{"image": grey(value)} for value in values]


def brightness(asked):
    return [[example["image"].mean()] for example in asked]


REAL = RealFeatures(brightness, np.stack([grey(value) for value in VALUES]))


def naive(remembered, candidates, max_excess, min_allowance):
    """The definition, word by word."""
    different = list(dict.fromkeys(VALUES))

    def nearest(value, among):
        return min(among, key=lambda other: abs(other - value))

    weight = dict.fromkeys(different, 1)
    for value in different:
        weight[nearest(value, [other for other in different if other != value])] += 1
    label = {value: LABELS[VALUES.index(value)] for value in different}
    accepted, verdicts = [nearest(value, different) for value in remembered], []
    for cell in (nearest(value, different) for value in candidates):
        share = weight[cell] / sum(weight[other] for other in different if label[other] == label[cell])
        count = accepted.count(cell) + 1
        excess = count / (share * (sum(label[other] == label[cell] for other in accepted) + 1))
        verdicts.append((count <= min_allowance or excess <= max_excess, excess))
        accepted += [cell] * verdicts[-1][0]
    return verdicts


# No value is equally far from two real ones: which is nearest would be a matter of taste.
some_values = st.lists(st.sampled_from([1, 9, 12, 19, 21, 22, 30, 99, 104, 116, 200]), max_size=40)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    some_values, some_values, st.sampled_from([1.0, 1.5, 3.0]), st.integers(1, 3), st.randoms(use_true_random=False)
)
def test_verdicts_equal_the_definition_in_whatever_order_shards_are_told(
    remembered, candidates, max_excess, min_allowance, order
):
    coverage = ClassCoverage(REAL, LABELS, max_excess, min_allowance)
    coverage.remember(examples([0] * 5))
    coverage.forget()
    # Told attempt by attempt, and, as after an interruption, all at once in another order.
    for value in remembered:
        coverage.remember(examples([value]))
    resumed = ClassCoverage(REAL, LABELS, max_excess, min_allowance)
    resumed.remember(examples(order.sample(remembered, len(remembered))))
    verdicts = coverage.judge(examples(candidates), [0] * len(candidates))
    expected = naive(remembered, candidates, max_excess, min_allowance)
    assert [verdict.accepted for verdict in verdicts] == [accepted for accepted, _ in expected]
    assert [verdict.score for verdict in verdicts] == pytest.approx([score for _, score in expected])
    assert resumed.judge(examples(candidates), [0] * len(candidates)) == verdicts


def test_judging_changes_nothing():
    coverage = ClassCoverage(REAL, LABELS, min_allowance=1)
    first = coverage.judge(examples([0, 1, 2]), [0] * 3)
    assert [verdict.accepted for verdict in first] == [True, True, True]  # classes of 3 and 5 are too small for 5
    assert coverage.judge(examples([0, 1, 2]), [0] * 3) == first
    assert coverage.judge([], []) == []


def cloud(count, seed):
    """Images whose 16 pixels are independent."""
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)


def pixels(asked):
    return np.array([example["image"].ravel() for example in asked], dtype=np.float64)


def test_a_collapsed_generator_is_stopped_and_a_faithful_one_is_not():
    real = cloud(300, 0)
    coverage = ClassCoverage(RealFeatures(pixels, real), [0] * 300)

    def accepted(images):
        coverage.forget()
        total = 0
        for start in range(0, len(images), 100):
            shard = [{"image": image} for image in images[start : start + 100]]
            kept = [e for e, v in zip(shard, coverage.judge(shard, [0] * 100), strict=True) if v.accepted]
            coverage.remember(kept)
            total += len(kept)
        return total / len(images)

    assert accepted(cloud(1000, 1)) > 0.9
    assert accepted(real[np.arange(1000) % 10] ^ 1) < 0.05  # ten images over and over, each pixel off by one
    # What else it makes is still accepted after that.
    assert all(v.accepted for v in coverage.judge([{"image": image} for image in real[50:60]], [0] * 10))


def test_classes_have_accounts_of_their_own():
    coverage = ClassCoverage(REAL, LABELS, max_excess=1, min_allowance=1)
    coverage.remember(examples([100, 110, 120, 22] * 50))
    # 200 examples of the other class do not make room for a second one of class 0.
    assert [v.accepted for v in coverage.judge(examples([0, 0]), [1, 1])] == [True, False]


def test_a_class_whose_images_all_repeat_another_classes_has_no_place():
    real = RealFeatures(brightness, np.stack([grey(0), grey(50), grey(50)]))
    coverage = ClassCoverage(real, [0, 0, 1])
    [verdict] = coverage.judge(examples([49]), [1])
    assert verdict.accepted
    assert verdict.reason == "number 1 near training row 1, 2.0 times its share"


def test_the_fingerprint_covers_numbers_labels_and_images():
    other = RealFeatures(brightness, np.stack([grey(value) for value in VALUES[::-1]]))
    different = [
        ClassCoverage(REAL, LABELS),
        ClassCoverage(REAL, LABELS, max_excess=6),
        ClassCoverage(REAL, LABELS, min_allowance=4),
        ClassCoverage(REAL, LABELS[::-1]),
        ClassCoverage(other, LABELS),
    ]
    fingerprints = [coverage.fingerprint() for coverage in different]
    assert len(set(fingerprints)) == len(fingerprints)
    assert ClassCoverage(REAL, np.array(LABELS), 5, 3).fingerprint() == fingerprints[0]
    different[0].remember(examples([1, 2, 3]))
    assert different[0].fingerprint() == fingerprints[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((LABELS, 0.5), "`max_excess` must be a number of at least 1, but is 0.5"),
        ((LABELS, 5, 0), "`min_allowance` must be a whole number of at least 1, but is 0"),
        ((LABELS[1:],), r"`labels` must be 9 whole numbers from 0.*\(8,\)"),
        (([*LABELS[1:], -1],), "`labels` must be 9 whole numbers from 0"),
        ((["neg"] * 9,), "`labels` must be 9 whole numbers from 0.*<U3"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassCoverage(REAL, *arguments)
