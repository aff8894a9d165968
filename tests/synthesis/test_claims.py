"""One filler has a shard, also when many want it at once; a dead one's is taken over, a living one's is not."""

import multiprocessing
import threading
import time

import pytest

from hf_augment.synthesis.claims import Claims


LAPSE = 0.4


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def abandoned(folder, index, lapse=LAPSE):
    """A claim that is renewed no more, as if its filler had died."""
    claims = Claims(folder, lapse)
    claim = claims.take(index)
    claims._closed.set()
    claims._thread.join()
    return claim


def take_in_time(claims, index, seconds=20):
    deadline = time.monotonic() + seconds
    while (claim := claims.take(index)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return claim


def test_a_claim_is_one_file_that_goes_when_the_shard_is_there(tmp_path):
    with Claims(tmp_path) as claims:
        with claims.take(12) as claim:
            assert files(tmp_path) == ["shard-000012.claim-0"]
            assert claims.take(12) is Claims(tmp_path).take(12) is None
            assert claims.take(13) is not None
            assert claim.held()
            claim.finish()
        assert files(tmp_path) == ["shard-000013.claim-0"]


def test_what_failed_is_free_at_once(tmp_path):
    with Claims(tmp_path) as claims:
        with pytest.raises(ArithmeticError), claims.take(0):
            raise ArithmeticError
        with Claims(tmp_path).take(0) as again:
            assert again.number == 1
            assert claims.take(0) is None
            again.finish()
    assert files(tmp_path) == []


def test_a_living_claim_is_never_taken_over_and_a_dead_one_is_after_its_lapse(tmp_path):
    with Claims(tmp_path, LAPSE) as living, Claims(tmp_path, LAPSE) as claims:
        held, dead = living.take(0), abandoned(tmp_path, 1)
        start = time.monotonic()
        taken = take_in_time(claims, 1)
        assert time.monotonic() - start >= LAPSE
        assert taken.held()
        assert not dead.held()
        while time.monotonic() < start + 3 * LAPSE:
            assert claims.take(0) is None
            time.sleep(0.02)
        assert held.held()
        # The dead one wakes up: it frees its own claim, and not that of the other.
        with dead:
            pass
        assert taken.held()
        assert Claims(tmp_path, LAPSE).take(1) is None


def test_a_filler_that_did_not_watch_takes_nothing_for_dead(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("hf_augment.synthesis.claims.time.monotonic", lambda: clock[0])
    abandoned(tmp_path, 0, lapse=60.0).close()
    claims = Claims(tmp_path, 60.0)
    assert claims.take(0) is None
    # As after an hour in which the machine, or the shared folder, stood still.
    clock[0] += 3600
    assert claims.take(0) is None
    for _ in range(2):
        clock[0] += 15
        assert claims.take(0) is None
    clock[0] += 15
    assert claims.take(0) is not None
    claims.close()


def test_a_claim_whose_file_is_half_written_is_one(tmp_path):
    # Killed between the making of the file and its first writing.
    (tmp_path / "shard-000000.claim-0").touch()
    with Claims(tmp_path, LAPSE) as claims:
        assert claims.take(0) is None
        assert take_in_time(claims, 0).number == 1


def race(folder, rounds, barrier, results):
    with Claims(folder, 30.0) as claims:
        got = []
        for index in range(rounds):
            barrier.wait(60)
            got.append(claims.take(index) is not None)
    results.put(got)


def test_of_two_processes_exactly_one_gets_each_claim(tmp_path):
    context, rounds = multiprocessing.get_context("spawn"), 200
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=race, args=(tmp_path, rounds, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    one, other = (results.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    assert [a + b for a, b in zip(one, other, strict=True)] == [1] * rounds
    assert len(files(tmp_path)) == rounds


def test_of_four_who_watch_a_dead_claim_exactly_one_takes_it_over(tmp_path):
    lapse, rounds = 0.05, 20
    for index in range(rounds):
        abandoned(tmp_path, index, lapse).close()
    got, barrier = [], threading.Barrier(4)

    def watch():
        # Those who come later must see a living claim.
        claims = Claims(tmp_path, 20.0)
        claims.lapse = lapse
        for index in range(rounds):
            barrier.wait(60)
            while True:
                claim = claims.take(index)
                if claim is not None:
                    got.append((index, claim.number))
                if claims.path(index, 1).exists():
                    break
            barrier.wait(60)
        claims.close()

    threads = [threading.Thread(target=watch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [(index, 1) for index in range(rounds)]


@pytest.mark.parametrize("lapse", [0, -1.0, float("nan")])
def test_a_lapse_out_of_range_is_refused(lapse, tmp_path):
    with pytest.raises(ValueError, match=r"lapse=.* is out of range: pass seconds, more than 0"):
        Claims(tmp_path, lapse)
