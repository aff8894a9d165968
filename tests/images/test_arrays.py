"""Images as arrays: what is decoded, and what is refused by its row."""

import io
import re

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.image import imread
from PIL import Image

from hf_augment.images.arrays import image_arrays, stack_images
from hf_augment.images.grids import write_grid


COLOUR = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
PICTURE = Image.fromarray(COLOUR)


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return {"bytes": buffer.getvalue(), "path": None}


def column(values, feature):
    return datasets.Dataset.from_dict({"image": values}, features=datasets.Features({"image": feature}))


def pictures(*values, **options):
    """A column of encoded images."""
    return column([encoded(v) if isinstance(v, Image.Image) else v for v in values], datasets.Image(**options))


FORMS = {
    "image": datasets.Image(),
    "image not to be decoded": datasets.Image(decode=False),
    "array": datasets.Array3D((8, 6, 3), "uint8"),
    "lists": datasets.List(datasets.List(datasets.List(datasets.Value("uint8")))),
    "sequence": datasets.List(datasets.Array2D((6, 3), "uint8")),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_column(form):
    images = np.stack([COLOUR, 255 - COLOUR])
    dataset = column(list(images), FORMS[form])
    decoded = image_arrays(dataset)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, images)
    np.testing.assert_array_equal(image_arrays(dataset.select([1]), num_channels=3), images[1:])
    # Whatever the user's own format.
    np.testing.assert_array_equal(image_arrays(dataset.with_format("torch")), images)


@pytest.mark.parametrize("feature", [datasets.Image(), datasets.Array2D((8, 6), "uint8")])
def test_grey_images_get_an_axis_of_channels(feature):
    grey = np.asarray(PICTURE.convert("L"))
    decoded = image_arrays(column([grey, grey], feature), num_channels=1)
    assert decoded.shape == (2, 8, 6, 1)
    np.testing.assert_array_equal(decoded[1, :, :, 0], grey)


def test_images_are_decoded_as_the_dataset_does_it():
    exif = Image.Exif()
    exif[0x0112] = 6  # Lies on its side.
    turned = encoded(PICTURE, "PNG", exif=exif)
    assert image_arrays(pictures(turned)).shape == (1, 6, 8, 3)
    mixed = pictures(PICTURE, PICTURE.convert("P"), PICTURE.convert("RGBA"), PICTURE.convert("L"), mode="RGB")
    for dataset in (pictures(turned), mixed):
        by_datasets = np.stack([np.asarray(row["image"]) for row in dataset])
        np.testing.assert_array_equal(image_arrays(dataset), by_datasets)


def test_images_are_read_from_files(tmp_path):
    PICTURE.save(tmp_path / "a.png")
    np.testing.assert_array_equal(image_arrays(column([str(tmp_path / "a.png")], datasets.Image())), COLOUR[None])
    gone = column([{"path": str(tmp_path / "b.png"), "bytes": None}], datasets.Image())
    with pytest.raises(ValueError, match=r"/b.png is a corrupt image \(No such file or directory\): drop or repl"):
        image_arrays(gone)


def test_a_column_that_is_not_there():
    with pytest.raises(ValueError, match=r"image_column='img' is not a column of the dataset, which has \['image'\]"):
        image_arrays(pictures(PICTURE), "img")
    with pytest.raises(ValueError, match="The dataset has no row, so column 'image' has no image"):
        image_arrays(pictures(PICTURE).select([]))


def cut(kind, number_of_bytes):
    return {"bytes": encoded(Image.fromarray(np.repeat(COLOUR, 9, axis=0)), kind)["bytes"][:number_of_bytes]}


CORRUPT = {
    "no image at all": ({"bytes": b"GIF89a, or so"}, "of no known format"),
    "empty": ({"bytes": b""}, "of no known format"),
    "head of a PNG": (cut("PNG", 30), "of no known format"),
    "head of a JPEG": (cut("JPEG", 650), "Truncated File Read|truncated"),
    "damaged PNG": ({"bytes": cut("PNG", None)["bytes"].replace(b"IDAT", b"IDAX")}, "broken|cannot|no known format"),
}


@pytest.mark.parametrize("case", CORRUPT)
def test_corrupt_images(case):
    value, why = CORRUPT[case]
    with pytest.raises(ValueError, match=rf"Row 1 is a corrupt image \(.*({why}).*\): drop or replace it") as raised:
        image_arrays(pictures(encoded(PICTURE), {"path": None} | value))
    # Not the address of a buffer.
    assert "0x" not in str(raised.value)


def test_a_bomb(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"Row 0 is a corrupt image \(.*decompression bomb"):
        image_arrays(pictures(PICTURE))


@pytest.mark.parametrize("mode", ["P", "RGBA", "1", "LA", "CMYK"])
def test_modes_whose_numbers_are_no_intensities(mode):
    message = rf"Row 1 is an image of mode '{mode}': convert .* \['L', 'RGB'\], as by `image.convert\('RGB'\)`"
    with pytest.raises(ValueError, match=message):
        image_arrays(pictures(PICTURE, encoded(PICTURE.convert(mode), "TIFF")))
    with pytest.raises(ValueError, match=message):
        stack_images([PICTURE, PICTURE.convert(mode)])


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_images_of_more_than_8_bits(mode):
    grey = np.asarray(PICTURE.convert("L"))
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    wide = wide if mode == "I;16" else wide.convert("I").convert(mode)
    message = rf"Row 0 is an image of mode '{mode}', whose values go beyond 255.*Scale the images to 8 bits.*by `(.*)`"
    with pytest.raises(ValueError, match=message) as error:
        stack_images([wide])
    # The remedy, as it is written, gives the right values.
    remedy = re.search(message, str(error.value))[1]
    np.testing.assert_array_equal(np.asarray(eval(remedy, {"Image": Image, "np": np, "image": wide})), grey)
    # Nor does a column that asks for 8 bits cut them off.
    file = encoded(wide, "TIFF")
    for options in ({}, {"mode": "L"}, {"mode": "RGB"}):
        with pytest.raises(ValueError, match=message):
            image_arrays(pictures(file, **options))
    scaled = pictures(file).map(lambda row: {"image": eval(remedy, {"Image": Image, "np": np, "image": row["image"]})})
    np.testing.assert_array_equal(image_arrays(scaled)[0, :, :, 0], grey)


