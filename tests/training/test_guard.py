"""The guard: what it decides, when that takes effect, that it survives a resume, and that it acts on real digits."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import fisher_exact
from sklearn.datasets import load_digits
from torch import nn
from transformers import Trainer, TrainerCallback

from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, Generator
from hf_augment.blending.sampler import Batch
from hf_augment.training.guard import AugmentationGuard, GuardDecision
from tests.toys import (
    TEXT,
    EveryThird,
    Recorder,
    assert_equal_weights,
    each_toy,  # noqa: F401 - the fixture `toy`
    weights,
)
from tests.training.test_ranks import launch_script


ROWS = 50


class Script(TrainerCallback):
    """A `compute_metrics` whose accuracy is written down: that of the last step that is not later than now."""

    def __init__(self, accuracies, stop_at=None, name="accuracy"):
        self.accuracies, self.stop_at, self.name, self.step = accuracies, stop_at, name, 0

    def on_train_begin(self, args, state, control, **kwargs):
        self.step = state.global_step

    def on_step_end(self, args, state, control, **kwargs):
        self.step = state.global_step
        control.should_training_stop = self.step == self.stop_at

    def __call__(self, prediction):
        assert len(prediction.label_ids) == ROWS
        return {self.name: self.accuracies[max(step for step in self.accuracies if step <= self.step)]}


class TrainingRecorder(Recorder):
    """Notes no batch of an evaluation."""

    def __call__(self, rows):
        return super().__call__(rows) if isinstance(rows, Batch) else self.collate(rows)


def scripted(output_dir, toy, guard, accuracies, stop_at=None, callbacks=(), generator=None, **options):
    """A trainer of three epochs of 20 batches, evaluated every 4 steps."""
    script = Script(accuracies, stop_at)
    defaults = {"num_train_epochs": 3, "eval_strategy": "steps", "eval_steps": 4, "logging_steps": 4}
    defaults |= {"callbacks": [script, *([guard] if guard else []), *callbacks], "per_device_eval_batch_size": ROWS}
    defaults |= {"eval_dataset": toy.dataset(ROWS, seed=5), "compute_metrics": script}
    return build(output_dir, toy, generator or toy.generator(), **defaults | options)


def build(output_dir, toy, generator, **options):
    """As [`Toy.trainer`], which knows no evaluation."""
    names = ("callbacks", "data_collator", "eval_dataset", "compute_metrics", "filters", "train_dataset", "model")
    own = {name: options.pop(name) for name in names if name in options}
    return AugmentingTrainer(
        own.pop("model", None) or toy.model(),
        toy.args(output_dir, **options),
        own.pop("data_collator", toy.collator()),
        own.pop("train_dataset", None) or toy.dataset(),
        generator=generator,
        preprocess=toy.preprocess,
        **own,
    )


def facts(guard):
    return [(decision.step, decision.from_step, decision.factor) for decision in guard.decisions]


# The reference is measured at step 12; from step 32 on half of the rows are right.
HARM = {0: 0.9, 30: 0.5}


# --- decisions ---------------------------------------------------------------------------------------------------


def test_it_measures_a_reference_lets_the_generator_in_and_shuts_it_out_when_accuracy_falls(tmp_path, toy):
    guard, recorder = AugmentationGuard(), TrainingRecorder(toy)
    trainer = scripted(tmp_path, toy, guard, HARM, data_collator=recorder)
    trainer.train()
    # Step 32 is the first below, 36 the second; sixteen batches from each decision to its effect.
    assert facts(guard) == [(0, 0, 0.0), (12, 28, 1.0), (36, 52, 0.0)]
    assert recorder.synthetic_rows() == [0] * 28 + [2] * 24 + [0] * 8
    assert all(len(batch) == 4 for batch in recorder.batches)
    p_value = fisher_exact([[25, 25], [45, 5]], alternative="less").pvalue
    assert guard.decisions[1].figures == {"accuracy": 0.9, "rows": 50}
    assert guard.decisions[2].figures == {"accuracy": 0.5, "rows": 50, "reference": 0.9, "p_value": p_value}
    assert guard.decisions[2].reason == ("eval_accuracy is 0.500, without synthetic rows it was 0.900 (p = 1e-05).")
    logs = {log["step"]: log for log in trainer.state.log_history if "loss" in log}
    factors = {step: 1.0 if 28 < step <= 52 else 0.0 for step in range(4, 61, 4)}
    assert {step: log["synthetic_guard"] for step, log in logs.items()} == factors
    assert {step: log["synthetic_ratio"] for step, log in logs.items()} == {s: f / 2 for s, f in factors.items()}
    assert "synthetic_reuse" not in logs[60]


def test_a_fall_within_the_noise_or_of_one_evaluation_alone_is_no_alarm(tmp_path):
    # 45 of 50 rows, then 40: p = 0.13. At step 40 half of them, but at 44 all is well again.
    assert fisher_exact([[40, 10], [45, 5]], alternative="less").pvalue == pytest.approx(0.13, abs=0.01)
    guard = AugmentationGuard()
    scripted(tmp_path, TEXT, guard, {0: 0.9, 30: 0.8, 40: 0.5, 44: 0.9}).train()
    assert facts(guard) == [(0, 0, 0.0), (12, 28, 1.0)]
    assert guard.factor(60) == 1.0


def test_a_baseline_is_compared_at_equal_steps_and_needs_no_reference(tmp_path):
    """An accuracy that rises is harm where the baseline's rises faster; its first fifth does not count."""
    baseline = [{"step": 0, "loss": 1.0}] + [{"step": s, "eval_accuracy": 0.5 + s / 125} for s in range(2, 61, 6)]
    guard = AugmentationGuard("accuracy", baseline=baseline, factors=(0.5, 0.0), patience=1)
    accuracies = {step: 0.5 + step / 400 for step in range(0, 81, 4)}
    trainer = scripted(tmp_path, TEXT, guard, accuracies, num_train_epochs=4)
    trainer.train()
    # 29 rows against the 38 of the baseline at the same step; at 48 the factor has only just changed, and step 52 is
    # compared with the baseline's step 50.
    assert facts(guard) == [(32, 48, 0.5), (52, 68, 0.0)]
    assert [decision.figures["reference"] for decision in guard.decisions] == [0.76, 0.9]
    logs = {log["step"]: log["synthetic_ratio"] for log in trainer.state.log_history if "loss" in log}
    assert logs[48] == 0.5
    assert logs[52] == logs[68] == 0.25
    assert logs[72] == logs[80] == 0.0


