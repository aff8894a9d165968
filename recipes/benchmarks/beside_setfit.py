"""
Is a comparison's classifier as good as SetFit, on the same rows?

    pip install setfit
    hf_augment experiment banking77 --train_per_class 5 --splits 3 --output_dir runs/banking77
    python recipes/benchmarks/beside_setfit.py runs/banking77

SetFit (Tunstall et al. 2022, arXiv 2209.11055) tunes a sentence embedding by pairs of labelled rows and fits a
logistic regression on it: 20 pairs of each kind for each row, batches of 16, one pass, as in the paper. It learns each
draw of the labelled rows that the comparison drew, from the same model, and predicts the same test rows. Printed is
its accuracy, and of every arm the difference from it, which `beside_setfit.json` in the folder keeps. What is done is
kept in `setfit.json`. It takes long: `--draws 1` does the first draw alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from rich.console import Console

from hf_augment import Results, Study
from hf_augment.data.sources import resolve
from hf_augment.evaluation.comparison import ArmRun
from hf_augment.files import read_json, write_json
from hf_augment.progress import one_line_errors, say
from hf_augment.reporting.terminal import print_table
from hf_augment.sentences import counted
from hf_augment.study.experiment import Experiment, build
from hf_augment.study.split import classifier_seed


#: Pairs of each kind for each row, and the size of batches (Tunstall et al. 2022, section 4.2).
PAIRS, BATCH = 20, 16


def learn(model: str, train: datasets.Dataset, test: datasets.Dataset, seed: int) -> dict[str, Any]:
    """Trains SetFit on rows; returns which test rows it gets right, its steps and its seconds."""
    from setfit import SetFitModel, Trainer, TrainingArguments

    rows = train.select_columns(["text", "label"]).cast_column("label", datasets.Value("int64"))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder,
            batch_size=BATCH,
            num_epochs=1,
            num_iterations=PAIRS,
            seed=seed,
            save_strategy="no",
            report_to="none",
        )
        trainer = Trainer(SetFitModel.from_pretrained(model), args, train_dataset=rows)
        trainer.train()
    seconds = time.monotonic() - begun
    predicted = np.asarray(trainer.model.predict(test["text"][:], show_progress_bar=False))
    right = (predicted == np.array(test["label"][:])).astype(float)
    return {"correct": right.tolist(), "steps": trainer.st_trainer.state.global_step, "seconds": seconds}


def learned(study: Study, draws: int, model: str, kept: Path) -> list[ArmRun]:
    """Returns SetFit's run on each of the first draws; those that are in `kept` are not done again."""
    done = read_json(kept, "delete it") if kept.exists() else {}
    for index in range(draws):
        if str(index) not in done:
            split = study.split(index)
            seed = classifier_seed(split.seed, index, 0)
            done[str(index)] = learn(model, split.train, study.data.evaluations["test"], seed)
            write_json(kept, done)
        found = done[str(index)]
        say(f"draw {index + 1} of {draws}: {np.mean(found['correct']):.3f} after {found['seconds']:.0f} s")
    return [
        ArmRun(
            "setfit",
            index,
            0,
            found["steps"],
            found["seconds"],
            {"test": {"accuracy": float(np.mean(found["correct"]))}},
            {"test": found["correct"]},
        )
        for index, found in ((index, done[str(index)]) for index in range(draws))
    ]


def main() -> None:
    """Trains, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="output_dir of an `hf_augment experiment` with --train_per_class")
    parser.add_argument("--draws", type=int, help="how many of the comparison's draws; all, if left out")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    plan = read_json(options.folder / "plan.json", "run the comparison first")
    experiment = Experiment(**plan["experiment"])
    if "rounds" not in plan or "model" not in experiment.classifier:
        raise ValueError(f"{options.folder} must hold a comparison of texts that has ended: run it first.")
    study = build(experiment)
    if study.data.labels is not None:
        raise ValueError(f"The rows of {options.folder} have several labels, and SetFit is asked for one class here.")
    study.seeds = plan["rounds"]
    draws = study.splits if options.draws is None else options.draws
    if not 1 <= draws <= study.splits:
        raise ValueError(f"--draws {draws} must be 1 to {study.splits}, as many as the comparison has.")
    runs = learned(study, draws, str(resolve(experiment.classifier["model"])), options.folder / "setfit.json")
    # These are done, and read. A draw has one run of SetFit: of the arms the first seed's.
    runs += [run for run in study.run() if run.seed == 0 and run.split < draws]
    found = Results.of_runs("SetFit on the same rows", runs, "setfit", "test")
    found.save(options.folder / "beside_setfit.json")
    against = {difference.arm: f"{difference.points} ({difference.interval})" for difference in found.differences}
    rows = [
        [arm, f"{found.accuracy(arm):.3f}", against.get(arm, ""), f"{found.mean(arm, lambda run: run.seconds):.0f}"]
        for arm in found.arms
    ]
    header = ["arm", "accuracy", "against SetFit, points (95 %)", "seconds"]
    print_table(
        Console(width=120), f"{counted(draws, 'draw')}, {len(study.data.evaluations['test'])} rows", header, rows
    )


if __name__ == "__main__":
    with one_line_errors():
        main()
