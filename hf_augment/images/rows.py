"""Labelled images for a `Trainer`: rows of uint8 arrays, and the collator that makes batches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import datasets
import numpy as np
import torch
import torch.utils.data as torch_data

from hf_augment.checks import class_column, class_numbers
from hf_augment.images.arrays import image_array, image_arrays, stack_images


class ImageRows(torch_data.Dataset[dict[str, Any]]):
    """
    Labelled images as arrays in memory, decoded once: reading a row is a slice.

    Example:

    ```python
    from datasets import load_dataset
    from hf_augment import ImageRows

    train = ImageRows(load_dataset("uoft-cs/cifar10", split="train"), image_column="img")
    train[0]["img"].shape  # (32, 32, 3)
    ```

    Args:
        dataset (`datasets.Dataset`):
            With a column of images, all of one size and mode, and one of integer labels.
        image_column (`str`, *optional*, defaults to `"image"`):
            The column of the images.
        label_column (`str`, *optional*, defaults to `"label"`):
            The column of the labels.

    Raises:
        ValueError: If a column is missing, a row is no image like the first (see [`image_arrays`]), or a label is no
            whole number from 0.
    """

    def __init__(self, dataset: datasets.Dataset, image_column: str = "image", label_column: str = "label") -> None:
        self.image_column, self.label_column = image_column, label_column
        self.images = image_arrays(dataset, image_column)
        self.labels = class_column(dataset, label_column)
        # Names the classes, so that a generator of others is refused.
        self.features = {label_column: dataset.features[label_column]}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {self.image_column: self.images[index], self.label_column: self.labels[index]}


class ImageCollator:
    """
    Collates rows of [`ImageRows`] and of image generators, arrays or Pillow images, to a batch of an image classifier.
    The `Trainer` needs `remove_unused_columns=False` with it. It evaluates with its `data_collator` too, so pass a
    collator with a transform as [`AugmentingTrainer`]'s `train_collator`, beside a `data_collator` without one.

    Example:

    ```python
    >>> import numpy as np
    >>> from torchvision.transforms import v2
    >>> from transformers import ViTImageProcessor
    >>> from hf_augment import ImageCollator
    >>> processor = ViTImageProcessor(do_resize=False, image_mean=[0.5] * 3, image_std=[0.25] * 3)
    >>> collator = ImageCollator(processor)
    >>> train_collator = ImageCollator(processor, transform=v2.RandomCrop(32, padding=4))
    >>> batch = train_collator([{"image": np.zeros((32, 32, 3), np.uint8), "label": 1}] * 2)
    >>> batch["pixel_values"].shape, batch["labels"].tolist()
    (torch.Size([2, 3, 32, 32]), [1, 1])
    ```

    Args:
        image_processor (`Callable`):
            A transformers image processor.
        transform (`Callable`, *optional*):
            A transform of torchvision v2 for one image, uint8 of shape `(channels, height, width)`. It is called for
            each row, since on a batch it would draw once for all. [`AugmentingTrainer`] seeds it, batch by batch.
        image_column (`str`, *optional*, defaults to `"image"`):
            The column of the images.
        label_column (`str`, *optional*, defaults to `"label"`):
            The column of the labels.
    """

    def __init__(
        self,
        image_processor: Any,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
        image_column: str = "image",
        label_column: str = "label",
    ) -> None:
        self.image_processor, self.transform = image_processor, transform
        self.image_column, self.label_column = image_column, label_column

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        for name in (self.image_column, self.label_column):
            if name not in rows[0]:
                raise ValueError(
                    f"Rows have no {name!r} but {list(rows[0])}: name image_column and label_column as the dataset "
                    "does, and pass remove_unused_columns=False to the training arguments."
                )
        images = [row[self.image_column] for row in rows]
        if self.transform is not None:
            images = [self._transformed(image) for image in images]
        return {
            "pixel_values": pixel_values(self.image_processor, images),
            "labels": torch.tensor(class_numbers([row[self.label_column] for row in rows], self.label_column)),
        }

    def _transformed(self, image: Any) -> np.ndarray:
        assert self.transform is not None
        # A copy, since a transform may work in place and the array is the dataset's.
        return self.transform(torch.from_numpy(image_array(image).copy()).permute(2, 0, 1)).permute(1, 2, 0).numpy()


def pixel_values(image_processor: Any, images: Sequence[np.ndarray]) -> torch.Tensor:
    """
    Makes a classifier's input of images.

    Args:
        image_processor (`Callable`):
            A transformers image processor.
        images (`Sequence[np.ndarray]`):
            uint8 of shape `(height, width, channels)`, all alike.

    Returns:
        `torch.Tensor`: Float32 of shape `(images, channels, height, width)`.

    Raises:
        ValueError: If an image is not like the first.
    """
    stacked = list(stack_images(images))
    # Without the format, an image of one channel is taken for one whose width is its number of channels.
    return image_processor(images=stacked, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
