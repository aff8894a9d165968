"""Stages of a study: what is done is on disk, and is not done again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hf_augment.files import parse_json, read_json, write_json
from hf_augment.locks import locked
from hf_augment.progress import working


#: What to do about a damaged file of a stage in a folder.
_AGAIN = "Delete {}: the stage is done again"


class Stages:
    """
    The folder of a study, a subfolder for each stage.

    Example:

    ```python
    >>> from hf_augment.study.stages import Stages
    >>> stages = Stages("runs/demo")
    >>> stages.run("count", {"to": 3}, lambda folder: {"sum": 1 + 2 + 3})
    {'sum': 6}
    ```
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.reused: list[str] = []

    def run(self, name: str, identity: dict[str, Any], work: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """
        Does a stage, or gives back the result it had. Every rank calls it; the first one writes. Of several programs
        at work in one folder, the others wait for the one that began a stage and take its result.

        Args:
            name (`str`): Subfolder of the stage.
            identity (`dict[str, Any]`): Values that the result depends on, JSON serialisable.
            work (`Callable[[Path], dict]`):
                Does it, in the subfolder; returns a JSON serialisable result. An interrupted one is called again.

        Raises:
            ValueError: If the stage was done or begun with another identity, or its file is damaged.
        """
        folder, locks = self.root / name, self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as held:
            if PartialState().is_main_process:
                held.enter_context(locked(locks / f"{name.replace('/', '.')}.lock", name))
            return self._run(name, folder, identity, work)

    def result(self, name: str) -> dict[str, Any] | None:
        """Returns the result of a stage, and `None` if it was not done."""
        marker = self.root / name / "stage.json"
        return read_json(marker, _AGAIN.format(marker.parent)).get("result") if marker.exists() else None

    def _run(
        self, name: str, folder: Path, identity: dict[str, Any], work: Callable[[Path], dict[str, Any]]
    ) -> dict[str, Any]:
        state, marker = PartialState(), folder / "stage.json"
        state.wait_for_everyone()  # Until the first one has the lock.
        # Read before anybody can write, and written after everybody has read.
        begun = read_json(marker, _AGAIN.format(folder)) if marker.exists() else None
        state.wait_for_everyone()
        identity = json.loads(json.dumps(identity))
        if begun is not None:
            for key in sorted(identity.keys() | begun["identity"].keys()):
                was, now = begun["identity"].get(key), identity.get(key)
                if was != now:
                    raise ValueError(
                        f"{folder} was made with {key}={was!r}, and now it is {now!r}: pass what it was, another "
                        "output_dir, or delete the folder."
                    )
            if "result" in begun:
                self.reused.append(name)
                return begun["result"]
        # Before the work, too: what an interrupted training left is not gone on with by another one.
        self._write(marker, {"identity": identity})
        with working(name):
            result = work(folder)
        state.wait_for_everyone()
        self._write(marker, {"identity": identity, "result": result})
        state.wait_for_everyone()
        return json.loads(json.dumps(result))

    def _write(self, marker: Path, content: dict[str, Any]) -> None:
        if PartialState().is_main_process:
            write_json(marker, content)


def last_checkpoint(folder: Path) -> str | None:
    """The Trainer's last checkpoint in a folder; one that was being written when the process ended does not count."""
    # The state is what it writes last.
    states = folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{TRAINER_STATE_NAME}")
    whole = [state.parent for state in states if _is_whole(state)]
    return str(max(whole, key=lambda path: int(path.name.rpartition("-")[2]))) if whole else None


def _is_whole(path: Path) -> bool:
    try:
        parse_json(path, "Resume from another checkpoint")
    except ValueError:
        return False
    return True
