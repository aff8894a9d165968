"""What an experiment found: its facts for the report, and what of it is published."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState
from rich.console import Console

from hf_augment.hub.pushing import push
from hf_augment.hub.staging import REPORT_FILES, Repository, stage
from hf_augment.reporting.cards.rendering import (
    render_dataset_card,
    render_generator_card,
    render_model_card,
    render_results_card,
)
from hf_augment.reporting.facts import ReportFacts
from hf_augment.reporting.report import write_report
from hf_augment.study.arms import REAL, REFERENCE, Arm
from hf_augment.study.experiment import Experiment


LIBRARIES = ("hf_augment", "transformers", "torch", "datasets", "accelerate", "evaluate", "timm", "peft")


def report(experiment: Experiment) -> dict[str, Any]:
    """
    Writes the report: what changed, what it cost, what the model was shown.

    Args:
        experiment ([`Experiment`]):
            With all its runs.

    Returns:
        `dict[str, Any]`: What is in `results.json`; empty for all processes but the first.
    """
    args, data = experiment.args, experiment.data
    settings = {name: _last_part(value) for name, value in experiment.facts.items()}
    settings["holdouts"] = str([_last_parts(holdout) for holdout in args.holdouts])
    order = [arm.name for arm in experiment.arms()]
    facts = ReportFacts(
        title=f"{_short(settings['model'])} on {_short(settings['dataset'])}"
        + (f" ({args.data_note})" if args.data_note else ""),
        settings=settings,
        runs=sorted(experiment.runs, key=lambda run: (order.index(run.arm), run.split, run.seed)),
        reference=REFERENCE,
        test="test",
        # Of real rows there is no acceptance to tell, and their examples are not for everybody.
        stores={arm.name: experiment.stores[arm.name] for arm in _generating(experiment)},
        command=_command(experiment.training.hub_token),
        versions=_versions(),
        data={
            "kind": experiment.kind,
            "name": _short(settings["dataset"]),
            "note": args.data_note,
            "label_names": data.label_names,
            "train_rows": len(experiment.labelled(0)),
            "evaluations": {name: len(rows) for name, rows in data.evaluations.items()},
            "perturbed_rows": min(args.robustness_rows, len(data.evaluations["test"])),
        },
        models={
            "classifier": _short(settings["model"]),
            **{arm: " and ".join(_names(models)) for arm, models in experiment.generator_names().items()},
        },
        **experiment.extras(),
    )
    if not PartialState().is_main_process:
        return {}
    console = Console(width=None if sys.stdout.isatty() else 100)
    return write_report(experiment.stages.root / "report", facts, console)


def publish(experiment: Experiment, results: dict[str, Any]) -> None:
    """
    Stages the first split's classifiers that a generator fed, their synthetic examples if filters judged them, the
    trained generator and the report, and pushes them if that is asked for; `python -m hf_augment push RUN_DIR` does it
    later. Of the report what shows no labelled row.

    Args:
        experiment ([`Experiment`]):
            Reported.
        results (`dict[str, Any]`):
            What [`report`] returned.
    """
    root, training, split = experiment.stages.root, experiment.training, experiment.stages.root / "split-0"
    arms = _generating(experiment)
    # Pictures of examples show labelled ones too.
    results = {**results, "pictures": {}}
    repositories, published = [], set()
    for arm in arms:
        model, rows = (partial(render, results, arm.name) for render in (render_model_card, render_dataset_card))
        repositories.append(Repository(arm.name, "model", split / f"{arm.name}-0/model", model))
        store = experiment.stores[arm.name]
        # What no filter has compared with the labelled rows may repeat them; and with classic augmentation of all
        # rows an arm shows the same examples as without.
        if arm.filtered and store.folder not in published:
            repositories.append(Repository(f"{arm.name}-synthetic", "dataset", store, rows))
        published.add(store.folder)
    # The arm of the trained generator alone says more of it than one that it shares with another.
    learned = sorted(filter(experiment.learns, arms), key=lambda arm: len(experiment.generator_names()[arm.name]))
    if learned:
        name = learned[0].name
        models = {**results["models"], name: _names(experiment.generator_names()[name])[0]}
        card = partial(render_generator_card, {**results, "models": models}, name)
        repositories.append(Repository("generator", "model", split / "generator/model", card))
    card = partial(render_results_card, results)
    repositories.append(Repository("results", "dataset", root / "report", card, REPORT_FILES))
    stage(root, repositories)
    if training.push_to_hub:
        push(root, training.hub_model_id, training.hub_private_repo, training.hub_token)


def _generating(experiment: Experiment) -> list[Arm]:
    """The arms whose examples a generator made."""
    return [arm for arm in experiment.arms() if arm.name in experiment.stores and arm.generator != REAL]


def _names(models: Sequence[str]) -> list[str]:
    return [_short(_last_part(model)) for model in models]


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in LIBRARIES}


def _command(secret: str | None) -> str:
    """What was typed, without the secret however it was given; of paths from elsewhere the last part alone."""
    shown: list[str] = []
    for word in sys.argv[1:]:
        if secret and secret in word:
            # A word of its own follows the argument's name.
            del shown[len(shown) - (word == secret) :]
            continue
        name, equals, value = word.partition("=")
        shown.append(f"{name}={_last_parts(value)}" if name.startswith("--") and equals else _last_parts(word))
    return shlex.join(["python", _last_part(os.path.relpath(sys.argv[0])), *shown])


def _last_part(value: str) -> str:
    """A report may be pushed: of a path that is not below the working directory it says the last part alone."""
    path = Path(value)
    # Not Path.exists, which raises where a value is too long for a name.
    return path.name if os.path.exists(value) and (path.is_absolute() or ".." in path.parts) else value


def _last_parts(value: str) -> str:
    """The same of each part of a hold-out."""
    return "|".join(map(_last_part, value.split("|")))


def _short(source: str) -> str:
    """A source without where in a wheel it lies."""
    return source.partition("#")[0].removeprefix("wheel://").partition("/")[0] if "://" in source else source
