"""A Trainer whose loss heeds what rows weigh, with a generator and without."""

import functools

import pytest
import torch
import torch.nn.functional as F
from transformers import TrainerCallback

from hf_augment import AugmentingTrainer, HardSeeds, UncertaintySelection
from hf_augment.training.loss import parameters_of
from tests.toys import (
    TEXT,
    EveryThird,
    assert_equal_weights,
    each_toy,  # noqa: F401 - the fixture `toy`
    weights,
)


class Weighed(torch.nn.Module):
    def forward(self, outputs, labels, num_items_in_batch=None, row_weights=None):
        return 0


@pytest.mark.parametrize(
    "function",
    [
        lambda outputs, labels, row_weights=None: 0,
        Weighed(),
        Weighed().forward,
        torch.compile(Weighed(), backend="eager"),
        functools.partial(Weighed(), num_items_in_batch=None),
        functools.partial(lambda outputs, labels, scale, row_weights: 0, scale=2),
    ],
    ids=["function", "module", "method", "compiled", "part of a module", "part of a function"],
)
def test_a_loss_function_says_by_its_parameters_whether_it_heeds_weights(function):
    assert "row_weights" in parameters_of(function)


def test_a_loss_function_that_takes_in_whatever_comes_says_nothing():
    assert "row_weights" not in parameters_of(lambda outputs, labels: 0)
    assert "row_weights" not in parameters_of(lambda outputs, labels, **kwargs: 0)


def weighed(toy, num_rows=40):
    """Training rows with weights 0, 1, 2, 3 in turn."""
    return toy.dataset(num_rows).add_column("importance", [float(i % 4) for i in range(num_rows)])


class Spy:
    """A loss that keeps the weights and labels it was given."""

    def __init__(self):
        self.seen = []

    def __call__(self, outputs, labels, num_items_in_batch=None, row_weights=None):
        self.seen.append((labels.tolist(), None if row_weights is None else row_weights.tolist()))
        return F.cross_entropy(outputs["logits"], labels.view(-1))


def test_class_weights_are_those_of_cross_entropy_without_a_generator(tmp_path, toy):
    # An optimizer that does not blow up what differs by rounding.
    sgd = {"optim": "sgd", "learning_rate": 0.1}
    ours = toy.trainer(tmp_path / "ours", class_weights=[1.0, 3.0], **sgd)
    ours.train()
    weight = torch.tensor([1.0, 3.0])

    def naive(outputs, labels, num_items_in_batch=None):
        return F.cross_entropy(outputs["logits"], labels.view(-1), weight=weight)

    stock = toy.trainer(tmp_path / "stock", compute_loss_func=naive, **sgd)
    stock.train()
    for name, value in weights(ours.model).items():
        torch.testing.assert_close(value, weights(stock.model)[name], rtol=1e-3, atol=1e-5)
    plain = toy.trainer(tmp_path / "plain", **sgd)
    plain.train()
    assert any(not torch.equal(value, weights(plain.model)[name]) for name, value in weights(ours.model).items())


def test_rows_weigh_by_their_column_and_their_class_real_and_synthetic(tmp_path, toy):
    spy, rows = Spy(), weighed(toy)
    # Without a generator.
    values = {"train_dataset": rows, "row_weight_column": "importance", "class_weights": [1.0, 10.0]}
    toy.trainer(tmp_path / "0", compute_loss_func=spy, max_steps=10, **values).train()
    found = sorted(pair for labels, given in spy.seen for pair in zip(given, labels, strict=True))
    assert found == sorted(((i % 4) * (10.0 if i % 2 else 1.0), i % 2) for i in range(40))
    # In a blend a synthetic row has its constant in the place of the column.
    spy.seen.clear()
    values |= {"synthetic_weight": 0.5, "eval_dataset": rows, "eval_strategy": "epoch", "num_train_epochs": 1}
    trainer = toy.trainer(tmp_path / "1", toy.generator(), compute_loss_func=spy, **values)
    trainer.train()
    trained = [(labels, given) for labels, given in spy.seen if given is not None]
    assert len(trained) == trainer.state.max_steps
    found = sorted(pair for labels, given in trained for pair in zip(given, labels, strict=True))
    real = [((i % 4) * (10.0 if i % 2 else 1.0), i % 2) for i in range(40)]
    synthetic = [pair for pair in [(0.5, 0), (5.0, 1)] for _ in range(20)]
    assert found == sorted(real + synthetic)
    # What a feedback asks, and an evaluation, sees no weights.
    feedback = {"synthetic_feedback": 4, "num_train_epochs": 2, "policies": [HardSeeds(), UncertaintySelection()]}
    values = {"train_dataset": rows, "row_weight_column": "importance", "eval_dataset": rows}
    toy.trainer(tmp_path / "2", toy.generator(), **values, **feedback).train()


