"""
What does feedback do with a generator whose labels are wrong in one class?

    python recipes/benchmarks/wrong_labels.py SetFit/sst2 --text_column text --label_column label_text

    python recipes/benchmarks/wrong_labels.py ... --judge_template "Review: {text}\nSentiment:"

A stand-in for a generator draws real rows that are not labelled. Of those that it gives out as the first class, half
are of others. Compared are, on some draws of 32 labelled rows of each class: rows drawn at random (static), those of
which the classifier is unsure, those of which it is unsure and the judge is not, and those whose label the classifier
agrees with; of the last two also with weights, and shares of the classes that follow the classifier. The judge is a
linear classifier of the labelled rows, or a language model that is asked.
Printed are accuracy, beside the Trainer with as many steps and beside chance, and recall of each class;
`wrong_labels.json` in the folder keeps them. What is done is not done again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from rich.console import Console

from hf_augment import (
    AgreementSelection,
    Arm,
    AugmentingTrainingArguments,
    ClassAllocation,
    DatasetGenerator,
    InstructPrompt,
    LabelAgreement,
    LabelledData,
    Results,
    Study,
    TextClassifier,
    UncertaintySelection,
    load_texts,
)
from hf_augment.evaluation.comparison import compare_all
from hf_augment.generators.base import Generator
from hf_augment.progress import one_line_errors
from hf_augment.reporting.terminal import print_table
from hf_augment.seeding import derive_rng
from hf_augment.sentences import counted
from hf_augment.study.arms import Source
from hf_augment.study.settling import CLASSIFIER, GGUF_FILE, LANGUAGE_MODEL
from hf_augment.study.split import REFERENCE, Split
from hf_augment.study.text import AskedModel
from hf_augment.study.text_sources import PromptedLanguageModel


#: Steps of a training, and its batches, of which three in four rows are drawn.
STEPS, BATCH, RATIO = 128, 16, 0.75
#: The share of what is given out as the first class that is of another one.
WRONG = 0.5


class WrongInOneClass(Source):
    """Rows that a split does not label, of which some are given out as of the first class."""

    name, real = "wrong", True

    def identity(self) -> dict[str, str]:
        return {"wrong": str(WRONG)}

    def open(self, split: Split) -> Generator:
        rows = split.apart[1]
        labels, names = np.array(rows["label"][:]), split.study.data.label_names
        rng = derive_rng(split.seed, "wrong_labels", split.index)
        right = np.flatnonzero(labels == 0)
        # As many wrong ones beside the right ones as make this share.
        count = round(len(right) * WRONG / (1 - WRONG))
        labels[rng.permutation(np.flatnonzero(labels != 0))[:count]] = 0
        given = rows.remove_columns("label").add_column("label", labels)
        return DatasetGenerator(given.cast_column("label", datasets.ClassLabel(names=names)))


@dataclass
class Judged:
    """
    The filter of a judge, which rejects nothing: what is chosen, and weights, go by what it says. With a `template` it
    is a language model, which is shown some labelled rows.
    """

    template: str | None = None

    def __call__(self, split: Split, source: Source, generator: Generator) -> list[LabelAgreement]:
        names = list(generator.label_names)
        judge: Any = split.probes[0]
        if self.template is not None:
            prompt = InstructPrompt.for_labels(names)
            model = PromptedLanguageModel("judge", LANGUAGE_MODEL, prompt, gguf_file=GGUF_FILE)
            judge = AskedModel(model, self.template, {}, opinions=1).judge(split, split.train)
        return [LabelAgreement(judge, 0.0, label_names=names)]


def arms(template: str | None) -> list[Arm]:
    """What is compared."""
    source, judged = WrongInOneClass(), Judged(template)
    chosen = {"entropy, judge": UncertaintySelection(), "agreement": AgreementSelection()}
    steered = [
        Arm(f"{name}, shares, weights", source, judged, policies=[policy, ClassAllocation()], weighting="dynamic")
        for name, policy in chosen.items()
    ]
    return [
        Arm("static", source, policies=[]),
        Arm("entropy alone", source, policies=[UncertaintySelection(max_entropy=1.0)]),
        Arm("entropy, judge", source, judged, policies=[chosen["entropy, judge"]]),
        Arm("agreement", source, policies=[chosen["agreement"]]),
        *steered,
    ]


def build(options: argparse.Namespace) -> Study:
    """The study that is typed."""
    columns = {"text_column": options.text_column, "label_column": options.label_column}
    data = LabelledData(
        load_texts(options.dataset, options.train_split, **columns),
        {"test": load_texts(options.dataset, options.test_split, **columns)},
        options.dataset,
    )
    training = AugmentingTrainingArguments(
        options.output_dir,
        max_steps=STEPS,
        warmup_steps=STEPS // 10,
        learning_rate=1e-4,
        per_device_train_batch_size=BATCH,
        synthetic_ratio=RATIO,
        synthetic_shard_size=64,
        synthetic_feedback=STEPS // 8,
        eval_strategy="steps",
        eval_steps=STEPS,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    classifier = TextClassifier(options.model, data.label_names, max_length=48)
    study = Study(
        data, classifier, training, arms(options.judge_template), train_per_class=32, splits=options.splits, seeds=1
    )
    del study.arms["baseline"]
    return study


def main() -> None:
    """Trains, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("dataset", help="Hub id or folder of labelled texts with a test split")
    parser.add_argument("--text_column", default="text", help="column of the texts")
    parser.add_argument("--label_column", default="label", help="column of the labels")
    parser.add_argument("--train_split", default="train", help="split to draw labelled rows from")
    parser.add_argument("--test_split", default="validation", help="split to test on")
    parser.add_argument("--model", default=CLASSIFIER, help="classifier")
    asked = "what SmolLM2-135M-Instruct is asked about a row, with {text}; by default a linear classifier judges"
    parser.add_argument("--judge_template", help=asked)
    parser.add_argument("--splits", type=int, default=3, help="draws of the labelled rows")
    parser.add_argument("--processes", type=int, default=1, help="trainings at a time")
    parser.add_argument("--output_dir", default="runs/wrong_labels", help="folder of the runs")
    options = parser.parse_args()
    study = build(options)
    runs = study.run(options.processes, partial(build, options))
    choosing = [arm.name for arm in study.arms.values() if arm.policies]
    beside = {difference.arm: difference for difference in compare_all(runs, "static", "test", choosing)}
    notes = [difference.describe() for difference in beside.values()]
    found = Results.of_runs("Wrong labels in one class", runs, REFERENCE, "test", notes=notes)
    found.save(Path(options.output_dir) / "wrong_labels.json")
    against, recall = {difference.arm: difference for difference in found.differences}, found.classes("test", "recall")
    rows = [
        [
            arm,
            f"{found.accuracy(arm):.3f}",
            *(f"{of[arm].points} ({of[arm].interval})" if arm in of else "" for of in (against, beside)),
            *(f"{of[arm]:.3f}" for of in recall.values()),
        ]
        for arm in found.arms
    ]
    header = ["arm", "accuracy", "against the same steps, points (95 %)", "against static"]
    header += [f"recall of {name}" for name in recall]
    print_table(Console(width=160), counted(options.splits, "draw"), header, rows)


if __name__ == "__main__":
    with one_line_errors():
        main()
