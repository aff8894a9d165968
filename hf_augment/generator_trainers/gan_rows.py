"""The images that a GAN learns: checked, and a batch of them at a time."""

from __future__ import annotations

from typing import Any

import datasets
import numpy as np
import torch
import torch.utils.data as torch_data

from hf_augment.checks import class_column
from hf_augment.generators.dcgan import DCGANGenerator
from hf_augment.images.arrays import image_arrays


class Rows(torch_data.Dataset[Any]):
    """
    Rows by index, a batch at a time, without a detour by single ones.

    Args:
        images (`torch.Tensor`): uint8 of shape `(n, height, width, channels)`.
        labels (`torch.Tensor`): Int64 of shape `(n,)`.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: list[int]) -> dict[str, torch.Tensor]:
        rows = torch.tensor(indices, device=self.images.device)
        return {"images": self.images[rows], "labels": self.labels[rows]}


def as_it_is(batch: Any) -> Any:
    """Returns a batch: that of [`Rows`] is made already."""
    return batch


def checked_images(generator: DCGANGenerator, dataset: datasets.Dataset, name: str) -> np.ndarray:
    """
    Returns the images of a dataset, uint8 of shape `(n, height, width, channels)`; raises `ValueError` if they are not
    those of the generator. `name` is what the caller calls the dataset.
    """
    config = generator.config
    images = image_arrays(dataset, config.image_column, config.num_channels)
    if images.shape[1:3] != (config.image_size, config.image_size):
        raise ValueError(
            f"The images of {name} are {images.shape[1]}×{images.shape[2]}, the generator's image_size is "
            f"{config.image_size}: resize or pad the images to it."
        )
    return images


def checked_columns(
    generator: DCGANGenerator, dataset: datasets.Dataset, label_column: str
) -> tuple[np.ndarray, np.ndarray]:
    """
    Returns the images of the training set and their labels, int64 of shape `(n,)`; raises `ValueError` if they are not
    those of the generator, or a class has none.
    """
    names = list(generator.label_names)
    labels = np.array(class_column(dataset, label_column, names))
    images = checked_images(generator, dataset, "train_dataset")
    missing = sorted(set(range(len(names))) - set(labels.tolist()))
    if missing:
        raise ValueError(
            f"The dataset has no image of {[names[label] for label in missing]}: a class nobody shows cannot be "
            "learned, so add images or leave it out of the generator's classes."
        )
    return images, labels
