"""From candidates to shards on disk: the pipeline, the store and the producers that run ahead of training."""

from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.prepared import PreparedShards
from hf_augment.synthesis.producer import InlineProducer, Producer, ThreadProducer
from hf_augment.synthesis.shards import Shard, ShardStore


__all__ = [
    "InlineProducer",
    "PreparedShards",
    "Producer",
    "Shard",
    "ShardStore",
    "SynthesisPipeline",
    "ThreadProducer",
]
