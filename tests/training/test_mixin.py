"""The mixin over other trainers, and what other people's code does at its seams."""

from __future__ import annotations

from dataclasses import dataclass

import datasets
import pytest
import torch
from transformers import (
    DataCollatorForSeq2Seq,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainerCallback,
)

from hf_augment.filters.near_duplicates import NearDuplicates
from hf_augment.generators.base import Generator
from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.blend import SHARD_FOLDER
from hf_augment.training.mixin import AugmentingMixin
from hf_augment.training.shape import baseline_steps
from hf_augment.training.trainer import AugmentingTrainer
from tests.fake_hub import FakeHub
from tests.tiny import tiny_tokenizer
from tests.toys import (
    LABELS,
    TEXT,
    EveryThird,
    Recorder,
    assert_equal_weights,
    each_toy,  # noqa: F401 - the fixture `toy`
    tokenize,
    weights,
)
from tests.training.test_trainer import StopAt, train


# --- other trainers ----------------------------------------------------------------------------------------------


class Louder(Trainer):
    """A user's own trainer, with a keyword of its own."""

    def __init__(self, *args, loudness, **kwargs):
        super().__init__(*args, **kwargs)
        self.loudness = loudness

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        return (self.loudness * loss, outputs) if return_outputs else self.loudness * loss


class AugmentingLouder(AugmentingMixin, Louder):
    pass


def louder(kind, output_dir, **options):
    ours = {name: options.pop(name) for name in ("generator", "preprocess") if name in options}
    args = TEXT.args(output_dir, max_steps=8, **options)
    return kind(TEXT.model(), args, TEXT.collator(), TEXT.dataset(), loudness=3.0, **ours)


TOKENIZER = tiny_tokenizer()


def to_sequences(columns):
    made = TOKENIZER(columns["question"])
    return {**made, "labels": TOKENIZER(columns["answer"])["input_ids"]}


class Pairs(Generator):
    """Examples that bring their own target, a sequence."""

    label_names = ("sum",)
    columns = ("question", "answer")

    def generate(self, labels, seed):
        return [{"question": f"{seed % 97} + {i}", "answer": str(seed % 97 + i)} for i in range(len(labels))]

    def fingerprint(self):
        return "pairs"


@dataclass
class Seq2SeqArguments(AugmentationArguments, Seq2SeqTrainingArguments):
    pass


class AugmentingSeq2SeqTrainer(AugmentingMixin, Seq2SeqTrainer):
    pass


def seq2seq(kind, output_dir, **options):
    torch.manual_seed(0)
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    model = T5ForConditionalGeneration(T5Config(vocab_size=len(TOKENIZER), **sizes))
    rows = datasets.Dataset.from_dict({"question": ["1 + 1", "2 + 3", "4 + 4"] * 6, "answer": ["2", "5", "8"] * 6})
    rows = rows.map(to_sequences, batched=True, remove_columns=rows.column_names)
    ours = {name: options.pop(name) for name in ("generator", "preprocess") if name in options}
    defaults = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False}
    defaults |= {"per_device_train_batch_size": 4, "max_steps": 8, "save_steps": 4, "seed": 1, "learning_rate": 1e-2}
    args = Seq2SeqArguments(str(output_dir), **defaults | {"synthetic_shard_size": 8} | options)
    collator = DataCollatorForSeq2Seq(TOKENIZER, model, padding="max_length", max_length=8)
    return kind(model, args, collator, rows, processing_class=TOKENIZER, **ours)


#: How each is built, its parent, the same with the mixin, and what makes it blend.
TRAINERS = {
    "own": (louder, Louder, AugmentingLouder, lambda: {"generator": TEXT.generator(), "preprocess": tokenize}),
    "seq2seq": (
        seq2seq,
        Seq2SeqTrainer,
        AugmentingSeq2SeqTrainer,
        lambda: {"generator": Pairs(), "preprocess": to_sequences},
    ),
}


@pytest.mark.parametrize("name", TRAINERS)
@pytest.mark.parametrize("with_generator", [False, True])
def test_without_generator_or_at_ratio_0_the_parent_s_weights_come_out_bit_for_bit(tmp_path, name, with_generator):
    build, parent, ours, blend = TRAINERS[name]
    assert_equal_to_the_parent(tmp_path, build, parent, ours, blend() if with_generator else {})


@pytest.mark.parametrize("name", TRAINERS)
def test_over_another_trainer_it_learns_from_what_is_made_and_resumes_exactly(tmp_path, name):
    build, _, ours, blend = TRAINERS[name]
    assert_learns_and_resumes(tmp_path, build, ours, blend)


