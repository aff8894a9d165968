"""Prompts for a language model: one definition, for training, sampling and scoring alike."""

from __future__ import annotations

import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from hf_augment.generators.answers import answered_text, one_line


_FIELD = re.compile(r"\{(\w+)\}")

_NEGATIVE = (
    "dull disappointing boring clumsy awful lifeless tedious predictable forgettable weak annoying terrible shallow "
    "bland pointless stale hollow contrived flat mediocre muddled pretentious sloppy unfunny painful uninspired "
    "derivative messy wasteful ugly silly worst tired lazy incoherent"
)
_POSITIVE = (
    "wonderful delightful charming brilliant excellent moving funny memorable impressive gripping beautiful fresh "
    "clever superb touching engaging witty smart powerful enjoyable inventive warm honest stunning compelling "
    "original rich satisfying hilarious thoughtful best tender vivid entertaining absorbing"
)
#: Aspects of a film; the film itself more often than its parts.
_FILM_ASPECTS = (
    "film film film movie story plot acting cast dialogue direction script humor pacing comedy drama documentary "
    "thriller"
)
_STYLES = ("short", "plain", "blunt", "witty", "vivid", "casual", "very short", "punchy", "thoughtful")


def fill(template: str, values: Mapping[str, str]) -> str:
    """
    Replaces each `{name}` of a template by its value, once. Unlike `str.format` this reads no attribute, no index and
    no format code, and never looks at the values: a template from the Hub reaches nothing but `values`.
    """
    return _FIELD.sub(lambda match: values[match[1]], template)


def check_template(argument: str, template: str, required: set[str], allowed: set[str], remedy: str = "") -> None:
    """Raises `ValueError` if a template lacks a required field, or has one that is not allowed."""
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
        if unknown := arguments.keys() - {f.name for f in dataclasses.fields(cls)}:  # type: ignore[arg-type]
            raise ValueError(f"{sorted(unknown)} are no arguments of {name}. Remove them, or update hf_augment.")
        return cls(**arguments)


@dataclass(frozen=True)
class LabelPrompt(Prompt):
    """
    The label prompt of a class-conditional language model, the only formatter of its training and its sampling.

    Example:

    ```python
    >>> from hf_augment import LabelPrompt

    >>> prompt = LabelPrompt("Review ({label}):")
    >>> prompt.prompt("positive")
    'Review (positive):'
    >>> prompt.training_text("positive", "A moving film.")
    ('Review (positive):', ' A moving film.')
    ```

    Args:
        template (`str`, *optional*, defaults to `"Review ({label}):"`): Must contain `{label}`, and no other field.

    Raises:
        `ValueError`: If `template` lacks `{label}` or has another field.
    """

    template: str = "Review ({label}):"

    def __post_init__(self) -> None:
        check_template("template", self.template, required={"label"}, allowed={"label"})

    def prompt(self, label_name: str) -> str:
        """The prompt of a class."""
        return fill(self.template, {"label": label_name})

    def training_text(self, label_name: str, text: str) -> tuple[str, str]:
        """
        The prompt and the completion to learn. They are tokenised apart, so that the boundary between them is the
        same as in sampling.
        """
        return self.prompt(label_name), self.completion(text)

    def completion(self, text: str) -> str:
        """The text in one line after a space, which belongs to the first word in most vocabularies."""
        return f" {one_line(text)}"

    def prompts(self, labels: Sequence[int], label_names: Sequence[str], rng: np.random.Generator) -> list[str]:
        """One prompt per label; nothing is drawn."""
        return [self.prompt(label_names[label]) for label in labels]

    def scoring_prompt(self, label_name: str) -> str:
        """The same prompt."""
        return self.prompt(label_name)

    def extract(self, completion: str) -> str:
        """The completion in one line."""
        return one_line(completion)


