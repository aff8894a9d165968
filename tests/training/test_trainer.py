"""What the trainer promises, with equality where equality is the claim."""

import json
import signal

import datasets
import numpy as np
import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_augment import AugmentingTrainer, ClassAllocation, Filter, Generator, HardSeeds, UncertaintySelection, Verdict
from hf_augment.blending.dataset import SyntheticRow
from tests.toys import (
    IMAGE,
    SIZE,
    TEXT,
    TOYS,
    EveryThird,
    PadCollator,
    Recorder,
    ToyGenerator,
    assert_equal_weights,
    comparable,
    each_toy,  # noqa: F401 - the fixture `toy`
    run_python,
    tokenize,
    weights,
)


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


def train(output_dir, toy, generator=None, resume=None, **kwargs):
    trainer = toy.trainer(output_dir, generator, **kwargs)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def cut_and_resume(tmp_path, toy, at, **options):
    """A run, one that is stopped after a step, and what goes on from its checkpoint to the same weights."""
    options |= {"save_strategy": "steps", "save_steps": at}
    whole = train(tmp_path / "whole", toy, toy.generator(), **options)
    cut = train(tmp_path / "cut", toy, toy.generator(), callbacks=[StopAt(at)], **options)
    resumed = train(tmp_path / "cut", toy, toy.generator(), resume=True, **options)
    assert resumed.state.global_step == whole.state.global_step > cut.state.global_step == at
    assert_equal_weights(weights(resumed.model), weights(whole.model))
    return whole, cut, resumed


# --- contract 1: the stock Trainer -------------------------------------------------------------------------------


@pytest.mark.parametrize("with_generator", [False, True])
def test_without_generator_or_at_ratio_0_it_is_the_stock_trainer(tmp_path, toy, with_generator):
    """Weights after 20 steps, logs and the files of the checkpoint."""
    options = {"max_steps": 20, "save_strategy": "steps", "save_steps": 20}
    plain = {"per_device_train_batch_size": 4, "learning_rate": 1e-2, "logging_steps": 5, "report_to": "none"}
    plain |= {"disable_tqdm": True, "use_cpu": True, "dataloader_pin_memory": False, "seed": 1} | toy.arguments
    args = TrainingArguments(str(tmp_path / "a"), **plain, **options)
    stock = Trainer(toy.model(), args, toy.collator(), toy.dataset())
    stock.train()
    generator, ratio = (toy.generator(), 0.0) if with_generator else (None, 0.5)
    ours = train(tmp_path / "b", toy, generator, **options, synthetic_ratio=ratio)
    assert ours.state.global_step == 20
    assert_equal_weights(weights(ours.model), weights(stock.model))

    def logs(trainer):
        return [{k: v for k, v in log.items() if not k.startswith("train_")} for log in trainer.state.log_history]

    assert logs(ours) == logs(stock)
    files = [{path.name for path in (tmp_path / name / "checkpoint-20").iterdir()} for name in "ab"]
    assert files[0] == files[1]


# --- contracts 2 and 3: the blend --------------------------------------------------------------------------------


def test_an_epoch_is_one_pass_over_the_real_rows_and_half_of_each_batch_is_synthetic(tmp_path, toy):
    recorder = Recorder(toy)
    trainer = train(tmp_path, toy, toy.generator(), data_collator=recorder, num_train_epochs=1)
    assert trainer.state.global_step == 20
    assert recorder.synthetic_rows() == [2] * 20
    assert sorted(recorder.keys(synthetic=False)) == sorted(map(toy.key, toy.dataset()))
    assert sorted(recorder.keys(synthetic=True)) == sorted(map(toy.key, trainer.shards.dataset()))
    assert trainer.state.log_history[0]["synthetic_ratio"] == 0.5


def test_the_log_reports_ratio_acceptance_speed_wait_age_and_reuse(tmp_path, toy):
    options = {"filters": [EveryThird(toy)], "synthetic_reuse": 2, "synthetic_max_attempts": 1, "max_steps": 10}
    trainer = train(tmp_path, toy, toy.generator(), **options)
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


class Sets(Generator):
    """Says nothing but which set of labels it was asked for."""

    label_names = ("warm; dull", "none")

    def generate(self, labels, seed):
        return [{"text": self.label_names[label].partition(";")[0]} for label in labels]

    def fingerprint(self):
        return "sets"


