"""What may befall the inputs of a classifier at five severities, and classic augmentation of texts."""

from hf_augment.perturbations.easy_augmentation import EasyDataAugmentation, TokenAugmentation
from hf_augment.perturbations.images import IMAGE_CORRUPTIONS, corrupt_images, load_corrupted_set
from hf_augment.perturbations.text import TEXT_PERTURBATIONS, perturb_texts


__all__ = [
    "IMAGE_CORRUPTIONS",
    "TEXT_PERTURBATIONS",
    "EasyDataAugmentation",
    "TokenAugmentation",
    "corrupt_images",
    "load_corrupted_set",
    "perturb_texts",
]
