"""
What does feedback cost? MiniLM, batches of 16 with 12 synthetic rows, in CPU seconds against the same without rounds.

    python recipes/benchmarks/feedback_cost.py
    python recipes/benchmarks/feedback_cost.py --period 50 --steps 400

The generator costs next to nothing, so that what is timed is the asking: of the classifier about candidates, and about
validation rows. The ways take turns in one process of one thread; reported are the median and the range over rounds.

What does all of it cost beside as many steps without a generator, where a language model writes each text that is
shown? 32 labelled rows of each class, and SmolLM2-135M-Instruct, which is opened once:

    python recipes/benchmarks/feedback_cost.py --dataset SetFit/sst2 --label_column label_text
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch
from rich.console import Console
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PrinterCallback
from transformers.utils import logging

from hf_augment import (
    AgreementSelection,
    AugmentingTrainer,
    AugmentingTrainingArguments,
    CausalLMGenerator,
    ClassAllocation,
    Generator,
    HardSeeds,
    InstructPrompt,
    Policy,
    SamplingConfig,
    load_texts,
)
from hf_augment.data.sources import resolve
from hf_augment.data.splits import sample_per_class
from hf_augment.generators.openvino_backend import faster_backend
from hf_augment.progress import one_line_errors
from hf_augment.reporting.terminal import print_table
from hf_augment.study.settling import CLASSIFIER, GGUF_FILE, LANGUAGE_MODEL


WORDS = ("the", "a", "of", "and", "film", "story", "with", "but", "not", "very", "cast", "plot", "that", "is", "it")
BATCH, RATIO = 16, 0.75


class Way(NamedTuple):
    """What is measured, and what it should cost at most; without `policies` there are no rounds."""

    name: str
    policies: list[Policy] | None
    at_most: float | None


#: Beside a training without rounds.
ASKING = (
    Way("by chance", [], None),
    Way("shares of classes", [ClassAllocation()], 1.05),
    Way("training rows to write after", [HardSeeds()], 1.05),
    Way("selection", [AgreementSelection()], 1.2),
    Way("all three", [AgreementSelection(), ClassAllocation(), HardSeeds()], None),
)
#: Beside a training without a generator.
WRITING = (
    Way("all that is written", None, 1.6),
    Way("by chance", [], None),
    Way("selection", [AgreementSelection()], 2.0),
)


def write(count: int, rng: np.random.Generator) -> list[str]:
    """Texts of some 38 tokens."""
    return [" ".join(rng.choice(WORDS, size=int(rng.integers(28, 45)))) for _ in range(count)]


class Words(Generator):
    """Random words, whatever row they are to be written after."""

    label_names, takes_seed_rows = ("negative", "positive"), True

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        return [{"text": text} for text in write(len(labels), np.random.default_rng(seed))]

    def generate_like(self, labels: Sequence[int], seed_rows: Sequence[Any], seed: int) -> list[dict[str, Any]]:
        return self.generate(labels, seed)

    def fingerprint(self) -> str:
        return "words"


class Training:
    """Trainings that differ in what is made, and in what is asked between their steps."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, resolve(options.classifier)
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
        if options.dataset is None:
            rows, validation = (self._random(count, seed) for seed, count in enumerate((512, 100)))
            self.generator: Generator = Words()
        else:
            found = load_texts(options.dataset, "train", options.text_column, options.label_column)
            rows, validation = (sample_per_class(found, count, seed) for seed, count in enumerate((32, 50)))
            names = found.features["label"].names
            if len(names) != 2:
                raise ValueError(f"{options.dataset!r} has the classes {names}: a negative and a positive are needed.")
            self.generator = self._language_model(names)
        self.rows, self.validation = (part.map(self._tokenize, batched=True) for part in (rows, validation))

    def _random(self, count: int, seed: int) -> datasets.Dataset:
        columns = {"text": write(count, np.random.default_rng(seed)), "label": [i % 2 for i in range(count)]}
        rows = datasets.Dataset.from_dict(columns)
        return rows.cast_column("label", datasets.ClassLabel(names=list(Words.label_names)))

    def _language_model(self, names: list[str]) -> CausalLMGenerator:
        """Opened, and asked once, so that no training pays for that."""
        generator = CausalLMGenerator.from_pretrained(
            resolve(LANGUAGE_MODEL),
            label_names=names,
            prompt=InstructPrompt.for_sentiment(*names),
            sampling=SamplingConfig(max_new_tokens=32),
            gguf_file=GGUF_FILE,
            backend=faster_backend(),
        )
        generator.generate([0, 1], 0)
        return generator

    def _tokenize(self, columns: dict[str, list[Any]]) -> Any:
        return self.tokenizer(columns["text"], truncation=True, max_length=48)

    def seconds(self, generator: Generator | None, policies: list[Policy] | None, seed: int) -> float:
        """CPU seconds of a training."""
        model = AutoModelForSequenceClassification.from_pretrained(self.folder, num_labels=2)
        with tempfile.TemporaryDirectory() as folder:
            args = AugmentingTrainingArguments(
                folder,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=64,
                max_steps=self.options.steps,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                dataloader_pin_memory=False,
                synthetic_ratio=RATIO,
                synthetic_seed=seed,
                synthetic_shard_size=64,
                synthetic_reuse=self.options.reuse,
                synthetic_feedback=0 if policies is None else self.options.period,
                synthetic_candidates=self.options.candidates,
            )
            trainer = AugmentingTrainer(
                model,
                args,
                train_dataset=self.rows,
                eval_dataset=self.validation,
                processing_class=self.tokenizer,
                generator=generator,
                preprocess=self._tokenize,
                policies=policies,
            )
            trainer.remove_callback(PrinterCallback)
            start = time.process_time()
            trainer.train()
            return time.process_time() - start


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--steps", type=int, default=128, help="steps of a training")
    parser.add_argument("--period", type=int, default=16, help="steps between two rounds of a training")
    parser.add_argument("--reuse", type=int, help="how often each example is shown; 2, and 1 with --dataset")
    parser.add_argument("--candidates", type=float, default=2.0, help="candidates for each that is shown")
    parser.add_argument("--classifier", default=CLASSIFIER, help="folder or wheel of the classifier")
    parser.add_argument(
        "--dataset", help="Hub id or folder of texts of a negative and a positive class, in this order"
    )
    parser.add_argument("--text_column", default="text", help="column of the texts")
    parser.add_argument("--label_column", default="label", help="column of the labels")
    options = parser.parse_args()
    if options.reuse is None:
        options.reuse = 2 if options.dataset is None else 1
    if options.rounds < 1:
        raise ValueError(f"rounds={options.rounds} must be 1 or more.")
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    logging.set_verbosity_error()
    training = Training(options)
    ways, beside = (ASKING, "no rounds") if options.dataset is None else (WRITING, "no generator")
    ratios: dict[str, list[float]] = {way.name: [] for way in ways}
    for seed in range(options.rounds):
        base = training.seconds(training.generator if ways is ASKING else None, None, seed)
        for way in ways:
            ratios[way.name].append(training.seconds(training.generator, way.policies, seed) / base)
            print(f"round {seed + 1} of {options.rounds}: {way.name} {ratios[way.name][-1]:.3f}", flush=True)
    rows = []
    for name, _, at_most in ways:
        found = ratios[name]
        range_ = f"{statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f})"
        rows.append([name, range_, f"{at_most or ''}"])
    title = (
        f"{options.steps} steps, rounds every {options.period}, reuse {options.reuse}, {options.candidates:g} "
        f"candidates, n={options.rounds}"
    )
    print_table(Console(), title, ["what is chosen", f"against {beside}", "at most"], rows)


if __name__ == "__main__":
    with one_line_errors():
        main()
