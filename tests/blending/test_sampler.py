import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard, SkipBatchSampler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import IterableDataset, RandomSampler, SequentialSampler, WeightedRandomSampler

from hf_augment.blending.rows import MapRows, StreamRows
from hf_augment.blending.sampler import BlendedBatchSampler, BlendProgress, DrawLayout, Slot
from hf_augment.blending.schedule import BlendPlan, batches_per_epoch
from hf_augment.seeding import derive_rng


def all_accepted(shard_size):
    return lambda shard: np.ones(shard_size, dtype=bool)


def batches(
    rank, world_size, epoch=0, rows=20, batch_size=4, ratio=0.5, epochs=2, reuse=1, accepted=None, skip=0, scales=()
):
    """The batches of one rank as accelerate would deal them."""
    per_epoch = batches_per_epoch(rows, batch_size, ratio, world_size, False)
    plan = BlendPlan(batch_size, ratio, per_epoch, per_epoch * epochs)
    layout = DrawLayout(8, reuse, seed=3, rank=rank, world_size=world_size)
    real = MapRows(RandomSampler(range(rows)), seed=3)
    sampler = BlendedBatchSampler(plan, layout, real, accepted or all_accepted(8), lambda: epoch)
    for batch, factor in scales:
        sampler.progress.scale(batch, factor)
    return list(SkipBatchSampler(BatchSamplerShard(sampler, world_size, rank), skip)), plan, layout


def slot(layout, draw):
    """The slot of one draw, by a loop over the showings before it."""
    block, within = divmod(draw, layout.shard_size * layout.reuse)
    shard = range(layout.rank, 10**6, layout.world_size)[block]
    for times_shown in range(layout.reuse):
        order = derive_rng(layout.seed, "draw_order", shard, times_shown).permutation(layout.shard_size)
        if within < layout.shard_size:
            return shard * layout.shard_size + int(order[within])
        within -= layout.shard_size
    raise AssertionError


def slots(layout, draws):
    return [shard * layout.shard_size + place for shard, places in layout.slots(draws) for place in places.tolist()]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0, 60), st.integers(0, 60)
)
def test_draws_in_one_go_are_those_one_by_one(shard_size, reuse, world_size, rank, first, number):
    layout = DrawLayout(shard_size, reuse, 5, min(rank, world_size - 1), world_size)
    draws = range(first, first + number)
    assert slots(layout, draws) == [slot(layout, draw) for draw in draws]
    located = layout.locate(np.arange(first, first + number))
    assert [tuple(map(int, each)) for each in zip(*located, strict=True)] == [layout.locate(draw) for draw in draws]


