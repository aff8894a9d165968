"""The DCGAN as a generator and as a transformers model."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel

from hf_augment import DCGANConfig, DCGANDiscriminator, DCGANGenerator, Generator
from hf_augment.generators.dcgan import from_uint8, to_uint8
from tests.toys import assert_equal_weights, weights


NAMES = {0: "cat", 1: "dog", 2: "frog"}


def config(**kwargs):
    return DCGANConfig(**({"id2label": NAMES, "width": 4, "latent_size": 6} | kwargs))


def generator(seed=0, **kwargs):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DCGANGenerator(config(**kwargs)).eval()


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("num_channels", [1, 3])
def test_images_are_uint8_of_the_size_asked_for(size, num_channels):
    made = generator(image_size=size, num_channels=num_channels)
    assert isinstance(made, Generator)
    assert made.label_names == ("cat", "dog", "frog")
    examples = made.generate([2, 0], seed=1)
    assert [set(example) for example in examples] == [{"image"}] * 2
    assert all(e["image"].shape == (size, size, num_channels) and e["image"].dtype == np.uint8 for e in examples)


def test_the_documented_shape():
    """Radford et al. 2016, figure 1 for 64 pixels: 4×4×512 to 32×32×64."""
    documented = DCGANGenerator(DCGANConfig(image_size=64, id2label=NAMES))
    shapes = [tuple(convolution.weight.shape) for convolution in documented.convolutions]
    assert shapes == [(100, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4)]
    assert tuple(documented.head.weight.shape) == (64, 3, 4, 4)
    discriminator = DCGANDiscriminator(DCGANConfig(image_size=64, id2label=NAMES))
    convolutions = [tuple(m.weight.shape) for m in discriminator.layers if isinstance(m, torch.nn.Conv2d)]
    assert convolutions == [(64, 3 + 3, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4)]
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in discriminator.layers) == 3


def test_weights_start_as_documented():
    torch.manual_seed(0)
    made, judge = DCGANGenerator(config(width=32)), DCGANDiscriminator(config(width=32, spectral_norm=True))
    assert made.convolutions[1].weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert made.norms[0].scale.mean().item() == pytest.approx(1, abs=0.01)
    assert not made.norms[0].shift.any()
    assert judge.layers[2].parametrizations.weight.original.std().item() == pytest.approx(0.02, rel=0.05)
    assert torch.linalg.matrix_norm(judge.eval().layers[2].weight.flatten(1), 2).item() == pytest.approx(1, abs=0.2)


def test_the_same_seed_gives_the_same_images_whatever_is_drawn_elsewhere():
    made = generator()
    one = made.generate([0, 1, 2], seed=5)
    torch.rand(3)
    state = torch.get_rng_state()
    again = made.train().generate([0, 1, 2], seed=5)
    assert torch.equal(state, torch.get_rng_state())
    assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0]["image"], made.generate([0], seed=6)[0]["image"])
    assert not np.array_equal(one[0]["image"], made.generate([1], seed=5)[0]["image"])


def test_batches_change_no_image():
    made = generator()
    labels = [i % 3 for i in range(20)]
    whole = made.generate(labels, seed=2)
    made.batch_size = 7
    parts = made.generate(labels, seed=2)
    # To the last bit but one: convolutions of other batch sizes round in another way.
    assert max(np.abs(a["image"].astype(int) - b["image"]).max() for a, b in zip(whole, parts, strict=True)) <= 1


def test_no_label_no_image():
    assert generator().generate([], seed=0) == []


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_does_not_exist(label):
    with pytest.raises(ValueError, match=rf"labels has \[{label}\], but label_names has only 3"):
        generator().generate([0, label], seed=0)


def test_saved_and_loaded_it_is_the_same_generator(tmp_path):
    made = generator(image_column="img")
    made.save_pretrained(tmp_path)
    for loaded in (DCGANGenerator.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert isinstance(loaded, DCGANGenerator)
        assert loaded.fingerprint() == made.fingerprint()
        assert loaded.columns == ("img",)
        assert np.array_equal(loaded.generate([1], 3)[0]["img"], made.generate([1], 3)[0]["img"])
    # For those without the package.
    assert (tmp_path / "dcgan.py").is_file()


@pytest.mark.parametrize("options", [{}, {"spectral_norm": True, "projection": True}])
def test_a_discriminator_is_loaded_as_it_was_saved(tmp_path, options):
    discriminator = DCGANDiscriminator(config(**options))
    images, labels = torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 2, 2])
    for _ in range(3):
        discriminator.train()(images, labels)  # Moves the running statistics and the power iteration.
    discriminator.eval().save_pretrained(tmp_path)
    loaded = DCGANDiscriminator.from_pretrained(tmp_path).eval()
    assert_equal_weights(weights(loaded), weights(discriminator))
    # The power iteration's vectors lie otherwise in memory, and round otherwise.
    torch.testing.assert_close(loaded(images, labels), discriminator(images, labels), rtol=1e-5, atol=1e-6)
    assert loaded(images, labels).shape == (4,)
    # The class matters.
    assert not torch.equal(loaded(images, labels), loaded(images, labels.flip(0)))


@pytest.mark.parametrize("projection", [False, True])
def test_a_discriminator_that_is_told_no_class_asks_the_image_alone(projection):
    discriminator = DCGANDiscriminator(config(projection=projection)).eval()
    if projection:
        torch.nn.init.normal_(discriminator.label_embedding.weight)
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).repeat(4, 1, 1, 1)
    with torch.no_grad():
        told, untold = (discriminator(images, torch.tensor(labels)) for labels in ([0, 1, 0, 1], [-1, 0, -1, 1]))
        # Without a class there are planes of zeros, or no inner product.
        inputs = images if projection else torch.cat([images, torch.zeros_like(images)], dim=1)
        alone = discriminator.head(discriminator.layers(inputs).flatten(1)).flatten()
    assert torch.equal(untold[0], untold[2])
    torch.testing.assert_close(untold[0], alone[0])
    torch.testing.assert_close(untold[[1, 3]], told[[0, 1]])
    assert len(set(untold.tolist())) == 3


def test_another_weight_is_another_fingerprint():
    made = generator()
    before = made.fingerprint()
    assert before == generator().fingerprint() != generator(seed=1).fingerprint()
    made.head.bias.data += 1
    assert made.fingerprint() != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 28}, "image_size=28 must be 32 or 64"),
        ({"num_channels": 4}, "num_channels=4 must be 1 or 3"),
        ({"width": 0}, "width=0 must be 1 or more"),
        ({"latent_size": 0}, "latent_size=0 must be 1 or more"),
        ({"latent_size": 1.5}, "latent_size=1.5 must be 1 or more, and whole"),
        ({"id2label": {1: "cat", 2: "dog"}}, "id2label={1: 'cat', 2: 'dog'} must number the classes from 0"),
        ({"id2label": {0: "cat", 2: "dog"}}, "id2label={0: 'cat', 2: 'dog'} must number the classes from 0"),
        ({"id2label": {"cat": 0}}, r"as by dict\(enumerate\(names\)\)"),
        ({"id2label": ["cat", "dog"]}, "must number the classes from 0"),
        ({"id2label": {}}, "must number the classes from 0"),
    ],
)
def test_shapes_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        config(**options)


@given(values=st.lists(st.integers(0, 255), min_size=12, max_size=12))
@settings(deadline=None)
def test_pixels_survive_the_way_there_and_back(values):
    images = np.array(values, dtype=np.uint8).reshape(1, 2, 2, 3)
    assert np.array_equal(to_uint8(from_uint8(torch.from_numpy(images))), images)


def test_classes_as_a_configuration_file_has_them():
    assert DCGANConfig(id2label={"1": "dog", "0": "cat"}).label_names == ("cat", "dog")
