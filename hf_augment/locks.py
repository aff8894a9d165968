"""What only one process at a time does with a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from hf_augment.progress import working


@contextlib.contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """
    Does something that only one process at a time may do with a folder; says so while another one does it.

    Args:
        path (`Path`): The file of the lock, which ends with its process, however that ends.
        what (`str`): What is done, as in "another process does {what}".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        with working(f"Waiting: another process does {what}"):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