def split(keys):
    return [k for k in keys if not isinstance(k, Slot)], [int(k) for k in keys if isinstance(k, Slot)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 60), st.integers(2, 8), st.sampled_from([0.1, 0.25, 0.3, 0.5]), st.integers(1, 3)
)
def test_ranks_share_the_real_rows_and_no_slot(world_size, rows, batch_size, ratio, reuse):
    drawn, epochs = [], 2
    for epoch in range(epochs):
        base = []
        for rank in range(world_size):
            try:
                dealt, plan, layout = batches(rank, world_size, epoch, rows, batch_size, ratio, epochs, reuse)
            except ValueError:
                return  # Too few rows for one synthetic one, or too many in a batch.
            assert all(len(batch) == batch_size for batch in dealt)
            assert len(dealt) == plan.batches_per_epoch
            for m, batch in enumerate(dealt):
                real, slots = split(batch)
                base += real[: batch_size - int(plan.slots[m])]
                drawn += slots
                assert len(slots) == plan.live[epoch * plan.batches_per_epoch + m]
                assert all(slot // 8 in layout.shards(plan.total_draws) for slot in slots)
        assert set(base) == set(range(rows)), "every real row, every epoch"
        assert len(base) - rows < 2 * batch_size * world_size
    counts = np.unique(drawn, return_counts=True)[1]
    assert counts.max(initial=0) <= reuse
    owners = {slot // 8 % world_size for slot in drawn}
    assert owners <= set(range(world_size))


def test_each_example_is_shown_reuse_times_before_the_next_shard_and_in_another_order():
    layout = DrawLayout(shard_size=8, reuse=3, seed=0, rank=1, world_size=2)
    drawn = slots(layout, range(48))
    assert sorted(drawn[:24]) == sorted(list(range(8, 16)) * 3), "rank 1 begins with shard 1"
    assert sorted(drawn[24:]) == sorted(list(range(24, 32)) * 3)
    assert drawn[:8] != drawn[8:16] != drawn[16:24]
    assert layout.locate(17) == (1, 2, 1)
    assert list(layout.shards(25)) == [1, 3]
    assert layout.first_draw(3) == 24


def test_a_resumed_sampler_goes_on_with_the_same_keys():
    whole, _, _ = batches(0, 2, epoch=1)
    rest, _, _ = batches(0, 2, epoch=1, skip=3)
    assert rest == whole[3:]


def test_batches_that_a_resumed_loader_throws_away_ask_for_no_shard():
    def accepted(shard):
        asked.append(shard)
        return np.ones(8, dtype=bool)

    whole, plan, layout = batches(0, 2, rows=80, epochs=1)
    asked = []
    real = MapRows(RandomSampler(range(80)), seed=3)
    sampler = BlendedBatchSampler(plan, layout, real, accepted, lambda: 0)
    sampler.first_batch = 15
    rest = list(SkipBatchSampler(BatchSamplerShard(sampler, 2, 0), 15))
    assert rest == whole[15:]
    assert set(asked) == {shard for shard, _ in layout.slots(range(plan.first_draw[15], plan.total_draws))} != {0}


def test_every_batch_has_a_seed_of_its_own_and_keeps_it_on_resume():
    seeds = [[batch.seed for batch in batches(rank, 2, epoch)[0]] for rank in range(2) for epoch in range(2)]
    assert [len(of_an_epoch) for of_an_epoch in seeds] == [5] * 4
    assert len({seed for of_an_epoch in seeds for seed in of_an_epoch}) == 20
    assert [batch.seed for batch in batches(1, 2, epoch=1, skip=3)[0]] == seeds[3][3:]
    rejecting = batches(1, 2, epoch=1, accepted=lambda shard: np.zeros(8, dtype=bool))[0]
    assert [batch.seed for batch in rejecting] == seeds[3]


def test_ranks_fill_empty_slots_with_rows_of_their_own():
    none = lambda shard: np.zeros(8, dtype=bool)  # noqa: E731
    dealt, plan = [], None
    for rank in (0, 1):
        made, plan, _ = batches(rank, 2, rows=40, accepted=none)
        dealt.append([row for m, batch in enumerate(made) for row in batch[plan.batch_size - int(plan.slots[m]) :]])
    assert len(dealt[0]) == len(dealt[1]) == 20
    assert len({*dealt[0], *dealt[1]}) == 40, "no row fills twice before each has filled once"


def test_a_share_of_the_slots_is_exact():
    progress = BlendProgress(BlendPlan(2, 0.5, 100, 100), DrawLayout(8, 1, seed=0))
    progress.scale(0, 0.29)  # As a binary number times 100 it is a little less than 29.
    assert progress.first_draw[-1] == 29


def test_rejected_slots_become_real_rows_and_nothing_else_moves():
    def even(shard):
        return np.arange(8) % 2 == 0

    full, plan, _ = batches(0, 1)
    fewer, _, _ = batches(0, 1, accepted=even)
    for m, (a, b) in enumerate(zip(full, fewer, strict=True)):
        kept = [slot for slot in split(a)[1] if slot % 2 == 0]
        assert split(b)[1] == kept
        n = plan.batch_size - int(plan.slots[m])
        assert b[:n] == a[:n]
        assert len(b) == len(a)


def of_a_run(rank, world_size, epochs, **options):
    """The batches of all epochs, or nothing where there are too few rows for a synthetic one."""
    try:
        dealt = [batches(rank, world_size, epoch, epochs=epochs, **options) for epoch in range(epochs)]
    except ValueError:
        return [], None
    return [split(batch) for epoch, _, _ in dealt for batch in epoch], dealt[0][1]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2),
    st.integers(4, 60),
    st.integers(2, 8),
    st.sampled_from([0.1, 0.3, 0.5]),
    st.integers(1, 2),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0])), max_size=3).map(sorted),
)
def test_a_factor_leaves_slots_to_real_rows_and_nothing_else_moves(world_size, rows, batch_size, ratio, reuse, scales):
    options = {"rows": rows, "batch_size": batch_size, "ratio": ratio, "reuse": reuse}
    of_ranks = []
    for rank in range(world_size):
        full, plan = of_a_run(rank, world_size, 2, **options)
        scaled, _ = of_a_run(rank, world_size, 2, scales=scales, **options)
        in_force = [next((f for b, f in reversed(scales) if b <= m), 1.0) for m in range(len(full))]
        for m, ((real, slots), (fewer_real, fewer)) in enumerate(zip(full, scaled, strict=True)):
            assert len(fewer_real) + len(fewer) == batch_size
            base = batch_size - int(plan.slots[m])
            assert fewer_real[:base] == real[:base], "no base row is lost"
            assert len(fewer) <= len(slots)
            assert in_force[m] > 0 or not fewer
        before = next((b for b, f in scales if f < 1.0), len(full))
        assert scaled[:before] == full[:before], "factor 1 changes nothing"
        # The examples are those that come next, whatever was left out before.
        shown = [slot for _, slots in scaled for slot in slots]
        assert shown == [slot for _, slots in full for slot in slots][: len(shown)]
        # What the factor leaves is exact up to one row for each change of it.
        left = sum(len(slots) * factor for (_, slots), factor in zip(full, in_force, strict=True))
        assert left - len(scales) - 1 < len(shown) <= left + 1e-6
        of_ranks.append([len(slots) for _, slots in scaled])
    assert all(counts == of_ranks[0] for counts in of_ranks), "ranks keep step"


