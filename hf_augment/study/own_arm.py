"""One arm on one's own data, without a comparison: the classifier that it trains, or the examples alone."""

from __future__ import annotations

import argparse
import datetime
import time
from collections import Counter
from pathlib import Path

from rich.console import Console

from hf_augment.data.opening import Data
from hf_augment.hub.staging import MODEL_FILES, link_files
from hf_augment.progress import say, working
from hf_augment.reporting.cautions import LEAST_SHOWN
from hf_augment.reporting.examples_card import filter_rows
from hf_augment.reporting.terminal import print_table, usage
from hf_augment.study.experiment import build
from hf_augment.study.filling import fill_arm
from hf_augment.study.own_data import check_outside, folder_of, make_folder, read_data
from hf_augment.study.publication import data_of
from hf_augment.study.settling import check_typed, settle
from hf_augment.study.split import REFERENCE
from hf_augment.study.study import Study
from hf_augment.study.written_examples import as_opened, count_classes, write_examples
from hf_augment.synthesis.filling import fill
from hf_augment.training.blend import SHARD_FOLDER


#: Slots of a shard, after each of which what is done is on disk; the same for any number of examples, so that a later
#: command goes on from what is there.
SLOTS = 32


def train(options: argparse.Namespace) -> Path:
    """Trains the classifier of one arm, saves it, says how good it is; returns its folder. See `hf_augment train`."""
    study, arm, folder = _trained_study(options)
    result = study.train(0, arm, 0)
    link_files(study.split(0).folder / f"{arm}-0/model", MODEL_FILES, folder)
    test = study.data.evaluations["test"]
    told = f"{arm}: accuracy {result['metrics']['test']['accuracy']:.3f} on {len(test)} test rows"
    data = data_of(study)
    # Of rows with several labels a constant answer is right in part.
    if not data.several:
        majority, count = max(Counter(test["label"][:]).items(), key=lambda item: item[1])
        told += f"; always {study.data.label_names[majority]!r}: {count / len(test):.3f}"
    say(f"{told}. It was not trained on them.")
    if result.get("shown", 1.0) < LEAST_SHOWN:
        say(f"! It was shown {result['shown']:.1%} of what was planned for it: filters let few examples pass.")
    say("Whether generated examples help is not told by one training: `hf_augment experiment` compares.")
    for line in usage(folder, data):
        say(line)
    return folder


def fill_shards(options: argparse.Namespace) -> Path:
    """Makes the shards of a training of [`train`]; returns its folder. See `hf_augment fill`."""
    shards = None if options.shards is None else _range(options.shards)
    study, arm, folder = _trained_study(options)

    def tell(there: int, total: int) -> None:
        say(f"{there} of {total} shards")

    filled = fill_arm(study, 0, arm, shards, world_size=options.world_size, lapse=options.lapse, tell=tell)
    say(f"{len(filled.made)} shards were made here, {len(filled.others)} by others or before.")
    if filled.beyond:
        say(f"! {len(filled.beyond)} shards, from number {filled.beyond[0]} on, are not needed and were left out.")
    say(f"`hf_augment train` with the same options trains the classifier in {folder}.")
    return folder


def _range(typed: str) -> range:
    first, colon, end = typed.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and int(first) < int(end)):
        raise ValueError(f"shards={typed!r} must be FIRST:END, two numbers of which the second is larger: 0:400.")
    return range(int(first), int(end))


def _trained_study(options: argparse.Namespace) -> tuple[Study, str, Path]:
    """The study of which one run is trained, the arm of that run, and the folder of what it saves."""
    _check(options)
    data = read_data(options)
    arm = options.arm or _usual(data)
    folder = Path(options.output_dir or f"{folder_of(options.data)}-{arm}")
    check_outside("output_dir", folder, options.data)
    options.max_test_rows = len(data.test)
    # A probe of generated examples needs the arm that they are of.
    arms = () if arm == REFERENCE else tuple(dict.fromkeys([arm.removeprefix("probe_"), arm]))
    return _study(options, data, "output_dir", folder, arms), arm, folder


