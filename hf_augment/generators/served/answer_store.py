"""What a server answered, on disk before it is used: nothing is paid for twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class AnswerStore:
    """
    Answers by the request that they are of, in one SQLite file. Threads and processes of one machine may share it; an
    answer is on disk when [`~AnswerStore.put`] returns, whatever then ends the process.

    Example:

    ```python
    >>> from hf_augment.generators.served.answer_store import AnswerStore

    >>> store = AnswerStore("answers.sqlite")
    >>> store.put({"model": "m", "seed": 1}, {"text": "A moving film."})
    >>> store.get({"seed": 1, "model": "m"})
    {'text': 'A moving film.'}
    >>> store.get({"model": "m", "seed": 2}) is None
    True
    ```

    Args:
        path (`str` or `Path`): The file, on a disk of this machine; made, with its folder, if it does not exist.

    Raises:
        `ValueError`: If the file is something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        # A process that waits for another's answer to be written waits for milliseconds.
        self._connection = sqlite3.connect(self.path, timeout=60.0, check_same_thread=False, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            # A process may be killed at any time. What a power failure takes is asked for again.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS answers (request TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ValueError(f"{self.path} is no file of answers ({error}): pass another path.") from error

    def get(self, request: Mapping[str, Any]) -> Any:
        """Returns the answer to a request, a JSON value, or `None` if there is none yet."""
        with self._lock:
            rows = self._connection.execute("SELECT answer FROM answers WHERE request = ?", (_key(request),))
            row = rows.fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, request: Mapping[str, Any], answer: Any) -> Any:
        """
        Keeps an answer, a JSON value, and returns the one that is kept: the first, if another process was faster.
        """
        with self._lock:
            values = _key(request), json.dumps(answer)
            self._connection.execute("INSERT OR IGNORE INTO answers VALUES (?, ?)", values)
        return self.get(request)

    def totals(self, names: Sequence[str], count: str) -> dict[str, int]:
        """Returns the sums of some numbers in all answers that have the first of them, and how many these are."""
        sums = ", ".join("coalesce(sum(json_extract(answer, ?)), 0)" for _ in names)
        where = "SELECT count(*), " + sums + " FROM answers WHERE json_extract(answer, ?) IS NOT NULL"
        paths = [f"$.{name}" for name in names]
        with self._lock:
            values = self._connection.execute(where, (*paths, paths[0])).fetchone()
        return dict(zip((count, *names), map(int, values), strict=True))

    def __len__(self) -> int:
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()


def _key(request: Mapping[str, Any]) -> str:
    """By its hash: prompts can be long, and some hold labelled texts, which the file is not to keep."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
