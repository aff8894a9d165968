"""What cannot work is refused here, when the trainer is built or a checkpoint is given to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch.utils.data as torch_data
from transformers import TrainingArguments
from transformers.utils import logging

from hf_augment.blending.schedule import LEAST_SHOWN, max_slots
from hf_augment.files import read_json
from hf_augment.filters.base import Filter
from hf_augment.generators.base import Generator
from hf_augment.synthesis.pipeline import class_weights
from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.loss import parameters_of
from hf_augment.training.preparing import RowMaker
from hf_augment.training.row_weights import ROW_INPUTS
from hf_augment.training.task import LABEL_COLUMNS, Task


logger = logging.get_logger(__name__)

CHECKPOINT_FILE = "augmentation.json"
#: The arguments that say what rows weigh, first those of any row.
WEIGHING = ("row_weight_column", "class_weights", "synthetic_weight", "synthetic_weighting", "synthetic_labels")


def check_arguments(args: TrainingArguments, generator: Generator, filters: Sequence[Filter]) -> None:
    """
    Refuses combinations of arguments, before anything is loaded.

    Args:
        args (`TrainingArguments`): Those of the trainer.
        generator (`Generator`): That of the trainer.
        filters (`Sequence[Filter]`): Those of the trainer.

    Raises:
        ValueError: With the argument, its value and the remedy.
    """
    check_generator(generator)
    check_filters(filters, generator.label_names)
    augmentation = args if isinstance(args, AugmentationArguments) else AugmentationArguments()
    if augmentation.synthetic_ratio == 0:
        return
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
    for name, value in (("labels", "soft"), ("weighting", "dynamic")):
        asked = getattr(augmentation, f"synthetic_{name}") == value
        if asked and not any(f.gives_label_probabilities for f in filters):
            raise ValueError(
                f"synthetic_{name}={value!r} needs a filter that gives label probabilities: add LabelAgreement to "
                "filters."
            )
    slots = max_slots(args.train_batch_size, augmentation.synthetic_ratio)
    if augmentation.synthetic_weighting == "dynamic" and slots < 2:
        raise ValueError(
            "synthetic_weighting='dynamic' weighs the synthetic rows of a batch against each other, and "
            f"synthetic_ratio={augmentation.synthetic_ratio} leaves one: raise it, or pass 'constant'."
        )
    if slots >= args.train_batch_size:
        raise ValueError(
            f"synthetic_ratio={augmentation.synthetic_ratio} leaves batches of {args.train_batch_size} without a real "
            "row: lower synthetic_ratio or raise per_device_train_batch_size."
        )


def check_generator(generator: Any) -> None:
    """Refuses what is no generator, or one without classes, with a `ValueError`."""
    if not isinstance(generator, Generator):
        raise ValueError(f"generator={generator!r} is not a Generator: subclass hf_augment.Generator.")
    names = getattr(generator, "label_names", None)
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        raise ValueError(
            f"generator={type(generator).__name__} has label_names={names!r}: set it to the classes, in the order of "
            "the dataset's integer labels."
        )
    if isinstance(generator.columns, str):
        raise ValueError(
            f"generator={type(generator).__name__} has columns={generator.columns!r}: set it to a tuple of names, "
            f"({generator.columns!r},)."
        )


def check_filters(filters: Any, label_names: Sequence[str]) -> None:
    """Refuses what is no list of filters, names that count two filters as one, and other classes than a filter's."""
    if not isinstance(filters, Sequence):
        raise ValueError(f"filters={filters!r} must be a list of filters: pass filters=[...].")
    for f in filters:
        if not isinstance(f, Filter):
            raise ValueError(f"filters holds {f!r}, which is not a Filter: subclass hf_augment.Filter.")
        if not isinstance(getattr(f, "name", None), str):
            raise ValueError(f"filters holds a {type(f).__name__} without a name: its verdicts are counted under it.")
        f.check(label_names)
    names = [f.name for f in filters]
    if len(set(names)) < len(names):
        raise ValueError(f"filters has two of one name, {names}: verdicts are counted by name, so give each its own.")


def warn_if_hardly_shown(share: float | None) -> None:
    """Warns after a run that was shown next to none of its synthetic rows; `share` is `trainer.shown_share`."""
    if share is not None and share < LEAST_SHOWN:
        logger.warning(
            f"Of the synthetic rows that were scheduled {share:.1%} were shown, so this run says nothing of its "
            "generator. trainer.shards.accounts() tells what each filter rejected: loosen it, or change the generator."
        )


def row_inputs(augmentation: AugmentationArguments, blended: bool = True) -> list[str]:
    """What a loss has to heed, of [`ROW_INPUTS`], in a blend or without one."""
    weighs = augmentation.synthetic_weight != 1.0 or augmentation.synthetic_weighting == "dynamic"
    weighs = (blended and weighs) or weighs_real_rows(augmentation)
    heeded = (weighs, blended and augmentation.synthetic_labels == "soft")
    return [name for name, needed in zip(ROW_INPUTS, heeded, strict=True) if needed]


