from types import SimpleNamespace

import pytest
from transformers import TrainerCallback

from hf_augment.synthesis.shards import Shard, acceptance
from hf_augment.training.blend import RunShape
from tests.toys import TEXT, EveryThird, Recorder


def shape(num_rows=37, **changes):
    values = {
        "train_batch_size": 4,
        "world_size": 1,
        "dataloader_drop_last": False,
        "gradient_accumulation_steps": 1,
        "max_steps": -1,
        "num_train_epochs": 2.0,
    }
    return RunShape.find(SimpleNamespace(**(values | changes)), num_rows, ratio=0.5)


def test_the_shape_of_a_run_by_hand():
    # 37 rows, two in a batch: 19 batches, the last with one base row and one fill.
    assert shape() == RunShape(4, 1, 19, 38)
    assert shape(dataloader_drop_last=True) == RunShape(4, 1, 18, 36)
    assert shape(world_size=2) == RunShape(4, 1, 10, 20)
    # 19 batches are ten steps of two, the last of one.
    accumulated = shape(gradient_accumulation_steps=2, num_train_epochs=1.5)
    assert accumulated == RunShape(4, 2, 19, 15)
    assert [accumulated.batches_before(step) for step in (0, 9, 10, 11, 15)] == [0, 18, 19, 21, 29]
    assert shape(max_steps=7).total_steps == 7


def test_a_stream_is_one_epoch_of_max_steps():
    streamed = shape(num_rows=None, max_steps=10, gradient_accumulation_steps=3)
    assert streamed == RunShape(4, 3, 30, 10)
    assert streamed.steps_per_epoch == 10


def test_no_batch_at_all_is_an_error():
    with pytest.raises(ValueError, match="dataloader_drop_last=True leaves no batch of 4 on 1 processes from 1 rows"):
        shape(num_rows=1, dataloader_drop_last=True)


def test_acceptance_is_of_what_reached_each_filter():
    accounts = [
        Shard(0, candidates=60, rejected={"fluency": 10, "label_agreement": 25}, seconds=4.0),
        Shard(1, candidates=40, rejected={"fluency": 10, "label_agreement": 15}, seconds=6.0),
    ]
    assert acceptance(accounts) == {
        "acceptance_fluency": 0.8,
        "acceptance_label_agreement": 0.5,
        "acceptance": 0.4,
        "per_second": 4.0,
    }
    assert acceptance([]) == {}


class Stop(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


def test_the_share_shown_is_of_what_was_scheduled_and_counts_what_came_before_a_resume(tmp_path):
    toy = TEXT
    counted = {}
    for name, at in (("whole", None), ("cut", 12), ("cut", None)):
        options = {"filters": [EveryThird(toy)], "synthetic_max_attempts": 1, "synthetic_schedule": "cosine_decay"}
        options |= {"save_strategy": "steps", "save_steps": 12, "data_collator": (recorder := Recorder(toy))}
        trainer = toy.trainer(tmp_path / name, toy.generator(), **options)
        if at:
            trainer.add_callback(Stop(at))
        trainer.train(resume_from_checkpoint=name == "cut" and at is None)
        counted[name, at] = trainer._run.shown_share(trainer.state.global_step), sum(recorder.synthetic_rows())
    scheduled = trainer._run.plan.live
    whole, rows = counted["whole", None]
    assert whole == pytest.approx(rows / scheduled.sum())
    assert 0.3 < whole < 1
    assert counted["cut", None][0] == whole
    assert counted["cut", 12][0] * scheduled[:12].sum() == pytest.approx(counted["cut", 12][1], abs=2)
