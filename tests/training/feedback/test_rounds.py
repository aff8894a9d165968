"""Rounds in a run: that they change nothing but what they choose, and that nothing is scored twice."""

import dataclasses
import json
import signal

import numpy as np
import pytest
from safetensors.torch import load_file
from transformers import TrainerCallback

from hf_augment import (
    AgreementSelection,
    AugmentationGuard,
    ClassAllocation,
    HardSeeds,
    LabelAgreement,
    Policy,
    UncertaintySelection,
)
from hf_augment.training.feedback import checks
from tests.toys import (
    TEXT,
    EveryThird,
    Recorder,
    assert_equal_weights,
    each_toy,  # noqa: F401 - the fixture `toy`
    run_python,
    weights,
)
from tests.training.test_ranks import launch_script


class Counting(UncertaintySelection):
    """Counts the candidates that it was asked about; prefers what the classifier gets wrong."""

    def __init__(self, log=None):
        super().__init__(random_share=0.2)
        self.log, self.asked = log, []

    def score(self, round, candidates):
        self.asked += candidates.slots.tolist()
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{round.number}\n")
        return super().score(round, candidates)


def train(folder, toy, resume=None, policies=(), **options):
    values = {"synthetic_feedback": 4, "num_train_epochs": 2, "eval_dataset": toy.dataset(20, seed=3)} | options
    trainer = toy.trainer(folder, toy.generator(), policies=list(policies), **values)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def test_all_is_shown_once_of_candidates_that_were_scored_once(tmp_path, toy):
    recorder, policy = Recorder(toy), Counting()
    trainer = train(tmp_path, toy, policies=[policy], train_collator=recorder, filters=[EveryThird(toy)])
    shown = recorder.keys(synthetic=True)
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(map(toy.key, trainer.shards.dataset()))
    assert len(policy.asked) == len(set(policy.asked)) > 0
    # Steps 20 + 24, 28, ... of 40; two rows in each.
    layout = trainer._feedback.layout
    assert layout.starts == (0, 40, 48, 56, 64, 72, 80)
    # Candidates for all that is shown were made, and no more than the last shard needs.
    assert len(trainer.shards.indices()) == -(-2 * 80 // 8)
    assert trainer.shown_share == len(shown) / 80
    assert [brief.number for brief in trainer._feedback.briefs] == [1, 2, 3, 4, 5]
    chosen = [slot for brief in trainer._feedback.briefs for slot in brief.chosen[0]]
    assert len(chosen) == len(set(chosen)) == 40
    assert not set(chosen) & layout.walked()


def test_what_is_chosen_has_a_higher_entropy_than_the_rest(tmp_path):
    policy = UncertaintySelection(random_share=0.0, max_entropy=1.0)
    # A classifier that is unsure of some: few steps, and a candidate is chosen out of four.
    options = {"learning_rate": 1e-3, "synthetic_candidates": 4.0, "num_train_epochs": 4, "synthetic_feedback": 10}
    trainer = train(tmp_path, TEXT, policies=[policy], **options)
    figures = [brief.figures for brief in trainer._feedback.briefs]
    assert np.mean([f["entropy_chosen"] - f["entropy"] for f in figures if "entropy_chosen" in f]) > 0
    last = [log for log in trainer.state.log_history if "loss" in log][-1]
    assert last["synthetic_round"] == len(figures)
    assert last["synthetic_entropy"] == round(figures[-1]["entropy"], 4)


def test_live_and_static_show_as_many_of_the_same_candidates(tmp_path, toy):
    recorders, runs = [], []
    for policies in ([], [UncertaintySelection()]):
        recorders.append(Recorder(toy))
        values = {"synthetic_dir": str(tmp_path / "shards"), "train_collator": recorders[-1]}
        runs.append(train(tmp_path / str(len(runs)), toy, policies=policies, **values))
    static, live = runs
    assert live.generator.calls == []
    assert static.shards.folder == live.shards.folder
    shown = [recorder.keys(synthetic=True) for recorder in recorders]
    assert len(shown[0]) == len(shown[1])
    # The first period knows nothing of a classifier.
    assert shown[0][:40] == shown[1][:40]
    assert shown[0][40:] != shown[1][40:]


def test_shares_of_classes_are_those_of_the_policy(tmp_path, toy):
    class Only(Policy):
        name = "only_one_class"

        def class_shares(self, round):
            return np.array([0.25, 0.75])

    recorder = Recorder(toy)
    trainer = train(tmp_path, toy, policies=[Only()], synthetic_candidates=4.0, train_collator=recorder)
    labels = trainer.blend.pipeline.labels
    for brief in trainer._feedback.briefs:
        assert brief.class_shares == [0.25, 0.75]
        classes = [labels(slot // 8)[slot % 8] for slot in brief.chosen[0]]
        assert (len(classes), sum(classes)) == (8, 6)
        # Nothing was asked about validation rows.
        assert brief.confusions == []


def test_briefs_tell_what_validation_rows_were_taken_for(tmp_path):
    trainer = train(tmp_path, TEXT, policies=[ClassAllocation()])
    assert len(trainer.briefs) == 5
    for brief in trainer.briefs:
        wrong = sum(rows for *_, rows in brief.confusions)
        assert brief.figures["validation_accuracy"] == pytest.approx(1 - wrong / 20)
        assert {(label, taken) for label, taken, _ in brief.confusions} <= {(0, 1), (1, 0)}
    assert any(brief.confusions for brief in trainer.briefs)


def test_thread_inline_and_workers_train_alike(tmp_path, toy):
    ways = ({}, {"synthetic_producer": "inline"}, {"dataloader_num_workers": 2})
    runs = [
        train(tmp_path / str(i), toy, policies=[Counting(), ClassAllocation(ahead=True), HardSeeds()], **way)
        for i, way in enumerate(ways)
    ]
    assert sum(len(brief.seeds[0]) for brief in runs[0]._feedback.briefs) > 10
    for run in runs[1:]:
        assert_equal_weights(weights(run.model), weights(runs[0].model))
        assert run._feedback.briefs == runs[0]._feedback.briefs


@pytest.mark.parametrize(
    "options",
    [
        {"synthetic_schedule": "stop_after"},
        {"synthetic_schedule": "cosine_decay", "synthetic_reuse": 2},
        {"synthetic_schedule": "linear_warmup"},
        {"synthetic_shard_size": 64},
        {"synthetic_candidates": 1.0, "synthetic_shard_size": 16, "synthetic_keep": "recent"},
        {"synthetic_shard_size": 32, "synthetic_keep": "recent"},
    ],
)
def test_all_that_is_scheduled_is_shown_with_shards_and_schedules_of_any_kind(tmp_path, options):
    recorder = Recorder(TEXT)
    trainer = train(tmp_path, TEXT, policies=[Counting()], train_collator=recorder, num_train_epochs=3, **options)
    shown = recorder.keys(synthetic=True)
    assert len(shown) == trainer.blend.plan.total_draws
    assert trainer.shown_share == 1.0


def test_a_brief_is_read_again_only_by_a_run_that_would_decide_alike(tmp_path):
    shared = {"synthetic_dir": str(tmp_path / "shards")}
    first = train(tmp_path / "0", TEXT, policies=[Counting(), ClassAllocation()], **shared)
    changes = (
        {"eval_dataset": TEXT.dataset(30, seed=9)},
        {"synthetic_candidates": 4.0},
        {"synthetic_schedule": "stop_after", "synthetic_schedule_fraction": 0.9},
    )
    for i, change in enumerate(changes, start=1):
        policy = Counting()
        trainer = train(tmp_path / str(i), TEXT, policies=[policy, ClassAllocation()], **shared | change)
        assert policy.asked
        assert trainer._feedback.briefs[0].key != first._feedback.briefs[0].key
    again = Counting()
    trainer = train(tmp_path / "again", TEXT, policies=[again, ClassAllocation()], **shared)
    assert again.asked == []
    assert trainer._feedback.briefs == first._feedback.briefs
    # Chance has another share in it.
    again.random_share = 0.9
    trainer = train(tmp_path / "more", TEXT, policies=[again, ClassAllocation()], **shared)
    assert again.asked


def test_all_validation_rows_are_looked_at_however_the_trainer_loads_them(tmp_path):
    seen = []

    class Looks(Policy):
        name, needs_validation = "looks", True

        def class_shares(self, round):
            seen.append(len(round.validation[1]))
            return np.array([0.5, 0.5])

    rows = {"dataloader_drop_last": True, "eval_dataset": TEXT.dataset(10, seed=3), "per_device_eval_batch_size": 8}
    workers = {"dataloader_num_workers": 1, "dataloader_persistent_workers": True}
    evaluated = {"eval_strategy": "steps", "eval_steps": 3}
    trainer = train(tmp_path, TEXT, policies=[Looks()], **rows, **workers, **evaluated)
    assert seen == [10] * 5
    assert len(trainer.predict(trainer.eval_dataset).label_ids) == 8


def test_candidates_that_no_filter_judged_are_neither_better_nor_worse(tmp_path, monkeypatch):
    agreements = []

    class Notes(Policy):
        name = "notes"

        def score(self, round, candidates):
            agreements.extend(candidates.agreement.tolist())
            return np.zeros(len(candidates.slots))

    judge = EveryThird.judge

    def partly(self, examples, labels):
        verdicts = judge(self, examples, labels)
        return [dataclasses.replace(v, label_probabilities=None) if i % 2 else v for i, v in enumerate(verdicts)]

    monkeypatch.setattr(EveryThird, "judge", partly)
    train(tmp_path, TEXT, policies=[Notes()], filters=[EveryThird(TEXT)])
    assert set(agreements) == {0.75}


class StopAt(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= 10


def test_a_checkpoint_of_other_rounds_is_refused(tmp_path):
    cut = {"save_strategy": "steps", "save_steps": 10}
    train(tmp_path, TEXT, callbacks=[StopAt()], **cut)
    for change, told in (
        ({"synthetic_feedback": 5}, "trained with other rounds, or without any: pass the synthetic_feedback"),
        ({"policies": [UncertaintySelection()]}, r"feedback of policies=\[\], and now it is \[\['uncertainty_selec"),
        ({"synthetic_reuse": 2}, "feedback of reuse=1, and now it is 2"),
        ({"synthetic_feedback": 0}, "was trained with synthetic_feedback, and now it is 0"),
    ):
        with pytest.raises(ValueError, match=told):
            train(tmp_path, TEXT, resume=True, **cut | change)
    train(tmp_path / "off", TEXT, synthetic_feedback=0, callbacks=[StopAt()], **cut)
    with pytest.raises(ValueError, match="trained with other rounds, or without any"):
        train(tmp_path / "off", TEXT, resume=True, **cut)


def test_a_lost_shard_that_would_not_be_made_again_is_refused(tmp_path):
    cut = {"save_strategy": "steps", "save_steps": 10}
    trainer = train(tmp_path, TEXT, callbacks=[StopAt()], **cut)
    pool = trainer._feedback.layout.pool(2)[0]
    (trainer.shards.folder / f"shard-{pool[0]:06d}.arrow").unlink()
    TEXT.generator().__class__.replayable = False
    try:
        with pytest.raises(ValueError, match=f"Synthetic shard {pool[0]}, which the checkpoint was trained on"):
            train(tmp_path, TEXT, resume=True, **cut)
    finally:
        del TEXT.generator().__class__.replayable


class Wild(Policy):
    name, random_share = "wild", 3


REFUSED = {
    "no list": ({"policies": UncertaintySelection()}, r"must be a list of them: pass \[UncertaintySelection\(\)\]"),
    "all at random": ({"policies": [Wild()]}, r"Wild needs a name, and a random_share in \[0, 1\]: it is 3"),
    "ten": ({"synthetic_feedback": 10.0}, "synthetic_feedback=10.0 is out of range: pass a whole number"),
    "for ever": ({"synthetic_candidates": float("inf")}, "synthetic_candidates=inf is out of range"),
    "no steps": ({"synthetic_feedback": -1}, "synthetic_feedback=-1 is out of range"),
    "half a step": ({"synthetic_feedback": 2.5}, "synthetic_feedback=2.5 is out of range"),
    "fewer": ({"synthetic_candidates": 0.5}, "synthetic_candidates=0.5 is out of range: pass 1 or more"),
    "too late": (
        {"synthetic_feedback": 30},
        "synthetic_feedback=30 leaves no round in 40 steps: a first one after 30",
    ),
    "policies alone": ({"synthetic_feedback": 0, "policies": [UncertaintySelection()]}, "decide nothing with"),
    "no policy": ({"policies": ["entropy"]}, "policies holds 'entropy', which is no Policy"),
    "two": ({"policies": [Counting(), UncertaintySelection()]}, "Counting and UncertaintySelection, and each decides"),
    "several sets": (
        {"policies": [ClassAllocation()], "eval_dataset": {"a": TEXT.dataset(20)}},
        "ClassAllocation looks at validation rows: pass one dataset",
    ),
    "no rows": ({"policies": [ClassAllocation()], "eval_dataset": None}, "ClassAllocation looks at validation rows"),
    "no policies": ({"policies": None}, r"policies is missing: say what the rounds of synthetic_feedback=4 decide"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_when_the_trainer_is_built(tmp_path, case):
    options, told = REFUSED[case]
    values = {"synthetic_feedback": 4, "num_train_epochs": 2, "eval_dataset": TEXT.dataset(20), "policies": []}
    values |= options
    with pytest.raises(ValueError, match=told):
        TEXT.trainer(tmp_path, TEXT.generator(), **values)


@pytest.mark.parametrize(
    ("policies", "warned"),
    [
        ([UncertaintySelection()], "UncertaintySelection"),
        ([AgreementSelection()], None),
        ([HardSeeds()], None),
        ([], None),
    ],
)
def test_a_policy_that_needs_a_judge_says_so(tmp_path, monkeypatch, policies, warned):
    said = []
    monkeypatch.setattr(checks.logger, "warning_once", said.append)
    options = {"policies": policies, "synthetic_feedback": 4, "num_train_epochs": 2}
    TEXT.trainer(tmp_path, TEXT.generator(), **options)
    assert [text.split(" goes by the classifier alone")[0] for text in said] == ([warned] if warned else [])
    said.clear()
    names = TEXT.generator().label_names
    filters = [LabelAgreement(lambda texts: np.full((len(texts), len(names)), 0.5), 0.0, label_names=names)]
    TEXT.trainer(tmp_path, TEXT.generator(), filters=filters, **options)
    assert said == []


def test_a_model_that_is_sharded_is_refused(tmp_path, monkeypatch):
    trainer = TEXT.trainer(tmp_path, TEXT.generator(), policies=[], synthetic_feedback=4, num_train_epochs=2)
    monkeypatch.setattr(trainer, "is_fsdp_enabled", True)
    with pytest.raises(ValueError, match="asks a whole model on each process, and this one is sharded"):
        trainer.train()


def test_streams_and_guards_are_refused(tmp_path):
    values = {"synthetic_feedback": 4, "max_steps": 40, "synthetic_class_balance": "uniform"}
    with pytest.raises(ValueError, match="synthetic_feedback=4 needs training rows that have numbers"):
        TEXT.trainer(tmp_path, TEXT.generator(), train_dataset=TEXT.stream(), **values)
    guarded = {"callbacks": [AugmentationGuard()], "eval_dataset": TEXT.dataset(20), "eval_strategy": "epoch"}
    with pytest.raises(ValueError, match="does not go with an AugmentationGuard"):
        TEXT.trainer(tmp_path, TEXT.generator(), synthetic_feedback=4, num_train_epochs=2, **guarded)


KILLED = """
    import pathlib, sys
    from tests.toys import TOYS, Kill
    from tests.training.feedback.test_rounds import Counting
    from hf_augment import ClassAllocation, HardSeeds

    toy, folder = TOYS[sys.argv[1]], pathlib.Path(sys.argv[2])
    trainer = toy.trainer(folder, toy.generator(log=folder.with_suffix(".calls")), callbacks=[Kill(14)],
                          policies=[Counting(folder.with_suffix(".scored")), ClassAllocation(ahead=True), HardSeeds()],
                          eval_dataset=toy.dataset(20, seed=3), num_train_epochs=2, save_strategy="steps",
                          save_steps=10, dataloader_num_workers=2, synthetic_feedback=3)
    trainer.train(resume_from_checkpoint=True if (folder / "checkpoint-10").exists() else None)
    trainer.save_model(str(folder / "final"))
"""


@pytest.mark.slow
def test_a_killed_process_scores_nothing_a_second_time(tmp_path, toy):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run_python(KILLED, toy.name, whole).returncode == 0
    assert run_python(KILLED, toy.name, cut, "kill").returncode == -signal.SIGKILL
    # The rounds at steps 3, 6, 9 are in the checkpoint; that at step 12 is only on disk.
    assert cut.with_suffix(".scored").read_text().split() == ["1", "2", "3", "4"]
    result = run_python(KILLED, toy.name, cut)
    assert result.returncode == 0, result.stderr
    assert (whole / "final/model.safetensors").read_bytes() == (cut / "final/model.safetensors").read_bytes()
    rounds = whole.with_suffix(".scored").read_text().split()
    assert cut.with_suffix(".scored").read_text().split() == rounds == [str(n + 1) for n in range(7)]
    calls = cut.with_suffix(".calls").read_text().split()
    # But for the shard that was being made.
    assert len(calls) - len(set(calls)) <= 1

    def files(folder, kind):
        return {path.name: path.read_bytes() for path in folder.rglob(kind)}

    assert files(whole, "*.arrow") == files(cut, "*.arrow")
    assert files(whole, "brief-*.json") == files(cut, "brief-*.json")


RANKS = """
    import json, os, pathlib, sys
    import torch.distributed as dist
    from tests.toys import TOYS, Recorder
    from tests.training.feedback.test_rounds import Counting, StopAt
    from hf_augment import ClassAllocation, HardSeeds

    toy, folder, how = TOYS[sys.argv[1]], pathlib.Path(sys.argv[2]), sys.argv[3]
    recorder = Recorder(toy)
    trainer = toy.trainer(folder, toy.generator(), train_dataset=toy.dataset(37), train_collator=recorder,
                          policies=[Counting(), ClassAllocation(ahead=True), HardSeeds()],
                          eval_dataset=toy.dataset(20, seed=3), callbacks=[StopAt()] if how == "cut" else [],
                          ddp_backend="gloo", max_steps=40, save_strategy="steps", save_steps=10, synthetic_feedback=4)
    trainer.train(resume_from_checkpoint=how == "resume")
    (folder / f"seen-{os.environ['RANK']}.json").write_text(json.dumps(recorder.keys(synthetic=True)))
    if os.environ["RANK"] == "0":
        trainer.model.save_pretrained(folder / "final")
    dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_choose_by_one_brief_and_resume_exactly(tmp_path, toy):
    for name, how in (("whole", "whole"), ("cut", "cut"), ("cut", "resume")):
        done = launch_script(RANKS, tmp_path / name, toy.name, str(tmp_path / name), how)
        assert done.returncode == 0, done.stderr[-2000:]
    assert_equal_weights(*(load_file(tmp_path / name / "final/model.safetensors") for name in ("whole", "cut")))
    shown = [key for rank in (0, 1) for key in json.loads((tmp_path / f"whole/seen-{rank}.json").read_text())]
    assert len(set(shown)) == len(shown) == 160
    briefs = sorted((tmp_path / "whole").rglob("brief-*.json"))
    assert [path.name for path in briefs] == sorted(path.name for path in (tmp_path / "cut").rglob("brief-*.json"))
    assert all([len(rank) for rank in json.loads(path.read_text())["chosen"]] == [8, 8] for path in briefs)
