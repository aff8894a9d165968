"""What policies make of figures, and which candidates are chosen, beside a naive account."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment import ClassAllocation, HardSeeds
from hf_augment.training.feedback.choosing import checked_scores, checked_shares, choose
from hf_augment.training.feedback.policies import Policy, Round, TrainingRows


def look(probabilities, labels, shares=(0.5, 0.5)):
    asked = []

    def predict():
        asked.append(1)
        return np.asarray(probabilities, dtype=np.float32), np.asarray(labels)

    return Round(1, 10, ["neg", "pos"], np.asarray(shares), predict), asked


def test_a_class_with_more_errors_gets_more_and_none_gets_next_to_nothing():
    # Of four rows of each class: one error, three errors.
    says = [[0.9, 0.1]] * 3 + [[0.1, 0.9]] + [[0.9, 0.1]] * 3 + [[0.1, 0.9]]
    seen, asked = look(says, [0] * 4 + [1] * 4)
    policy = ClassAllocation(shrinkage=0, least=0)
    assert policy.class_shares(seen).tolist() == [0.25, 0.75]
    assert ClassAllocation(shrinkage=4, least=0).class_shares(seen) == pytest.approx([3 / 8, 5 / 8])
    assert ClassAllocation(shrinkage=0, least=0.5).class_shares(seen) == pytest.approx([0.375, 0.625])
    assert ClassAllocation(shrinkage=0, least=1).class_shares(seen).tolist() == [0.5, 0.5]
    assert asked == [1]
    assert seen.was_asked
    assert seen.confusions == [(0, 1, 1), (1, 0, 3)]


def test_without_a_look_at_validation_rows_there_are_no_confusions():
    seen, asked = look([[0.1, 0.9]], [0])
    assert seen.confusions == asked == []


def test_without_an_error_or_a_row_shares_stay():
    for labels in ([0, 0], []):
        seen, _ = look(np.tile([0.9, 0.1], (len(labels), 1)), np.asarray(labels, dtype=np.int64), (0.3, 0.7))
        assert ClassAllocation().class_shares(seen).tolist() == [0.3, 0.7]


def test_a_class_without_a_row_has_the_mean_error():
    seen, _ = look([[0.1, 0.9]] * 2, [0, 0])
    assert ClassAllocation(shrinkage=2, least=0).class_shares(seen) == pytest.approx([0.5, 0.5])


@settings(max_examples=200, deadline=None)
@given(
    labels=st.lists(st.integers(0, 2), max_size=30),
    count=st.integers(0, 35),
    shares=st.sampled_from([(0.5, 0.5, 0.0), (0.2, 0.3, 0.5), (0, 0, 1)]),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    scored=st.booleans(),
    seed=st.integers(0, 3),
)
def test_as_many_as_asked_for_by_class_and_the_best_of_each(labels, count, shares, share, scored, seed):
    labels, shares = np.array(labels, dtype=np.int64), np.asarray(shares, dtype=np.float64)
    scores = np.random.default_rng(seed).permutation(len(labels)).astype(float) if scored else None
    chosen = choose(labels, scores, shares, count, share, np.random.default_rng(seed))
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == min(count, len(labels))
    for label in range(3):
        mine, there = chosen[labels[chosen] == label], np.flatnonzero(labels == label)
        # Systematic sampling: the share rounded down or up; no less unless there are none, more where others lack.
        assert len(mine) >= min(np.floor(shares[label] * count + 1e-9), len(there))
        if scored and share == 0 and len(mine):
            left = np.setdiff1d(there, mine)
            assert scores[mine].min() > max(scores[left], default=-1)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_as_many_are_drawn_at_random_as_said_also_of_many_classes(share):
    labels, scores = np.repeat(np.arange(50), 20), np.tile(np.arange(20.0), 50)
    shares, by_chance = np.full(50, 1 / 50), 0
    for seed in range(20):
        chosen = choose(labels, scores, shares, 50, share, np.random.default_rng(seed))
        by_chance += int((scores[chosen] < 19).sum())
    # Of 1,000, and one in twenty of those drawn at random is the best.
    assert abs(by_chance - 950 * share) < 60


class Returns(Policy):
    name = "returns"

    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize("value", [[np.nan, 1], [-1, 2], [0, 0], [2, 1], [0.1, 0.1], [1.0], [[0.5, 0.5]]])
def test_shares_that_are_none_are_refused(value):
    with pytest.raises(ValueError, match=r"Returns.class_shares returned .*: return 2 shares"):
        checked_shares(value, Returns(value), 2)
    assert checked_shares([0.25, 0.75], Returns(value), 2).tolist() == [0.25, 0.75]


@pytest.mark.parametrize("value", [None, 1.0, [1.0], [1.0, np.nan], [1.0, np.inf], [[1.0, 2.0]], [1.0, 2.0, 3.0]])
def test_scores_that_are_none_are_refused(value):
    with pytest.raises(ValueError, match=r"Returns.score returned .*: return 2 numbers"):
        checked_scores(value, Returns(value), 2)
    assert checked_scores([1, -np.inf], Returns(value), 2).tolist() == [1, -np.inf]


def test_without_scores_every_candidate_is_as_likely():
    labels, shares = np.array([0, 1] * 10), np.array([0.5, 0.5])
    counts = np.zeros(20)
    for seed in range(400):
        counts[choose(labels, None, shares, 5, 0.0, np.random.default_rng(seed))] += 1
    # 100 expected, deviation 8.7.
    assert abs(counts - 100).max() < 40


def test_those_that_no_policy_would_choose_come_last():
    labels, scores = np.zeros(4, int), np.array([-np.inf, 1.0, -np.inf, 0.5])
    for count, must in ((1, {1}), (2, {1, 3}), (3, {1, 3})):
        chosen = choose(labels, scores, np.array([1.0]), count, 0.0, np.random.default_rng(0))
        assert must <= set(chosen.tolist())
        assert len(chosen) == count


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ClassAllocation(shrinkage=-1), "`shrinkage` must be a number of at least 0"),
        (lambda: ClassAllocation(least=2), "`least` must be a number between 0 and 1"),
    ],
)
def test_what_is_out_of_range_is_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def test_fingerprints_tell_settings():
    class Mine(Policy):
        name = "mine"

    assert Mine().fingerprint() == "mine"
    assert Mine().class_shares(None) is Mine().score(None, None) is None
    assert ClassAllocation().fingerprint() != ClassAllocation(least=0.1).fingerprint()


def test_hard_seeds_prefer_rows_that_the_classifier_gets_wrong_and_leave_out_the_hopeless():
    says = np.array([[0.9, 0.1], [0.4, 0.6], [0.995, 0.005]], dtype=np.float32)
    rows = TrainingRows(np.array([4, 7, 9]), np.array([0, 0, 1]), says)
    found = HardSeeds(most=0.99).seed(None, rows)
    np.testing.assert_allclose(found, [0.1, 0.6, -np.inf], atol=1e-6)
    assert HardSeeds(share=0.25, rows=10).settings() == ["hard_seeds(most=0.98)", 0.0, False, 0.25, 10]
    assert ClassAllocation().settings() == ["class_allocation(shrinkage=20.0, least=0.5)", 0.0]
    assert ClassAllocation(ahead=True).steers
    assert not ClassAllocation().steers
    for options, name in (({"share": 2}, "share"), ({"rows": 0}, "rows"), ({"most": 0}, "most")):
        with pytest.raises(ValueError, match=f"`{name}` must be a number"):
            HardSeeds(**options)
