"""Text experiments: their data, generators and filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from accelerate import PartialState
from transformers import AutoConfig

from hf_augment.filters.base import Filter
from hf_augment.filters.fluency import Fluency, Perplexity
from hf_augment.filters.near_duplicates import EvaluationOverlap, Memorization, NearDuplicates
from hf_augment.generator_trainers.causal_lm import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments
from hf_augment.generators.base import Generator
from hf_augment.generators.cached import CachedGenerator
from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.ensemble import GeneratorEnsemble
from hf_augment.generators.prompts import InstructPrompt, LabelPrompt
from hf_augment.judges.out_of_fold import NearestTextFold
from hf_augment.judges.prompted import PromptedJudge
from hf_augment.seeding import derive_seed
from hf_augment.study.arms import REAL, Arm, LabelledData
from hf_augment.study.data import load_holdouts, load_texts, load_train_and_test, sample_per_class, sample_rows
from hf_augment.study.experiment import Experiment
from hf_augment.study.nearest_texts import NearestTexts, memorization
from hf_augment.study.sources import resolve
from hf_augment.study.text_classifier import TextClassifier
from hf_augment.study.text_settings import PARTS, TextExperimentArguments


def load_text_data(args: TextExperimentArguments, seed: int) -> LabelledData:
    """Loads all the experiment's texts; every name, column and label is checked here, before anything is trained."""

    def load(split: str, label_names: list[str] | None, keep_columns: tuple[str, ...]) -> datasets.Dataset:
        columns = (args.text_column, args.label_column, args.label_map)
        return load_texts(args.dataset, split, *columns, label_names, keep_columns)

    train, test = load_train_and_test(args, load, lambda rows: rows["text"][:], seed)
    names = list(train.features["label"].names)
    if (args.prompts_for_texts() or args.prompts_for_labels()) and {
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
        kinds = {kind for arm in self.arms() for kind in PARTS.get(str(arm.generator), [])}
        for kind in sorted(kinds | ({"instruct"} if self.args.prompts_for_labels() else set())):
            check_generator(self.args, kind)

    def generator_names(self) -> dict[str, tuple[str, ...]]:
        """See [`Experiment.generator_names`]."""
        models = {"trained": self.args.generator_model, "instruct": self.args.instruct_model}
        names = {kind: tuple(models[part] for part in parts) for kind, parts in PARTS.items()} | {REAL: ("real rows",)}
        return {arm.name: names[arm.generator] for arm in self.arms() if arm.generator is not None}

    def learns(self, arm: Arm) -> bool:
        """See [`Experiment.learns`]."""
        return "trained" in PARTS.get(str(arm.generator), [])

    def judges_out_of_fold(self) -> bool:
        """See [`Experiment.judges_out_of_fold`]; the prompted judge has trained on nothing."""
        return super().judges_out_of_fold() and not self.args.prompts_for_labels()

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
        return {"steps": output.global_step, "seconds": output.metrics["train_runtime"]}

    def open_generator(self, folder: Path) -> Generator:
        """See [`Experiment.open_generator`]."""
        return CausalLMGenerator.from_pretrained(folder)

    def generator(self, split: int, train: datasets.Dataset, name: str) -> Generator:
        """See [`Experiment.generator`]; a prompted one is the same for all splits and arms, which share its texts."""
        if len(parts := PARTS[name]) > 1:
            return GeneratorEnsemble([self.generator(split, train, part) for part in parts])
        if name == "instruct":
            return CachedGenerator(self.prompted(), self.args.candidates or self.stages.root / "candidates")
        return super().generator(split, train, name)

    def stream(self, split: int, name: str) -> tuple[int, ...]:
        """See [`Experiment.stream`]; the candidates of a prompted generator are the same for all splits."""
        return () if "instruct" in PARTS.get(name, []) else super().stream(split, name)

    def prompted(self) -> CausalLMGenerator:
        """The instruct model, kept as a generator."""

        def work(folder: Path) -> dict[str, Any]:
            if PartialState().is_main_process:
                load_generator(self.args, "instruct", self.data.label_names).save_pretrained(folder / "model")
            return {}

        self.stage("instruct-model", work)
        return CausalLMGenerator.from_pretrained(self.stages.root / "instruct-model/model")

    def label_judge(self, split: int, train: datasets.Dataset, name: str) -> Callable[..., Any] | None:
        """
        See [`Experiment.label_judge`]; a prompted generator has not seen the rows, so one judge will do. The prompted
        judge sees few of them, and has learned none.
        """
        if self.args.prompts_for_labels():
            return self.prompted_judge(split, train)
        if name == "instruct" and self.args.min_label_probability:
            return self.classifier.as_judge(self.judge_of(split))
        return super().label_judge(split, train, name)

    def prompted_judge(self, split: int, train: datasets.Dataset | None = None) -> PromptedJudge:
        """The instruct model, asked for the label of texts: after some of `train`, which also calibrate it."""
        generator = self.prompted()
        return PromptedJudge(
            generator.model,
            generator.tokenizer,
            self.data.label_names,
            str(self.args.judge_template),
            answers={self.args.instruct_negative: "negative", self.args.instruct_positive: "positive"},
            examples=[] if train is None else list(zip(train["text"][:], train["label"][:], strict=True)),
            opinions=self.args.judge_opinions,
            seed=derive_seed(self.training.seed, "judge", split),
        )

    def fold_of(self, folds: Sequence[datasets.Dataset], judge: Callable[[], Path]) -> NearestTextFold:
        """See [`Experiment.fold_of`]."""
        return NearestTextFold([fold["text"][:] for fold in folds])

    def filters(
        self,
        train: datasets.Dataset,
        generator: Any,
        label_judge: Callable[..., Any] | None,
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
            model: Any = generator.generator if isinstance(generator, CachedGenerator) else generator
            filters.append(Perplexity(model.negative_log_likelihood, max_perplexity=args.max_perplexity))
        return filters + self.label_agreement(generator, label_judge)

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
        extras["notes"] = []
        if any(map(self.learns, self.arms())):
            trained = self.learned(0, self.labelled(0))
            extras["notes"] += [
                f"On the first split the trained generator learned the labelled texts in {trained['steps']} steps, "
                f"{trained['seconds']:.0f} s."
            ]
        if not (self.args.prompts_for_texts() or self.args.prompts_for_labels()):
            return extras
        if self.args.prompts_for_texts():
            extras["notes"] += [
                "What the instruct model wrote is kept and shared by its arms, splits and processes: its cost is that "
                "of the run that asked first, and the intervals do not cover what it would have written another time."
            ]
        if rows:
            sample = sample_rows(test, rows, derive_seed(seed, "zero_shot"))
            known = self.stage("zero-shot", lambda _: self.zero_shot(sample), rows=rows)
            extras["notes"] += [
                f"The instruct model itself, as a zero-shot classifier: accuracy {known['accuracy']:.3f} on "
                f"{known['n']} test texts. Its knowledge of the task is what its texts can pass on."
            ]
            if "asked" in known:
                extras["notes"] += [
                    f"That is by p(text | label). Asked for the label of the same texts it is right on "
                    f"{known['asked']:.3f}, and after labelled texts of the first split on {known['shown']:.3f}."
                ]
        return extras

    def zero_shot(self, rows: datasets.Dataset) -> dict[str, Any]:
        """How well the instruct model itself tells the classes apart: its knowledge is what it can pass on."""
        texts, labels = [{"text": text} for text in rows["text"][:]], np.array(rows["label"][:])
        ways: dict[str, Callable[..., np.ndarray]] = {"accuracy": self.prompted().label_posterior}
        if self.args.judge_template is not None:
            ways |= {"asked": self.prompted_judge(0), "shown": self.prompted_judge(0, self.labelled(0))}
        return {name: float((ask(texts).argmax(axis=1) == labels).mean()) for name, ask in ways.items()} | {
            "n": len(rows)
        }
