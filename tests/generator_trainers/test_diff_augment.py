"""Differentiable augmentation against what its paper says it does."""

import pytest
import torch

from hf_augment.generator_trainers.diff_augment import AUGMENTATIONS, diff_augment


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_no_policy_changes_nothing():
    images = torch.rand(3, 3, 8, 8)
    assert diff_augment(images, [], rng()) is images


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_is_seeded_keeps_the_shape_and_lets_gradients_through(name):
    images = torch.rand(5, 3, 32, 32, requires_grad=True)
    state = torch.get_rng_state()
    one, again, other = (diff_augment(images, [name], rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.shape == images.shape
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    one.square().sum().backward()
    assert images.grad.abs().sum() > 0


def test_translation_moves_each_image_by_up_to_an_eighth_and_fills_with_zeros():
    images = torch.zeros(200, 1, 32, 32)
    images[:, 0, 16, 16] = 1
    moved = diff_augment(images, ["translation"], rng())
    rows, columns = moved[:, 0].flatten(1).argmax(dim=1).div(32, rounding_mode="floor"), moved[:, 0].amax(1).argmax(1)
    assert sorted(set((rows - 16).tolist())) == list(range(-4, 5))
    assert sorted(set((columns - 16).tolist())) == list(range(-4, 5))
    assert torch.equal(moved.sum(dim=(1, 2, 3)), torch.ones(200))


def test_cutout_cuts_a_square_of_half_the_size():
    cut = diff_augment(torch.ones(300, 1, 32, 32), ["cutout"], rng()) == 0
    counts = cut.sum(dim=(1, 2, 3))
    assert counts.max() == 16 * 16
    assert counts.min() >= 8 * 8, "the centre lies inside the image"
    for image in cut[:20, 0]:
        rows, columns = image.any(dim=1).nonzero(), image.any(dim=0).nonzero()
        assert (
            image.sum()
            == len(rows) * len(columns)
            == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        )


def test_colour_keeps_grey_images_grey_and_changes_brightness_by_up_to_a_half():
    images = torch.zeros(500, 3, 4, 4)
    bright = diff_augment(images, ["color"], rng())
    # Of a constant image only the brightness can change.
    assert torch.allclose(bright, bright[:, :1, :1, :1].expand_as(bright), atol=1e-6)
    assert -0.5 <= bright.min() < -0.45
    assert 0.45 < bright.max() <= 0.5
