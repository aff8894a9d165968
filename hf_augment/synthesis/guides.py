"""What a round asks of shards that are not made yet: other shares of the classes, and real rows to write after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Guide:
    """
    What one shard is made by, beside what all are. A shard without a guide knows nothing of the classifier.

    Args:
        key (`str`): Identifies what decided it, in letters and digits; it is part of the shard's name.
        class_weights (`tuple[float, ...]`, *optional*):
            The share of each class, adding up to 1; `None`: as in any shard.
        seed_rows (`dict[int, dict[str, Any]]`, *optional*, defaults to `{}`):
            By place in the shard, the raw example of a real row of that class, after which the slot is written.
    """

    key: str
    class_weights: tuple[float, ...] | None = None
    seed_rows: Mapping[int, dict[str, Any]] = field(default_factory=dict)


#: Guides by the number of their shard. It is filled while a run goes on, and read by whoever makes and keeps shards.
Guides = dict[int, Guide]
