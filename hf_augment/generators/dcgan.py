"""
A class-conditional DCGAN as transformers models.

This file travels with every pushed model, for those who load it with `trust_remote_code=True` and do not have the
package; so it imports nothing of the package that it needs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init


try:
    from hf_augment.generators.base import Generator
    from hf_augment.weights import SafetensorsOnly
except ImportError:  # Loaded as remote code.
    Generator = object  # type: ignore[misc, assignment]

    class SafetensorsOnly:  # type: ignore[no-redef]
        """Nothing of the package."""


#: What a discriminator is told in the place of a class where there is none to tell.
NO_LABEL = -1


class DCGANConfig(PreTrainedConfig):
    """
    The shape of a [`DCGANGenerator`] and its [`DCGANDiscriminator`]. The defaults are the DCGAN of Radford et al. 2016
    (arXiv 1511.06434, section 3), made class-conditional.

    Example:

    ```python
    >>> from hf_augment import DCGANConfig
    >>> config = DCGANConfig(id2label={0: "cat", 1: "dog"}, num_channels=1, spectral_norm=True, projection=True)
    >>> config.channels
    [256, 128, 64]
    ```

    Args:
        image_size (`int`, *optional*, defaults to 32): Height and width in pixels, 32 or 64.
        num_channels (`int`, *optional*, defaults to 3): 3 for RGB, 1 for grey.
        latent_size (`int`, *optional*, defaults to 100): Length of the latent vector, standard normal.
        width (`int`, *optional*, defaults to 64):
            Feature maps at half the image's size; they double as the size halves.
        spectral_norm (`bool`, *optional*, defaults to `False`):
            Spectral normalisation of the discriminator's weights (Miyato et al. 2018), which then has no batch norm.
        projection (`bool`, *optional*, defaults to `False`):
            The discriminator meets the label in an inner product with its features (Miyato and Koyama 2018, eq. 4)
            instead of a further input channel for each class.
        image_column (`str`, *optional*, defaults to `"image"`): The dataset's column of images, which examples have.
        kwargs (*optional*):
            Arguments of `PreTrainedConfig`; `id2label` or `num_labels` says what the classes are.

    Raises:
        ValueError: If a value is out of range.
    """

    model_type = "dcgan"

    def __init__(
        self,
        image_size: int = 32,
        num_channels: int = 3,
        latent_size: int = 100,
        width: int = 64,
        spectral_norm: bool = False,
        projection: bool = False,
        image_column: str = "image",
        **kwargs: Any,
    ) -> None:
        for name, value, allowed in (("image_size", image_size, (32, 64)), ("num_channels", num_channels, (1, 3))):
            if value not in allowed:
                raise ValueError(f"{name}={value!r} must be {allowed[0]} or {allowed[1]}: convert the images.")
        for name, value in (("latent_size", latent_size), ("width", width)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}={value!r} must be 1 or more, and whole.")
        id2label = kwargs.get("id2label")
        if id2label is not None and (not id2label or set(map(str, id2label)) != set(map(str, range(len(id2label))))):
            raise ValueError(f"id2label={id2label!r} must number the classes from 0, as by dict(enumerate(names)).")
        self.image_size, self.num_channels = image_size, num_channels
        self.latent_size, self.width = latent_size, width
        self.spectral_norm, self.projection = spectral_norm, projection
        self.image_column = image_column
        super().__init__(**kwargs)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes, in the order of the dataset's integer labels."""
        names: Any = self.id2label
        return tuple(names[label] for label in range(len(names)))

    @property
    def channels(self) -> list[int]:
        """Feature maps of the layers of 4×4, 8×8, …, up to half the image's size."""
        levels = int(math.log2(self.image_size)) - 2
        return [self.width * 2**level for level in reversed(range(levels))]


