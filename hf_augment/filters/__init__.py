"""What may enter a shard: the interface of a filter and the filters for text."""

from hf_augment.filters.base import Filter, Verdict
from hf_augment.filters.fluency import Fluency, Perplexity
from hf_augment.filters.label_agreement import ClassifierReference, LabelAgreement, OutOfFoldReference
from hf_augment.filters.near_duplicates import EvaluationOverlap, Memorization, NearDuplicates


__all__ = [
    "ClassifierReference",
    "EvaluationOverlap",
    "Filter",
    "Fluency",
    "LabelAgreement",
    "Memorization",
    "NearDuplicates",
    "OutOfFoldReference",
    "Perplexity",
    "Verdict",
]
