"""What a generator has to know of a pipeline of diffusers, and how it calls it."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from hf_augment.checks import check_number
from hf_augment.fingerprints import texts_digest, weights_fingerprint


#: Held while a pipeline draws: the steps of a scheduler and the active adapters are its state, and pipelines that were
#: made of each other share these parts.
DRAWING = threading.Lock()

#: Arguments of a pipeline's call that have another place here, or none.
_OWN = {
    **dict.fromkeys(("prompt", "negative_prompt", "class_labels", "strength"), "the argument of the generator"),
    **dict.fromkeys(("num_inference_steps", "guidance_scale"), "the argument of the generator"),
    **dict.fromkeys(("image", "mask_image"), "`dataset`"),
    **dict.fromkeys(("generator", "latents"), "the seed, from which everything random comes"),
    **dict.fromkeys(("batch_size", "num_images_per_prompt"), "`batch_size` of the generator"),
    **dict.fromkeys(("output_type", "return_dict"), "nothing: the generator needs its own"),
}

#: The number of DiT's class of no class, which the pipeline writes out.
_DIT_NO_CLASS = 1000


def call_parameters(pipeline: Any) -> dict[str, inspect.Parameter]:
    """
    The parameters of a pipeline's call, by name.

    Raises:
        ValueError: If it is no pipeline that a generator can use.
    """
    if not callable(pipeline) or not isinstance(getattr(pipeline, "components", None), Mapping):
        raise ValueError(
            f"pipeline={pipeline!r} is no pipeline of diffusers: pass for example "
            "`DiffusionPipeline.from_pretrained(name, use_safetensors=True)`."
        )
    kind = type(pipeline).__name__
    parameters = {k: p for k, p in inspect.signature(pipeline).parameters.items() if p.kind is not p.VAR_KEYWORD}
    if missing := {"generator", "output_type"} - parameters.keys():
        raise ValueError(f"pipeline={kind} takes no {sorted(missing)}: it cannot draw images from a seed.")
    if not parameters.keys() & {"prompt", "class_labels"}:
        raise ValueError(f"pipeline={kind} takes neither `prompt` nor `class_labels`: it cannot be asked for a class.")
    if hasattr(pipeline.components.get("scheduler"), "noise_sampler"):
        scheduler = type(pipeline.components["scheduler"]).__name__
        raise ValueError(
            f"pipeline.scheduler={scheduler} draws its noise from the global random state, not from the seed: pass "
            "another, such as `DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)`."
        )
    for name, part in modules(pipeline).items():
        if any(parameter.is_meta for parameter in part.parameters()):
            raise ValueError(
                f"pipeline.{name} has no weights in memory, of which the fingerprint is made: use "
                "`pipeline.enable_model_cpu_offload()` in the place of the sequential one."
            )
    return parameters


def modules(pipeline: Any) -> dict[str, torch.nn.Module]:
    """The parts of a pipeline that have weights, by name."""
    return {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}


def call_settings(
    parameters: Mapping[str, inspect.Parameter], settings: Mapping[str, Any], further: dict[str, Any]
) -> dict[str, Any]:
    """
    The arguments that all calls of a pipeline have.

    Args:
        parameters (`Mapping[str, inspect.Parameter]`): Those of its call.
        settings (`Mapping[str, Any]`): Arguments of the generator that are the pipeline's own; `None` leaves one out.
        further (`dict[str, Any]`): The user's further arguments.

    Raises:
        ValueError: If the pipeline does not take one, takes it from elsewhere, or needs one that nobody gives; or one
            is out of range.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    own = sorted(parameters.keys() - _OWN.keys())
    for name in given.keys() - parameters.keys():
        raise ValueError(f"{name}={given[name]!r} is no argument of this pipeline, which takes {own}: leave it out.")
    for name in further:
        if name in _OWN:
            raise ValueError(f"call_arguments has {name!r}, which comes from {_OWN[name]}: leave it out.")
        if name not in parameters:
            raise ValueError(f"call_arguments has {name!r}, which this pipeline does not take. It takes {own}.")
    try:
        json.dumps(further)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"call_arguments must be JSON serialisable, as they are part of the fingerprint, and are not: {error}."
        ) from error
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if missing := [name for name in needed if name not in {**given, **further, **_OWN}]:
        raise ValueError(f"call_arguments lacks {missing}, which this pipeline needs.")
    if "num_inference_steps" in given:
        check_number("num_inference_steps", given["num_inference_steps"], 1, whole=True, hint="Steps of an image.")
    if "guidance_scale" in given:
        check_number("guidance_scale", given["guidance_scale"], 0, hint="0 is for models of few steps.")
    return {**given, **further}


