"""The runs of a study side by side, each in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from hf_augment.progress import PERIOD, last_words, working


_do: Callable[..., Any] | None = None


def run_jobs(
    make: Callable[[], Callable[..., Any]],
    jobs: Iterable[tuple[Any, ...]],
    total: int,
    processes: int,
    log_folder: Path,
    makes: Callable[[tuple[Any, ...]], Hashable] = lambda job: None,
    overtaken: int = 8,
    wanted: Callable[[tuple[Any, ...]], bool] = lambda job: True,
    tell: Callable[..., None] = lambda *job: None,
) -> list[tuple[Any, ...]]:
    """
    Does jobs in so many processes at a time, which share the machine's cores evenly. What they print goes to a file of
    `log_folder` for each, and its end is shown here. If a job fails, those that have begun are finished first, and
    what the first one raised is raised; an interrupt ends all at once.

    Args:
        make (`Callable`): Called once in each process, returns what does a job; picklable, as jobs are.
        jobs (`Iterable[tuple]`): The arguments of each job, in the order in which they are begun; the next is asked
            for when a process is free.
        total (`int`): The number of jobs, or the most there can be.
        processes (`int`): Number of jobs at a time.
        log_folder (`Path`): Folder of the files.
        makes (`Callable`, *optional*):
            Names what a job makes for all jobs of that name, or `None`. While the first of them makes it, the others
            wait, and some that come later are begun in their place.
        overtaken (`int`, *optional*, defaults to 8): The most jobs that wait so.
        wanted (`Callable`, *optional*): Says of a job that could be begun now whether it is done at all.
        tell (`Callable`, *optional*): Called here with the arguments of each job that is done.

    Returns:
        `list[tuple]`: The jobs, as they were begun.
    """
    log_folder.mkdir(parents=True, exist_ok=True)
    earlier = set(log_folder.iterdir())
    pool = ProcessPoolExecutor(
        processes,
        # A fork would inherit locks and CUDA in whatever state they are.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(make, threads_of(processes), log_folder),
    )
    # Where a terminal does not say how large it is, tqdm would print nothing.
    size, form = shutil.get_terminal_size((100, 24)), "{n_fmt} of {total_fmt} jobs [{elapsed}{postfix}]"
    queue, begun = _Queue(iter(jobs), makes, overtaken, wanted), []
    waiting: dict[Future[None], tuple[Any, ...]] = {}
    with pool, tqdm(total=total, ncols=size[0], nrows=size[1], bar_format=form, mininterval=0) as progress:
        try:
            while True:
                while len(waiting) < processes and (job := queue.next()) is not None:
                    begun.append(job)
                    waiting[pool.submit(_work, *job)] = job
                if not waiting:
                    return begun
                for future in wait(waiting, timeout=PERIOD, return_when=FIRST_COMPLETED).done:
                    future.result()
                    job = waiting.pop(future)
                    queue.done(job)
                    tell(*job)
                    progress.update()
                logs = sorted(set(log_folder.iterdir()) - earlier)
                progress.set_postfix_str("; ".join(filter(None, map(last_words, logs))))
        except BrokenProcessPool as error:
            raise ChildProcessError(
                f"A process ended, as when memory runs out; its last words are in {log_folder}. The same command goes "
                "on, with fewer --processes or a smaller --per_device_train_batch_size."
            ) from error
        except KeyboardInterrupt:
            # Whatever is on disk is whole, as after any kill.
            for process in multiprocessing.active_children():
                process.kill()
            raise
        finally:
            with working("Waiting for the processes to end"):
                pool.shutdown(wait=True, cancel_futures=True)


class _Queue:
    """Jobs in their order, but for those that would wait for what another one makes."""

    def __init__(
        self,
        jobs: Iterator[tuple[Any, ...]],
        makes: Callable[[tuple[Any, ...]], Hashable],
        most: int,
        wanted: Callable[[tuple[Any, ...]], bool] = lambda job: True,
    ) -> None:
        self.jobs, self.makes, self.most, self.wanted = jobs, makes, most, wanted
        self.put_off: list[tuple[Any, ...]] = []
        self.making: set[Hashable] = set()
        self.made: set[Hashable] = {None}

    def next(self) -> tuple[Any, ...] | None:
        """The next job that waits for nothing and is wanted; `None` if there is none."""
        while (job := self._next_free()) is not None:
            if self.wanted(job):
                return job
            # Nobody waits for what it would have made.
            self.done(job)
        return None

    def _next_free(self) -> tuple[Any, ...] | None:
        for job in self.put_off:
            if self._free(job):
                self.put_off.remove(job)
                return job
        while len(self.put_off) < self.most and (following := next(self.jobs, None)) is not None:
            if self._free(following):
                return following
            self.put_off.append(following)
        return None

    def done(self, job: tuple[Any, ...]) -> None:
        """Says that a job is done, and with it what it makes for others."""
        self.made.add(self.makes(job))

    def _free(self, job: tuple[Any, ...]) -> bool:
        name = self.makes(job)
        if name in self.made:
            return True
        first = name not in self.making
        self.making.add(name)
        return first


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """So many threads for torch and for the libraries of linear algebra."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before)


def cores() -> int:
    """Returns the number of cores that this process may use: schedulers and containers give some of a machine's."""
    # Linux alone knows.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_of(processes: int) -> int:
    """Returns the threads of each of so many processes that share the cores."""
    return max(1, cores() // processes)


def _start(make: Callable[[], Callable[..., Any]], threads: int, log_folder: Path) -> None:
    global _do
    # The process that started this one hears it, too, and decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = open(log_folder / f"process-{os.getpid()}.log", "a", buffering=1, encoding="utf-8")  # noqa: SIM115
    # The descriptors, so that what libraries print goes there too.
    os.dup2(log.fileno(), sys.stdout.fileno())
    os.dup2(log.fileno(), sys.stderr.fileno())
    torch.set_num_threads(threads)
    # For good: those of scikit-learn wait for each other busily.
    threadpool_limits(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _do = make()


def _end_with_parent() -> None:
    """Ends this process when its parent has ended, or it would hold what the next run waits for."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    # Whatever is on disk is whole, as after any kill.
    os._exit(1)


def _work(*job: Any) -> None:
    assert _do is not None
    _do(*job)
