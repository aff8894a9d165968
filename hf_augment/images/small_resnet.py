"""
A ResNet-18 for small images, known to timm by name.

This file travels with every pushed model, for those who load it with `trust_remote_code=True` and do not have the
package; so it needs nothing of the package. Those who have it need no remote code, once it is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import TimmWrapperConfig, TimmWrapperForImageClassification


try:
    from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
    from timm.models.resnet import BasicBlock, ResNet
except ImportError as error:
    raise ImportError(
        f'{error}. Run `pip install timm`, or `pip install "hf_augment[images]"`.', name="timm"
    ) from error

try:
    from hf_augment.weights import SafetensorsOnly
except ImportError:  # Loaded as remote code.

    class SafetensorsOnly:  # type: ignore[no-redef]
        """Nothing of the package."""


# timm adds what is registered to it, and would make one of that alone.
__all__ = ["SmallResNetForImageClassification", "linear_pixels", "small_resnet18"]

# What timm knows of a model beside its weights, of which there are none.
default_cfgs = generate_default_cfgs(
    {"small_resnet18": {"input_size": (3, 32, 32), "pool_size": (4, 4), "first_conv": "conv1", "classifier": "fc"}}
)


class SmallResNet(ResNet):
    """timm's ResNet with a first layer for small images."""

    # timm declares what its own are.
    conv1: Any
    maxpool: Any

    def __init__(self, width: int, **kwargs: Any) -> None:
        block: Any = BasicBlock
        channels = tuple(width * 2**stage for stage in range(4))
        # A deep stem is the one whose width timm lets us choose; its convolutions are replaced.
        super().__init__(block, (2, 2, 2, 2), stem_type="deep", stem_width=width // 2, channels=channels, **kwargs)
        self.conv1 = nn.Conv2d(self.in_chans, width, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.maxpool = nn.Identity()

    def forward_features(self, x: Any) -> Any:
        """As timm's, and a network for grey images takes the mean of three channels."""
        return super().forward_features(_grey(x) if self.in_chans == 1 else x)


def _grey(images: Any) -> Any:
    """Images with one channel, of one or three: `transformers.pipeline` makes every image RGB."""
    return images.mean(1, keepdim=True) if images.shape[1] == 3 else images


@register_model
def small_resnet18(pretrained: bool = False, width: int = 64, **kwargs: Any) -> SmallResNet:
    """
    ResNet-18 (He et al. 2016, table 1) whose first layer is a 3×3 convolution of stride 1 without pooling, as for
    CIFAR-10 (section 4.2).

    Args:
        pretrained (`bool`, *optional*, defaults to `False`): There are no pretrained weights.
        width (`int`, *optional*, defaults to 64):
            Feature maps of the first stage, an even number; they double with each of the four.
        kwargs (*optional*):
            Arguments of timm's `ResNet`, such as `num_classes` and `in_chans`.
    """
    return build_model_with_cfg(SmallResNet, "small_resnet18", pretrained, width=width, **kwargs)


class LinearPixels(nn.Module):
    """One linear layer on all pixels."""

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, num_classes)

    def forward(self, pixels: Any) -> Any:
        """Returns the logits."""
        grey = pixels.flatten(1).shape[1] != self.fc.in_features
        return self.fc((_grey(pixels) if grey else pixels).flatten(1))


@register_model
def linear_pixels(pretrained: bool = False, inputs: int = 3072, num_classes: int = 10, **_: Any) -> LinearPixels:
    """A linear classifier of images of so many numbers, for [`fit_head`]: there are no pretrained weights."""
    return LinearPixels(inputs, num_classes)


class SmallResNetForImageClassification(SafetensorsOnly, TimmWrapperForImageClassification):
    """
    [`small_resnet18`] through transformers' timm wrapper.

    Example:

    ```python
    >>> from hf_augment import SmallResNetForImageClassification
    >>> model = SmallResNetForImageClassification.build(["cat", "dog"], width=8)
    >>> model.config.architecture
    'small_resnet18'
    ```

    Saved, it is loaded again by `AutoModelForImageClassification.from_pretrained`: once this package is imported,
    else with `trust_remote_code=True`.
    """

    @classmethod
    def build(
        cls, label_names: Sequence[str], num_channels: int = 3, width: int = 64, dropout: float = 0.0
    ) -> SmallResNetForImageClassification:
        """
        A model with random weights.

        Args:
            label_names (`Sequence[str]`): The classes.
            num_channels (`int`, *optional*, defaults to 3): 3 for RGB, 1 for grey.
            width (`int`, *optional*, defaults to 64): As for [`small_resnet18`].
            dropout (`float`, *optional*, defaults to 0.0): Before the last layer.
        """
        shape = {"in_chans": num_channels, "width": width, "drop_rate": dropout}
        model = cls._of_timm("small_resnet18", label_names, shape)
        # transformers has drawn all weights anew, from one normal distribution for layers of all sizes. timm draws
        # them as of He et al. 2015 (section 2.2), and begins with residual branches of 0 (Goyal et al. 2017, 5.1).
        model.timm_model.init_weights()
        return model

    @classmethod
    def linear(cls, label_names: Sequence[str], inputs: int) -> SmallResNetForImageClassification:
        """A linear classifier in the place of the network, of images of `inputs` numbers: the least one must beat."""
        return cls._of_timm("linear_pixels", label_names, {"inputs": inputs})

    @classmethod
    def _of_timm(
        cls, architecture: str, label_names: Sequence[str], model_args: dict[str, Any]
    ) -> SmallResNetForImageClassification:
        label2id = {name: i for i, name in enumerate(label_names)}
        id2label = dict(enumerate(label_names))
        return cls(
            TimmWrapperConfig(architecture=architecture, model_args=model_args, id2label=id2label, label2id=label2id)
        )


# The source goes with a model when it is saved.
SmallResNetForImageClassification.register_for_auto_class("AutoModelForImageClassification")
