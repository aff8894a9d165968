"""What a comparison of one's own data can afford: the richest design of which the time allows enough rounds."""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from hf_augment.data.opening import Data
from hf_augment.progress import say, working
from hf_augment.sentences import counted
from hf_augment.study.arms import LearnedSource
from hf_augment.study.budget import (
    TRIED,
    Costs,
    OtherWork,
    Work,
    detectable_points,
    learning_costs,
    measure_costs,
    slowdown,
)
from hf_augment.study.experiment import Experiment, build
from hf_augment.study.jobs import cores, limited_threads, threads_of
from hf_augment.study.pseudo_labels import PseudoLabels
from hf_augment.study.settling import examples_of, shard_size, unnamed
from hf_augment.study.study import LEAST_PAIRS, Study


#: Seconds that processes need to start, and the report to be written, beside what is measured.
OVERHEAD = 60.0
#: The share of the time that a plan may take: others use the machine, too, and the clock fills the rest with rounds.
PLANNED = 0.75
#: Cores that others keep busy that are worth a word.
BUSY = 0.2
#: Pairs of a test row and a label that the language model is asked about, at most, and for each minute; and the fewest
#: rows that tell anything.
QUESTIONS, QUESTIONS_A_MINUTE, LEAST_ASKED = 160, 10, 20

#: Arms that cost much and bring little beside the others.
_POOR = frozenset({"trained", "probe_trained", "trained_crop"})


class Saving(NamedTuple):
    """
    What is given up for time: arms, fresh examples (each is shown so often), a share of the steps, test rows beyond so
    many, and a share of the steps in which a DCGAN learns.
    """

    without: frozenset[str]
    reuse: int = 4
    share: float = 1.0
    test_rows: int | None = None
    learning: float = 1.0


#: What is tried, one after the other, until the least number of rounds fits. An arm with a generator stays, or nothing
#: would be compared.
SAVINGS = (
    Saving(frozenset()),
    Saving(_POOR),
    Saving(_POOR | {"eda", "crop"}),
    Saving(_POOR | {"eda", "crop"}, 8),
    Saving(_POOR | {"eda", "crop"}, 8, 0.5),
    Saving(_POOR | {"eda", "crop"}, 8, 0.25, learning=0.5),
    Saving(_POOR | {"eda", "crop"}, 8, 0.25, 400, 0.5),
)
#: Where not even one round of that fits: a look, which gives no verdict, but takes hardly more than the time.
LEAST = Saving(_POOR | {"eda", "crop"}, 16, 0.125, 200, 0.5)


def afford(
    experiment: Experiment, data: Data, options: argparse.Namespace, processes: int, begun: float
) -> tuple[Experiment, dict[str, Any]]:
    """
    Chooses the richest design of which the time allows enough rounds, and says what it is. What was typed is not given
    up. `begun` is when the command was, by `time.monotonic`. Returns also how many rounds are `fitting`, the seconds
    that are planned ([`Work.course`]), what is `not_tried`, with reasons, and the `usual_steps` where it has fewer.
    """
    typed = _typed(options)
    # Further seeds on the same draws tell nothing of other draws.
    wanted = options.seeds or (LEAST_PAIRS if experiment.splits == 1 else 1)
    measured = _measure(experiment, data, options, processes, begun, wanted)
    left = _left(options, begun)
    experiment, slow = without_slow(experiment, measured.learning, left, typed)
    slow |= unnamed(data, [name for name, value in vars(options).items() if value is not None])
    for name, why in slow.items():
        say(f"{name} is not tried, {why}.")

    def design(saving: Saving) -> tuple[Experiment, Study, Costs, Work]:
        poorer, costs = saved(experiment, typed, *saving), measured
        if experiment.of_images:
            learning = {name: saving.learning * seconds for name, seconds in measured.learning.items()}
            costs = dataclasses.replace(measured, learning=learning)
        study = build(poorer, data)
        return poorer, study, costs, work_of(study, options.minutes)

    for saving in SAVINGS:
        poorer, study, costs, work = design(saving)
        rounds = min(work.rounds(costs, PLANNED * left, processes), experiment.seeds)
        if rounds >= wanted:
            break
    else:
        rounds = min(work.rounds(costs, left, processes), wanted)
    needed = 60 * options.minutes - left + work.seconds(costs, wanted, processes) / PLANNED
    if not rounds:
        poorer, study, costs, work = design(LEAST)
        rounds = min(work.rounds(costs, left, processes), 1)
    _tell(study, rounds, options, wanted, needed)
    why = "since there was no time for it (more --minutes, or --arms with it and fewer others)"
    given_up = {arm: why for arm in experiment.arms if arm not in poorer.arms}
    known = {"fitting": max(1, min(rounds, wanted)), "not_tried": slow | given_up}
    usual = experiment.training["max_steps"]
    if poorer.training["max_steps"] < usual:
        known["usual_steps"] = usual
    return poorer, known | work.course(costs, processes, study.augmented_steps())