def weighs_real_rows(augmentation: AugmentationArguments) -> bool:
    """Whether real rows have weights, with a generator or without."""
    return augmentation.row_weight_column is not None or augmentation.class_weights is not None


def check_columns(maker: RowMaker, row: Mapping[str, Any], read: Collection[str] | None) -> None:
    """
    Refuses training rows with columns that synthetic rows lack, where no function makes them.

    Args:
        maker (`RowMaker`): Makes the synthetic rows.
        row (`Mapping[str, Any]`): A raw training row.
        read (`Collection[str]`, *optional*): The columns that reach the collator; `None` for all.

    Raises:
        ValueError: With the columns and the remedy.
    """
    have = {*maker.columns, *maker.task.label_columns([])}
    missing = [name for name in row if name not in have and (read is None or name in read)]
    if missing:
        raise ValueError(
            f"train_dataset has the columns {missing}, which the generator's columns {sorted(have)} do not give: "
            "pass preprocess=..., the function that made them from the raw columns."
        )


def check_shard_folder(folder: Path, output_dir: str) -> None:
    """
    Refuses to push an `output_dir` whose upload would take shards along: they may repeat labelled and test rows.

    Raises:
        ValueError: If the folder lies in `output_dir`, elsewhere than below `.cache/huggingface`.
    """
    root, shards = Path(output_dir).resolve(), folder.resolve()
    inside = shards.relative_to(root) if shards.is_relative_to(root) else None
    if inside is not None and inside.parts[:2] != (".cache", "huggingface"):
        raise ValueError(
            f"synthetic_dir puts the shards into {folder}, which a push of output_dir={output_dir!r} would upload, "
            "with all that filters rejected for repeating labelled or test rows: leave synthetic_dir out, or pass a "
            "folder outside of output_dir."
        )


def check_unchanged(planned: Mapping[str, Any], args: TrainingArguments) -> None:
    """
    Refuses arguments that a callback has changed in the middle of training, of which the plan would know nothing.

    Args:
        planned (`Mapping[str, Any]`): The values with which the run was planned, by the name of the argument.
        args (`TrainingArguments`): Those of the trainer, now.

    Raises:
        ValueError: With the argument, both values and the remedy.
    """
    for name, value in planned.items():
        if (now := getattr(args, name, value)) != value:
            raise ValueError(
                f"{name} was set to {now!r} while training, which was planned with {value!r} when it began: let "
                "synthetic_schedule change the ratio, or an AugmentationGuard, and change other arguments between two "
                "calls of train()."
            )


def check_own_loss(trainer: Any, has_classes: bool, overridden: bool) -> None:
    """
    Refuses weights of rows or soft labels for a loss that cannot heed them.

    Args:
        trainer (`Trainer`): With its `augmentation`, `args` and `compute_loss_func`.
        has_classes (`bool`): Whether labels are classes, whose loss this package weighs by itself.
        overridden (`bool`):
            Whether a class beside the stock one defines `compute_loss`; it is watched while it trains.

    Raises:
        ValueError: With the remedy.
    """
    augmentation, func = trainer.augmentation, trainer.compute_loss_func
    heeded = row_inputs(augmentation, trainer.augments)
    if not heeded:
        return
    values = {name: getattr(augmentation, name) for name in WEIGHING if trainer.augments or name in WEIGHING[:2]}
    plain = {field.name: field.default for field in fields(AugmentationArguments)}
    asked = " and ".join(f"{name}={value!r}" for name, value in values.items() if value != plain[name])
    if augmentation.synthetic_labels == "soft" and not has_classes:
        raise ValueError(f"{asked}: soft labels are for rows whose label is one class: pass 'hard'.")
    if augmentation.synthetic_weighting == "dynamic" and (func is not None or overridden or not has_classes):
        raise ValueError(
            "synthetic_weighting='dynamic' looks at the logits of the stock loss of one class for each row, and this "
            "trainer has another loss: pass 'constant'."
        )
    if trainer.args.label_smoothing_factor:
        raise ValueError(f"{asked} does not go with label_smoothing_factor: leave one of them out.")
    missing = [name for name in heeded if func is not None and name not in parameters_of(func)]
    if missing:
        raise ValueError(
            f"{asked}, but compute_loss_func has no parameter {' and no '.join(missing)} and would not heed them: add "
            "row_weights, a tensor of shape (batch,), and for soft labels label_probabilities, of shape (batch, "
            "num_labels)."
        )
    if func is None and not overridden and not has_classes:
        raise ValueError(
            f"{asked}, but labels are no classes here: pass a compute_loss_func with a parameter row_weights."
        )


