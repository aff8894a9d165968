"""Images of any form, made alike."""

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_augment.images.forms import median_side, uniform_images


GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
COLOUR = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def column(tmp_path, *images, **options):
    paths = []
    for i, (image, suffix) in enumerate(images):
        paths.append(str(tmp_path / f"{i}.{suffix}"))
        image.save(paths[-1], **options)
    return datasets.Dataset.from_dict({"x": paths}, features=datasets.Features({"x": datasets.Image()}))


def only(tmp_path, image, suffix="png", size=None, **options):
    images, forms = uniform_images(column(tmp_path, (image, suffix), **options), "x", size)
    return images[0], dict(forms.changes)


def test_what_is_alike_stays_as_it_is(tmp_path):
    image, changes = only(tmp_path, Image.fromarray(COLOUR))
    np.testing.assert_array_equal(image, COLOUR)
    assert changes == {}
    image, _ = only(tmp_path, Image.fromarray(GREY), size=8)
    np.testing.assert_array_equal(image[:, :, 0], GREY)


def test_sixteen_bits_are_scaled(tmp_path):
    image, changes = only(tmp_path, Image.fromarray(GREY.astype(np.uint16) * 257))
    np.testing.assert_array_equal(image[:, :, 0], GREY)
    assert changes == {"scaled to 8 bits": 1}
    image, _ = only(tmp_path, Image.fromarray((GREY / np.float32(255)).astype(np.float32)), "tiff")
    np.testing.assert_array_equal(image[:, :, 0], GREY)
    image, _ = only(tmp_path, Image.fromarray(GREY.astype(np.float32)), "tiff")
    np.testing.assert_array_equal(image[:, :, 0], GREY)
    with pytest.raises(ValueError, match=r"Row 0 is an image with values from -1 to -1, of no known scale"):
        only(tmp_path, Image.fromarray(np.full((8, 8), -1, np.int32)), "tiff")


def test_alpha_is_on_white(tmp_path):
    alpha = np.full((8, 8), 255, np.uint8)
    alpha[0] = 0
    image, changes = only(tmp_path, Image.fromarray(np.dstack([COLOUR, alpha])))
    assert set(image[0].flat) == {255}
    np.testing.assert_array_equal(image[1:], COLOUR[1:])
    assert changes == {"alpha on white": 1}
    palette = Image.fromarray(GREY).convert("P")
    image, changes = only(tmp_path, palette, transparency=0)
    assert image[0, 0].tolist() == [255] * 3
    assert changes == {"alpha on white": 1}


@pytest.mark.parametrize("mode", ["P", "1", "CMYK", "YCbCr", "LAB"])
def test_other_modes(tmp_path, mode):
    source = Image.fromarray(COLOUR)
    source = Image.new("LAB", (8, 8)) if mode == "LAB" else source.convert(mode)
    image, changes = only(tmp_path, source, "tiff")
    wanted = "L" if mode == "1" else "RGB"
    expected = Image.open(tmp_path / "0.tiff").convert(wanted)
    np.testing.assert_array_equal(image.squeeze(), np.asarray(expected))
    assert changes == {f"mode {mode} to {wanted}": 1}


def test_the_right_way_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    image, changes = only(tmp_path, Image.fromarray(COLOUR[:4]), "png", exif=exif)
    np.testing.assert_array_equal(image, np.rot90(COLOUR[:4], -1))
    assert changes == {"turned upright": 1}


def test_the_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 255)]
    image, changes = only(tmp_path, frames[0], "tiff", save_all=True, append_images=frames[1:])
    assert set(image.flat) == {0}
    assert changes == {"first frame of several": 1}


def test_grey_and_colour_of_several_sizes(tmp_path):
    dataset = column(
        tmp_path,
        (Image.fromarray(GREY), "png"),
        (Image.fromarray(COLOUR[:, :4]), "jpg"),
        (Image.new("RGB", (1, 1)), "gif"),
    )
    images, forms = uniform_images(dataset, "x", 8)
    assert images.shape == (3, 8, 8, 3)
    np.testing.assert_array_equal(images[0], np.dstack([GREY] * 3))
    assert set(images[2].flat) == {0}
    assert forms.sizes == {(8, 8): 1, (4, 8): 1, (1, 1): 1}
    assert forms.changes == {"resized": 2, "grey to colour": 1, "mode P to RGB": 1}
    assert median_side(dataset, "x") == 4
    with pytest.raises(ValueError, match=r"images have 3 sizes, such as 8×8, 4×8, 1×1: pass image_size"):
        uniform_images(dataset, "x")


def test_a_large_photograph_has_the_size_asked_for(tmp_path):
    image, changes = only(tmp_path, Image.new("RGB", (640, 480), (200, 100, 50)), "jpg", 32)
    assert image.shape == (32, 32, 3)
    assert np.abs(image.astype(int) - [200, 100, 50]).max() <= 3
    assert changes == {"resized": 1}


def test_corrupt_files_are_named(tmp_path):
    dataset = column(tmp_path, *[(Image.fromarray(COLOUR), "png")] * 5)
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:60])
    (tmp_path / "2.png").write_text("no image")
    (tmp_path / "3.png").unlink()
    (tmp_path / "4.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"/1.png is a corrupt image .*/2.png is a .*of no known .*/3.png .*1 more"):
        uniform_images(dataset, "x", 8)
