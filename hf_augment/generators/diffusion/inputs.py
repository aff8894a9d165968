"""What a diffusion pipeline is asked for: prompts, the model's numbers of classes, and images to begin with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np

from hf_augment.checks import check_number, class_column
from hf_augment.extras import optional_imports
from hf_augment.fingerprints import images_digest
from hf_augment.generators.diffusion.pipeline import native_size
from hf_augment.images.arrays import image_arrays
from hf_augment.images.forms import fit
from hf_augment.label_names import readable_name


#: What a user may give: a template, or for each class, by name or in their order, one prompt or several.
Prompts = str | Mapping[str, str | Sequence[str]] | Sequence[str | Sequence[str]]

DEFAULT_PROMPT = "a photo of a {label}"


@dataclass(frozen=True)
class Wanted:
    """
    An image that is asked for.

    Args:
        place (`int`): Its place among the labels.
        label (`int`): Its class.
        seed (`int`): Of its noise.
        prompt (`str`, *optional*): Its prompt.
        adapter (`str`, *optional*): The adapter that is active for it.
        row (`int`, *optional*): The row that it begins from.
        strength (`float`, *optional*): How much of that row is noise at first.
    """

    place: int
    label: int
    seed: int
    prompt: str | None
    adapter: str | None
    row: int | None
    strength: float | None


def batches(wanted: Sequence[Wanted], size: int) -> Iterator[list[Wanted]]:
    """
    At most `size` images at a time, together only what one call of a pipeline can take; and of one prompt, since some
    pipelines pad prompts to the longest and heed the padding.
    """
    groups: dict[Any, list[Wanted]] = defaultdict(list)
    for one in wanted:
        groups[one.prompt, one.strength, one.adapter].append(one)
    for group in groups.values():
        for start in range(0, len(group), size):
            yield group[start : start + size]


def per_class(name: str, values: Any, label_names: Sequence[str]) -> list[Any]:
    """
    Returns a value for each class: the one for all of them, those of a mapping by name, or those of a sequence.

    Raises:
        ValueError: If a class has none, or one is of no class.
    """
    if isinstance(values, str):
        return [values] * len(label_names)
    if isinstance(values, Mapping):
        if set(values) != set(label_names):
            missing, unknown = set(label_names) - set(values), set(values) - set(label_names)
            raise ValueError(
                f"{name} lacks {sorted(missing)[:5]} and has {sorted(map(str, unknown))[:5]}, which are no classes: "
                f"give one entry for each of label_names={list(label_names)[:5]}."
            )
        return [values[label] for label in label_names]
    if len(values) != len(label_names):
        raise ValueError(
            f"{name} has {len(values)} entries for {len(label_names)} classes: give one for each, in the order of "
            "label_names."
        )
    return list(values)


def class_prompts(prompts: Prompts, label_names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """
    The prompts of each class. In each, `{label}` stands for the name of the class in words.

    Raises:
        ValueError: If a class has none, or one is no text or empty.
    """
    found = []
    for label, entry in zip(label_names, per_class("prompts", prompts, label_names), strict=True):
        texts = [entry] if isinstance(entry, str) else list(entry)
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f"prompts has {entry!r} for {label!r}: give a text that is not empty, or several.")
        found.append(tuple(text.replace("{label}", readable_name(label)) for text in texts))
    return tuple(found)


def check_told_apart(
    prompts: Sequence[Sequence[str]], adapters: Sequence[str | None], label_names: Sequence[str]
) -> None:
    """Raises a `ValueError` if two classes have a prompt and its adapter in common: their images would be alike."""
    first: dict[tuple[str, str | None], str] = {}
    for label, texts, adapter in zip(label_names, prompts, adapters, strict=True):
        for text in texts:
            if (other := first.setdefault((text, adapter), label)) != label:
                raise ValueError(
                    f"prompts asks for {other!r} and {label!r} in the same words, {text!r}, so their images would be "
                    "alike: write {label} where the name belongs, or give a prompt for each class."
                )


def class_numbers_of(class_ids: Any, label_names: Sequence[str], known: int | None) -> tuple[int, ...]:
    """
    The model's own number of each class.

    Args:
        class_ids (`Sequence[int]` or `Mapping[str, int]`, *optional*): As the user gave them.
        label_names (`Sequence[str]`): The classes.
        known (`int`, *optional*): How many classes the model has, if that can be told.

    Raises:
        ValueError: If they are not given and cannot be told, or are no numbers of the model's classes.
    """
    if class_ids is None:
        if known != len(label_names):
            has = f"{known} classes" if known else "an unknown number of classes"
            raise ValueError(
                f"class_ids is missing: the pipeline has {has} and label_names {len(label_names)}. Give the model's "
                "own number for each class, in the order of label_names."
            )
        return tuple(range(known))
    found = per_class("class_ids", class_ids, label_names)
    for number in found:
        hint = "Give the numbers of the model's own classes."
        check_number("class_ids", number, 0, known - 1 if known else float("inf"), whole=True, hint=hint)
    if len(set(found)) < len(found):
        raise ValueError(f"class_ids={found} names a class twice: give each of label_names another number.")
    return tuple(map(int, found))


def class_adapters(adapters: Any, label_names: Sequence[str], known: Sequence[str]) -> list[str | None]:
    """
    The adapter of each class, of those that a pipeline has; or none for all, of a pipeline without any.

    Raises:
        ValueError: If the pipeline lacks one, or has some and none is named.
    """
    if adapters is None:
        if known:
            raise ValueError(
                f"adapters is missing: the pipeline has {known}. Name one for all classes or one for each, or call "
                "`pipeline.unload_lora_weights()`."
            )
        return [None] * len(label_names)
    found = per_class("adapters", adapters, label_names)
    for adapter in found:
        if adapter not in known:
            raise ValueError(
                f"adapters has {adapter!r}, but the pipeline has {known}: call `pipeline.load_lora_weights(folder, "
                f"adapter_name={adapter!r})` first."
            )
    return found


def pair(name: str, size: Any) -> tuple[int, int]:
    """Returns height and width of a size in pixels, or raises a `ValueError` unless both are from 8 to 4096."""
    sides = tuple(size) if isinstance(size, Sequence) and len(size) == 2 else (size, size)
    for side in sides:
        check_number(name, side, 8, 4096, whole=True, hint="Give pixels: one number, or height and width.")
    return int(sides[0]), int(sides[1])


def check_begins(pipeline: Any, parameters: Collection[str], given: Mapping[str, Any]) -> None:
    """
    Raises a `ValueError` if a pipeline that begins from images gets none, or one that does not gets some.

    Args:
        pipeline (`DiffusionPipeline`): The pipeline.
        parameters (`Collection[str]`): Names of the parameters of its call.
        given (`Mapping[str, Any]`): The generator's arguments `dataset`, `strength` and `init_size`.
    """
    kind = type(pipeline).__name__
    if given["dataset"] is not None:
        if "image" not in parameters:
            raise ValueError(
                f"dataset was given, but a {kind} begins from no image: pass "
                "`AutoPipelineForImage2Image.from_pipe(pipeline)` as the pipeline, or leave dataset out."
            )
        if given["strength"] is not None and "strength" not in parameters:
            raise ValueError(f"strength={given['strength']!r} is nothing that a {kind} takes: leave it out.")
        return
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name}={value!r} is of images to begin from: pass them as `dataset`.")
    if {"image", "strength"} <= set(parameters):
        raise ValueError(
            f"dataset is missing: a {kind} begins from images. Pass labelled rows of every class, or "
            "`AutoPipelineForText2Image.from_pipe(pipeline)` as the pipeline."
        )


class InitialImages:
    """
    The user's own labelled images, by class.

    Args:
        pipeline (`DiffusionPipeline`): What begins from them.
        dataset (`datasets.Dataset`): Rows of every class, images of one size.
        columns (`tuple[str, str]`): Its columns of images and of labels, numbers of `label_names`.
        label_names (`Sequence[str]`): The classes.
        strengths (`Sequence[float | None]`): The strengths to draw from.
        init_size (`int` or `tuple[int, int]`, *optional*): As of [`DiffusionGenerator`].

    Raises:
        ValueError: If a class has no row, or a row is no image or has no label.
    """

    def __init__(
        self,
        pipeline: Any,
        dataset: datasets.Dataset,
        columns: tuple[str, str],
        label_names: Sequence[str],
        strengths: Sequence[float | None],
        init_size: Any,
    ) -> None:
        self.strengths = tuple(strengths)
        self._images = image_arrays(dataset, columns[0])
        labels = np.asarray(class_column(dataset, columns[1], label_names))
        self._rows = [np.flatnonzero(labels == label) for label in range(len(label_names))]
        if missing := [name for name, rows in zip(label_names, self._rows, strict=True) if not len(rows)]:
            raise ValueError(f"dataset has no row of {missing[:5]}: give at least one of each class to begin from.")
        self._digest = [images_digest(self._images), images_digest(labels)]
        own = None if init_size is not None else native_size(pipeline, *self._images.shape[1:3])
        self.size = own or pair("init_size", init_size)

    @property
    def facts(self) -> list[Any]:
        """What examples depend on, JSON serialisable."""
        return [*self._digest, self.strengths, self.size]

    def draw(self, label: int, rng: np.random.Generator) -> tuple[int, float | None]:
        """Draws a row of a class, and a strength."""
        return int(rng.choice(self._rows[label])), self.strengths[rng.integers(len(self.strengths))]

    def image(self, row: int) -> Any:
        """A row as a Pillow image in colour, of the size that the pipeline gets."""
        with optional_imports("images"):
            from PIL import Image

        return Image.fromarray(fit(self._images[row], self.size))


def check_strengths(strength: Any, steps: Any) -> tuple[float, ...]:
    """
    Returns the strengths to draw from.

    Args:
        strength (`float` or `Sequence[float]`, *optional*): As the user gave it; 0.5 if not.
        steps (`int`, *optional*): The number of steps, if it is known: of it a share of `strength` is done.

    Raises:
        ValueError: If there is none, one is not above 0 and up to 1, or leaves no step.
    """
    strength = 0.5 if strength is None else strength
    strengths = tuple(strength) if isinstance(strength, Sequence) else (strength,)
    if not strengths:
        raise ValueError("strength is empty: give a number above 0 and up to 1, or several to draw from.")
    for value in strengths:
        check_number("strength", value, 0, 1, hint="It is the share of noise that is laid over an image.")
        # So the pipelines count.
        if value == 0 or (isinstance(steps, int) and int(steps * value) < 1):
            raise ValueError(
                f"strength={value} of num_inference_steps={steps} is no step at all, which would return the image "
                "that was given: raise one of them, so that their product is 1 or more."
            )
    return tuple(map(float, strengths))
