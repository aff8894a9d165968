"""Transforms of torchvision v2 for a whole batch, in which each image is drawn for by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hf_augment.extras import optional_imports


with optional_imports("images"):
    from torchvision.transforms import v2


#: Images as a tensor of shape `(n, channels, height, width)`, to as many images.
Transform = Callable[[torch.Tensor], torch.Tensor]

#: What draws nothing, and so may take a batch as it is.
_FIXED = (v2.CenterCrop, v2.Grayscale, v2.Identity, v2.Pad, v2.Resize)


def by_batch(transform: Transform) -> Transform:
    """
    Makes a transform of one image a transform of a batch.

    Given a batch, a random transform of torchvision would draw once for all of it. Here crops and flips draw for every
    image, and take one call for all; transforms that draw nothing take the batch as it is; any other transform is
    called for each image. Random numbers come from torch's global state on the CPU, whatever device the images are on.

    Example:

    ```python
    >>> import torch
    >>> from torchvision.transforms import v2
    >>> from hf_augment.images.transforms import by_batch
    >>> transform = by_batch(v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(32, padding=4)]))
    >>> transform(torch.zeros(64, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([64, 3, 32, 32])
    ```

    Args:
        transform (`Callable`): A transform of an image of shape `(channels, height, width)`.

    Returns:
        `Callable`: A transform of images of shape `(n, channels, height, width)`, which may change them in place.

    Raises:
        ValueError: When it is called: if the transform makes images of several sizes.
    """
    kind = type(transform)
    if kind is v2.Compose:
        parts = [by_batch(part) for part in transform.transforms]  # type: ignore[attr-defined]
        return lambda images: _in_turn(parts, images)
    if kind in (v2.RandomHorizontalFlip, v2.RandomVerticalFlip):
        axis = 3 if kind is v2.RandomHorizontalFlip else 2
        return lambda images: _flip(images, axis, transform.p)  # type: ignore[attr-defined]
    if kind is v2.RandomCrop:
        return lambda images: _crop(images, transform)
    return transform if kind in _FIXED else lambda images: _one_by_one(images, transform)


def _in_turn(parts: list[Transform], images: torch.Tensor) -> torch.Tensor:
    for part in parts:
        images = part(images)
    return images


def _flip(images: torch.Tensor, axis: int, p: float) -> torch.Tensor:
    # Found on the CPU, since the number of rows decides on the size of what is copied.
    rows = (torch.rand(len(images)) < p).nonzero().flatten().to(images.device)
    images[rows] = images[rows].flip(axis)
    return images


def _crop(images: torch.Tensor, crop: v2.RandomCrop) -> torch.Tensor:
    # Its own place is one for all images; only its padding is taken.
    images = crop.transform(images, crop.make_params([images]) | {"needs_crop": False})
    windows = images.unfold(2, crop.size[0], 1).unfold(3, crop.size[1], 1)
    rows = torch.arange(len(images), device=images.device)
    top, left = (torch.randint(places, (len(images),)).to(images.device) for places in windows.shape[2:4])
    return windows[rows, :, top, left]


def _one_by_one(images: torch.Tensor, transform: Transform) -> torch.Tensor:
    made = [transform(image) for image in images]
    for row, image in enumerate(made):
        if image.shape != made[0].shape:
            raise ValueError(
                f"The transform makes an image of shape {tuple(image.shape)} of row {row} and of shape "
                f"{tuple(made[0].shape)} of row 0: let it end with a resize or crop to one size."
            )
    return torch.stack(made)
