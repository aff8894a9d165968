"""What a terminal shows of a program: never silent for long while it works, and one line where it cannot go on."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tqdm.auto import tqdm


#: Seconds between two signs of life.
PERIOD = 5.0
#: What a line about work in progress begins with.
MARK = "· "

_at_work: list[str] = []


def say(text: str) -> None:
    """Prints a line, in the first of several ranks; a progress bar goes on below it."""
    if os.environ.get("RANK", "0") == "0":
        tqdm.write(text)


@functools.cache
def say_once(text: str) -> None:
    """As [`say`], but once in a process: what is built several times has the same to say."""
    say(text)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Says what is being done, and every few seconds how long that has taken; of nested work the innermost."""
    ended, start = threading.Event(), time.monotonic()

    def tell() -> None:
        while not ended.wait(PERIOD):
            if _at_work[-1:] == [what]:
                say(f"{MARK}{what}: {time.monotonic() - start:.0f} s")

    # First of all, or the outer work would tell of itself once more.
    _at_work.append(what)
    say(f"{MARK}{what}")
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        _at_work.pop()
        ended.set()
        teller.join()


def last_words(log: Path, size: int = 4096) -> str:
    """Returns what a process is doing, as its log tells: the work it has begun, and how far its progress bar is."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        text = file.read().decode("utf-8", "replace")
    words = [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]
    begun = [line.removeprefix(MARK) for line in words if line.startswith(MARK)][-1:]
    bar = re.search(r"\d+/\d+(?= \[)", words[-1]) if words else None
    return f"{begun[0].partition(':')[0]} {bar[0]}" if begun and bar else "".join(begun)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """
    Ends the program with one line, not with a traceback, for bad input, a missing package and an interrupt; and lets
    a terminal print another letter for one that it does not know, since nothing that is shown is worth a run.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    except RuntimeError as error:
        # PyTorch's, which is not loaded here.
        if type(error).__name__ != "OutOfMemoryError":
            raise
        sys.exit("error: the memory of the device ran out: lower --per_device_train_batch_size, or --processes.")
    except KeyboardInterrupt:
        print("interrupted: what is done is kept; the same command goes on from there", file=sys.stderr)
        sys.exit(130)
