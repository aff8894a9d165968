"""The identity of a stage, by which a study recognises what it has done before."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Iterable
from enum import Enum
from typing import Any

from hf_augment.data.sources import contents
from hf_augment.fingerprints import callable_fingerprint, texts_digest


#: What the weights of a classifier depend on, of the arguments of its trainer.
TRAINING = (
    *("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate"),
    *("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio", "optim", "optim_args"),
    *("optim_target_modules", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    *(
        "label_smoothing_factor",
        "row_weight_column",
        "class_weights",
        "neftune_noise_alpha",
        "average_tokens_across_devices",
        "auto_find_batch_size",
    ),
    *("seed", "data_seed", "full_determinism", "remove_unused_columns", "label_names", "dataloader_drop_last"),
    *("dataloader_in_order", "train_sampling_strategy", "group_by_length", "length_column_name"),
    *("tf32", "torch_compile", "torch_compile_backend", "torch_compile_mode", "use_liger_kernel"),
    *("liger_kernel_config", "accelerator_config", "parallelism_config", "fsdp", "fsdp_config", "deepspeed"),
)
#: Where and how exactly any model of a process is trained.
DEVICE = ("use_cpu", "bf16", "fp16", "world_size", "n_gpu")
#: What is measured while a classifier is trained, and may decide which weights are kept.
WATCHING = (
    *("eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "prediction_loss_only"),
    *("bf16_full_eval", "fp16_full_eval", "load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
)
#: The synthetic rows that a classifier is shown.
SYNTHESIS = (
    *("synthetic_ratio", "synthetic_schedule", "synthetic_schedule_fraction", "synthetic_seed"),
    *("synthetic_shard_size", "synthetic_reuse", "synthetic_weight", "synthetic_weighting"),
    *("synthetic_labels",),
    *("synthetic_class_balance", "synthetic_max_attempts"),
)
#: Which of the synthetic rows that there are.
FEEDBACK = ("synthetic_feedback", "synthetic_candidates")


def arguments(args: Any, names: Iterable[str]) -> dict[str, str]:
    """Returns arguments of a trainer by name; one that this version does not have is `None`."""
    values = {name: getattr(args, name, None) for name in names}
    return {name: str(value.value if isinstance(value, Enum) else value) for name, value in values.items()}


def watching(args: Any) -> dict[str, str]:
    """Returns what an evaluation while training depends on: with `load_best_model_at_end` also when it is saved."""
    saving = ("save_strategy", "save_steps") if getattr(args, "load_best_model_at_end", False) else ()
    return arguments(args, (*WATCHING, *saving))


def identity_of(name: str, thing: Any) -> dict[str, str]:
    """
    Returns what an object of a study is recognised by, under keys that begin with `name`: the fields of a dataclass,
    and what the local models that they name hold; else its `fingerprint()`, or its qualified name.
    """
    if not dataclasses.is_dataclass(thing):
        return {name: callable_fingerprint(thing)}
    values = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing) if field.compare}
    found: dict[str, str] = {}
    for key, value in values.items():
        if hasattr(value, "identity"):
            found |= value.identity()
        elif inspect.isroutine(value) or isinstance(value, functools.partial):
            found[f"{name}.{key}"] = _short(callable_fingerprint(value))
        elif isinstance(value, dict):
            found |= {f"{name}.{inner}": _short(str(of)) for inner, of in value.items()}
        else:
            found[f"{name}.{key}"] = _short(str(value))
        if key == "model" and (digest := contents(str(value))) is not None:
            found[f"contents of {name}.{key}"] = digest
    return found


def _short(value: str) -> str:
    """Returns a value that an error can show."""
    return value if len(value) <= 200 else f"{value[:100]}… ({texts_digest([value])})"
