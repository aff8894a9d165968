"""Rows of images, and the batches that are made of them."""

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2
from transformers import ViTImageProcessor

from hf_augment import DatasetGenerator, ImageCollator, ImageRows
from hf_augment.blending.dataset import SyntheticRow
from hf_augment.images.rows import pixel_values
from tests.toys import IMAGE, LABELS


def dataset(labels=(0, 1, 1), feature=None, channels=3):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (8, 8, channels), dtype=np.uint8) for _ in labels]
    features = datasets.Features(
        {
            "picture": datasets.Array3D((8, 8, channels), "uint8"),
            "kind": feature or datasets.ClassLabel(names=["cat", "dog"]),
        }
    )
    return datasets.Dataset.from_dict({"picture": images, "kind": list(labels)}, features=features), images


def processor(channels=3, mean=0.5, std=0.25):
    return ViTImageProcessor(do_resize=False, image_mean=[mean] * channels, image_std=[std] * channels)


def collator(transform=None, channels=3):
    return ImageCollator(processor(channels), transform, image_column="picture", label_column="kind")


def by_hand(images, mean=0.5, std=0.25):
    return torch.from_numpy(((np.stack(images) / 255 - mean) / std).transpose(0, 3, 1, 2)).float()


def test_rows_are_the_dataset_s():
    source, images = dataset()
    rows = ImageRows(source, "picture", "kind")
    assert len(rows) == 3
    for row, image, label in zip(rows, images, (0, 1, 1), strict=False):
        assert row.keys() == {"picture", "kind"}
        np.testing.assert_array_equal(row["picture"], image)
        assert (row["picture"].dtype, row["kind"], type(row["kind"])) == (np.uint8, label, int)
    # What AugmentingTrainer reads of it: the classes' names.
    assert rows.features == {"kind": source.features["kind"]}
    formatted = ImageRows(source.with_format("torch"), "picture", "kind")
    assert [type(formatted[0]["kind"]), formatted.labels] == [int, [0, 1, 1]]


def test_the_default_columns():
    source, images = dataset()
    rows = ImageRows(source.rename_columns({"picture": "image", "kind": "label"}))
    np.testing.assert_array_equal(rows[2]["image"], images[2])


def test_columns_that_are_not_there():
    source, _ = dataset()
    with pytest.raises(ValueError, match=r"label_column='label' is not a column of .* \['picture', 'kind'"):
        ImageRows(source, "picture")
    with pytest.raises(ValueError, match=r"image_column='image' is not a column"):
        ImageRows(source, label_column="kind")


@pytest.mark.parametrize(
    ("labels", "feature", "shown"),
    [
        ([0, -1], None, "-1"),
        ([0, None], None, "None"),
        (["cat", "dog"], datasets.Value("string"), "'cat'"),
        ([0.5, 1.0], datasets.Value("float32"), "0.5"),
    ],
)
def test_labels_that_are_no_classes(labels, feature, shown):
    source, _ = dataset(labels, feature)
    row = 0 if feature else 1
    with pytest.raises(ValueError, match=rf"Row {row} has the label {shown}, .*class_encode_column\('kind'\)"):
        ImageRows(source, "picture", "kind")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_what_the_processor_makes(channels):
    source, images = dataset(channels=channels)
    rows = ImageRows(source, "picture", "kind")
    batch = collator(channels=channels)([rows[i] for i in range(3)])
    assert batch.keys() == {"pixel_values", "labels"}
    assert batch["labels"].tolist() == [0, 1, 1]
    assert (batch["labels"].dtype, batch["pixel_values"].dtype) == (torch.int64, torch.float32)
    torch.testing.assert_close(batch["pixel_values"], by_hand(images))
    # A transform that changes nothing changes nothing.
    same = collator(v2.Identity(), channels)([rows[i] for i in range(3)])
    assert torch.equal(same["pixel_values"], batch["pixel_values"])


def test_an_image_three_pixels_high_is_not_taken_for_channels_first():
    images = [np.arange(9, dtype=np.uint8).reshape(3, 3, 1) * 20, np.zeros((3, 3, 1), np.uint8)]
    torch.testing.assert_close(pixel_values(processor(1), images), by_hand(images))


