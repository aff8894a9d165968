"""A comparison on one's own data, from what was typed to the report."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from rich.console import Console
from transformers.utils import logging as transformers_logging

from hf_augment.data.opening import Data, open_data
from hf_augment.data.summary import summarize
from hf_augment.files import read_json, write_json
from hf_augment.progress import say, working
from hf_augment.reporting.terminal import print_data
from hf_augment.study.arms import LearnedSource
from hf_augment.study.budget import Clock, Work, detectable_points, learning_seconds, measure_costs
from hf_augment.study.experiment import Experiment, build
from hf_augment.study.jobs import limited_threads, threads_of
from hf_augment.study.settling import MAY_DIFFER, asked_as, check_typed, examples_of, settle, shard_size
from hf_augment.study.study import LEAST_PAIRS, Study


#: Seconds that processes need to start, and the report to be written, beside what is measured.
OVERHEAD = 60.0
#: The share of the time that a plan may take: others use the machine, too, and the clock fills the rest with rounds.
PLANNED = 0.75
#: The time of the first rounds, fewer than which give no verdict, as a multiple of what was given.
LATEST = 1.15
#: Pairs of a test row and a label that the language model is asked about, and the fewest rows that tell anything.
QUESTIONS, LEAST_ASKED = 160, 20

#: Arms that cost much and bring little beside the others.
_POOR = frozenset({"trained", "probe_trained", "trained_crop"})
#: What is given up, one after the other, until the least number of rounds fits: arms, fresh examples, steps. An arm
#: with a generator stays, or nothing would be compared.
SAVINGS: tuple[tuple[frozenset[str], int, float], ...] = (
    (frozenset(), 4, 1.0),
    (_POOR, 4, 1.0),
    (_POOR | {"eda", "crop"}, 4, 1.0),
    (_POOR | {"eda", "crop"}, 8, 1.0),
    (_POOR | {"eda", "crop"}, 8, 0.5),
    (_POOR | {"eda", "crop"}, 8, 0.25),
)


def compare(options: argparse.Namespace) -> Study:
    """Finds out what is in the data, chooses what is not given, compares, and reports; see `hf_augment experiment`."""
    begun = time.monotonic()
    check_typed(options)
    data, folder = read_data(options), Path(options.output_dir or folder_of(options.data))
    typed = {name: value for name, value in vars(options).items() if not callable(value)}
    make_folder("output_dir", folder)
    processes = default_processes() if options.processes is None else options.processes
    plan, known = folder / "plan.json", {}
    ahead, once = 1, 0.0
    if plan.exists():
        known = read_json(plan, f"Delete {folder}: all of it is done again")
        if changed := _changed(known["typed"], typed):
            raise ValueError(
                f"{folder} holds a comparison of other options, {changed}: pass these, or another output_dir."
            )
        experiment = asked_as(Experiment(**known["experiment"]), options)
    else:
        experiment, ahead, once = _afford(settle(options, data, folder), data, options, processes, begun)
    write_json(plan, {"typed": typed, "experiment": dataclasses.asdict(experiment)} | known)
    study = build(experiment, data)
    # A comparison that was done has its number of rounds, and so has one that was asked for it.
    go_on: Clock | None = None
    if not (known.get("rounds") or options.seeds):
        end, latest = (begun + 60 * share * options.minutes - OVERHEAD / 2 for share in (1.0, LATEST))
        go_on = Clock(end, latest, math.ceil(LEAST_PAIRS / study.splits), once)
    study.seeds = known.get("rounds", study.seeds)
    study.run(processes, partial(build, experiment), go_on, ahead if go_on else LEAST_PAIRS)
    write_json(plan, {"typed": typed, "experiment": dataclasses.asdict(experiment), "rounds": study.seeds})
    study.report(typed, **_told(study))
    return study


def read_data(options: argparse.Namespace) -> Data:
    """Opens what was typed, and says what is in it."""
    datasets.disable_progress_bars()
    # Of models whose files are here: it takes no time.
    transformers_logging.disable_progress_bar()
    with working(f"Reading {options.data}"):
        data = open_data(options.data, **options.opening)
        summary = summarize(data)
    print_data(Console(), data.why, summary.tables, summary.findings)
    return data


def folder_of(source: str) -> Path:
    """Returns the folder of what is done with a source, if none is given."""
    return Path("runs") / Path(source).name.partition(".")[0]


def make_folder(name: str, folder: Path) -> None:
    """Makes the folder that an argument of this name says. Raises `OSError` if something else is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OSError(f"{name}={str(folder)!r} is no folder, or lies in none: pass another path.") from error


