"""Classifiers of small images, with classic augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from accelerate import PartialState
from torchvision.transforms import v2
from transformers import AutoModelForImageClassification, PreTrainedModel, ViTImageProcessor, set_seed

from hf_augment.images.arrays import image_arrays
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
        label_names (`Sequence[str]`):
            The classes, in the order of the integer labels.
        shape (`tuple[int, int, int]`):
            Height, width and channels of the images.
        width (`int`, *optional*, defaults to 64):
            Feature maps of its first stage, an even number.
        dropout (`float`, *optional*, defaults to 0.0):
            Dropout before its last layer, in `[0, 1)`.
    """

    kind, name = "image", "small_resnet18"
    perturbations = IMAGE_CORRUPTIONS

    def __init__(
        self, label_names: Sequence[str], shape: tuple[int, int, int], width: int = 64, dropout: float = 0.0
    ) -> None:
        self.label_names, self.size, self.num_channels = list(label_names), shape[:2], shape[2]
        self.width, self.dropout = width, dropout
        half = [0.5] * self.num_channels
        self.processing_class = ViTImageProcessor(do_resize=False, image_mean=half, image_std=half)

    def identity(self) -> dict[str, str]:
        return {"model": self.name, "width": str(self.width), "dropout": str(self.dropout)}

    def new_model(self, seed: int) -> PreTrainedModel:
        set_seed(seed)
        return SmallResNetForImageClassification.build(self.label_names, self.num_channels, self.width, self.dropout)

    def rows(self, dataset: datasets.Dataset, description: str) -> ImageRows:
        return ImageRows(dataset)

    def perturb(self, values: np.ndarray, name: str, severity: int, seed: int) -> np.ndarray:
        return corrupt_images(values, name, severity, seed)

    def values(self, dataset: datasets.Dataset) -> np.ndarray:
        return image_arrays(dataset)

    def prepare(self, values: Sequence[np.ndarray]) -> list[dict[str, Any]]:
        """Rows for the collator, which wants a label of each."""
        return [{"image": image, "label": 0} for image in values]

    def collator(self, augment: str | None = None) -> ImageCollator:
        """Returns a collator that normalises, and augments each row by itself."""
        if augment is not None and augment not in CLASSIC:
            raise ValueError(f"classic has {augment!r}, which is none of {list(CLASSIC)}.")
        transform = v2.Compose(CLASSIC[augment](self.size)) if augment is not None else None
        return ImageCollator(self.processing_class, transform)

    def as_judge(self, folder: Path) -> ImageClassifierJudge:
        model = AutoModelForImageClassification.from_pretrained(
            folder, trust_remote_code=False, **safetensors_only(folder)
        )
        return ImageClassifierJudge(on_device(model), self.processing_class)

    def nearest_fold(self, folds: Sequence[datasets.Dataset], judge: Callable[[], Any]) -> NearestImageFold:
        return NearestImageFold([image_arrays(fold) for fold in folds], ClassifierFeatures(judge()))


def on_device(model: Any) -> Any:
    """Moves a model to the device of the process."""
    return model.to(PartialState().device)