def test_a_synthetic_row_with_several_labels_has_the_set_that_was_asked_for(tmp_path):
    class Collator(PadCollator):
        def __call__(self, rows):
            shown.extend((list(row["input_ids"]), row["labels"]) for row in rows if isinstance(row, SyntheticRow))
            batch = super().__call__([row | {"label": 0} for row in rows])
            return batch | {"labels": torch.tensor([list(row["labels"]) for row in rows])}

    shown, model = [], TEXT.model()
    model.config.id2label, model.config.problem_type = {0: "dull", 1: "warm"}, "multi_label_classification"
    rows = TEXT.rows().map(lambda row: {"labels": [float(row["label"])] * 2}, remove_columns="label")
    rows = rows.map(tokenize, batched=True)
    trainer = TEXT.trainer(tmp_path, Sets(), model=model, train_dataset=rows, data_collator=Collator())
    trainer.train()
    assert trainer.shards.dataset().features["label"].names == ["warm; dull", "none"]
    warm, none = tokenize({"text": ["warm", "none"]})["input_ids"]
    assert len(shown) == 40 * 2
    assert {tuple(ids) for ids, _ in shown} == {tuple(warm), tuple(none)}
    assert all(list(labels) == ([1.0, 1.0] if ids == warm else [0.0, 0.0]) for ids, labels in shown)


def test_a_schedule_changes_neither_steps_nor_learning_rate(tmp_path, toy):
    rates = []
    for schedule in ("constant", "stop_after"):
        recorder = Recorder(toy)
        options = {"data_collator": recorder, "synthetic_schedule": schedule, "logging_steps": 1}
        trainer = train(tmp_path, toy, toy.generator(), **options)
        rates.append([log["learning_rate"] for log in trainer.state.log_history if "loss" in log])
        assert trainer.state.global_step == 40
    assert rates[0] == rates[1]
    assert recorder.synthetic_rows() == [2] * 20 + [0] * 20


# --- producers and randomness ------------------------------------------------------------------------------------


def test_thread_and_inline_producers_give_identical_weights(tmp_path, toy):
    runs = [
        train(tmp_path / kind, toy, toy.generator(), filters=[EveryThird(toy)], synthetic_producer=kind)
        for kind in ("thread", "inline")
    ]
    assert_equal_weights(weights(runs[0].model), weights(runs[1].model))
    assert runs[0].shards.dataset().to_dict() == runs[1].shards.dataset().to_dict()


@pytest.mark.parametrize("producer", ["thread", "inline"])
def test_weight_0_leaves_the_course_of_the_classifier_to_the_real_rows(tmp_path, toy, producer):
    """With dropout: other synthetic rows, however greedy for randomness, must not move a single bit."""

    class Greedy(ToyGenerator):
        draws_from_seed_only = producer == "thread"

        def generate(self, labels, seed):
            if producer == "inline":
                torch.rand(7), np.random.rand(7)
            return super().generate(labels, seed)

    runs = [
        train(tmp_path / name, toy, generator, synthetic_weight=0.0, synthetic_producer=producer)
        for name, generator in (("a", toy.generator("one")), ("b", Greedy(toy, "another")))
    ]
    shown = [set(map(toy.key, run.shards.dataset())) for run in runs]
    assert not shown[0] & shown[1]
    assert_equal_weights(weights(runs[0].model), weights(runs[1].model))


def test_weight_0_is_training_on_the_real_rows_alone(tmp_path, toy):
    """Without dropout: the same weights as a run whose batches have the same real rows and no others."""
    recorder = Recorder(toy)
    # Plain descent: Adam blows up the rounding of other batch shapes where a gradient is almost nothing.
    options = {"optim": "sgd", "learning_rate": 0.1}
    blend = {"model": toy.model(dropout=0.0), "data_collator": recorder, "synthetic_weight": 0.0}
    ours = train(tmp_path / "a", toy, toy.generator(), **blend, **options)
    by_key = {toy.key(row): row for row in toy.dataset()}
    rows = [by_key[key] for key in recorder.keys(synthetic=False)]
    args = toy.args(tmp_path / "c", per_device_train_batch_size=2, num_train_epochs=1, **options)
    args.train_sampling_strategy = "sequential"
    real = Trainer(toy.model(dropout=0.0), args, toy.collator(), rows)
    real.train()
    assert real.state.global_step == ours.state.global_step == 40
    for name, tensor in weights(real.model).items():
        torch.testing.assert_close(weights(ours.model)[name], tensor, rtol=1e-5, atol=1e-6)
    assert not torch.equal(real.model.classifier.weight, toy.model(dropout=0.0).classifier.weight)


