"""What filters remember: a list of shards, whoever made them and in whatever order the work was done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hf_augment.filters.base import Filter


Examples = Sequence[dict[str, Any]]


class FilterMemory:
    """
    Keeps account of what the filters with a memory have been told, and tells them what they should know.

    Args:
        filters (`Sequence[Filter]`):
            Those that define `remember` have a memory; the others are left alone.
    """

    def __init__(self, filters: Sequence[Filter]) -> None:
        self.filters = [f for f in filters if getattr(f.remember, "__func__", None) is not Filter.remember]
        self._shards: list[int] | None = None  # `None`: nobody can say what the filters remember.

    @contextlib.contextmanager
    def before(self, index: int, earlier: Sequence[int], read: Callable[[int], Examples]) -> Iterator[None]:
        """
        Inside, the filters remember the shards `earlier` and no others; afterwards also the one that was made inside.

        Args:
            index (`int`):
                The shard that is made inside. If that fails, half of it is remembered, and the next shard starts from
                an empty memory.
            earlier (`Sequence[int]`):
                The shards before it, in order.
            read (`Callable[[int], Sequence[dict]]`):
                Gives the examples of an earlier one. It is only called for those that are not remembered yet.
        """
        shards, self._shards = self._shards, None
        # Another pipeline that has used a filter since has put its own list there.
        mine = shards is not None and all(f._remembered_shards is shards for f in self.filters)
        if shards is None or not mine or shards != list(earlier[: len(shards)]):
            shards = []
            for f in self.filters:
                f.forget()
                f._remembered_shards = shards
        for shard in earlier[len(shards) :] if self.filters else ():
            self.remember(read(shard))
            shards.append(shard)
        yield
        shards.append(index)
        self._shards = shards

    def remember(self, examples: Examples) -> None:
        """Tells the filters of examples that all filters accepted."""
        for f in self.filters:
            f.remember(examples)
