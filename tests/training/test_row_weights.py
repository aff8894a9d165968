"""Weights of rows by hand: where they come from, and the loss that heeds them."""

import pytest
import torch
import torch.nn.functional as F

from hf_augment.training.row_weights import RowWeights, dynamic_weights, scale_of, weigh_loss


LOGITS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.5, 0.0]])
LABELS = torch.tensor([0, 1, 1])
PLAIN = F.cross_entropy(LOGITS, LABELS)


def rows(*weights, probabilities=None):
    return RowWeights(torch.tensor(weights), probabilities)


@pytest.mark.parametrize("scale", [1.0, 2.0, 0.25])
def test_a_weighted_loss_has_the_scale_of_the_model_s_own_whatever_that_divides_by(scale):
    known = [1.0, torch.tensor(0.25), 2, torch.tensor(0.5)]
    assert float(known[scale_of(scale * PLAIN, LOGITS, LABELS, known)]) == scale
    assert weigh_loss(scale, LOGITS, LABELS, rows(1.0, 1.0, 1.0)) == pytest.approx(scale * PLAIN.item())
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    naive = scale * (losses[0] + losses[1] + 0.5 * losses[2]) / 2.5
    assert weigh_loss(scale, LOGITS, LABELS, rows(1.0, 1.0, 0.5)) == pytest.approx(naive.item())


def test_rounding_is_no_scale_and_another_loss_is_refused():
    rounded = PLAIN.bfloat16()
    assert rounded.float() != PLAIN
    assert scale_of(rounded, LOGITS, LABELS, [1.0, 0.5]) == 0
    assert scale_of(F.cross_entropy(LOGITS.bfloat16(), LABELS), LOGITS.bfloat16(), LABELS, [1.0]) == 0
    with pytest.raises(
        ValueError, match=r"is not the cross-entropy of its logits, .* whatever else is in it would be"
    ):
        scale_of(1.3 * PLAIN, LOGITS, LABELS, [1.0, 0.5, 2])
    # Of what is known by heart nothing can be told, nor of a batch of which no row counts.
    assert scale_of(torch.tensor(0.4), 30 * torch.eye(2), torch.tensor([0, 1]), [1.0]) is None
    assert scale_of(torch.tensor(float("nan")), LOGITS, torch.full((3,), -100), [1.0]) is None


def test_over_the_batches_of_a_step_all_rows_weigh_alike():
    weights, losses = torch.tensor([1.0, 3.0, 0.5]), F.cross_entropy(LOGITS, LABELS, reduction="none")
    parts = [
        weigh_loss(1 / 3, LOGITS[i : i + 1], LABELS[i : i + 1], rows(weights[i].item()), divisor=weights.mean())
        for i in range(3)
    ]
    assert sum(parts) == pytest.approx(((weights * losses).sum() / weights.sum()).item())


def test_soft_labels_take_the_place_of_the_classes_and_a_loss_of_nothing_has_no_scale():
    soft = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    naive = -(soft * LOGITS.log_softmax(-1)).sum() / 3
    assert weigh_loss(1.0, LOGITS, LABELS, rows(1.0, 1.0, 1.0, probabilities=soft)) == pytest.approx(naive.item())
    certain = torch.tensor([[200.0, 0.0]])
    assert weigh_loss(1.0, certain, torch.tensor([0]), rows(1.0)) == 0


@pytest.mark.parametrize("soft", [False, True])
def test_a_row_that_the_loss_leaves_out_does_not_weigh(soft):
    labels = torch.tensor([-100, 1, 1])
    probabilities = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]) if soft else None
    weighed = weigh_loss(1.0, LOGITS, labels, rows(1.0, 1.0, 0.5, probabilities=probabilities))
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
    assert weigh_loss(1.0, LOGITS, labels, rows(1.0, 0.0, 0.0)) == 0


def test_dynamic_weights_come_on_top_of_the_constant_one():
    agreement = torch.tensor([0.9, float("nan"), 0.8])
    losses = F.cross_entropy(LOGITS, LABELS, reduction="none")
    weights = torch.tensor([0.5, 1.0, 0.5]) * dynamic_weights(LOGITS, LABELS, agreement)
    weighed = weigh_loss(1.0, LOGITS, LABELS, RowWeights(torch.tensor([0.5, 1.0, 0.5]), agreement=agreement))
    assert weighed == pytest.approx(((weights * losses).sum() / weights.sum()).item())


def test_no_gradient_flows_through_weights():
    logits = LOGITS.clone().requires_grad_()
    agreement = torch.tensor([0.9, float("nan"), 0.8])
    loss = weigh_loss(1.0, logits, LABELS, RowWeights(torch.ones(3), agreement=agreement))
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
