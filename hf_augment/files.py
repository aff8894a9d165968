"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: Any) -> None:
    """Writes a file that is there whole or not at all, whatever kills the process."""
    # Of this thread alone: two producers may write the same shard.
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
