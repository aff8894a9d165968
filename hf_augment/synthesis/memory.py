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
        filters (`Sequence[Filter]`): Those that define `remember` have a memory; the others are left alone.
    """

    def __init__(self, filters: Sequence[Filter]) -> None:
        self.filters = [f for f in filters if getattr(f.remember, "__func__", None) is not Filter.remember]
        # Of shards in order the first ones and the last one; `None`: nobody can say what the filters remember.
        self._shards: tuple[Sequence[int], int] | None = None

    @contextlib.contextmanager
    def before(self, index: int, earlier: Sequence[int], read: Callable[[int], Examples]) -> Iterator[None]:
        """
        Inside, the filters remember the shards `earlier` and no others; afterwards also the one that was made inside.

        Args:
            index (`int`):
                The shard that is made inside. If that fails, half of it is remembered, and the next shard starts from
                an empty memory.
            earlier (`Sequence[int]`): The shards before it, in order.
            read (`Callable[[int], Sequence[dict]]`):
                Gives the examples of an earlier one. It is only called for those that are not remembered yet.
        """
        if not self.filters:
            yield
            return
        shards, self._shards = self._shards, None
        known = 0 if shards is None else len(shards[0]) + 1
        # Another pipeline that has used a filter since has put its own note there.
        mine = all(f._remembered_shards is shards for f in self.filters)
        # Of ranges, which these are in a run, it takes no time to cut and compare thousands of shards.
        if shards is None or not mine or shards != (earlier[: known - 1], *earlier[known - 1 : known]):
            known = 0
            for f in self.filters:
                f.forget()
                f._remembered_shards = None
        for shard in earlier[known:]:
            self.remember(read(shard))
        yield
        self._shards = earlier, index
        for f in self.filters:
            f._remembered_shards = self._shards

    def clear(self) -> None:
        """What the filters remember may be of other shards than those of these numbers."""
        self._shards = None

    def remember(self, examples: Examples) -> None:
        """Tells the filters of examples that all filters accepted."""
        for f in self.filters:
            f.remember(examples)
