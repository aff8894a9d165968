"""The ResNet for small images: its shape, and what loading a saved one needs."""

import os
import subprocess
import sys

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    TimmWrapperForImageClassification,
    ViTImageProcessor,
)

from hf_augment import DCGANConfig, DCGANGenerator, SmallResNetForImageClassification
from hf_augment.images.rows import pixel_values
from hf_augment.seeding import isolated_rng


NAMES = ["cat", "dog", "frog"]


def model(width=4, num_channels=3, dropout=0.0, seed=0):
    with isolated_rng(seed):
        made = SmallResNetForImageClassification.build(NAMES, num_channels, width, dropout)
        # Statistics of batch norm that are not those of a new model.
        made.train()(torch.rand(8, num_channels, 32, 32))
    return made.eval()


def pixels(num_channels=3):
    return torch.rand(2, num_channels, 32, 32, generator=torch.Generator().manual_seed(1))


def test_the_first_layer_is_3_by_3_and_nothing_is_pooled():
    made, sizes = model(), {}

    def note(name):
        return lambda module, inputs, output: sizes.update({name: tuple(output.shape[1:])})

    resnet = made.timm_model
    for name in ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "global_pool", "fc"):
        resnet.get_submodule(name).register_forward_hook(note(name))
    made(pixels())
    assert sizes == {
        "conv1": (4, 32, 32),
        "maxpool": (4, 32, 32),
        "layer1": (4, 32, 32),
        "layer2": (8, 16, 16),
        "layer3": (16, 8, 8),
        "layer4": (32, 4, 4),
        "global_pool": (32,),
        "fc": (3,),
    }
    assert tuple(resnet.conv1.weight.shape) == (4, 3, 3, 3)
    # ResNet-18: a first convolution, 2 in each of 2 blocks in each of 4 stages, 3 shortcuts; one linear layer.
    assert sum(isinstance(module, torch.nn.Conv2d) for module in resnet.modules()) == 1 + 16 + 3
    assert sum(isinstance(module, torch.nn.Linear) for module in resnet.modules()) == 1


def test_the_documented_width_has_as_many_weights_as_resnet_18_on_cifar_10():
    with torch.device("meta"):
        made = timm.create_model("small_resnet18", num_classes=10)
    # torchvision's ResNet-18 has 11,689,512 weights; there go 3·64·(7² - 3²) of the stem and 513·990 of the classes.
    assert sum(weight.numel() for weight in made.parameters()) == 11_689_512 - 3 * 64 * 40 - 513 * 990


def test_what_can_be_set():
    grey = model(width=2, num_channels=1, dropout=0.5)
    assert grey(pixels(1)).logits.shape == (2, 3)
    assert grey.timm_model.drop_rate == 0.5
    assert grey.config.id2label == dict(enumerate(NAMES))
    assert grey.config.label2id == {"cat": 0, "dog": 1, "frog": 2}
    assert grey(pixel_values=pixels(1), labels=torch.tensor([0, 2])).loss.shape == ()


def test_random_weights_are_drawn_from_the_seed():
    first, again, other = (model(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["timm_model.conv1.weight"], other["timm_model.conv1.weight"])


def test_random_weights_are_as_in_the_paper():
    with isolated_rng(0):
        resnet = SmallResNetForImageClassification.build(NAMES, width=64).timm_model
    for name, module in resnet.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            # He et al. 2015, equation 14: 2 over the number of outputs.
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05), name
        elif isinstance(module, torch.nn.BatchNorm2d):
            # The last of each residual branch begins with 0, so that a block is the identity.
            assert set(module.weight.tolist()) == {0.0 if name.endswith("bn2") else 1.0}, name


def test_a_saved_model_is_loaded_without_remote_code(tmp_path):
    made = model(dropout=0.1)
    made.save_pretrained(tmp_path)
    loaded = AutoModelForImageClassification.from_pretrained(tmp_path, trust_remote_code=False)
    assert isinstance(loaded, TimmWrapperForImageClassification)
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded(pixels()).logits, made(pixels()).logits)
    assert loaded.config.id2label == made.config.id2label
    assert loaded.timm_model.drop_rate == 0.1
    # And saved once more it is the same.
    loaded.save_pretrained(tmp_path / "again")
    first, again = (load_file(folder / "model.safetensors") for folder in (tmp_path, tmp_path / "again"))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


ELSEWHERE = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hf_augment":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
import numpy as np
import torch
from transformers import AutoModel, AutoModelForImageClassification

classifier = AutoModelForImageClassification.from_pretrained("classifier", trust_remote_code=True)
generator = AutoModel.from_pretrained("generator", trust_remote_code=True)
with torch.no_grad():
    logits = classifier(torch.from_numpy(np.load("pixels.npy"))).logits
images = [example["picture"] for example in generator.generate([0, 1, 2, 1], seed=7)]
assert not [name for name in sys.modules if name.partition(".")[0] == "hf_augment"]
np.savez("results.npz", logits=logits.numpy(), images=np.stack(images))
"""


def test_saved_models_are_loaded_where_the_package_is_not_installed(tmp_path):
    classifier = model()
    with isolated_rng(3):
        config = DCGANConfig(width=2, latent_size=3, id2label=dict(enumerate(NAMES)), image_column="picture")
        generator = DCGANGenerator(config)
    classifier.save_pretrained(tmp_path / "classifier")
    generator.save_pretrained(tmp_path / "generator")
    np.save(tmp_path / "pixels.npy", pixels().numpy())
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", ELSEWHERE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = np.load(tmp_path / "results.npz")
    with torch.no_grad():
        np.testing.assert_allclose(results["logits"], classifier(pixels()).logits.numpy(), rtol=1e-5, atol=1e-6)
    images = np.stack([example["picture"] for example in generator.generate([0, 1, 2, 1], seed=7)])
    np.testing.assert_array_equal(results["images"], images)


def test_the_image_processor_is_saved_beside_it(tmp_path):
    images = [np.random.default_rng(0).integers(0, 256, (32, 32, 1), dtype=np.uint8)] * 2
    processor = ViTImageProcessor(do_resize=False, image_mean=[0.5], image_std=[0.5])
    processor.save_pretrained(tmp_path)
    loaded = AutoImageProcessor.from_pretrained(tmp_path)
    assert torch.equal(pixel_values(loaded, images), pixel_values(processor, images))
    assert pixel_values(loaded, images).shape == (2, 1, 32, 32)