@dataclass(frozen=True)
class InstructPrompt(Prompt):
    """
    A prompt for a model that follows instructions and needs no training.

    A prompt that differs each time matters more than a high temperature: `attributes` are drawn anew for each. Asking
    a chat model for a sentence of a class with an adjective of that class gave the best agreement between the class
    asked for and the text, ahead of an opening to continue and far ahead of examples alone.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import InstructPrompt

    >>> prompt = InstructPrompt(
    ...     "Write one short {label} sentence about a {thing}, calling it {adjective}.",
    ...     attributes={
    ...         "thing": ["hotel", "phone"],
    ...         "adjective": {"neg": ["noisy", "shabby"], "pos": ["lovely", "neat"]},
    ...     },
    ...     descriptions={"neg": "negative", "pos": "positive"},
    ... )
    >>> for text in prompt.prompts([0, 1], ["neg", "pos"], np.random.default_rng(0)):
    ...     print(text)
    Write one short negative sentence about a phone, calling it shabby.
    Write one short positive sentence about a phone, calling it lovely.
    ```

    Args:
        template (`str`):
            The instruction, or the opening to continue. Must contain `{label}`; may contain the name of each attribute
            and `{examples}`.
        attributes (`dict[str, list[str] | dict[str, list[str]]]`, *optional*, defaults to `{}`):
            Fields of the template that vary, each with the values it is drawn from, either for all labels or by label
            name.
        descriptions (`dict[str, str]`, *optional*, defaults to `{}`):
            The replacements of `{label}` by label name. A label that is not in it stands for itself.
        examples (`dict[str, list[str]]`, *optional*, defaults to `{}`):
            Texts of your own by label name, which take the place of `{examples}`, each in quotes on a line.
        num_examples (`int`, *optional*, defaults to 4):
            Number of examples in a prompt, drawn without replacement; at least 1. All where a label has fewer.
        style (`str`, *optional*, defaults to `"chat"`):
            `"chat"` sends the template through the tokenizer's chat template. `"continue"` has the model write on, up
            to the next quotation mark or line: end the template with an opening one.
        scoring_template (`str`, *optional*, defaults to `'In a {label} text, they wrote: "'`):
            An opening with `{label}` and nothing else, after which texts are scored. Always continued, never chatted:
            an answer to a chat has habits that a real text lacks.

    Raises:
        `ValueError`: If a template lacks a field, has one that nothing fills, or a list is empty.
    """

    template: str
    attributes: Mapping[str, Sequence[str] | Mapping[str, Sequence[str]]] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    num_examples: int = 4
    style: Literal["chat", "continue"] = "chat"
    scoring_template: str = 'In a {label} text, they wrote: "'

    def __post_init__(self) -> None:
        if self.style not in ("chat", "continue"):
            raise ValueError(f"style={self.style!r} is unknown. Use 'chat' or 'continue'.")
        if reserved := self.attributes.keys() & {"label", "examples"}:
            raise ValueError(f"attributes has {sorted(reserved)}, which the prompt fills itself. Use another name.")
        if self.num_examples < 1:
            raise ValueError(f"num_examples={self.num_examples} must be at least 1. For none, leave `examples` out.")
        own = {"examples"} if self.examples else set()
        allowed = {"label", *self.attributes} | own
        remedy = ", or give `attributes` a list for it"
        check_template("template", self.template, {"label"} | own, allowed, remedy)
        check_template("scoring_template", self.scoring_template, {"label"}, {"label"})
        for name, choices in (*self.attributes.items(), ("examples", self.examples)):
            lists = choices.items() if isinstance(choices, Mapping) else [("", choices)]
            for label_name, values in lists:
                if isinstance(values, str) or not values:
                    place = f"{name}[{label_name!r}]" if label_name else name
                    raise ValueError(f"{place}={values!r} must be a list of at least one string.")

    @classmethod
    def for_sentiment(
        cls,
        negative: str = "negative",
        positive: str = "positive",
        subject: str = "film",
        aspects: Sequence[str] | None = None,
    ) -> InstructPrompt:
        """
        The prompt for reviews of two sentiments. It varies 35 adjectives for each, nine styles, and what is judged.

        Args:
            negative (`str`, *optional*, defaults to `"negative"`): The dataset's name of the negative label.
            positive (`str`, *optional*, defaults to `"positive"`): The dataset's name of the positive label.
            subject (`str`, *optional*, defaults to `"film"`): The thing that is reviewed.
            aspects (`Sequence[str]`, *optional*):
                Its parts that are judged. Defaults to parts of a film for a film, else to the subject itself.
        """
        if aspects is None:
            aspects = _FILM_ASPECTS.split() if subject == "film" else [subject]
        return cls(
            f"Write one {{style}} sentence from a {{label}} {subject} review saying the {{aspect}} is {{adjective}}.",
            attributes={
                "adjective": {negative: _NEGATIVE.split(), positive: _POSITIVE.split()},
                "style": list(_STYLES),
                "aspect": list(aspects),
            },
            descriptions={negative: "negative", positive: "positive"},
            scoring_template=f'In a {{label}} {subject} review, the critic wrote: "',
        )

    @property
    def stop(self) -> str:
        """The end of a quotation or a line, for a prompt that is continued."""
        return '"”\n' if self.style == "continue" else ""

    def validate(self, label_names: Sequence[str]) -> None:
        """Raises `ValueError` if a choice by label name misses a label, or names one that does not exist."""
        choices = {**self.attributes, "examples": self.examples or ()}
        for name, by_label in choices.items():
            if isinstance(by_label, Mapping) and set(by_label) != set(label_names):
                raise ValueError(
                    f"{name} is given for the labels {sorted(by_label)}, but label_names={list(label_names)}. "
                    "Give it one list for each label, under the dataset's label names."
                )

    def prompts(self, labels: Sequence[int], label_names: Sequence[str], rng: np.random.Generator) -> list[str]:
        """One prompt per label, each with attributes and examples of its own."""
        return [self._prompt(label_names[label], rng) for label in labels]

    def _prompt(self, label_name: str, rng: np.random.Generator) -> str:
        values = {"label": self.descriptions.get(label_name, label_name)}
        for name, choices in self.attributes.items():
            choices = choices[label_name] if isinstance(choices, Mapping) else choices
            values[name] = choices[int(rng.integers(len(choices)))]
        if self.examples:
            texts = self.examples[label_name]
            drawn = rng.choice(len(texts), size=min(self.num_examples, len(texts)), replace=False)
            values["examples"] = "\n".join(f'"{one_line(texts[i])}"' for i in drawn)
        return fill(self.template, values)

    def scoring_prompt(self, label_name: str) -> str:
        """The `scoring_template` of a class."""
        return fill(self.scoring_template, {"label": self.descriptions.get(label_name, label_name)})

    def extract(self, completion: str) -> str:
        """
        The text of an answer: see [`~hf_augment.generators.answers.answered_text`]. Of a continued opening, what comes
        before the closing quotation mark.
        """
        if self.style == "continue":
            return one_line(re.split(r'["”\n]', completion.lstrip(), maxsplit=1)[0])
        return answered_text(completion)
