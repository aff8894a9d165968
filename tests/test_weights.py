"""Every class of ours reads safetensors alone, and only from the model's own folder."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_augment import CausalLMGenerator, DCGANConfig, DCGANGenerator, LabelPrompt, SmallResNetForImageClassification
from hf_augment.generators.dcgan import DCGANDiscriminator
from hf_augment.weights import safetensors_only
from tests.tiny import tiny_causal_lm, tiny_tokenizer


NAMES = ["cat", "dog"]
CONFIG = DCGANConfig(width=2, latent_size=3, id2label=dict(enumerate(NAMES)))


def causal_lm():
    tokenizer = tiny_tokenizer()
    return CausalLMGenerator(tiny_causal_lm(tokenizer), tokenizer, NAMES, LabelPrompt())


MODELS = {
    CausalLMGenerator: causal_lm,
    DCGANGenerator: lambda: DCGANGenerator(CONFIG),
    DCGANDiscriminator: lambda: DCGANDiscriminator(CONFIG),
    SmallResNetForImageClassification: lambda: SmallResNetForImageClassification.build(NAMES, width=8),
}


@pytest.fixture(params=MODELS, ids=lambda kind: kind.__name__, name="kind")
def each_kind(request):
    return request.param


@pytest.fixture(name="folder")
def saved(kind, tmp_path):
    MODELS[kind]().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def shard(folder, name, file="part.safetensors"):
    """Moves the weights into a file that an index names."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    target = folder / file
    save_file(weights, target, metadata={"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(weights, name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return target


def test_a_saved_model_is_loaded_whole_or_in_parts(kind, folder):
    kind.from_pretrained(folder)
    shard(folder, "part.safetensors")
    kind.from_pretrained(str(folder))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_pickles_alone_are_refused_and_beside_safetensors_not_read(kind, folder, name, monkeypatch):
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("a pickle was read"))
    (folder / name).write_bytes(b"no model at all")
    kind.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match=rf"has weights only in {name}, which may run code .* `save_pretrained`"):
        kind.from_pretrained(folder)
    if kind is not CausalLMGenerator:
        with pytest.raises(ValueError, match="use_safetensors=False: weights in pickle are never read"):
            kind.from_pretrained(folder, use_safetensors=False)


@pytest.mark.parametrize("way", ["up", "absolute", "link", "link of a folder", "another index"])
def test_an_index_that_leads_out_of_its_folder_is_refused_before_anything_is_read(kind, folder, tmp_path, way):
    name = {
        "up": "../part.safetensors",
        "absolute": str(tmp_path / "part.safetensors"),
        "link of a folder": "sub/part.safetensors",
    }.get(way, "part.safetensors")
    shard(folder, name, "../part.safetensors")
    if way == "link":
        (folder / name).symlink_to(tmp_path / "part.safetensors")
    elif way == "link of a folder":
        (folder / "sub").symlink_to(tmp_path)
    elif way == "another index":
        shutil.move(folder / "model.safetensors.index.json", tmp_path / "index.json")
        (folder / "model.safetensors.index.json").symlink_to(tmp_path / "index.json")
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json .*leads out of its folder: put the file"):
        kind.from_pretrained(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight_map": {"a": "pytorch_model.bin"}}, "names 'pytorch_model.bin', which is no safetensors file"),
        ({"weight_map": ["a"]}, "is damaged: it has no weight_map"),
        ({"weight_map": {"a": 1}}, "is damaged: it has no weight_map"),
        ({}, "is damaged: it has no weight_map"),
        ([], "is damaged: it holds no JSON object"),
    ],
)
def test_an_index_of_something_else_is_refused(tmp_path, content, message):
    # Whatever its name is: a config may name another.
    (tmp_path / "mine.safetensors.index.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        safetensors_only(tmp_path)


def test_adapters_in_pickle_are_refused(kind, folder):
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(OSError, match=r"has weights only in adapter_model\.bin"):
        kind.from_pretrained(folder)


@pytest.mark.parametrize("within", ["", "unet"])
def test_the_links_of_the_hubs_cache_are_its_own(tmp_path, within):
    snapshot, blobs = tmp_path / "models--user--name/snapshots/abc", tmp_path / "models--user--name/blobs"
    folder, up = snapshot / within, "../" * (2 + bool(within))
    folder.mkdir(parents=True)
    blobs.mkdir()
    for name, blob in (("model.safetensors.index.json", "1"), ("part.safetensors", "2")):
        (blobs / blob).write_text(json.dumps({"weight_map": {"a": "part.safetensors"}}))
        (folder / name).symlink_to(f"{up}blobs/{blob}")
    assert safetensors_only(snapshot, subfolder=within) == {"use_safetensors": True}
    (folder / "part.safetensors").unlink()
    (tmp_path / "secret.safetensors").touch()
    (folder / "part.safetensors").symlink_to(tmp_path / "secret.safetensors")
    with pytest.raises(ValueError, match="leads out of its folder"):
        safetensors_only(snapshot, subfolder=within)
