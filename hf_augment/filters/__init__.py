"""What may enter a shard: the interface of a filter, the filters for texts and images, and whom they ask."""

from hf_augment.filters.base import Filter, Verdict
from hf_augment.filters.class_coverage import ClassCoverage
from hf_augment.filters.feature_copies import FeatureCopies
from hf_augment.filters.feature_space import RealFeatures
from hf_augment.filters.fluency import Fluency, Perplexity
from hf_augment.filters.label_agreement import LabelAgreement
from hf_augment.filters.near_duplicates import EvaluationOverlap, Memorization, NearDuplicates
from hf_augment.filters.out_of_fold import NearestImageFold, NearestTextFold, OutOfFoldReference
from hf_augment.filters.references import ClassifierFeatures, ClassifierReference, ImageClassifierReference


__all__ = [
    "ClassCoverage",
    "ClassifierFeatures",
    "ClassifierReference",
    "EvaluationOverlap",
    "FeatureCopies",
    "Filter",
    "Fluency",
    "ImageClassifierReference",
    "LabelAgreement",
    "Memorization",
    "NearDuplicates",
    "NearestImageFold",
    "NearestTextFold",
    "OutOfFoldReference",
    "Perplexity",
    "RealFeatures",
    "Verdict",
]
