"""A pipeline of diffusers from a folder or the Hub, and what its card says of its licence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import hf_hub_download, metadata_load
from huggingface_hub.errors import EntryNotFoundError, HFValidationError

from hf_augment.extras import optional_imports
from hf_augment.generators.diffusion.pipeline import modules
from hf_augment.generators.pretrained import read_generator_config, unreachable
from hf_augment.weights import safetensors_only


#: What a folder must have.
FILES = "model_index.json and, in a folder for each part, its config and *.safetensors"


def load_pipeline(
    name_or_path: str,
    *,
    from_images: bool,
    revision: str | None = None,
    variant: str | None = None,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> Any:
    """
    Loads a pipeline, without running code of a repository and without pickle.

    Args:
        name_or_path (`str`): A folder or a Hub id.
        from_images (`bool`): Whether it is to begin from images.
        revision (`str`, *optional*): The Hub branch, tag or commit.
        variant (`str`, *optional*): The variant of the weights.
        dtype (`torch.dtype`, *optional*): Defaults to float32.
        device (`str` or `torch.device`, *optional*): Defaults to the CPU.

    Raises:
        ImportError: If diffusers is missing.
        OSError: If the files are not there and cannot be downloaded, or weights are there in pickle alone.
        ValueError: If an index of weights leads out of its folder, or no pipeline begins from images with this model.
    """
    with optional_imports("diffusion"):
        from diffusers import AutoPipelineForImage2Image, DiffusionPipeline

    options: dict[str, Any] = {"use_safetensors": True, "trust_remote_code": False, "variant": variant}
    folder = Path(name_or_path)
    try:
        if not folder.is_dir():
            folder = Path(DiffusionPipeline.download(name_or_path, revision=revision, **options))
        for part in sorted(path for path in folder.iterdir() if path.is_dir()):
            safetensors_only(folder, subfolder=part.name)
        pipeline = DiffusionPipeline.from_pretrained(folder, dtype=dtype or torch.float32, **options)
    except OSError as error:
        raise unreachable(name_or_path, error, FILES) from error
    for module in modules(pipeline).values():
        for tensor in (*module.parameters(), *module.buffers()):
            # Out of the file: at another alignment in memory, sums are rounded in another way.
            tensor.data = tensor.data.clone()
    pipeline = pipeline.to(device or "cpu")
    return AutoPipelineForImage2Image.from_pipe(pipeline) if from_images else pipeline


def model_name(origin: str) -> str:
    """What readers call a model: its Hub id, also where it lies in the cache, or the last part of its folder."""
    folder = Path(origin)
    if not folder.is_dir():
        return origin
    cached = folder.parent.parent.name
    if folder.parent.name == "snapshots" and cached.startswith("models--"):
        return cached.removeprefix("models--").replace("--", "/")
    return folder.resolve().name


def card_licence(name_or_path: str, revision: str | None = None, *, local_only: bool = False) -> str | None:
    """
    The licence that a model's card gives.

    Args:
        name_or_path (`str`): A folder or a Hub id.
        revision (`str`, *optional*): The Hub branch, tag or commit.
        local_only (`bool`, *optional*, defaults to `False`): Whether a card that is not on this machine is left there.

    Returns:
        `str`, *optional*: Such as `"apache-2.0"`; `None` if there is no card, or it names none.
    """
    path = Path(name_or_path) / "README.md"
    if not path.parent.is_dir():
        try:
            path = Path(hf_hub_download(name_or_path, "README.md", revision=revision, local_files_only=local_only))
        except (EntryNotFoundError, HFValidationError, OSError):
            return None
    try:
        metadata = metadata_load(path) if path.is_file() else None
    except (ValueError, yaml.YAMLError):
        return None
    return None if not metadata or metadata.get("license") is None else str(metadata["license"])


def settings_of(
    name_or_path: str, revision: str | None, given: Mapping[str, Any], *, begins: bool
) -> tuple[dict[str, Any], str | None]:
    """
    The arguments of a generator: those that were saved with it, or of a plain pipeline those given.

    Args:
        name_or_path (`str`): A folder or a Hub id.
        revision (`str`, *optional*): The Hub branch, tag or commit.
        given (`Mapping[str, Any]`): `label_names` and `image_size`, or `None` for both of a saved generator.
        begins (`bool`): Whether there are images to begin from.

    Returns:
        `tuple[dict, str | None]`: They, and the revision to load the pipeline from.

    Raises:
        OSError: If the Hub cannot be reached.
        ValueError: If one of the given is missing, or images.
    """
    config = None
    if all(value is None for value in given.values()):
        config, revision = read_generator_config(name_or_path, revision, ("arguments", "begins_from_images"), FILES)
    if config is not None:
        if config["begins_from_images"] and not begins:
            raise ValueError(
                f"dataset is missing: {name_or_path!r} begins from images, which were not saved. Pass labelled rows."
            )
        return config["arguments"], revision
    if any(value is None for value in given.values()):
        raise ValueError(
            f"{' and '.join(given)} are both needed: {name_or_path!r} is a plain pipeline, not a saved generator."
        )
    return {"name": name_or_path, **given}, revision
