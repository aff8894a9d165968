import functools

import pytest
import torch
import torch.nn.functional as F

from hf_augment.training.loss import RowWeights, dynamic_weights, parameters_of, weigh_loss


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
