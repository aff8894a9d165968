"""Files that are there whole or not at all, and JSON files that carry a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: Any, durable: bool = True) -> None:
    """
    Writes a file that is there whole or not at all, whatever kills the process.

    Args:
        path (`Path`): The file; its folder must exist.
        content (`Any`): Bytes, or a buffer of them.
        durable (`bool`, *optional*, defaults to `True`):
            Whether to wait until the disk has it, so that a power failure takes nothing away: some milliseconds. If
            not, such a failure may leave a file that is empty or damaged.
    """
    # The name is this call's alone: two producers may write the same shard, on hosts where both have the same number.
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(
    path: Path, content: dict[str, Any], default: Callable[[Any], Any] | None = None, durable: bool = True
) -> None:
    """
    Writes a JSON file that is there whole or not at all, and that [`read_json`] can check.

    Args:
        path (`Path`): The file; its folder must exist.
        content (`dict[str, Any]`): JSON serialisable, without a key `"checksum"`.
        default (`Callable`, *optional*): As for `json.dumps`: what stands for a value that JSON has not.
        durable (`bool`, *optional*, defaults to `True`): As for [`write_atomically`].
    """
    # What is read back is hashed: JSON has no tuples, and no keys but texts.
    content = json.loads(json.dumps(content, default=default))
    text = json.dumps({"checksum": _checksum(content), **content}, indent=1)
    write_atomically(path, text.encode(), durable)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """
    Reads what [`write_json`] wrote.

    Example:

    ```python
    >>> from pathlib import Path
    >>> from hf_augment.files import read_json, write_json
    >>> write_json(Path("state.json"), {"step": 3})
    >>> read_json(Path("state.json"), "Delete it: it is made again")
    {'step': 3}
    ```

    Args:
        path (`Path`): The file.
        remedy (`str`): Remedy for a damaged file, a sentence without its full stop; ends the error's message.

    Returns:
        `dict[str, Any]`: The content.

    Raises:
        `ValueError`: If the file is missing, cannot be read, is no JSON, or does not have the checksum of its content.
    """
    content = parse_json(path, remedy)
    checksum = content.pop("checksum", None)
    if checksum is None:
        raise ValueError(f"{path} has no checksum: it is damaged, or of an earlier version of hf_augment. {remedy}.")
    if checksum != _checksum(content):
        raise ValueError(f"{path} is damaged: its content does not have its checksum. {remedy}.")
    return content


def parse_json(path: Path, remedy: str) -> dict[str, Any]:
    """Reads a JSON object from a file that people may edit, and so has no checksum; see [`read_json`]."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing. {remedy}.") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error}). {remedy}.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it is no JSON ({error}). {remedy}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds no JSON object. {remedy}.")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
