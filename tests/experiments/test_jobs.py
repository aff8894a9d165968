import functools
import os
import time
from pathlib import Path

import pytest

from hf_augment.experiments.jobs import run_jobs


def make(folder):
    """In each process: what does a job."""
    return functools.partial(work, Path(folder))


def work(folder, name, seconds):
    print(f"working on {name}")
    if name == "bad":
        raise ValueError("bad: pass another one")
    time.sleep(seconds)
    (folder / name).write_text(str(os.getpid()))


@pytest.mark.slow
def test_jobs_are_done_in_processes_of_their_own_and_print_to_their_logs(tmp_path):
    names = ["a", "b", "c", "d"]
    run_jobs(functools.partial(make, tmp_path), [(name, 0.5) for name in names], 2, tmp_path / "logs")
    processes = {(tmp_path / name).read_text() for name in names}
    assert len(processes) == 2
    assert str(os.getpid()) not in processes
    printed = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert sorted(printed.split()) == sorted(" ".join(f"working on {name}" for name in names).split())


@pytest.mark.slow
def test_a_job_that_fails_ends_the_rest_and_loses_nothing_that_was_begun(tmp_path):
    jobs = [("bad", 0), ("begun", 1), *((f"later-{i}", 1) for i in range(8))]
    with pytest.raises(ValueError, match="bad: pass another one"):
        run_jobs(functools.partial(make, tmp_path), jobs, 2, tmp_path / "logs")
    assert (tmp_path / "begun").exists()
    assert not (tmp_path / "later-7").exists()
