"""Producers make the shards: in the calling thread while it waits, or in a thread that works ahead of it."""

from __future__ import annotations

import atexit
import ctypes
import gc
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch

from hf_augment.seeding import derive_seed, isolated_rng
from hf_augment.synthesis.candidates import Candidates
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.shards import ShardStore


#: Seconds that `close(wait=False)` gives a thread inside one long call, such as a sleep, before it goes on without it.
GRACE = 1.0


class Producer(ABC):
    """
    Sees to it that a shard is on disk before anyone reads it.

    Args:
        pipeline (`SynthesisPipeline`): Makes shards.
        store (`ShardStore`): Keeps them. A shard that is there already is never made again.
        shards (`Sequence[int]`): The shards that this rank needs, in the order of need.
    """

    def __init__(self, pipeline: SynthesisPipeline, store: ShardStore, shards: Sequence[int]) -> None:
        self.pipeline, self.store, self.shards = pipeline, store, shards
        self.waited_seconds = 0.0
        self._whole = 0  # So many of the first shards are on disk, or will not be asked for.
        self._known = len(shards) - 1  # The position of the last one that may be made.
        # Held while files are open, in which nobody is interrupted.
        self._files = threading.Lock()

    def begin(self, shard: int) -> None:
        """None of the shards before this one will be asked for; only filters with a memory need them on disk."""
        if not self.pipeline.remembering:
            self._whole = self.shards.index(shard)

    def hold(self, count: int) -> None:
        """No shard after the first `count` is begun until this is called again: their guides are not there yet."""
        self._known = count - 1

    def expect(self, shard: int) -> None:  # noqa: B027 - who makes shards when they are asked for needs no notice
        """The shards up to this one will be asked for soon: one that works ahead begins to make them."""

    def wait_for(self, shard: int) -> None:
        """Returns when the shard is on disk; raises the error that keeps it from being made."""
        if self.store.has(shard):
            return
        start = time.perf_counter()
        try:
            self._wait_for(shard)
        finally:
            self.waited_seconds += time.perf_counter() - start

    @abstractmethod
    def _wait_for(self, shard: int) -> None: ...

    def close(self, wait: bool = True) -> None:
        """
        Ends what runs in the background; may be called twice.

        Args:
            wait (`bool`, *optional*, defaults to `True`):
                Whether the shard in progress is finished first. If not, it is lost, and nothing else.
        """
        if not wait:
            # Somebody wants to get away. Of the time in which a process with torch and transformers ends, most goes
            # into a last search for garbage, of which this leaves nothing to look at.
            atexit.unregister(gc.freeze)
            atexit.register(gc.freeze)

    def _missing(self, last: int) -> int | None:
        """The first shard that is not on disk, among those up to the position `last`; `None` where all are."""
        while self._whole <= min(last, self._known):
            index = self.shards[self._whole]
            if not self.store.has(index):
                return index
            # Never looked at again: there may be thousands.
            self._whole += 1
        return None

    def _make(self, index: int) -> None:
        earlier = self.shards[: self.shards.index(index)]
        candidates = Candidates(self.store, index)

        def kept(attempt: int, slots: list[int], make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
            with self._files:
                found = candidates.read(attempt, slots)
            return make() if found is None else found

        shard = self.pipeline.make(index, earlier, self._read, kept)
        with self._files:
            self.store.write(shard)
            candidates.drop()

    def _read(self, index: int) -> list[dict[str, Any]]:
        with self._files:
            return self.store.read(index).examples


class InlineProducer(Producer):
    """
    Makes a shard when it is asked for, in the calling thread, and leaves the global random state as it was. Any
    generator will do.
    """

    def _wait_for(self, shard: int) -> None:
        while (index := self._missing(self.shards.index(shard))) is not None:
            with isolated_rng(derive_seed(self.pipeline.seed, "inline", index)):
                self._make(index)


class ThreadProducer(Producer):
    """
    Makes shards in a background thread, at most `ahead` of what was asked for last.

    The thread starts with the first question, so building a data loader starts nothing. It is a daemon that `atexit`
    interrupts: a daemon inside torch at interpreter exit aborts the process, and a plain thread may never end.

    Args:
        pipeline (`SynthesisPipeline`):
            As for [`Producer`]; its generator must draw from its seed alone, because the global random state belongs
            to training.
        store (`ShardStore`): As for [`Producer`].
        shards (`Sequence[int]`): As for [`Producer`].
        timeout (`float`, *optional*, defaults to 1800.0): Seconds to wait for one shard before giving up.
        ahead (`int`, *optional*, defaults to 4):
            Number of shards to make beyond the one asked for, which bounds what an early stop wastes.
    """

    def __init__(
        self,
        pipeline: SynthesisPipeline,
        store: ShardStore,
        shards: Sequence[int],
        timeout: float = 1800.0,
        ahead: int = 4,
    ) -> None:
        super().__init__(pipeline, store, shards)
        self.timeout, self.ahead = timeout, ahead
        self._changed = threading.Condition()
        self._asked, self._stopping = -1, False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def hold(self, count: int) -> None:
        """See [`Producer.hold`]."""
        with self._changed:
            super().hold(count)

    def expect(self, shard: int) -> None:
        """See [`Producer.expect`]."""
        with self._changed:
            self._asked = max(self._asked, self.shards.index(shard) - self.ahead)
            self._start()
            self._changed.notify_all()

    def wait_for(self, shard: int) -> None:
        """As [`Producer.wait_for`]; also what is on disk already moves the thread on."""
        with self._changed:
            self._asked = max(self._asked, self.shards.index(shard))
            self._start()
            self._changed.notify_all()
        super().wait_for(shard)

    def _wait_for(self, shard: int) -> None:
        with self._changed:
            done = self._changed.wait_for(
                lambda: self._error or self._stopping or self.store.has(shard), timeout=self.timeout
            )
        if self._error is not None:
            made = len(self.store.indices())
            kept = f" {made} made before are kept in {self.store.folder} for the next start." if made else ""
            why = f"{type(self._error).__name__}: {self._error}".rstrip(".")
            # What failed outside of the program, such as a server, is no fault of the program.
            kind = OSError if isinstance(self._error, OSError) else RuntimeError
            raise kind(f"Generating synthetic shard {shard} failed: {why}.{kept}") from self._error
        if not done:
            raise TimeoutError(
                f"Synthetic shard {shard} was not ready after synthetic_timeout={self.timeout:g} seconds: raise "
                "synthetic_timeout, or lower synthetic_shard_size."
            )
        if not self.store.has(shard):
            raise RuntimeError(f"Synthetic shard {shard} was asked for after training had ended: make a new loader.")

    def close(self, wait: bool = True) -> None:
        """As [`Producer.close`]. Without `wait` it returns after at most `GRACE` seconds."""
        super().close(wait)
        if self._thread is None:
            self._stopping = True
            return
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if wait:
            self._thread.join()
        thread, self._thread = self._thread, None
        atexit.unregister(self.close)
        _interrupt(thread, self._files)

    def _start(self) -> None:
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(
                target=self._run, args=(torch.get_num_threads(),), name="hf_augment-producer", daemon=True
            )
            self._thread.start()
            atexit.register(self.close, wait=False)

    def _run(self, num_threads: int) -> None:
        # OpenMP keeps the number per thread, and sums depend on it: as many as the inline producer would have.
        torch.set_num_threads(num_threads)
        try:
            while (index := self._next()) is not None:
                self._make(index)
        except _Interrupted:
            # Where it came is unknown, so that the lock may be held for ever: nothing is touched any more.
            return
        except BaseException as error:  # noqa: BLE001 - carried to the training thread, which raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next(self) -> int | None:
        """Waits for something to make; `None` where there will be nothing more."""
        with self._changed:
            while True:
                index = self._missing(self._asked + self.ahead)
                # Somebody may wait for what is there by now, whoever made it.
                self._changed.notify_all()
                if self._stopping or self._whole == len(self.shards):
                    return None
                if index is not None:
                    return index
                self._changed.wait()


class _Interrupted(SystemExit):
    """Raised in a producer's thread by [`_interrupt`]; `threading` says nothing of a `SystemExit`."""


def _interrupt(thread: threading.Thread, files: threading.Lock) -> None:
    """
    Ends a thread as Ctrl-C ends the main one: with an exception between two of its Python instructions, so that any
    generator and filter can be interrupted, but not while it holds `files`. A thread that sleeps in one long call for
    `GRACE` seconds is left behind.
    """
    deadline, impatience = time.monotonic() + GRACE, None
    while thread.is_alive() and time.monotonic() < deadline:
        # Again and again: an exception inside a finaliser is lost.
        try:
            if files.acquire(timeout=GRACE):
                ident, kind = ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Interrupted)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, kind)
                files.release()
            thread.join(0.05)
        except KeyboardInterrupt as error:
            # Ended now, with the thread inside torch, the process would abort.
            impatience = error
    if impatience is not None:
        raise impatience
