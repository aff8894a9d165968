"""
Does `hf_augment experiment` keep to its time, and end with a classifier that transformers load?

    python recipes/benchmarks/own_data.py intents.csv pictures --minutes 5 15
    python recipes/benchmarks/own_data.py reviews.csv -- --test more_reviews.csv

Each of some files and folders is compared by the command in an empty folder, with no other option than the time; what
follows `--` is typed, too. Printed are the seconds, beside those that may be taken (a quarter more than was given),
the machine's load when it began and ended, how many runs each arm has, the answer, and whether a pipeline of the
classifier that is named at the end knows the classes of the data. What is done is kept.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import pipeline

import hf_augment.images.small_resnet  # noqa: F401 - transformers learns the architecture from it
from hf_augment import Results
from hf_augment.files import read_json, write_json
from hf_augment.progress import one_line_errors, say, working
from hf_augment.reporting.answer import answer
from hf_augment.reporting.metadata import TASKS
from hf_augment.reporting.terminal import print_table


#: How much of the time more may be taken.
LATE = 0.25


def compare(source: Path, minutes: float, folder: Path, typed: list[str]) -> dict[str, Any]:
    """Compares a source in a folder, where `log.txt` keeps what is said, unless it is done."""
    done = folder / "done.json"
    command = [sys.executable, "-m", "hf_augment", "experiment", str(source), *typed]
    if minutes != 15:
        command += ["--minutes", f"{minutes:g}"]
    if done.exists():
        told = read_json(done, f"Delete {folder}")
        if (was := told.get("command")) != command:
            raise ValueError(f"{folder} is of another command, {was}: pass another --output_dir.")
        return told
    if folder.exists():
        # One that goes on would take less time.
        raise ValueError(f"{folder} holds a comparison that was interrupted: delete it, and it is begun anew.")
    folder.mkdir(parents=True)
    load, begun = os.getloadavg()[0], time.monotonic()
    with working(f"{source.name}, {minutes:g} minutes"), open(folder / "log.txt", "wb") as log:
        code = subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    told = {"command": command, "seconds": time.monotonic() - begun, "rc": code, "load": [load, os.getloadavg()[0]]}
    if code == 0:
        told |= read(folder)
    write_json(done, told)
    return told


def read(folder: Path) -> dict[str, Any]:
    """What a comparison found, and whether its classifier is one of transformers."""
    (file,) = folder.glob("runs/*/report/results.json")
    results = Results.load(file)
    log = (folder / "log.txt").read_text(errors="replace").replace("\r", "\n")
    (model,) = re.findall(r"^Model: (.+?) \(", log, re.MULTILINE)
    task: Any = TASKS[results.data.kind]  # the types of `pipeline` want a literal
    classify = pipeline(task, model=str(folder / model))
    names = sorted(classify.model.config.id2label.values())
    pairs = sum(run.arm == results.reference for run in results.runs)
    return {"runs": pairs, "answer": answer(results), "loads": names == sorted(results.data.label_names)}


def main() -> None:
    """Compares, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("sources", nargs="+", type=Path, help="files, and folders of images by class")
    parser.add_argument("--minutes", nargs="+", type=float, default=[15.0], help="what is given to each")
    parser.add_argument("--output_dir", type=Path, default=Path("runs/own_data"), help="folder of all of them")
    typed = sys.argv[1:]
    own = typed[: typed.index("--")] if "--" in typed else typed
    options, others = parser.parse_args(own), typed[len(own) + 1 :]
    rows, kept = [], True
    for minutes in options.minutes:
        for source in options.sources:
            folder = options.output_dir.absolute() / f"{source.stem}-{minutes:g}"
            told = compare(source.absolute(), minutes, folder, others)
            say(f"{source.name}, {minutes:g} minutes: {told['seconds']:.0f} s, rc {told['rc']}")
            most = 60 * minutes * (1 + LATE)
            kept &= told["seconds"] <= most and told.get("loads") is True
            rows.append(
                [
                    source.name,
                    f"{minutes:g}",
                    f"{told['seconds']:.0f} of {most:.0f}" + ("" if told["seconds"] <= most else ", LATE"),
                    " to ".join(f"{load:.1f}" for load in told["load"]),
                    str(told["rc"]),
                    str(told.get("runs", "-")),
                    "-" if "loads" not in told else "yes" if told["loads"] else "NO",
                    told.get("answer", "-"),
                ]
            )
    header = ["data", "minutes", "seconds", "load", "rc", "runs", "loads", "answer"]
    print_table(Console(width=160), "hf_augment experiment", header, rows)
    if not kept:
        raise SystemExit("Not all of them ended in time with a classifier that transformers loads.")


if __name__ == "__main__":
    with one_line_errors():
        main()
