"""
Experiments in which no arm has an effect, as the recipes run them: how often is one said to help or to hurt?

Training runs of the same arm differ in accuracy by a standard deviation of 0.9 to 1.4 points, as measured runs do, and
so do seeds where a seed has an effect of its own on an arm: `"anew"`, drawn for every (split, seed) as experiments do
now, or `"shared"` by all splits, as their first runs did.
"""

import numpy as np
import pytest
from scipy import stats

from hf_augment.evaluation import comparison
from hf_augment.evaluation.comparison import ArmRun, compare_all


DESIGNS = [(1, 3), (5, 1), (3, 2)]
ARMS = ("baseline", "one", "two", "three")


@pytest.fixture(autouse=True)
def no_bootstrap(monkeypatch):
    """It takes most of the time, and no verdict rests on it."""
    monkeypatch.setattr(comparison, "crossed_bootstrap", lambda gains, seed: (0.0, 0.0))


def experiment(rng, splits, seeds, rows, noise, seed_effect):
    """All runs: a row is answered rightly with a probability of its own, moved by the run."""
    moved = rng.normal(0, noise, (len(ARMS), splits, seeds))
    if seed_effect:
        moved = moved + rng.normal(0, noise, (len(ARMS), splits if seed_effect == "anew" else 1, seeds))
    # Most rows are easy or hard: these have an accuracy of 0.86 on average.
    right = rng.random((*moved.shape, rows), dtype=np.float32) < rng.beta(0.6, 0.1, rows) + moved[..., None]
    return [
        ArmRun(ARMS[arm], split, seed, 1, 1.0, {}, {"test": right[arm, split, seed]})
        for arm, split, seed in np.ndindex(moved.shape)
    ]


def false_verdicts(times, *world):
    """In how many experiments any of the arms has a verdict."""
    rng = np.random.default_rng(0)
    found = [compare_all(experiment(rng, *world), "baseline", "test") for _ in range(times)]
    return sum(any(d.verdict in ("helps", "hurts") for d in differences) for differences in found)


@pytest.mark.parametrize(("splits", "seeds"), DESIGNS)
@pytest.mark.parametrize("seed_effect", [None, "anew"])
def test_false_verdicts_are_rare(splits, seeds, seed_effect):
    assert false_verdicts(120, splits, seeds, 1000, 0.014, seed_effect) <= stats.binom.isf(0.001 / 6, 120, 0.05)


def test_one_pair_of_runs_gives_none():
    # It differs by more than its rows explain in most experiments.
    rng = np.random.default_rng(0)
    found = [compare_all(experiment(rng, 1, 1, 5000, 0.014, "anew"), "baseline", "test") for _ in range(50)]
    assert {d.verdict for differences in found for d in differences} == {"not tested: one pair of runs"}
    assert sum(min(d.p_holm for d in differences) < 0.05 for differences in found) > 25


def test_seeds_that_all_splits_share_give_false_verdicts():
    """Nothing in such runs shows what their seeds have in common: so seeds are drawn for every (split, seed)."""
    assert false_verdicts(120, 5, 1, 1000, 0.014, "shared") > stats.binom.isf(0.001, 120, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("splits", "seeds"), DESIGNS)
@pytest.mark.parametrize(("rows", "noise"), [(872, 0.009), (872, 0.014), (5000, 0.009), (5000, 0.014)])
def test_false_verdicts_at_all_sizes(splits, seeds, rows, noise):
    for seed_effect in (None, "anew"):
        most = stats.binom.isf(0.001 / 24, 300, 0.05)
        assert false_verdicts(300, splits, seeds, rows, noise, seed_effect) <= most, seed_effect