def test_shards_that_a_factor_leaves_out_are_not_waited_for():
    asked = []

    def accepted(shard):
        asked.append(shard)
        return np.ones(8, dtype=bool)

    dealt, _, _ = batches(0, 1, rows=40, accepted=accepted, scales=[(0, 0.0), (6, 1.0), (8, 0.0)])
    assert [len(split(batch)[1]) for batch in dealt] == [0] * 6 + [2] * 2 + [0] * 12
    assert set(asked) == {0}


def test_progress_describes_what_a_factor_left():
    plan, layout = BlendPlan(4, 0.5, 8, 8), DrawLayout(shard_size=4, reuse=2, seed=0)
    real = MapRows(SequentialSampler(range(16)), 0)
    sampler = BlendedBatchSampler(plan, layout, real, all_accepted(4), lambda: 0)
    sampler.progress.scale(2, 0.5)
    sampler.progress.scale(6, 0.0)
    list(sampler)
    assert sampler.progress.first_draw.tolist() == [0, 2, 4, 5, 6, 7, 8, 8, 8]
    assert sampler.progress.summary(0, 2) == {"ratio": 0.5, "reuse": 1.0, "age": 0.5}
    assert sampler.progress.summary(2, 6) == {"ratio": 0.25, "reuse": 2.0, "age": 3.5}
    assert sampler.progress.summary(6, 8) == {"ratio": 0.0}
    sampler.progress.scale(100, 1.0)
    assert sampler.progress.first_draw[-1] == 8


def test_shards_are_waited_for_only_by_their_rank_and_before_the_batch_goes_out():
    asked = []

    def accepted(shard):
        asked.append(shard)
        return np.ones(8, dtype=bool)

    batches(1, 2, accepted=accepted)
    assert set(asked) == {1, 3}, "rank 1 of 2 has the odd ones"


def test_the_plan_ends_the_epoch_where_the_run_ends():
    plan = BlendPlan(4, 0.5, batches_per_epoch=10, total_batches=13)
    sampler = BlendedBatchSampler(
        plan, DrawLayout(8, 1, 0), MapRows(SequentialSampler(range(20)), 0), all_accepted(8), lambda: 1
    )
    assert len(list(sampler)) == 3