def only_look(experiment: Experiment, usual_steps: int | None) -> bool:
    """Whether an experiment has a smaller share of the usual steps than one that may lead to a verdict."""
    least = min(saving.share for saving in SAVINGS)
    return usual_steps is not None and experiment.training["max_steps"] < least * usual_steps


def without_slow(
    experiment: Experiment, learning: Mapping[str, float], seconds: float, typed: set[str]
) -> tuple[Experiment, dict[str, str]]:
    """
    Returns an experiment without arms whose generator would learn the rows for longer than there are seconds, unless
    they were typed; and these arms, with the reason.
    """
    least = min(saving.learning for saving in SAVINGS) if experiment.of_images else 1.0
    slow = {name: needed for name, needed in learning.items() if seconds < least * needed < math.inf}
    if "arms" in typed or not slow:
        return experiment, {}
    arms = tuple(arm for arm in experiment.arms if arm not in _POOR)
    why = "since its generator would learn the rows for some {} minutes here (--arms {}, and more --minutes)"
    told = {name: why.format(math.ceil(needed / 60), name) for name, needed in slow.items()}
    return dataclasses.replace(experiment, arms=arms), told


def _typed(options: argparse.Namespace) -> set[str]:
    """What was typed of what may be given up for time."""
    return {*options.more, *(name for name in ("arms", "max_test_rows") if vars(options)[name])}


def _left(options: argparse.Namespace, begun: float) -> float:
    """Seconds for runs."""
    return 60 * options.minutes - (time.monotonic() - begun) - OVERHEAD


def _measure(
    experiment: Experiment, data: Data, options: argparse.Namespace, processes: int, begun: float, wanted: int
) -> Costs:
    """Measures what things cost, and says it."""
    work, threads = OtherWork(), threads_of(processes)
    with (
        working("Measuring what a training step, a generated example and a generator's training cost"),
        limited_threads(threads),
    ):
        study = build(experiment, data)
        learned: list[Any] = [source for source in study.sources() if isinstance(source, LearnedSource)]
        names = {source.name for source in learned}
        # Rows that are there cost next to nothing.
        others = {name: arm.source for name, arm in study.arms.items() if arm.source and not arm.source.real}
        # Of a mixture the parts cost what they cost alone; and variants of an arm have one generator.
        ready = {source.name: name for name, source in others.items() if len(source.leaves()) == 1}
        streams = [study.stream(0, name)[0] for source, name in ready.items() if source not in names]
        costs = dataclasses.replace(measure_costs(study, streams), question=_question_seconds(study))
        # What would be given up first, because there is not even time for less, is not measured.
        lean = work_of(build(saved(experiment, _typed(options), *SAVINGS[1]), data))
        seconds = PLANNED * _left(options, begun)
        if lean.learned or lean.rounds(costs, seconds, processes) >= wanted:
            # Theirs are taken to cost what those of others do, if there are any.
            learning, candidate = learning_costs(study, learned, candidates=0 if streams else TRIED)
            costs = dataclasses.replace(costs, learning=learning, example=costs.example or candidate)
        else:
            costs = dataclasses.replace(costs, learning={source.name: math.inf for source in learned})
    # Measured was one process.
    elsewhere = work.cores()
    costs = costs.slowed(slowdown(elsewhere, processes, threads, cores()))
    say(
        f"A training step takes {costs.step:.2f} s, {1 / costs.row:.0f} rows are predicted in a second"
        + (f", an example takes {costs.example:.1f} s ({costs.accepted:.0%} of candidates pass)" if streams else "")
        + "".join(
            f", the {name} generator learns for {seconds:.0f} s"
            for name, seconds in costs.learning.items()
            if math.isfinite(seconds)
        )
        + f"; {processes} at a time"
        + (f", beside others that keep {elsewhere:.1f} cores busy." if elsewhere > BUSY else ".")
    )
    return costs


def saved(
    experiment: Experiment,
    typed: set[str],
    without: frozenset[str],
    reuse: int,
    share: float,
    test_rows: int | None,
    learning: float,
) -> Experiment:
    """Returns an experiment that takes less time by a [`Saving`]. What was `typed` stays."""
    arms = tuple(arm for arm in experiment.arms if "arms" in typed or arm not in without)
    if "prompted" not in arms and "trained" in experiment.arms:
        # Of images, which have one generator.
        arms = tuple(arm for arm in experiment.arms if arm in arms or arm == "trained")
    if set(arms) <= {"probe"}:
        # What there is beside a generator that is too slow.
        arms = experiment.arms
    generator = experiment.generator_training
    if experiment.of_images:
        generator = generator | {"num_train_epochs": learning * generator["num_train_epochs"]}
    now = experiment.training
    # The warm-up is a part of the steps.
    share = 1.0 if "max_steps" in typed else share
    less = {name: math.ceil(share * now[name]) for name in ("max_steps", "warmup_steps")}
    less["synthetic_reuse"] = max(reuse, now["synthetic_reuse"])
    training = now | {name: value for name, value in less.items() if name not in typed}
    if "synthetic_shard_size" not in typed:
        training["synthetic_shard_size"] = shard_size(examples_of(training))
    most = experiment.max_test_rows if test_rows is None or "max_test_rows" in typed else test_rows
    return dataclasses.replace(
        experiment, arms=arms, training=training, max_test_rows=most, generator_training=generator
    )


