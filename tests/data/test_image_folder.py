"""Folders of images by class."""

import numpy as np
import pytest
from PIL import Image

from hf_augment.data.image_folder import image_folder


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / name)


def labels(table):
    return [table.features["label"].int2str(label) for label in table["label"][:]]


def test_classes_are_folders(tmp_path):
    write(tmp_path, "cat/1.png", "dog/deep/er/2.JPG", "cat/.hidden.png", "__MACOSX/cat/1.png", "stray.png")
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


def test_a_class_may_have_the_name_of_a_split(tmp_path):
    write(tmp_path, "train/1.png", "bus/2.png")
    assert labels(image_folder(tmp_path)["train"]) == ["bus", "train"]


def test_a_folder_around_all(tmp_path):
    write(tmp_path, "photos/pets/cat/1.png", "photos/pets/dog/2.png")
    assert labels(image_folder(tmp_path)["train"]) == ["cat", "dog"]


@pytest.mark.parametrize("names", [(), ("1.png", "2.png"), ("cat/1.png", "cat/2.png")])
def test_no_classes(tmp_path, names):
    write(tmp_path, *names)
    assert image_folder(tmp_path) is None