def test_progress_tells_ratio_reuse_and_age():
    plan, layout = BlendPlan(4, 0.5, 8, 8), DrawLayout(shard_size=4, reuse=2, seed=0)
    sampler = BlendedBatchSampler(
        plan,
        layout,
        MapRows(SequentialSampler(range(16)), 0),
        lambda shard: np.array([True, True, True, False]),
        lambda: 0,
    )
    list(sampler)
    # Two draws a batch: a shard is shown once in two batches, twice in four, then the next begins.
    assert sampler.progress.summary(0, 2) == {"ratio": 3 / 8, "reuse": 1.0, "age": 0.5}
    assert sampler.progress.summary(2, 4) == {"ratio": 3 / 8, "reuse": 2.0, "age": 2.5}
    assert sampler.progress.summary(4, 8) == {"ratio": 6 / 16, "reuse": 1.5, "age": 1.5}
    assert sampler.progress.summary(8, 8) == {}


@pytest.mark.parametrize("sampler", [RandomSampler(range(9)), WeightedRandomSampler([1.0] * 9, 9)])
def test_any_sampler_is_seeded_by_the_epoch_whatever_the_global_state(sampler):
    rows = MapRows(sampler, seed=5)
    torch.manual_seed(0)
    first = rows.base(0)(20)
    state = torch.get_rng_state()
    take = MapRows(sampler, seed=5).base(0)
    assert [*take(2), *take(0), *take(9)] == first
    assert take(1) == []
    assert torch.equal(torch.get_rng_state(), state)
    assert rows.base(1)(20) != first
    assert sorted(rows.fill(0, i) for i in range(9)) == sorted(first)


def test_a_row_that_the_sampler_leaves_out_fills_no_slot():
    rows = MapRows(WeightedRandomSampler([1.0, 0.0, 1.0], 6), seed=5)
    assert sorted(rows.fill(0, i) for i in range(6)) == sorted(rows.base(0)(6))
    assert {rows.fill(1, i) for i in range(6)} <= {0, 2}


def test_a_sampler_is_asked_for_as_many_rows_as_it_has_and_no_more():
    class Ends(SequentialSampler):
        def __iter__(self):
            yield from super().__iter__()
            raise AssertionError

    assert MapRows(Ends(range(3)), seed=0).base(0)(5) == [0, 1, 2]
    assert MapRows((i for i in range(3)), seed=0).base(0)(5) == [0, 1, 2]


def test_a_sampler_with_a_generator_of_its_own_orders_an_epoch_alike_whatever_was_drawn_before():
    rows = MapRows(RandomSampler(range(9), generator=torch.Generator().manual_seed(3)), seed=0)
    orders = [rows.base(epoch)(20) for epoch in (0, 1, 1, 0)]
    assert orders[0] == orders[3] != orders[1] == orders[2]
    assert sorted(orders[0]) == list(range(9))


class Stream(IterableDataset):
    def __init__(self, rows):
        self.rows, self.epochs = rows, []

    def set_epoch(self, epoch):
        self.epochs.append(epoch)

    def __iter__(self):
        return iter(range(self.rows))


def test_a_stream_is_read_again_from_its_start_and_fills_are_rows_read_lately():
    stream = Stream(5)
    rows = StreamRows(stream, seed=0, remembered=3)
    take = rows.base(0)
    assert [*take(4), *take(0), *take(8)] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert stream.epochs == [0, 1, 2]
    assert {rows.fill(0, i) for i in range(30)} == {4, 0, 1}
    assert [rows.fill(0, i) for i in range(30)] == [rows.fill(0, i) for i in range(30)]


def test_an_empty_stream_is_an_error_not_a_hang():
    with pytest.raises(ValueError, match="a stream without a row"):
        StreamRows(Stream(0), seed=0).base(0)(1)


def test_a_stream_that_draws_is_alike_batch_by_batch_and_moves_nothing_outside():
    class Draws(Stream):
        def __iter__(self):
            return (torch.rand(()).item() for _ in range(self.rows))

    state = torch.get_rng_state()
    one, other = (StreamRows(Draws(5), seed=0).base(0) for _ in range(2))
    first = [one(3), one(4)]
    torch.rand(1)
    assert [other(3), other(4)] == first
    assert len({number for taken in first for number in taken}) == 7
    torch.set_rng_state(state)
    one(3)
    assert torch.equal(torch.get_rng_state(), state)