def assert_equal_to_the_parent(tmp_path, build, parent, ours, blend):
    stock = build(parent, tmp_path / "a")
    stock.train()
    same = build(ours, tmp_path / "b", **blend, synthetic_ratio=0.0)
    same.train()
    assert same.shards is None
    assert_equal_weights(weights(same.model), weights(stock.model))


def assert_learns_and_resumes(tmp_path, build, ours, blend):
    options = {"save_strategy": "steps", "save_steps": 4}
    whole = build(ours, tmp_path / "whole", **blend(), **options)
    whole.train()
    assert len(whole.shards.dataset()) == 16
    assert whole.state.global_step == 8
    alone = build(ours, tmp_path / "alone")
    alone.train()
    with pytest.raises(AssertionError):
        assert_equal_weights(weights(whole.model), weights(alone.model))
    cut = build(ours, tmp_path / "cut", **blend(), **options)
    cut.add_callback(StopAt(4))
    cut.train()
    resumed = build(ours, tmp_path / "cut", **blend(), **options)
    resumed.train(resume_from_checkpoint=True)
    assert_equal_weights(weights(resumed.model), weights(whole.model))


def test_a_trainer_before_the_mixin_is_refused_with_the_right_order():
    with pytest.raises(TypeError, match=r"write class Wrong\(AugmentingMixin, Seq2SeqTrainer\)"):

        class Wrong(Seq2SeqTrainer, AugmentingTrainer):
            pass


# --- collators ---------------------------------------------------------------------------------------------------


def test_the_train_collator_meets_training_batches_alone(tmp_path, toy):
    training, other = Recorder(toy), Recorder(toy)
    options = {"data_collator": other, "train_collator": training, "eval_strategy": "steps", "eval_steps": 5}
    for generator in (None, toy.generator()):
        trainer = toy.trainer(tmp_path, generator, max_steps=5, eval_dataset=toy.dataset(6, seed=5), **options)
        trainer.train()
        assert trainer.data_collator is other
        trainer.predict(toy.dataset(6, seed=5))
        assert len(other.keys(synthetic=False)) == 12
        assert set(other.keys(synthetic=False)) == set(map(toy.key, toy.dataset(6, seed=5)))
        assert not other.keys(synthetic=True)
        assert bool(training.keys(synthetic=True)) == (generator is not None)
        other.batches.clear()


# --- losses ------------------------------------------------------------------------------------------------------


class OwnLoss(AugmentingTrainer):
    """A loss that asks for the weights of rows, or not."""

    asks = True

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        losses = torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="none")
        if self.asks and self.row_weights is not None:
            losses = losses * self.row_weights
        return (losses.mean(), outputs) if return_outputs else losses.mean()


def own_loss(kind, output_dir, weight, **options):
    args = TEXT.args(output_dir, max_steps=4, synthetic_weight=weight)
    generator = TEXT.generator()
    return kind(
        TEXT.model(), args, TEXT.collator(), TEXT.dataset(), generator=generator, preprocess=tokenize, **options
    )


def test_weights_reach_a_loss_of_a_subclass_and_one_that_does_not_look_is_refused(tmp_path):
    models = []
    for weight in (1.0, 0.0):
        trainer = own_loss(OwnLoss, tmp_path / str(weight), weight)
        trainer.train()
        models.append(weights(trainer.model))
    with pytest.raises(AssertionError):
        assert_equal_weights(*models)

    class Blind(OwnLoss):
        asks = False

    own_loss(Blind, tmp_path / "one", 1.0).train()
    with pytest.raises(ValueError, match=r"Blind\.compute_loss did not look at self\.row_weights"):
        own_loss(Blind, tmp_path / "half", 0.5).train()


def test_a_model_that_returns_no_logits_cannot_be_weighed_and_says_so(tmp_path):
    class Scores(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(64, 2)

        def forward(self, input_ids, attention_mask=None, labels=None):
            scores = self.embedding(input_ids).mean(1)
            return {"loss": torch.nn.functional.cross_entropy(scores, labels), "scores": scores}

    options = {"model": Scores(), "max_steps": 2}
    train(tmp_path / "a", TEXT, TEXT.generator(), **options)
    with pytest.raises(ValueError, match=r"Scores returns \['loss', 'scores'\], no logits to weigh: pass a"):
        train(tmp_path / "b", TEXT, TEXT.generator(), synthetic_weight=0.5, **options)


class Calls(AugmentingTrainer):
    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs)