def test_weighted_and_soft_losses_against_a_naive_one(tmp_path, toy):
    options = {"filters": [EveryThird(toy)], "synthetic_weight": 0.5, "synthetic_labels": "soft"}
    trainer = toy.trainer(tmp_path, toy.generator(), **options)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.eval()
    log_p = trainer.model(**{name: batch[name] for name in toy.inputs}).logits.log_softmax(-1)
    real = -log_p[torch.arange(2), batch["labels"][:2]]
    soft = torch.tensor([[0.75, 0.25], [0.25, 0.75]])[batch["labels"][2:]]
    synthetic = -(soft * log_p[2:]).sum(-1)
    naive = (real.sum() + 0.5 * synthetic.sum()) / (2 + 0.5 * 2)
    inputs = trainer._prepare_inputs(dict(batch))
    torch.testing.assert_close(trainer.compute_loss(trainer.model, inputs), naive)
    trainer._close_runs(wait=True)


def test_a_dynamic_weight_looks_at_the_judge_and_at_the_classifier(tmp_path, toy):
    trainer = toy.trainer(tmp_path, toy.generator(), filters=[EveryThird(toy)], synthetic_weighting="dynamic")
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.eval()
    p = trainer.model(**{name: batch[name] for name in toy.inputs}).logits.softmax(-1)
    own = p[torch.arange(4), batch["labels"]]
    # The filter gives 0.75 to each class that was asked for.
    ratio = (0.75 / own[2:]).clamp(max=4.0)
    weights = torch.cat([torch.ones(2), ratio / ratio.mean()]).detach()
    inputs = trainer._prepare_inputs(dict(batch))
    found = trainer.compute_loss(trainer.model, inputs)
    torch.testing.assert_close(found, (weights * -own.log()).sum() / weights.sum())
    trainer._close_runs(wait=True)


@pytest.mark.parametrize("accumulation", [1, 2])
def test_weights_change_neither_the_scale_of_the_loss_nor_that_of_the_gradient(tmp_path, toy, accumulation):
    """Some heads ignore the number of items of a step, so their loss is multiplied (transformers#47688)."""
    logs = []
    for weight in (1.0, 1 - 1e-7):
        trainer = train(
            tmp_path / str(weight),
            toy,
            toy.generator(),
            model=toy.model(dropout=0.0),
            synthetic_weight=weight,
            max_steps=4 // accumulation,
            gradient_accumulation_steps=accumulation,
            learning_rate=1e-9,
            logging_steps=1,
        )
        logs.append([log for log in trainer.state.log_history if "loss" in log])
    for one, other in zip(*logs, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-3)


def batches_of(output_dir, toy, **options):
    """What the model would be given in an epoch."""
    trainer = toy.trainer(output_dir, toy.generator(), **options)
    batches = list(trainer.get_train_dataloader())
    trainer._close_runs(wait=True)
    return [{name: batch[name].tolist() for name in (*toy.inputs, "labels")} for batch in batches]


def test_what_chance_changes_is_the_same_with_any_number_of_workers(tmp_path, toy):
    inline, workers = (
        batches_of(tmp_path / str(workers), toy, dataloader_num_workers=workers, **toy.augmentation())
        for workers in (0, 2)
    )
    plain = batches_of(tmp_path / "plain", toy)
    assert inline == workers
    assert [batch["labels"] for batch in inline] == [batch["labels"] for batch in plain]
    assert all(a != b for a, b in zip(inline, plain, strict=True))


# --- resume ------------------------------------------------------------------------------------------------------


def feedback(toy):
    """Rounds with all policies: one before the first cut has taken effect, others later."""
    policies = [UncertaintySelection(), ClassAllocation(ahead=True), HardSeeds()]
    return {"synthetic_feedback": 2, "policies": policies, "eval_dataset": toy.dataset(20, seed=3)}