def value_of(name: str, parameters: Mapping[str, inspect.Parameter], arguments: Mapping[str, Any]) -> Any:
    """The value that an argument has in a pipeline's call: the one given, or the pipeline's own."""
    return arguments.get(name, getattr(parameters.get(name), "default", None))


def steps_of(parameters: Mapping[str, inspect.Parameter], arguments: Mapping[str, Any]) -> Any:
    """The number of steps of a pipeline's call, or `None` where a schedule of its own was given."""
    scheduled = arguments.keys() & {"timesteps", "sigmas"}
    return None if scheduled else value_of("num_inference_steps", parameters, arguments)


def class_count(pipeline: Any) -> int | None:
    """
    How many classes a class-conditional pipeline knows, or `None` if that cannot be told.

    Raises:
        ValueError: If its model was made without classes.
    """
    for part in modules(pipeline).values():
        config = _config(part)
        for name in ("num_class_embeds", "num_embeds_ada_norm"):
            if name in config:
                if config[name] is None:
                    raise ValueError(
                        f"pipeline={type(pipeline).__name__} has a model without classes ({name} is None): its images "
                        "would be of no class. Pass one that is class-conditional."
                    )
                return int(config[name])
    return None


def check_guidance(pipeline: Any, guidance_scale: Any, negative_prompt: str | None) -> None:
    """Raises a `ValueError` if guidance would take a class that the model does not have, or none would do nothing."""
    if not isinstance(guidance_scale, int | float):
        return
    known = _config(pipeline.components.get("transformer")).get("num_embeds_ada_norm")
    if known not in (None, _DIT_NO_CLASS) and guidance_scale > 1:
        raise ValueError(
            f"guidance_scale={guidance_scale} of a {type(pipeline).__name__} takes class {_DIT_NO_CLASS} for no "
            f"class, but its model has {known} classes: pass guidance_scale=1, which draws without guidance."
        )
    if negative_prompt is not None and guidance_scale <= 1:
        raise ValueError(
            f"negative_prompt={negative_prompt!r} has no effect with guidance_scale={guidance_scale}: leave it out, "
            "or raise guidance_scale above 1."
        )


def adapter_names(pipeline: Any) -> list[str]:
    """Names of the adapters that are loaded into a pipeline."""
    return sorted({name for part in modules(pipeline).values() for name in getattr(part, "peft_config", None) or {}})


def native_size(pipeline: Any, height: int, width: int) -> tuple[int, int]:
    """
    Height and width in pixels that a pipeline was made for, in the proportions of images of another size.

    Raises:
        ValueError: If they cannot be told.
    """
    sizes = [getattr(pipeline, "default_sample_size", None)]
    sizes += [_config(pipeline.components.get(name)).get("sample_size") for name in ("unet", "transformer")]
    unit = int(getattr(pipeline, "vae_scale_factor", 1))
    for side in sizes:
        if isinstance(side, int):
            # The shorter side has the pipeline's size, and both are whole numbers of latent pixels.
            scale = side / min(height, width)
            return round(height * scale) * unit, round(width * scale) * unit
    raise ValueError(
        f"init_size is missing: the size of the images of a {type(pipeline).__name__} cannot be told. Give height and "
        "width in pixels, to which the images of `dataset` are resized first, such as (512, 512)."
    )


