"""Means, intervals and verdicts against values worked out otherwise."""

import numpy as np
import pytest
from scipy import stats

from hf_augment.evaluation import ArmRun, Difference, compare, summarise


def run(arm, split, seed, correct, evaluation="test"):
    correct = [int(c) for c in correct]
    return ArmRun(
        arm, split, seed, 10, 1.5, {evaluation: {"accuracy": sum(correct) / len(correct)}}, {evaluation: correct}
    )


def arms(gains, rows=100, base=50):
    """A baseline with `base` right, and an arm with as many more right as `gains` says by (split, seed)."""
    runs = []
    for (split, seed), gain in gains.items():
        runs.append(run("baseline", split, seed, np.arange(rows) < base))
        runs.append(run("ours", split, seed, np.arange(rows) < base + gain))
    return runs


def test_means_and_deviations():
    rng = np.random.default_rng(0)
    correct = {(arm, s): rng.integers(0, 2, 40) for s in range(4) for arm in ("b", "a")}
    runs = [run(arm, 0, s, c) for (arm, s), c in correct.items()]
    runs.append(run("single", 0, 0, [1, 1, 0, 1]))
    summary = summarise(runs, "test", "accuracy")
    assert list(summary) == ["b", "a", "single"]
    for arm in ("b", "a"):
        values = np.array([correct[arm, s].mean() for s in range(4)])
        mean = values.sum() / 4
        assert summary[arm] == (pytest.approx(mean), pytest.approx(np.sqrt(((values - mean) ** 2).sum() / 3)), 4)
    assert summary["single"] == (0.75, 0.0, 1)


def test_five_splits_are_student_s_t():
    gains = [3, 5, -1, 4, 2]
    found = compare(arms({(i, 0): g for i, g in enumerate(gains)}), "ours", "baseline", "test")
    interval = stats.ttest_1samp(np.array(gains) / 100, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx(0.026)
    assert (found.unit, found.pairs, found.evaluation) == ("splits", 5, "test")
    assert found.verdict == "no detectable effect"


def test_seeds_of_a_split_are_averaged_first():
    gains = {(split, seed): 2 * split + seed for split in range(3) for seed in range(4)}
    found = compare(arms(gains), "ours", "baseline", "test")
    by_split = np.array([np.mean([2 * split + seed for seed in range(4)]) for split in range(3)]) / 100
    interval = stats.ttest_1samp(by_split, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.unit, found.pairs) == ("splits", 12)
    assert found.mean == pytest.approx(by_split.mean())


def test_one_split_ranges_over_seeds():
    gains = [5, 6, 7, 6]
    found = compare(arms({(0, i): g for i, g in enumerate(gains)}), "ours", "baseline", "test")
    interval = stats.ttest_1samp(np.array(gains) / 100, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.unit, found.pairs, found.verdict) == ("seeds", 4, "helps")


def test_the_order_of_runs_does_not_matter():
    runs = arms({(i, j): 3 * i - j for i in range(4) for j in range(2)})
    assert compare(runs, "ours", "baseline", "test") == compare(runs[::-1], "ours", "baseline", "test")
    swapped = compare(runs, "baseline", "ours", "test")
    found = compare(runs, "ours", "baseline", "test")
    assert (swapped.mean, swapped.low, swapped.high) == pytest.approx((-found.mean, -found.high, -found.low))


@pytest.mark.parametrize(
    "keys", [[(0, 0)], [(0, 0), (0, 1)], [(0, 0), (1, 0)], [(s, i) for s in (0, 1) for i in range(3)]]
)
def test_few_runs_range_over_test_rows(keys):
    # Two splits are too few, whatever the number of seeds: those of one split are not independent.
    rng = np.random.default_rng(1)
    runs = []
    for split, seed in keys:
        runs.append(run("baseline", split, seed, rng.random(1500) < 0.7))
        runs.append(run("ours", split, seed, rng.random(1500) < 0.73))
    found = compare(runs, "ours", "baseline", "test")
    by_row = np.mean(
        [
            np.array(a.correct["test"]) - np.array(b.correct["test"])
            for a, b in zip(runs[1::2], runs[::2], strict=True)
        ],
        0,
    )
    half = 1.96 * by_row.std() / np.sqrt(1500)
    assert found.unit == "test rows"
    assert found.pairs == len(keys)
    assert found.mean == pytest.approx(by_row.mean())
    assert found.low == pytest.approx(found.mean - half, abs=0.05 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.05 * half)
    assert compare(runs, "ours", "baseline", "test") == found


def test_equal_differences_do_not_make_an_interval_of_no_width():
    found = compare(arms({(0, i): 1 for i in range(3)}), "ours", "baseline", "test")
    assert found.unit == "test rows"
    assert found.low < found.mean < found.high
    assert found.verdict == "no detectable effect"


def test_an_arm_is_like_itself():
    found = compare(arms({(i, 0): 0 for i in range(5)}), "ours", "baseline", "test")
    assert (found.mean, found.low, found.high, found.verdict) == (0.0, 0.0, 0.0, "no detectable effect")
    one_row = [run("ours", 0, 0, [1]), run("baseline", 0, 0, [0])]
    assert compare(one_row, "ours", "baseline", "test").mean == 1.0


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.03, "helps"),
        (-0.03, -0.01, "hurts"),
        (-0.01, 0.01, "no detectable effect"),
        (0.0, 0.02, "no detectable effect"),
        (-0.02, 0.0, "no detectable effect"),
    ],
)
def test_verdicts(low, high, verdict):
    assert Difference("a", "b", "test", (low + high) / 2, low, high, 5, "splits").verdict == verdict


