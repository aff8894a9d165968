"""What is afforded, against a simulation, and when the last round begins."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from transformers import TrainingArguments

from hf_augment.evaluation.statistics import crossed_error
from hf_augment.filters.fluency import Fluency
from hf_augment.generators.cached import CachedGenerator
from hf_augment.study import budget
from hf_augment.study.budget import (
    Clock,
    Costs,
    OtherWork,
    Work,
    detectable_points,
    learning_costs,
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


def asked(times, **arguments):
    """The answers of a clock that is begun at the first of these times and asked at the others."""
    clock = Clock(clock=iter(times).__next__, **arguments)
    return [clock(rounds) for rounds in range(1, len(times))]


def test_a_round_begins_where_one_as_planned_still_fits():
    assert asked([0, 20, 40, 60, 80], end=100, round=20) == [True, True, True, True]
    assert asked([0, 20, 40, 60, 80], end=99, round=20) == [True, True, True, False]


def test_rounds_that_are_slower_than_planned_are_expected_to_stay_so():
    assert asked([0, 30, 60], end=100, round=20) == [True, True]
    assert asked([0, 30, 60, 75], end=100, round=20) == [True, True, True]
    assert asked([0, 30, 60, 90], end=100, round=20) == [True, True, False]
    # Faster ones are not: processes ask when nothing has ended.
    assert asked([0, 1, 2, 3, 4], end=100, round=30) == [True, True, False, False]


def test_what_is_done_once_is_no_part_of_a_round():
    assert asked([0, 60, 80], end=100, round=20, once=40) == [True, True]
    assert asked([0, 1, 2], end=100, round=20, once=60) == [True, False]


def test_the_rounds_of_the_plan_may_be_late_but_not_by_any_time():
    late = {"end": 100, "latest": 120, "round": 40, "fitting": 3}
    assert asked([0, 40, 80, 120], **late) == [True, True, False]
    assert asked([0, 40, 81], **late) == [True, False]
    assert asked([0, 40, 80], **(late | {"fitting": 1})) == [True, False]
    assert asked([0, 100], end=0, round=1) == [False]


def test_what_is_left_of_a_round_takes_its_share_of_the_time():
    clock = Clock(end=100, round=50, clock=iter([0, 60, 60, 60]).__next__)
    # The first round was slower than planned, by a fifth.
    assert [clock(1), clock(1, 2 / 3), clock(1, 0.7)] == [False, True, False]


def test_rounds_that_end_earlier_than_planned_make_place_for_more():
    # Of two processes each is halfway through a run of a round, which takes half of what was planned.
    times, ended = [0, 100, 150, 200, 250], [0.5, 1.5, 2.5, 3.5]

    def answers(**arguments):
        clock = Clock(end=280, round=100, clock=iter(times).__next__, **arguments)
        return [clock(number + 1, 1.0, done) for number, done in enumerate(ended)]

    # At 150 one round ended in 50 s: one and a half are left of three, which take 75 s.
    # So they do later.
    assert answers() == [True, True, True, False]
    assert answers(speeds_up=False) == [True, False, False, False]
    # Slower ones are not made faster by what has ended.
    clock = Clock(end=500, round=100, clock=iter([0, 150, 300, 450]).__next__)
    assert [clock(1, 1.0, 1.0), clock(2, 1.0, 2.0), clock(3, 1.0, 3.0)] == [True, True, False]


def test_the_course_of_a_study_is_what_its_work_costs():
    costs = dataclasses.replace(COSTS, question=0.5)
    work = Work(steps=300, rows=3000, examples=300, draws=3, questions=10)
    assert work.course(costs, 2, longest=100) == {"once": 37.5, "round": 90.0, "after": 5.0}
    # A round is no shorter than its longest run.
    assert work.course(costs, 12, longest=100) == {"once": 25.0, "round": 50.0, "after": 5.0}
    assert Work(100, 1000, rows_once=500).course(COSTS, 1, 100) == {"once": 5.0, "round": 60.0, "after": 0.0}


def test_seeds_of_the_same_draws_find_less_than_draws():
    assert detectable_points(5, 400, 2) == detectable_points(1, 400, 2, splits=5)
    assert detectable_points(5, 400, 2, splits=2) > 1.5 * detectable_points(10, 400, 2)


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

    def load(self, folder):
        return TEXT.generator()


def test_of_a_generator_s_training_some_steps_are_measured(make):  # noqa: F811
    study = make()
    seconds, candidate = learning_costs(study, [Learner("trained", {})])
    assert seconds == {"trained": 3 * math.ceil(len(study.split(0).train) / 2)}
    assert candidate > 0
    assert learning_costs(study, [Learner("trained", {})], candidates=0) == (seconds, 0.0)
    assert learning_costs(study, []) == ({}, 0.0)


def test_what_is_in_a_cache_is_measured_all_the_same(make, tmp_path):  # noqa: F811
    class Slow:
        label_names, columns, replayable = ["neg", "pos"], ["text"], True
        calls = 0

        def generate(self, labels, seed):
            self.calls += 1
            return [{"text": f"text {seed} {i}"} for i in range(len(labels))]

    slow = Slow()
    stream = SynthesisPipeline(CachedGenerator(slow, tmp_path / "cache"), [], np.array([0.5, 0.5]), 1, 8, 2)
    budget._example_seconds(stream, 4)
    assert slow.calls == 3
    budget._example_seconds(stream, 4)
    assert slow.calls == 6


@pytest.mark.parametrize(("attempts", "tries"), [(1, 1.0), (3, 1 + 5 / 6 + 25 / 36)])
def test_an_example_that_no_candidate_becomes_is_given_up(monkeypatch, attempts, tries):
    """Of four candidates none passes, so that one of six is expected to."""
    monkeypatch.setattr(budget, "_each", lambda *_: 10.0)
    nothing = Fluency(min_words=1000)
    stream = SynthesisPipeline(TEXT.generator(), [nothing], np.array([0.5, 0.5]), 1, 8, attempts)
    assert budget._example_seconds(stream, 4) == (pytest.approx(10 * tries), 1 / 6)


def test_of_candidates_that_are_made_together_each_further_one_costs_less():
    # Three seconds for any number, and one for each.
    assert budget._each(4.0, 11.0, 8, together=30) == pytest.approx(1.1)
    assert budget._each(4.0, 11.0, 8, together=1) == 4.0
    # Those that cost next to nothing may wait for others elsewhere.
    assert budget._each(4.0, 4.0, 8, together=64) == pytest.approx((4 + 63 * 0.25) / 64)
