"""Labelled images for a `Trainer`: rows of uint8 arrays, and the collator that makes batches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import datasets
import numpy as np
import torch
import torch.utils.data as torch_data
from transformers.image_processing_backends import TorchvisionBackend

from hf_augment.checks import class_column, class_numbers
from hf_augment.images.arrays import image_arrays, stack_images


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
        dataset (`datasets.Dataset`): With a column of images, all of one size and mode, and one of integer labels.
        image_column (`str`, *optional*, defaults to `"image"`): The column of the images.
        label_column (`str`, *optional*, defaults to `"label"`): The column of the labels.

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

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Reads a batch of rows by one slice."""
        images = self.images[np.asarray(indices, dtype=np.int64)]
        return [
            {self.image_column: image, self.label_column: self.labels[index]}
            for image, index in zip(images, indices, strict=True)
        ]


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
        image_processor (`Callable`): A transformers image processor.
        transform (`Callable`, *optional*):
            A transform of torchvision v2 for one image, uint8 of shape `(channels, height, width)`. Crops and flips
            take the whole batch at once, and draw for each image; see [`by_batch`]. [`AugmentingTrainer`] seeds it,
            batch by batch.
        image_column (`str`, *optional*, defaults to `"image"`): The column of the images.
        label_column (`str`, *optional*, defaults to `"label"`): The column of the labels.
        device (`str` or `torch.device`, *optional*, defaults to `"cpu"`):
            The device on which images are transformed and normalised. Another one than the CPU needs
            `dataloader_num_workers=0` and `dataloader_pin_memory=False`.
    """

    def __init__(
        self,
        image_processor: Any,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
        image_column: str = "image",
        label_column: str = "label",
        device: str | torch.device = "cpu",
    ) -> None:
        self.image_processor, self.device = image_processor, torch.device(device)
        self.transform = transform and _by_batch(transform)
        self.image_column, self.label_column = image_column, label_column

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        for name in (self.image_column, self.label_column):
            if name not in rows[0]:
                raise ValueError(
                    f"Rows have no {name!r} but {list(rows[0])}: name image_column and label_column as the dataset "
                    "does, and pass remove_unused_columns=False to the training arguments."
                )
        images = torch.from_numpy(stack_images([row[self.image_column] for row in rows])).permute(0, 3, 1, 2)
        if self.device.type == "cuda":
            # From pinned memory the copy goes on by itself.
            images = images.pin_memory().to(self.device, non_blocking=True)
        if self.transform is not None:
            images = self.transform(images)
            if images.dtype != torch.uint8:
                raise ValueError(f"The transform makes images of type {images.dtype}: leave them uint8.")
        return {
            "pixel_values": pixel_values(self.image_processor, images),
            "labels": torch.tensor(class_numbers([row[self.label_column] for row in rows], self.label_column)),
        }


def _by_batch(transform: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    # Without a transform, torchvision is not needed.
    from hf_augment.images.transforms import by_batch

    return by_batch(transform)


def pixel_values(image_processor: Any, images: Sequence[np.ndarray] | torch.Tensor) -> torch.Tensor:
    """
    Makes a classifier's input of images.

    Args:
        image_processor (`Callable`): A transformers image processor.
        images (`Sequence[np.ndarray]` or `torch.Tensor`):
            uint8 arrays of shape `(height, width, channels)`, all alike; or a tensor `(n, channels, height, width)`.

    Returns:
        `torch.Tensor`: Float32 of shape `(n, channels, height, width)`, on the device of the images.

    Raises:
        ValueError: If an image is not like the first.
    """
    if not isinstance(images, torch.Tensor):
        images = torch.from_numpy(stack_images(images)).permute(0, 3, 1, 2)
    if _takes_a_stack(image_processor):
        return _of_a_stack(image_processor, images)
    rows = list(images.permute(0, 2, 3, 1).cpu().numpy())
    # Without the format, an image of one channel is taken for one whose width is its number of channels.
    made = image_processor(images=rows, return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    return made.to(images.device)


def _takes_a_stack(processor: Any) -> bool:
    """Whether a processor does what all of transformers' that work with torchvision do, unless they say otherwise."""
    return (
        getattr(type(processor), "_preprocess", None) is TorchvisionBackend._preprocess
        and type(processor)._preprocess_image_like_inputs is TorchvisionBackend._preprocess_image_like_inputs
        and not (processor.do_pad or processor.do_convert_rgb)
    )


def _of_a_stack(processor: Any, images: torch.Tensor) -> torch.Tensor:
    """The steps of `TorchvisionBackend._preprocess`, which takes images one by one before it stacks them."""
    if processor.do_resize:
        images = processor.resize(image=images, size=processor.size, resample=processor.resample)
    if processor.do_center_crop:
        images = processor.center_crop(images, processor.crop_size)
    mean, std = (value if value is None else tuple(value) for value in (processor.image_mean, processor.image_std))
    return processor.rescale_and_normalize(
        images, processor.do_rescale, processor.rescale_factor, processor.do_normalize, mean, std
    )
