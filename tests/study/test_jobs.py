import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from threadpoolctl import threadpool_info

from hf_augment.study.jobs import _Queue, cores, limited_threads, run_jobs, threads_of


def make(folder):
    """In each process: what does a job."""
    return functools.partial(work, Path(folder))


def work(folder, name, seconds):
    print(f"working on {name}")
    if name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "bad":
        raise ValueError("bad: pass another one")
    time.sleep(seconds)
    for _ in range(600):
        # Until it has been told that another process has done the others, which may begin late.
        if name != "g1" or (folder / "told-b").exists():
            break
        time.sleep(0.1)
    (folder / name).write_text(str(os.getpid()))


@pytest.mark.slow
def test_jobs_are_done_in_processes_of_their_own_and_print_to_their_logs(tmp_path):
    names = ["a", "b", "c", "d"]
    asked = ((name, 0.5) for name in names)
    done = run_jobs(functools.partial(make, tmp_path), asked, 4, 2, tmp_path / "logs")
    assert done == [(name, 0.5) for name in names]
    processes = {(tmp_path / name).read_text() for name in names}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes
    printed = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert sorted(printed.split()) == sorted(" ".join(f"working on {name}" for name in names).split())


@pytest.mark.slow
def test_a_job_that_fails_ends_the_rest_and_loses_nothing_that_was_begun(tmp_path):
    jobs = [("bad", 0), ("begun", 1), *((f"later-{i}", 1) for i in range(8))]
    with pytest.raises(ValueError, match="bad: pass another one"):
        run_jobs(functools.partial(make, tmp_path), jobs, 10, 2, tmp_path / "logs")
    assert (tmp_path / "begun").exists()
    assert not (tmp_path / "later-7").exists()


@pytest.mark.slow
def test_a_process_that_is_killed_is_told_with_what_to_do(tmp_path):
    told = r"A process ended, as when memory runs out; its last words are in .*--processes"
    with pytest.raises(ChildProcessError, match=told):
        run_jobs(functools.partial(make, tmp_path), [("killed", 0)], 1, 2, tmp_path / "logs")


@pytest.mark.slow
def test_a_job_is_asked_for_when_a_process_is_free(tmp_path):
    asked = []

    def jobs():
        for name in ("a", "b", "c"):
            asked.append((name, len(list(tmp_path.glob("[abc]")))))
            yield name, 0.2

    run_jobs(functools.partial(make, tmp_path), jobs(), 3, 1, tmp_path / "logs")
    assert asked == [("a", 0), ("b", 1), ("c", 2)]


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them_however_it_ends(tmp_path):
    code = (
        "from pathlib import Path; import sys; from tests.study.test_jobs import *; folder = Path(sys.argv[1]); "
        "run_jobs(functools.partial(make, folder), [('long', 120), ('longer', 120)], 2, 2, folder / 'logs')"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], env=environment) as started:
        for _ in range(600):
            logs = list(tmp_path.glob("logs/*.log"))
            if len(logs) == 2 and all(log.read_text() for log in logs):
                break
            time.sleep(0.1)
        workers = [int(log.stem.partition("-")[2]) for log in logs]
        assert len(workers) == 2
        started.kill()
    for _ in range(100):
        if not any(map(runs, workers)):
            return
        time.sleep(0.1)
    raise AssertionError(f"{workers} are still there")


@pytest.mark.slow
def test_an_interrupt_ends_all_processes_at_once(tmp_path):
    code = (
        "from pathlib import Path; import sys; from tests.study.test_jobs import *; folder = Path(sys.argv[1])\n"
        "from hf_augment.progress import one_line_errors\n"
        # What was begun in the background does not hear it by default.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "if __name__ == '__main__':\n    with one_line_errors():\n"
        "        run_jobs(functools.partial(make, folder), [('long', 120), ('longer', 120)], 2, 2, folder / 'logs')"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    (tmp_path / "started.py").write_text(code)
    command = [sys.executable, tmp_path / "started.py", tmp_path]
    # A group of its own, all of which hears the interrupt, as in a terminal.
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, process_group=0) as started:
        for _ in range(600):
            logs = list(tmp_path.glob("logs/*.log"))
            if len(logs) == 2 and all("working on" in log.read_text() for log in logs):
                break
            time.sleep(0.1)
        os.killpg(started.pid, signal.SIGINT)
        _, told = started.communicate(timeout=30)
    assert started.returncode == 130
    assert "Traceback" not in told
    assert told.splitlines()[-1] == "interrupted: what is done is kept; the same command goes on from there"
    assert not any(runs(int(log.stem.partition("-")[2])) for log in logs)
    assert not any("Traceback" in log.read_text() for log in logs)


def test_threads_are_limited_and_given_back():
    def found():
        return [torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())]

    before = found()
    with limited_threads(1):
        assert set(found()) == {1}
    assert found() == before


def maker(job):
    """Jobs in capitals make something for all that begin alike."""
    return job[0][0].upper() if job[0][0] in "gG" else None


def names(*given):
    return [(name,) for name in given]


def test_what_would_wait_for_another_job_is_overtaken_and_goes_first_afterwards():
    queue = _Queue(iter(names("a", "g1", "g2", "b", "g3", "c")), maker, 8)
    assert [queue.next() for _ in range(4)] == names("a", "g1", "b", "c")
    assert queue.next() is None
    queue.done(("a",))
    assert queue.next() is None
    queue.done(("g1",))
    assert [queue.next() for _ in range(3)] == [("g2",), ("g3",), None]


def test_few_are_overtaken_and_no_more_are_asked_for():
    asked = []

    def jobs():
        for number in range(100):
            asked.append(number)
            yield ("g",)

    queue = _Queue(jobs(), maker, 5)
    assert queue.next() == ("g",)
    assert queue.next() is None
    assert len(asked) == 1 + 5
    queue.done(("g",))
    assert [queue.next() for _ in range(12)] == [("g",)] * 12


def test_what_is_not_wanted_when_it_could_begin_is_left_out_and_nobody_waits_for_it():
    asked = []

    def wanted(job):
        asked.append(job)
        return job not in names("g1", "b")

    queue = _Queue(iter(names("a", "g1", "g2", "b", "h", "g3")), maker, 8, wanted)
    assert [queue.next() for _ in range(5)] == [*names("a", "g2", "h", "g3"), None]
    assert asked == names("a", "g1", "g2", "b", "h", "g3")


def test_what_waits_is_asked_for_when_it_waits_no_more():
    unwanted = []
    queue = _Queue(iter(names("g1", "g2", "g3", "a")), maker, 8, lambda job: job not in unwanted)
    assert [queue.next() for _ in range(3)] == [*names("g1", "a"), None]
    unwanted += names("g2")
    queue.done(("g1",))
    assert [queue.next(), queue.next()] == [("g3",), None]


@pytest.mark.slow
def test_processes_do_not_wait_for_each_other(tmp_path):
    jobs = [("g1", 0), ("g2", 0), ("a", 0), ("b", 0)]
    told = []

    def tell(name, _):
        told.append(name)
        (tmp_path / f"told-{name}").touch()

    done = run_jobs(functools.partial(make, tmp_path), jobs, 4, 2, tmp_path / "logs", maker, tell=tell)
    assert done == [("g1", 0), ("a", 0), ("b", 0), ("g2", 0)]
    # Each as soon as it is done.
    assert told == ["a", "b", "g1", "g2"]


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(5)), raising=False)
    assert cores() == 5
    assert [threads_of(processes) for processes in (1, 2, 8)] == [5, 2, 1]
