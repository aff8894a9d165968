"""Shards without a training: until there are so many examples, or so many of them, made by many hosts together."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hf_augment.seeding import derive_seed, isolated_rng
from hf_augment.synthesis.candidates import Candidates
from hf_augment.synthesis.claims import LAPSE, Claim, Claims
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.producer import InlineProducer
from hf_augment.synthesis.shards import Shard, ShardStore


def fill(
    pipeline: SynthesisPipeline,
    store: ShardStore,
    examples: int,
    candidates: int,
    tell: Callable[[int, int], None] = lambda accepted, made: None,
) -> list[Shard]:
    """
    Makes the shards of a stream, in order, until they hold so many examples or took so many candidates. What is there
    already is not made again.

    Args:
        pipeline ([`SynthesisPipeline`]): Makes the shards.
        store ([`ShardStore`]): Keeps them.
        examples (`int`): Number of accepted examples that are wanted, at least 1.
        candidates (`int`): Number of candidates after which no further shard is begun.
        tell (`Callable[[int, int], None]`, *optional*): Called after each shard with both numbers.

    Returns:
        `list[Shard]`: The accounts of these shards, which may hold more examples than are wanted.
    """
    producer = InlineProducer(pipeline, store, range(sys.maxsize))
    accounts: list[Shard] = []
    accepted = made = 0
    while accepted < examples and made < candidates:
        producer.wait_for(len(accounts))
        account = store.account(len(accounts))
        accounts.append(account)
        made += account.candidates
        accepted += account.candidates - sum(account.rejected.values())
        tell(accepted, made)
    return accounts


@dataclass(frozen=True)
class Filled:
    """
    What a filler did.

    Args:
        made (`list[int]`): The shards that it made, in this order.
        others (`list[int]`): Those that were there already, or that others made meanwhile.
        beyond (`list[int]`): Those that the training will not need, and that were left out.
    """

    made: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    beyond: list[int] = field(default_factory=list)


def fill_shards(
    pipeline: SynthesisPipeline,
    store: ShardStore,
    shards: Iterable[int],
    lapse: float = LAPSE,
    tell: Callable[[int, int], None] = lambda there, total: None,
) -> Filled:
    """
    Makes shards of a stream in any order, together with all others who do the same in the same folder: each shard is
    made by the one that claims it first. Returns when all of them are there, also those of others; those of a filler
    that died are made again.

    The shards equal those that one process would make. Where a filter has a memory, a shard cannot be made before
    those that precede it. There only its candidates are made, which cost the most, filtered with an empty memory and
    kept beside the shards, and whoever makes the shards in their order, as a training does, finds them. It calls the
    generator itself only for a second or later attempt that other slots need since an earlier shard holds a near
    duplicate of what was in them. The account of such a shard tells the seconds of filtering alone.

    A generator that is not `replayable` is asked twice for a shard if a filler was too slow to renew its claim; the
    second result is dropped. Nobody else may make shards in this folder meanwhile.

    Args:
        pipeline ([`SynthesisPipeline`]): Makes the shards.
        store ([`ShardStore`]): Keeps them.
        shards (`Iterable[int]`): The shards that are wanted, in the order in which they are begun.
        lapse (`float`, *optional*, defaults to 60.0):
            Seconds after which the claim of a filler that died is taken over; the same for all fillers.
        tell (`Callable[[int, int], None]`, *optional*): Called after each shard with how many are there, of how many.

    Returns:
        [`Filled`]: Who made them.

    Raises:
        ValueError: If a shard is made again and is another one; if candidates of filters with a memory cannot be kept.
    """
    left, filled = list(dict.fromkeys(shards)), Filled()
    total, work = len(left), (_CandidateWork if pipeline.remembering else _ShardWork)(pipeline, store)
    with Claims(store.folder, lapse) as claims:
        while left:
            waiting, made = [], len(filled.made)
            for index in left:
                who = _fill_one(index, work, claims)
                if who is None:
                    waiting.append(index)
                    continue
                getattr(filled, who).append(index)
                tell(len(filled.made) + len(filled.others), total)
            left = waiting
            if left and len(filled.made) == made:
                time.sleep(min(1.0, lapse / 20))
    return filled


def _fill_one(index: int, work: _ShardWork, claims: Claims) -> str | None:
    """Sees to one shard; returns whether it was `"made"` here or by `"others"`, and `None` while somebody is at it."""
    if work.done(index):
        return "others"
    claim = claims.take(index)
    if claim is None:
        return None
    with claim:
        # Somebody may have finished between the look and the claim.
        made = not work.done(index) and work.do(index, claim)
        if made or work.done(index):
            claim.finish()
            return "made" if made else "others"
        return None


class _ShardWork:
    """Makes shards whole."""

    def __init__(self, pipeline: SynthesisPipeline, store: ShardStore) -> None:
        self.pipeline, self.store = pipeline, store

    def done(self, index: int) -> bool:
        return self.store.has(index)

    def do(self, index: int, claim: Claim) -> bool:
        """Returns whether what was made is kept."""
        # As the inline producer does it.
        with isolated_rng(derive_seed(self.pipeline.seed, "inline", index)):
            return self._do(index, claim)

    def _do(self, index: int, claim: Claim) -> bool:
        shard = self.pipeline.make(index)
        if not self.pipeline.generator.replayable and (self.store.has(index) or not claim.held()):
            return False
        self.store.write(shard)
        return True


class _CandidateWork(_ShardWork):
    """Makes what filters with a memory will be given."""

    def done(self, index: int) -> bool:
        return self.store.has(index) or Candidates(self.store, index).done()

    def _do(self, index: int, claim: Claim) -> bool:
        candidates = Candidates(self.store, index)

        def kept(attempt: int, slots: list[int], make: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
            found = candidates.read(attempt, slots)
            if found is None:
                found = make()
                candidates.keep(attempt, slots, found)
            return found

        self.pipeline.make(index, kept=kept)
        candidates.finish()
        return True
