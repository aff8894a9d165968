"""Shards that a run leaves behind, with equality to a run that keeps all of them."""

import json
import mmap
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from hf_augment import NearDuplicates
from tests.toys import (
    TEXT,
    EveryThird,
    Recorder,
    assert_equal_weights,
    comparable,
    each_toy,  # noqa: F401 - the fixture `toy`
    weights,
)
from tests.training.test_ranks import launch


class Watches(TrainerCallback):
    """Notes after each step which shards are on disk, and how large the file of prepared rows is."""

    def __init__(self):
        self.trainer, self.shards, self.bytes = None, [], []

    def on_step_end(self, args, state, control, **kwargs):
        self.shards.append(self.trainer.shards.indices())
        self.bytes.append(os.fstat(self.trainer._run.prepared.reader._descriptor).st_size)


def train(folder, toy, resume=None, **options):
    watches = Watches()
    trainer = toy.trainer(folder, toy.generator(), callbacks=[watches], **options)
    watches.trainer = trainer
    trainer.train(resume_from_checkpoint=resume)
    return trainer, watches


CASES = {
    "plain": {},
    "inline": {"synthetic_producer": "inline"},
    "reuse": {"synthetic_reuse": 3, "num_train_epochs": 6},
    "workers": {"dataloader_num_workers": 2, "dataloader_prefetch_factor": 4},
    "workers that stay": {"dataloader_num_workers": 1, "dataloader_persistent_workers": True},
    "accumulation": {"gradient_accumulation_steps": 2, "num_train_epochs": 4},
    "filters, schedule": {
        "filters": [EveryThird],
        "synthetic_max_attempts": 1,
        "synthetic_schedule": "linear_warmup",
        "num_train_epochs": 3,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_keeps_what_is_recent_is_one_that_keeps_all(tmp_path, toy, case):
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 4} | CASES[case]
    if "filters" in options:
        options["filters"] = [kind(toy) for kind in options["filters"]]
    (whole, _), (recent, watches) = (
        train(tmp_path / keep, toy, synthetic_keep=keep, **options) for keep in ("all", "recent")
    )
    assert_equal_weights(weights(whole.model), weights(recent.model))
    assert recent.shown_share == whole.shown_share

    def logs(trainer):
        timed = ("per_second", "wait", "runtime", "samples", "steps_per", "flos")
        return [{k: v for k, v in log.items() if not any(t in k for t in timed)} for log in trainer.state.log_history]

    assert logs(recent) == logs(whole)
    # Of 8 slots each, half of batches of 4, shown as often as it is said; the thread makes 4 ahead.
    kept, made = recent.shards.indices(), whole.shards.indices()
    assert len(made) >= 10 > len(kept)
    assert max(map(len, watches.shards)) < 10
    assert [account.index for account in recent.shards.accounts()] == made
    assert kept == made[-len(kept) :]
    for index in (0, kept[0]):
        audited = recent.blend.shard(index)
        assert comparable(audited.examples) == comparable(whole.shards.read(index).examples)
    assert recent.shards.indices() == kept, "an audit writes nothing"


def test_a_resume_from_an_older_checkpoint_makes_again_what_it_needs(tmp_path, toy):
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 6, "save_total_limit": 3}
    options |= {"synthetic_keep": "recent", "data_collator": (recorder := Recorder(toy))}
    whole, _ = train(tmp_path, toy, **options)
    checkpoints = sorted(int(path.name.split("-")[1]) for path in tmp_path.glob("checkpoint-*"))
    assert checkpoints == [30, 36, 40]
    oldest = min(checkpoints)
    needed = 2 * oldest // 8
    assert whole.shards.indices()[0] > needed
    shown = recorder.keys(synthetic=True)[2 * oldest :]
    options["data_collator"] = recorder = Recorder(toy)
    resumed, _ = train(tmp_path, toy, resume=str(tmp_path / f"checkpoint-{oldest}"), **options)
    assert_equal_weights(weights(resumed.model), weights(whole.model))
    assert recorder.keys(synthetic=True) == shown
    assert resumed.generator.calls


