"""Where real rows come from: an indexed dataset, or a stream."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import numpy as np
import torch
import torch.utils.data as torch_data

from hf_augment.seeding import derive_rng, derive_seed, isolated_rng


#: Gives so many of the next keys, fewer where they end.
Take = Callable[[int], list[Any]]


class RealRows(ABC):
    """
    Yields what a batch sampler sends for a real row: a key that [`BlendedDataset`] turns into the row.

    Every rank walks the same keys, whatever its shards hold, so base keys and fill keys come from separate streams.

    Args:
        seed (`int`): Base seed of whatever is drawn.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    @abstractmethod
    def base(self, epoch: int) -> Take:
        """The keys of one pass over the real data, as a function that takes the next ones; of a stream, endless."""

    @abstractmethod
    def fill(self, epoch: int, position: int) -> Any:
        """
        The key that fills the `position`-th slot of the epoch when it shows no synthetic example.

        Args:
            epoch (`int`): Counts the passes over the data.
            position (`int`): Counts the slots of the epoch over all ranks.
        """


class MapRows(RealRows):
    """
    Keys of an indexed dataset: integers, in the order of a sampler.

    The sampler is iterated inside [`isolated_rng`], seeded by the epoch, and so is a random generator of its own. So
    `RandomSampler`, length grouping and any other sampler give the same order on every rank and after a resume, which
    they do not by themselves.

    Args:
        sampler (`torch.utils.data.Sampler`): The sampler of one epoch.
        seed (`int`): Base seed of the order.
    """

    def __init__(self, sampler: Iterable[int], seed: int) -> None:
        super().__init__(seed)
        self.sampler = sampler
        # Each with the epoch that it is of.
        self._order: tuple[int, list[int]] = (-1, [])
        self._fills: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def base(self, epoch: int) -> Take:
        self._order = epoch, self._drawn(epoch)
        keys = iter(self._order[1])
        return lambda count: list(itertools.islice(keys, count))

    def fill(self, epoch: int, position: int) -> int:
        if self._fills[0] != epoch:
            order = self._order[1] if self._order[0] == epoch else self._drawn(epoch)
            # No row that the sampler leaves out, and as often as it yields one.
            self._fills = epoch, derive_rng(self.seed, "fill", epoch).permutation(np.sort(order))
        return int(self._fills[1][position % len(self._fills[1])])

    def _drawn(self, epoch: int) -> list[int]:
        seed = derive_seed(self.seed, "order", epoch)
        generator = getattr(self.sampler, "generator", None)
        if isinstance(generator, torch.Generator):
            # A checkpoint does not keep its state.
            generator.manual_seed(seed)
        with isolated_rng(seed):
            # Not to its end, where a `RandomSampler` makes another order, of which it needs nothing.
            count = len(self.sampler) if isinstance(self.sampler, Sized) else None
            return list(itertools.islice(self.sampler, count))


class StreamRows(RealRows):
    """
    Rows of an `IterableDataset`, read in the main process and sent to the workers whole.

    A stream that ends is read again from its start, with `set_epoch` where it has one, as often as needed. Fills are
    chosen among the last rows read: a stream cannot be asked for another row without moving every rank.

    Args:
        stream (`torch.utils.data.IterableDataset`): The rows.
        seed (`int`): Base seed of the choice of fills.
        remembered (`int`, *optional*, defaults to 1024): Number of last rows that a fill is chosen from.
    """

    def __init__(self, stream: torch_data.IterableDataset, seed: int, remembered: int = 1024) -> None:
        super().__init__(seed)
        self.stream = stream
        self._recent: deque[Any] = deque(maxlen=remembered)

    def base(self, epoch: int) -> Take:
        self._recent.clear()
        rows, taken = self._rows(), 0

        def take(count: int) -> list[Any]:
            nonlocal taken
            # A stream may change its rows at random, those of a batch alike after a resume.
            with isolated_rng(derive_seed(self.seed, "stream", taken)):
                keys = list(itertools.islice(rows, count))
            taken += count
            self._recent.extend(keys)
            return keys

        return take

    def _rows(self) -> Iterator[Any]:
        for passes in itertools.count():
            set_epoch: Callable[[int], None] | None = getattr(self.stream, "set_epoch", None)
            if set_epoch is not None:
                set_epoch(passes)
            empty = True
            for row in self.stream:
                empty = False
                yield row
            if empty:
                raise ValueError("train_dataset is a stream without a row: check its filters and its source.")

    def fill(self, epoch: int, position: int) -> Any:
        choice = derive_rng(self.seed, "fill", epoch, position).integers(len(self._recent))
        return self._recent[int(choice)]
