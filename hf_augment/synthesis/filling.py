"""Shards until there are so many examples, for who wants the examples and no training."""

from __future__ import annotations

import sys
from collections.abc import Callable

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