CASES = {
    "plain": lambda toy: {},
    "accumulation": lambda toy: {"gradient_accumulation_steps": 2},
    "workers": lambda toy: {"dataloader_num_workers": 2},
    "workers and accumulation": lambda toy: {"dataloader_num_workers": 2, "gradient_accumulation_steps": 2},
    "inline": lambda toy: {"synthetic_producer": "inline"},
    "filters, reuse, schedule": lambda toy: {
        "filters": [EveryThird(toy)],
        "synthetic_reuse": 3,
        "synthetic_max_attempts": 1,
        "synthetic_schedule": "cosine_decay",
    },
    "weights": lambda toy: {"synthetic_weight": 0.3, "gradient_accumulation_steps": 2},
    "dynamic weights": lambda toy: {"synthetic_weighting": "dynamic", "filters": [EveryThird(toy)]},
    "feedback": feedback,
    "feedback, inline, filters, reuse": lambda toy: {
        **feedback(toy),
        "synthetic_producer": "inline",
        "filters": [EveryThird(toy)],
        "synthetic_reuse": 2,
        "synthetic_max_attempts": 1,
    },
    "feedback, workers and accumulation": lambda toy: {
        **feedback(toy),
        "dataloader_num_workers": 2,
        "gradient_accumulation_steps": 2,
    },
    "feedback, chance": lambda toy: feedback(toy) | toy.augmentation(36),
    "chance": lambda toy: toy.augmentation(36),
    "chance in workers": lambda toy: toy.augmentation(36) | {"dataloader_num_workers": 2},
    "length-grouped": lambda toy: {"train_sampling_strategy": "group_by_length"},
}
# Only texts have lengths, and what two other cases cover together is enough once.
TEXT_ALONE = ("length-grouped", "accumulation", "workers")


@pytest.mark.parametrize(
    ("toy", "case"),
    [(name, case) for name in TOYS for case in CASES if name == "text" or case not in TEXT_ALONE],
    indirect=["toy"],
)
@pytest.mark.parametrize("at", [3, 12])
def test_interrupted_is_uninterrupted(tmp_path, toy, case, at):
    """In the middle of the first and of a later epoch: equal weights, and nothing is generated a second time."""
    options = {"train_dataset": toy.dataset(36), "num_train_epochs": 2} | CASES[case](toy)
    whole, cut, resumed = cut_and_resume(tmp_path, toy, at, **options)
    per_epoch = whole.state.max_steps // 2
    assert at % per_epoch, "in the middle of an epoch"
    assert resumed.shards.dataset().to_dict() == whole.shards.dataset().to_dict()
    assert cut.generator.calls
    assert not set(cut.generator.calls) & set(resumed.generator.calls), "no shard twice"

    def stable(trainer):
        timed = ("per_second", "wait", "runtime", "samples", "steps_per")
        logs = [log for log in trainer.state.log_history if "loss" in log and log["step"] > at + 5]
        return [{k: v for k, v in log.items() if not any(t in k for t in timed)} for log in logs]

    assert stable(resumed) == stable(whole)


