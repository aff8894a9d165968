"""What is not said of a comparison on one's own data is chosen by rules, each with its reason."""

from __future__ import annotations

import argparse
import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, HfArgumentParser

from hf_augment.data.opening import Data, texts_of
from hf_augment.data.sources import resolve
from hf_augment.progress import say
from hf_augment.study.defaults import Choice, training_choices
from hf_augment.study.experiment import Experiment
from hf_augment.training.arguments import AugmentingTrainingArguments


#: The most runs of an arm that are of use: more of them tell nothing of other labelled rows.
MOST_ROUNDS = 20

#: How often an example is shown.
REUSE = 4

#: Steps of a DCGAN, as in the quickstart on digits.
GAN_STEPS = 1500


def training_parser() -> HfArgumentParser:
    """Returns a parser of the arguments of [`AugmentingTrainingArguments`] that gives back only what was typed."""
    arguments: Any = AugmentingTrainingArguments
    parser = HfArgumentParser(arguments, prog="hf_augment experiment", allow_abbrev=False)
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return parser


def settle(options: argparse.Namespace, data: Data, folder: Path) -> Experiment:
    """Chooses what is not given, and says what it chose."""
    rules = image_choices if data.kind == "image" else text_choices
    values = {name: value for name, value in vars(options).items() if value is not None} | options.more
    for choice in rules(data, options):
        if choice.name not in values:
            say(f"  {choice}")
            values[choice.name] = choice.value
    fields = AugmentingTrainingArguments.__dataclass_fields__
    training = {name: value for name, value in values.items() if name in fields and name not in _OURS}
    if data.kind == "image":
        parts = _image_values(values, len(data.train))
        training |= {"remove_unused_columns": False}
    else:
        parts = _text_values(values, data)
    # What a training leaves behind is its result; it is short enough to be done again.
    quiet = {"output_dir": str(folder), "save_strategy": "no", "report_to": "none", "dataloader_pin_memory": False}
    return Experiment(
        {"source": options.data, **options.opening},
        quiet | training,
        tuple(values["arms"]),
        seeds=options.seeds or MOST_ROUNDS,
        max_test_rows=values["max_test_rows"],
        **parts,
    )


#: Options of the command that the Trainer has under the same name; those of the command count.
_OURS = {"output_dir", "push_to_hub_model_id"}


def text_choices(data: Data, options: argparse.Namespace) -> list[Choice]:
    """Returns what is chosen for texts."""
    config = AutoConfig.from_pretrained(resolve(options.model), trust_remote_code=False)
    words = np.array([len(text.split()) for text in texts_of(data.train)])
    long = int(min(256, max(16, 8 * math.ceil(2 * np.quantile(words, 0.99) / 8))))
    fast = importlib.util.find_spec("openvino_genai") is not None and not torch.cuda.is_available()
    return [
        *_training_choices(data, getattr(config, "hidden_size", None)),
        Choice("max_length", long, "two tokens for each word of the longest 1 % of texts, 256 at most"),
        Choice("max_new_tokens", min(long, 64), "as long as a labelled text, 64 at most"),
        Choice("backend", "openvino" if fast else "torch", "the faster one on this machine"),
        Choice("arms", ("probe", "eda", "prompted", "probe_prompted", "trained"), "what is usual for texts"),
    ]


def image_choices(data: Data, options: argparse.Namespace) -> list[Choice]:
    """Returns what is chosen for images."""
    return [
        *_training_choices(data, None),
        Choice("arms", ("probe", "crop", "trained", "trained_crop"), "what is usual for images"),
    ]


def _training_choices(data: Data, width: int | None) -> list[Choice]:
    training = training_choices(len(data.train), width)
    size = {choice.name: int(choice.value) for choice in training}
    slots = size["max_steps"] * size["per_device_train_batch_size"] // 2
    shard = max(16, min(256, slots // (2 * REUSE)))
    return [
        *training,
        Choice("synthetic_ratio", 0.5, "half of each batch"),
        Choice(
            "synthetic_reuse", REUSE, f"each example is shown {REUSE} times, so {slots // REUSE} are accepted in all"
        ),
        Choice("synthetic_shard_size", shard, "at most half of these, and 256"),
        Choice("max_test_rows", 1000, "more would take the time of further runs"),
    ]


def _text_values(values: dict[str, Any], data: Data) -> dict[str, Any]:
    from hf_augment.label_names import read_descriptions

    prompt = {name: values[name] for name in ("kind",) if name in values}
    if "descriptions" in values:
        prompt["descriptions"] = read_descriptions(values["descriptions"], data.label_names)
    if "prompt" in values:
        prompt = {"file": values["prompt"]}
    return {
        "classifier": {"model": values["model"], "max_length": values["max_length"], "start": "probe"},
        "model": {
            "model": values["generator_model"],
            "gguf_file": values.get("gguf_file"),
            "backend": values["backend"],
        },
        "sampling": {"max_new_tokens": values["max_new_tokens"]},
        "prompt": prompt,
        "generator_training": {"num_train_epochs": 3.0, "learning_rate": 5e-4, "lora_rank": 8, "max_length": 64},
    }


def _image_values(values: dict[str, Any], rows: int) -> dict[str, Any]:
    batch = min(64, rows // 2)
    return {
        "classifier": {"width": 64 if torch.cuda.is_available() else 16},
        # What makes a DCGAN trainable on few images: see GANTrainingArguments.
        "model": {"width": 32, "spectral_norm": True, "projection": True},
        "generator_training": {
            "num_train_epochs": math.ceil(GAN_STEPS * batch / rows),
            "per_device_train_batch_size": batch,
            "learning_rate": 5e-4,
            "loss": "hinge",
            "ema_decay": 0.99,
            "diff_augment": ["translation"],
            "mismatched_share": 0.15,
            "mode_seeking": 0.2,
        },
    }
