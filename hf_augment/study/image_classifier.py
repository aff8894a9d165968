"""Classifiers of small images, with classic augmentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from accelerate import PartialState
from torchvision.transforms import v2
from transformers import (
    AutoModelForImageClassification,
    PreTrainedModel,
    TrainerCallback,
    ViTImageProcessor,
    set_seed,
)

from hf_augment.images.arrays import image_arrays
from hf_augment.images.graphed import GraphedNetwork
from hf_augment.images.rows import ImageCollator, ImageRows
from hf_augment.images.small_resnet import SmallResNetForImageClassification
from hf_augment.judges.classifier import ClassifierFeatures, ImageClassifierJudge
from hf_augment.judges.out_of_fold import NearestImageFold
from hf_augment.perturbations.images import IMAGE_CORRUPTIONS, corrupt_images
from hf_augment.study.classifiers import Classifier
from hf_augment.weights import safetensors_only


#: Classic augmentation of an image of a height and width: of torchvision, for uint8 tensors.
CLASSIC: dict[str, Callable[[tuple[int, int]], list[Any]]] = {
    "crop": lambda size: [v2.RandomCrop(size, padding=min(size) // 8)],
    "flip_crop": lambda size: [v2.RandomHorizontalFlip(), *CLASSIC["crop"](size)],
    "randaugment": lambda size: [*CLASSIC["flip_crop"](size), v2.RandAugment()],
    "augmix": lambda size: [*CLASSIC["flip_crop"](size), v2.AugMix()],
}


class ImageClassifier(Classifier):
    """
    A ResNet-18 for small images, a fresh one for every run.

    Args:
        label_names (`Sequence[str]`): The classes, in the order of the integer labels.
        shape (`tuple[int, int, int]`): Height, width and channels of the images.
        width (`int`, *optional*, defaults to 64): Feature maps of its first stage, an even number.
        dropout (`float`, *optional*, defaults to 0.0): Dropout before its last layer, in `[0, 1)`.
        cuda_graph (`bool`, *optional*, defaults to `False`):
            Whether a GPU replays the network's passes; see [`GraphedNetwork`].

    Raises:
        ValueError: If the shape is no shape of images, or the passes are to be replayed, but draw dropout.
    """

    kind, name = "image", "small_resnet18"
    perturbations = IMAGE_CORRUPTIONS

    def __init__(
        self,
        label_names: Sequence[str],
        shape: tuple[int, int, int],
        width: int = 64,
        dropout: float = 0.0,
        cuda_graph: bool = False,
    ) -> None:
        if len(shape) != 3 or shape[2] not in (1, 3):
            raise ValueError(f"shape={shape} must be (height, width, channels), with 1 or 3 channels.")
        if cuda_graph and dropout:
            raise ValueError(f"cuda_graph=True replays one draw of dropout={dropout}: leave one of them out.")
        self.label_names, self.size, self.num_channels = list(label_names), shape[:2], shape[2]
        self.width, self.dropout, self.cuda_graph = width, dropout, cuda_graph
        half = [0.5] * self.num_channels
        self.processing_class = ViTImageProcessor(do_resize=False, image_mean=half, image_std=half)

    def identity(self) -> dict[str, str]:
        return {"model": self.name, "width": str(self.width), "dropout": str(self.dropout)}

    def new_model(self, seed: int) -> PreTrainedModel:
        set_seed(seed)
        shape = self.num_channels, self.width, self.dropout
        model: Any = SmallResNetForImageClassification.build(self.label_names, *shape)
        # As the images are: convolutions are faster so, on CPUs and on GPUs. With fewer channels torch 2.14 corrupts
        # memory on CPUs.
        return model.to(memory_format=torch.channels_last) if self.width >= 16 else model

    def frozen(self, seed: int) -> PreTrainedModel:
        """A network of random weights has no features that are worth a probe: it reads the pixels."""
        return SmallResNetForImageClassification.linear(self.label_names, self.num_channels * math.prod(self.size))

    def callbacks(self, model: Any) -> list[TrainerCallback]:
        return [GraphedNetwork(model.timm_model, (self.num_channels, *self.size))] if self.cuda_graph else []

    def rows(self, dataset: datasets.Dataset, description: str) -> ImageRows:
        return ImageRows(dataset)

    def perturb(self, values: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
        return corrupt_images(values, name, severity, seed)

    def values(self, dataset: datasets.Dataset) -> np.ndarray:
        return image_arrays(dataset)

    def check(self, name: str, dataset: datasets.Dataset) -> None:
        found, wanted = image_arrays(dataset.select(range(1)))[0].shape, (*self.size, self.num_channels)
        if found != wanted:
            raise ValueError(
                f"shape={wanted} is not that of the images of {name}, {found}: pass theirs, or resize the images."
            )

    def prepare(self, values: Sequence[np.ndarray]) -> list[dict[str, Any]]:
        """Rows for the collator, which wants a label of each."""
        return [{"image": image, "label": 0} for image in values]

    def collator(self, augment: str | None = None) -> ImageCollator:
        """Returns a collator that normalises, and augments each row by itself, on the device of the process."""
        if augment is not None and augment not in CLASSIC:
            raise ValueError(f"classic has {augment!r}, which is none of {list(CLASSIC)}.")
        transform = v2.Compose(CLASSIC[augment](self.size)) if augment is not None else None
        return ImageCollator(self.processing_class, transform, device=PartialState().device)

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        """See [`Classifier.save`]; an image to classify may have any size, unlike those that are trained on."""
        model.save_pretrained(folder)
        half, (height, width) = self.processing_class.image_mean, self.size
        ViTImageProcessor(size={"height": height, "width": width}, image_mean=half, image_std=half).save_pretrained(
            folder
        )

    def judge(self, model: PreTrainedModel) -> ImageClassifierJudge:
        return ImageClassifierJudge(on_device(model), self.processing_class)

    def as_judge(self, folder: Path) -> ImageClassifierJudge:
        return self.judge(
            AutoModelForImageClassification.from_pretrained(
                folder, trust_remote_code=False, **safetensors_only(folder)
            )
        )

    def nearest_fold(self, folds: Sequence[datasets.Dataset], judge: Callable[[], Any]) -> NearestImageFold:
        return NearestImageFold([image_arrays(fold) for fold in folds], ClassifierFeatures(judge()))


def on_device(model: Any) -> Any:
    """Moves a model to the device of the process."""
    return model.to(PartialState().device)