KILLED = """
    import pathlib, sys
    from tests.toys import TOYS, Kill

    toy, folder = TOYS[sys.argv[1]], pathlib.Path(sys.argv[2])
    trainer = toy.trainer(folder, toy.generator(log=folder.with_suffix(".calls")), callbacks=[Kill(7)],
                          save_strategy="steps", save_steps=5, gradient_accumulation_steps=2,
                          dataloader_num_workers=2, synthetic_keep=sys.argv[3])
    trainer.train(resume_from_checkpoint=True if (folder / "checkpoint-5").exists() else None)
    trainer.save_model(str(folder / "final"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["all", "recent"])
def test_a_killed_process_goes_on_as_if_nothing_had_happened(tmp_path, toy, keep):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run_python(KILLED, toy.name, whole, keep).returncode == 0
    assert run_python(KILLED, toy.name, cut, keep, "kill").returncode == -signal.SIGKILL
    done = {path.stem for path in cut.rglob("*.arrow")}
    before = cut.with_suffix(".calls").read_text().split()
    result = run_python(KILLED, toy.name, cut, keep)
    assert result.returncode == 0, result.stderr
    assert (whole / "final/model.safetensors").read_bytes() == (cut / "final/model.safetensors").read_bytes()
    after = cut.with_suffix(".calls").read_text().split()[len(before) :]
    assert len(before) >= len(done) > 0
    assert not set(before[: len(done)]) & set(after), "no finished shard is made again"

    def shards(folder):
        return {path.name: path.read_bytes() for path in folder.rglob("*.arrow")}

    assert shards(whole) == shards(cut)


# --- datasets of every kind --------------------------------------------------------------------------------------


class TorchRows(torch.utils.data.Dataset):
    def __init__(self, toy):
        self.toy, self.rows = toy, toy.dataset()

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.toy.by_hand(self.rows[index])


DATASETS = {
    "torch": lambda toy: {"train_dataset": TorchRows(toy)},
    "stream": lambda toy: {"train_dataset": toy.stream(10), "synthetic_class_balance": "uniform"},
    "numpy format": lambda toy: {"train_dataset": toy.dataset().with_format("numpy")},
}


@pytest.mark.parametrize(
    ("kind", "workers"), [("torch", 0), ("torch", 2), ("stream", 0), ("stream", 2), ("numpy format", 0)]
)
def test_other_kinds_of_datasets_train_and_resume(tmp_path, toy, kind, workers):
    recorder = Recorder(toy)
    options = {"max_steps": 12, "dataloader_num_workers": workers, "remove_unused_columns": False}
    cut_and_resume(tmp_path, toy, 5, data_collator=recorder, **options | DATASETS[kind](toy))
    if workers == 0:
        assert recorder.synthetic_rows()[:12] == [2] * 12


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_whose_rows_change_at_random_resumes(tmp_path, toy, workers):
    stream = toy.rows(10).to_iterable_dataset().map(toy.augment, batched=True, remove_columns=list(toy.features))
    options = {"train_dataset": stream, "preprocess": toy.augment, "synthetic_class_balance": "uniform"}
    options |= {"max_steps": 12, "dataloader_num_workers": workers, "remove_unused_columns": False}
    cut_and_resume(tmp_path, toy, 5, **options)


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

    options = {"train_dataset": TEXT.rows(), "preprocess": None, "data_collator": collate}
    trainer = train(tmp_path, TEXT, TEXT.generator(), **options, remove_unused_columns=False, max_steps=3)
    assert trainer.state.global_step == 3


def test_images_reach_the_collator_as_the_arrays_that_the_generator_made(tmp_path):
    rows = []

    def collate(batch):
        rows.extend(batch)
        return IMAGE.collator()(batch)

    options = {"train_dataset": TorchRows(IMAGE), "data_collator": collate, "num_train_epochs": 1}
    trainer = train(tmp_path, IMAGE, IMAGE.generator(), **options)
    assert {type(row["image"]) for row in rows} == {np.ndarray}
    assert {(row["image"].dtype, row["image"].shape) for row in rows} == {(np.dtype("uint8"), (SIZE, SIZE, 3))}
    shards = range(5)
    made = [example for i in shards for example in trainer.blend.pipeline.make(i).examples]
    kept = [example for i in shards for example in trainer.shards.read(i).examples]
    assert comparable(kept) == comparable(made)
    shown = [{"image": row["image"]} for row in rows if isinstance(row, SyntheticRow)]
    assert sorted(map(IMAGE.key, shown)) == sorted(map(IMAGE.key, made))
    dataset = trainer.shards.dataset()
    assert dataset.features["image"] == datasets.Array3D(shape=(SIZE, SIZE, 3), dtype="uint8")
    assert len(dataset) == len(made) == 40


def test_columns_that_nobody_uses_may_lie_beside_the_others(tmp_path):
    rows = [{**row, "idx": i} for i, row in enumerate(TorchRows(TEXT))]
    assert train(tmp_path, TEXT, TEXT.generator(), train_dataset=rows, max_steps=3).state.global_step == 3


def test_a_model_with_a_sample_weight_of_its_own_keeps_it(tmp_path, toy):
    def collate(rows):
        return toy.collator()(rows) | {"sample_weight": torch.ones(len(rows))}

    class Model(type(toy.model())):
        def forward(self, sample_weight=None, **inputs):
            assert sample_weight is not None
            return super().forward(**inputs)

    # By which transformers finds the loss.
    Model.__name__ = type(toy.model()).__name__
    options = {"model": Model(toy.model().config), "data_collator": collate, "remove_unused_columns": False}
    for generator in (None, toy.generator()):
        train(tmp_path, toy, generator, max_steps=2, synthetic_weight=0.5, **options)


class EndEpochAt(TrainerCallback):
    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        control.should_epoch_stop = state.global_step % self.steps == 0


def test_an_epoch_that_a_callback_ends_early_is_followed_by_another_one(tmp_path, toy):
    recorder = Recorder(toy)
    train(tmp_path, toy, toy.generator(), data_collator=recorder, callbacks=[EndEpochAt(3)], num_train_epochs=4)
    # The loader is one batch ahead: four are fetched in an epoch.
    epochs = [recorder.batches[i : i + 3] for i in range(0, 16, 4)]
    orders = [[key for batch in epoch for synthetic, key in batch if not synthetic] for epoch in epochs]
    assert len({tuple(order) for order in orders}) == 4


class LooksAtTheData(TrainerCallback):
    def __init__(self):
        self.trainer = None

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 3:
            assert len(list(self.trainer.get_train_dataloader())) == 20


def test_a_loader_made_during_and_after_training_is_whole_and_disturbs_nothing(tmp_path, toy):
    callback = LooksAtTheData()
    trainer = toy.trainer(tmp_path / "a", toy.generator(), callbacks=[callback], model=toy.model(dropout=0.0))
    callback.trainer = trainer
    trainer.train()
    assert len(list(trainer.get_train_dataloader())) == 20
    trainer._close_runs(wait=True)
    alone = train(tmp_path / "b", toy, toy.generator(), model=toy.model(dropout=0.0))
    assert_equal_weights(weights(trainer.model), weights(alone.model))


def test_labels_of_another_name_can_be_weighed_and_missing_ones_are_named(tmp_path, toy):
    def collate(rows):
        return {k: v for k, v in toy.collator()(rows).items() if k != "labels"}

    with pytest.raises(ValueError, match=r"none of label_names=\['labels'\]: .* name them in label_names"):
        train(tmp_path, toy, toy.generator(), data_collator=collate, synthetic_weight=0.5)


def test_shards_of_another_label_column_are_not_mistaken(tmp_path, toy):
    shared = {"synthetic_dir": str(tmp_path / "shards"), "max_steps": 2}
    train(tmp_path / "a", toy, toy.generator(), **shared)
    renamed = toy.dataset().rename_column("label", "labels")

    def collate(rows):
        return toy.collator()([row | {"label": row["labels"]} for row in rows])

    train(tmp_path / "b", toy, toy.generator(), train_dataset=renamed, data_collator=collate, **shared)


def test_plain_training_arguments_blend_with_the_defaults(tmp_path, toy):
    options = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False}
    args = TrainingArguments(str(tmp_path), max_steps=3, **options, **toy.arguments)
    recorder = Recorder(toy)
    trainer = train(tmp_path, toy, toy.generator(), args=args, data_collator=recorder)
    assert recorder.synthetic_rows()[:3] == [4] * 3
    assert trainer.augmentation.synthetic_ratio == 0.5


def test_evaluation_sees_no_synthetic_row(tmp_path, toy):
    recorder = Recorder(toy)
    trainer = toy.trainer(tmp_path, toy.generator(), data_collator=recorder, synthetic_weight=0.5)
    trainer.evaluate(toy.dataset(10, seed=3))
    assert not any(synthetic for batch in recorder.batches for synthetic, _ in batch)


def test_a_second_run_uses_the_shards_of_the_first(tmp_path, toy):
    first, second = toy.generator(), toy.generator()
    train(tmp_path / "a", toy, first, max_steps=5, synthetic_dir=str(tmp_path / "shards"))
    train(tmp_path / "b", toy, second, max_steps=5, synthetic_dir=str(tmp_path / "shards"))
    assert not set(first.calls) & set(second.calls)


# --- refusals ----------------------------------------------------------------------------------------------------


def with_labels(toy, values):
    return datasets.Dataset.from_dict(toy.dataset(4).to_dict() | {"label": values})


class OtherLabels(ToyGenerator):
    label_names = ("rotten", "fresh")


class Careless(ToyGenerator):
    draws_from_seed_only = False


# How a trainer is built, and what it says.
REFUSALS = {
    "ratio 1": (
        lambda toy: {"synthetic_ratio": 1.0},
        r"synthetic_ratio=1\.0 is out of range: pass a share in \[0, 1\)",
    ),
    "weighting": (
        lambda toy: {"synthetic_weighting": "steep"},
        "synthetic_weighting='steep' is out of range: pass one of constant, dynamic",
    ),
    "dynamic without a judge": (
        lambda toy: {"synthetic_weighting": "dynamic"},
        "synthetic_weighting='dynamic' needs a filter that gives label probabilities: add LabelAgreement",
    ),
    "dynamic alone": (
        lambda toy: {"synthetic_weighting": "dynamic", "synthetic_ratio": 0.25, "filters": [EveryThird(toy)]},
        "synthetic_ratio=0.25 leaves one: raise it",
    ),
    "ratio -0.1": (lambda toy: {"synthetic_ratio": -0.1}, r"synthetic_ratio=-0\.1 is out of range"),
    "reuse 0": (lambda toy: {"synthetic_reuse": 0}, "synthetic_reuse=0 is out of range: pass 1 or more"),
    "schedule": (
        lambda toy: {"synthetic_schedule": "square"},
        "synthetic_schedule='square' is out of range: pass one of constant",
    ),
    "unknown label": (
        lambda toy: {"train_dataset": with_labels(toy, [0, 1, 2, 7])},
        r"labels \[2, 7\] in column 'label', but the generator knows 0 to 1",
    ),
    "no label column": (
        lambda toy: {"train_dataset": toy.dataset().remove_columns("label")},
        "no label column among",
    ),
    "empty": (lambda toy: {"train_dataset": toy.dataset().select([])}, "train_dataset is empty"),
    "no preprocess": (
        lambda toy: {
            "train_dataset": toy.rows().rename_column(*toy.features, "another"),
            "preprocess": None,
            "remove_unused_columns": False,
        },
        r"columns \['another'\], which the generator's columns .* do not give: pass preprocess=",
    ),
    "other labels": (lambda toy: {"generator": OtherLabels(toy)}, r"made for the labels \['rotten', 'fresh'\]"),
    "careless in a thread": (lambda toy: {"generator": Careless(toy)}, "pass synthetic_producer='inline'"),
    "soft without a filter": (lambda toy: {"synthetic_labels": "soft"}, "add LabelAgreement to filters"),
    "label smoothing": (
        lambda toy: {"synthetic_weight": 0.5, "label_smoothing_factor": 0.1},
        "does not go with label_smoothing_factor: leave one",
    ),
    "batch of one": (lambda toy: {"per_device_train_batch_size": 1}, "leaves batches of 1 without a real row"),
    "rebalance": (
        lambda toy: {"train_sampling_strategy": "batch_rebalance"},
        "use 'random' or 'group_by_length'",
    ),
    "split batches": (
        lambda toy: {"accelerator_config": {"split_batches": True}},
        r"accelerator_config\.split_batches=True",
    ),
    "stream without steps": (
        lambda toy: {"train_dataset": toy.stream(), "synthetic_class_balance": "uniform"},
        "max_steps",
    ),
    "ratio too small": (lambda toy: {"synthetic_ratio": 1e-4}, "leaves no synthetic row"),
    "no batch": (
        lambda toy: {"dataloader_drop_last": True, "train_dataset": toy.dataset(1)},
        "leaves no batch",
    ),
    "text labels": (
        lambda toy: {"train_dataset": toy.dataset().cast_column("label", datasets.Value("string"))},
        "encode them as integers",
    ),
    "stream's balance": (
        lambda toy: {"train_dataset": toy.stream(), "max_steps": 5},
        "pass synthetic_class_balance='uniform'",
    ),
    "tuples": (lambda toy: {"train_dataset": [(1, 2)]}, "rows of type tuple: .* return a dict"),
    "two filters of a name": (lambda toy: {"filters": [EveryThird(toy), EveryThird(toy)]}, "two of one name"),
    "not a generator": (lambda toy: {"generator": "gpt2"}, "generator='gpt2' is not a Generator"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_work_is_refused_when_the_trainer_is_built(tmp_path, toy, case):
    options, message = REFUSALS[case]
    with pytest.raises(ValueError, match=message):
        toy.trainer(tmp_path, **{"generator": toy.generator()} | options(toy))
    assert not list(tmp_path.rglob("*.arrow"))


def test_of_columns_that_nothing_makes_those_that_the_model_reads_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"columns \['(input_ids', 'attention_mask|attention_mask', 'input_ids)'\]"):
        TEXT.trainer(tmp_path, TEXT.generator(), preprocess=None)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("one", "two", "trained with generator='one', this trainer has 'two'"),
        ("one", None, "was trained with synthetic examples.*pass its generator"),
        (None, "one", "was trained without synthetic examples.*leave the generator out"),
    ],
)
def test_a_checkpoint_of_another_generator_is_refused_before_training(tmp_path, toy, first, second, message):
    first, second = (name and toy.generator(name) for name in (first, second))
    train(tmp_path, toy, first, max_steps=4, save_strategy="steps", save_steps=2)
    trainer = toy.trainer(tmp_path, second, max_steps=4)
    before = weights(trainer.model)
    with pytest.raises(ValueError, match=message):
        trainer.train(resume_from_checkpoint=True)
    with pytest.raises(ValueError, match=message):
        trainer.train(resume_from_checkpoint=tmp_path / "checkpoint-4")
    assert_equal_weights(weights(trainer.model), before)


def test_a_changed_ratio_on_resume_is_a_warning(tmp_path, toy, caplog):
    train(tmp_path, toy, toy.generator(), max_steps=4, save_strategy="steps", save_steps=2)
    facts = json.loads((tmp_path / "checkpoint-2/augmentation.json").read_text())
    assert facts["plan"]["synthetic_ratio"] == 0.5
    with caplog.at_level("WARNING", logger="hf_augment.training.trainer"):
        train(tmp_path, toy, toy.generator(), max_steps=4, synthetic_ratio=0.25, resume=str(tmp_path / "checkpoint-2"))
    assert "synthetic_ratio was 0.5" in caplog.text


def test_parameters_are_those_of_the_trainer_in_its_order_and_ours_keyword_only(tmp_path):
    collator, rows = TEXT.collator(), TEXT.dataset()
    trainer = AugmentingTrainer(TEXT.model(), TEXT.args(tmp_path), collator, rows, train_collator=print)
    assert (trainer.data_collator, trainer.train_dataset, trainer.train_collator) == (collator, rows, print)
    with pytest.raises(TypeError):
        AugmentingTrainer(TEXT.model(), TEXT.args(tmp_path), *[None] * 11, TEXT.generator())


def test_an_error_in_training_leaves_no_thread(tmp_path, toy):
    import threading

    with pytest.raises(RuntimeError, match="the toy broke"):
        train(tmp_path, toy, toy.generator(fail_at_call=2))
    assert "hf_augment-producer" not in [thread.name for thread in threading.enumerate()]


class Never(Filter):
    name = "never"

    def judge(self, examples, labels):
        return [Verdict(False, 0.0, "never") for _ in examples]

    def fingerprint(self):
        return "0"


def test_a_run_that_was_shown_nothing_says_so(tmp_path, caplog):
    trainer = train(tmp_path, TEXT, TEXT.generator(), filters=[Never()], max_steps=3)
    # Half of 3 batches, on one process.
    assert (trainer.shown_share, trainer.scheduled_rows) == (0, 3 * trainer.args.train_batch_size // 2)
    assert "Of the synthetic rows that were scheduled 0.0% were shown, so this run says nothing" in caplog.text
    caplog.clear()
    train(tmp_path / "other", TEXT, TEXT.generator(), max_steps=3)
    assert "says nothing of its generator" not in caplog.text


class Nameless(Generator):
    def generate(self, labels, seed):
        return []

    def fingerprint(self):
        return "0"


class Uncounted(Never):
    name = None


@pytest.mark.parametrize(
    ("generator", "filters", "message"),
    [
        (Nameless(), (), r"generator=Nameless has label_names=None: set it to the classes"),
        (TEXT.generator(), Never(), r"filters=.* must be a list of filters: pass filters=\[...\]"),
        (TEXT.generator(), [Uncounted()], "a Uncounted without a name"),
    ],
)
def test_half_a_generator_or_filter_is_refused(tmp_path, generator, filters, message):
    with pytest.raises(ValueError, match=message):
        TEXT.trainer(tmp_path, generator, filters=filters)


def test_a_generator_with_one_column_as_a_word_is_refused(tmp_path):
    generator = TEXT.generator()
    generator.columns = "text"
    with pytest.raises(ValueError, match=r"columns='text': set it to a tuple of names, \('text',\)"):
        TEXT.trainer(tmp_path, generator)


@pytest.mark.parametrize("producer", ["inline", "thread"])
def test_a_generator_that_returns_words_is_told_of_once(tmp_path, producer):
    generator = TEXT.generator("words")
    generator.generate = lambda labels, seed: ["a"] * len(labels)
    with pytest.raises(
        (RuntimeError, ValueError), match=r"an example with 'a', no dict.*: make them agree\.$"
    ) as told:
        train(tmp_path, TEXT, generator, synthetic_producer=producer, max_steps=2)
    assert "made before" not in str(told.value)


def test_a_preprocess_that_returns_nothing_is_told(tmp_path):
    with pytest.raises(TypeError, match="preprocess returned NoneType: return the columns that it makes"):
        train(tmp_path, TEXT, TEXT.generator(), preprocess=lambda columns: None, max_steps=2)


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(tmp_path, caplog):
    options = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2}
    whole = train(tmp_path / "whole", TEXT, TEXT.generator(), **options)
    train(tmp_path / "cut", TEXT, TEXT.generator(), callbacks=[StopAt(4)], **options)
    # What a process that is killed at once leaves.
    (tmp_path / "cut/checkpoint-6").mkdir()
    (tmp_path / "cut/checkpoint-6/augmentation.json.1-partial").write_text("{")
    resumed = train(tmp_path / "cut", TEXT, TEXT.generator(), resume=True, **options)
    assert "checkpoint-6 was not written to its end: training goes on from" in caplog.text
    assert_equal_weights(weights(resumed.model), weights(whole.model))
    for name in ("checkpoint-2", "checkpoint-4", "checkpoint-6"):
        (tmp_path / "cut" / name / "trainer_state.json").unlink()
    with pytest.raises(ValueError, match="was not written to its end, and there is no other checkpoint: delete it"):
        train(tmp_path / "cut", TEXT, TEXT.generator(), resume=True, **options)