@pytest.mark.parametrize("mode", ["P", "RGBA", "1", "LA", "CMYK"])
def test_the_remedy_for_other_modes_keeps_the_colours(mode):
    picture = PICTURE.convert(mode)
    converted = image_arrays(pictures(encoded(picture, "TIFF"), mode="RGB"))[0]
    np.testing.assert_array_equal(converted, np.asarray(picture.convert("RGB")))
    assert converted.min() < 128 < converted.max()


UNLIKE = {
    "other size": (PICTURE.resize((6, 9)), r"Row 1 is 9×6 RGB and row 0 is 8×6 RGB: bring all images to one size"),
    "other mode": (PICTURE.convert("L"), r"Row 1 is 8×6 L and row 0 is 8×6 RGB"),
    "missing": (None, "Row 1 has no image: drop such rows"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_rows_unlike_the_first(case):
    value, message = UNLIKE[case]
    with pytest.raises(ValueError, match=message):
        image_arrays(pictures(PICTURE, value, value))


LISTS = FORMS["lists"]
WRONG_ARRAYS = {
    "missing array": ([COLOUR, None], FORMS["array"], "Row 1 has no image: drop such rows"),
    "missing list": ([COLOUR, None], LISTS, "Row 1 has no image: drop such rows"),
    "missing number": ([COLOUR, [[[None, 1, 2]]]], LISTS, "Column 'image' has images in which numbers are missing"),
    "floats": ([COLOUR / 255], datasets.Array3D((8, 6, 3), "float32"), "Row 0 is of type float32: scale .* uint8"),
    "wide integers": ([COLOUR], datasets.Array3D((8, 6, 3), "int64"), "Row 0 is of type int64: scale images"),
    "four channels": ([np.zeros((8, 6, 4))], datasets.Array3D((8, 6, 4), "uint8"), r"Row 0 has shape \(8, 6, 4\): an"),
    "channels first": ([np.zeros((3, 8, 6))], datasets.Array3D((3, 8, 6), "uint8"), r"\(height, width, channels\)"),
    "no pixels": ([np.zeros((0, 6, 3))], LISTS, r"Row 0 has shape \(0,\)"),
    "ragged": ([[[[1, 2, 3]], [[1, 2]]]], LISTS, r"Row 0 has shape \(2,\)"),
    "other sizes": ([COLOUR, COLOUR[:4]], LISTS, "Row 1 is 4×6 RGB and row 0 is 8×6 RGB"),
    "texts": (["cat.png"], datasets.Value("string"), r"Row 0 has shape \(\): an image is an array"),
    "flat": ([[1, 2, 3]], datasets.List(datasets.Value("uint8")), r"Row 0 has shape \(3,\)"),
}


@pytest.mark.parametrize("case", WRONG_ARRAYS)
def test_arrays_that_are_no_images(case):
    values, feature, message = WRONG_ARRAYS[case]
    with pytest.raises(ValueError, match=message):
        image_arrays(column(values, feature))


@pytest.mark.parametrize(("convert", "channels"), [("RGB", 1), ("L", 3)])
def test_another_number_of_channels_than_asked_for(convert, channels):
    wanted = {1: "L", 3: "RGB"}[channels]
    message = rf"Row 0 is 8×6 {convert}, but num_channels={channels} was asked for: .*`image.convert\('{wanted}'\)`"
    with pytest.raises(ValueError, match=message):
        image_arrays(pictures(PICTURE.convert(convert)), num_channels=channels)


SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]))


@settings(max_examples=50, deadline=None)
@given(images=SHAPES.flatmap(lambda shape: st.lists(arrays.arrays(np.uint8, shape), min_size=1, max_size=4)))
def test_arrays_and_pictures_are_stacked_alike(images):
    expected = np.array(images)
    stacked = stack_images(images)
    assert stacked.dtype == np.uint8
    np.testing.assert_array_equal(stacked, expected)
    squeezed = [image[:, :, 0] if image.shape[2] == 1 else image for image in images]
    np.testing.assert_array_equal(stack_images(squeezed), expected)
    np.testing.assert_array_equal(stack_images([Image.fromarray(image) for image in squeezed]), expected)


def test_no_image_to_stack():
    with pytest.raises(ValueError, match="There is no image: pass at least one"):
        stack_images([])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_shows_the_images_row_by_row(tmp_path, channels):
    black, white = (np.full((32, 32, channels), value, np.uint8) for value in (0, 255))
    # A name is no formula.
    write_grid(tmp_path / "grid.png", {"$\\frac": [black, black], "white": [white] * 3})
    picture = imread(tmp_path / "grid.png")[:, :, :3]
    dark = (picture < 0.1).all(axis=2)
    # Two black squares, side by side, in the upper half.
    assert dark[: len(dark) // 2].mean() > 0.05
    assert dark[len(dark) // 2 :].mean() < 0.05
