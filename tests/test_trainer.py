"""What the trainer promises, with equality where equality is the claim."""

import json
import signal
import subprocess
import sys
import textwrap

import datasets
import numpy as np
import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_augment import AugmentingTrainer
from hf_augment.blending.dataset import SyntheticRow
from tests.toys import (
    EveryThird,
    PadCollator,
    ToyGenerator,
    assert_equal_weights,
    tokenize,
    toy_args,
    toy_dataset,
    toy_model,
    toy_rows,
    toy_trainer,
    weights,
)


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


class Recorder(PadCollator):
    """Notes what each batch was made of."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def __call__(self, rows):
        self.batches.append([(isinstance(row, SyntheticRow), tuple(row["input_ids"])) for row in rows])
        return super().__call__(rows)


def train(output_dir, generator=None, resume=None, **kwargs):
    trainer = toy_trainer(output_dir, generator, **kwargs)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


# --- contract 1: the stock Trainer -------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", [None, ToyGenerator()])
def test_without_generator_or_at_ratio_0_it_is_the_stock_trainer(tmp_path, generator):
    """Weights after 20 steps, logs and the files of the checkpoint."""
    options = {"max_steps": 20, "save_strategy": "steps", "save_steps": 20}
    plain = {"per_device_train_batch_size": 4, "learning_rate": 1e-2, "logging_steps": 5, "report_to": "none"}
    plain |= {"disable_tqdm": True, "use_cpu": True, "dataloader_pin_memory": False, "seed": 1}
    stock = Trainer(
        toy_model(), TrainingArguments(str(tmp_path / "a"), **plain, **options), PadCollator(), toy_dataset()
    )
    stock.train()
    ours = train(tmp_path / "b", generator, **options, synthetic_ratio=0.5 if generator is None else 0.0)
    assert ours.state.global_step == 20
    assert_equal_weights(weights(ours.model), weights(stock.model))

    def logs(trainer):
        return [{k: v for k, v in log.items() if not k.startswith("train_")} for log in trainer.state.log_history]

    assert logs(ours) == logs(stock)
    files = [{path.name for path in (tmp_path / name / "checkpoint-20").iterdir()} for name in "ab"]
    assert files[0] == files[1]


# --- contracts 2 and 3: the blend --------------------------------------------------------------------------------


def test_an_epoch_is_one_pass_over_the_real_rows_and_half_of_each_batch_is_synthetic(tmp_path):
    recorder = Recorder()
    trainer = train(tmp_path, ToyGenerator(), data_collator=recorder, num_train_epochs=1)
    assert trainer.state.global_step == 20
    assert [sum(synthetic for synthetic, _ in batch) for batch in recorder.batches] == [2] * 20
    shown = sorted(ids for batch in recorder.batches for synthetic, ids in batch if not synthetic)
    assert shown == sorted(tuple(ids) for ids in toy_dataset()["input_ids"])
    synthetic = [ids for batch in recorder.batches for is_synthetic, ids in batch if is_synthetic]
    texts = trainer.shards.dataset()["text"][:]
    assert sorted(synthetic) == sorted(tuple(ids) for ids in tokenize({"text": texts})["input_ids"])
    assert trainer.state.log_history[0]["synthetic_ratio"] == 0.5


def test_the_log_reports_ratio_acceptance_speed_wait_age_and_reuse(tmp_path):
    trainer = train(
        tmp_path, ToyGenerator(), filters=[EveryThird()], synthetic_reuse=2, synthetic_max_attempts=1, max_steps=10
    )
    log = trainer.state.log_history[0]
    account = trainer.shards.account(0)
    accepted = len(trainer.shards.read(0).slots) / account.candidates
    assert log["synthetic_acceptance"] == pytest.approx(accepted, abs=1e-4)
    assert log["synthetic_acceptance_every_third"] == log["synthetic_acceptance"]
    # Draws 0 to 9: eight of the first showing, two of the second; none of them older than four steps.
    assert log["synthetic_reuse"] == pytest.approx(1.2)
    assert log["synthetic_age"] == pytest.approx(2.0)
    assert 0 <= log["synthetic_wait"] <= 1
    assert log["synthetic_per_second"] > 0
    assert log["synthetic_ratio"] < 0.5


def test_a_schedule_changes_neither_steps_nor_learning_rate(tmp_path):
    rates = []
    for schedule in ("constant", "stop_after"):
        recorder = Recorder()
        trainer = train(tmp_path, ToyGenerator(), data_collator=recorder, synthetic_schedule=schedule, logging_steps=1)
        rates.append([log["learning_rate"] for log in trainer.state.log_history if "loss" in log])
        assert trainer.state.global_step == 40
    assert rates[0] == rates[1]
    assert [sum(s for s, _ in batch) for batch in recorder.batches] == [2] * 20 + [0] * 20


# --- producers and randomness ------------------------------------------------------------------------------------


def test_thread_and_inline_producers_give_identical_weights(tmp_path):
    runs = [
        train(tmp_path / kind, ToyGenerator(), filters=[EveryThird()], synthetic_producer=kind)
        for kind in ("thread", "inline")
    ]
    assert_equal_weights(weights(runs[0].model), weights(runs[1].model))
    assert runs[0].shards.dataset().to_dict() == runs[1].shards.dataset().to_dict()


@pytest.mark.parametrize("producer", ["thread", "inline"])
def test_weight_0_leaves_the_course_of_the_classifier_to_the_real_rows(tmp_path, producer):
    """With dropout: other synthetic rows, however greedy for randomness, must not move a single bit."""

    class Greedy(ToyGenerator):
        draws_from_seed_only = producer == "thread"

        def generate(self, labels, seed):
            if producer == "inline":
                torch.rand(7), np.random.rand(7)
            return super().generate(labels, seed)

    runs = [
        train(tmp_path / name, generator, synthetic_weight=0.0, synthetic_producer=producer)
        for name, generator in (("a", ToyGenerator("one")), ("b", Greedy("another")))
    ]
    assert runs[0].shards.dataset()["text"][:] != runs[1].shards.dataset()["text"][:]
    assert_equal_weights(weights(runs[0].model), weights(runs[1].model))


def test_weight_0_is_training_on_the_real_rows_alone(tmp_path):
    """Without dropout: the same weights as a run whose batches have the same real rows and no others."""
    recorder = Recorder()
    # Plain descent: Adam blows up the rounding of other batch shapes where a gradient is almost nothing.
    options = {"optim": "sgd", "learning_rate": 0.1}
    ours = train(
        tmp_path / "a",
        ToyGenerator(),
        model=toy_model(dropout=0.0),
        data_collator=recorder,
        synthetic_weight=0.0,
        **options,
    )
    labels = {tuple(row["input_ids"]): row["label"] for row in toy_dataset()}
    rows = [
        {"input_ids": list(ids), "attention_mask": [1] * len(ids), "label": labels[ids]}
        for batch in recorder.batches
        for synthetic, ids in batch
        if not synthetic
    ]
    args = toy_args(tmp_path / "c", per_device_train_batch_size=2, num_train_epochs=1, **options)
    args.train_sampling_strategy = "sequential"
    real = Trainer(toy_model(dropout=0.0), args, PadCollator(), rows)
    real.train()
    assert real.state.global_step == ours.state.global_step == 40
    for name, tensor in weights(real.model).items():
        torch.testing.assert_close(weights(ours.model)[name], tensor, rtol=1e-5, atol=1e-6)
    assert not torch.equal(real.model.classifier.weight, toy_model(dropout=0.0).classifier.weight)


def test_weighted_and_soft_losses_against_a_naive_one(tmp_path):
    trainer = toy_trainer(
        tmp_path, ToyGenerator(), filters=[EveryThird()], synthetic_weight=0.5, synthetic_labels="soft"
    )
    batch = next(iter(trainer.get_train_dataloader()))
    inputs = {k: v for k, v in batch.items() if k in ("input_ids", "attention_mask")}
    trainer.model.eval()
    log_p = trainer.model(**inputs).logits.log_softmax(-1)
    real = -log_p[torch.arange(2), batch["labels"][:2]]
    soft = torch.tensor([[0.75, 0.25], [0.25, 0.75]])[batch["labels"][2:]]
    synthetic = -(soft * log_p[2:]).sum(-1)
    naive = (real.sum() + 0.5 * synthetic.sum()) / (2 + 0.5 * 2)
    torch.testing.assert_close(trainer.compute_loss(trainer.model, dict(batch)), naive)
    trainer._close_runs(wait=True)


def test_accumulating_two_batches_is_one_batch_of_their_mean(tmp_path):
    """A weighted loss is neither multiplied nor divided by accumulation (transformers#47688)."""
    losses = []
    for accumulation in (1, 2):
        trainer = train(
            tmp_path / str(accumulation),
            ToyGenerator(),
            model=toy_model(dropout=0.0),
            synthetic_weight=0.5,
            max_steps=4 // accumulation,
            gradient_accumulation_steps=accumulation,
            learning_rate=1e-9,
            logging_steps=4 // accumulation,
        )
        losses.append(trainer.state.log_history[0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


# --- resume ------------------------------------------------------------------------------------------------------

CASES = {
    "plain": {},
    "accumulation": {"gradient_accumulation_steps": 2},
    "workers": {"dataloader_num_workers": 2},
    "workers and accumulation": {"dataloader_num_workers": 2, "gradient_accumulation_steps": 2},
    "inline": {"synthetic_producer": "inline"},
    "filters, reuse, schedule": {
        "filters": [EveryThird()],
        "synthetic_reuse": 3,
        "synthetic_max_attempts": 1,
        "synthetic_schedule": "cosine_decay",
    },
    "weights": {"synthetic_weight": 0.3, "gradient_accumulation_steps": 2},
    "length-grouped": {"train_sampling_strategy": "group_by_length"},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("at", [3, 12])
def test_interrupted_is_uninterrupted(tmp_path, case, at):
    """In the middle of the first and of a later epoch: equal weights, and nothing is generated a second time."""
    options = CASES[case] | {"save_strategy": "steps", "save_steps": at, "num_train_epochs": 2}
    options |= {"train_dataset": toy_dataset(36)}
    whole = train(tmp_path / "whole", ToyGenerator(), **options)
    per_epoch = whole.state.max_steps // 2
    assert at % per_epoch, "in the middle of an epoch"
    first, second = ToyGenerator(), ToyGenerator()
    train(tmp_path / "cut", first, callbacks=[StopAt(at)], **options)
    on_disk = len(list((tmp_path / "cut").glob("synthetic/*/*.arrow")))
    resumed = train(tmp_path / "cut", second, resume=True, **options)
    assert resumed.state.global_step == whole.state.global_step
    assert_equal_weights(weights(resumed.model), weights(whole.model))
    assert resumed.shards.dataset().to_dict() == whole.shards.dataset().to_dict()
    assert not set(first.calls) & set(second.calls), "no shard twice"
    assert on_disk > 0

    def stable(trainer):
        timed = ("per_second", "wait", "runtime", "samples", "steps_per")
        logs = [log for log in trainer.state.log_history if "loss" in log and log["step"] > at + 5]
        return [{k: v for k, v in log.items() if not any(t in k for t in timed)} for log in logs]

    assert stable(resumed) == stable(whole)


KILLED = """
    import os, pathlib, sys
    from tests.toys import ToyGenerator, toy_trainer
    from transformers import TrainerCallback

    class Kill(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 7 and "kill" in sys.argv:
                os.kill(os.getpid(), 9)

    folder = pathlib.Path(sys.argv[1])
    trainer = toy_trainer(folder, ToyGenerator(log=folder.with_suffix(".calls")), callbacks=[Kill()],
                          save_strategy="steps", save_steps=5, gradient_accumulation_steps=2,
                          dataloader_num_workers=2)
    trainer.train(resume_from_checkpoint=True if (folder / "checkpoint-5").exists() else None)
    trainer.save_model(str(folder / "final"))
"""


def run_script(script, *arguments, timeout=200, env=None, launcher=()):
    return subprocess.run(
        [sys.executable, *launcher, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=env,
    )


@pytest.mark.slow
def test_a_killed_process_goes_on_as_if_nothing_had_happened(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run_script(KILLED, whole).returncode == 0
    assert run_script(KILLED, cut, "kill").returncode == -signal.SIGKILL
    done = {path.stem for path in cut.glob("synthetic/*/*.arrow")}
    before = cut.with_suffix(".calls").read_text().split()
    result = run_script(KILLED, cut)
    assert result.returncode == 0, result.stderr
    assert (whole / "final/model.safetensors").read_bytes() == (cut / "final/model.safetensors").read_bytes()
    after = cut.with_suffix(".calls").read_text().split()[len(before) :]
    assert len(before) >= len(done) > 0
    assert not set(before[: len(done)]) & set(after), "no finished shard is made again"

    def shards(folder):
        return {path.name: path.read_bytes() for path in folder.glob("synthetic/*/*.arrow")}

    assert shards(whole) == shards(cut)


# --- datasets of every kind --------------------------------------------------------------------------------------


class TorchRows(torch.utils.data.Dataset):
    def __init__(self):
        self.rows = toy_dataset()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        row = self.rows[index]
        return {"input_ids": row["input_ids"], "attention_mask": row["attention_mask"], "label": row["label"]}


def stream_of(rows=50):
    return toy_dataset(rows).select_columns(["input_ids", "attention_mask", "label"]).to_iterable_dataset(3)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["torch", "stream", "transform"])
def test_other_kinds_of_datasets_train_and_resume(tmp_path, kind, workers):
    options = {"max_steps": 12, "save_strategy": "steps", "save_steps": 5, "dataloader_num_workers": workers}
    if kind == "torch":
        options["train_dataset"] = TorchRows()
    elif kind == "stream":
        options |= {"train_dataset": stream_of(10), "synthetic_class_balance": "uniform"}
    else:
        rows = toy_rows().with_transform(lambda batch: tokenize(batch) | {"label": batch["label"]})
        options |= {"train_dataset": rows, "preprocess": None}
    options["remove_unused_columns"] = False
    recorder = Recorder()
    whole = train(tmp_path / "whole", ToyGenerator(), data_collator=recorder, **options)
    if workers == 0:
        assert [sum(s for s, _ in batch) for batch in recorder.batches][:12] == [2] * 12
    train(tmp_path / "cut", ToyGenerator(), callbacks=[StopAt(5)], **options)
    resumed = train(tmp_path / "cut", ToyGenerator(), resume=True, **options)
    assert_equal_weights(weights(resumed.model), weights(whole.model))


def test_a_collator_that_tokenises_needs_no_preprocess(tmp_path):
    def collate(rows):
        columns = tokenize({"text": [row["text"] for row in rows]})
        labels = [row["label"] for row in rows]
        return PadCollator()(
            [
                {"input_ids": ids, "attention_mask": [1] * len(ids), "label": label}
                for ids, label in zip(columns["input_ids"], labels, strict=True)
            ]
        )

    trainer = train(
        tmp_path,
        ToyGenerator(),
        train_dataset=toy_rows(),
        preprocess=None,
        data_collator=collate,
        remove_unused_columns=False,
        max_steps=3,
    )
    assert trainer.state.global_step == 3


def test_columns_that_nobody_uses_may_lie_beside_the_others(tmp_path):
    rows = [{**row, "idx": i} for i, row in enumerate(TorchRows())]
    assert train(tmp_path, ToyGenerator(), train_dataset=rows, max_steps=3).state.global_step == 3


def test_a_model_with_a_sample_weight_of_its_own_keeps_it(tmp_path):
    class Weighs(PadCollator):
        def __call__(self, rows):
            return super().__call__(rows) | {"sample_weight": torch.ones(len(rows))}

    class Model(type(toy_model())):
        def forward(self, sample_weight=None, **inputs):
            assert sample_weight is not None
            return super().forward(**inputs)

    options = {"model": Model(toy_model().config), "data_collator": Weighs(), "remove_unused_columns": False}
    for generator in (None, ToyGenerator()):
        train(tmp_path, generator, max_steps=2, synthetic_weight=0.5, **options)


class EndEpochAt(TrainerCallback):
    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        control.should_epoch_stop = state.global_step % self.steps == 0


def test_an_epoch_that_a_callback_ends_early_is_followed_by_another_one(tmp_path):
    recorder = Recorder()
    train(tmp_path, ToyGenerator(), data_collator=recorder, callbacks=[EndEpochAt(3)], num_train_epochs=4)
    # The loader is one batch ahead: four are fetched in an epoch.
    epochs = [recorder.batches[i : i + 3] for i in range(0, 16, 4)]
    orders = [[ids for batch in epoch for synthetic, ids in batch if not synthetic] for epoch in epochs]
    assert len({tuple(order) for order in orders}) == 4


class LooksAtTheData(TrainerCallback):
    def __init__(self):
        self.trainer = None

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 3:
            assert len(list(self.trainer.get_train_dataloader())) == 20


def test_a_loader_made_during_and_after_training_is_whole_and_disturbs_nothing(tmp_path):
    callback = LooksAtTheData()
    trainer = toy_trainer(tmp_path / "a", ToyGenerator(), callbacks=[callback], model=toy_model(dropout=0.0))
    callback.trainer = trainer
    trainer.train()
    assert len(list(trainer.get_train_dataloader())) == 20
    trainer._close_runs(wait=True)
    alone = train(tmp_path / "b", ToyGenerator(), model=toy_model(dropout=0.0))
    assert_equal_weights(weights(trainer.model), weights(alone.model))


def test_labels_of_another_name_can_be_weighed_and_missing_ones_are_named(tmp_path):
    class NoLabels(PadCollator):
        def __call__(self, rows):
            return {k: v for k, v in super().__call__(rows).items() if k != "labels"}

    with pytest.raises(ValueError, match=r"none of label_names=\['labels'\]: .* name them in label_names"):
        train(tmp_path, ToyGenerator(), data_collator=NoLabels(), synthetic_weight=0.5)


def test_shards_of_another_label_column_are_not_mistaken(tmp_path):
    shared = {"synthetic_dir": str(tmp_path / "shards"), "max_steps": 2}
    train(tmp_path / "a", ToyGenerator(), **shared)
    renamed = toy_dataset().rename_column("label", "labels")

    class Renamed(PadCollator):
        def __call__(self, rows):
            return super().__call__([row | {"label": row["labels"]} for row in rows])

    train(tmp_path / "b", ToyGenerator(), train_dataset=renamed, data_collator=Renamed(), **shared)


def test_plain_training_arguments_blend_with_the_defaults(tmp_path):
    args = TrainingArguments(str(tmp_path), max_steps=3, use_cpu=True, report_to="none", disable_tqdm=True)
    args.dataloader_pin_memory = False
    recorder = Recorder()
    trainer = train(tmp_path, ToyGenerator(), args=args, data_collator=recorder)
    assert [sum(s for s, _ in batch) for batch in recorder.batches][:3] == [4] * 3
    assert trainer.augmentation.synthetic_ratio == 0.5


def test_evaluation_sees_no_synthetic_row(tmp_path):
    recorder = Recorder()
    trainer = toy_trainer(tmp_path, ToyGenerator(), data_collator=recorder, synthetic_weight=0.5)
    trainer.evaluate(toy_dataset(10, seed=3))
    assert not any(synthetic for batch in recorder.batches for synthetic, _ in batch)


def test_a_second_run_uses_the_shards_of_the_first(tmp_path):
    first, second = ToyGenerator(), ToyGenerator()
    train(tmp_path / "a", first, max_steps=5, synthetic_dir=str(tmp_path / "shards"))
    train(tmp_path / "b", second, max_steps=5, synthetic_dir=str(tmp_path / "shards"))
    assert not set(first.calls) & set(second.calls)


# --- refusals ----------------------------------------------------------------------------------------------------


def with_labels(values):
    columns = toy_dataset(4).to_dict() | {"label": values}
    return datasets.Dataset.from_dict(columns)


class OtherLabels(ToyGenerator):
    label_names = ("rotten", "fresh")


class Careless(ToyGenerator):
    draws_from_seed_only = False


REFUSALS = {
    "ratio 1": ({"synthetic_ratio": 1.0}, r"synthetic_ratio=1\.0 is out of range: pass a share in \[0, 1\)"),
    "ratio -0.1": ({"synthetic_ratio": -0.1}, r"synthetic_ratio=-0\.1 is out of range"),
    "reuse 0": ({"synthetic_reuse": 0}, "synthetic_reuse=0 is out of range: pass 1 or more"),
    "schedule": (
        {"synthetic_schedule": "square"},
        "synthetic_schedule='square' is out of range: pass one of constant",
    ),
    "unknown label": (
        {"train_dataset": with_labels([0, 1, 2, 7])},
        r"labels \[2, 7\] in column 'label', but the generator knows 0 to 1",
    ),
    "no label column": ({"train_dataset": toy_dataset().remove_columns("label")}, "no label column among"),
    "empty": ({"train_dataset": toy_dataset().select([])}, "train_dataset is empty"),
    "no preprocess": (
        {"preprocess": None},
        r"columns \['attention_mask', 'input_ids'\]|columns \['input_ids', 'attention_mask'\]",
    ),
    "other labels": ({"generator": OtherLabels()}, r"made for the labels \['rotten', 'fresh'\]"),
    "careless in a thread": ({"generator": Careless()}, "pass synthetic_producer='inline'"),
    "soft without a filter": ({"synthetic_labels": "soft"}, "add LabelAgreement to filters"),
    "label smoothing": ({"synthetic_weight": 0.5, "label_smoothing_factor": 0.1}, "leave out compute_loss_func"),
    "batch of one": ({"per_device_train_batch_size": 1}, "leaves batches of 1 without a real row"),
    "rebalance": ({"train_sampling_strategy": "batch_rebalance"}, "use 'random' or 'group_by_length'"),
    "split batches": ({"accelerator_config": {"split_batches": True}}, r"accelerator_config\.split_batches=True"),
    "stream without steps": ({"train_dataset": stream_of(), "synthetic_class_balance": "uniform"}, "max_steps"),
    "ratio too small": ({"synthetic_ratio": 1e-4}, "leaves no synthetic row"),
    "no batch": ({"dataloader_drop_last": True, "train_dataset": toy_dataset(1)}, "leaves no batch"),
    "text labels": (
        {"train_dataset": toy_dataset().cast_column("label", datasets.Value("string"))},
        "encode them as integers",
    ),
    "stream's balance": ({"train_dataset": stream_of(), "max_steps": 5}, "pass synthetic_class_balance='uniform'"),
    "tuples": ({"train_dataset": [(1, 2)]}, "rows of type tuple: .* return a dict"),
    "two filters of a name": ({"filters": [EveryThird(), EveryThird()]}, "two of one name"),
    "not a generator": ({"generator": "gpt2"}, "generator='gpt2' is not a Generator"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_work_is_refused_when_the_trainer_is_built(tmp_path, case):
    options, message = REFUSALS[case]
    options = {"generator": ToyGenerator()} | options
    with pytest.raises(ValueError, match=message):
        toy_trainer(tmp_path, **options)
    assert not list(tmp_path.rglob("*.arrow"))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (ToyGenerator("one"), ToyGenerator("two"), "trained with generator='one', this trainer has 'two'"),
        (ToyGenerator("one"), None, "was trained with synthetic examples.*pass its generator"),
        (None, ToyGenerator("one"), "was trained without synthetic examples.*leave the generator out"),
    ],
)
def test_a_checkpoint_of_another_generator_is_refused_before_training(tmp_path, first, second, message):
    train(tmp_path, first, max_steps=4, save_strategy="steps", save_steps=2)
    trainer = toy_trainer(tmp_path, second, max_steps=4)
    before = weights(trainer.model)
    with pytest.raises(ValueError, match=message):
        trainer.train(resume_from_checkpoint=True)
    with pytest.raises(ValueError, match=message):
        trainer.train(resume_from_checkpoint=tmp_path / "checkpoint-4")
    assert_equal_weights(weights(trainer.model), before)


def test_a_changed_ratio_on_resume_is_a_warning(tmp_path, caplog):
    train(tmp_path, ToyGenerator(), max_steps=4, save_strategy="steps", save_steps=2)
    facts = json.loads((tmp_path / "checkpoint-2/augmentation.json").read_text())
    assert facts["plan"]["synthetic_ratio"] == 0.5
    with caplog.at_level("WARNING", logger="hf_augment.trainer"):
        train(tmp_path, ToyGenerator(), max_steps=4, synthetic_ratio=0.25, resume=str(tmp_path / "checkpoint-2"))
    assert "synthetic_ratio was 0.5" in caplog.text


def test_parameters_are_those_of_the_trainer_in_its_order_and_ours_keyword_only():
    import inspect

    ours, stock = (inspect.signature(cls.__init__).parameters for cls in (AugmentingTrainer, Trainer))
    assert list(ours)[: len(stock)] == list(stock)
    own = [ours[name] for name in list(ours)[len(stock) :]]
    assert [p.name for p in own] == ["generator", "filters", "preprocess"]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in own)


def test_an_error_in_training_leaves_no_thread(tmp_path):
    import threading

    with pytest.raises(RuntimeError, match="the toy broke"):
        train(tmp_path, ToyGenerator(fail_at_call=2))
    assert "hf_augment-producer" not in [thread.name for thread in threading.enumerate()]
