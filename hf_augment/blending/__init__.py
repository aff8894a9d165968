"""Plans of indices: which rows of a batch are real and which are slots of the synthetic stream. Knows no generator."""

from hf_augment.blending.dataset import BlendedDataset, BlendingCollator
from hf_augment.blending.rows import MapRows, StreamRows
from hf_augment.blending.sampler import BlendedBatchSampler, BlendProgress, DrawLayout
from hf_augment.blending.schedule import BlendPlan, RatioSchedule


__all__ = [
    "BlendPlan",
    "BlendProgress",
    "BlendedBatchSampler",
    "BlendedDataset",
    "BlendingCollator",
    "DrawLayout",
    "MapRows",
    "RatioSchedule",
    "StreamRows",
]
