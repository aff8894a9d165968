import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import torch

from hf_augment import Verdict
from hf_augment.synthesis.guides import Guide
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.producer import InlineProducer, ThreadProducer
from hf_augment.synthesis.shards import ShardStore
from tests.synthesis.test_pipeline import Remembers
from tests.toys import (
    LABELS,
    TEXT,
    ToyGenerator,
    comparable,
    each_toy,  # noqa: F401 - the fixture `toy`
)


def running():
    return [thread for thread in threading.enumerate() if thread.name == "hf_augment-producer"]


def producer(kind, tmp_path, generator, filters=(), shards=range(6), **kwargs):
    made = SynthesisPipeline(generator, filters, np.array([0.5, 0.5]), 1, 4, 2)
    return kind(made, ShardStore(tmp_path, made.identity(), "label", LABELS), shards, **kwargs)


def examples(store, shards):
    return comparable([store.read(index).examples for index in shards])


@pytest.mark.parametrize("kind", [InlineProducer, ThreadProducer])
def test_what_is_waited_for_is_on_disk_and_the_same_whoever_made_it(kind, tmp_path, toy):
    one = producer(kind, tmp_path, toy.generator())
    one.wait_for(2)
    one.close()
    reference = SynthesisPipeline(toy.generator(), (), np.array([0.5, 0.5]), 1, 4, 2)
    assert examples(one.store, range(3)) == comparable([reference.make(index).examples for index in range(3)])


@pytest.mark.parametrize("kind", [InlineProducer, ThreadProducer])
def test_nothing_on_disk_is_made_again_and_filters_are_told_of_it(kind, tmp_path, toy):
    first = producer(kind, tmp_path, toy.generator(), [Remembers()], shards=range(12))
    first.wait_for(1)
    first.close()
    made = first.store.indices()
    memory, generator = Remembers(), toy.generator()
    second = producer(kind, tmp_path, generator, [memory], shards=range(12))
    second.wait_for(1)
    assert kind is ThreadProducer or generator.calls == []
    second.wait_for(8)
    second.close()
    assert len(generator.calls) == len(second.store.indices()) - len(made) > 0
    assert comparable(memory.told) == examples(second.store, second.store.indices())


def test_inline_leaves_the_global_random_state_even_with_a_careless_generator(tmp_path, toy):
    class Careless(ToyGenerator):
        def generate(self, labels, seed):
            return super().generate(labels, torch.randint(1000, ()).item())

    state = torch.get_rng_state()
    one = producer(InlineProducer, tmp_path, Careless(toy))
    one.wait_for(0)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    other = producer(InlineProducer, tmp_path / "other", Careless(toy))
    other.wait_for(0)
    assert examples(other.store, [0]) == examples(one.store, [0])


def test_the_thread_works_ahead_but_not_far_and_starts_with_the_first_question(tmp_path):
    one = producer(ThreadProducer, tmp_path, TEXT.generator(), shards=range(100), ahead=3)
    assert not running()
    one.wait_for(0)
    assert running()
    deadline = time.time() + 10
    while len(one.store.indices()) < 4 and time.time() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    one.close()
    one.close()
    assert one.store.indices() == [0, 1, 2, 3]
    assert not running()


def test_the_threads_error_is_raised_in_the_waiting_one_and_paid_work_stays(tmp_path):
    one = producer(ThreadProducer, tmp_path, TEXT.generator(fail_at_call=2))
    with pytest.raises(
        RuntimeError, match=r"shard 3 failed: ArithmeticError: the toy broke\. 2 made before"
    ) as caught:
        one.wait_for(3)
    assert isinstance(caught.value.__cause__, ArithmeticError)
    one.close()
    assert one.store.indices() == [0, 1]
    one.wait_for(1)


def test_what_is_on_disk_moves_the_thread_on_too(tmp_path):
    one = producer(ThreadProducer, tmp_path, TEXT.generator(), shards=range(100), ahead=2)
    one.wait_for(0)
    deadline = time.time() + 10
    while len(one.store.indices()) < 3 and time.time() < deadline:
        time.sleep(0.01)
    one.wait_for(2)
    while len(one.store.indices()) < 5 and time.time() < deadline:
        time.sleep(0.01)
    one.close()
    assert one.store.indices() == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="was asked for after training had ended"):
        one.wait_for(50)


def test_a_gap_among_the_shards_is_filled_with_what_was_there(tmp_path, toy):
    class Grows(Remembers):
        def judge(self, examples, labels):
            known = sum(map(len, self.told))
            return [Verdict((known + i) % 3 != 0, 1.0, "") for i, _ in enumerate(examples)]

    first = producer(InlineProducer, tmp_path, toy.generator(), [Grows()])
    first.wait_for(5)
    before = examples(first.store, range(6))
    for index in (1, 3):
        (first.store.folder / f"shard-{index:06d}.arrow").unlink()
    second = producer(InlineProducer, tmp_path, toy.generator(), [Grows()])
    second.wait_for(3)
    assert examples(second.store, range(6)) == before