def test_an_alarm_that_could_take_effect_after_the_last_step_alone_is_no_decision(tmp_path):
    """Step 44 is the second below in a row; 16 batches later the run of 60 is over."""
    guard = AugmentationGuard()
    scripted(tmp_path, TEXT, guard, HARM | {30: 0.9, 38: 0.5}).train()
    assert facts(guard) == [(0, 0, 0.0), (12, 28, 1.0)]


def test_low_acceptance_is_an_alarm_too(tmp_path):
    options = {"filters": [EveryThird(TEXT)], "synthetic_max_attempts": 1}
    for threshold, alarms in ((0.2, 0), (0.95, 1)):
        guard = AugmentationGuard(min_acceptance=threshold)
        scripted(tmp_path / str(threshold), TEXT, guard, {0: 0.9}, **options).train()
        assert len(guard.decisions) == 2 + alarms
    figures = guard.decisions[-1].figures
    assert figures["p_value"] > 0.5
    assert 0.4 < figures["acceptance"] < 0.9
    assert guard.decisions[-1].reason == f"Filters accepted {figures['acceptance']:.3f} of the candidates."


def test_where_nothing_was_shown_there_is_no_acceptance_to_judge_by(monkeypatch):
    guard = AugmentationGuard(min_acceptance=0.5)
    for shares, mean in (([{}], None), ([{"acceptance": 0.25}, {}, {"acceptance": 0.75}], 0.5)):
        gathered = [share.get("acceptance") for share in shares]
        monkeypatch.setattr("hf_augment.training.guard.gather_object", lambda own, gathered=gathered: gathered)
        guard._run = SimpleNamespace(acceptance=lambda since, step: {})
        assert guard._acceptance(0, 5) == mean


def test_decisions_are_plain_data(tmp_path):
    guard = AugmentationGuard()
    scripted(tmp_path, TEXT, guard, HARM).train()
    plain = json.loads(json.dumps([asdict(decision) for decision in guard.decisions]))
    assert [GuardDecision(**decision) for decision in plain] == guard.decisions


