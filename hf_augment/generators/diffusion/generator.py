"""Any pipeline of diffusers as a generator of labelled images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch

from hf_augment.checks import check_number
from hf_augment.generators.base import Generator
from hf_augment.generators.diffusion.inputs import (
    DEFAULT_PROMPT,
    InitialImages,
    Prompts,
    Wanted,
    batches,
    check_begins,
    check_strengths,
    check_told_apart,
    class_adapters,
    class_numbers_of,
    class_prompts,
    pair,
)
from hf_augment.generators.diffusion.loading import card_licence, load_pipeline, model_name, settings_of
from hf_augment.generators.diffusion.pipeline import (
    adapter_names,
    call_parameters,
    call_settings,
    check_guidance,
    class_count,
    draw,
    pipeline_facts,
    steps_of,
    value_of,
)
from hf_augment.generators.pretrained import CONFIG_NAME, write_generator_config
from hf_augment.images.arrays import MODES
from hf_augment.images.forms import fit
from hf_augment.seeding import derive_rng, derive_seed


#: How often an image is drawn that a safety checker flags, before that is an error: where it flags one of ten, one of
#: ten thousand million is flagged so often.
ATTEMPTS = 10
#: Settings of a pipeline that are arguments here.
OWN_SETTINGS = ("num_inference_steps", "guidance_scale", "negative_prompt")


class DiffusionGenerator(Generator):
    """
    Draws images of given classes with a pipeline of diffusers: from prompts, from the number of a class, or from the
    user's own images of the class. It takes the extra `diffusion`.

    Example:

    ```python
    from diffusers import AutoPipelineForText2Image
    from hf_augment import DiffusionGenerator

    pipeline = AutoPipelineForText2Image.from_pretrained("stabilityai/sd-turbo", use_safetensors=True)
    settings = {"num_inference_steps": 1, "guidance_scale": 0.0}
    generator = DiffusionGenerator(pipeline, ["cat", "dog"], image_size=32, **settings)
    image = generator.generate(labels=[1], seed=0)[0]["image"]  # uint8, (height, width, channels)
    ```

    What the pipeline has is used as it is: its device, its precision, its scheduler, textual inversions and LoRA
    weights. There is no trainer of LoRA weights here. Those that a script of diffusers has trained, such as
    `train_text_to_image_lora.py` or `train_dreambooth_lora.py`, are brought by
    `pipeline.load_lora_weights(folder, adapter_name="cat")` and named in `adapters` (this needs the extra `lora`);
    `call_arguments={"cross_attention_kwargs": {"scale": 0.7}}` weakens them. Make a new generator after changing the
    pipeline: the weights are hashed once.

    An image depends on its label, its place among the labels, the seed, and on the images beside it only by rounding:
    with tiny models on a CPU by one level of 255 at most, in float32, bfloat16 and float16. It is cut to the
    proportions of `image_size` around its centre and resized by a Lanczos filter. What a safety checker flags, and
    would show black, is drawn again from another seed; flagged ten times, it ends the call with an error.

    Args:
        pipeline (`DiffusionPipeline`):
            One whose call takes `prompt` or `class_labels`, and perhaps `image`. Its progress bar is turned off.
        label_names (`Sequence[str]`):
            The classes, in the order of the dataset's integer labels.
        image_size (`int` or `tuple[int, int]`):
            Height and width of the images in pixels, 8 to 4096, whatever the pipeline's own are.
        prompts (`str`, `Mapping` or `Sequence`, *optional*, defaults to `"a photo of a {label}"`):
            A prompt for all classes; or for each, by name or in the order of `label_names`, one prompt or several, of
            which one is drawn for each image. `{label}` stands for the class's name in words.
        negative_prompt (`str`, *optional*):
            What no image should show.
        class_ids (`Sequence[int]` or `Mapping[str, int]`, *optional*):
            The number of each class in the model, of pipelines that take `class_labels`. Defaults to `0, 1, …` for a
            model of as many classes.
        dataset (`datasets.Dataset`, *optional*):
            Labelled images, of which one of the class asked for is drawn to begin from; the pipeline must take
            `image`. Never test rows. At a low `strength` an example is nearly its row, which `FeatureCopies` rejects.
        image_column (`str`, *optional*, defaults to `"image"`):
            The column of images, of `dataset` and of the examples.
        label_column (`str`, *optional*, defaults to `"label"`):
            The column of labels of `dataset`.
        strength (`float` or `Sequence[float]`, *optional*, defaults to 0.5):
            How much of an image of `dataset` is noise at first, above 0 and up to 1. Of several, one is drawn for each
            image, as by Trabucco et al. 2023 (arXiv 2302.07944). Of the steps this share is done.
        init_size (`int` or `tuple[int, int]`, *optional*):
            Height and width in pixels to which images of `dataset` are resized first. Defaults to the size that the
            pipeline was made for, in the proportions of the images.
        num_inference_steps (`int`, *optional*):
            Steps of an image. Defaults to the pipeline's own.
        guidance_scale (`float`, *optional*):
            Weight of the prompt or class; 0 for most models of few steps. Defaults to the pipeline's own.
        call_arguments (`Mapping[str, Any]`, *optional*):
            Further arguments of the pipeline's call, JSON serialisable, such as `{"height": 512, "width": 512}`.
        adapters (`str`, `Mapping[str, str]` or `Sequence[str]`, *optional*):
            The LoRA adapter of all classes, or of each, by the names that they were loaded under.
        num_channels (`int`, *optional*, defaults to 3):
            3 for RGB, 1 for grey.
        batch_size (`int`, *optional*, defaults to 8):
            Images drawn at a time at most, which bounds memory. Those of one batch have one prompt, strength and
            adapter.
        name (`str`, *optional*):
            What cards call the model. Defaults to where it was loaded from, of a folder the last part.
        licence (`str`, *optional*):
            The licence of the model. Defaults to what its model card says, where that is on this machine.

    Raises:
        ImportError: If the extra is missing.
        ValueError: If the pipeline cannot be asked for classes or takes none of the arguments; two classes would be
            asked for in the same way; a value is out of range; a class has no row.
    """

    def __init__(
        self,
        pipeline: Any,
        label_names: Sequence[str],
        image_size: int | tuple[int, int],
        *,
        prompts: Prompts | None = None,
        negative_prompt: str | None = None,
        class_ids: Sequence[int] | Mapping[str, int] | None = None,
        dataset: datasets.Dataset | None = None,
        image_column: str = "image",
        label_column: str = "label",
        strength: float | Sequence[float] | None = None,
        init_size: int | tuple[int, int] | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        call_arguments: Mapping[str, Any] | None = None,
        adapters: str | Mapping[str, str] | Sequence[str] | None = None,
        num_channels: int = 3,
        batch_size: int = 8,
        name: str | None = None,
        licence: str | None = None,
    ) -> None:
        if not label_names or len(set(label_names)) < len(label_names):
            raise ValueError(f"label_names={list(label_names)} must be different names, at least one.")
        if num_channels not in MODES:
            raise ValueError(f"num_channels={num_channels!r} must be 3 for RGB or 1 for grey.")
        check_number("batch_size", batch_size, 1, whole=True, hint="Lower it where memory is short.")
        self.pipeline, self.label_names = pipeline, tuple(label_names)
        self.image_size, self.num_channels, self.batch_size = pair("image_size", image_size), num_channels, batch_size
        self.image_column, self.columns = image_column, (image_column,)
        self._parameters = call_parameters(pipeline)
        own = dict(zip(OWN_SETTINGS, (num_inference_steps, guidance_scale, negative_prompt), strict=True))
        self._arguments = call_settings(self._parameters, own, dict(call_arguments or {}))
        check_guidance(pipeline, value_of("guidance_scale", self._parameters, self._arguments), negative_prompt)
        self._adapters = class_adapters(adapters, self.label_names, adapter_names(pipeline))
        self._images: InitialImages | None = None
        check_begins(pipeline, self._parameters, {"dataset": dataset, "strength": strength, "init_size": init_size})
        if dataset is not None:
            steps = steps_of(self._parameters, self._arguments)
            strengths = check_strengths(strength, steps) if "strength" in self._parameters else (None,)
            columns = (image_column, label_column)
            self._images = InitialImages(pipeline, dataset, columns, self.label_names, strengths, init_size)
        self._prompts: tuple[tuple[str, ...], ...] | None = None
        self._class_ids: tuple[int, ...] | None = None
        self._ask_for_classes(prompts, class_ids)
        pipeline.set_progress_bar_config(disable=True)
        origin = name or str(getattr(pipeline, "name_or_path", "") or type(pipeline).__name__)
        self.name, self.licence = model_name(origin), licence or card_licence(origin, local_only=True)
        self._fingerprint: str | None = None

    @property
    def begins_from_images(self) -> bool:
        """Whether examples are made of the user's own rows."""
        return self._images is not None

    @property
    def models(self) -> tuple[str, ...]:
        """What cards say of the model: its name, and its licence where that is known."""
        return (f"{self.name} (licence {self.licence or 'unknown'})",)

    def _ask_for_classes(self, prompts: Prompts | None, class_ids: Any) -> None:
        by_prompt = "prompt" in self._parameters
        for name, value, fits in (("prompts", prompts, by_prompt), ("class_ids", class_ids, not by_prompt)):
            if value is not None and not fits:
                raise ValueError(f"{name} was given, but a {type(self.pipeline).__name__} takes none: leave it out.")
        if not by_prompt:
            self._class_ids = class_numbers_of(class_ids, self.label_names, class_count(self.pipeline))
            return
        self._prompts = class_prompts(DEFAULT_PROMPT if prompts is None else prompts, self.label_names)
        # An image to begin from tells of its class, unless all of it is noise at first.
        if self._images is None or 1.0 in self._images.strengths:
            check_told_apart(self._prompts, self._adapters, self.label_names)

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        """
        Draws one image per label. The same labels and seed give the same images on the same machine.

        Args:
            labels (`Sequence[int]`):
                Indices into `label_names`.
            seed (`int`):
                In `[0, 2**63)`.

        Returns:
            `list[dict[str, np.ndarray]]`: uint8 of shape `(*image_size, num_channels)` under the column's name.

        Raises:
            ValueError: If a label does not exist.
            RuntimeError: If a safety checker flags every image that is drawn for a label, or the pipeline draws
                pixels that are no numbers.
        """
        if unknown := set(labels) - set(range(len(self.label_names))):
            raise ValueError(f"labels has {sorted(unknown)}, but label_names has only {len(self.label_names)} names.")
        examples: list[dict[str, Any]] = [{} for _ in labels]
        wanted = [self._draw_choices(i, int(k), derive_seed(seed, "diffusion", i)) for i, k in enumerate(labels)]
        for _ in range(ATTEMPTS):
            flagged = []
            for batch in batches(wanted, self.batch_size):
                images, flags = self._draw_images(batch)
                for one, image, flag in zip(batch, images, flags, strict=True):
                    if flag:
                        again = derive_seed(one.seed, "diffusion_again")
                        flagged.append(self._draw_choices(one.place, one.label, again))
                        continue
                    examples[one.place] = {self.image_column: fit(image, self.image_size, self.num_channels)}
            wanted = flagged
            if not wanted:
                return examples
        raise RuntimeError(
            f"The pipeline's safety checker flagged {ATTEMPTS} images in a row of "
            f"{self.label_names[wanted[0].label]!r} ({wanted[0].prompt!r}), and would show them black. Change the "
            "prompt; or, where the model's licence and your use allow it, load the pipeline without the checker: "
            "`DiffusionPipeline.from_pretrained(name, safety_checker=None)`."
        )

    def _draw_choices(self, place: int, label: int, seed: int) -> Wanted:
        rng = derive_rng(seed, "diffusion_choices")
        prompts = self._prompts[label] if self._prompts else (None,)
        prompt = prompts[rng.integers(len(prompts))]
        row, strength = self._images.draw(label, rng) if self._images else (None, None)
        return Wanted(place, label, seed, prompt, self._adapters[label], row, strength)

    def _draw_images(self, batch: Sequence[Wanted]) -> tuple[np.ndarray, list[bool]]:
        """Images of one batch, uint8 of the pipeline's own size, and which of them are flagged."""
        arguments = dict(self._arguments)
        if self._class_ids is None:
            arguments["prompt"] = [one.prompt for one in batch]
        else:
            arguments["class_labels"] = [self._class_ids[one.label] for one in batch]
        if "batch_size" in self._parameters:
            arguments["batch_size"] = len(batch)
        if "negative_prompt" in arguments:
            arguments["negative_prompt"] = [arguments["negative_prompt"]] * len(batch)
        if self._images is not None:
            arguments["image"] = [self._images.image(one.row) for one in batch if one.row is not None]
            if batch[0].strength is not None:
                arguments["strength"] = batch[0].strength
        images, flagged = draw(self.pipeline, arguments, [one.seed for one in batch], batch[0].adapter)
        return (images.clip(0, 1) * 255).round().astype(np.uint8), flagged

    def fingerprint(self) -> str:
        """
        A hash of the pipeline (its class, its parts with their configurations, weights and vocabularies), of what it
        is asked for, and of the settings, `batch_size` included: it changes the arithmetic of a batch. It is made
        once.
        """
        if self._fingerprint is None:
            plain = (bool, int, float, str, list, tuple)
            defaults = {n: p.default for n, p in self._parameters.items() if isinstance(p.default, plain)}
            facts = {
                "pipeline": pipeline_facts(self.pipeline),
                "arguments": {**defaults, **self._arguments},
                "prompts": [self._prompts, self._class_ids, self._adapters],
                "images": self._images.facts if self._images else None,
                "examples": [self.label_names, self.image_size, self.num_channels, self.image_column, self.batch_size],
            }
            digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
            self._fingerprint = f"diffusion-{digest[:16]}"
        return self._fingerprint

    def save_pretrained(self, save_directory: str | Path) -> None:
        """
        Saves the pipeline (safetensors) and `generator_config.json` into one folder, from which both
        [`~DiffusionGenerator.from_pretrained`] and `DiffusionPipeline` load. Images of `dataset` are not saved.

        Args:
            save_directory (`str` or `Path`):
                Made if it does not exist. Until everything is written, the folder has no `generator_config.json`.

        Raises:
            ValueError: If the pipeline has adapters, which it would not save as such.
        """
        if loaded := adapter_names(self.pipeline):
            raise ValueError(
                f"The pipeline has the adapters {loaded}, which would be saved as weights that nothing loads: keep "
                "their own files beside the model they were made for, and load both."
            )
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_NAME).unlink(missing_ok=True)
        self.pipeline.save_pretrained(folder, safe_serialization=True)
        write_generator_config(folder, self._config())

    def _config(self) -> dict[str, Any]:
        """The arguments that make this generator again of its pipeline and its images."""
        named = ("label_names", "image_size", "image_column", "num_channels", "batch_size", "name", "licence")
        arguments = {name: getattr(self, name) for name in named} | {
            name: self._arguments.get(name) for name in OWN_SETTINGS
        }
        arguments |= {"prompts": self._prompts, "class_ids": self._class_ids}
        arguments |= {"call_arguments": {k: v for k, v in self._arguments.items() if k not in OWN_SETTINGS}}
        if self._images:
            strengths = None if None in self._images.strengths else self._images.strengths
            arguments |= {"strength": strengths, "init_size": self._images.size}
        return {"type": type(self).__name__, "begins_from_images": self.begins_from_images, "arguments": arguments}

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        label_names: Sequence[str] | None = None,
        image_size: int | tuple[int, int] | None = None,
        *,
        dataset: datasets.Dataset | None = None,
        revision: str | None = None,
        variant: str | None = None,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        **arguments: Any,
    ) -> DiffusionGenerator:
        """
        Loads a saved generator, or makes one of a plain pipeline. Weights are read from safetensors alone, and no code
        of a repository is run.

        Args:
            name_or_path (`str` or `Path`):
                A folder or a Hub id.
            label_names (`Sequence[str]`, *optional*):
                The classes. With `image_size` it makes a generator of a plain pipeline; a saved generator has both.
            image_size (`int` or `tuple[int, int]`, *optional*):
                Height and width of the images in pixels; see `label_names`.
            dataset (`datasets.Dataset`, *optional*):
                Images to begin from; an image-to-image pipeline is then made of the model.
            revision (`str`, *optional*):
                The Hub branch, tag or commit. Name a commit where others can push.
            variant (`str`, *optional*):
                The variant of the weights, such as `"fp16"`.
            dtype (`torch.dtype`, *optional*, defaults to `torch.float32`):
                The precision that is computed in.
            device (`str` or `torch.device`, *optional*):
                Defaults to the CPU.
            arguments (*optional*):
                Further arguments of the class. Those of a saved generator are replaced by them.

        Raises:
            ImportError: If the extra is missing.
            OSError: If the files are not there and the Hub cannot be reached, or weights are there in pickle alone.
            ValueError: If only one of `label_names` and `image_size` is given, or none and no generator was saved
                there; or a saved generator began from images, and `dataset` is missing.
        """
        path, given = str(name_or_path), {"label_names": label_names, "image_size": image_size}
        settings, revision = settings_of(path, revision, given, begins=dataset is not None)
        pipeline = load_pipeline(
            path, from_images=dataset is not None, revision=revision, variant=variant, dtype=dtype, device=device
        )
        settings |= arguments
        if "licence" not in settings:
            # Of a Hub that cannot be reached, a pipeline is missed at once and a card only after some tries.
            settings["licence"] = card_licence(path, revision)
        return cls(pipeline, dataset=dataset, **settings)
