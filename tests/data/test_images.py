"""Labelled images from parquet files and from files of pixels."""

import gzip

import datasets
import numpy as np
import pytest

from hf_augment.data.images import image_digests, load_images
from hf_augment.images.arrays import image_arrays


NAMES = ["cat", "dog"]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def images(count, size=8, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def rows(labels, pictures=None, names=NAMES, **columns):
    pictures = images(len(labels)) if pictures is None else pictures
    features = {"img": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    features |= {name: datasets.Value("string") for name in columns}
    return datasets.Dataset.from_dict(
        {"img": list(pictures), "label": labels, **columns}, features=datasets.Features(features)
    )


def load(source, split="train", image="img", label="label", *args, **kwargs):
    return load_images(str(source), split, image, label, *args, **kwargs)


@pytest.fixture
def folder(tmp_path):
    """As on the Hub: a parquet file for each split."""
    where = tmp_path / "pets"
    where.mkdir()
    rows([1, 0, -1, 1], film=["a", "b", "c", "d"]).to_parquet(where / "train.parquet")
    rows([0]).to_parquet(where / "test.parquet")
    return where


def test_a_folder_as_on_the_hub(folder):
    train = load(folder)
    assert train.features == datasets.Features(
        {"image": datasets.Array3D((8, 8, 3), "uint8"), "label": datasets.ClassLabel(names=NAMES)}
    )
    # The row without a label is left out.
    assert train["label"][:] == [1, 0, 1]
    np.testing.assert_array_equal(image_arrays(train), images(4)[[0, 1, 3]])
    assert load(folder, "train[:2]")["label"][:] == [1, 0]
    assert load(folder, keep_columns=("film",))["film"][:] == ["a", "b", "d"]


def test_classes_by_a_map_and_of_another_set(folder):
    mapped = load(folder, "train", "img", "label", "dog=wolf", ["fox", "wolf"])
    assert mapped["label"][:] == [1, 1]
    np.testing.assert_array_equal(image_arrays(mapped), images(4)[[0, 3]])
    assert load(folder, label_names=["dog", "cat"])["label"][:] == [0, 1, 0]
    with pytest.raises(ValueError, match=r"labels \['dog'\], which are none of \['cat', 'cow'\]"):
        load(folder, label_names=["cat", "cow"])
    with pytest.raises(ValueError, match=r"label_map='cow=ox' names \['cow'\]"):
        load(folder, label_map="cow=ox")


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_resized(tmp_path, channels):
    # Areas of one colour keep it.
    small = np.repeat(np.array([0, 255], np.uint8), 4)[None, None, :, None]
    small = np.broadcast_to(small, (2, 8, 8, channels)).copy()
    pictures = [image.squeeze() for image in small]
    rows([0, 1], pictures).to_parquet(tmp_path / "train.parquet")
    resized = image_arrays(load(tmp_path / "train.parquet", image_size=32))
    assert resized.shape == (2, 32, 32, channels)
    assert set(resized[:, :, :10].flat) == {0}
    assert set(resized[:, :, -10:].flat) == {255}
    np.testing.assert_array_equal(image_arrays(load(tmp_path / "train.parquet", image_size=8)), small)


def test_an_oblong_image_is_made_square(tmp_path):
    rows([0], [np.zeros((16, 8, 3), np.uint8)]).to_parquet(tmp_path / "train.parquet")
    assert load(tmp_path / "train.parquet").features["image"].shape == (16, 8, 3)
    assert load(tmp_path / "train.parquet", image_size=8).features["image"].shape == (8, 8, 3)


def test_images_of_several_forms_are_made_alike(tmp_path, capsys):
    pictures = [images(1, size=9)[0], images(1)[0, :, :, 0], images(1)[0]]
    rows([0, 1, 1], pictures).to_parquet(tmp_path / "train.parquet")
    found = image_arrays(load(tmp_path / "train.parquet", image_size=8))
    np.testing.assert_array_equal(found[1:], [np.dstack([pictures[1]] * 3), pictures[2]])
    assert "3 images, of which were changed: resized: 1, grey to colour: 1" in capsys.readouterr().out


def test_names_that_are_not_there(folder):
    with pytest.raises(ValueError, match=r"image_column='image' is not a column of .*pets', which has 'img', 'lab"):
        load(folder, image="image")
    with pytest.raises(ValueError, match="label_column='kind' is not a column"):
        load(folder, label="kind")
    with pytest.raises(ValueError, match="keep_columns='group' is not a column"):
        load(folder, keep_columns=("group",))
    with pytest.raises(ValueError, match="could not be read with split='validation'"):
        load(folder, "validation")


def test_no_row_with_a_label(tmp_path):
    rows([-1, -1]).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match=r"has no row with a label in split='train': check label_column='label'"):
        load(tmp_path / "train.parquet")


BAD_IMAGES = {
    "corrupt": ({"bytes": b"no image", "path": None}, r"Row 1 is a corrupt image \(of no known format\): drop"),
    "missing": (None, "Row 1 has no image: drop such rows"),
    "other size": (images(1, size=9)[0], "images have 2 sizes, such as 8×8, 9×9: pass image_size"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_bad_images_are_told_by_source_and_row(tmp_path, case):
    value, message = BAD_IMAGES[case]
    good = images(1)[0]
    # A row without a label does not count, whatever its image.
    rows([0, -1, 1], [good, value, value]).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(
        ValueError, match=f"{tmp_path}/train.parquet', split='train', of the rows with a label: {message}"
    ):
        load(tmp_path / "train.parquet")


PIXELS = np.arange(18).reshape(2, 9) * 14


def csv(path, header, rows):
    lines = ([",".join(header)] if header else []) + [",".join(map(str, row)) for row in rows]
    path.write_bytes(gzip.compress("\n".join(lines).encode()) if path.suffix == ".gz" else "\n".join(lines).encode())
    return path


@pytest.mark.parametrize("name", ["digits.csv", "digits.csv.gz"])
@pytest.mark.parametrize("has_header", [True, False])
def test_pixels(tmp_path, name, has_header):
    header = [*(f"pixel{i}" for i in range(9)), "digit"] if has_header else None
    source = csv(tmp_path / name, header, [[*pixels, label] for pixels, label in zip(PIXELS, (7, 3), strict=True)])
    dataset = load(source, image="pixels", label="digit" if has_header else "9")
    assert dataset.features["label"].names == ["3", "7"]
    assert dataset["label"][:] == [1, 0]
    np.testing.assert_array_equal(image_arrays(dataset), PIXELS.reshape(2, 3, 3, 1))
    mapped = load(source, "train", "pixels", "digit" if has_header else "9", "7=seven")
    assert mapped.features["label"].names == ["seven"]
    np.testing.assert_array_equal(image_arrays(mapped), PIXELS[:1].reshape(1, 3, 3, 1))


def test_pixels_with_named_labels_and_other_columns(tmp_path):
    header = ["writer", *map(str, range(9)), "label"]
    lines = [["ann", *PIXELS[0], "seven"], ["bob", *PIXELS[1], ""], ["ann", *PIXELS[1], "three"]]
    source = csv(tmp_path / "digits.csv", header, lines)
    dataset = load(source, image="pixels", keep_columns=("writer",))
    assert dataset.features["label"].names == ["seven", "three"]
    assert (dataset["label"][:], dataset["writer"][:]) == ([0, 1], ["ann", "ann"])
    np.testing.assert_array_equal(image_arrays(dataset), PIXELS.reshape(2, 3, 3, 1))


def test_a_missing_label_leaves_the_others_whole_numbers(tmp_path):
    source = csv(tmp_path / "digits.csv", [*map(str, range(9)), "label"], [[*PIXELS[0], 7], [*PIXELS[1], ""]])
    assert load(source, image="pixels").features["label"].names == ["7"]


def test_labels_and_groups_of_pixels_are_as_written(tmp_path):
    header = ["writer", *map(str, range(9)), "label"]
    lines = [["007", *PIXELS[0], "None"], ["NA", *PIXELS[1], "01"], ["", *PIXELS[1], "null"]]
    dataset = load(csv(tmp_path / "digits.csv", header, lines), image="pixels", keep_columns=("writer",))
    assert dataset.features["label"].names == ["01", "None", "null"]
    assert (dataset["label"][:], dataset["writer"][:]) == ([1, 0, 2], ["007", "NA", None])


def test_named_labels_without_a_header(tmp_path):
    # The last pixel of the first row is the number of the label's column.
    rows = [[0, 0, 0, 0, 0, 0, 0, 0, 9, "cat"], [*range(9), "dog"]]
    dataset = load(csv(tmp_path / "pets.csv", None, rows), image="pixels", label="9")
    assert dataset.features["label"].names == ["cat", "dog"]
    assert image_arrays(dataset)[0].ravel().tolist() == [0] * 8 + [9]


BAD_PIXELS = {
    "oblong": ([[*range(8), 1]], "has 1 rows of 8 columns beside the label: each row must be the pixels of a square"),
    "no pixels": ([[1]], "has 1 rows of 0 columns beside the label"),
    "no rows": ([], "has 0 rows of 9 columns beside the label"),
    "too large": ([[*range(8), 256, 1]], "has pixels that are no whole numbers from 0 to 255"),
    "negative": ([[*range(8), -1, 1]], "has pixels that are no whole numbers"),
    "fractions": ([[*range(8), 0.5, 1]], "has pixels that are no whole numbers"),
    "words": ([[*range(8), "x", 1]], "has pixels that are no whole numbers"),
    "missing": ([[*range(9), 1], [*range(8), "", 1]], r"The first is nan, in row 1 \(from 0\) and column 'p8'"),
    "a word for missing": ([[*range(8), "NA", 1]], "The first is NA, in row 0"),
}


@pytest.mark.parametrize("case", BAD_PIXELS)
def test_bad_pixels(tmp_path, case):
    lines, message = BAD_PIXELS[case]
    count = len(lines[0]) - 1 if lines else 9
    source = csv(tmp_path / "digits.csv", [*(f"p{i}" for i in range(count)), "label"], lines)
    with pytest.raises(ValueError, match=message):
        load(source, image="pixels")


def test_bad_files_of_pixels(tmp_path):
    source = csv(tmp_path / "digits.csv", None, [[*range(9), 1]])
    with pytest.raises(ValueError, match=r"'label' is none of .*digits.csv', which has '0' to '9'"):
        load(source, image="pixels")
    # A file is no two sets: what was trained on must not be tested on.
    with pytest.raises(ValueError, match="is one file, whose only split is 'train', not 'test': pass test_split=null"):
        load(source, "test", "pixels", "9")
    with pytest.raises(ValueError, match="No columns to parse from file"):
        load(csv(tmp_path / "empty.csv", None, []), image="pixels")
    with pytest.raises(ValueError, match="Expected 1 fields in line 2, saw 2"):
        load(csv(tmp_path / "ragged.csv", None, [[1], [1, 2]]), image="pixels", label="0")
    with pytest.raises(ValueError, match="A row has more cells than the header"):
        load(csv(tmp_path / "long.csv", ["a", "label"], [[1, 2, 3], [1, 2]]), image="pixels")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.csv", image="pixels")


def test_equal_images_have_equal_digests():
    pictures = images(4)
    pictures[2] = pictures[0]
    features = datasets.Features({"image": datasets.Array3D((8, 8, 3), "uint8"), "label": datasets.Value("int64")})
    dataset = datasets.Dataset.from_dict({"image": list(pictures), "label": [0, 1, 1, 0]}, features=features)
    first, second, third, fourth = image_digests(dataset)
    assert first == third
    assert len({first, second, fourth}) == 3