def pipeline_facts(pipeline: Any) -> dict[str, Any]:
    """What a pipeline's images depend on, JSON serialisable: classes, configurations, weights and vocabularies."""
    parts = {}
    for name, part in sorted(pipeline.components.items()):
        facts: dict[str, Any] = {"type": type(part).__name__, "config": _plain(part)}
        if isinstance(part, torch.nn.Module):
            facts["weights"] = weights_fingerprint(part)
        if hasattr(part, "get_vocab"):
            facts["vocabulary"] = texts_digest(f"{token} {i}" for token, i in sorted(part.get_vocab().items()))
        parts[name] = facts
    return {"type": type(pipeline).__name__, "config": _plain(pipeline), "parts": parts}


def _config(part: Any) -> Mapping[str, Any]:
    """The configuration of a part of diffusers; that of a part of transformers is no mapping."""
    config = getattr(part, "config", None)
    return config if isinstance(config, Mapping) else {}


def _plain(part: Any) -> dict[str, str]:
    """A configuration without the library's own notes, such as its version and the order of a set."""
    own = {name: value for name, value in _config(part).items() if not name.startswith("_")}
    # In JSON a tuple is the list that it becomes when it is saved.
    return {name: json.dumps(own[name], sort_keys=True, default=str) for name in sorted(own)}


def draw(
    pipeline: Any, arguments: Mapping[str, Any], seeds: Sequence[int], adapter: str | None
) -> tuple[np.ndarray, list[bool]]:
    """
    Calls a pipeline once.

    Args:
        pipeline (`DiffusionPipeline`): The pipeline.
        arguments (`Mapping[str, Any]`): Arguments of its call, beside the random ones.
        seeds (`Sequence[int]`): One for each image.
        adapter (`str`, *optional*): The adapter that is active.

    Returns:
        `tuple[np.ndarray, list[bool]]`: Images in `[0, 1]`, float of shape `(n, height, width, channels)`, and for
        each whether a safety checker flagged it.

    Raises:
        RuntimeError: If adapters were loaded since, there are not as many images as seeds, or a pixel is no number.
    """
    # On the CPU, so that a seed means the same on every device.
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
    with DRAWING, torch.no_grad():
        for part in modules(pipeline).values():
            # In training mode parts would draw from the global random state.
            part.eval()
        if adapter is not None:
            pipeline.set_adapters(adapter)
        elif loaded := adapter_names(pipeline):
            raise RuntimeError(
                f"The adapters {loaded} were loaded after the generator was made: make it anew, with adapters=..., or "
                "call `pipeline.unload_lora_weights()`."
            )
        # A consistency model cannot give arrays of what it draws in bfloat16; arrays are what others are sure to give.
        kind_of_output = "pt" if "class_labels" in arguments else "np"
        output = pipeline(**arguments, generator=rngs, output_type=kind_of_output)
    images = output.images
    if isinstance(images, torch.Tensor):
        images = images.permute(0, 2, 3, 1).float().cpu().numpy()
    images = np.asarray(images, dtype=np.float32)
    kind = type(pipeline).__name__
    if images.ndim != 4 or len(images) != len(seeds):
        raise RuntimeError(
            f"{kind} returned images of shape {images.shape} for {len(seeds)} seeds: pass a pipeline that makes one "
            "image of each."
        )
    if not np.isfinite(images).all():
        raise RuntimeError(
            f"{kind} drew pixels that are no numbers, which it would show black: its numbers overflow. Load it with "
            "dtype=torch.float32 or torch.bfloat16."
        )
    flagged = getattr(output, "nsfw_content_detected", None) or getattr(output, "nsfw_detected", None)
    return images, [bool(flag) for flag in flagged] if flagged else [False] * len(images)
