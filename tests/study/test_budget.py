"""What is afforded, against a simulation, and when the last round begins."""

import dataclasses
import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from transformers import TrainingArguments

from hf_augment.evaluation.statistics import crossed_error
from hf_augment.study import budget
from hf_augment.study.budget import (
    Clock,
    Costs,
    OtherWork,
    Work,
    detectable_points,
    learning_seconds,
    measure_costs,
    slowdown,
)
from hf_augment.synthesis.pipeline import SynthesisPipeline
from tests.study.test_study import TEXT, make  # noqa: F401 - a fixture


COSTS = Costs(step=0.5, row=0.01, example=0.25, learning={"trained": 25.0, "other": 100.0})


@pytest.mark.parametrize(
    ("work", "seconds", "rounds"),
    [
        (Work(steps=100, rows=1000), 180, 3),
        (Work(steps=100, rows=1000), 179, 2),
        (Work(steps=100, rows=1000, examples=100, learned=("trained",)), 230, 3),
        (Work(steps=100, rows=1000, examples=100), 10, 0),
    ],
)
def test_rounds_that_fit(work, seconds, rounds):
    assert work.rounds(COSTS, seconds) == rounds


def test_as_many_seconds_as_the_rounds_take_are_enough_and_no_fewer():
    costs = Costs(step=0.3, row=0.01, example=0.7, learning={"trained": 40})
    for work in (Work(steps=100, rows=1000), Work(100, 1000, examples=300), Work(10, 10, 90, ("trained",))):
        for rounds, processes in ((1, 1), (3, 2), (4, 3)):
            seconds = work.seconds(costs, rounds, processes)
            assert work.rounds(costs, seconds + 1e-6, processes) >= rounds
            assert work.rounds(costs, seconds - 1e-3, processes) < rounds


def test_processes_share_the_rounds_but_wait_for_what_is_generated_once():
    work = Work(steps=100, rows=1000, examples=100, learned=("trained",))
    assert work.rounds(COSTS, 115, processes=2) == 3
    assert work.rounds(COSTS, 50, processes=4) == 0


def test_what_can_be_found_is_what_an_experiment_of_such_noise_says():
    rng, pairs, rows = np.random.default_rng(0), 5, 800
    found = []
    for _ in range(30):
        # Arms differ on some rows whatever the seed, and seeds move all rows.
        shift = rng.normal(0, budget.SEED_DEVIATION, size=(pairs, 1))
        gains = (rng.random((pairs, rows)) < budget.DISCORDANT / 2 + shift / 2).astype(float)
        gains -= rng.random((pairs, rows)) < budget.DISCORDANT / 2 - shift / 2
        found.append(100 * crossed_error(gains).detectable(0.05 / 2))
    assert detectable_points(pairs, rows, 2) == pytest.approx(np.mean(found), rel=0.35)


def test_more_of_anything_finds_less_and_more_comparisons_more():
    base = detectable_points(3, 400, 2)
    assert detectable_points(6, 400, 2) < base
    assert detectable_points(3, 1600, 2) < base
    assert detectable_points(3, 400, 6) > base


def test_a_round_begins_where_one_like_the_last_still_fits():
    times = iter([0.0, 30.0, 60.0, 80.0, 95.0, 115.0])
    clock = Clock(end=116, fitting=2, clock=lambda: next(times))
    # The third round ends at 80 and took 20 s, so a fourth may begin; after that of 15 s another, after 20 s none.
    assert [clock(rounds) for rounds in (1, 2, 3, 4, 5)] == [True, True, True, True, False]


def test_of_the_first_rounds_those_that_were_planned_are_done_whatever_the_time():
    late, early = (partial(Clock, clock=lambda time=time: time) for time in (100.0, 0.0))
    assert [late(end=0, fitting=3)(rounds) for rounds in (1, 2, 3)] == [True, True, False]
    # Processes ask when nothing has ended yet.
    assert [early(end=100, fitting=2, least=3)(rounds) for rounds in (1, 2)] == [True, False]
    assert [early(end=100, fitting=3)(rounds) for rounds in (1, 2, 3)] == [True, True, True]


def test_rounds_that_were_begun_beside_each_other_are_not_taken_for_one():
    # All three were asked for at once, and ended together at 90.
    times = iter([0.0, 1.0, 2.0, 90.0])
    clock = Clock(end=121, fitting=3, clock=lambda: next(times))
    assert [clock(rounds) for rounds in (1, 2, 3)] == [True, True, True]


def test_processes_beside_each_other_and_others_are_slower_than_the_one_that_was_measured():
    assert slowdown(others=0.0, processes=2, threads=1, cores=2) == 1.0
    # Three threads share two cores, or four share them where two did.
    assert slowdown(others=1.0, processes=2, threads=1, cores=2) == 1.5
    assert slowdown(others=3.0, processes=2, threads=1, cores=2) == 1.25
    assert slowdown(others=1.0, processes=1, threads=2, cores=2) == 1.0
    costs = COSTS.slowed(1.5)
    assert (costs.step, costs.row, costs.example) == (0.75, 0.015, 0.375)
    assert (costs.learning, costs.question) == ({"trained": 37.5, "other": 150.0}, COSTS.question)


def test_of_the_machine_s_work_what_is_not_this_process_s_is_others(monkeypatch):
    class Times:
        def __init__(self, user, system):
            self.user, self.system = user, system

    machine, own = iter([Times(100, 10), Times(115, 15)]), iter([Times(1, 1), Times(8, 3)])
    monkeypatch.setattr(budget.time, "monotonic", iter([50.0, 60.0]).__next__)
    monkeypatch.setattr(budget.psutil, "cpu_times", machine.__next__)
    monkeypatch.setattr(budget.psutil, "Process", lambda: SimpleNamespace(cpu_times=own.__next__))
    # Of 20 s of work in 10 s, 9 were its own.
    assert OtherWork().cores() == pytest.approx(1.1)


def test_questions_at_the_end_are_counted():
    costs = dataclasses.replace(COSTS, question=0.5)
    work = Work(steps=100, rows=1000, questions=80)
    assert work.rounds(costs, 219) == 2
    assert work.seconds(costs, 3) == 220.0


def test_generators_of_several_draws_are_made_at_a_time():
    work = Work(steps=300, rows=3000, examples=300, draws=3)
    assert work.rounds(COSTS, 30, processes=3) == 0
    assert work.rounds(COSTS, 86, processes=3) == 1
    assert work.seconds(COSTS, 1, processes=3) == 85.0


def test_costs_are_measured_and_leave_nothing(make):  # noqa: F811
    study = make()
    stream = SynthesisPipeline(TEXT.generator(), [], np.array([0.5, 0.5]), 1, 8, 2)
    costs = measure_costs(study, [stream], examples=4)
    assert costs.step > 0
    assert costs.row > 0
    assert costs.example > 0
    assert costs.accepted == 5 / 6
    assert not list(study.folder.glob("split-0/*"))
    assert measure_costs(study).example == 0


@dataclasses.dataclass
class Learner:
    """Learns in a second for each step."""

    name: str
    training: dict

    def arguments(self, split, folder):
        return TrainingArguments(
            str(folder), num_train_epochs=3, per_device_train_batch_size=2, report_to="none", use_cpu=True
        )

    def train(self, split, folder):
        return {"seconds": float(self.training["max_steps"])}


def test_of_a_generator_s_training_some_steps_are_measured(make):  # noqa: F811
    study = make()
    assert learning_seconds(study, [Learner("trained", {})]) == {
        "trained": 3 * math.ceil(len(study.split(0).train) / 2)
    }