class PreparesAnotherBatch(Calls):
    """As losses over a second set of rows do, unlabelled ones for example."""

    def compute_loss(self, *args, **kwargs):
        other = self._prepare_inputs(TEXT.collator()(list(TEXT.dataset(6))))
        assert len(other["labels"]) == 6
        return super().compute_loss(*args, **kwargs)


class OwnStep(AugmentingTrainer):
    def training_step(self, model, inputs, num_items_in_batch=None):
        model.train()
        loss = self.compute_loss(model, self._prepare_inputs(inputs))
        self.accelerator.backward(loss)
        return loss.detach()


@pytest.mark.parametrize("kind", [Calls, PreparesAnotherBatch, OwnStep])
def test_a_subclass_that_calls_the_loss_above_it_is_weighed(tmp_path, kind):
    models = []
    for each in (AugmentingTrainer, kind):
        trainer = own_loss(each, tmp_path / each.__name__, 0.0)
        trainer.train()
        models.append(weights(trainer.model))
    assert_equal_weights(*models)


def test_a_step_that_takes_no_account_of_weights_is_refused(tmp_path):
    class Blind(AugmentingTrainer):
        def training_step(self, model, inputs, num_items_in_batch=None):
            loss = model(**inputs).loss
            self.accelerator.backward(loss)
            return loss.detach()

    with pytest.raises(ValueError, match=r"none of them reached the loss of Blind: call .*_prepare_inputs in"):
        own_loss(Blind, tmp_path, 0.5).train()


def test_a_tuple_of_the_loss_alone_has_no_logits_to_weigh(tmp_path):
    class Alone(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = TEXT.model()

        def forward(self, input_ids, attention_mask=None, labels=None):
            return (self.model(input_ids, attention_mask, labels=labels).loss,)

    train(tmp_path / "a", TEXT, TEXT.generator(), model=Alone(), max_steps=1)
    with pytest.raises(ValueError, match=r"Alone returns \['loss'\], no logits to weigh"):
        train(tmp_path / "b", TEXT, TEXT.generator(), model=Alone(), max_steps=1, synthetic_weight=0.5)


def test_a_loss_function_with_the_parameter_is_given_weights_and_soft_labels(tmp_path, toy):
    seen = []

    def weighed(outputs, labels, num_items_in_batch=None, row_weights=None, label_probabilities=None):
        seen.append((row_weights, label_probabilities))
        losses = torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="none")
        return losses.mean()

    def careless(outputs, labels, num_items_in_batch=None):
        return torch.nn.functional.cross_entropy(outputs.logits, labels)

    options = {"generator": toy.generator(), "preprocess": toy.preprocess, "filters": [EveryThird(toy)]}

    def build(function):
        args = toy.args(tmp_path, max_steps=1, synthetic_weight=0.5, synthetic_labels="soft")
        rest = {"compute_loss_func": function, **options}
        return AugmentingTrainer(toy.model(), args, toy.collator(), toy.dataset(), **rest)

    build(weighed).train()
    assert seen[0][0].tolist() == [1.0, 1.0, 0.5, 0.5]
    assert seen[0][1].shape == (4, 2)
    with pytest.raises(ValueError, match="no parameter row_weights and no label_probabilities and would"):
        build(careless)
    with pytest.raises(ValueError, match="compute_loss_func has no parameter label_probabilities and would not"):
        build(lambda outputs, labels, num_items_in_batch=None, row_weights=None: None)


def test_a_loss_of_a_subclass_that_passes_over_soft_labels_is_refused(tmp_path):
    class Soft(OwnLoss):
        def compute_loss(self, *args, **kwargs):
            assert self.label_probabilities.shape == (4, 2)
            return super().compute_loss(*args, **kwargs)

    for kind, weight in ((OwnLoss, 0.5), (OwnLoss, 1.0), (Soft, 0.5), (Soft, 1.0)):
        args = TEXT.args(tmp_path / f"{kind.__name__}-{weight}", max_steps=1, synthetic_labels="soft")
        args.synthetic_weight = weight
        rest = {"generator": TEXT.generator(), "preprocess": tokenize, "filters": [EveryThird(TEXT)]}
        trainer = kind(TEXT.model(), args, TEXT.collator(), TEXT.dataset(), **rest)
        if kind is Soft:
            trainer.train()
            continue
        with pytest.raises(ValueError, match=r"OwnLoss\.compute_loss did not look at self\.label_probabilities:"):
            trainer.train()


