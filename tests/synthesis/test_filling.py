"""Shards until there are enough examples: no more than are needed, a bound, and what is there is not made again."""

import numpy as np
import pytest

from hf_augment.synthesis.filling import fill
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.shards import ShardStore
from tests.toys import LABELS, EveryThird, comparable, each_toy  # noqa: F401 - the fixture `toy`


SIZE, ATTEMPTS = 4, 1


@pytest.fixture
def stream(tmp_path, toy):
    def make(filters=()):
        pipeline = SynthesisPipeline(toy.generator(), filters, np.array([0.5, 0.5]), 1, SIZE, ATTEMPTS)
        return pipeline, ShardStore(tmp_path, pipeline.identity(), "label", LABELS)

    return make


@pytest.mark.parametrize(("examples", "shards"), [(1, 1), (4, 1), (5, 2), (12, 3)])
def test_so_many_shards_are_made_as_hold_the_examples(examples, shards, stream):
    pipeline, store = stream()
    accounts = fill(pipeline, store, examples, 1000)
    assert [account.index for account in accounts] == store.indices() == list(range(shards))
    assert sum(account.candidates for account in accounts) == SIZE * shards


def test_candidates_are_bounded_and_both_numbers_are_told(stream, toy):
    pipeline, store = stream([EveryThird(toy)])
    told = []
    accounts = fill(pipeline, store, 1000, 3 * SIZE, lambda *numbers: told.append(numbers))
    accepted = len(store.dataset())
    assert len(accounts) == len(told) == 3
    assert told[-1] == (accepted, 3 * SIZE)
    assert 0 < accepted < 3 * SIZE


def test_more_examples_begin_with_those_that_are_there(stream):
    pipeline, store = stream()
    fill(pipeline, store, 5, 1000)
    first, calls = comparable(store.dataset().to_list()), []
    make, pipeline.make = pipeline.make, lambda index, *rest, **more: calls.append(index) or make(index, *rest, **more)
    fill(pipeline, store, 12, 1000)
    assert calls == [2]
    assert comparable(store.dataset().to_list())[: len(first)] == first
