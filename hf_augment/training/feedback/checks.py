"""Feedback that cannot work is refused here, when the trainer is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import torch.utils.data as torch_data
from transformers.utils import logging

from hf_augment.generators.base import Generator
from hf_augment.training.feedback.policies import Policy
from hf_augment.training.task import first_row


logger = logging.get_logger(__name__)


def check_feedback(trainer: Any) -> None:
    """
    Refuses feedback that cannot work.

    Args:
        trainer (`Trainer`): With its `augmentation`, `augments`, `policies`, `guard` and datasets.

    Raises:
        ValueError: With the argument and the remedy.
    """
    period, policies = trainer.augmentation.synthetic_feedback, trainer.policies
    if policies is not None and not isinstance(policies, Sequence):
        raise ValueError(f"policies={policies!r} must be a list of them: pass [{type(policies).__name__}()].")
    if policies and not period:
        raise ValueError(f"policies={list(policies)} decide nothing with synthetic_feedback=0: pass its steps.")
    if not period or not trainer.augments:
        return
    if isinstance(trainer.train_dataset, torch_data.IterableDataset):
        raise ValueError(
            f"synthetic_feedback={period} needs training rows that have numbers, and this is a stream: pass 0."
        )
    for policy in policies or ():
        if not isinstance(policy, Policy):
            raise ValueError(f"policies holds {policy!r}, which is no Policy: subclass hf_augment.Policy.")
        if not isinstance(getattr(policy, "name", None), str) or not 0 <= policy.random_share <= 1:
            raise ValueError(
                f"{type(policy).__name__} needs a name, and a random_share in [0, 1]: it is {policy.random_share!r}."
            )
        if policy.needs_validation and (trainer.eval_dataset is None or isinstance(trainer.eval_dataset, dict)):
            raise ValueError(
                f"{type(policy).__name__} looks at validation rows: pass one dataset as eval_dataset, or leave it out."
            )
        if policy.seeds:
            _check_seeding(type(policy).__name__, trainer.generator, trainer.train_dataset)
    blind = [type(policy).__name__ for policy in policies or () if policy.needs_judge]
    if blind and not any(f.gives_label_probabilities for f in trainer.filters):
        logger.warning_once(
            f"{blind[0]} goes by the classifier alone, since no filter judges labels: what is mislabelled comes "
            "first then. Add LabelAgreement(judge, min_probability=0.0) to filters, or pass policies=[] for chance."
        )
    for task in ("class_shares", "score", "seed"):
        who = [type(p).__name__ for p in policies or () if getattr(type(p), task) is not getattr(Policy, task)]
        if len(who) > 1:
            raise ValueError(f"policies has {' and '.join(who)}, and each decides {task}: leave one of them out.")
    said = f"synthetic_feedback={period}"
    if trainer.guard is not None:
        raise ValueError(f"{said} does not go with an AugmentationGuard, which changes the draws: leave one out.")
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise ValueError(f"{said} asks a whole model on each process, and this one is sharded: pass 0.")
    if policies is None:
        raise ValueError(
            f"policies is missing: say what the rounds of {said} decide. Pass policies=[AgreementSelection()] where "
            "labels of examples are often wrong, [UncertaintySelection()] where a filter judges them, [] for chance."
        )


def _check_seeding(policy: str, generator: Generator, dataset: Any) -> None:
    if not generator.takes_seed_rows:
        raise ValueError(
            f"{policy} has examples written after training rows, and {type(generator).__name__} cannot: pass one that "
            "has a prompt with a place for a text, such as InstructPrompt, or define generate_like."
        )
    plain = dataset.with_format(None) if isinstance(dataset, datasets.Dataset) else dataset
    row = first_row(plain) if dataset is not None and len(dataset) else {}
    if lacking := [name for name in generator.columns if not isinstance(row, Mapping) or name not in row]:
        raise ValueError(
            f"{policy} shows training rows to the generator, but train_dataset has no columns {lacking}: keep the raw "
            "columns in it."
        )