def test_rows_of_weight_zero_teach_nothing(tmp_path, toy):
    rows = toy.dataset(8)
    wrong = rows.add_column("importance", [0.0] * 8)
    trainer = toy.trainer(tmp_path, train_dataset=wrong, row_weight_column="importance", weight_decay=0.0)
    before = {name: value.clone() for name, value in weights(trainer.model).items()}
    trainer.train()
    assert_equal_weights(weights(trainer.model), before)


def test_streams_transforms_and_raw_columns_may_have_weights(tmp_path, toy):
    stream = weighed(toy).to_iterable_dataset(2)
    values = {"row_weight_column": "importance", "max_steps": 4, "synthetic_class_balance": "uniform"}
    toy.trainer(tmp_path / "0", toy.generator(), train_dataset=stream, **values).train()
    values["remove_unused_columns"] = False
    options = toy.augmentation()
    rows = options["train_dataset"].with_format(None).add_column("importance", [1.0] * 40)

    def keeping(columns):
        return toy.augment(columns) | {"importance": columns["importance"]}

    options |= values | {"train_dataset": rows.with_transform(keeping)}
    toy.trainer(tmp_path / "1", toy.generator(), **options).train()
    options["train_dataset"] = rows.with_transform(toy.augment)
    with pytest.raises(ValueError, match="row_weight_column='importance' holds None in a row: give each training row"):
        toy.trainer(tmp_path / "2", toy.generator(), **options).train()


def test_a_function_of_ones_own_weighs_synthetic_rows(tmp_path):
    asked = []

    def weigh(logits, labels, agreement):
        asked.append((tuple(logits.shape), labels.tolist(), agreement.isnan().tolist()))
        return torch.where(agreement.isnan(), 1.0, 0.25)

    values = {"filters": [EveryThird(TEXT)], "synthetic_max_attempts": 5}
    own = TEXT.trainer(tmp_path / "0", TEXT.generator(), synthetic_weighting="dynamic", weigh=weigh, **values)
    own.train()
    constant = TEXT.trainer(tmp_path / "1", TEXT.generator(), synthetic_weight=0.25, **values)
    constant.train()
    assert_equal_weights(weights(own.model), weights(constant.model))
    assert asked[0][0] == (4, 2)
    assert sum(asked[0][2]) == 2
    bad = TEXT.trainer(
        tmp_path / "2", TEXT.generator(), synthetic_weighting="dynamic", weigh=lambda *of: [1.0], **values
    )
    with pytest.raises(ValueError, match=r"weigh returned \[1.0\]: return a tensor of shape \(4,\) of finite numbers"):
        bad.train()


REFUSED = {
    "no column": (
        {"row_weight_column": "weight"},
        r"row_weight_column='weight' is not in train_dataset, which",
    ),
    "classes": ({"class_weights": [1.0]}, "class_weights has 1 numbers, and the model has 2 classes"),
    "negative": ({"class_weights": [1.0, -1.0]}, r"class_weights=\[1.0, -1.0\] is out of range: pass a list"),
    "no list": ({"class_weights": 2.0}, "class_weights=2.0 is out of range"),
    "unheard": ({"weigh": lambda *of: of}, "weigh is asked with a generator and synthetic_weighting='dynamic' alone"),
    "the label": ({"row_weight_column": "label"}, "row_weight_column='label' is what is learned"),
    "huge": ({"class_weights": [1e39, 1.0]}, "class_weights=.* is out of range: pass a list of numbers from 0 to 1e"),
    "smoothing": ({"class_weights": [1.0, 2.0], "label_smoothing_factor": 0.1}, "does not go with label_smoothing"),
    "deaf": ({"class_weights": [1.0, 2.0], "compute_loss_func": lambda outputs, labels: 0}, "has no parameter row_w"),
}


