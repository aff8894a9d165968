"""Draws of what rounds chose, beside a naive account of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.blending.chosen import ChosenLayout


@st.composite
def layouts(draw):
    steps = draw(st.lists(st.integers(0, 40), min_size=1, max_size=6))
    starts = np.concatenate([[0], np.cumsum(steps)]).tolist()
    return ChosenLayout(
        shard_size=draw(st.integers(1, 9)),
        reuse=draw(st.integers(1, 3)),
        seed=draw(st.integers(0, 5)),
        rank=draw(st.integers(0, 1)),
        world_size=2,
        starts=tuple(starts),
        candidates=draw(st.sampled_from([1.0, 1.3, 2.0, 3.5])),
        lifetime=draw(st.integers(1, 3)),
    )


def choose_all(layout, seed=0):
    """Chooses in each round at random of its pool, without what was shown before; returns what each period shows."""
    rng, shown = np.random.default_rng(seed), set(layout.walked())
    periods = [sorted(shown)]
    for number in layout.rounds:
        pool = layout.pool(number)[0]
        free = [s for shard in pool for s in range(shard * layout.shard_size, (shard + 1) * layout.shard_size)]
        free = [slot for slot in free if slot not in shown]
        chosen = sorted(rng.permutation(free)[: layout.wanted(number)].tolist()) if free else []
        layout.chosen[number] = chosen
        # No slot is left to a real row while there are candidates: shards do not end before they are used up.
        assert len(chosen) == layout.wanted(number)
        shown.update(chosen)
        periods.append(chosen)
    return periods


@settings(max_examples=150, deadline=None)
@given(layouts())
def test_each_period_shows_what_was_chosen_as_often_as_said(layout):
    layout = layout.for_run()
    periods = choose_all(layout)
    for period, chosen in enumerate(periods[1:], start=1):
        draws = range(layout.starts[period], layout.starts[period + 1])
        shown = [shard * layout.shard_size + int(p) for shard, places in layout.slots(draws) for p in places]
        assert set(shown) <= set(chosen)
        counts = [shown.count(slot) for slot in chosen]
        # One showing after the other, the last of them as far as draws go.
        assert max(counts, default=0) - min(counts, default=0) <= 1
        assert len(shown) == min(len(draws), layout.reuse * len(chosen))
        numbers, shards, times = layout.shown(draws)
        assert numbers.tolist() == [*draws][: len(shown)]
        assert shards.tolist() == [slot // layout.shard_size for slot in shown]
        assert times.tolist() == [shown[:i].count(slot) for i, slot in enumerate(shown)]


@settings(max_examples=150, deadline=None)
@given(layouts())
def test_pools_are_of_this_rank_grow_with_what_is_shown_and_end(layout):
    made, wanted = list(layout.shards(layout.starts[-1])), layout.wanted(0)
    assert all(shard % 2 == layout.rank for shard in made)
    first_known = {}
    for number in layout.rounds:
        wanted += layout.wanted(number)
        pool, new = layout.pool(number)
        assert set(new) <= set(pool)
        for shard in new:
            assert shard not in first_known
            first_known[shard] = number
        # As many candidates as were promised have been made.
        known = made.index(pool[-1]) + 1 if pool else len(made)
        assert not layout.wanted(number) or known * layout.shard_size >= layout.candidates * wanted - 1e-6
        assert all(first_known[shard] > number - layout.lifetime for shard in pool)
        # Nothing is given up that a round reads, or that its period shows; a run keeps the last shard of the walk.
        walked = -(-layout.starts[1] // layout.draws_per_shard)
        needed = pool if layout.wanted(number) else [shard for shard in new if shard // 2 >= walked]
        assert layout.done(layout.starts[number]) <= (made.index(needed[0]) if needed else len(made))
    assert set(first_known) <= set(made)


@settings(max_examples=100, deadline=None)
@given(layouts())
def test_what_is_done_is_never_shown_again(layout):
    layout = layout.for_run()
    choose_all(layout)
    made = list(layout.shards(layout.starts[-1]))
    last = [-1] * len(made)
    for draw in range(layout.starts[-1]):
        for shard, _ in layout.slots(range(draw, draw + 1)):
            last[made.index(shard)] = draw
    for draw in range(layout.starts[-1]):
        assert all(last[i] < draw for i in range(layout.done(draw)))
        assert layout.in_order(draw) == min(draw, layout.starts[1])


def test_by_hand():
    layout = ChosenLayout(4, 1, 0, starts=(0, 6, 10, 14), candidates=2.0, lifetime=1).for_run()
    assert list(layout.rounds) == [1, 2]
    # Two shards hold the first six; twice ten are in five, twice fourteen in seven.
    assert layout.shards(14) == range(7)
    assert layout.pool(1) == (range(1, 5), range(1, 5))
    assert layout.pool(2) == (range(5, 7), range(5, 7))
    assert len(layout.walked()) == 6
    assert {0, 1, 2, 3} < layout.walked()
    layout.chosen[1] = [17, 19]
    numbers, shards, times = layout.shown(range(6, 10))
    assert (numbers.tolist(), shards.tolist(), times.tolist()) == ([6, 7], [4, 4], [0, 0])
    assert layout.first_draw(np.array([0, 1, 2, 4, 5])).tolist() == [0, 4, 6, 6, 10]
    with pytest.raises(RuntimeError, match="Round 2 was asked for what it chose before it was held"):
        list(layout.slots(range(10, 11)))
    assert layout.for_run().chosen == {}
