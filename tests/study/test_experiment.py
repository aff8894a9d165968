"""What experiments of all kinds have in common."""

import itertools

from hf_augment.seeding import derive_seed
from hf_augment.study.experiment import classifier_seed


def test_every_split_and_seed_has_a_classifier_seed_of_its_own():
    seeds = {classifier_seed(42, split, seed) for split, seed in itertools.product(range(10), repeat=2)}
    assert len(seeds) == 100
    # The first split keeps those of results that were measured when all splits shared them.
    assert [classifier_seed(42, 0, seed) for seed in range(3)] == [
        derive_seed(42, "classifier", seed) % 2**31 for seed in range(3)
    ]
    assert [classifier_seed(42, 0, seed) for seed in range(3)] == [1905946156, 934872008, 1137480722]