def generate(options: argparse.Namespace) -> Path:
    """Generates examples and writes them as a dataset; returns its folder. See `hf_augment generate`."""
    limit = 20 * options.examples if options.max_candidates is None else options.max_candidates
    for name, value in (("examples", options.examples), ("max_candidates", limit)):
        if value < 1:
            raise ValueError(f"{name}={value} must be 1 or more.")
    _check(options)
    check_outside("out", Path(options.out), options.data)
    data, folder = read_data(options), Path(options.out)
    name = options.generator or _usual(data)
    options.more.setdefault("synthetic_shard_size", SLOTS)
    study = _study(options, data, "out", folder, (name,), silent=True)
    if name not in {source.name for source in study.sources() if not source.real}:
        raise ValueError(f"generator={name!r} is no generator by itself: it must be 'prompted' or 'trained'.")
    with working(f"Preparing the {name} generator and the filters"):
        pipeline, store = study.stream(0, name)
    with working(f"Generating {options.examples} examples"):
        accounts = fill(pipeline, store, options.examples, limit, _Progress(options.examples))
    # Before anything is said of what passed them, which may be nothing.
    print_table(Console(), "What the filters did", ["filter", "candidates", "rejected"], filter_rows(accounts))
    made = sum(account.candidates for account in accounts)
    if made == sum(sum(account.rejected.values()) for account in accounts):
        raise ValueError(
            f"Of {made} candidates filters accepted none, so there is nothing to write: pass "
            f"{'' if data.kind == 'image' else 'another --generator_model, --descriptions of the classes, or '}"
            "more labelled rows for the judge."
        )
    rows = as_opened(study.data, store, options.examples)
    (source,) = (source for source in study.sources() if source.name == name)
    with working(f"Writing {folder}"):
        write_examples(folder, study.data.name, source.models, rows, accounts, store)
    counts = count_classes(rows)
    print_table(Console(), f"{len(rows)} examples", ["class", "examples"], [[n, str(c)] for n, c in counts.items()])
    if len(rows) < options.examples:
        say(
            f"! {options.examples - len(rows)} of {options.examples} examples are missing: of {made} candidates, "
            f"{limit} or more (--max_candidates), filters accepted no more."
        )
    say(f'Examples: {folder}. To read them: datasets.load_dataset("{folder.as_posix()}", split="train")')
    return folder


def _check(options: argparse.Namespace) -> None:
    check_typed(options)
    if options.more.get("push_to_hub"):
        raise ValueError(
            "push_to_hub is of `hf_augment experiment`, whose cards say what was found: leave it out here, and push "
            "the folder by `hf upload user/name FOLDER`."
        )


def _usual(data: Data) -> str:
    return "trained" if data.kind == "image" else "prompted"


def _study(
    options: argparse.Namespace, data: Data, argument: str, folder: Path, arms: tuple[str, ...], silent: bool = False
) -> Study:
    """
    A study of these arms in a hidden folder, so that `folder` holds what was asked for alone. `argument` is what says
    `folder`, where nothing of anybody else may be.
    """
    options.arms = list(arms)
    work = folder / SHARD_FOLDER / argument
    make_folder(argument, folder)
    # Another process may be making the folders of the work just now.
    if {path.name for path in folder.iterdir()} - {SHARD_FOLDER.parts[0]} and not work.is_dir():
        raise ValueError(f"{argument}={str(folder)!r} holds other files: pass a new folder, or that of this command.")
    return build(settle(options, data, work, silent), data)


class _Progress:
    """Says how far the examples are, and how long the others may take."""

    def __init__(self, examples: int) -> None:
        self.examples, self.begun, self.before = examples, time.monotonic(), -1

    def __call__(self, accepted: int, made: int) -> None:
        seconds = time.monotonic() - self.begun
        left = ""
        if accepted:
            rest = max(0, self.examples - accepted) / accepted * seconds
            left = f", about {datetime.timedelta(seconds=round(rest))} left"
        say(f"{min(accepted, self.examples)} of {self.examples} examples, of {made} candidates{left}")
