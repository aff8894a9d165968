"""A language model behind an address as a classifier: which of the classes it chooses for a text."""

from __future__ import annotations

import hashlib
import json
import math
import re
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_augment.checks import read_texts
from hf_augment.generators.answers import one_line
from hf_augment.generators.prompt_base import check_template, fill
from hf_augment.generators.served.connection import Endpoint, Spent
from hf_augment.generators.served.model import CHAT, Answer, ServedModel, turns
from hf_augment.label_names import readable_name


#: OpenAI's servers give no more of the likeliest tokens.
_TOP = 20


class EndpointJudge:
    """
    Asks a served language model which class a text is of, as a question with options.

    Where the server gives log-probabilities and there are 26 classes at most, one request asks for the letter of an
    option and reads how likely each was. Else the model is asked several times, and its votes are counted.

    Example:

    ```python
    >>> from hf_augment import Endpoint, EndpointJudge, LabelAgreement

    >>> judge = EndpointJudge(Endpoint("http://127.0.0.1:8000/v1", "Qwen/Qwen3-8B"), ["negative", "positive"])
    >>> print(judge.question("the cast is superb"))
    Which of these is the text about?
    A: negative
    B: positive
    <BLANKLINE>
    Text: the cast is superb
    <BLANKLINE>
    Answer with A or B alone.
    >>> agreement = LabelAgreement(judge, min_probability=0.5)
    ```

    Args:
        endpoint ([`Endpoint`]): The server, and how it is asked.
        label_names (`Sequence[str]`): The classes, in the order of the dataset's integer labels; at least two.
        template (`str`, *optional*, defaults to `"Which of these is the text about?\\n{options}\\n\\nText: {text}"`):
            The question, with `{options}` and `{text}`.
        descriptions (`dict[str, str]`, *optional*):
            How an option reads, by label name. Defaults to the name in words.
        votes (`int`, *optional*, defaults to 5): How often it is asked where there are no log-probabilities.
        text_column (`str`, *optional*, defaults to `"text"`): The column of the texts.
        answers (`str` or `Path`, *optional*):
            A file in which answers are kept, on a disk of this machine; a generator may share it.
        extra_body (`dict[str, Any]`, *optional*, defaults to `{}`): What else a server takes in a request.

    Raises:
        `ImportError`: If the extra `endpoint` is not installed.
        `ValueError`: If an argument is out of range; when called, if an example has no text.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        label_names: Sequence[str],
        template: str = "Which of these is the text about?\n{options}\n\nText: {text}",
        descriptions: Mapping[str, str] | None = None,
        votes: int = 5,
        text_column: str = "text",
        answers: str | Path | None = None,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        check_template("template", template, {"options", "text"}, {"options", "text"})
        if len(label_names) < 2 or len(set(label_names)) < len(label_names):
            raise ValueError(f"label_names={list(label_names)} must be different names, at least two.")
        if unknown := set(descriptions or {}) - set(label_names):
            raise ValueError(f"descriptions has {sorted(unknown)}, but label_names={list(label_names)}: use these.")
        if not isinstance(votes, int) or votes < 1:
            raise ValueError(f"votes={votes!r} must be an integer of at least 1.")
        self.endpoint, self.label_names, self.template = endpoint, tuple(label_names), template
        self.descriptions = {name: readable_name(name) for name in label_names} | dict(descriptions or {})
        self.votes, self.text_column, self.extra_body = votes, text_column, dict(extra_body or {})
        count = len(self.label_names)
        self.options = list(string.ascii_uppercase[:count]) if count <= 26 else [str(i + 1) for i in range(count)]
        self.served = ServedModel(endpoint, answers)

    @property
    def by_likelihood(self) -> bool:
        """Whether the letters' probabilities are read, and not votes counted."""
        return (
            len(self.label_names) <= len(string.ascii_uppercase)
            and self.served.abilities(CHAT, self.extra_body).logprobs
        )

    @property
    def spent(self) -> Spent:
        """Requests and tokens that this object has spent."""
        return self.served.spent

    def question(self, text: str) -> str:
        """What the model is asked about a text."""
        names = zip(self.options, self.label_names, strict=True)
        options = [f"{option}: {self.descriptions[name]}" for option, name in names]
        asked = fill(self.template, {"options": "\n".join(options), "text": one_line(text)})
        return f"{asked}\n\nAnswer with {', '.join(self.options[:-1])} or {self.options[-1]} alone."

    def __call__(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """
        Judges examples.

        Args:
            examples (`Sequence[dict[str, Any]]`): Raw examples with the text column.

        Returns:
            `np.ndarray` of shape `(len(examples), len(label_names))`: Rows that sum to 1, none of them 0. An answer
            that names no option counts for all alike.
        """
        texts = read_texts(examples, self.text_column)
        times = 1 if self.by_likelihood else self.votes
        bodies = [self._body(text, vote) for text in texts for vote in range(times)]
        answers = self.served.ask(CHAT, bodies)
        read = self._likelihoods if self.by_likelihood else self._count
        rows = [read(answers[i : i + times]) for i in range(0, len(answers), times)]
        return np.array(rows).reshape(len(texts), len(self.label_names))

    def _body(self, text: str, vote: int) -> dict[str, Any]:
        body = {"messages": turns(self.question(text)), "temperature": 1.0, "seed": vote}
        if self.by_likelihood:
            body |= {"max_tokens": 1, "logprobs": True, "top_logprobs": _TOP}
        else:
            body["max_tokens"] = 8
        return body | self.extra_body

    def _likelihoods(self, answers: Sequence[Answer]) -> np.ndarray:
        likely = answers[0].likely or {}
        found = np.zeros(len(self.options))
        for token, logprob in likely.items():
            if (option := self._option(token)) is not None:
                found[option] += math.exp(logprob)
        # What is not among the likeliest is no likelier than the last of them.
        floor = math.exp(min(likely.values(), default=0.0))
        found[found == 0] = max(min(floor, 1 / len(found)), 1e-6)
        return found / found.sum()

    def _count(self, answers: Sequence[Answer]) -> np.ndarray:
        # One vote for all options together, so that none is impossible.
        counts = np.full(len(self.options), 1 / len(self.options))
        for answer in answers:
            if (option := self._option(answer.text)) is not None:
                counts[option] += 1
        return counts / counts.sum()

    def _option(self, answer: str) -> int | None:
        """The option that an answer names first, by its letter or number alone, or by its words."""
        if (match := re.match(r"\W*(\w+)", answer)) and (named := match[1].upper()) in self.options:
            return self.options.index(named)
        said = one_line(answer).casefold().strip(" .\"'")
        words = [self.descriptions[name].casefold() for name in self.label_names]
        return words.index(said) if words.count(said) == 1 else None

    def fingerprint(self) -> str:
        """A hash of the model's name, the question, the options and how answers are read."""
        facts = {
            "type": type(self).__name__,
            "model": self.endpoint.model,
            "by_likelihood": self.by_likelihood,
            "votes": self.votes,
            "template": self.template,
            "descriptions": [self.descriptions[name] for name in self.label_names],
            "label_names": self.label_names,
            "text_column": self.text_column,
            "extra_body": self.extra_body,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
