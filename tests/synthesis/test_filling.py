"""
Shards until there are enough examples: no more than are needed, a bound, and what is there is not made again. Shards
in any order by many fillers: what one process would make, each once.
"""

import threading

import numpy as np
import pytest

from hf_augment import NearDuplicates
from hf_augment.seeding import derive_seed
from hf_augment.synthesis.candidates import FOLDER
from hf_augment.synthesis.claims import Claims
from hf_augment.synthesis.filling import fill, fill_shards
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.producer import InlineProducer
from hf_augment.synthesis.shards import ShardStore
from tests.toys import (
    LABELS,
    TEXT,
    EveryThird,
    ToyGenerator,
    comparable,
    each_toy,  # noqa: F401 - the fixture `toy`
)


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


class Repeating(ToyGenerator):
    """Says the same again, within a shard and across shards."""

    def generate(self, labels, seed):
        rng = np.random.default_rng(seed)
        super().generate(labels, seed)
        return [{"text": f"text number {rng.integers(14)} of {LABELS[label]}"} for label in labels]


def arrow(store):
    return {path.name: path.read_bytes() for path in store.folder.glob("*.arrow")}


def opened(folder, generator, filters=(), attempts=3):
    pipeline = SynthesisPipeline(generator, filters, np.array([0.5, 0.5]), 1, SIZE, attempts)
    return pipeline, pipeline.store(folder, "label")


def in_order(folder, generator, filters, shards):
    """The shards that one process makes one after the other."""
    pipeline, store = opened(folder, generator, filters)
    InlineProducer(pipeline, store, range(shards)).wait_for(shards - 1)
    return store


def test_shards_in_any_order_are_those_in_order(tmp_path, toy):
    reference = in_order(tmp_path / "one", toy.generator(), [EveryThird(toy)], 6)
    pipeline, store = opened(tmp_path / "any", toy.generator(), [EveryThird(toy)])
    told = []
    filled = fill_shards(pipeline, store, [4, 1, 5, 1], tell=lambda *numbers: told.append(numbers))
    assert (filled.made, filled.others, told) == ([4, 1, 5], [], [(1, 3), (2, 3), (3, 3)])
    filled = fill_shards(pipeline, store, range(6))
    assert (filled.made, sorted(filled.others)) == ([0, 2, 3], [1, 4, 5])
    assert arrow(store) == arrow(reference)
    assert {path.suffix for path in store.folder.iterdir()} == {".arrow", ".json"}


def test_what_a_dead_filler_began_is_made_and_a_living_one_is_waited_for(tmp_path):
    pipeline, store = opened(tmp_path, TEXT.generator())
    dead, living = Claims(store.folder, 0.3), Claims(store.folder, 0.3)
    dead.take(0)
    dead.close()
    held = living.take(1)

    def finish():
        with held:
            pipeline, store = opened(tmp_path, TEXT.generator())
            store.write(pipeline.make(1))
            held.finish()

    timer = threading.Timer(1.5, finish)
    timer.start()
    filled = fill_shards(pipeline, store, range(3), lapse=0.3)
    timer.join()
    living.close()
    assert (filled.made, filled.others) == ([2, 0], [1])
    assert list(store.folder.glob("*claim*")) == []


def test_an_error_is_raised_and_the_shard_is_free_for_others(tmp_path):
    pipeline, store = opened(tmp_path, TEXT.generator(fail_at_call=1))
    with pytest.raises(ArithmeticError, match="the toy broke"):
        fill_shards(pipeline, store, range(3))
    pipeline, store = opened(tmp_path, TEXT.generator())
    assert fill_shards(pipeline, store, range(3)).made == [1, 2]


class Unlike(ToyGenerator):
    """Never makes the same again, and is overtaken by another while it makes a shard."""

    replayable = False
    overtaken = None

    def generate(self, labels, seed):
        if self.overtaken is not None:
            self.overtaken()
        return super().generate(labels, len(self.calls) + 1000 * id(self))


@pytest.mark.parametrize("finished", [True, False])
def test_the_second_result_of_a_generator_that_is_not_replayable_is_dropped(finished, tmp_path):
    slow, quick = opened(tmp_path, Unlike(TEXT)), opened(tmp_path, Unlike(TEXT))

    def overtake():
        slow[0].generator.overtaken = None
        (slow[1].folder / "shard-000000.claim-1").touch()
        if finished:
            quick[1].write(quick[0].make(0))

    slow[0].generator.overtaken = overtake
    filled = fill_shards(*slow, [0], lapse=0.3)
    # Of one that has not finished, the claim of which lapses, it is made a second time.
    assert (filled.made, filled.others) == (([], [0]) if finished else ([0], []))
    made = quick if finished else slow
    assert len(made[0].generator.calls) == (1 if finished else 2)
    assert slow[1].read(0).examples[0]["text"].startswith("toy")


@pytest.mark.parametrize("order", [[3, 1, 0, 2, 5, 4], [0, 2]])
def test_with_a_memory_candidates_are_kept_and_the_shards_are_equal_to_the_last_byte(order, tmp_path):
    reference = in_order(tmp_path / "one", Repeating(TEXT), [NearDuplicates()], 6)
    accepted = [len(reference.read(index).slots) for index in range(6)]
    # It repeats itself across shards, up to none that is new.
    assert accepted[0] > accepted[5]
    pipeline, store = opened(tmp_path / "many", Repeating(TEXT), [NearDuplicates()])
    assert sorted(fill_shards(pipeline, store, order).made) == sorted(order)
    assert fill_shards(pipeline, store, order).others == order
    assert store.indices() == []
    merging = Repeating(TEXT)
    pipeline, store = opened(tmp_path / "many", merging, [NearDuplicates()])
    InlineProducer(pipeline, store, range(6)).wait_for(5)
    assert arrow(store) == arrow(reference)
    first = [derive_seed(pipeline.seed, "candidates", index, 0) for index in range(6)]
    # No first attempt of a shard that was filled is paid for a second time.
    assert [index for index in range(6) if first[index] in merging.calls] == sorted(set(range(6)) - set(order))
    assert list((store.folder / FOLDER).iterdir()) == []


def test_without_repetitions_a_merge_generates_nothing(tmp_path, toy):
    class Told(EveryThird):
        """Has a memory that changes nothing."""

        def remember(self, examples):
            """Nothing."""

    reference = in_order(tmp_path / "one", toy.generator(), [Told(toy)], 4)
    fill_shards(*opened(tmp_path / "many", toy.generator(), [Told(toy)]), [2, 3, 1, 0])
    merging = toy.generator(fail_at_call=0)
    assert arrow(in_order(tmp_path / "many", merging, [Told(toy)], 4)) == arrow(reference)
    assert merging.calls == []
