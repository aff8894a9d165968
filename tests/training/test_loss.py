import functools

import pytest
import torch
import torch.nn.functional as F

from hf_augment import AugmentingTrainer, HardSeeds, UncertaintySelection
from hf_augment.training.loss import RowWeights, dynamic_weights, parameters_of, weigh_loss
from tests.toys import (
    TEXT,
    EveryThird,
    assert_equal_weights,
    each_toy,  # noqa: F401 - the fixture `toy`
    weights,
)


LOGITS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.5, 0.0]])
LABELS = torch.tensor([0, 1, 1])
PLAIN = F.cross_entropy(LOGITS, LABELS)


def rows(*weights, probabilities=None):
    return RowWeights(torch.tensor(weights), probabilities)


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.25])
def test_a_weighted_loss_has_the_scale_of_the_model_s_own_whatever_that_divides_by(scale):
    assert weigh_loss(scale * PLAIN, LOGITS, LABELS, rows(1.0, 1.0, 1.0)) == pytest.approx(scale * PLAIN.item())
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    naive = scale * (losses[0] + losses[1] + 0.5 * losses[2]) / 2.5
    assert weigh_loss(scale * PLAIN, LOGITS, LABELS, rows(1.0, 1.0, 0.5)) == pytest.approx(naive.item())


def test_the_rounding_of_a_loss_is_no_scale():
    rounded = PLAIN.bfloat16()
    assert rounded.float() != PLAIN
    torch.testing.assert_close(weigh_loss(rounded, LOGITS, LABELS, rows(1.0, 1.0, 1.0)), PLAIN, rtol=1e-6, atol=0)


def test_soft_labels_take_the_place_of_the_classes_and_a_loss_of_nothing_has_no_scale():
    soft = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    naive = -(soft * LOGITS.log_softmax(-1)).sum() / 3
    assert weigh_loss(PLAIN, LOGITS, LABELS, rows(1.0, 1.0, 1.0, probabilities=soft)) == pytest.approx(naive.item())
    certain = torch.tensor([[200.0, 0.0]])
    assert weigh_loss(torch.tensor(0.0), certain, torch.tensor([0]), rows(1.0)) == 0


@pytest.mark.parametrize("soft", [False, True])
def test_a_row_that_the_loss_leaves_out_does_not_weigh(soft):
    labels = torch.tensor([-100, 1, 1])
    probabilities = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]) if soft else None
    weighed = weigh_loss(
        F.cross_entropy(LOGITS, labels), LOGITS, labels, rows(1.0, 1.0, 0.5, probabilities=probabilities)
    )
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    assert weighed == pytest.approx(((losses[1] + 0.5 * losses[2]) / 1.5).item())


def test_dynamic_weights_by_hand():
    own = LOGITS.softmax(-1)
    agreement = torch.tensor([0.9, float("nan"), 0.8])
    first, last = 0.9 / own[0, 0].item(), 0.8 / own[2, 1].item()
    mean = (first + last) / 2
    found = dynamic_weights(LOGITS, LABELS, agreement)
    assert found.tolist() == pytest.approx([first / mean, 1.0, last / mean])
    # Never more than MOST_WEIGHT for one, so that what is most likely mislabelled does not outweigh the rest.
    wrong = torch.tensor([[0.0, 9.0], [0.0, 0.0]])
    assert dynamic_weights(wrong, torch.tensor([0, 0]), torch.ones(2)).tolist() == pytest.approx([4 / 3, 2 / 3])
    assert dynamic_weights(LOGITS, LABELS, torch.full((3,), float("nan"))).tolist() == [1.0] * 3
    # A row that does not count has no part in the mean, and what is nowhere likely has no weight.
    assert dynamic_weights(LOGITS, torch.tensor([-100, 1, 1]), agreement).tolist() == [1.0, 1.0, 1.0]
    sure = torch.tensor([[0.0, 200.0], [0.0, 0.0]])
    assert dynamic_weights(sure, torch.tensor([0, 0]), torch.tensor([0.0, 0.5])).tolist() == [0.0, 2.0]


def test_a_batch_in_which_no_row_counts_has_no_loss():
    labels = torch.tensor([-100, 1, 1])
    loss = F.cross_entropy(LOGITS, labels)
    assert weigh_loss(loss, LOGITS, labels, rows(1.0, 0.0, 0.0)) == 0


def test_dynamic_weights_come_on_top_of_the_constant_one():
    agreement = torch.tensor([0.9, float("nan"), 0.8])
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    weights = torch.tensor([0.5, 1.0, 0.5]) * dynamic_weights(LOGITS, LABELS, agreement)
    weighed = weigh_loss(PLAIN, LOGITS, LABELS, RowWeights(torch.tensor([0.5, 1.0, 0.5]), agreement=agreement))
    assert weighed == pytest.approx(((weights * losses).sum() / weights.sum()).item())


def test_no_gradient_flows_through_weights():
    logits = LOGITS.clone().requires_grad_()
    agreement = torch.tensor([0.9, float("nan"), 0.8])
    loss = weigh_loss(PLAIN, logits, LABELS, RowWeights(torch.ones(3), agreement=agreement))
    loss.backward()
    fixed = LOGITS.clone().requires_grad_()
    weights = dynamic_weights(LOGITS, LABELS, agreement)
    ((weights * F.cross_entropy(fixed, LABELS, reduction="none")).sum() / weights.sum()).backward()
    torch.testing.assert_close(logits.grad, fixed.grad)


def test_weights_are_taken_out_of_a_batch_once():
    batch = {"hf_augment.sample_weight": torch.ones(2), "input_ids": torch.zeros(2)}
    taken = RowWeights.taken_from(batch)
    assert list(batch) == ["input_ids"]
    assert not taken.read
    assert taken.look("row_weights").read == {"row_weights"}
    assert RowWeights.taken_from(batch) is None


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


# --- weights of rows and classes, with a generator and without ---------------------------------------------------


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
    "smoothing": ({"class_weights": [1.0, 2.0], "label_smoothing_factor": 0.1}, "do not go with label_smoothing"),
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
