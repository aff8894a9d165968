"""Draws of a run with feedback: which of the candidates a batch shows is chosen while it trains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np

from hf_augment.blending.sampler import DrawLayout
from hf_augment.seeding import derive_rng


@dataclass(frozen=True, eq=False)
class ChosenLayout(DrawLayout):
    """
    Which slot a rank's n-th draw shows where slots are chosen in rounds.

    The run is cut into *periods* of draws. In the first one draws walk through the shards, as in any run. Round `n`
    chooses, before period `n` begins, what its draws show, among the slots of its *pool*: of shards that are known in
    advance, those slots that were not chosen before. What is chosen is shown `reuse` times in its period, each time in
    another order. Shards are made as in any run, and know nothing of what is chosen.

    Args:
        starts (`tuple[int, ...]`):
            For each period the number of draws before it, ascending from 0, and last the number of all draws.
        candidates (`float`): Slots in pools for each one that is chosen, 1 or more.
        lifetime (`int`): Number of rounds in which a slot may be chosen.
        chosen (`dict[int, list[int]]`): By round the slots that it chose; filled while the run goes on.
    """

    starts: tuple[int, ...] = (0, 0)
    candidates: float = 2.0
    lifetime: int = 2
    chosen: dict[int, list[int]] = field(default_factory=dict)

    # Two runs may be cut alike, and choose otherwise.
    __eq__, __hash__ = object.__eq__, object.__hash__

    def for_run(self) -> ChosenLayout:
        """See [`DrawLayout.for_run`]."""
        return replace(self, chosen={})

    @property
    def rounds(self) -> range:
        """The numbers of the rounds."""
        return range(1, len(self.starts) - 1)

    def wanted(self, period: int) -> int:
        """The number of slots that a period shows."""
        return -(-(self.starts[period + 1] - self.starts[period]) // self.reuse)

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        """For each period the number of this rank's shards that it can show, ascending."""
        ends, wanted = [-(-self.starts[1] // self.draws_per_shard)], self.wanted(0)
        for period in self.rounds:
            wanted += self.wanted(period)
            end = ends[-1]
            if self.wanted(period):
                # The tiny addend: what adds up to 10 may be just above.
                end = max(end, math.ceil(self.candidates * wanted / self.shard_size - 1e-9))
                # Slots that rounds before may have taken, of shards that this one knows.
                begin = self._begin_of(period, ends)
                taken = sum(self.wanted(earlier) for earlier in range(max(1, period - self.lifetime + 1), period))
                taken += self._walked_behind(begin)
                end = max(end, begin - (-(self.wanted(period) + taken) // self.shard_size))
            ends.append(end)
        return tuple(ends)

    def _begin(self, period: int) -> int:
        """The number of this rank's shards that no period from this one on shows."""
        return self._begin_of(period, self._ends)

    def _begin_of(self, period: int, ends: Sequence[int]) -> int:
        # The last shard that is walked through in the first period may have slots left.
        left = self.starts[1] // self.draws_per_shard if period else 0
        return max(left, ends[period - self.lifetime]) if period > self.lifetime else left

    def _walked_behind(self, begin: int) -> int:
        """The number of slots, of shards from `begin` on, that the first period shows."""
        whole, more = divmod(self.starts[1], self.draws_per_shard)
        return min(more, self.shard_size) if begin <= whole else 0

    def pool(self, number: int) -> tuple[range, range]:
        """The shards of this rank of which a round chooses, and those of them that no round before it knew."""
        first = self._begin(number)
        new = max(first, self._ends[number - 1] if number > 1 else first)
        return self._own(first, self._ends[number]), self._own(new, self._ends[number])

    def known(self, number: int) -> range:
        """The shards of this rank that a round and those before it know."""
        return self._own(0, self._ends[number])

    def _own(self, first: int, last: int) -> range:
        return range(first * self.world_size + self.rank, last * self.world_size + self.rank, self.world_size)

    def walked(self) -> set[int]:
        """The slots that the first period shows."""
        found: set[int] = set()
        for shard, places in super().slots(range(self.starts[1])):
            found.update((shard * self.shard_size + places).tolist())
        return found

    def slots(self, draws: range) -> Iterator[tuple[int, np.ndarray]]:
        """See [`DrawLayout.slots`]; a draw for which nothing was chosen has no slot."""
        walked = range(draws.start, min(draws.stop, self.starts[1]))
        if walked:
            yield from super().slots(walked)
        _, slots, _ = self._of(np.arange(max(draws.start, self.starts[1]), draws.stop))
        for slot in slots.tolist():
            yield slot // self.shard_size, np.array([slot % self.shard_size])

    def shown(self, draws: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See [`DrawLayout.shown`]."""
        walked = super().shown(range(draws.start, min(draws.stop, self.starts[1])))
        numbers, slots, times = self._of(np.arange(max(draws.start, self.starts[1]), draws.stop))
        found = numbers, slots // self.shard_size, times
        return tuple(np.concatenate(parts) for parts in zip(walked, found, strict=True))  # type: ignore[return-value]

    def _of(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Those draws behind the first period that show something, their slots, and how often these were shown."""
        parts = [(np.empty(0, dtype=np.int64),) * 3]
        periods = np.searchsorted(self.starts, draws, side="right") - 1
        for period in np.unique(periods).tolist():
            places = draws[periods == period] - self.starts[period]
            order = self._order_of(period)
            places = places[places < len(order)]
            times = places // max(len(order) // self.reuse, 1)
            parts.append((places + self.starts[period], order[places], times))
        numbers, slots, times = (np.concatenate(part) for part in zip(*parts, strict=True))
        return numbers, slots, times

    @lru_cache(maxsize=4)  # noqa: B019 - a layout lives as long as its run
    def _order_of(self, period: int) -> np.ndarray:
        if period not in self.chosen:
            raise RuntimeError(f"Round {period} was asked for what it chose before it was held.")
        slots = np.asarray(self.chosen[period], dtype=np.int64)
        orders = (derive_rng(self.seed, "chosen_order", period, time) for time in range(self.reuse))
        return np.concatenate([order.permutation(slots) for order in orders])

    def first_draw(self, shard: np.ndarray) -> np.ndarray:
        """The draw from which on a shard may be shown, of each in an array."""
        walked = np.asarray(super().first_draw(shard))
        known = np.searchsorted(self._ends, shard // self.world_size, side="right")
        return np.where(walked < self.starts[1], walked, np.asarray(self.starts)[known])

    def shards(self, total_draws: int) -> range:
        """The shards of this rank, in the order in which they are made."""
        return self._own(0, self._ends[-1])

    def all_shards(self, total_draws: int) -> range:
        """See [`DrawLayout.all_shards`]."""
        return range(self._ends[-1] * self.world_size)

    def in_order(self, draws: int) -> int:
        """See [`DrawLayout.in_order`]."""
        return min(draws, self.starts[1])

    def done(self, draws: int) -> int:
        """See [`DrawLayout.done`]."""
        period = int(np.searchsorted(self.starts[:-1], draws, side="right")) - 1
        return self._begin(period) if period else super().done(draws)
