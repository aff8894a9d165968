"""Candidates to accepted examples: labels, generator, filters, bounded retries."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hf_augment.filters.base import Filter, Verdict
from hf_augment.filters.unencodable import Unencodable, escaped
from hf_augment.generators.base import Generator, detached
from hf_augment.seeding import derive_rng, derive_seed
from hf_augment.synthesis.guides import Guides
from hf_augment.synthesis.memory import Examples, FilterMemory
from hf_augment.synthesis.shards import Shard, ShardStore


#: An attempt, its slots and what makes their candidates, to these candidates.
Kept = Callable[[int, list[int], Callable[[], list[dict[str, Any]]]], list[dict[str, Any]]]


class SynthesisPipeline:
    """
    Makes shards. The content of a shard depends on the arguments here and on its number, its guide if it has one, and,
    where a filter has a memory, on the shards that come before it in its rank; on nothing else, whatever was made
    meanwhile and by whom.

    Args:
        generator (`Generator`): Makes the candidates.
        filters (`Sequence[Filter]`):
            Judge them, in this order, each what the one before accepted. Before them all, [`Unencodable`] does.
        class_weights (`np.ndarray`): The share of each class, float of shape `(num_labels,)`, adding up to 1.
        seed (`int`): Base seed.
        shard_size (`int`): Slots in a shard.
        max_attempts (`int`): Number of tries for an empty slot before it stays empty, at least 1.
        rejects_kept (`int`, *optional*, defaults to 20):
            Number of rejected candidates of a shard that are kept for a person to read.
        guides (`dict[int, Guide]`, *optional*, defaults to `{}`): The guides of shards, by number.
    """

    def __init__(
        self,
        generator: Generator,
        filters: Sequence[Filter],
        class_weights: np.ndarray,
        seed: int,
        shard_size: int,
        max_attempts: int,
        rejects_kept: int = 20,
        guides: Guides | None = None,
    ) -> None:
        self.guides: Guides = {} if guides is None else guides
        self.generator, self.filters, self.class_weights = generator, tuple(filters), class_weights
        self.seed, self.shard_size, self.max_attempts = seed, shard_size, max_attempts
        self.rejects_kept = rejects_kept
        self._memory = FilterMemory(filters)
        # Generators and filters serve one thread at a time: two producers of one pipeline take turns.
        self._lock = threading.Lock()

    @property
    def remembering(self) -> list[str]:
        """The names of the filters that have a memory: no shard can be made without those before it."""
        return [f.name for f in self._memory.filters]

    def forget(self) -> None:
        """Has filters begin anew: shards may have other guides under the same numbers."""
        self._memory.clear()

    def identity(self) -> dict[str, Any]:
        """Returns what the content of a slot depends on, JSON serialisable."""
        return {
            "generator": self.generator.fingerprint(),
            "filters": [f"{f.name}:{f.fingerprint()}" for f in self.filters],
            "label_names": list(self.generator.label_names),
            "class_weights": [round(float(weight), 12) for weight in self.class_weights],
            "seed": self.seed,
            "shard_size": self.shard_size,
            "max_attempts": self.max_attempts,
        }

    def store(self, root: str | Path, label_column: str, world_size: int = 1) -> ShardStore:
        """Returns what keeps the shards of so many processes in a folder of all stores."""
        identity = self.identity() | {"label_column": label_column}
        if self.filters:
            # A filter with a memory remembers the shards of its rank.
            identity["world_size"] = world_size
        return ShardStore(root, identity, label_column, self.generator.label_names, self.guides)

    def labels(self, shard: int, class_weights: Sequence[float] | None = None) -> list[int]:
        """
        The classes of a shard's slots: as many of each as its share says, in random order. What rounding cuts off
        one shard goes to another.

        Args:
            shard (`int`): The shard.
            class_weights (`Sequence[float]`, *optional*, defaults to those of its guide, or of the pipeline):
                The shares.
        """
        if class_weights is None and (guide := self.guides.get(shard)) is not None:
            class_weights = guide.class_weights
        shares = self.class_weights if class_weights is None else np.asarray(class_weights)
        rng = derive_rng(self.seed, "labels", shard)
        # Systematic sampling: one random offset, equal steps through the cumulated shares.
        points = (np.arange(self.shard_size) + rng.random()) / self.shard_size
        labels = np.searchsorted(np.cumsum(shares)[:-1], points, side="right")
        return rng.permutation(labels).tolist()

    def make(
        self,
        index: int,
        earlier: Sequence[int] = (),
        read: Callable[[int], Examples] = lambda shard: (),
        kept: Kept = lambda attempt, slots, make: make(),
    ) -> Shard:
        """
        Generates, filters and retries until the shard is full or `max_attempts` is reached.

        Args:
            index (`int`): The shard.
            earlier (`Sequence[int]`, *optional*, defaults to `()`):
                The shards before it, in order, which filters with a memory compare it with.
            read (`Callable[[int], Sequence[dict]]`, *optional*): Gives the examples of an earlier shard.
            kept (`Callable`, *optional*):
                Gives the candidates of an attempt for some slots, as they were kept, or what the function that it is
                given as well makes. By default nothing is kept.

        Returns:
            `Shard`: With at most `shard_size` examples.
        """
        with self._lock, self._memory.before(index, earlier, read):
            return self._make(index, kept)

    def _make(self, index: int, kept: Kept) -> Shard:
        start = time.perf_counter()
        shard, labels = Shard(index), self.labels(index)
        accepted: dict[int, tuple[dict[str, Any], Verdict | None]] = {}
        rejected: Counter[str] = Counter(dict.fromkeys([Unencodable.name, *(f.name for f in self.filters)], 0))
        for attempt in range(self.max_attempts):
            empty = [i for i in range(self.shard_size) if i not in accepted]
            if not empty:
                break
            seed = derive_seed(self.seed, "candidates", index, attempt)
            examples = kept(attempt, empty, partial(self._candidates, index, empty, labels, seed))
            shard.candidates += len(examples)
            passed = self._filter(empty, examples, labels, rejected, shard.reject_sample)
            self._memory.remember([example for example, _ in passed.values()])
            accepted |= passed
        for i in sorted(accepted):
            example, verdict = accepted[i]
            shard.slots.append(index * self.shard_size + i)
            shard.labels.append(labels[i])
            shard.examples.append(example)
            shard.label_probabilities.append(verdict.label_probabilities if verdict else None)
        if not rejected[Unencodable.name]:
            del rejected[Unencodable.name]
        shard.rejected = dict(rejected)
        shard.seconds = time.perf_counter() - start
        return shard

    def _candidates(self, index: int, places: list[int], asked: list[int], seed: int) -> list[dict[str, Any]]:
        labels, guide = [asked[i] for i in places], self.guides.get(index)
        rows = [None if guide is None else guide.seed_rows.get(i) for i in places]
        if any(row is not None for row in rows):
            examples = self.generator.generate_like(labels, rows, seed)
        else:
            examples = self.generator.generate(labels, seed)
        name, columns = type(self.generator).__name__, set(self.generator.columns)
        if len(examples) != len(labels):
            raise ValueError(
                f"{name}.generate returned {len(examples)} examples for {len(labels)} labels: return one for each, "
                "in their order; a filter, not the generator, leaves some out."
            )
        for example in examples:
            if not isinstance(example, dict) or set(example) != columns:
                what = f"the keys {sorted(example)}" if isinstance(example, dict) else f"{example!r:.80}, no dict"
                raise ValueError(
                    f"{name}.generate returned an example with {what}, but its columns are {sorted(columns)}: make "
                    "them agree."
                )
        return [detached(example) for example in examples]

    def _filter(
        self,
        slots: list[int],
        examples: list[dict[str, Any]],
        labels: list[int],
        rejected: Counter[str],
        reject_sample: list[dict[str, Any]],
    ) -> dict[int, tuple[dict[str, Any], Verdict | None]]:
        left: list[tuple[int, dict[str, Any], Verdict | None]] = [
            (slot, example, None) for slot, example in zip(slots, examples, strict=True)
        ]
        for f in (Unencodable(), *self.filters):
            if not left:
                break
            verdicts = f.judge([example for _, example, _ in left], [labels[slot] for slot, _, _ in left])
            if len(verdicts) != len(left) or not all(isinstance(verdict, Verdict) for verdict in verdicts):
                raise ValueError(
                    f"{type(f).__name__}.judge returned {verdicts!r:.200} for {len(left)} examples: return a list "
                    "with one hf_augment.Verdict for each, in their order."
                )
            passed = []
            for (slot, example, earlier), verdict in zip(left, verdicts, strict=True):
                if verdict.accepted:
                    passed.append((slot, example, verdict if verdict.label_probabilities is not None else earlier))
                    continue
                rejected[f.name] += 1
                if len(reject_sample) < self.rejects_kept:
                    what = {"filter": f.name, "reason": verdict.reason, "score": verdict.score}
                    reject_sample.append({**what, "label": labels[slot], "example": escaped(example)})
            left = passed
        return {slot: (example, verdict) for slot, example, verdict in left}


def class_weights(balance: str, counts: np.ndarray) -> np.ndarray:
    """
    The share of each class among the synthetic examples.

    Args:
        balance (`str`):
            `"dataset"`: as in the dataset. `"uniform"`: equal. `"rare_first"`: in proportion to what a class lacks of
            the most frequent one, so that only rarer classes are generated; equal where none is rarer.
        counts (`np.ndarray`): Rows of each class, int of shape `(num_labels,)`.

    Returns:
        `np.ndarray`: Float64 of shape `(num_labels,)`, adding up to 1.
    """
    wanted = {
        "dataset": counts,
        "uniform": np.ones_like(counts),
        "rare_first": counts.max() - counts,
    }[balance]
    if wanted.sum() == 0:
        wanted = np.ones_like(counts)
    return wanted / wanted.sum()
