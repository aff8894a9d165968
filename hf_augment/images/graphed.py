"""The network of an image classifier as CUDA graphs, so that a GPU does not wait for Python between small kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class GraphedNetwork(TrainerCallback):
    """
    Captures a network's forward and backward pass when training begins, and replays them for every full batch.

    The arithmetic is the network's own, in the precision of the training: the same kernels on the same numbers. A
    batch of another size, and whatever is not training, runs as before. Without CUDA nothing is captured. The network
    must draw no random numbers, as dropout does: a replay would draw from whatever state the capture found.

    Example:

    ```python
    model = SmallResNetForImageClassification.build(names)
    trainer = AugmentingTrainer(model, args, ..., callbacks=[GraphedNetwork(model.timm_model, (3, 32, 32))])
    ```

    Args:
        network (`nn.Module`): Takes images of shape `(n, channels, height, width)`, float32, and returns a tensor.
        shape (`tuple[int, int, int]`): Channels, height and width.
    """

    def __init__(self, network: nn.Module, shape: tuple[int, int, int]) -> None:
        self.network, self.shape = network, shape

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.device.type != "cuda":
            return
        if args.gradient_accumulation_steps > 1 or args.world_size > 1:
            raise ValueError(
                f"A network is not captured with gradient_accumulation_steps={args.gradient_accumulation_steps} and "
                f"{args.world_size} processes: leave GraphedNetwork (in a recipe, cuda_graph) out."
            )
        device = next(self.network.parameters()).device
        sample = torch.zeros(args.train_batch_size, *self.shape, device=device).to(memory_format=torch.channels_last)
        before = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        original = self.network.forward
        self.network.train()
        dtype = torch.bfloat16 if args.bf16 else torch.float16
        # What is cast must be cast in the graph.
        with torch.autocast("cuda", dtype, enabled=args.bf16 or args.fp16, cache_enabled=False):
            torch.cuda.make_graphed_callables(self.network, (sample,))
        # Running statistics, which the capture's own passes have moved.
        for name, buffer in self.network.named_buffers():
            buffer.copy_(before[name])
        self.network.forward = _of_one_shape(sample.shape, self.network.forward, original)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # The class's own comes to light again.
        self.network.__dict__.pop("forward", None)


def _of_one_shape(
    shape: torch.Size, graphed: Callable[..., Any], original: Callable[..., Any]
) -> Callable[[torch.Tensor], Any]:
    def forward(images: torch.Tensor) -> Any:
        return (graphed if images.shape == shape else original)(images)

    return forward
