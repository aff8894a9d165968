"""Filters with a memory, whoever else uses them, against a naive reference: everything made anew, in order."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from hf_augment import Filter, NearDuplicates, Verdict
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.producer import InlineProducer, ThreadProducer
from hf_augment.synthesis.shards import ShardStore
from tests.toys import (
    LABELS,
    TEXT,
    ToyGenerator,
    comparable,
    each_toy,  # noqa: F401 - the fixture `toy`
)


class Grows(Filter):
    """Lets the sum of what it remembers decide, so that any difference in memory shows."""

    name = "grows"

    def __init__(self, toy):
        self.toy, self.known = toy, []

    def judge(self, examples, labels):
        known = sum(map(self.toy.number, self.known))
        return [Verdict((known + i) % 3 != 0, 1.0, "") for i, _ in enumerate(examples)]

    def remember(self, examples):
        self.known.extend(examples)

    def forget(self):
        # In place, as a user may well write it.
        self.known.clear()

    def fingerprint(self):
        return "1"


def pipeline(generator, filters):
    return SynthesisPipeline(generator, filters, np.array([0.5, 0.5]), seed=1, shard_size=4, max_attempts=3)


def producer(kind, made, folder, shards=range(5)):
    return kind(made, ShardStore(folder, made.identity(), "label", LABELS), shards)


def contents(store, shards=range(5)):
    read = [store.read(index) for index in shards]
    return [(shard.slots, shard.labels, comparable(shard.examples), shard.rejected) for shard in read]


def alone(toy, folder, shards=range(5)):
    """What one producer makes that nothing disturbs."""
    one = producer(InlineProducer, pipeline(toy.generator(), [Grows(toy)]), folder / "alone", shards)
    one.wait_for(shards[-1])
    return contents(one.store, shards)


def test_the_toy_notices_what_is_remembered(tmp_path, toy):
    expected = alone(toy, tmp_path)
    made = pipeline(toy.generator(), [Grows(toy)])
    blank = [made.make(index) for index in range(5)]
    assert [shard.slots for shard in blank] != [slots for slots, *_ in expected]


def test_interleaved_producers_of_one_pipeline_make_what_each_makes_alone(tmp_path, toy):
    expected, made = alone(toy, tmp_path), pipeline(toy.generator(), [Grows(toy)])
    one, other = (producer(InlineProducer, made, tmp_path / name) for name in ("one", "other"))
    for first, second in itertools.zip_longest(range(5), (2, 2, 3, 4, 4)):
        one.wait_for(first)
        other.wait_for(second)
    assert contents(one.store) == contents(other.store) == expected


def test_a_producer_that_is_made_and_not_used_changes_nothing(tmp_path, toy):
    expected, made = alone(toy, tmp_path), pipeline(toy.generator(), [Grows(toy)])
    one = producer(InlineProducer, made, tmp_path / "one")
    one.wait_for(2)
    producer(ThreadProducer, made, tmp_path / "one").close()
    one.wait_for(4)
    assert contents(one.store) == expected


def test_threads_at_the_same_time_make_what_each_makes_alone(tmp_path, toy):
    expected, made = alone(toy, tmp_path), pipeline(toy.generator(), [Grows(toy)])
    threads = [producer(ThreadProducer, made, tmp_path / name) for name in ("one", "other", "one")]
    for thread in threads * 2:
        thread.wait_for(0)
    for thread in threads:
        thread.wait_for(4)
        thread.close()
    assert [contents(thread.store) for thread in threads] == [expected] * 3


def test_ranks_and_pipelines_may_share_a_filter(tmp_path, toy):
    grows, ranks = Grows(toy), (range(0, 8, 2), range(1, 8, 2))
    expected = [alone(toy, tmp_path / str(i), shards) for i, shards in enumerate(ranks)]
    made = [
        producer(InlineProducer, pipeline(toy.generator(), [grows]), tmp_path / str(i), shards)
        for i, shards in enumerate(ranks)
    ]
    for index in range(8):
        made[index % 2].wait_for(index)
    assert [contents(one.store, one.shards) for one in made] == expected


@pytest.mark.parametrize("call", [2, 3, 5])
def test_half_a_shard_is_forgotten(tmp_path, toy, call):
    expected, generator = alone(toy, tmp_path), toy.generator(fail_at_call=call)
    one = producer(InlineProducer, pipeline(generator, [Grows(toy)]), tmp_path / "one")
    with pytest.raises(ArithmeticError):
        one.wait_for(4)
    generator.fail_at_call = None
    one.wait_for(4)
    assert contents(one.store) == expected


def test_thousands_of_earlier_shards_are_not_counted_for_each_new_one():
    class Counts(Sequence):
        """A range that cannot be walked."""

        def __init__(self, shards):
            self.shards = shards

        def __getitem__(self, key):
            return Counts(self.shards[key]) if isinstance(key, slice) else self.shards[key]

        def __len__(self):
            return len(self.shards)

        def __eq__(self, other):
            return self.shards == other.shards

        def __iter__(self):
            walked.append(len(self.shards))
            return iter(self.shards)

    made, walked = pipeline(TEXT.generator(), [Grows(TEXT)]), []
    for index in range(4):
        made.make(index, Counts(range(index)), read=lambda shard: [])
    assert sum(walked) <= 4


def test_only_filters_with_a_memory_have_old_shards_read_to_them(tmp_path, monkeypatch):
    class Forgetful(Grows):
        remember = Filter.remember

    read = []
    whole = ShardStore.read
    monkeypatch.setattr(ShardStore, "read", lambda store, index: read.append(index) or whole(store, index))
    for kind, expected in ((Forgetful, []), (Grows, [0, 1])):
        producer(InlineProducer, pipeline(TEXT.generator(), [kind(TEXT)]), tmp_path / kind.__name__).wait_for(1)
        read.clear()
        producer(InlineProducer, pipeline(TEXT.generator(), [kind(TEXT)]), tmp_path / kind.__name__).wait_for(4)
        assert read == expected


def test_near_duplicates_of_the_shards_before_are_found_when_another_loader_came_between(tmp_path):
    class Repeats(ToyGenerator):
        def generate(self, labels, seed):
            return [
                {"text": f"take {number} of a film"} for number in np.random.default_rng(seed).choice(30, len(labels))
            ]

    made = pipeline(Repeats(TEXT), [NearDuplicates()])
    one = producer(InlineProducer, made, tmp_path)
    one.wait_for(1)
    producer(InlineProducer, made, tmp_path / "other").wait_for(0)
    one.wait_for(4)
    texts = [example["text"] for index in range(5) for example in one.store.read(index).examples]
    assert len(texts) == len(set(texts)) > 15
