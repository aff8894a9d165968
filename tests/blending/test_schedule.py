import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_augment.blending.schedule import BlendPlan, RatioSchedule, base_rows_before, batches_per_epoch


ratios = st.integers(1, 90).map(lambda n: n / 100)


@given(st.integers(1, 64), ratios, st.integers(1, 30), st.integers(1, 3), st.sampled_from(list(RatioSchedule)))
def test_slots_and_live_slots_against_a_naive_count(batch_size, ratio, batches, epochs, schedule):
    if math.ceil(batch_size * Fraction(str(ratio))) >= batch_size or batches * batch_size * Fraction(str(ratio)) < 1:
        return
    plan = BlendPlan(batch_size, ratio, batches, batches * epochs, schedule, 0.5)
    total = plan.slots[:batches].sum()
    assert total == math.floor(batches * batch_size * Fraction(str(ratio)))
    assert all(plan.slots[i * batches : (i + 1) * batches].sum() == total for i in range(epochs))
    assert (plan.live <= plan.slots).all()
    assert (plan.live >= 0).all()
    assert (plan.batch_size - plan.slots >= 1).all()
    exact = [math.floor(m * batch_size * Fraction(str(ratio))) for m in range(batches + 1)]
    assert plan.slots.tolist() == [b - a for a, b in itertools.pairwise(exact)] * epochs
    assert plan.first_draw.tolist() == [0, *np.cumsum(plan.live).tolist()]
    carried, naive = 0.0, 0
    for m, slots in enumerate(plan.slots.tolist()):
        carried += slots * float(schedule.factor(np.float64(m / len(plan.slots)), 0.5))
        naive += math.floor(carried)
        carried -= math.floor(carried)
        # Where it comes out even, rounding may put a slot into the batch before or after.
        assert abs(plan.first_draw[m + 1] - naive) <= (min(carried, 1 - carried) < 1e-6)


@given(st.floats(1e-18, 0.9), st.integers(2, 40))
def test_slots_of_any_ratio_are_counted_exactly(ratio, batches):
    if math.ceil(8 * Fraction(str(ratio))) >= 8 or batches * 8 * Fraction(str(ratio)) < 1:
        return
    exact = [math.floor(m * 8 * Fraction(str(ratio))) for m in range(batches + 1)]
    assert BlendPlan(8, ratio, batches, batches).slots.tolist() == [b - a for a, b in itertools.pairwise(exact)]


def test_three_tenths_of_ten_rows_are_three_in_every_batch():
    assert set(BlendPlan(10, 0.3, 1000, 1000).slots.tolist()) == {3}


@given(st.integers(10, 60), st.sampled_from([4, 8, 16]), st.sampled_from([0.5, 0.3, 1.0]))
def test_a_warm_up_never_has_more_live_slots_than_slots(batches, batch_size, fraction):
    plan = BlendPlan(batch_size, 0.5, batches, batches, RatioSchedule.LINEAR_WARMUP, fraction)
    assert (plan.live <= plan.slots).all()


def test_each_schedule_takes_the_course_it_is_named_for():
    def live(schedule, fraction=0.5):
        return BlendPlan(8, 0.5, 8, 8, schedule, fraction).live.tolist()

    assert live(RatioSchedule.CONSTANT) == [4] * 8
    assert live(RatioSchedule.LINEAR_WARMUP) == [0, 1, 2, 3, 4, 4, 4, 4]
    assert live(RatioSchedule.STOP_AFTER) == [4, 4, 4, 4, 0, 0, 0, 0]
    assert live(RatioSchedule.STOP_AFTER, 0.25) == [4, 4, 0, 0, 0, 0, 0, 0]
    # 4, 3.41, 2, 0.59 and nothing, with what rounding cuts off carried on.
    assert live(RatioSchedule.COSINE_DECAY) == [4, 3, 2, 1, 0, 0, 0, 0]


@given(st.integers(1, 500), st.integers(2, 16), ratios, st.integers(1, 4), st.booleans())
def test_an_epoch_holds_the_real_data_once_in_as_few_batches_as_can(rows, batch_size, ratio, world_size, drop_last):
    if math.ceil(batch_size * Fraction(str(ratio))) >= batch_size:
        return
    batches = batches_per_epoch(rows, batch_size, ratio, world_size, drop_last)

    def held(count):
        return world_size * base_rows_before(batch_size, ratio, count)

    if drop_last:
        assert held(batches) <= rows < held(batches + 1)
    else:
        assert held(batches - 1) < rows <= held(batches)


def test_a_ratio_too_small_or_too_large_for_the_batch_is_refused():
    with pytest.raises(ValueError, match=r"synthetic_ratio=0\.01 leaves no synthetic row in 10 batches of 4"):
        BlendPlan(4, 0.01, 10, 10)
    with pytest.raises(ValueError, match=r"synthetic_ratio=0\.9 leaves batches of 4 without a real row"):
        BlendPlan(4, 0.9, 10, 10)