def test_of_several_evaluation_sets_the_named_one_is_watched(tmp_path):
    sets = {name: TEXT.dataset(ROWS, seed=seed) for seed, name in enumerate(("other", "val"))}
    guard = AugmentationGuard("eval_val_accuracy")
    scripted(tmp_path, TEXT, guard, HARM, eval_dataset=sets).train()
    assert facts(guard) == [(0, 0, 0.0), (12, 28, 1.0), (36, 52, 0.0)]


def test_evaluation_outside_of_training_is_not_its_business_and_a_second_run_starts_anew(tmp_path):
    guard = AugmentationGuard()
    trainer = scripted(tmp_path, TEXT, guard, HARM)
    trainer.evaluate()
    assert guard.decisions == []
    trainer.train()
    first = guard.decisions
    trainer.evaluate()
    trainer.train()
    assert guard.decisions == first
    assert len(first) == 3


def test_what_was_shut_out_is_not_generated(tmp_path):
    """Five shards are drawn from in 30 steps and four are made ahead; unguarded it would be 15."""
    generator = TEXT.generator()
    baseline = [{"step": 1, "eval_accuracy": 0.9}]
    guard = AugmentationGuard(baseline=baseline)
    scripted(tmp_path, TEXT, guard, {0: 0.1}, generator=generator).train()
    assert facts(guard) == [(16, 32, 0.0)]
    assert 8 <= len(generator.calls) <= 8 + 4


# --- loaders that run ahead, and resume --------------------------------------------------------------------------


class HandedOut(TrainerCallback):
    """At each evaluation, how many batches the loader has been given."""

    def __init__(self):
        self.trainer, self.made = None, {}

    def on_evaluate(self, args, state, control, **kwargs):
        progress = self.trainer._run.sampler.progress
        self.made[state.global_step] = progress.last + 1


@pytest.mark.parametrize(
    ("workers", "prefetch", "accumulation", "effect"), [(0, None, 1, 28), (2, 2, 2, 20), (2, 12, 1, 37)]
)
def test_a_decision_takes_effect_after_all_that_the_loader_was_given(
    tmp_path, monkeypatch, workers, prefetch, accumulation, effect
):
    from hf_augment.blending.sampler import BlendProgress

    def record(self, batch, shown, original=BlendProgress.record):
        self.last = batch
        original(self, batch, shown)

    monkeypatch.setattr(BlendProgress, "record", record)
    guard, handed_out = AugmentationGuard(warmup_steps=12), HandedOut()
    trainer = scripted(
        tmp_path,
        TEXT,
        guard,
        {0: 0.9},
        callbacks=[handed_out],
        dataloader_num_workers=workers,
        dataloader_prefetch_factor=prefetch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=2,
        train_dataset=TEXT.dataset(120),
    )
    handed_out.trainer = trainer
    trainer.train()
    shape = trainer._run.shape
    ahead = 1 + workers * (prefetch or 0)
    assert handed_out.made[12] == shape.batches_before(12) + ahead, "as far as the loader runs ahead"
    assert facts(guard)[1] == (12, effect, 1.0)
    assert shape.batches_before(effect) >= handed_out.made[12]


CASES = {
    "plain": {},
    "workers": {"dataloader_num_workers": 2},
    "accumulation": {"gradient_accumulation_steps": 2, "num_train_epochs": 6},
    "workers and accumulation": {
        "dataloader_num_workers": 2,
        "gradient_accumulation_steps": 2,
        "num_train_epochs": 6,
    },
}


@pytest.mark.parametrize(("toy", "case"), [("image", "plain"), *(("text", case) for case in CASES)], indirect=["toy"])
def test_interrupted_is_uninterrupted(tmp_path, toy, case):
    """Cut before the first verdict, between two that make an alarm, before its effect, and after it."""
    accuracies = HARM | {50: 0.9}
    options = CASES[case] | {"filters": [EveryThird(toy)], "save_strategy": "steps", "save_steps": 4}
    settings = {"factors": (0.5, 0.0), "min_acceptance": 0.1}
    guard = AugmentationGuard(**settings)
    whole = scripted(tmp_path / "whole", toy, guard, accuracies, **options)
    whole.train()
    last = guard.decisions[-1]
    assert (last.step, last.factor) == (36, 0.5)
    cuts = [8, last.step - 4, last.step + 4, last.from_step + 4]
    for at in cuts if case == "plain" else cuts[2:3]:
        cut = AugmentationGuard(**settings)
        scripted(tmp_path / str(at), toy, cut, accuracies, stop_at=at, **options).train()
        resumed = AugmentationGuard(**settings)
        rest = scripted(tmp_path / str(at), toy, resumed, accuracies, **options)
        rest.train(resume_from_checkpoint=True)
        assert rest.state.global_step == whole.state.global_step > at
        assert resumed.decisions == guard.decisions
        assert cut.decisions == [decision for decision in guard.decisions if decision.step <= at]
        assert_equal_weights(weights(rest.model), weights(whole.model))
        assert stable(rest, at) == stable(whole, at)