def check_row_weights(trainer: Any) -> None:
    """
    Refuses weights of real rows that cannot be found, or of other classes.

    Args:
        trainer (`Trainer`): With its `augmentation`, model and training rows.

    Raises:
        ValueError: With the argument and the remedy.
    """
    column, weights = trainer.augmentation.row_weight_column, trainer.augmentation.class_weights
    dataset, config = trainer.train_dataset, getattr(trainer.model, "config", None)
    if trainer.weigh is not None and not (trainer.augments and trainer.augmentation.synthetic_weighting == "dynamic"):
        raise ValueError("weigh is asked with a generator and synthetic_weighting='dynamic' alone: leave it out.")
    names = dataset.column_names if isinstance(dataset, datasets.Dataset) else None
    if column is not None and names is not None and column not in names:
        raise ValueError(
            f"row_weight_column={column!r} is not in train_dataset, which has {names}: add it, or leave the argument "
            "out."
        )
    used = {*LABEL_COLUMNS, *(trainer.label_names or ()), *(trainer.generator.columns if trainer.augments else ())}
    if column in used:
        raise ValueError(
            f"row_weight_column={column!r} is what is learned: give the weights in a column of their own."
        )
    known = getattr(config, "num_labels", None)
    if weights is not None and known is not None and len(weights) != known:
        raise ValueError(
            f"class_weights has {len(weights)} numbers, and the model has {known} classes: give one for each, in the "
            "order of the labels."
        )
    if not trainer.augments:
        kind = getattr(config, "problem_type", None)
        check_own_loss(trainer, known != 1 and kind in (None, "single_label_classification"), trainer._has_own_loss)


def class_shares(augmentation: AugmentationArguments, task: Task, dataset: Any, generator: Generator) -> np.ndarray:
    """
    The share of each of the generator's classes among synthetic rows, float64 of shape `(num_labels,)`.

    Raises:
        ValueError: If it depends on the labels of a stream, or a label is none of the generator's.
    """
    balance, num_labels = augmentation.synthetic_class_balance, len(generator.label_names)
    if generator.label_shares is not None:
        shares = np.asarray(generator.label_shares, dtype=np.float64)
        return shares / shares.sum()
    if not task.asks_for_labels or (balance == "uniform" and not isinstance(dataset, datasets.Dataset)):
        return np.full(num_labels, 1 / num_labels)
    if isinstance(dataset, torch_data.IterableDataset):
        raise ValueError(
            f"synthetic_class_balance={balance!r} needs the labels of a whole dataset, which a stream does not "
            "give: pass synthetic_class_balance='uniform'."
        )
    counts = task.counts(dataset)
    assert counts is not None
    # A class without a row may be rare; of sets of labels there are many that no row can have.
    asked = np.ones(num_labels, dtype=bool) if task.has_classes else counts > 0
    shares = np.zeros(num_labels)
    shares[asked] = class_weights(balance, counts[asked])
    return shares


def last_whole_checkpoint(last: str) -> str:
    """
    The last checkpoint beside `last`, or it, that was written to its end: the state of the trainer comes after all
    that a resume reads. Warns if that is an earlier one.

    Raises:
        ValueError: If there is none.
    """
    whole = [path.parent for path in Path(last).parent.glob("checkpoint-*/trainer_state.json")]
    if not whole:
        raise ValueError(f"{last} was not written to its end, and there is no other checkpoint: delete it.")
    found = max(whole, key=lambda folder: int(folder.name.rpartition("-")[2]))
    if found != Path(last):
        logger.warning(f"{last} was not written to its end: training goes on from {found}.")
    return str(found)


def check_checkpoint(checkpoint: Path, state: dict[str, Any] | None, has_generator: bool) -> dict[str, Any]:
    """
    Refuses a checkpoint whose batches are not those of this run, and warns of what will change from there on.

    Args:
        checkpoint (`Path`): Its folder.
        state (`dict[str, Any]`, *optional*):
            State that this trainer would write into a checkpoint; `None` if it blends nothing.
        has_generator (`bool`): Whether the trainer was given a generator, be it at ratio 0.

    Returns:
        `dict[str, Any]`: The state that the checkpoint holds; empty where this trainer has no use for it.

    Raises:
        ValueError: If the checkpoint is of another generator, filter or seed.
    """
    path = checkpoint / CHECKPOINT_FILE
    if not checkpoint.is_dir() or (state is None and not path.exists()):
        return {}
    if state is None and has_generator:
        logger.warning(f"synthetic_ratio is 0 from here on; {checkpoint} was trained with synthetic examples.")
        return {}
    if state is None or not path.exists():
        was, remedy = ("with", "pass its generator") if path.exists() else ("without", "leave the generator out")
        raise ValueError(
            f"resume_from_checkpoint={str(checkpoint)!r} was trained {was} synthetic examples, and its batches "
            f"would not be those of this run: {remedy}, or start a new run in another output_dir."
        )
    saved = read_json(path, "Resume from another checkpoint, or start a new run in another output_dir")
    for name, value in state["identity"].items():
        if saved["identity"].get(name) != value:
            raise ValueError(
                f"resume_from_checkpoint={str(checkpoint)!r} was trained with {name}="
                f"{saved['identity'].get(name)!r}, this trainer has {value!r}: pass what the checkpoint had, or "
                "start a new run in another output_dir."
            )
    for name in {**saved["plan"], **state["plan"]}:
        was, now = saved["plan"].get(name), state["plan"].get(name)
        if was != now:
            logger.warning(f"{name} was {was} in {checkpoint} and is {now} from here on.")
    return saved
