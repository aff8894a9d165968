from types import SimpleNamespace

import pytest
import torch

from hf_augment import SmallResNetForImageClassification
from hf_augment.images.graphed import GraphedNetwork


def network():
    torch.manual_seed(0)
    model = SmallResNetForImageClassification.build(["cat", "dog"], width=4).timm_model
    return model.to(memory_format=torch.channels_last)


def arguments(**changed):
    options = {"device": SimpleNamespace(type="cuda"), "train_batch_size": 4, "bf16": False, "fp16": False}
    return SimpleNamespace(**(options | {"gradient_accumulation_steps": 1, "world_size": 1} | changed))


@pytest.fixture
def captured(monkeypatch):
    """What torch.cuda captures, and the shapes that are replayed."""
    replayed = []

    def make_graphed_callables(module, sample):
        assert module.training
        assert sample[0].is_contiguous(memory_format=torch.channels_last)
        forward = module.forward
        for _ in range(3):
            forward(torch.randn(sample[0].shape))

        def graphed(images):
            if module.training:
                replayed.append(tuple(images.shape))
            return forward(images)

        module.forward = graphed

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", make_graphed_callables)
    return replayed


def test_full_batches_of_a_training_are_replayed_and_nothing_else_changes(captured):
    plain, of = network(), network()
    callback = GraphedNetwork(of, (3, 32, 32))
    callback.on_train_begin(arguments(), None, None)
    for name, buffer in plain.named_buffers():
        assert torch.equal(buffer, of.get_buffer(name)), name
    for n, training in ((4, True), (2, True), (4, False)):
        images = torch.randn(n, 3, 32, 32)
        assert torch.equal(plain.train(training)(images), of.train(training)(images))
    assert captured == [(4, 3, 32, 32)]
    callback.on_train_end(arguments(), None, None)
    of.train()(torch.randn(4, 3, 32, 32))
    assert captured == [(4, 3, 32, 32)]
    assert "forward" not in vars(of)


def test_where_nothing_is_captured(captured):
    of = network()
    callback = GraphedNetwork(of, (3, 32, 32))
    callback.on_train_begin(arguments(device=torch.device("cpu")), None, None)
    assert "forward" not in vars(of)
    callback.on_train_end(arguments(), None, None)
    for changed in ({"gradient_accumulation_steps": 2}, {"world_size": 2}):
        with pytest.raises(ValueError, match=r"leave GraphedNetwork \(in a recipe, cuda_graph\) out"):
            callback.on_train_begin(arguments(**changed), None, None)