def stable(trainer, at):
    """What does not depend on the clock in the logs of a run, after the first stretch behind a cut."""
    names = ("loss", "step", "synthetic_ratio", "synthetic_guard", "synthetic_reuse", "synthetic_age")
    logs = [log for log in trainer.state.log_history if "loss" in log and log["step"] > at + 4]
    return [{name: log[name] for name in names if name in log} for log in logs]


def test_workers_change_neither_decisions_nor_weights(tmp_path):
    """Without dropout: the loader of an evaluation moves the global random state, and another way with workers."""
    guards = [AugmentationGuard(), AugmentationGuard()]
    runs = [
        scripted(tmp_path / str(workers), TEXT, guard, HARM, dataloader_num_workers=workers, model=TEXT.model(0.0))
        for workers, guard in zip((0, 2), guards, strict=True)
    ]
    for run in runs:
        run.train()
    assert guards[0].decisions == guards[1].decisions
    assert_equal_weights(*(weights(run.model) for run in runs))


RANKS = """
    import json, os, pathlib, sys
    import torch.distributed as dist
    from dataclasses import asdict
    from tests.training.test_guard import HARM, TEXT, AugmentationGuard, EveryThird, scripted

    folder, rank = pathlib.Path(sys.argv[1]), os.environ["RANK"]
    guard = AugmentationGuard(factors=(0.5, 0.0), min_acceptance=0.1)
    trainer = scripted(folder, TEXT, guard, HARM, ddp_backend="gloo", filters=[EveryThird(TEXT)],
                       synthetic_max_attempts=1, num_train_epochs=10)
    trainer.train()
    (folder / f"decisions-{rank}").write_text(json.dumps([asdict(decision) for decision in guard.decisions]))
    dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_decide_alike(tmp_path):
    """Their shards differ, and so does what the filters left of them."""
    done = launch_script(RANKS, tmp_path / "run", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr[-2000:]
    one, other = (json.loads((tmp_path / f"run/decisions-{rank}").read_text()) for rank in (0, 1))
    assert one == other
    assert [decision["factor"] for decision in one] == [0.0, 1.0, 0.5, 0.0]
    assert 0.2 < one[2]["figures"]["acceptance"] < 0.9


def test_another_guard_on_resume_is_a_warning(tmp_path, caplog):
    options = {"save_strategy": "steps", "save_steps": 16}
    scripted(tmp_path, TEXT, AugmentationGuard(), HARM, stop_at=16, **options).train()
    saved = json.loads((tmp_path / "checkpoint-16/augmentation.json").read_text())
    assert [decision["from_step"] for decision in saved["guard"]["decisions"]] == [0, 28]
    guard = AugmentationGuard(alpha=0.01)
    scripted(tmp_path, TEXT, guard, HARM, **options).train(resume_from_checkpoint=str(tmp_path / "checkpoint-16"))
    assert "guard was {'metric': 'eval_accuracy'" in caplog.text
    assert facts(guard) == [(0, 0, 0.0), (12, 28, 1.0), (36, 52, 0.0)]


def test_on_resume_from_an_unguarded_checkpoint_it_begins_there(tmp_path, caplog):
    options = {"save_strategy": "steps", "save_steps": 8, "num_train_epochs": 4}
    guard, recorder = AugmentationGuard(), TrainingRecorder(TEXT)
    scripted(tmp_path, TEXT, None, HARM, stop_at=8, **options).train()
    scripted(tmp_path, TEXT, guard, HARM, data_collator=recorder, **options).train(resume_from_checkpoint=True)
    assert "guard was None" in caplog.text
    assert facts(guard) == [(8, 8, 0.0), (24, 40, 1.0), (48, 64, 0.0)]
    assert recorder.synthetic_rows() == [0] * 32 + [2] * 24 + [0] * 16


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"synthetic_ratio": 0.0}, "no generator, or synthetic_ratio is 0"),
        ({"eval_strategy": "no"}, "eval_strategy='no': pass 'steps' or 'epoch'"),
        ({"compute_metrics": None}, "no compute_metrics: pass one that gives 'accuracy'"),
        ({"eval_dataset": {"a": [], "b": []}}, r"none of the evaluation sets \['a', 'b'\]: pass 'eval_a_accuracy'"),
        ({"eval_dataset": TEXT.stream()}, "are a stream"),
        ({"eval_dataset": TEXT.dataset(3)}, "3 evaluation rows show nothing at alpha=0.05: give more"),
    ],
)
def test_a_trainer_in_which_it_cannot_work_is_refused_when_it_is_built(tmp_path, options, message):
    with pytest.raises(ValueError, match=f"callbacks holds an AugmentationGuard, but.*{message}"):
        scripted(tmp_path, TEXT, AugmentationGuard(), HARM, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patience": 0}, "patience=0 is out of range: pass 1 or more"),
        ({"alpha": 1.0}, r"alpha=1\.0 is out of range"),
        ({"warmup_steps": 0}, "warmup_steps=0 is out of range"),
        ({"factors": (0.5, 0.5)}, r"factors=\(0\.5, 0\.5\) is out of range: pass falling shares in \[0, 1\)"),
        ({"factors": ()}, r"factors=\(\) is out of range"),
        ({"min_acceptance": 2}, "min_acceptance=2 is out of range"),
        ({"metric": "loss"}, "metric='loss' is out of range: pass a share of rows of which more is better"),
        ({"metric": [{"step": 1, "eval_accuracy": 0.5}]}, r"metric=\[\{'step': 1.* is out of range"),
        ({"baseline": [{"step": 1, "loss": 0.5}]}, "baseline has no entry with 'eval_accuracy'"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AugmentationGuard(**options)


def test_a_stock_trainer_is_refused_before_its_first_step(tmp_path):
    args = TEXT.args(tmp_path, eval_strategy="steps", eval_steps=4)
    options = {"eval_dataset": TEXT.dataset(ROWS), "callbacks": [AugmentationGuard()]}
    stock = Trainer(TEXT.model(), args, TEXT.collator(), TEXT.dataset(), **options)
    with pytest.raises(ValueError, match=r"pass it as callbacks=\[guard\] to one"):
        stock.train()
    assert stock.state.global_step == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        # The reference at 12 lets the generator in at 28; 32 and 36 count.
        ({"num_train_epochs": 2.6}, "patience=2 it could first act on the evaluation at step 36 of 52, too late"),
        ({"eval_steps": 50}, "at step 200 of 60, too late"),
        # 20 measures, from 36 on the generator is back, 60 and 80 count.
        ({"eval_strategy": "epoch", "num_train_epochs": 4}, "at step 80 of 80, too late"),
        ({"eval_delay": 45}, "at step 72 of 60, too late"),
        ({"baseline": 45}, "at step 52 of 60, too late"),
        # It takes effect after step 52; the schedule ends after 51 or 57 of 60.
        (
            {"synthetic_schedule": "stop_after", "synthetic_schedule_fraction": 0.85},
            "at step 36 of 60, too late, since no synthetic row is scheduled from then on",
        ),
    ],
)
def test_a_run_that_would_be_judged_too_late_is_refused_when_training_begins(tmp_path, options, message):
    first = options.pop("baseline", None)
    guard = AugmentationGuard(baseline=first and [{"step": first, "eval_accuracy": 0.9}])
    trainer = scripted(tmp_path, TEXT, guard, HARM, **options)
    with pytest.raises(ValueError, match=message):
        trainer.train()
    assert trainer.state.global_step == 0


def test_a_schedule_that_goes_on_after_its_first_verdict_is_guarded(tmp_path):
    schedule = {"synthetic_schedule": "stop_after", "synthetic_schedule_fraction": 0.95}
    guard = AugmentationGuard()
    scripted(tmp_path, TEXT, guard, HARM, **schedule).train()
    assert facts(guard) == [(0, 0, 0.0), (12, 28, 1.0), (36, 52, 0.0)]


def test_a_metric_that_is_missing_or_no_share_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"metric='eval_f1' is not among \['epoch', 'eval_accuracy'"):
        scripted(tmp_path, TEXT, AugmentationGuard("f1"), HARM).train()
    with pytest.raises(ValueError, match="'eval_accuracy' is 90, which is no share of rows"):
        scripted(tmp_path, TEXT, AugmentationGuard(), {0: 90}).train()


# --- real digits -------------------------------------------------------------------------------------------------


PIXELS, DIGITS = load_digits(return_X_y=True)


class Net(nn.Module):
    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x, labels=None):
        logits = self.layers(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class OtherDigits(Generator):
    """Shows digits that no other split has, a share of them under the label of the next class."""

    label_names, columns = tuple(map(str, range(10))), ("x",)

    def __init__(self, rows, wrong):
        self.rows, self.wrong = rows, wrong

    def generate(self, labels, seed):
        rng = np.random.default_rng(seed)
        labels = (np.array(labels) + (rng.random(len(labels)) < self.wrong)) % 10
        chosen = [rng.choice(self.rows[DIGITS[self.rows] == label]) for label in labels]
        return [{"x": PIXELS[i] / 16} for i in chosen]

    def fingerprint(self):
        return f"digits {self.wrong}"


def digits(rows):
    return [{"x": PIXELS[i] / 16, "label": int(DIGITS[i])} for i in rows]


def stack(rows):
    pixels = torch.tensor(np.stack([row["x"] for row in rows]), dtype=torch.float32)
    return {"x": pixels, "labels": torch.tensor([row["label"] for row in rows])}


def accuracy(prediction):
    return {"accuracy": float(np.mean(prediction.predictions.argmax(-1) == prediction.label_ids))}


def learn(output_dir, seed, wrong=None, guard=None):
    """Accuracy on 500 test digits, and the log, of a net that learned 200 digits in 600 steps."""
    train, validation, test, others = np.split(np.random.default_rng(seed).permutation(1200), [200, 500, 1000])
    args = AugmentingTrainingArguments(
        str(output_dir / f"{seed}-{wrong}-{guard is not None}"),
        max_steps=600,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=500,
        learning_rate=3e-3,
        eval_strategy="steps",
        eval_steps=15,
        logging_steps=100,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        seed=seed,
        synthetic_producer="inline",
        synthetic_class_balance="uniform",
    )
    trainer = AugmentingTrainer(
        Net(seed),
        args,
        stack,
        digits(train),
        digits(validation),
        compute_metrics=accuracy,
        generator=None if wrong is None else OtherDigits(others, wrong),
        callbacks=[guard] if guard else None,
    )
    trainer.train()
    return trainer.evaluate(digits(test))["eval_accuracy"], trainer.state.log_history


def test_with_labels_that_are_all_wrong_it_saves_what_is_lost_without_it(tmp_path):
    guard = AugmentationGuard()
    base, _ = learn(tmp_path, 0)
    unguarded, _ = learn(tmp_path, 0, wrong=1.0)
    guarded, _ = learn(tmp_path, 0, wrong=1.0, guard=guard)
    assert [decision.factor for decision in guard.decisions] == [0.0, 1.0, 0.0]
    assert unguarded < base - 0.3
    assert guarded > base - 0.02


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_on_digits_it_acts_against_wrong_labels_and_not_against_right_ones(tmp_path):
    """The mean over seeds: within a point of the baseline of equal steps, or all of the gain."""
    changes = {}
    for seed in range(4):
        base, log = learn(tmp_path, seed)
        for wrong in (0.0, 0.6, 1.0):
            for name, baseline in (("unguarded", None), ("reference", None), ("baseline", log)):
                guard = None if name == "unguarded" else AugmentationGuard(baseline=baseline)
                score, _ = learn(tmp_path, seed, wrong, guard)
                changes.setdefault((name, wrong), []).append(score - base)
                assert guard is None or (guard.factor(600) == 0.0) == (wrong > 0)
    change = {key: np.mean(values) for key, values in changes.items()}
    assert change["unguarded", 0.0] > 0.015
    assert change["unguarded", 0.6] < -0.1
    assert change["unguarded", 1.0] < -0.3
    for name in ("reference", "baseline"):
        assert change[name, 0.0] > change["unguarded", 0.0] - 0.01
        assert change[name, 0.6] > -0.01
        assert change[name, 1.0] > -0.01
