import pytest
from transformers import TrainerCallback

from hf_augment.synthesis.shards import Shard, acceptance
from tests.toys import TEXT, EveryThird, Recorder


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