@pytest.mark.parametrize(
    "options",
    [
        {"do_resize": False},
        {"size": {"height": 20, "width": 24}},
        {"do_normalize": False},
        {"do_resize": False, "do_rescale": False, "image_mean": [100.0] * 3},
        {"size": {"shortest_edge": 12}, "do_center_crop": True, "crop_size": {"height": 10, "width": 9}},
        {"do_convert_rgb": True},
    ],
)
def test_a_stack_is_what_the_processor_makes_of_its_images(options):
    images = list(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8))
    made = ViTImageProcessor(**options)
    expected = made(images=images, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    assert torch.equal(pixel_values(made, images), expected)


def test_a_processor_with_steps_of_its_own_is_asked():
    class Inverted(ViTImageProcessor):
        def _preprocess(self, images, **options):
            return super()._preprocess([255 - image for image in images], **options)

    images = [np.full((8, 8, 3), 255, np.uint8)] * 2
    half = {"do_resize": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    assert pixel_values(Inverted(**half), images).unique().tolist() == [-1.0]


def test_a_batch_of_rows_is_the_rows():
    source, _ = dataset()
    rows = ImageRows(source, "picture", "kind")
    for row, index in zip(rows.__getitems__([2, 0, 2]), (2, 0, 2), strict=True):
        assert row.keys() == {"picture", "kind"}
        np.testing.assert_array_equal(row["picture"], rows[index]["picture"])
        assert row["kind"] == rows[index]["kind"]


def test_a_transform_that_leaves_no_bytes():
    source, _ = dataset()
    rows = ImageRows(source, "picture", "kind").__getitems__([0, 1])
    with pytest.raises(ValueError, match=r"makes images of type torch.float32: leave them uint8"):
        collator(v2.ToDtype(torch.float32))(rows)


def test_images_of_one_batch_are_of_one_size():
    images = [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)]
    with pytest.raises(ValueError, match="Row 1 is 8×9 RGB and row 0 is 8×8 RGB"):
        pixel_values(processor(), images)


def test_a_transform_sees_one_image_at_a_time_channels_first():
    seen = []

    def transform(image):
        seen.append((image.dtype, tuple(image.shape)))
        return image.flip(2)

    source, images = dataset()
    rows = ImageRows(source, "picture", "kind")
    batch = collator(transform)([rows[i] for i in range(3)])
    assert seen == [(torch.uint8, (3, 8, 8))] * 3
    torch.testing.assert_close(batch["pixel_values"], by_hand([image[:, ::-1] for image in images]))
    # The rows stay as they were.
    np.testing.assert_array_equal(rows[0]["picture"], images[0])


def test_pillow_images_are_collated_as_arrays_are():
    _, images = dataset()
    rows = [{"picture": Image.fromarray(image), "kind": label} for image, label in zip(images, (0, 1, 1), strict=True)]
    for transform in (None, v2.Identity()):
        torch.testing.assert_close(collator(transform)(rows)["pixel_values"], by_hand(images))
    with pytest.raises(ValueError, match="Row 0 is an image of mode 'I;16', whose values go beyond 255"):
        collator(v2.Identity())([{"picture": Image.fromarray(np.zeros((8, 8), np.uint16)), "kind": 0}])


def test_training_on_pictures_with_pictures_of_a_dataset(tmp_path):
    images = [np.asarray(row["image"], np.uint8) for row in IMAGE.rows(12)]
    classes = datasets.ClassLabel(names=list(LABELS))
    features = datasets.Features({"image": datasets.Image(), "unused": datasets.Image(), "label": classes})
    columns = {"image": images, "unused": images, "label": [0, 1] * 6}
    rows = datasets.Dataset.from_dict(columns, features=features)
    collate = ImageCollator(ViTImageProcessor(do_resize=False), v2.RandomHorizontalFlip())
    seen = []

    def collator(batch):
        seen.extend(np.asarray(row["image"]).tobytes() for row in batch if isinstance(row, SyntheticRow))
        assert all(isinstance(row["image"], Image.Image) for row in batch)
        return collate(batch)

    trainer = IMAGE.trainer(
        tmp_path,
        generator=DatasetGenerator(rows),
        train_dataset=rows.remove_columns("unused"),
        data_collator=collator,
        synthetic_ratio=0.5,
        max_steps=3,
    )
    trainer.train()
    assert len(seen) == 6
    assert set(seen) <= {image.tobytes() for image in images}


@pytest.mark.parametrize("label", [0.5, 1.0, "1", None, -1, float("nan"), float("inf"), torch.tensor(0.5)])
def test_a_batch_of_labels_that_are_no_classes(label):
    rows = [{"picture": np.zeros((8, 8, 3), np.uint8), "kind": of_row} for of_row in (1, label)]
    with pytest.raises(ValueError, match=r"Row 1 has the label .*, which is not the number of a class. Drop such"):
        collator()(rows)


def test_labels_of_any_type_of_number():
    labels = [1, np.int64(1), torch.tensor(1), True, -100]
    rows = [{"picture": np.zeros((8, 8, 3), np.uint8), "kind": label} for label in labels]
    assert collator()(rows)["labels"].tolist() == [1, 1, 1, 1, -100]


def test_every_row_is_augmented_by_itself_and_by_torch_s_random_state():
    image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    rows = [{"picture": image, "kind": 0}] * 32
    augment = collator(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(8, padding=2)]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = augment(rows)["pixel_values"]
        torch.manual_seed(0)
        second = augment(rows)["pixel_values"]
    # Of 50 places, mirrored or not.
    assert len({row.numpy().tobytes() for row in first}) > 10
    assert torch.equal(first, second)
