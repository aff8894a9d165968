import random

import numpy as np
import pytest
import torch

from hf_augment.seeding import derive_rng, derive_seed, isolated_rng


def test_seeds_differ_by_seed_purpose_and_counter_and_never_collide_as_sums_do():
    seeds = {derive_seed(seed, purpose, i) for seed in range(10) for purpose in ("a", "b") for i in range(10)}
    assert len(seeds) == 200
    assert derive_seed(1, "a", 0) != derive_seed(0, "a", 1)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_value_of_a_seed_is_part_of_the_format_of_shards():
    assert derive_seed(42, "candidates", 3, 1) == 7397579411425581876
    assert derive_rng(42, "labels", 0).integers(1000) == 936


def test_isolated_rng_is_repeatable_and_leaves_no_trace_even_after_an_error():
    def draw():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    expected = [draw(), draw()]
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    first = draw()
    with isolated_rng(7):
        inside = draw()

    def fails():
        with isolated_rng(7):
            raise KeyError(draw())

    with pytest.raises(KeyError) as caught:
        fails()
    assert caught.value.args == (inside,)
    assert [first, draw()] == expected
