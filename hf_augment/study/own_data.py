"""A comparison on one's own data, from what was typed to the report."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import shutil
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from rich.console import Console
from transformers.utils import logging as transformers_logging

from hf_augment.data.opening import Data, open_data
from hf_augment.data.sources import resolve
from hf_augment.data.summary import summarize
from hf_augment.data.tables import reads_top_alone
from hf_augment.files import read_json, write_json
from hf_augment.label_names import read_descriptions
from hf_augment.locks import locked
from hf_augment.progress import say, working
from hf_augment.reporting.terminal import print_data
from hf_augment.study.budget import Clock
from hf_augment.study.experiment import Experiment, build
from hf_augment.study.jobs import cores
from hf_augment.study.planning import OVERHEAD, afford, asked_rows, only_look
from hf_augment.study.settling import MAY_DIFFER, MOST_ROUNDS, asked_as, check_typed, settle
from hf_augment.study.study import Study


#: Options that say how many runs are compared.
MORE_RUNS = ("minutes", "seeds")
#: Bytes of everything but the classifiers: examples, features, a generator's adapters, pages.
LEAST_SPACE = 300_000_000
#: Lies in every folder of a comparison from its begin on.
LOCK = Path("locks/experiment.lock")
#: How much of the time more may be taken before rounds that were planned are left out. The report takes its time, too.
LATE = 0.15


def compare(options: argparse.Namespace) -> Study:
    """Finds out what is in the data, chooses what is not given, compares, and reports; see `hf_augment experiment`."""
    begun = time.monotonic()
    if (ranks := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise ValueError(f"{ranks} processes were started, and a comparison is one: start it without a launcher.")
    check_typed(options)
    folder = Path(options.output_dir or folder_of(options.data))
    check_outside("output_dir", folder, options.data)
    _check_own(folder)
    data = read_data(options)
    make_folder("output_dir", folder)
    waited = time.monotonic()
    with locked(folder / LOCK, "a comparison in this folder"):
        return _compare(options, data, folder, begun + time.monotonic() - waited)


def _compare(options: argparse.Namespace, data: Data, folder: Path, begun: float) -> Study:
    typed = {name: value for name, value in vars(options).items() if not callable(value)}
    processes = default_processes() if options.processes is None else options.processes
    plan, known = folder / "plan.json", dict[str, Any]()
    if goes_on := plan.exists():
        known, experiment = _begun(plan, typed, options)
        _check_descriptions(options.descriptions, experiment, data)
    else:
        experiment, known["course"] = afford(settle(options, data, folder), data, options, processes, begun)
    # What follows from the time, but for the number of runs, stays as it was.
    known = {"minutes": options.minutes} | known | {"typed": typed, "experiment": dataclasses.asdict(experiment)}
    write_json(plan, known)
    study = build(experiment, data)
    check_space(folder, study, experiment.classifier.get("model"))
    # A comparison that was done has its number of rounds, and so has one that was asked for it.
    course, go_on = known["course"], None
    if not (known.get("rounds") or options.seeds):
        end = begun + 60 * options.minutes - OVERHEAD / 2 - course["after"]
        latest = end + LATE * 60 * options.minutes
        go_on = Clock(end, course["round"], course["once"], course["fitting"], latest, not goes_on)
        ends = time.localtime(time.time() + begun + 60 * options.minutes - time.monotonic())
        say(f"All is to be done by {time.strftime('%H:%M', ends)}.")
    study.seeds = known.get("rounds", study.seeds)
    study.run(processes, partial(build, experiment), go_on, course["fitting"])
    write_json(plan, known | {"rounds": study.seeds})
    # What was not typed would stand before what was chosen.
    given = {name: value for name, value in (typed | options.more).items() if value is not None}
    for name in ("more", "opening", "help_all"):
        given.pop(name, None)
    left_out = {name: course[name] for name in ("not_tried", "usual_steps") if name in course}
    told = _told(study, known["minutes"])
    told["notes"] = [*told.get("notes", []), *unlike_pipelines(data)]
    study.report(given, **left_out, **told)
    return study


def unlike_pipelines(data: Data) -> list[str]:
    """Says what was done to images that a pipeline of transformers, which reads others, does not do."""
    changes = {} if data.forms is None else data.forms.changes
    if not (done := [what for what in ("alpha on white", "scaled to 8 bits") if what in changes]):
        return []
    return [
        f"A pipeline of transformers does not do to images what was done to these ({', '.join(done)}): what it is to "
        "classify must be RGB of 8 bits, on white."
    ]


def _begun(plan: Path, typed: dict[str, Any], options: argparse.Namespace) -> tuple[dict[str, Any], Experiment]:
    """Reads a plan, and the experiment that was begun by it. Raises `ValueError` if other options were typed now."""
    folder = plan.parent
    known = read_json(plan, f"Delete {folder}: all of it is done again")
    if "course" not in known:
        raise ValueError(f"{plan} is of an earlier version of hf_augment: pass another output_dir.")
    experiment, was = asked_as(Experiment(**known["experiment"]), options), known["typed"]
    more = _changed(was, typed, MORE_RUNS)
    # One pair of runs was no look at a verdict.
    one_pair, usual = known.get("rounds", 0) * experiment.splits == 1, known["course"].get("usual_steps")
    look = only_look(experiment, usual)
    may_differ = {*MAY_DIFFER, *(MORE_RUNS if one_pair and not look else ())}
    if changed := _changed(was, typed, (was.keys() | typed.keys()) - may_differ):
        why = ""
        if changed == more:
            why = " Runs that are added after a verdict would make the next one too sure." if "rounds" in known else ""
            if one_pair:
                why = f" Its runs had {experiment.training['max_steps']} of {usual} steps: more of them prove nothing."
        raise ValueError(
            f"{folder} holds a comparison of other options, {changed}: pass these, or another output_dir.{why}"
        )
    if more:
        experiment = dataclasses.replace(experiment, seeds=options.seeds or MOST_ROUNDS)
        del known["rounds"]
    return known, experiment


def _check_descriptions(file: str | None, experiment: Experiment, data: Data) -> None:
    """Raises `ValueError` if a file of descriptions has other ones now than when a comparison was begun."""
    if file is not None and read_descriptions(file, data.label_names) != experiment.prompt.get("descriptions"):
        raise ValueError(
            f"descriptions={file!r} has other words than when this comparison was begun: pass another output_dir."
        )


def read_data(options: argparse.Namespace) -> Data:
    """Opens what was typed, and says what is in it."""
    datasets.disable_progress_bars()
    # Of models whose files are here: it takes no time.
    transformers_logging.disable_progress_bar()
    with working(f"Reading {options.data}"):
        data = open_data(options.data, **options.opening)
        summary = summarize(data)
    print_data(Console(), data.why, summary.tables, [*summary.findings, *unlike_pipelines(data)])
    return data


def folder_of(source: str) -> Path:
    """Returns the folder of what is done with a source, if none is given."""
    path = Path(source).expanduser()
    # The folder that one is in, and the one around it, have no name there.
    path = path.resolve() if path.name in ("", "..") else path
    return Path("runs") / path.name.partition(".")[0]


def check_outside(name: str, folder: Path, source: str) -> None:
    """Raises `ValueError` if an argument's folder lies in that of the data, where it is data the next time."""
    data = Path(source).expanduser()
    if data.is_dir() and not reads_top_alone(data) and folder.resolve().is_relative_to(data.resolve()):
        raise ValueError(
            f"{name}={str(folder)!r} lies in the data, {source!r}, and would be read with it the next time: pass "
            f"another --{name}."
        )


