"""Differentiable augmentation: what keeps a discriminator from learning a small set by heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812


def diff_augment(images: torch.Tensor, policy: Sequence[str], rng: torch.Generator) -> torch.Tensor:
    """
    Augments real and generated images alike before the discriminator sees them, and lets gradients through (Zhao et
    al. 2020, *Differentiable Augmentation for Data-Efficient GAN Training*, arXiv 2006.10738; strengths of its
    appendix).

    Example:

    ```python
    >>> import torch
    >>> from hf_augment.generator_trainers.diff_augment import diff_augment
    >>> images = torch.zeros(2, 1, 32, 32, requires_grad=True)
    >>> diff_augment(images, ["translation", "cutout"], torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 32, 32])
    ```

    Args:
        images (`torch.Tensor`): Float of shape `(n, channels, height, width)`, in `[-1, 1]`.
        policy (`Sequence[str]`):
            Some of `"color"` (brightness, saturation, contrast), `"translation"` (by up to an eighth of the size) and
            `"cutout"` (a square of half the size), applied in this order.
        rng (`torch.Generator`): On the device of the images.

    Returns:
        `torch.Tensor`: As `images`.
    """
    for name in policy:
        images = AUGMENTATIONS[name](images, rng)
    return images


def _color(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    shape = (len(images), 1, 1, 1)
    brightness, saturation, contrast = (
        torch.rand(shape, generator=rng, device=images.device, dtype=images.dtype) for _ in range(3)
    )
    images = images + brightness - 0.5
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * 2 * saturation
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + contrast)


def _translation(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    n, _, height, width = images.shape
    limits = round(height / 8), round(width / 8)
    rows, columns = (
        _window(n, size, limit, images.device, rng) for size, limit in zip((height, width), limits, strict=True)
    )
    padded = F.pad(images, (limits[1], limits[1], limits[0], limits[0]))
    batch = torch.arange(n, device=images.device)[:, None, None]
    # Indexed by (n, height, width), so channels come last.
    return padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _window(n: int, size: int, limit: int, device: torch.device, rng: torch.Generator) -> torch.Tensor:
    start = torch.randint(0, 2 * limit + 1, (n, 1), generator=rng, device=device)
    return start + torch.arange(size, device=device)


def _cutout(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    n, _, height, width = images.shape
    keep = [_outside(n, size, images.device, rng) for size in (height, width)]
    # Cut out where both the row and the column are inside.
    return images * (keep[0][:, None, :, None] | keep[1][:, None, None, :])


def _outside(n: int, size: int, device: torch.device, rng: torch.Generator) -> torch.Tensor:
    cut = round(size / 2)
    # The square may reach over the edge.
    start = torch.randint(0, size + (1 - cut % 2), (n, 1), generator=rng, device=device) - cut // 2
    positions = torch.arange(size, device=device)
    return (positions < start) | (positions >= start + cut)


AUGMENTATIONS: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
}
