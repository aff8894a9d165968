"""Briefs: what a round decided, as a file, before anything uses it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_augment.files import read_json, write_json


@dataclass(frozen=True)
class Brief:
    """
    What a round decided.

    Args:
        number (`int`): The round, from 1.
        key (`str`):
            Identifies what it was decided from: the briefs before it, the classifier's weights, settings, policies and
            validation rows.
        step (`int`): Optimizer steps after which it was decided.
        from_step (`int`): Optimizer steps done when it takes effect.
        class_shares (`list[float]`): Shares of the classes among what it chose.
        chosen (`list[list[int]]`): By rank, the slots that it chose.
        left (`list[list[tuple[int, float | None]]]`):
            By rank, the candidates that a later round may choose, each with its score; `None` where it is not one to
            choose.
        ahead (`list[float]`, *optional*):
            Shares of the classes in the shards that the next round is the first to know; `None`: as in any shard.
        seeds (`list[list[tuple[int, int]]]`, *optional*, defaults to `[]`):
            By rank, slots of these shards, each with the number of the training row that it is written after.
        figures (`dict[str, float]`, *optional*, defaults to `{}`):
            What there is to tell: `validation_accuracy`, where a policy asks; where one scores, `entropy` of the
            classifier on new candidates, and `entropy_chosen` on those of them that were chosen, as shares of the
            largest; where one gives shares of the classes, `moved`, the share that goes to other classes than without
            feedback; where one seeds, `seeded`, the share of the next examples that are asked for after training
            rows.
        confusions (`list[tuple[int, int, int]]`, *optional*, defaults to `[]`):
            Where a policy asks about validation rows, the mistakes: a class, what it was taken for, and how many rows.
    """

    number: int
    key: str
    step: int
    from_step: int
    class_shares: list[float]
    chosen: list[list[int]]
    left: list[list[tuple[int, float | None]]]
    ahead: list[float] | None = None
    seeds: list[list[tuple[int, int]]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    confusions: list[tuple[int, int, int]] = field(default_factory=list)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Brief:
        """Returns the brief that `dataclasses.asdict` made values of, also by way of JSON."""
        left = [[(slot, score) for slot, score in rank] for rank in values["left"]]
        seeds = [[(slot, row) for slot, row in rank] for rank in values.get("seeds", [])]
        confusions = [(label, taken, rows) for label, taken, rows in values.get("confusions", [])]
        return cls(**values | {"left": left, "seeds": seeds, "confusions": confusions})

    def told(self) -> dict[str, Any]:
        """Returns what a report tells of it: `step`, `class_shares` and `confusions`."""
        return {"step": self.step, "class_shares": self.class_shares, "confusions": self.confusions}


def brief_key(before: Iterable[Brief], weights: str, facts: str) -> str:
    """Returns the key of the brief that follows on others; `facts` are whatever else it is decided from."""
    parts = [*(brief.key for brief in before), weights, facts]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def read_brief(folder: Path, number: int, key: str) -> Brief | None:
    """Returns a brief that was written before, such as by a run that was killed; `None` if there is none."""
    path = _path(folder, number, key)
    return Brief.from_dict(read_json(path, f"Delete {path}: it is decided again")) if path.exists() else None


def write_brief(folder: Path, brief: Brief) -> None:
    """Writes a brief, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(_path(folder, brief.number, brief.key), asdict(brief))


def _path(folder: Path, number: int, key: str) -> Path:
    return folder / f"brief-{number:04d}-{key}.json"