def default_processes() -> int:
    """Returns the number of runs at a time: a GPU is for one; cores are best used apart, but memory is not endless."""
    return 1 if torch.accelerator.is_available() else min(4, os.cpu_count() or 1)


def _changed(was: dict[str, Any], now: dict[str, Any]) -> str:
    names = sorted(name for name in (was.keys() | now.keys()) - set(MAY_DIFFER) if was.get(name) != now.get(name))
    return ", ".join(f"{name}={was.get(name)!r}" for name in names)


def _afford(
    experiment: Experiment, data: Data, options: argparse.Namespace, processes: int, begun: float
) -> tuple[Experiment, int, float]:
    """
    Chooses the richest design of which the time allows enough rounds, and says what it is. What was typed is not given
    up. Returns also how many rounds are sure to fit, and what is done once for all rounds, as a multiple of a round.
    """
    typed = {*options.more, *(["arms"] if options.arms else [])}
    wanted = options.seeds or math.ceil(LEAST_PAIRS / experiment.splits)
    with (
        working("Measuring what a training step, a generated example and a generator's training cost"),
        limited_threads(threads_of(processes)),
    ):
        study = build(experiment, data)
        learned: list[Any] = [source for source in study.sources() if isinstance(source, LearnedSource)]
        others = [name for name, arm in study.arms.items() if arm.source and arm.source not in learned]
        # Rows that are there cost next to nothing.
        others = [name for name in others if not study.is_real(name)]
        streams = [study.stream(0, name)[0] for name in others]
        costs = measure_costs(study, streams)
        # What would be given up first, because there is not even time for less, is not measured.
        lean = work_of(build(_saved(experiment, typed, *SAVINGS[1]), data))
        seconds = PLANNED * (60 * options.minutes - (time.monotonic() - begun) - OVERHEAD)
        if lean.learned or lean.rounds(costs, seconds, processes) >= wanted:
            costs = dataclasses.replace(costs, learning=learning_seconds(study, learned))
        else:
            costs = dataclasses.replace(costs, learning={source.name: math.inf for source in learned})
    left = 60 * options.minutes - (time.monotonic() - begun) - OVERHEAD
    say(
        f"A training step takes {costs.step:.2f} s, {1 / costs.row:.0f} rows are predicted in a second"
        + (f", an accepted example takes {costs.example:.1f} s ({costs.accepted:.0%} pass)" if streams else "")
        + "".join(
            f", the {name} generator learns for {seconds:.0f} s"
            for name, seconds in costs.learning.items()
            if math.isfinite(seconds)
        )
        + f"; {processes} at a time."
    )
    for saving in SAVINGS:
        poorer = _saved(experiment, typed, *saving)
        study = build(poorer, data)
        work = work_of(study)
        rounds = min(work.rounds(costs, PLANNED * left, processes), experiment.seeds)
        if rounds >= wanted:
            break
    needed = 60 * options.minutes - left + work.seconds(costs, wanted, processes) / PLANNED
    _tell(study, rounds, options, wanted, needed)
    return poorer, max(1, min(rounds, wanted)), work.once(costs)