# --- loaders -----------------------------------------------------------------------------------------------------


def test_a_subclass_with_a_loader_of_its_own_is_refused_and_one_that_asks_above_is_not(tmp_path, toy):
    class Own(AugmentingTrainer):
        def get_train_dataloader(self):
            return Trainer.get_train_dataloader(self)

    class Above(AugmentingTrainer):
        def get_train_dataloader(self):
            return super().get_train_dataloader()

    def build(kind):
        args = toy.args(tmp_path, max_steps=2)
        rest = {"generator": toy.generator(), "preprocess": toy.preprocess}
        return kind(toy.model(), args, toy.collator(), toy.dataset(), **rest)

    with pytest.raises(ValueError, match=r"Own\.get_train_dataloader returns a loader without synthetic rows"):
        build(Own).train()
    build(Above).train()


class RunsOutOfMemory(TrainerCallback):
    def __init__(self):
        self.done = False

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2 and not self.done:
            self.done = True
            raise torch.OutOfMemoryError("CUDA out of memory. (It is not, but who knows.)")


def test_a_second_try_with_smaller_batches_and_a_filter_with_a_memory_makes_the_same_shards(tmp_path, toy):
    made = []
    for name, callbacks in (("retried", [RunsOutOfMemory()]), ("once", [])):
        trainer = train(
            tmp_path / name,
            TEXT,
            TEXT.generator(),
            filters=[NearDuplicates(threshold=0.3)],
            callbacks=callbacks,
            auto_find_batch_size=bool(callbacks),
            max_steps=6,
            synthetic_shard_size=4,
            per_device_train_batch_size=4 if callbacks else 2,
        )
        rows = trainer.shards.dataset().to_list()
        made.append({row["slot"]: row["text"] for row in rows})
    shared = made[0].keys() & made[1].keys()
    assert len(shared) >= 6
    assert all(made[0][slot] == made[1][slot] for slot in shared)


@pytest.mark.parametrize(
    ("sampler", "batch_size", "message"),
    [
        (lambda rows: torch.utils.data.SubsetRandomSampler(range(12)), 4, "yields 12 rows, but .* train_dataset, 40"),
        (lambda rows: torch.utils.data.RandomSampler(rows, num_samples=100), 4, "yields 100 rows"),
        (torch.utils.data.SequentialSampler, 2, "has batches of 2, but .* per_device_train_batch_size=4"),
    ],
    ids=["fewer rows", "more rows", "other batches"],
)
def test_a_parent_s_loader_that_the_plan_does_not_fit_is_refused(tmp_path, sampler, batch_size, message):
    class Parent(Trainer):
        def get_train_dataloader(self):
            rows = self._remove_unused_columns(self.train_dataset)
            return torch.utils.data.DataLoader(rows, batch_size, sampler=sampler(rows), collate_fn=self.data_collator)

    class Ours(AugmentingMixin, Parent):
        pass

    options = {"generator": TEXT.generator(), "preprocess": tokenize}
    with pytest.raises(ValueError, match=message):
        Ours(TEXT.model(), TEXT.args(tmp_path), TEXT.collator(), TEXT.dataset(), **options).train()


def test_ignore_data_skip_is_refused_on_resume(tmp_path, toy):
    train(tmp_path, toy, toy.generator(), max_steps=4, save_strategy="steps", save_steps=2)
    with pytest.raises(ValueError, match="ignore_data_skip=True would show the first batches of the epoch again"):
        train(tmp_path, toy, toy.generator(), max_steps=6, ignore_data_skip=True, resume=True)


# --- arguments that change ---------------------------------------------------------------------------------------


