"""The command line of the recipes."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

from accelerate import PartialState

from hf_augment.study.arguments import parse_arguments
from hf_augment.study.experiment import Experiment
from hf_augment.study.publication import publish, report


def main(kind: type[Experiment], arguments: Sequence[Any]) -> None:
    """
    Runs an experiment, reports what came of it and publishes it. Bad input ends with one line, not with a traceback.

    Args:
        kind (`type[Experiment]`):
            What to run.
        arguments (`Sequence[type]`):
            The dataclasses of its arguments: the experiment's, the training's.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Nothing that is shown is worth a run: a terminal that does not know a letter of a text prints another one.
        sys.stdout.reconfigure(errors="replace")
    try:
        experiment = kind(*parse_arguments(arguments))
        experiment.run()
        results = report(experiment)
        if PartialState().is_main_process:
            publish(experiment, results)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