@pytest.mark.parametrize("generates", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_weights_that_cannot_work_are_refused(tmp_path, case, generates):
    options, told = REFUSED[case]
    with pytest.raises(ValueError, match=told):
        TEXT.trainer(tmp_path, TEXT.generator() if generates else None, **options)


@pytest.mark.parametrize("value", [-1.0, float("nan"), "much"])
def test_a_weight_that_is_none_is_named(tmp_path, value):
    rows = TEXT.dataset(8).add_column("importance", [value] * 8)
    trainer = TEXT.trainer(tmp_path, train_dataset=rows, row_weight_column="importance")
    with pytest.raises(ValueError, match=r"row_weight_column='importance' holds .* in a row"):
        trainer.train()


def test_a_loss_that_does_not_look_at_the_weights_of_rows_is_refused(tmp_path):
    class Deaf(AugmentingTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            outputs = model(**inputs)
            return (outputs.loss, outputs) if return_outputs else outputs.loss

    args = TEXT.args(tmp_path, class_weights=[1.0, 2.0])
    trainer = Deaf(TEXT.model(), args, train_dataset=TEXT.dataset(), data_collator=TEXT.collator())
    with pytest.raises(ValueError, match=r"Deaf.compute_loss did not look at self.row_weights"):
        trainer.train()


def in_steps(folder, batch_size, steps, **options):
    # This head ignores num_items_in_batch, so that accumulation multiplies its loss.
    sgd = {
        "optim": "sgd",
        "learning_rate": 0.1 / steps,
        "max_grad_norm": 0.0,
        "lr_scheduler_type": "constant",
        "max_steps": 3,
    }
    values = {"per_device_train_batch_size": batch_size, "gradient_accumulation_steps": steps, **sgd, **options}
    trainer = TEXT.trainer(folder, model=TEXT.model(dropout=0.0), **values)
    trainer.train()
    return weights(trainer.model)


@pytest.mark.parametrize("options", [{"class_weights": [1.0, 5.0]}, {"row_weight_column": "importance"}])
def test_accumulated_batches_weigh_their_rows_as_one_batch_does(tmp_path, options):
    options |= {"train_dataset": weighed(TEXT)}
    whole = in_steps(tmp_path / "4", 4, 1, **options)
    for size, steps in ((1, 4), (2, 2)):
        cut = in_steps(tmp_path / f"{size}", size, steps, **options)
        for name, value in whole.items():
            torch.testing.assert_close(cut[name], value, rtol=1e-3, atol=1e-5)
    plain = in_steps(tmp_path / "plain", 4, 1, train_dataset=weighed(TEXT))
    assert any((plain[name] - value).abs().max() > 1e-3 for name, value in whole.items())


def test_a_model_with_another_loss_is_refused_and_not_stripped_of_it(tmp_path):
    model = TEXT.model()
    forward = model.forward

    @functools.wraps(forward)
    def penalised(*args, **kwargs):
        outputs = forward(*args, **kwargs)
        if outputs.loss is not None:
            outputs.loss = outputs.loss + 10 * model.classifier.weight.abs().mean() + 0.2
        return outputs

    model.forward = penalised
    trainer = TEXT.trainer(tmp_path, model=model, class_weights=[1.0, 1.0])
    with pytest.raises(ValueError, match="is not the cross-entropy of its logits"):
        trainer.train()


def test_a_loader_without_weights_is_told_of(tmp_path):
    class Own(AugmentingTrainer):
        def get_train_dataloader(self):
            rows = self.train_dataset.remove_columns("text")
            return torch.utils.data.DataLoader(rows, 4, collate_fn=TEXT.collator())

    args = TEXT.args(tmp_path, class_weights=[1.0, 2.0])
    trainer = Own(TEXT.model(), args, train_dataset=TEXT.dataset(), data_collator=TEXT.collator())
    with pytest.raises(
        ValueError, match=r"none of them reached the loss of Own: call super\(\) in a get_train_dataload"
    ):
        trainer.train()


class Reweighs(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        args.class_weights = [5.0, 1.0]


@pytest.mark.parametrize("generates", [False, True])
def test_weights_that_a_callback_changes_while_training_are_refused(tmp_path, generates):
    generator = TEXT.generator() if generates else None
    trainer = TEXT.trainer(tmp_path, generator, class_weights=[1.0, 5.0], callbacks=[Reweighs()])
    with pytest.raises(ValueError, match=r"class_weights was set to \[5.0, 1.0\] while training"):
        trainer.train()


def test_a_resumed_blend_warns_of_other_weights(tmp_path, caplog):
    cut = {"save_strategy": "steps", "save_steps": 4, "max_steps": 4}
    TEXT.trainer(tmp_path, TEXT.generator(), class_weights=[1.0, 5.0], **cut).train()
    trainer = TEXT.trainer(tmp_path, TEXT.generator(), **cut | {"max_steps": 6})
    with caplog.at_level("WARNING"):
        trainer.train(resume_from_checkpoint=True)
    assert "class_weights" in caplog.text
