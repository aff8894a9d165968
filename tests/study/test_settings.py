"""How much is compared by default."""

import pytest

from hf_augment.study.settings import ExperimentArguments


@pytest.mark.parametrize(
    ("given", "splits", "seeds"),
    [
        ({}, 1, 3),
        ({"train_per_class": 8}, 3, 1),
        ({"train_per_class": 8, "seeds": 3}, 1, 3),
        ({"train_per_class": 8, "splits": 5}, 5, 1),
        ({"train_per_class": 8, "splits": 1}, 1, 3),
        ({"splits": 1, "seeds": 1}, 1, 1),
        ({"train_per_class": 8, "splits": 2, "seeds": 2}, 2, 2),
    ],
)
def test_by_default_every_arm_is_trained_often_enough_for_a_verdict(given, splits, seeds):
    args = ExperimentArguments(**given)
    assert (args.splits, args.seeds) == (splits, seeds)
    assert args.comparison() == {
        "train_per_class": given.get("train_per_class"),
        "splits": splits,
        "seeds": seeds,
        "curve_rows": 100,
        "robustness_rows": 0,
    }
