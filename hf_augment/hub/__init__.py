"""Publish a run on the Hub: stage, then push."""

from hf_augment.hub.pushing import PushError, push
from hf_augment.hub.staging import MODEL_FILES, REPORT_FILES, Repository, stage, synthetic_dataset


__all__ = [
    "MODEL_FILES",
    "REPORT_FILES",
    "PushError",
    "Repository",
    "push",
    "stage",
    "synthetic_dataset",
]
