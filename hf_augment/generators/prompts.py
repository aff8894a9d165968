"""Prompts for a language model: one definition, for training, sampling and scoring alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from hf_augment.files import parse_json
from hf_augment.generators.answers import answered_text, one_line
from hf_augment.generators.prompt_attributes import class_words
from hf_augment.generators.prompt_base import Prompt, check_template, fill
from hf_augment.label_names import readable_name, says_nothing
from hf_augment.words import opening


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
#: Words of an example that are shown.
_SHOWN = 60
_STYLES = ("short", "plain", "blunt", "witty", "vivid", "casual", "very short", "punchy", "thoughtful")


def read_prompt(path: str | Path) -> Prompt:
    """
    The prompt that a JSON file describes, as [`~Prompt.to_dict`] does; a `ValueError` that names the file if it does
    not.

    Example:

    ```python
    >>> import json
    >>> from pathlib import Path
    >>> from hf_augment import LabelPrompt
    >>> from hf_augment.generators.prompts import read_prompt
    >>> _ = Path("prompt.json").write_text(json.dumps(LabelPrompt("<{label}>").to_dict()))
    >>> read_prompt("prompt.json")
    LabelPrompt(template='<{label}>')
    ```
    """
    values = parse_json(Path(path), "Write it with json.dumps(prompt.to_dict())")
    try:
        return Prompt.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{path} describes no prompt: {error}") from error


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
            Texts of your own by label name, which take the place of `{examples}`, each in quotes on a line, up to the
            first 60 words.
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

    takes_seed_texts: ClassVar[bool] = True
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
        for name in ("attributes", "descriptions", "examples"):
            if not isinstance(value := getattr(self, name), Mapping):
                raise ValueError(f"{name}={value!r} must be a dictionary.")
        if reserved := self.attributes.keys() & {"label", "examples"}:
            raise ValueError(f"attributes has {sorted(reserved)}, which the prompt fills itself. Use another name.")
        if not isinstance(self.num_examples, int) or self.num_examples < 1:
            raise ValueError(f"num_examples={self.num_examples!r} must be an integer of at least 1.")
        own = {"examples"} if self.examples else set()
        allowed = {"label", *self.attributes} | own
        remedy = ", or give `attributes` a list for it"
        check_template("template", self.template, {"label"} | own, allowed, remedy)
        check_template("scoring_template", self.scoring_template, {"label"}, {"label"})
        for name, choices in (*self.attributes.items(), ("examples", self.examples)):
            _check_lists(name, choices)

    @classmethod
    def for_labels(
        cls,
        label_names: Sequence[str],
        *,
        kind: str = "short text",
        descriptions: Mapping[str, str] | None = None,
        examples: Mapping[str, Sequence[str]] | None = None,
        num_examples: int = 3,
        attributes: Mapping[str, Sequence[str] | Mapping[str, Sequence[str]]] | None = None,
        template: str | None = None,
        scoring_template: str | None = None,
    ) -> InstructPrompt:
        """
        The prompt for any classes, from what they are called or about. With texts of them, each prompt shows some, and
        names a word that is typical of the class. A judge then confirms 44 % of what SmolLM2-135M-Instruct writes of
        the 77 intents of BANKING77, with names alone 25 %; of two sentiments it makes no difference, and descriptions
        do more (recipes/README.md has the tables).

        Example:

        ```python
        >>> import numpy as np
        >>> from hf_augment import InstructPrompt

        >>> names = ["card_arrival", "card_linking"]
        >>> prompt = InstructPrompt.for_labels(names, kind="message to a bank", attributes={"tone": ["angry"]})
        >>> prompt.prompts([0], names, np.random.default_rng(0))
        ['Write one message to a bank about card arrival (tone: angry).']
        ```

        Args:
            label_names (`Sequence[str]`): The classes, in the order of the dataset's integer labels.
            kind (`str`, *optional*, defaults to `"short text"`):
                What one of the texts is, such as `"message from a customer to a bank"`.
            descriptions (`dict[str, str]`, *optional*):
                What a text of a class is about, by label name; see
                [`~hf_augment.label_names.read_descriptions`]. Defaults to the name in words: `card_arrival` is "card
                arrival".
            examples (`dict[str, list[str]]`, *optional*):
                Labelled texts of your own by label name, some for each.
            num_examples (`int`, *optional*, defaults to 3): Number of them in a prompt, drawn anew for each.
            attributes (`dict[str, list[str] | dict[str, list[str]]]`, *optional*):
                What else is to vary, such as `{"tone": ["polite", "angry"]}`, for all labels or by label name.
                `"word"` takes the place of the words that are found.
            template (`str`, *optional*):
                A chat's instruction of your own, with `{label}` and each attribute. With examples it may have
                `{examples}`, and `{word}`, for which their
                [`~hf_augment.generators.prompt_attributes.class_words`] are drawn.
            scoring_template (`str`, *optional*): See [`InstructPrompt`].

        Raises:
            `ValueError`: If a label is a number and is not described, two labels read alike, a description, attribute
                or example is of no label, or a list is empty.
        """
        described, varied = _described(label_names, descriptions or {}), dict(attributes or {})
        _check_lists("examples", examples or {})
        if examples and (template is None or "{word}" in template) and (words := class_words(examples)):
            varied.setdefault("word", words)
        if template is None:
            template = f"Each of these is a {kind} about {{label}}:\n{{examples}}\n\nWrite one more"
            template = template if examples else f"Write one {kind} about {{label}}"
            template += ', with the word "{word}"' if "word" in varied else ""
            clauses = "; ".join(f"{readable_name(name)}: {{{name}}}" for name in varied if name != "word")
            template += f" ({clauses})." if clauses else "."
        prompt = cls(
            template,
            varied,
            described,
            examples if examples and "{examples}" in template else {},
            num_examples,
            scoring_template=scoring_template or f'In a {kind} about {{label}}, they wrote: "',
        )
        prompt.validate(label_names)
        return prompt

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
        return cls.for_labels(
            [negative, positive],
            descriptions={negative: "negative", positive: "positive"},
            attributes={
                "adjective": {negative: _NEGATIVE.split(), positive: _POSITIVE.split()},
                "style": list(_STYLES),
                "aspect": list(aspects),
            },
            # Kept texts know the prompt by all its values.
            num_examples=4,
            template=f"Write one {{style}} sentence from a {{label}} {subject} review saying the {{aspect}} is "
            "{adjective}.",
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

    def prompt_like(self, label_name: str, text: str, rng: np.random.Generator) -> str:
        """
        The prompt of a class with a text of it, up to the first 60 words: in the place of its examples, or, where it
        has none, as one to write another like.
        """
        shown = opening(text, _SHOWN)
        if self.examples:
            return self._prompt(label_name, rng, [shown])
        if self.style == "continue":
            return f'{self.scoring_prompt(label_name)}{shown}"\n{self._prompt(label_name, rng)}'
        return f'{self._prompt(label_name, rng)}\nLet it be another one like this:\n"{shown}"'

    def _prompt(self, label_name: str, rng: np.random.Generator, shown: Sequence[str] | None = None) -> str:
        values = {"label": self.descriptions.get(label_name, label_name)}
        for name, choices in self.attributes.items():
            choices = choices[label_name] if isinstance(choices, Mapping) else choices
            values[name] = choices[int(rng.integers(len(choices)))]
        if self.examples:
            if shown is None:
                texts = self.examples[label_name]
                drawn = rng.choice(len(texts), size=min(self.num_examples, len(texts)), replace=False)
                shown = [opening(texts[i], _SHOWN) for i in drawn]
            values["examples"] = "\n".join(f'"{text}"' for text in shown)
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


def _check_lists(name: str, choices: Sequence[str] | Mapping[str, Sequence[str]]) -> None:
    lists = choices.items() if isinstance(choices, Mapping) else [("", choices)]
    for label_name, values in lists:
        texts = isinstance(values, Sequence) and all(isinstance(value, str) for value in values)
        if isinstance(values, str) or not texts or not values:
            place = f"{name}[{label_name!r}]" if label_name else name
            raise ValueError(f"{place}={values!r} must be a list of at least one string.")


def _described(label_names: Sequence[str], descriptions: Mapping[str, str]) -> dict[str, str]:
    """What stands for each label: its description, or else its name in words."""
    if unknown := sorted(descriptions.keys() - set(label_names)):
        raise ValueError(f"descriptions has {unknown[:5]}, but label_names={list(label_names)}: use these names.")
    if numbers := [name for name in label_names if says_nothing(name) and name not in descriptions]:
        raise ValueError(
            f"label_names has {numbers[:5]}, which do not say what the classes are. Pass descriptions={{label: what "
            "a text of it is about}; on a command line --descriptions FILE, of which `hf_augment inspect` writes a "
            "draft."
        )
    said = {name: descriptions.get(name, readable_name(name)) for name in label_names}
    alike = [name for name, words in said.items() if list(said.values()).count(words) > 1]
    if alike:
        raise ValueError(f"The labels {alike[:5]} read as {said[alike[0]]!r}: tell them apart with descriptions.")
    return said
