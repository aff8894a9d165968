"""What cannot work is refused here, when the trainer is built or a checkpoint is given to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch.utils.data as torch_data
from transformers import PretrainedConfig, TrainingArguments
from transformers.utils import logging

from hf_augment.blending.schedule import max_slots
from hf_augment.filters.base import Filter
from hf_augment.generators.base import Generator
from hf_augment.training.arguments import AugmentationArguments


logger = logging.get_logger(__name__)

CHECKPOINT_FILE = "augmentation.json"


def check_arguments(
    args: TrainingArguments,
    augmentation: AugmentationArguments,
    generator: Generator,
    filters: Sequence[Filter],
    has_own_loss: bool,
) -> None:
    """
    Refuses combinations of arguments, before anything is loaded.

    Args:
        args (`TrainingArguments`):
            Of the trainer.
        augmentation (`AugmentationArguments`):
            Validated one by one already.
        generator (`Generator`):
            Of the trainer.
        filters (`Sequence[Filter]`):
            Of the trainer.
        has_own_loss (`bool`):
            Whether `compute_loss_func` was given.

    Raises:
        ValueError: With the argument, its value and the remedy.
    """
    if not isinstance(generator, Generator):
        raise ValueError(f"generator={generator!r} is not a Generator: subclass hf_augment.Generator.")
    for f in filters:
        if not isinstance(f, Filter):
            raise ValueError(f"filters holds {f!r}, which is not a Filter: subclass hf_augment.Filter.")
    names = [f.name for f in filters]
    if len(set(names)) < len(names):
        raise ValueError(f"filters has two of one name, {names}: verdicts are counted by name, so give each its own.")
    for option in ("split_batches", "dispatch_batches"):
        if getattr(args.accelerator_config, option):
            raise ValueError(
                f"accelerator_config.{option}=True takes apart batches that were blended whole: leave it unset."
            )
    if args.train_sampling_strategy == "batch_rebalance":
        raise ValueError(
            "train_sampling_strategy='batch_rebalance' makes batches of its own: use 'random' or 'group_by_length'."
        )
    if augmentation.synthetic_producer == "thread" and not generator.draws_from_seed_only:
        raise ValueError(
            f"synthetic_producer='thread' cannot run {type(generator).__name__}, which draws from the global random "
            "state that training uses: pass synthetic_producer='inline'."
        )
    if augmentation.synthetic_labels == "soft" and not any(f.gives_label_probabilities for f in filters):
        raise ValueError(
            "synthetic_labels='soft' needs a filter that gives label probabilities: add LabelAgreement to filters."
        )
    if weighs_rows(augmentation) and (has_own_loss or args.label_smoothing_factor):
        raise ValueError(
            f"synthetic_weight={augmentation.synthetic_weight} and synthetic_labels={augmentation.synthetic_labels!r} "
            "need this trainer's own loss: leave out compute_loss_func and label_smoothing_factor, or use weight 1 "
            "and hard labels."
        )
    if max_slots(args.train_batch_size, augmentation.synthetic_ratio) >= args.train_batch_size:
        raise ValueError(
            f"synthetic_ratio={augmentation.synthetic_ratio} leaves batches of {args.train_batch_size} without a real "
            "row: lower synthetic_ratio or raise per_device_train_batch_size."
        )


def weighs_rows(augmentation: AugmentationArguments) -> bool:
    """Whether the loss treats synthetic rows in another way than real ones."""
    return augmentation.synthetic_weight != 1.0 or augmentation.synthetic_labels == "soft"


def check_labels(dataset: Any, label_key: str, generator: Generator, config: PretrainedConfig | None) -> None:
    """
    Refuses a generator for other labels than the dataset's or the model's.

    Args:
        dataset (`datasets.Dataset`, `datasets.IterableDataset` or `torch.utils.data.Dataset`):
            The training data.
        label_key (`str`):
            Its label column.
        generator (`Generator`):
            Of the trainer.
        config (`PretrainedConfig`, *optional*):
            Of the model.

    Raises:
        ValueError: If names, their order or their number differ.
    """
    names = list(generator.label_names)
    feature = (getattr(dataset, "features", None) or {}).get(label_key)
    if isinstance(feature, datasets.ClassLabel) and list(feature.names) != names:
        raise ValueError(
            f"The generator was made for the labels {names}, but column {label_key!r} of train_dataset has "
            f"{list(feature.names)}: use a generator with these label_names in this order."
        )
    num_labels = getattr(config, "num_labels", len(names))
    if num_labels != len(names):
        raise ValueError(f"The generator has {len(names)} labels, {names}, but the model has num_labels={num_labels}.")
    id2label = getattr(config, "id2label", None) or {}
    named = [id2label.get(i) for i in range(num_labels)]
    if all(named) and named != [f"LABEL_{i}" for i in range(num_labels)] and named != names:
        raise ValueError(
            f"The generator was made for the labels {names}, but the model's config.id2label says {named}: make them "
            "agree, so that a label means the same in both."
        )


def find_label_key(keys: Sequence[str], label_names: Sequence[str] | None) -> str:
    """The label column among the columns of a row: one of `label_names`, or `label`, or `label_ids`."""
    for candidate in (*(label_names or ()), "labels", "label", "label_ids"):
        if candidate in keys:
            return candidate
    raise ValueError(f"train_dataset has no label column among {list(keys)}: name it 'label' or set label_names.")


def row_keys(dataset: Any) -> list[str]:
    """The raw columns of a dataset of any kind, from its first row where it does not name them."""
    names = getattr(dataset, "column_names", None)
    if names is not None:
        return list(names)
    stream = isinstance(dataset, torch_data.IterableDataset)
    row = next(iter(dataset), None) if stream else dataset[0]
    if not isinstance(row, Mapping):
        raise ValueError(
            f"train_dataset has rows of type {type(row).__name__}: synthetic rows are blended by column name, so "
            "return a dict from __getitem__."
        )
    return list(row)


def count_labels(dataset: Any, label_key: str, num_labels: int) -> np.ndarray:
    """
    Rows of each class, int64 of shape `(num_labels,)`.

    Raises:
        ValueError: If a label is outside `[0, num_labels)`.
    """
    if isinstance(dataset, datasets.Dataset):
        labels = np.array(dataset.with_format(None)[label_key][:])
    else:
        labels = np.array([int(dataset[i][label_key]) for i in range(len(dataset))])
    if labels.dtype.kind not in "iub":
        raise ValueError(
            f"train_dataset has labels of type {labels.dtype} in column {label_key!r}: encode them as integers, for "
            f"example by train_dataset.class_encode_column({label_key!r})."
        )
    unknown = np.unique(labels[(labels < 0) | (labels >= num_labels)])
    if len(unknown):
        raise ValueError(
            f"train_dataset has labels {unknown.tolist()} in column {label_key!r}, but the generator knows 0 to "
            f"{num_labels - 1}: drop those rows or use a generator with more label_names."
        )
    return np.bincount(labels, minlength=num_labels)


def check_checkpoint(checkpoint: Path, facts: dict[str, Any] | None, has_generator: bool) -> dict[str, Any]:
    """
    Refuses a checkpoint whose batches are not those of this run, and warns of what will change from there on.

    Args:
        checkpoint (`Path`):
            Its folder.
        facts (`dict[str, Any]`, *optional*):
            What this trainer would write into a checkpoint; `None` if it blends nothing.
        has_generator (`bool`):
            Whether the trainer was given a generator, be it at ratio 0.

    Returns:
        `dict[str, Any]`: The facts that the checkpoint holds; empty where this trainer has no use for them.

    Raises:
        ValueError: If the checkpoint is of another generator, filter or seed.
    """
    path = checkpoint / CHECKPOINT_FILE
    if not checkpoint.is_dir() or (facts is None and not path.exists()):
        return {}
    if facts is None and has_generator:
        logger.warning(f"synthetic_ratio is 0 from here on; {checkpoint} was trained with synthetic examples.")
        return {}
    if facts is None or not path.exists():
        was, remedy = ("with", "pass its generator") if path.exists() else ("without", "leave the generator out")
        raise ValueError(
            f"resume_from_checkpoint={str(checkpoint)!r} was trained {was} synthetic examples, and its batches "
            f"would not be those of this run: {remedy}, or start a new run in another output_dir."
        )
    saved = json.loads(path.read_text())
    for name, value in facts["identity"].items():
        if saved["identity"].get(name) != value:
            raise ValueError(
                f"resume_from_checkpoint={str(checkpoint)!r} was trained with {name}="
                f"{saved['identity'].get(name)!r}, this trainer has {value!r}: pass what the checkpoint had, or "
                "start a new run in another output_dir."
            )
    for name in {**saved["plan"], **facts["plan"]}:
        was, now = saved["plan"].get(name), facts["plan"].get(name)
        if was != now:
            logger.warning(f"{name} was {was} in {checkpoint} and is {now} from here on.")
    return saved