def test_a_search_moves_the_ratio_to_0_and_the_seed_of_the_stream(tmp_path):
    seen = {}

    class Watch(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            seen[args.synthetic_ratio, args.seed] = trainer.shards and trainer.shards.identity["seed"]

    def build(trial):
        return TEXT.model()

    args = TEXT.args(tmp_path, max_steps=2, eval_strategy="no")
    trainer = AugmentingTrainer(
        None,
        args,
        TEXT.collator(),
        TEXT.dataset(),
        TEXT.dataset(6, seed=4),
        model_init=build,
        generator=TEXT.generator(),
        preprocess=tokenize,
        callbacks=[Watch()],
    )
    import optuna

    optuna.logging.disable_default_handler()
    grid = {"synthetic_ratio": [0.0, 0.5], "seed": [3, 4]}
    trainer.hyperparameter_search(
        lambda trial: {name: trial.suggest_categorical(name, values) for name, values in grid.items()},
        n_trials=4,
        sampler=optuna.samplers.GridSampler(grid, seed=0),
        backend="optuna",
        compute_objective=lambda metrics: metrics["eval_loss"],
    )
    assert seen == {(0.0, 3): None, (0.0, 4): None, (0.5, 3): 3, (0.5, 4): 4}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("synthetic_ratio", 2.0, r"synthetic_ratio=2\.0 is out of range"),
        ("synthetic_ratio", -0.5, r"synthetic_ratio=-0\.5 is out of range"),
        ("synthetic_labels", "soft", "add LabelAgreement to filters"),
        ("per_device_train_batch_size", 1, "leaves batches of 1 without a real row"),
    ],
)
def test_what_a_search_sets_is_checked_as_what_is_given(tmp_path, name, value, message):
    trainer = TEXT.trainer(tmp_path, TEXT.generator())
    setattr(trainer.args, name, value)
    trainer._train_batch_size = trainer.args.train_batch_size
    with pytest.raises(ValueError, match=message):
        trainer.get_train_dataloader()


