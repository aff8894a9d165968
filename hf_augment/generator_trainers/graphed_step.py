"""A training step that a GPU replays, so that it does not wait for Python between its hundreds of small kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


#: Updates weights, and returns tensors that nothing is differentiated by.
Step = Callable[..., tuple[torch.Tensor, ...]]


class GraphedStep:
    """
    A step whose first calls run as they are; then one is captured as a CUDA graph, and replayed from there on.

    The arithmetic is that of the step: the same kernels on the same numbers. So every call has tensors of the same
    shapes, and nothing in the step may depend on Python's state, such as a learning rate that changes, or wait for the
    device, as `.item()` does. The optimizer must be able to step in a graph, as torch's fused Adam is.

    Args:
        step (`Callable`): Takes tensors on a CUDA device.
        parameters (`Iterable[nn.Parameter]`):
            Those whose gradients the step may leave behind; each call replaces them.
        optimizer (`torch.optim.Optimizer`): Optimizer that the step uses.
        rng (`torch.Generator`):
            Source of the step's random numbers, on the device of its tensors. It may be seeded before each call.
    """

    #: Calls that run as they are, in which libraries choose their kernels and the optimizer makes its state.
    warm_up = 3

    def __init__(
        self, step: Step, parameters: Iterable[nn.Parameter], optimizer: torch.optim.Optimizer, rng: torch.Generator
    ) -> None:
        self.step, self.parameters, self.optimizer, self.rng = step, list(parameters), optimizer, rng
        self._calls, self._graph = 0, torch.cuda.CUDAGraph()
        # A capture refuses work that began on the default stream.
        self._stream = torch.cuda.Stream(rng.device)
        self._inputs: tuple[torch.Tensor, ...] = ()
        self._outputs: tuple[torch.Tensor, ...] = ()
        self._gradients: list[tuple[nn.Parameter, torch.Tensor]] = []

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self._calls += 1
        if self._calls <= self.warm_up:
            return self._aside(inputs)
        if self._calls == self.warm_up + 1:
            self._capture(inputs)
        for static, given in zip(self._inputs, inputs, strict=True):
            static.copy_(given)
        self._graph.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return tuple(output.clone() for output in self._outputs)

    def _aside(self, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        current = torch.cuda.current_stream(self.rng.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            outputs = self.step(*inputs)
        current.wait_stream(self._stream)
        return outputs

    def _capture(self, inputs: tuple[torch.Tensor, ...]) -> None:
        self._inputs = tuple(given.clone() for given in inputs)
        self._graph.register_generator_state(self.rng)
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        before = [group["capturable"] for group in groups]
        for group in groups:
            group["capturable"] = True
        # Another thread may go on with its own work on the device.
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            self._outputs = self.step(*self._inputs)
        for group, capturable in zip(groups, before, strict=True):
            group["capturable"] = capturable
        self._gradients = [(p, p.grad) for p in self.parameters if p.grad is not None]
