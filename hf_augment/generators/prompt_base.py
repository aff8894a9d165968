"""What every prompt does: it fills a template, reads an answer, and is described as JSON."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from hf_augment.generators.answers import one_line


_FIELD = re.compile(r"\{(\w+)\}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """
    Replaces each `{name}` of a template by its value, once. Unlike `str.format` this reads no attribute, no index and
    no format code, and never looks at the values: a template from the Hub reaches nothing but `values`.
    """
    return _FIELD.sub(lambda match: values[match[1]], template)


def check_template(argument: str, template: str, required: set[str], allowed: set[str], remedy: str = "") -> None:
    """Raises `ValueError` if a template lacks a required field, or has one that is not allowed."""
    if not isinstance(template, str):
        raise ValueError(f"{argument}={template!r} must be a text.")
    fields = set(_FIELD.findall(template))
    if missing := required - fields:
        wanted = ", ".join(f"{{{name}}}" for name in sorted(missing))
        raise ValueError(f"{argument}={template!r} does not contain {wanted}. Put it where the value belongs.")
    if unknown := fields - allowed:
        raise ValueError(
            f"{argument}={template!r} contains {{{min(unknown)}}}, which nothing fills. Use {sorted(allowed)}{remedy}."
        )


class Prompt(ABC):
    """
    Base of all prompts: makes the text before a completion, and an example's text of the completion.

    Attributes:
        style (`str`):
            `"chat"` when the prompts are a user's turn in the tokenizer's chat template, `"continue"` when the model
            goes on writing where they end.
    """

    style: str = "continue"
    #: Whether [`~Prompt.prompt_like`] is there.
    takes_seed_texts: ClassVar[bool] = False
    _types: ClassVar[dict[str, type[Prompt]]] = {}

    def __init_subclass__(cls) -> None:
        Prompt._types[cls.__name__] = cls

    @property
    def stop(self) -> str:
        """Characters that end a completion, so that nothing after them is paid for."""
        return ""

    @abstractmethod
    def prompts(self, labels: Sequence[int], label_names: Sequence[str], rng: np.random.Generator) -> list[str]:
        """
        Makes one prompt per label, an index into `label_names`; `rng` is the only source of what varies between them.
        """

    def prompt_like(self, label_name: str, text: str, rng: np.random.Generator) -> str:
        """A prompt for a text like a given one of the class; of those alone that set `takes_seed_texts`."""
        raise NotImplementedError(f"{type(self).__name__} has no place for a text.")

    @abstractmethod
    def scoring_prompt(self, label_name: str) -> str:
        """The text, without variation and always to be continued, after which a class's texts are scored."""

    @abstractmethod
    def extract(self, completion: str) -> str:
        """The one-line text of an example in what a model answered."""

    def completion(self, text: str) -> str:
        """Returns what a model that answers `text` adds to the prompt; [`~Prompt.extract`] undoes it."""
        return one_line(text)

    def validate(self, label_names: Sequence[str]) -> None:  # noqa: B027 - a prompt may work with any label
        """Raises `ValueError` where a label has something missing."""

    def to_dict(self) -> dict[str, Any]:
        """The prompt as JSON-ready values, with its class under `"type"`."""
        return {"type": type(self).__name__, **dataclasses.asdict(self)}  # type: ignore[call-overload]

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Prompt:
        """
        The prompt that [`~Prompt.to_dict`] described; a `ValueError` if `"type"` names none, or a key is no argument
        of it.
        """
        arguments = dict(values)
        name = arguments.pop("type", None)
        if name not in Prompt._types:
            raise ValueError(f"type={name!r} is no prompt. Known are {sorted(Prompt._types)}.")
        cls = Prompt._types[name]
        known = dataclasses.fields(cls)  # type: ignore[arg-type]
        if unknown := arguments.keys() - {f.name for f in known}:
            raise ValueError(f"{sorted(unknown)} are no arguments of {name}. Remove them, or update hf_augment.")
        missing = dataclasses.MISSING
        if lacking := [f.name for f in known if f.default is f.default_factory is missing and f.name not in arguments]:
            raise ValueError(f"{name} needs {lacking}, which is not there. Add it.")
        return cls(**arguments)