def _saved(experiment: Experiment, typed: set[str], without: frozenset[str], reuse: int, share: float) -> Experiment:
    arms = tuple(arm for arm in experiment.arms if "arms" in typed or arm not in without)
    if "prompted" not in arms and "trained" in experiment.arms:
        # Of images.
        arms = tuple(arm for arm in experiment.arms if arm in arms or arm == "trained")
    now = experiment.training
    # The warm-up is a part of the steps.
    share = 1.0 if "max_steps" in typed else share
    less = {name: math.ceil(share * now[name]) for name in ("max_steps", "warmup_steps")}
    less["synthetic_reuse"] = max(reuse, now["synthetic_reuse"])
    training = now | {name: value for name, value in less.items() if name not in typed}
    if "synthetic_shard_size" not in typed:
        training["synthetic_shard_size"] = shard_size(examples_of(training))
    return dataclasses.replace(experiment, arms=arms, training=training)


def work_of(study: Study) -> Work:
    """Counts what a study does."""
    trained, splits = [arm for arm in study.arms.values() if not arm.probe], study.splits
    steps, train = study.augmented_steps(), len(study.split(0).train)
    rows = len(study.data.evaluations["test"]) * len(study.arms) + train * (len(study.arms) - len(trained))
    slots = steps * study.training.train_batch_size * study.training.synthetic_ratio
    # Of those that are chosen among, more are made; and what rounds decide is made anew for each run.
    shared: dict[str, float] = {}
    own = 0.0
    for arm in trained:
        if arm.source is not None and not arm.source.real:
            made = 1.0 if arm.policies is None else study.training.synthetic_candidates
            own += made * arm.steers
            once = made * (1 if arm.source.shared else splits)
            shared[arm.source.name] = max(0.0 if arm.steers else once, shared.get(arm.source.name, 0.0))
    shown = slots / study.training.synthetic_reuse
    learned = [source.name for source in study.sources() if isinstance(source, LearnedSource)]
    return Work(
        splits * steps * len(trained),
        splits * rows,
        round(shown * sum(shared.values())),
        (*learned,) * splits,
        round(splits * shown * own),
        splits,
    )


def _tell(study: Study, rounds: int, options: argparse.Namespace, wanted: int, needed: float) -> None:
    """Says what the time allows; `wanted` rounds need so many seconds."""
    tests, arms = len(study.data.evaluations["test"]), len(study.arms) - 1
    draws = f" on each of {study.splits} draws of the labelled rows" if study.splits > 1 else ""
    say(
        f"{options.minutes:g} minutes are taken to be enough for {rounds} runs of each of {len(study.arms)} arms "
        f"({', '.join(study.arms)}){draws}, {study.augmented_steps()} steps a run."
    )
    if rounds < wanted:
        rule = "all the same" if options.seeds else "as far as they fit, one at least"
        say(
            f"That is too little time for {wanted}, which take some {math.ceil(needed / 60)} minutes; they are done "
            f"{rule}. Fewer --arms, --max_steps or --max_new_tokens take less."
        )
    if (pairs := study.splits * (options.seeds or rounds)) > 1:
        seen = detectable_points(pairs, tests, arms)
        say(
            f"With {tests} test rows, {pairs} pairs of runs would find a difference of some {seen:.0f} points in four "
            "of five such comparisons."
        )


def _told(study: Study) -> dict[str, Any]:
    """Returns what a report says beside the comparison."""
    if study.classifier.kind == "image":
        return {}
    from hf_augment.study.text import describe_texts, zero_shot
    from hf_augment.study.text_sources import PromptedLanguageModel

    with working("Reading the synthetic texts"):
        told = describe_texts(study)
    prompted = [source for source in study.sources() if isinstance(source, PromptedLanguageModel)]
    rows = QUESTIONS // len(study.data.label_names)
    if prompted and rows >= LEAST_ASKED:
        with working("Asking the language model itself for labels of test rows"):
            notes, told["zero_shot"] = zero_shot(study, prompted[0], None, rows)
        told["notes"] += notes
    return told