def _check_own(folder: Path) -> None:
    """Raises `ValueError` for a folder of somebody else's files: what is written there might replace them."""
    begun = any((folder / name).exists() for name in ("plan.json", LOCK))
    if folder.is_dir() and not begun and any(folder.iterdir()):
        raise ValueError(
            f"output_dir={str(folder)!r} holds other files: pass a new folder, or that of an earlier comparison."
        )


def make_folder(name: str, folder: Path) -> None:
    """Makes the folder that an argument of this name says. Raises `OSError` if something else is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OSError(f"{name}={str(folder)!r} is no folder, or lies in none: pass another path.") from error


def check_space(folder: Path, study: Study, model: str | None) -> None:
    """Raises `OSError` if the disk has no room for the classifiers that a study keeps."""
    path = Path("" if model is None else resolve(model))
    size = sum(file.stat().st_size for file in path.glob("*.safetensors")) if model is not None else 0
    # One of each arm, and what judges of each draw, but for those that are there.
    missing = max(0, len(study.arms) + study.splits - len(list(folder.glob("split-*/*/model"))))
    needed = LEAST_SPACE + size * missing if missing else 0
    if (free := shutil.disk_usage(folder).free) < needed:
        raise OSError(
            f"{str(folder)!r} has room for {free / 1e9:.1f} GB, and what is kept takes up to {needed / 1e9:.1f}: free "
            "some, or pass another --output_dir."
        )


def default_processes() -> int:
    """Returns the number of runs at a time: a GPU is for one; cores are best used apart, but memory is not endless."""
    return 1 if torch.accelerator.is_available() else min(4, cores())


def _changed(was: dict[str, Any], now: dict[str, Any], of: Iterable[str]) -> str:
    """Says which of some options are other ones now, and what they were."""
    names = sorted(name for name in of if was.get(name) != now.get(name))
    return ", ".join(f"{name}={was.get(name)!r}" for name in names)


def _told(study: Study, minutes: float) -> dict[str, Any]:
    """Returns what a report says beside the comparison."""
    if study.classifier.kind == "image":
        return {}
    from hf_augment.study.text import describe_texts, zero_shot

    with working("Reading the synthetic texts"):
        told = describe_texts(study)
    prompted, rows = asked_rows(study, minutes)
    if rows:
        with working("Asking the language model itself for labels of test rows"):
            told["notes"], told["zero_shot"] = zero_shot(study, prompted[0], None, rows)
    elif prompted:
        classes = len(study.data.label_names)
        many = asked_rows(study, math.inf)[1] == 0
        why = f"with {classes} classes a text takes as many questions" if many else f"{minutes:g} minutes are too few"
        told["notes"] = [f"The language model itself was not asked for labels: {why}."]
    return told