@pytest.mark.parametrize("kind", [InlineProducer, ThreadProducer])
def test_what_comes_before_the_first_need_is_made_for_filters_with_a_memory_alone(kind, tmp_path, toy):
    whole = producer(InlineProducer, tmp_path / "whole", toy.generator())
    whole.wait_for(5)
    for filters, expected in (([], [4, 5]), ([Remembers()], list(range(6)))):
        one = producer(kind, tmp_path / str(len(filters)), toy.generator(), filters)
        one.begin(4)
        one.wait_for(5)
        one.close()
        assert one.store.indices() == expected
        assert examples(one.store, [4, 5]) == examples(whole.store, [4, 5])


@pytest.mark.parametrize("kind", [InlineProducer, ThreadProducer])
def test_a_shard_is_looked_for_on_disk_once_however_many_there_are(kind, tmp_path, monkeypatch):
    first = producer(kind, tmp_path, TEXT.generator(), shards=range(20))
    first.wait_for(9)
    first.close()
    looked, has = [], ShardStore.has
    monkeypatch.setattr(ShardStore, "has", lambda store, index: looked.append(index) or has(store, index))
    second = producer(kind, tmp_path, TEXT.generator(), shards=range(20))
    second.begin(5)
    for shard in range(5, 12):
        second.wait_for(shard)
    second.close()
    assert min(looked) == 5
    assert len(looked) < 80


def test_waiting_ends_with_the_argument_to_raise(tmp_path):
    class Slow(ToyGenerator):
        def generate(self, labels, seed):
            time.sleep(0.5)
            return super().generate(labels, seed)

    one = producer(ThreadProducer, tmp_path, Slow(TEXT), timeout=0.05)
    with pytest.raises(TimeoutError, match=r"synthetic_timeout=0\.05 seconds: raise"):
        one.wait_for(0)
    assert one.waited_seconds >= 0.05
    one.close()


def test_waiting_adds_up(tmp_path):
    class Slow(ToyGenerator):
        def generate(self, labels, seed):
            time.sleep(0.1)
            return super().generate(labels, seed)

    one = producer(InlineProducer, tmp_path, Slow(TEXT))
    for shard in (0, 1, 1):
        one.wait_for(shard)
    assert one.waited_seconds >= 0.2


def test_the_thread_computes_with_as_many_threads_as_its_caller(tmp_path):
    class Counts(ToyGenerator):
        def generate(self, labels, seed):
            counted.append(torch.get_num_threads())
            return super().generate(labels, seed)

    counted, before = [], torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        one = producer(ThreadProducer, tmp_path, Counts(TEXT), shards=[0])
        one.wait_for(0)
        one.close()
    finally:
        torch.set_num_threads(before)
    assert counted == [3]


def test_interrupted_it_gives_up_the_shard_at_once_and_another_one_makes_it(tmp_path):
    class Endless(ToyGenerator):
        def generate(self, labels, seed):
            if len(self.calls) == 1:
                busy.set()
                while True:
                    torch.ones(2) + 1
            return super().generate(labels, seed)

    busy = threading.Event()
    one = producer(ThreadProducer, tmp_path, Endless(TEXT))
    one.wait_for(0)
    assert busy.wait(60)
    one.close(wait=False)
    one.close(wait=False)
    assert not running()
    assert one.store.indices() == [0]
    with pytest.raises(RuntimeError, match="was asked for after training had ended"):
        one.wait_for(1)
    other = producer(ThreadProducer, tmp_path, TEXT.generator())
    other.wait_for(5)
    other.close()
    whole = producer(InlineProducer, tmp_path / "whole", TEXT.generator())
    whole.wait_for(5)
    assert examples(other.store, range(6)) == examples(whole.store, range(6))


def test_an_interpreter_that_ends_while_the_thread_works_ends_cleanly(tmp_path):
    script = f"""
        import pathlib, torch
        from tests.synthesis.test_producer import producer
        from tests.toys import TEXT, ToyGenerator
        from hf_augment.synthesis.producer import ThreadProducer

        class Heavy(ToyGenerator):
            def generate(self, labels, seed):
                for _ in range(200):
                    torch.rand(128, 128) @ torch.rand(128, 128)
                return super().generate(labels, seed)

        folder = pathlib.Path({str(tmp_path)!r})
        producer(ThreadProducer, folder, Heavy(TEXT), shards=range(10**6), ahead=10**6).wait_for(0)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", [InlineProducer, ThreadProducer])
def test_nothing_beyond_what_it_holds_at_is_begun(kind, tmp_path, toy):
    one = producer(kind, tmp_path, toy.generator())
    one.hold(2)
    one.wait_for(1)
    time.sleep(0.1)
    assert one.store.indices() == [0, 1]
    one.pipeline.guides[2] = one.store.guides[2] = Guide("k", (0.0, 1.0), {0: toy.rows()[1]})
    one.hold(3)
    one.expect(2)
    one.wait_for(2)
    one.close()
    assert one.store.indices() == [0, 1, 2]
    assert one.store.read(2).labels == [1] * 4
    assert (one.store.folder / "shard-000002-k.arrow").exists()
