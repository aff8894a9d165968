"""Corrupted images: what they depend on, what is refused, and the official set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from hf_augment.perturbations import images as module
from hf_augment.perturbations.images import IMAGE_CORRUPTIONS, corrupt_images, load_corrupted_set


FIXED = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}
RNG = np.random.default_rng(0)
IMAGES = ndimage.gaussian_filter(RNG.integers(0, 256, (7, 12, 10, 3)), (0, 1, 1, 0)).astype(np.uint8)

some_images = st.tuples(st.integers(1, 3), st.integers(8, 17), st.integers(8, 17), st.sampled_from([1, 3])).flatmap(
    lambda shape: arrays.arrays(np.uint8, shape)
)


@pytest.mark.parametrize("name", IMAGE_CORRUPTIONS)
@given(images=some_images, severity=st.integers(1, 5), seed=st.integers(0, 2**40))
@settings(max_examples=6, deadline=None)
def test_any_image_gives_an_image_that_depends_on_nothing_behind_it(name, images, severity, seed):
    before = images.copy()
    corrupted = corrupt_images(images, name, severity, seed)
    assert corrupted.shape == images.shape
    assert corrupted.dtype == np.uint8
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(corrupt_images(list(images[:1]), name, severity, seed), corrupted[:1])


@pytest.mark.parametrize("name", IMAGE_CORRUPTIONS)
def test_what_a_result_depends_on(name, monkeypatch):
    corrupted = corrupt_images(IMAGES, name, 3, seed=5)
    assert (corrupted != IMAGES).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(corrupt_images(IMAGES, name, 3, seed=5), corrupted)
    # Not on the other images, nor on how many are worked on at a time.
    others = IMAGES.copy()
    others[[0, 2, 6]] = 255 - others[[0, 2, 6]]
    np.testing.assert_array_equal(corrupt_images(others, name, 3, seed=5)[[1, 3, 4, 5]], corrupted[[1, 3, 4, 5]])
    monkeypatch.setattr(module, "CHUNK", 3)
    np.testing.assert_array_equal(corrupt_images(IMAGES, name, 3, seed=5), corrupted)
    # But on the seed and on the place, where something is random.
    assert (corrupt_images(IMAGES, name, 3, seed=6) == corrupted).all() == (name in FIXED)
    twins = corrupt_images(IMAGES[[0, 0]], name, 3, seed=5)
    assert (twins[0] == twins[1]).all() == (name in FIXED)


def test_the_names():
    assert len(set(IMAGE_CORRUPTIONS)) == 15
    assert IMAGE_CORRUPTIONS[0] == "gaussian_noise"
    assert IMAGE_CORRUPTIONS[-1] == "jpeg_compression"


@pytest.mark.parametrize("name", ["shot_noise", "fog", "brightness"])
def test_black_has_no_brightest_value_to_divide_by(name):
    corrupted = corrupt_images(np.zeros((2, 8, 8, 3), np.uint8), name, 5)
    assert (corrupted == (76 if name == "brightness" else 0)).all()


BLURS = ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "contrast", "elastic_transform", "pixelate")


@pytest.mark.parametrize("name", BLURS)
@pytest.mark.parametrize("level", [0, 1, 100, 199, 255])
def test_blurs_leave_an_even_image_as_it_is(name, level):
    even = np.full((2, 11, 9, 3), level, np.uint8)
    for severity in (1, 5):
        np.testing.assert_array_equal(corrupt_images(even, name, severity), even)


WRONG = {
    "name": ({"name": "fogg"}, r"name='fogg' is no corruption of images: choose one of gaussian_noise, shot_noise"),
    "severity": ({"severity": 0}, r"severity=0: choose one of \(1, 2, 3, 4, 5\)"),
    "high severity": ({"severity": 6}, "severity=6: choose one of"),
    "fraction": ({"severity": 2.0}, r"severity=2.0: choose one of"),
    "seed": ({"seed": -1}, "seed=-1: it must be zero or more"),
    "none": ({"images": IMAGES[:0]}, "There is no image: pass at least one"),
    "floats": ({"images": IMAGES / 255}, "Row 0 is of type float64: scale images to 0 to 255, and make them uint8"),
    "one image": ({"images": IMAGES[0]}, "images of 10×3 pixels: resize"),
    "small": ({"images": IMAGES[:, :, :7]}, "images of 12×7 pixels: resize them to 8×8 or more"),
    "unlike": ({"images": [IMAGES[0], IMAGES[0, :9]]}, "Row 1 is 9×10 RGB and row 0 is 12×10 RGB"),
    "channels": ({"images": np.zeros((1, 8, 8, 2), np.uint8)}, r"Row 0 has shape \(8, 8, 2\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case):
    changed, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        corrupt_images(**({"images": IMAGES, "name": "fog", "severity": 1} | changed))


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A set of the official shape, in which image and label `row` are told by `row`; a file with holes, so no size."""
    folder = tmp_path_factory.mktemp("CIFAR-10-C")
    images = np.lib.format.open_memmap(folder / "fog.npy", "w+", np.uint8, (50_000, 32, 32, 3))
    images[::10_000, 0, 0, 0] = np.arange(1, 6)
    images[9_999::10_000, 31, 31, 2] = np.arange(11, 16)
    images.flush()
    np.save(folder / "labels.npy", np.tile(np.arange(10_000) % 10, 5).astype(np.uint8))
    np.save(folder / "snow.npy", np.zeros((10, 32, 32, 3), np.uint8))
    return folder


@pytest.mark.parametrize("severity", [1, 2, 5])
def test_the_official_set(official, severity):
    images, labels = load_corrupted_set(official, "fog", severity)
    assert images.shape == (10_000, 32, 32, 3)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    assert images[0, 0, 0, 0] == severity
    assert images[-1, 31, 31, 2] == 10 + severity
    assert images.sum() == 10 + 2 * severity
    np.testing.assert_array_equal(labels, np.arange(10_000) % 10)
    # In memory, as corrupt_images gives them.
    assert type(images) is np.ndarray
    assert images.flags.writeable


def test_what_is_no_official_set(official, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder='.*CIFAR-10-C\d' has no frost.npy: download CIFAR-10-C.tar"):
        load_corrupted_set(official, "frost", 1)
    with pytest.raises(ValueError, match=r"snow.npy in .* has shape \(10, 32, 32, 3\), not \(50000, 32, 32, 3\)"):
        load_corrupted_set(str(official), "snow", 1)
    with pytest.raises(ValueError, match="name='labels' is no corruption of images"):
        load_corrupted_set(official, "labels", 1)
    with pytest.raises(ValueError, match="severity=6: choose one of"):
        load_corrupted_set(official, "fog", 6)
    (tmp_path / "fog.npy").symlink_to(official / "fog.npy")
    with pytest.raises(FileNotFoundError, match=r"has no labels.npy: download"):
        load_corrupted_set(tmp_path, "fog", 1)
    np.save(tmp_path / "labels.npy", np.zeros(10_000, np.uint8))
    with pytest.raises(ValueError, match=r"labels.npy in .* has shape \(10000,\), not \(50000,\)"):
        load_corrupted_set(tmp_path, "fog", 1)
    np.save(tmp_path / "labels.npy", np.full(50_000, None), allow_pickle=True)
    with pytest.raises(ValueError, match="Python objects"):
        load_corrupted_set(tmp_path, "fog", 1)
