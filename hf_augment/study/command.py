"""How a recipe ends: with what it found, or with one line that says what was wrong."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """
    Ends the program with one line, not with a traceback, for bad input; and lets a terminal print another letter for
    one that it does not know, since nothing that is shown is worth a run.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        yield
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
