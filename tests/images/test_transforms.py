import pytest
import torch
from torchvision.transforms import v2

from hf_augment.images.transforms import by_batch


def images(n=400, size=4):
    """Images whose pixels are all different, and which are of other values than the ones before."""
    return (torch.arange(n * 3 * size * size).reshape(n, 3, size, size) % 251).to(torch.uint8)


def places(image, size, padding, **options):
    padded = v2.functional.pad(image, [padding], **options)
    height, width = padded.shape[1] - size + 1, padded.shape[2] - size + 1
    return [padded[:, top : top + size, left : left + size] for top in range(height) for left in range(width)]


@pytest.mark.parametrize("options", [{"fill": 7}, {"padding_mode": "reflect"}, {"fill": (1, 2, 3)}])
def test_each_image_is_cropped_at_a_place_of_its_own(options):
    rows = images()
    fill = options.get("fill")
    torch.manual_seed(0)
    made = by_batch(v2.RandomCrop(4, padding=1, **options))(rows.clone())
    assert made.shape == rows.shape
    counts = [0] * 9
    for image, of in zip(rows, made, strict=True):
        windows = places(image, 4, 1, **(options if fill is None else {"fill": list(fill) if fill != 7 else 7}))
        found = [i for i, window in enumerate(windows) if torch.equal(window, of)]
        assert len(found) == 1
        counts[found[0]] += 1
    # 400 of 9 places: 44 ± 6 each.
    assert min(counts) > 20


def test_a_crop_may_be_smaller_or_larger_than_the_images():
    rows = images(n=50)
    made = by_batch(v2.RandomCrop((2, 3)))(rows.clone())
    assert made.shape == (50, 3, 2, 3)
    made = by_batch(v2.RandomCrop(6, pad_if_needed=True))(rows.clone())
    assert made.shape == (50, 3, 6, 6)
    assert all((made == 0).flatten(1).sum(dim=1) >= 3 * (36 - 16))
    with pytest.raises(ValueError, match=r"crop size \(6, 6\) is larger than input image size \(4, 4\)"):
        by_batch(v2.RandomCrop(6))(rows)


@pytest.mark.parametrize(("flip", "axis"), [(v2.RandomHorizontalFlip, 3), (v2.RandomVerticalFlip, 2)])
def test_each_image_is_flipped_or_not(flip, axis):
    rows = images()
    torch.manual_seed(0)
    made = by_batch(flip(0.25))(rows.clone())
    flipped = (made == rows.flip(axis)).flatten(1).all(dim=1)
    assert ((made == rows).flatten(1).all(dim=1) ^ flipped).all()
    assert 70 <= flipped.sum() <= 130
    assert torch.equal(by_batch(flip(1.0))(rows.clone()), rows.flip(axis))
    assert torch.equal(by_batch(flip(0.0))(rows.clone()), rows)


def test_what_draws_nothing_takes_the_batch_and_makes_the_same():
    rows, seen = images(n=5), []
    steps = [v2.Resize(8), v2.CenterCrop(6), v2.Pad(1), v2.Grayscale()]
    together = by_batch(v2.Compose([*steps, lambda image: seen.append(image.shape) or image]))(rows.clone())
    alone = torch.stack([v2.Compose(steps)(image) for image in rows])
    assert torch.equal(together, alone)
    # What is of nobody known is called for each image.
    assert seen == [(1, 8, 8)] * 5


def test_one_seed_draws_the_same():
    augment = by_batch(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(4, padding=2), v2.RandAugment()]))
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(augment(images(n=20)))
    assert torch.equal(*made)
    assert not torch.equal(made[0], images(n=20))


def test_images_that_end_in_several_sizes():
    sizes = iter([3, 2])
    with pytest.raises(ValueError, match=r"shape \(3, 4, 2\) of row 1 and of shape \(3, 4, 3\) of row 0"):
        by_batch(lambda image: image[:, :, : next(sizes)])(images(n=2))