def work_of(study: Study, minutes: float = math.inf) -> Work:
    """Counts what a study does that may take so long."""
    trained, splits = [arm for arm in study.arms.values() if not arm.probe], study.splits
    steps, train = study.augmented_steps(), len(study.split(0).train)
    rows = len(study.data.evaluations["test"]) * len(study.arms)
    slots = steps * study.training.train_batch_size * study.training.synthetic_ratio
    # Of those that are chosen among, more are made; and what rounds decide is made anew for each run.
    shared: dict[str, float] = {}
    own, shared_by_all = 0.0, False
    for arm in trained:
        if arm.source is not None and not arm.source.real:
            made = 1.0 if arm.policies is None else study.training.synthetic_candidates
            own += made * arm.steers
            once = made * (1 if all(part.shared for part in arm.source.leaves()) else splits)
            shared_by_all |= arm.source.shared
            shared[arm.source.name] = max(0.0 if arm.steers else once, shared.get(arm.source.name, 0.0))
    # Shards are made whole.
    size = study.training.synthetic_shard_size
    shown = size * math.ceil(slots / study.training.synthetic_reuse / size)
    unlabelled = [arm.source for arm in trained if isinstance(arm.source, PseudoLabels)]
    learned = [source.name for source in study.sources() if isinstance(source, LearnedSource)]
    return Work(
        splits * steps * len(trained),
        splits * rows,
        round(shown * sum(shared.values())),
        (*learned,) * splits,
        round(splits * shown * own),
        draws=1 if shared_by_all else splits,
        # Judges and probes read the labelled rows.
        rows_once=splits
        * (train + sum(min(source.most_rows, len(study.split(0).unlabelled)) for source in unlabelled)),
        questions=asked_rows(study, minutes)[1] * len(study.data.label_names),
    )


def _tell(study: Study, rounds: int, options: argparse.Namespace, wanted: int, needed: float) -> None:
    """Says what the time allows; `wanted` rounds need so many seconds."""
    tests, arms = len(study.data.evaluations["test"]), len(study.arms) - 1
    draws = f" on each of {study.splits} draws of the labelled rows" if study.splits > 1 else ""
    runs = f"enough for {counted(rounds, 'run')}" if rounds else "too little for a run"
    say(
        f"{options.minutes:g} minutes are taken to be {runs} of each of {len(study.arms)} arms "
        f"({', '.join(study.arms)}){draws}, {study.augmented_steps()} steps a run."
    )
    if rounds < wanted:
        rule = "all the same" if options.seeds else "as far as the time allows, one run at least"
        say(
            f"{counted(wanted, 'run')} of each would take some {math.ceil(needed / 60)} minutes, done {rule}. "
            f"Fewer --arms{'' if study.classifier.kind == 'image' else ', --max_new_tokens'} or --max_steps take less."
        )
    if study.splits == 2:
        say("Two draws tell little of others, however many runs they have: --splits 3 or more would.")
    if (rounds := options.seeds or rounds) * study.splits > 1:
        seen = detectable_points(rounds, tests, arms, study.splits)
        found = f"a difference of some {seen:.0f} points" if seen <= 100 else "no difference, however large,"
        say(
            f"With {tests} test rows, {rounds * study.splits} pairs of runs would find {found} in four of five such "
            "comparisons."
        )


def asked_rows(study: Study, minutes: float) -> tuple[list[Any], int]:
    """Returns the prompted language models, and the number of test rows that the first is asked about at the end."""
    if study.classifier.kind == "image":
        return [], 0
    from hf_augment.study.text_sources import PromptedLanguageModel

    prompted = [source for source in study.sources() if isinstance(source, PromptedLanguageModel)]
    rows = int(min(QUESTIONS, QUESTIONS_A_MINUTE * minutes)) // len(study.data.label_names)
    return prompted, rows if prompted and rows >= LEAST_ASKED else 0


def _question_seconds(study: Study) -> float:
    """Seconds that a prompted language model takes to answer whether a text is of a class."""
    prompted, rows = asked_rows(study, math.inf)
    if not rows:
        return 0.0
    first = study.split(0)
    ask, texts = prompted[0].opened(first).label_posterior, first.train["text"][:4]
    begun = time.monotonic()
    ask([{"text": text} for text in texts])
    return (time.monotonic() - begun) / len(texts) / len(study.data.label_names)