def test_runs_that_do_not_match():
    runs = arms({(i, 0): 1 for i in range(3)})
    with pytest.raises(ValueError, match=r"'ours' was run on \(split, seed\) \[\(0, 0\), \(1, 0\)\], 'baseline' on"):
        compare(runs[:-1], "ours", "baseline", "test")
    with pytest.raises(ValueError, match=r"'theirs' was run on \(split, seed\) \[\], 'baseline' on"):
        compare(runs, "theirs", "baseline", "test")
    with pytest.raises(ValueError, match="needs the same ones"):
        compare([], "ours", "baseline", "test")
    with pytest.raises(ValueError, match="run twice on split 0 and seed 0"):
        compare([*runs, runs[0]], "ours", "baseline", "test")
    with pytest.raises(ValueError, match=r"not evaluated on evaluation='other' but on \['test'\]"):
        compare(runs, "ours", "baseline", "other")
    with pytest.raises(ValueError, match=r"The runs have \[1, 100\] rows of 'test'"):
        compare([runs[0], run("ours", 0, 0, [1])], "ours", "baseline", "test")


def simulate(rng, effect, rows=200, splits=5):
    """Arms on the same rows, hard ones and easy ones; every split is a draw of its own."""
    runs, difficulty = [], rng.uniform(0.4, 0.95, rows)
    for split in range(splits):
        of_split = rng.normal(0, 0.03)
        for arm, shift in (("baseline", 0.0), ("ours", effect)):
            runs.append(run(arm, split, 0, rng.random(rows) < difficulty + of_split + rng.normal(0, 0.02) + shift))
    return compare(runs, "ours", "baseline", "test")


def test_false_alarms_are_rare_and_effects_are_found():
    rng = np.random.default_rng(2)
    alarms = [simulate(rng, 0.0).verdict != "no detectable effect" for _ in range(400)]
    assert 0.02 <= np.mean(alarms) <= 0.08
    found = [simulate(rng, 0.15) for _ in range(50)]
    assert np.mean([d.verdict == "helps" for d in found]) > 0.8
    assert not any(d.verdict == "hurts" for d in found)
