"""Claims on shards: of several fillers, on any number of hosts that share a folder, one makes a shard."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path


#: Seconds after which a claim that nobody renews is taken over.
LAPSE = 60.0
#: How often a claim is renewed in that time.
BEATS = 10
#: What stands in a claim that was given up.
_RELEASED = b"released"


class Claims:
    """
    The claims of one filler on shards of one folder.

    A claim is the file `shard-000012.claim-0` beside the shards, which only one filler can create. It holds host,
    process, a random token and a counter that a daemon thread goes on counting. Whoever waits for a claim watches the
    file by a clock of its own, so that the clocks of hosts need not agree; it opens the file at each look, which a
    shared folder (NFS) needs to show what is new. A claim that stays as it is for `lapse` seconds is taken over: by
    the one that creates `shard-000012.claim-1`, and so on. The claim with the highest number counts, and none is
    deleted before the shard is there. So two fillers never take over the same claim, and none takes over a living one
    by mistake. A filler that was only slow makes its shard in vain, which is harmless: see [`fill_shards`].

    Example:

    ```python
    >>> from hf_augment.synthesis.claims import Claims
    >>> with Claims("shards") as claims, claims.take(12) as claim:
    ...     print(claim.held(), Claims("shards").take(12))
    True None
    ```

    Args:
        folder (`str` or `Path`): The folder; made if it does not exist.
        lapse (`float`, *optional*, defaults to 60.0): Seconds, more than 0; the same for all fillers.

    Raises:
        ValueError: If `lapse` is out of its range.
    """

    def __init__(self, folder: str | Path, lapse: float = LAPSE) -> None:
        if not lapse > 0:
            raise ValueError(f"lapse={lapse!r} is out of range: pass seconds, more than 0.")
        self.folder, self.lapse = Path(folder), lapse
        self.folder.mkdir(parents=True, exist_ok=True)
        # By shard: what its claim was at the last look, when that was, and for how long it has been so.
        self._seen: dict[int, tuple[tuple[int, bytes], float, float]] = {}
        self._held: list[Claim] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, index: int) -> Claim | None:
        """
        Claims a shard.

        Returns:
            [`Claim`] or `None`: `None` while somebody else has it. Whoever gets one has to look whether the shard is
            there by now.
        """
        number, content = self._last(index)
        if number >= 0 and not content.startswith(_RELEASED) and not self._lapsed(index, (number, content)):
            return None
        try:
            claim = Claim(self, index, number + 1)
        except FileExistsError:
            return None
        with self._lock:
            self._held.append(claim)
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="hf_augment-claims", daemon=True)
                self._thread.start()
        return claim

    def path(self, index: int, number: int) -> Path:
        """The file of a shard's claim of this number."""
        return self.folder / f"shard-{index:06d}.claim-{number}"

    def clear(self, index: int) -> None:
        """Deletes all claims on a shard, which must be there: whoever takes one afterwards sees it."""
        for path in self.folder.glob(f"shard-{index:06d}.claim-*"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the renewing; what is still held lapses."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        for claim in self._held:
            claim.close()

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _last(self, index: int) -> tuple[int, bytes]:
        """The number of a shard's claim that counts, and what is in it; -1 without one."""
        number, content = -1, b""
        while True:
            try:
                content = self.path(index, number + 1).read_bytes()
            except FileNotFoundError:
                return number, content
            number += 1

    def _lapsed(self, index: int, found: tuple[int, bytes]) -> bool:
        now = time.monotonic()
        before, at, unchanged = self._seen.get(index, ((-1, b""), now, 0.0))
        # A filler that was stopped itself, with the folder perhaps, has not watched all the while.
        unchanged = unchanged + min(now - at, self.lapse / 4) if before == found else 0.0
        self._seen[index] = found, now, unchanged
        return unchanged >= self.lapse

    def _beat(self) -> None:
        while not self._closed.wait(self.lapse / BEATS):
            with self._lock:
                for claim in self._held:
                    claim.renew()

    def _drop(self, claim: Claim) -> None:
        with self._lock:
            self._held.remove(claim)


class Claim:
    """
    A claim on one shard, from [`Claims.take`]. It is renewed inside of the context that it is. Afterwards it is gone,
    with those before it, if [`finish`] was called; if not, the shard is free for others at once.
    """

    def __init__(self, claims: Claims, index: int, number: int) -> None:
        self.claims, self.index, self.number = claims, index, number
        self.lost = self.finished = False
        self._about = {"host": socket.gethostname(), "pid": os.getpid(), "token": uuid.uuid4().hex}
        self._beats = 0
        self._file = open(claims.path(index, number), "xb", buffering=0)  # noqa: SIM115
        self.renew()

    def held(self) -> bool:
        """Whether nobody has taken it over."""
        return not self.lost and not self.claims.path(self.index, self.number + 1).exists()

    def finish(self) -> None:
        """Says that the shard is there."""
        self.finished = True

    def renew(self) -> None:
        """Counts on; called by the thread of [`Claims`]."""
        # Of one length, so that nobody reads the end of an earlier one.
        self._write(json.dumps(self._about | {"beat": f"{self._beats:012d}"}).encode())
        self._beats += 1

    def _write(self, content: bytes) -> None:
        try:
            self._file.seek(0)
            self._file.write(content)
            # Or other hosts would not see it for half a minute.
            os.fsync(self._file.fileno())
        except OSError:
            # Taken over and deleted: a shared folder tells so when a file that is gone is written to.
            self.lost = True

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *_: object) -> None:
        self.claims._drop(self)
        if not self.finished:
            self._write(_RELEASED)
        self.close()
        if self.finished:
            self.claims.clear(self.index)

    def close(self) -> None:
        """Renews it no more."""
        self._file.close()
