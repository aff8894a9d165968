"""The batch sampler: in the main process, it turns the plan into keys and waits for the shards they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch.utils.data as torch_data

from hf_augment.blending.rows import RealRows
from hf_augment.blending.schedule import BlendPlan, slots_before
from hf_augment.seeding import derive_rng, derive_seed


class Slot(int):
    """The key of a synthetic row: a slot number, told apart from a real row's index by its type."""


class Batch(list[Any]):
    """
    The keys of a batch, later its rows, and the seed of whatever is drawn at random on its way to the model.

    Args:
        items (`Iterable[Any]`): Keys or rows.
        seed (`int`):
            Depends on the batch's number alone, so random transforms and collators draw the same in any worker and
            after a resume.
    """

    def __init__(self, items: Iterable[Any], seed: int) -> None:
        super().__init__(items)
        self.seed = seed

    def __reduce__(self) -> tuple[Any, ...]:
        # By itself a list's subclass is made anew without arguments.
        return Batch, (list(self), self.seed)


@dataclass(frozen=True)
class DrawLayout:
    """
    Which slot a rank's n-th draw shows.

    Shards are dealt to the ranks in turn, so no slot is ever drawn by two of them. A shard is drawn `reuse` times
    through, each time in another order, before the next one is begun.

    Args:
        shard_size (`int`): Slots in a shard.
        reuse (`int`): Number of times each example is shown.
        seed (`int`): Base seed of the orders.
        rank (`int`, *optional*, defaults to 0): This process.
        world_size (`int`, *optional*, defaults to 1): Number of processes.
    """

    shard_size: int
    reuse: int
    seed: int
    rank: int = 0
    world_size: int = 1

    @property
    def draws_per_shard(self) -> int:
        """The draws that show a shard as often as it is shown."""
        return self.shard_size * self.reuse

    def slots(self, draws: range) -> Iterator[tuple[int, np.ndarray]]:
        """
        The slots of draws, which are counted from 0 on this rank.

        Yields:
            A shard and the places of the next slots in it, int64 of shape `(number,)`: its `shard_size` slots in the
            order of the showing, as far as the draws go.
        """
        first = draws.start
        while first < draws.stop:
            shard, times_shown, position = self.locate(first)
            last = min(position + draws.stop - first, self.shard_size)
            yield shard, self._order(shard, times_shown)[position:last]
            first += last - position

    def locate(self, draw: Any) -> tuple[Any, Any, Any]:
        """
        The shard of a draw, how often its examples were shown before, and the position in this showing; of an int, or
        of each in an array.
        """
        block, within = divmod(draw, self.draws_per_shard)
        return block * self.world_size + self.rank, *divmod(within, self.shard_size)

    def shown(self, draws: range) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        What draws show: those that show something, the shard of each, and how often its example was shown before;
        int64 of shape `(number,)` each.
        """
        numbers = np.arange(draws.start, max(draws.start, draws.stop))
        return numbers, *self.locate(numbers)[:2]

    def for_run(self) -> DrawLayout:
        """The layout for one run, which may add to it."""
        return self

    def in_order(self, draws: int) -> int:
        """How many of the first `draws` draws walk through the shards in their order."""
        return draws

    def done(self, draws: int) -> int:
        """The number of this rank's shards that are shown for the last time before a draw."""
        return draws // self.draws_per_shard

    def first_draw(self, shard: Any) -> Any:
        """The draw with which this rank begins a shard; of an int, or of each in an array."""
        return shard // self.world_size * self.draws_per_shard

    def shards(self, total_draws: int) -> range:
        """The shards that this rank's first `total_draws` draws need, in order."""
        blocks = -(-total_draws // self.draws_per_shard)
        return range(self.rank, blocks * self.world_size, self.world_size)

    def all_shards(self, total_draws: int) -> range:
        """The shards that the first `total_draws` draws of every rank need; number n is of rank `n % world_size`."""
        return range(-(-total_draws // self.draws_per_shard) * self.world_size)

    @lru_cache(maxsize=4)  # noqa: B019 - a layout lives as long as its run
    def _order(self, shard: int, times_shown: int) -> np.ndarray:
        return derive_rng(self.seed, "draw_order", shard, times_shown).permutation(self.shard_size)


class BlendProgress:
    """
    The contents of this rank's batches, kept by batch number: the loader runs ahead of the training step.

    Args:
        plan (`BlendPlan`): The plan of the run.
        layout (`DrawLayout`): Its draws.

    Attributes:
        first_draw (`np.ndarray`):
            The number of draws before each batch, int64 of shape `(total_batches + 1,)`: that of the plan, until
            [`scale`] is called.
    """

    def __init__(self, plan: BlendPlan, layout: DrawLayout) -> None:
        self.plan, self.layout = plan, layout
        self.first_draw = plan.first_draw
        self._shown = np.zeros(plan.total_batches, dtype=np.int64)

    def scale(self, batch: int, factor: float) -> None:
        """
        From `batch` on, which must not have been made yet, so much of the plan's live slots stays live.

        Draws are counted anew from there, so that no example is made and then passed over.

        Args:
            batch (`int`): The first one that it concerns; beyond the last, nothing changes.
            factor (`float`): In `[0, 1]`, whatever it was before.
        """
        batch = min(batch, self.plan.total_batches)
        planned = self.plan.first_draw[batch:] - self.plan.first_draw[batch]
        # The tiny addend: binary 0.7 * 10 may be just below 7.
        live = np.floor(planned * factor + 1e-9).astype(np.int64)
        self.first_draw = np.concatenate([self.first_draw[:batch], self.first_draw[batch] + live])

    def draws(self, first: int, last: int) -> range:
        """The draws of the batches `first` to `last - 1`."""
        return range(self.first_draw[first], self.first_draw[last])

    def record(self, batch: int, shown: int) -> None:
        """Notes that `batch` shows `shown` synthetic examples."""
        self._shown[batch] = shown

    def summary(self, first: int, last: int) -> dict[str, float]:
        """
        Describes the batches `first` to `last - 1`.

        Returns:
            `dict[str, float]`: `ratio`, the share of rows that were synthetic; and, where there were live slots,
            `reuse`, how often their examples have been shown on average, this time included, and `age`, how many
            batches ago their shard was begun.
        """
        rows = self.plan.batch_size * (last - first)
        summary = {"ratio": float(self._shown[first:last].sum() / rows)} if rows else {}
        numbers, shards, times_shown = self.layout.shown(self.draws(first, last))
        if len(numbers):
            summary["reuse"] = float(np.mean(times_shown + 1))
            begun = self._batches(self.layout.first_draw(shards))
            summary["age"] = float(np.mean(self._batches(numbers) - begun))
        return summary

    def _batches(self, draws: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.first_draw, draws, side="right") - 1


class BlendedBatchSampler(torch_data.Sampler[Batch]):
    """
    Yields the batches of an epoch, of all ranks in turn, as lists of keys for [`BlendedDataset`].

    accelerate deals whole batches to the ranks and, on resume, throws the first ones away. Both pass through here, so
    nothing is counted on the way: every key is computed from its batch number. Batches of other ranks only advance the
    real rows; their slots are not looked at, and no shard of theirs is waited for.

    Args:
        plan (`BlendPlan`): Rows and slots of each batch.
        layout (`DrawLayout`): Which slots are drawn.
        rows (`RealRows`): The real rows.
        accepted (`Callable[[int], np.ndarray]`):
            Waits for a shard and returns which of its slots hold an example, bool of shape `(shard_size,)`. Called in
            the main process, before the keys go to any worker.
        epoch (`Callable[[], int]`):
            Called when an iteration starts. `set_epoch` does not reach a sampler under accelerate's skipping and
            sharding ones, so the epoch is asked for.

    Attributes:
        first_batch (`int`):
            Batches of the run before this one only advance the real rows, too: a resumed loader throws them away.
    """

    def __init__(
        self,
        plan: BlendPlan,
        layout: DrawLayout,
        rows: RealRows,
        accepted: Callable[[int], np.ndarray],
        epoch: Callable[[], int],
    ) -> None:
        self.plan, self.layout, self.rows = plan, layout, rows
        self.accepted, self.epoch = accepted, epoch
        self.progress, self.first_batch = BlendProgress(plan, layout), 0
        # What accelerate asks of a batch sampler: full batches, a multiple of the number of ranks.
        self.batch_size, self.drop_last = plan.batch_size, False

    def __len__(self) -> int:
        return self.plan.batches_per_epoch * self.layout.world_size

    def __iter__(self) -> Iterator[Batch]:
        epoch = self.epoch()
        take = self.rows.base(epoch)
        for index in range(len(self)):
            local, rank = divmod(index, self.layout.world_size)
            batch = epoch * self.plan.batches_per_epoch + local
            if batch == self.plan.total_batches:
                return  # The loader runs ahead of the last step: nothing is made for batches nobody trains on.
            num_slots = int(self.plan.slots[batch])
            keys = take(self.plan.batch_size - num_slots)
            if rank != self.layout.rank or batch < self.first_batch:
                yield Batch([None] * self.plan.batch_size, seed=0)
                continue
            slots = self._slots(batch)
            position = self.layout.world_size * self._slots_before(local) + rank * num_slots
            # More than the empty slots at the end of an epoch, when the base rows have run out.
            fills = self.plan.batch_size - len(keys) - len(slots)
            filled = (self.rows.fill(epoch, position + i) for i in range(fills))
            yield Batch([*keys, *filled, *slots], derive_seed(self.rows.seed, "batch", batch, rank))

    def _slots_before(self, batch: int) -> int:
        return slots_before(self.plan.batch_size, self.plan.synthetic_ratio, batch)

    def _slots(self, batch: int) -> list[Slot]:
        shown: list[Slot] = []
        for shard, places in self.layout.slots(self.progress.draws(batch, batch + 1)):
            filled = places[self.accepted(shard)[places]]
            shown += map(Slot, (shard * self.layout.shard_size + filled).tolist())
        self.progress.record(batch, len(shown))
        return shown
