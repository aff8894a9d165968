"""What a study can afford: its costs are measured before, its rounds are begun by the clock."""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
from transformers import TrainerCallback, TrainingArguments

from hf_augment.evaluation.statistics import CrossedError
from hf_augment.generators.cached import CachedGenerator
from hf_augment.study.split import Split
from hf_augment.study.study import Study
from hf_augment.synthesis.pipeline import SynthesisPipeline


#: What two classifiers of one size differed by in the comparisons under `model_cards`: the share of test rows on which
#: one of them is right, and the standard deviation of the difference in accuracy between seeds.
DISCORDANT, SEED_DEVIATION = 0.15, 0.015
#: Candidates of a generator that are tried.
TRIED = 8


class Learned(Protocol):
    """A [`LearnedSource`], a dataclass, whose training can be tried: `training` holds arguments of its trainer."""

    name: str
    training: dict[str, Any]

    def arguments(self, split: Split, folder: Path) -> TrainingArguments:
        """Returns the arguments of its training."""

    def train(self, split: Split, folder: Path) -> dict[str, Any]:
        """Trains the generator and saves it in `folder/model`; returns its `seconds`."""

    def load(self, folder: Path) -> Any:
        """Returns the generator that is saved in a folder."""


@dataclass(frozen=True)
class Costs:
    """
    Measured seconds of one process: of a training `step` of the classifier, to predict a `row`, of all candidates for
    an `example` until filters accept one or it is given up, and of all the `learning` of each generator that learns
    the labelled rows, by name. `accepted` is the share of candidates that filters accepted; a language model answers a
    `question` at the end, when nothing else is done.
    """

    step: float
    row: float
    example: float = 0.0
    accepted: float = 1.0
    learning: Mapping[str, float] = field(default_factory=dict)
    question: float = 0.0

    def slowed(self, by: float) -> Costs:
        """Returns the costs where everything but the questions takes so many times as long."""
        learning = {name: by * seconds for name, seconds in self.learning.items()}
        return dataclasses.replace(
            self, step=by * self.step, row=by * self.row, example=by * self.example, learning=learning
        )


@dataclass(frozen=True)
class Work:
    """
    What a study does in all, once and in each round, which is a run of every arm.

    Args:
        steps (`int`): Training steps of a round.
        rows (`int`): Rows predicted in a round.
        examples (`int`, *optional*, defaults to 0): Examples that are to be made, once for all rounds.
        learned (`tuple[str, ...]`, *optional*, defaults to `()`): Generators that learn the rows, once.
        own_examples (`int`, *optional*, defaults to 0): Examples that are to be made in each round.
        draws (`int`, *optional*, defaults to 1):
            Generators that are made, all of them counted above: processes may be at work on several at a time.
        questions (`int`, *optional*, defaults to 0): Questions that a language model is asked, once.
        rows_once (`int`, *optional*, defaults to 0): Rows that are read once, for judges and probes.
    """

    steps: int
    rows: int
    examples: int = 0
    learned: tuple[str, ...] = ()
    own_examples: int = 0
    draws: int = 1
    questions: int = 0
    rows_once: int = 0

    def rounds(self, costs: Costs, seconds: float, processes: int = 1) -> int:
        """
        Returns how many rounds fit into `seconds` of so many processes.

        Example:

        ```python
        >>> from hf_augment.study.budget import Costs, Work
        >>> Work(steps=100, rows=400, examples=50).rounds(Costs(step=0.5, row=0.025, example=0.4), 300)
        4
        ```
        """
        once, each = self._seconds(costs)
        seconds -= self.questions * costs.question
        # Nobody can begin with examples that are not there.
        left = seconds * processes - once if once < seconds * self.draws else 0.0
        return max(0, math.floor(left / each + 1e-9))

    def seconds(self, costs: Costs, rounds: int, processes: int = 1) -> float:
        """
        Returns the seconds that so many rounds take so many processes.

        Example:

        ```python
        >>> from hf_augment.study.budget import Costs, Work
        >>> Work(steps=100, rows=400, examples=50).seconds(Costs(step=0.5, row=0.025, example=0.4), 4)
        260.0
        ```
        """
        once, each = self._seconds(costs)
        asked = self.questions * costs.question
        return max(once / self.draws, (once + rounds * each) / processes) + asked

    def course(self, costs: Costs, processes: int, longest: int) -> dict[str, float]:
        """
        Returns the seconds of what is done `once`, of a `round`, and of what comes `after` all rounds, if so many
        processes share the work and the longest run has so many steps.
        """
        once, each = self._seconds(costs)
        wall = max(once / self.draws, once / processes)
        return {
            "once": wall,
            "round": max(each / processes, longest * costs.step),
            "after": self.questions * costs.question,
        }

    def _seconds(self, costs: Costs) -> tuple[float, float]:
        once = self.examples * costs.example + sum(costs.learning[name] for name in self.learned)
        once += self.rows_once * costs.row
        return once, self.steps * costs.step + self.rows * costs.row + self.own_examples * costs.example


