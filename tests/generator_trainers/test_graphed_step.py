"""Replaying a step, with a CUDA that is played: what it captures it undoes, and what it replays it does."""

import contextlib
import copy

import pytest
import torch
from torch import nn

from hf_augment.generator_trainers.graphed_step import GraphedStep


class PlayedStream:
    def __init__(self, device=None):
        pass

    def wait_stream(self, other):
        pass


class PlayedGraph:
    """Replays by doing the step again, with the tensors of the capture."""

    replays = 0

    def register_generator_state(self, rng):
        self.rng = rng

    def replay(self):
        PlayedGraph.replays += 1
        of = self.of
        # A graph knows nothing of Python's attributes.
        for parameter in of.parameters:
            parameter.grad = None
        outputs = of.step(*of._inputs)
        for static, output in zip(of._outputs, outputs, strict=True):
            static.copy_(output)
        for parameter, gradient in of._gradients:
            gradient.copy_(parameter.grad)
            parameter.grad = None


@pytest.fixture
def played(monkeypatch):
    captured = []

    @contextlib.contextmanager
    def graph(graph, stream, capture_error_mode):
        assert capture_error_mode == "thread_local"
        net, optimizer = captured[0]
        assert all(group["capturable"] for group in optimizer.param_groups)
        before = copy.deepcopy(net.state_dict())
        moments = {p: {name: tensor.clone() for name, tensor in state.items()} for p, state in optimizer.state.items()}
        rng = graph.rng.get_state()
        yield
        net.load_state_dict(before)
        for p, state in moments.items():
            for name, tensor in state.items():
                optimizer.state[p][name].copy_(tensor)
        graph.rng.set_state(rng)

    monkeypatch.setattr(torch.cuda, "CUDAGraph", PlayedGraph)
    monkeypatch.setattr(torch.cuda, "Stream", PlayedStream)
    monkeypatch.setattr(torch.cuda, "current_stream", PlayedStream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(PlayedGraph, "replays", 0)
    return captured


def train(played, graphed, steps=8):
    """Two sides in turn by one optimizer, as of a GAN; the second update is made outside the step."""
    torch.manual_seed(0)
    net = nn.ModuleDict({"first": nn.Linear(3, 3), "second": nn.Linear(3, 3), "norm": nn.BatchNorm1d(3)})
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, fused=True)
    rng = torch.Generator("cpu")

    def step(rows):
        noise = torch.randn(rows.shape, generator=rng)
        first = net["norm"](net["first"](rows + noise)).square().mean()
        first.backward()
        optimizer.step()
        optimizer.zero_grad()
        second = net["second"](net["first"](rows).detach() + torch.randn(rows.shape, generator=rng)).square().mean()
        second.backward()
        return second.detach(), first.detach()

    played[:] = [(net, optimizer)]
    run = GraphedStep(step, net.parameters(), optimizer, rng) if graphed else step
    if graphed:
        run._graph.of = run
    losses = []
    for number in range(steps):
        rng.manual_seed(number)
        losses.append(run(torch.full((4, 3), float(number))))
        # What a replay left is taken by the optimizer of the caller.
        assert [name for name, p in net.named_parameters() if p.grad is not None] == ["second.weight", "second.bias"]
        optimizer.step()
        net.zero_grad()
    return losses, net.state_dict(), optimizer.param_groups[0]["capturable"]


def test_replayed_steps_are_the_steps(played):
    losses, weights, _ = train(played, graphed=False)
    replayed_losses, replayed, capturable = train(played, graphed=True)
    assert PlayedGraph.replays == 5
    assert capturable is False
    torch.testing.assert_close(replayed_losses, losses, rtol=0, atol=0)
    for name, tensor in weights.items():
        assert torch.equal(tensor, replayed[name]), name
