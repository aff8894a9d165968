"""Folders of images by class."""

import numpy as np
import pytest
from PIL import Image

from hf_augment.data.image_folder import image_folder, images_in


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / name)


def labels(table):
    return [table.features["label"].int2str(label) for label in table["label"][:]]


def test_classes_are_folders(tmp_path):
    write(tmp_path, "cat/1.png", "dog/deep/er/2.JPG", "cat/.hidden.png", "__MACOSX/cat/1.png")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    found = image_folder(tmp_path)
    assert list(found) == ["train"]
    assert labels(found["train"]) == ["cat", "dog"]
    assert found["train"].features["label"].names == ["cat", "dog"]
    assert found["train"][1]["image"].size == (4, 4)


def test_folders_of_splits(tmp_path):
    write(tmp_path, "Train/cat/1.png", "Train/dog/2.png", "test/dog/3.png", "val/cat/4.png")
    found = image_folder(tmp_path)
    assert {split: labels(table) for split, table in found.items()} == {
        "train": ["cat", "dog"],
        "test": ["dog"],
        "validation": ["cat"],
    }


def test_other_names_of_splits(tmp_path):
    write(tmp_path / "one", "train/cat/1.png", "train/dog/2.png", "eval/dog/3.png")
    assert {split: len(table) for split, table in image_folder(tmp_path / "one").items()} == {"train": 2, "test": 1}
    # Two of one split are not mixed.
    write(tmp_path / "two", "train/cat/1.png", "train/dog/2.png", "Eval/dog/3.png", "test/cat/4.png", "dev/cat/5.png")
    found = image_folder(tmp_path / "two")
    assert {split: labels(table) for split, table in found.items()} == {
        "train": ["cat", "dog"],
        "test": ["cat"],
        "eval": ["dog"],
        "validation": ["cat"],
    }


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ("train/cat/1.png", "train/dog/2.png", "unlabeled/3.png"),
            r"has train, with folders of classes, and unlabeled beside them: move what is no split away, and pass "
            r"images without labels as unlabelled \(--unlabelled\), such as unlabeled\.",
        ),
        (
            ("train/cat/1.png", "train/dog/2.png", "bird/3.png"),
            r"has train, with folders of classes, and bird beside them: move what is no split away\.",
        ),
        (
            ("test/cat/1.png", "test/dog/2.png", "val/cat/3.png", "val/dog/4.png"),
            "has test, val, with folders of classes, and none named train: name that of the labelled images so",
        ),
    ],
)
def test_a_split_is_no_class(tmp_path, names, told):
    write(tmp_path, *names)
    with pytest.raises(ValueError, match=told):
        image_folder(tmp_path)


def test_a_class_may_have_the_name_of_a_split(tmp_path):
    write(tmp_path, "train/1.png", "bus/2.png")
    assert labels(image_folder(tmp_path)["train"]) == ["bus", "train"]


def test_what_would_be_left_out_is_refused(tmp_path):
    write(tmp_path / "stray", "cat/1.png", "dog/2.png", "all.png")
    with pytest.raises(ValueError, match=r"stray' has 1 image in no folder of a class, such as 'all.png'"):
        image_folder(tmp_path / "stray")
    write(tmp_path / "deep", "all/cat/1.png", "all/dog/2.png", "all/3.png")
    with pytest.raises(ValueError, match=r"deep' has 1 image in no folder of a class, such as 'all/3.png'"):
        image_folder(tmp_path / "deep")
    write(tmp_path / "splits", "train/cat/1.png", "train/dog/2.png", "test/dog/3.png", "samples/4.png")
    with pytest.raises(ValueError, match=r"splits' has test, train, with folders of classes, and samples beside them"):
        image_folder(tmp_path / "splits")
    write(tmp_path / "kinds", "cat/1.png", "dog/2.png")
    for name in ("cat/.3.HEIC", "dog/4.HEIC", "bird/5.svg"):
        (tmp_path / "kinds" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "kinds" / name).write_bytes(b"")
    for read in (image_folder, images_in):
        with pytest.raises(
            ValueError, match=r"kinds' has 2 images of a kind that cannot be read, such as 'bird/5.svg'"
        ):
            read(tmp_path / "kinds")


def test_what_may_lie_beside_images(tmp_path):
    write(tmp_path, "cat/1.png", "dog/2.png")
    # Raw pictures of a camera beside what it made of them, and what is no data.
    for name in ("cat/1.CR2", "logo.svg"):
        (tmp_path / name).write_bytes(b"")
    assert labels(image_folder(tmp_path)["train"]) == ["cat", "dog"]


def test_images_to_be_predicted_have_no_classes(tmp_path):
    write(tmp_path, "train/cat/1.png", "train/dog/2.png", "test/3.png")
    found = image_folder(tmp_path)
    assert {split: table.column_names for split, table in found.items()} == {
        "test": ["image"],
        "train": ["image", "label"],
    }


def test_vehicles_may_be_trains_and_tests(tmp_path):
    write(tmp_path, "train/1.png", "test/2.png", "bus/3.png")
    assert labels(image_folder(tmp_path)["train"]) == ["bus", "test", "train"]


def test_a_folder_around_all(tmp_path):
    write(tmp_path, "photos/pets/cat/1.png", "photos/pets/dog/2.png")
    assert labels(image_folder(tmp_path)["train"]) == ["cat", "dog"]


@pytest.mark.parametrize("names", [(), ("1.png", "2.png"), ("cat/1.png", "cat/2.png")])
def test_no_classes(tmp_path, names):
    write(tmp_path, *names)
    assert image_folder(tmp_path) is None
