"""What a frozen model reads of rows, kept for further models and for other processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hf_augment.files import write_atomically


#: Bytes of features that are kept in memory.
_KEPT = 2**27


class FeatureCache:
    """
    Features of rows, read once by all processes with one `folder`.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment.study.feature_cache import FeatureCache

    >>> cache = FeatureCache()
    >>> cache.get("rows", lambda: "rows", lambda: np.ones((1, 2)))
    array([[1., 1.]])
    >>> cache.get("rows", lambda: "rows", lambda: np.zeros((1, 2)))  # They are not read again.
    array([[1., 1.]])
    ```

    Attributes:
        folder (`Path`, *optional*): Folder of the files, made when it is needed. Without one they are in memory alone.
        spared (`float`): Seconds that reading took for what was there already when it was asked for.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.spared = 0.0
        self._kept: dict[Hashable, tuple[np.ndarray, float]] = {}

    def get(self, key: Hashable, name: Callable[[], str], read: Callable[[], np.ndarray]) -> np.ndarray:
        """
        Returns features.

        Args:
            key (`Hashable`): What they are of, in this process.
            name (`Callable[[], str]`): Returns what they are of, for every process: a name of a file.
            read (`Callable[[], np.ndarray]`): Reads them, where nobody has.

        Raises:
            ValueError: If a file is damaged.
        """
        if (found := self._kept.get(key)) is None:
            file = None if self.folder is None else self.folder / f"{name()}.safetensors"
            if file is None or (found := _load(file)) is None:
                return self._read(key, file, read)
            self._keep(key, *found)
        self.spared += found[1]
        return found[0]

    def _read(self, key: Hashable, file: Path | None, read: Callable[[], np.ndarray]) -> np.ndarray:
        begun = time.perf_counter()
        features = read()
        seconds = time.perf_counter() - begun
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, save({"features": features}, {"seconds": str(seconds)}))
        self._keep(key, features, seconds)
        return features

    def _keep(self, key: Hashable, features: np.ndarray, seconds: float) -> None:
        self._kept[key] = features, seconds
        # A study reads the labelled rows of a split again and again, and rarely any others.
        while self._kept and sum(values.nbytes for values, _ in self._kept.values()) > _KEPT:
            del self._kept[next(iter(self._kept))]


def _load(file: Path) -> tuple[np.ndarray, float] | None:
    if not file.exists():
        return None
    try:
        with safe_open(file, "np") as content:
            return content.get_tensor("features"), float(content.metadata()["seconds"])
    except SafetensorError as error:
        raise ValueError(f"{file} is damaged: delete it, and it is made again.") from error
