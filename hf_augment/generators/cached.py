"""What a generator made, kept: the same labels and seed are not paid for twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from hf_augment.files import read_json, write_json
from hf_augment.generators.base import Generator


class CachedGenerator(Generator):
    """
    A generator that looks up in a folder what it has made before. Runs, arms, splits and processes that ask for the
    same labels with the same seed share the cost; what filters make of the candidates is their own.

    Example:

    ```python
    >>> import datasets
    >>> from hf_augment import CachedGenerator, DatasetGenerator

    >>> rows = datasets.Dataset.from_dict({"text": ["Dull.", "Moving."], "label": [0, 1]})
    >>> rows = rows.cast_column("label", datasets.ClassLabel(names=["negative", "positive"]))
    >>> generator = CachedGenerator(DatasetGenerator(rows), "candidates")
    >>> generator.generate([1], seed=0)  # and from then on without asking again
    [{'text': 'Moving.'}]
    ```

    Args:
        generator ([`Generator`]): Makes what is not there, examples that are JSON serialisable, as texts are.
        folder (`str` or `Path`): Where they are kept, by fingerprint, labels and seed; generators may share it.
    """

    def __init__(self, generator: Generator, folder: str | Path) -> None:
        self.generator, self.folder = generator, Path(folder)
        self.label_names, self.columns = generator.label_names, generator.columns

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        """See [`Generator.generate`]."""
        return self._kept([list(map(int, labels)), seed], lambda: self.generator.generate(labels, seed))

    @property
    def takes_seed_rows(self) -> bool:  # type: ignore[override]
        """Whether the generator does."""
        return self.generator.takes_seed_rows

    def generate_like(
        self, labels: Sequence[int], seed_rows: Sequence[dict[str, Any] | None], seed: int
    ) -> list[dict[str, Any]]:
        """See [`Generator.generate_like`]."""
        if all(row is None for row in seed_rows):
            return self.generate(labels, seed)
        asked = [list(map(int, labels)), seed, list(seed_rows)]
        return self._kept(asked, lambda: self.generator.generate_like(labels, seed_rows, seed))

    def _kept(self, asked: list[Any], make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        facts = json.dumps([self.fingerprint(), *asked])
        path = self.folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:24]}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        # Another process that needs the same waits for it. The lock ends with its process, however that ends.
        with FileLock(f"{path}.lock"):
            if not path.exists():
                write_json(path, {"examples": make()})
            examples: list[dict[str, Any]] = read_json(path, "Delete it: it is made again")["examples"]
            return examples

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        """Whether the generator is: the folder may be lost."""
        return self.generator.replayable

    def fingerprint(self) -> str:
        """The generator's: that they are kept changes nothing of what they are."""
        return self.generator.fingerprint()