class Sets(TrainerCallback):
    """Changes an argument while training."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def on_step_end(self, args, state, control, **kwargs):
        setattr(args, self.name, self.value)


@pytest.mark.parametrize(
    ("name", "value"), [("synthetic_ratio", 0.0), ("synthetic_weight", 0.5), ("gradient_accumulation_steps", 2)]
)
def test_an_argument_that_a_callback_changes_while_training_is_refused(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name} was set to {value} while training, which was planned with"):
        train(tmp_path, TEXT, TEXT.generator(), callbacks=[Sets(name, value)])


def test_a_checkpoint_says_what_its_run_was_made_of_whatever_the_arguments_are_now(tmp_path):
    options = {"save_strategy": "steps", "save_steps": 2}
    train(tmp_path, TEXT, TEXT.generator(), callbacks=[Sets("seed", 77)], max_steps=2, **options)
    train(tmp_path, TEXT, TEXT.generator(), max_steps=4, resume=True, **options)


def backwards(columns):
    return tokenize({"text": [" ".join(reversed(text.split())) for text in columns["text"]]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthetic_weight": 0.25}, "synthetic_weight was 1.0"),
        (
            {"preprocess": lambda columns: tokenize({"text": [t[::-1] for t in columns["text"]]})},
            "preprocess makes other",
        ),
        ({"data_seed": 3}, "data_seed was None"),
        ({"train_dataset": TEXT.dataset(60)}, "batches_per_epoch was 20"),
        ({"max_steps": 6}, "total_steps was 4"),
    ],
    ids=["weight", "preprocess", "order of the rows", "number of rows", "steps"],
)
def test_what_changes_on_resume_is_a_warning(tmp_path, caplog, change, message):
    options = {"max_steps": 4, "synthetic_schedule": "cosine_decay"}
    train(tmp_path, TEXT, TEXT.generator(), save_strategy="steps", save_steps=2, **options)
    train(tmp_path, TEXT, TEXT.generator(), resume=str(tmp_path / "checkpoint-2"), **options | change)
    assert message in caplog.text


def test_more_steps_by_a_constant_schedule_are_none(tmp_path, caplog):
    train(tmp_path, TEXT, TEXT.generator(), max_steps=2, save_strategy="steps", save_steps=2)
    train(tmp_path, TEXT, TEXT.generator(), max_steps=4, resume=True)
    assert "from here on" not in caplog.text


def test_another_number_of_processes_is_among_what_a_checkpoint_keeps(tmp_path, toy):
    trainer = toy.trainer(tmp_path, toy.generator())
    assert trainer.blend.settings()["world_size"] == 1


def test_without_a_generator_there_are_no_shards(tmp_path, toy):
    trainer = toy.trainer(tmp_path)
    assert trainer.shards is None
    assert trainer.blend is None


def test_the_steps_that_an_honest_baseline_needs_are_those_that_the_run_takes(tmp_path, toy):
    trainer = toy.trainer(tmp_path, toy.generator(), num_train_epochs=1, synthetic_ratio=0.75)
    assert trainer.baseline_steps == baseline_steps(trainer.args, 40) == 40
    trainer.train()
    assert trainer.state.global_step == 40
    assert toy.trainer(tmp_path, num_train_epochs=1).baseline_steps == 10


# --- data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [False, True], ids=["raw columns removed", "raw columns kept"])
@pytest.mark.parametrize("stream", [False, True], ids=["rows", "stream"])
@pytest.mark.parametrize("form", ["numbers", "words"])
def test_the_function_given_to_map_may_write_the_labels(tmp_path, keep, stream, form):
    column = "label" if form == "numbers" else "category"

    def prepared(columns):
        labels = columns[column]
        return tokenize(columns) | {"labels": labels if form == "numbers" else [LABELS.index(word) for word in labels]}

    rows = TEXT.rows()
    if form == "words":
        words = [LABELS[label] for label in rows["label"]]
        rows = rows.remove_columns("label").add_column("category", words)
    rows = rows.map(prepared, batched=True, remove_columns=[] if keep else rows.column_names)
    if stream:
        rows = rows.to_iterable_dataset()
    recorder = Recorder(TEXT)
    recorder.collate = lambda batch: TEXT.collator()([row | {"label": row["labels"]} for row in batch])
    options = {"preprocess": prepared, "data_collator": recorder, "train_dataset": rows, "max_steps": 4}
    options["remove_unused_columns"] = False
    train(tmp_path, TEXT, TEXT.generator(), synthetic_class_balance="uniform", **options)
    assert recorder.synthetic_rows()[:4] == [2] * 4


# --- pushes ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Use .content:DeprecationWarning")
@pytest.mark.parametrize("strategy", ["end", "every_save", "checkpoint", "all_checkpoints"])
def test_no_push_of_the_trainer_takes_shards_along(tmp_path, monkeypatch, strategy):
    """What filters reject repeats labelled and test rows, and stands in the accounts of shards."""
    with FakeHub() as hub:
        hub.play(monkeypatch, tmp_path)
        trainer = train(
            tmp_path / "run",
            TEXT,
            TEXT.generator(),
            filters=[EveryThird(TEXT)],
            max_steps=4,
            save_strategy="steps",
            save_steps=2,
            push_to_hub=True,
            hub_strategy=strategy,
            hub_model_id="user/run",
        )
        trainer.push_to_hub()
        files = hub.repositories["models/user/run"].files
    assert trainer.shards.folder.is_relative_to(tmp_path / "run" / SHARD_FOLDER)
    assert len(trainer.shards.dataset()) > 0
    assert "model.safetensors" in files
    assert not [path for path in files if "shard" in path or "hf_augment" in path or path.endswith(".arrow")]
    texts = trainer.shards.dataset()["text"][:]
    assert not [path for path, content in files.items() if any(text.encode() in content for text in texts)]


@pytest.mark.filterwarnings("ignore:Use .content:DeprecationWarning")
def test_shards_in_the_pushed_folder_are_refused(tmp_path, monkeypatch):
    inside = {"synthetic_dir": str(tmp_path / "run" / "mine")}
    message = "which a push of output_dir=.* would upload"
    with FakeHub() as hub:
        hub.play(monkeypatch, tmp_path)
        with pytest.raises(ValueError, match=message):
            TEXT.trainer(tmp_path / "run", TEXT.generator(), push_to_hub=True, hub_model_id="user/run", **inside)
        trainer = train(tmp_path / "run", TEXT, TEXT.generator(), max_steps=2, hub_model_id="user/run", **inside)
        with pytest.raises(ValueError, match=message):
            trainer.push_to_hub()


class LooksFirst(TrainerCallback):
    """Asks for another loader before training has begun with its own."""

    def __init__(self):
        self.trainer = None

    def on_train_begin(self, args, state, control, **kwargs):
        self.trainer.get_train_dataloader()


def test_a_loader_that_a_callback_asks_for_first_is_not_taken_for_the_one_that_is_trained_on(tmp_path, toy):
    callback = LooksFirst()
    trainer = toy.trainer(tmp_path, toy.generator(), callbacks=[callback], max_steps=5)
    callback.trainer = trainer
    trainer.train()
    assert trainer.state.log_history[0]["synthetic_ratio"] == 0.5


def test_classes_are_shared_out_as_in_the_dataset_or_as_asked_for(tmp_path, toy):
    rows = toy.dataset(40).select([i for i in range(40) if i % 2 == 0 or i < 8])  # 20 negative, 4 positive
    for balance, positive in (("dataset", 4 / 24), ("uniform", 0.5), ("rare_first", 1.0)):
        options = {"train_dataset": rows, "synthetic_class_balance": balance}
        weights_of_classes = toy.trainer(tmp_path, toy.generator(), **options).blend.pipeline.class_weights
        assert weights_of_classes.tolist() == pytest.approx([1 - positive, positive])