def test_a_generator_that_makes_other_examples_again_is_found_out(tmp_path):
    options = {"num_train_epochs": 2, "save_strategy": "steps", "save_steps": 10, "synthetic_keep": "recent"}
    train(tmp_path, TEXT, **options)
    generator = TEXT.generator("other")
    generator.fingerprint = lambda: "toy"
    changed = TEXT.trainer(tmp_path, generator, **options)
    with pytest.raises(ValueError, match="shard 0 was made again and is another one"):
        changed.blend.shard(0)
    with pytest.raises(RuntimeError, match="was made again and is another one"):
        changed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))


@pytest.mark.parametrize("strategy", ["no", "steps"])
def test_without_a_checkpoint_training_itself_leaves_shards_behind(tmp_path, strategy):
    """And while one may still come, none is deleted before it is there."""
    options = {"num_train_epochs": 2, "save_strategy": strategy, "save_steps": 30, "synthetic_keep": "recent"}
    _, watches = train(tmp_path, TEXT, **options)
    before = watches.shards[28]
    assert (before[0] == 0) == (strategy == "steps")
    assert watches.shards[-1][0] >= 7


def test_rows_of_a_long_run_take_no_more_room_than_those_of_a_short_one(tmp_path, toy):
    sizes = [max(train(tmp_path / str(steps), toy, max_steps=steps)[1].bytes) for steps in (10, 60)]
    assert sizes[0] // mmap.ALLOCATIONGRANULARITY == sizes[1] // mmap.ALLOCATIONGRANULARITY


def test_filters_that_need_all_earlier_examples_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"synthetic_keep='recent' does not go with .* \['near_duplicates'\]"):
        TEXT.trainer(tmp_path, TEXT.generator(), filters=[NearDuplicates()], synthetic_keep="recent")


def test_a_generator_that_makes_nothing_again_is_refused(tmp_path):
    generator = TEXT.generator()
    generator.replayable = False
    with pytest.raises(ValueError, match="synthetic_keep='recent' deletes what ToyGenerator would not make again"):
        TEXT.trainer(tmp_path, generator, synthetic_keep="recent")


def test_what_a_resumed_run_skips_is_neither_read_nor_prepared(tmp_path, monkeypatch):
    from hf_augment.synthesis.shards import ShardStore

    options = {"num_train_epochs": 1, "save_strategy": "steps", "save_steps": 15}
    whole, _ = train(tmp_path, TEXT, **options)
    shutil.rmtree(tmp_path / "checkpoint-20")
    read, reads = [], ShardStore.read
    monkeypatch.setattr(ShardStore, "read", lambda store, index: read.append(index) or reads(store, index))
    resumed, _ = train(tmp_path, TEXT, resume=True, **options)
    assert_equal_weights(weights(resumed.model), weights(whole.model))
    assert min(read) == 30 // 8


@pytest.mark.slow
def test_two_processes_leave_their_own_shards_behind(tmp_path, toy):
    options = {"save_strategy": "steps", "save_steps": 3, "num_train_epochs": 4, "save_total_limit": 2}
    for name, keep in (("all", "all"), ("recent", "recent")):
        done = launch(toy, tmp_path / name, args=options | {"synthetic_keep": keep})
        assert done.returncode == 0, done.stderr[-2000:]
    final = [load_file(tmp_path / name / "final/model.safetensors") for name in ("all", "recent")]
    assert_equal_weights(*final)
    seen = [
        [json.loads((tmp_path / f"{name}/seen-{rank}.json").read_text()) for rank in (0, 1)]
        for name in ("all", "recent")
    ]
    assert seen[0] == seen[1]
    kept, made = (len(list((tmp_path / name).rglob("shard-*.arrow"))) for name in ("recent", "all"))
    assert kept < made
    oldest = min((tmp_path / "recent").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    rest = launch(toy, tmp_path / "recent", args=options | {"synthetic_keep": "recent"}, resume=str(oldest))
    assert rest.returncode == 0, rest.stderr[-2000:]
    assert_equal_weights(final[0], load_file(tmp_path / "recent/final/model.safetensors"))
    assert all(torch.isfinite(tensor).all() for tensor in final[0].values())