def detectable_points(rounds: int, test_rows: int, comparisons: int, splits: int = 1) -> float:
    """
    Estimates the difference in accuracy, in points, that so many runs of each arm on each split find in four of five
    experiments at a level of 5 % for all `comparisons` together, if their classifiers differ as those under
    `model_cards` did ([`~hf_augment.evaluation.statistics.CrossedError`]). Seeds of one split are averaged first, as
    [`~hf_augment.evaluation.comparison.compare`] does.
    """
    pairs, units = rounds * splits, splits if splits > 1 else rounds
    rows = DISCORDANT / test_rows
    error = CrossedError(SEED_DEVIATION**2 / pairs, rows, rows / pairs, units - 1, test_rows + 1)
    return 100 * error.detectable(0.05 / comparisons)


class Clock:
    """
    Says whether there is time for another round of a study, or for the share of one that is left, for [`Study.run`].
    Rounds are taken to last as long as was planned, or longer by as much as those until now did: processes begin them
    before others end. They are taken to be faster than planned only once as many runs have ended as one has. Results
    do not count.

    Example:

    ```python
    >>> from hf_augment.study.budget import Clock
    >>> times = iter([0.0, 30.0, 70.0])
    >>> clock = Clock(end=100.0, round=30.0, clock=lambda: next(times))
    >>> clock(1), clock(2)  # Two rounds took 70 s, so that another would end at 105.
    (True, False)
    ```

    Args:
        end (`float`): Time at which the last round has to be done, by `clock`.
        round (`float`): Seconds of a round, as planned.
        once (`float`, *optional*, defaults to 0.0): Seconds of what is done once for all of them.
        fitting (`int`, *optional*, defaults to 1): Number of rounds that were planned.
        latest (`float`, *optional*): Time at which these have to be done. Defaults to `end`.
        speeds_up (`bool`, *optional*, defaults to `True`):
            Whether rounds that were faster than planned tell of the next. Those that are read from files do not.
        clock (`Callable`, *optional*, defaults to `time.monotonic`): Returns the time in seconds.
    """

    def __init__(
        self,
        end: float,
        round: float,
        once: float = 0.0,
        fitting: int = 1,
        latest: float | None = None,
        speeds_up: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.end, self.round, self.once, self.fitting = end, round, once, fitting
        self.latest = end if latest is None else latest
        self.speeds_up, self.clock, self.begun = speeds_up, clock, clock()
        self._first: tuple[float, float] | None = None

    def __call__(self, rounds: int, share: float = 1.0, ended: float = 0.0) -> bool:
        now, planned = self.clock(), self.once + rounds * self.round
        slower = max(1.0, (now - self.begun) / planned)
        # What was begun may not have ended.
        done = max(now, self.begun + planned) + slower * share * self.round
        if self.speeds_up and (pace := self._pace(now, ended)) < 1:
            done = min(done, now + pace * (rounds + 1 - ended) * self.round)
        return done <= (self.latest if rounds < self.fitting else self.end)

    def _pace(self, now: float, ended: float) -> float:
        """How many times as long as planned rounds took since the first question; 1 if that cannot be told."""
        if self._first is None:
            self._first = now, ended
        since, before = self._first
        return (now - since) / ((ended - before) * self.round) if ended - before >= 1 else 1.0


class OtherWork:
    """Watches how many cores others keep busy, from its making on."""

    def __init__(self) -> None:
        self._begun = self._now()

    def cores(self) -> float:
        """The mean number of cores that others have kept busy since."""
        seconds, all_busy, own = (now - begun for now, begun in zip(self._now(), self._begun, strict=True))
        return max(0.0, (all_busy - own) / max(seconds, 1e-9))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        machine, own = psutil.cpu_times(), psutil.Process().cpu_times()
        # What is niced is not counted among `user`, where there is such a thing.
        busy = machine.user + getattr(machine, "nice", 0.0) + machine.system
        return time.monotonic(), busy, own.user + own.system


def slowdown(others: float, processes: int, threads: int, cores: int) -> float:
    """
    Returns how many times as long each of so many processes takes as one of them alone, on cores of which others keep
    so many busy.

    Example:

    ```python
    >>> from hf_augment.study.budget import slowdown
    >>> slowdown(others=0.0, processes=2, threads=1, cores=2), slowdown(others=1.0, processes=2, threads=1, cores=2)
    (1.0, 1.5)
    ```
    """
    alone, beside = (max(1.0, (others + n * threads) / cores) for n in (1, processes))
    return beside / alone


class _Stamps(TrainerCallback):
    """Keeps the time at which each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.times.append(time.perf_counter())


def measure_costs(
    study: Study,
    streams: Sequence[SynthesisPipeline] = (),
    *,
    steps: int = 6,
    examples: int = TRIED,
) -> Costs:
    """
    Measures a study's costs in some seconds of work, whose results are thrown away.

    Args:
        study ([`Study`]): Study that is to be done.
        streams (`Sequence[SynthesisPipeline]`, *optional*, defaults to `()`):
            What makes its examples; their mean time counts.
        steps (`int`, *optional*, defaults to 6): Training steps; the first two, which are slower, do not count.
        examples (`int`, *optional*, defaults to 8): Candidates of each stream.
    """
    step, row = _classifier_seconds(study, steps)
    made = [_example_seconds(stream, examples) for stream in streams]
    example, accepted = np.mean(made, axis=0).tolist() if made else (0.0, 1.0)
    return Costs(step, row, example, accepted)


def learning_costs(study: Study, learned: Sequence[Learned], *, candidates: int = 8) -> tuple[dict[str, float], float]:
    """
    Measures, from three steps of each, how long generators that learn the rows of a study learn them, by name, and how
    long a candidate of theirs takes, their mean; both in seconds.

    Args:
        study ([`Study`]): Study that is to be done.
        learned (`Sequence[Learned]`): The generators.
        candidates (`int`, *optional*, defaults to 8): Candidates of each; of 0 the time is not measured, and 0.
    """
    found = {source.name: _learning_costs(source, study, candidates) for source in learned}
    seconds = {name: learning for name, (learning, _) in found.items()}
    return seconds, float(np.mean([candidate for _, candidate in found.values()])) if found else 0.0


def _classifier_seconds(study: Study, steps: int) -> tuple[float, float]:
    """Seconds of a training step, and to predict a row."""
    first, stamps = study.split(0), _Stamps()
    rows = study.data.evaluations["test"]
    rows = rows.select(range(min(len(rows), 16 * study.training.eval_batch_size)))
    quiet = {"save_strategy": "no", "disable_tqdm": True, "callbacks": [stamps]}
    with tempfile.TemporaryDirectory() as folder:
        first.fit(Path(folder), first.train, 0, evaluations={"test": rows}, max_steps=steps, **quiet)
    # The median: a machine may be busy for a moment.
    return float(np.median(np.diff(stamps.times[1:]))), (time.perf_counter() - stamps.times[-1]) / len(rows)


def _example_seconds(stream: SynthesisPipeline, candidates: int) -> tuple[float, float]:
    """Seconds of all candidates for an example, and the share of candidates that are accepted."""
    # What an interrupted measurement left in a cache would seem to cost nothing.
    generator = stream.generator.generator if isinstance(stream.generator, CachedGenerator) else stream.generator
    one = _seconds_of_one(generator)
    trial = SynthesisPipeline(generator, stream.filters, stream.class_weights, stream.seed, candidates, 1)
    shard = trial.make(0)
    # Of few candidates none, or all, may be accepted by chance: the rule of succession.
    accepted = (len(shard.slots) + 1) / (candidates + 2)
    tries = (1 - (1 - accepted) ** stream.max_attempts) / accepted
    return tries * _each(one, shard.seconds, candidates, stream.shard_size), accepted


def _seconds_of_one(generator: Any) -> float:
    # The first call loads what it needs.
    generator.generate([0], 0)
    begun = time.perf_counter()
    generator.generate([0], 1)
    return time.perf_counter() - begun


def _each(one: float, several: float, candidates: int, together: int) -> float:
    """Seconds for each of candidates that are made together, from those for one and for several."""
    # Each further one costs less than the first, if not next to nothing.
    further = max((several - one) / (candidates - 1), several / candidates / 2)
    return (one + further * (together - 1)) / together


def _learning_costs(source: Learned, study: Study, candidates: int, steps: int = 3) -> tuple[float, float]:
    """Estimates how long a generator learns, from some steps of it, and how long a candidate takes."""
    split, candidate = study.split(0), 0.0

    def trial(steps: int) -> Learned:
        changed: dict[str, Any] = {"training": {**source.training, "max_steps": steps}}
        return dataclasses.replace(source, **changed)  # type: ignore[type-var]

    # The first step of all loads what the others need: that of a DCGAN takes as long as several.
    with tempfile.TemporaryDirectory() as folder:
        trial(1).train(split, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        seconds = trial(steps).train(split, Path(folder))["seconds"]
        arguments = source.arguments(split, Path(folder))
        if candidates:
            generator = source.load(Path(folder) / "model")
            one = _seconds_of_one(generator)
            begun = time.perf_counter()
            generator.generate([0] * candidates, 2)
            together = study.training.synthetic_shard_size
            candidate = _each(one, time.perf_counter() - begun, candidates, together)
    batches = math.ceil(len(split.train) / arguments.train_batch_size)
    return seconds / steps * math.ceil(batches * arguments.num_train_epochs), candidate