class _DCGANModel(SafetensorsOnly, PreTrainedModel):
    config: DCGANConfig
    config_class = DCGANConfig
    base_model_prefix = "dcgan"
    main_input_name = "labels"

    @torch.no_grad()
    def _init_weights(self, module: Any) -> None:
        # Radford et al. 2016, section 4; for batch norm as in their code.
        kind = type(module)
        if issubclass(kind, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
            # What is spectrally normalised is so from the start; see `_normalised`.
            if not is_parametrized(module, "weight"):
                init.normal_(module.weight, 0.0, 0.02)
            if getattr(module, "bias", None) is not None:
                init.zeros_(module.bias)
        elif issubclass(kind, ConditionalBatchNorm):
            init.normal_(module.scale, 1.0, 0.02)
            init.zeros_(module.shift)
        elif issubclass(kind, nn.BatchNorm2d):
            if module.affine:
                init.normal_(module.weight, 1.0, 0.02)
                init.zeros_(module.bias)
            init.zeros_(module.running_mean)
            init.ones_(module.running_var)
            init.zeros_(module.num_batches_tracked)


class ConditionalBatchNorm(nn.Module):
    """
    Batch norm whose scale and shift depend on the class (Dumoulin et al. 2017, section 2.2).

    The class enters nowhere else. Beside the latent vector it would be a constant that, layer by layer, takes the
    variance which batch norm grants: such a generator soon draws one image for each class.

    Args:
        num_features (`int`): Feature maps.
        num_labels (`int`): Classes.
    """

    def __init__(self, num_features: int, num_labels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_features, affine=False)
        self.scale = nn.Parameter(torch.ones(num_labels, num_features, 1, 1))
        self.shift = nn.Parameter(torch.zeros(num_labels, num_features, 1, 1))

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Features `(n, num_features, height, width)` and classes `(n,)` to features."""
        return self.norm(features) * self.scale[labels] + self.shift[labels]


class DCGANGenerator(_DCGANModel, Generator):
    """
    Draws images of given classes: a [`Generator`] that loads, saves and is pushed like any transformers model.

    Example:

    ```python
    from hf_augment import DCGANGenerator

    generator = DCGANGenerator.from_pretrained("my-dcgan")
    image = generator.generate(labels=[3], seed=0)[0]["image"]  # uint8, (height, width, channels)
    ```

    Args:
        config ([`DCGANConfig`]): Its shape and its classes.
    """

    #: Images drawn at a time, which bounds memory. Another number may round some pixels otherwise.
    batch_size = 256

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__(config)
        channels = config.channels
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        # From 1×1 to 4×4, then twice the size with every layer.
        for i, (n_in, n_out) in enumerate(zip([config.latent_size, *channels], channels, strict=False)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            self.convolutions.append(nn.ConvTranspose2d(n_in, n_out, 4, stride, padding, bias=False))
            self.norms.append(ConditionalBatchNorm(n_out, len(config.label_names)))
        self.head = nn.ConvTranspose2d(channels[-1], config.num_channels, 4, 2, 1)
        self.post_init()

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """
        Latent vectors to images.

        Args:
            latents (`torch.Tensor`): Float of shape `(n, latent_size)`.
            labels (`torch.Tensor`): Int64 of shape `(n,)`.

        Returns:
            `torch.Tensor`: In `[-1, 1]`, of shape `(n, num_channels, image_size, image_size)`.
        """
        features = latents[:, :, None, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            features = norm(convolution(features), labels).relu()
        return self.head(features).tanh()

    @torch.no_grad()
    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        """
        Draws one image per label. The same labels and seed give the same images on the same machine.

        Args:
            labels (`Sequence[int]`): Indices into `label_names`.
            seed (`int`): In `[0, 2**63)`.

        Returns:
            `list[dict[str, np.ndarray]]`: uint8 of shape `(image_size, image_size, num_channels)` under the column's
            name.

        Raises:
            ValueError: If a label does not exist.
        """
        if unknown := set(labels) - set(range(len(self.label_names))):
            raise ValueError(f"labels has {sorted(unknown)}, but label_names has only {len(self.label_names)} names.")
        # In training mode an image would depend on the others of its batch.
        self.eval()
        # Drawn on the CPU, so that the seed means the same on every device.
        latents = torch.randn(len(labels), self.config.latent_size, generator=torch.Generator().manual_seed(seed))
        images = []
        for start in range(0, len(labels), self.batch_size):
            part = slice(start, start + self.batch_size)
            classes = torch.tensor(list(labels[part]), device=self.device)
            images.append(to_uint8(self(latents[part].to(self.device, self.dtype), classes)))
        return [{self.config.image_column: image} for batch in images for image in batch]

    @property
    def label_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The classes, in the order of the dataset's integer labels."""
        return self.config.label_names

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """The raw columns of an example, without the label."""
        return (self.config.image_column,)

    def fingerprint(self) -> str:
        """Identifies the weights and what an example looks like."""
        weights = save({name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()})
        return f"dcgan-{hashlib.sha256(weights).hexdigest()[:16]}-{self.config.image_column}"


class DCGANDiscriminator(_DCGANModel):
    """
    Tells real images of a class from generated ones.

    Args:
        config ([`DCGANConfig`]): That of the generator.
    """

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__(config)
        channels = config.channels[::-1]
        normed = _normalised if config.spectral_norm else _unchanged
        num_labels = len(config.label_names)
        in_channels = config.num_channels + (0 if config.projection else num_labels)
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(zip([in_channels, *channels], channels, strict=False)):
            # The first layer has no batch norm (Radford et al. 2016, section 3).
            batch_norm = i > 0 and not config.spectral_norm
            layers.append(normed(nn.Conv2d(n_in, n_out, 4, 2, 1, bias=not batch_norm)))
            layers += [nn.BatchNorm2d(n_out)] if batch_norm else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
        self.layers = nn.Sequential(*layers)
        # Of 4×4 positions: where a feature is matters in small images, so they are not summed up.
        num_features = channels[-1] * 16
        if config.projection:
            self.label_embedding = normed(nn.Embedding(num_labels, num_features))
        self.head = normed(nn.Linear(num_features, 1))
        self.post_init()

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """
        Images to scores.

        Args:
            images (`torch.Tensor`): In `[-1, 1]`, of shape `(n, num_channels, image_size, image_size)`.
            labels (`torch.Tensor`):
                Int64 of shape `(n,)`: the classes they are said to be of; -1 (`NO_LABEL`) where none is said.

        Returns:
            `torch.Tensor`: Logits of shape `(n,)`; above 0 for what looks real.
        """
        if not self.config.projection:
            classes = torch.arange(len(self.config.label_names), device=labels.device)
            planes = (labels[:, None] == classes)[:, :, None, None].to(images.dtype)
            images = torch.cat([images, planes.expand(-1, -1, *images.shape[2:])], dim=1)
        features = self.layers(images).flatten(1)
        scores = self.head(features).flatten()
        if not self.config.projection:
            return scores
        of_class = (self.label_embedding(labels.clamp(min=0)) * features).sum(dim=1)
        return scores + of_class * (labels != NO_LABEL)


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """
    Images of a [`DCGANGenerator`] as uint8 arrays.

    Args:
        images (`torch.Tensor`): In `[-1, 1]`, of shape `(n, channels, height, width)`.

    Returns:
        `np.ndarray`: uint8 of shape `(n, height, width, channels)`.
    """
    scaled = (images.float() + 1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def from_uint8(images: torch.Tensor) -> torch.Tensor:
    """
    The reverse of [`to_uint8`].

    Args:
        images (`torch.Tensor`): uint8 of shape `(n, height, width, channels)`.

    Returns:
        `torch.Tensor`: Float32 in `[-1, 1]`, of shape `(n, channels, height, width)`.
    """
    return images.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def _unchanged(module: nn.Module) -> nn.Module:
    return module


def _normalised(module: Any) -> nn.Module:
    # Before, because the power iteration starts from these weights.
    nn.init.normal_(module.weight, 0.0, 0.02)
    return spectral_norm(module)


# Their source goes with them when they are saved.
DCGANConfig.register_for_auto_class()
DCGANGenerator.register_for_auto_class("AutoModel")

if __name__.startswith("hf_augment."):
    # With the package, `AutoModel` needs no remote code.
    AutoConfig.register(DCGANConfig.model_type, DCGANConfig)
    AutoModel.register(DCGANConfig, DCGANGenerator)
