"""The runs of a comparison side by side, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm


_do: Callable[..., Any] | None = None


def run_jobs(
    make: Callable[[], Callable[..., Any]], jobs: Sequence[tuple[Any, ...]], processes: int, log_folder: Path
) -> None:
    """
    Does jobs in processes of their own. What they print goes to a file for each process. If one fails, those that have
    begun are finished first.

    Args:
        make (`Callable`):
            Called once in each process, returns what does a job; picklable, as jobs are.
        jobs (`Sequence[tuple]`):
            The arguments of each job, in the order in which they are begun.
        processes (`int`):
            How many at a time. They share the machine's cores evenly.
        log_folder (`Path`):
            Where the files go.

    Raises:
        Exception: What the first job that failed raised.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // processes)
    pool = ProcessPoolExecutor(
        processes,
        # A fork would inherit locks and CUDA in whatever state they are.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(make, threads, log_folder),
    )
    with pool, tqdm(total=len(jobs), desc=f"Runs in {processes} processes (see {log_folder})") as progress:
        futures = {pool.submit(_work, *job): job for job in jobs}
        try:
            for future in as_completed(futures):
                future.result()
                progress.set_postfix_str(" ".join(map(str, futures[future])))
                progress.update()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _start(make: Callable[[], Callable[..., Any]], threads: int, log_folder: Path) -> None:
    global _do
    log = open(log_folder / f"process-{os.getpid()}.log", "a", buffering=1, encoding="utf-8")  # noqa: SIM115
    # The descriptors, so that what libraries print goes there too.
    os.dup2(log.fileno(), sys.stdout.fileno())
    os.dup2(log.fileno(), sys.stderr.fileno())
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _do = make()


def _end_with_parent() -> None:
    """Else a run that was killed would go on in its processes, and hold what the next one waits for."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    # Whatever is on disk is whole, as after any kill.
    os._exit(1)


def _work(*job: Any) -> None:
    assert _do is not None
    _do(*job)
