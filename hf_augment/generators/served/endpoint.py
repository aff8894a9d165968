"""A language model behind an address as a generator of labelled texts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_augment.generators.prompt_base import Prompt
from hf_augment.generators.prompted import PromptedGenerator
from hf_augment.generators.sampling import SamplingConfig, cut_unfinished
from hf_augment.generators.served.connection import Endpoint, EndpointError, Spent
from hf_augment.generators.served.model import CHAT, COMPLETIONS, SCHEMA, Abilities, Answer, ServedModel, turns


#: What every server takes: the likeliest tokens alone are `top_k` of some only.
_SAMPLING = SamplingConfig(top_k=0)


class EndpointGenerator(PromptedGenerator):
    """
    Has a served language model write texts of given classes, with the prompts that [`CausalLMGenerator`] takes.

    Each text is a request of its own with a seed of its own. A few short requests find out whether the server honours
    seeds. One that does can write a text again. Of any other, `answers` keeps what it wrote, and a run that lost a
    shard and that file is refused instead of going on with other texts.

    Example:

    ```python
    >>> from hf_augment import Endpoint, EndpointGenerator, InstructPrompt

    >>> names = ["card_arrival", "card_linking"]
    >>> generator = EndpointGenerator(
    ...     Endpoint("http://127.0.0.1:8000/v1", "Qwen/Qwen3-8B"),
    ...     names,
    ...     InstructPrompt.for_labels(names, kind="message to a bank"),
    ...     answers="runs/answers.sqlite",
    ... )
    >>> [sorted(example) for example in generator.generate([0, 1], seed=0)]  # doctest: +SKIP
    [['text'], ['text']]
    ```

    Args:
        endpoint ([`Endpoint`]): The server, and how it is asked.
        label_names (`Sequence[str]`): The classes, in the order of the dataset's integer labels.
        prompt ([`LabelPrompt`] or [`InstructPrompt`]):
            The prompt that texts are made with. A chat goes to `/chat/completions`, anything else, such as the label
            prompt of a model that was trained with it, to `/completions`.
        text_column (`str`, *optional*, defaults to `"text"`): The column of the dataset that holds the text.
        sampling ([`SamplingConfig`], *optional*, defaults to `SamplingConfig(top_k=0)`):
            Settings of sampling. Its `batch_size` is not used, and `top_k` is sent if it is above 0: OpenAI's own
            servers do not take it.
        answers (`str` or `Path`, *optional*):
            A file in which answers are kept by their request, on a disk of this machine: none is paid for twice.
            Without it an answer is kept only with its shard.
        structured (`bool`, *optional*, defaults to `False`):
            Whether a chat is to answer in JSON with one text, by `response_format`.
        extra_body (`dict[str, Any]`, *optional*, defaults to `{}`):
            What else a server takes in a request, such as
            `{"chat_template_kwargs": {"enable_thinking": False}}` of vLLM.

    Raises:
        `ImportError`: If the extra `endpoint` is not installed.
        `ValueError`: If the prompt does not fit the labels, or an argument the prompt.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        label_names: Sequence[str],
        prompt: Prompt,
        text_column: str = "text",
        sampling: SamplingConfig = _SAMPLING,
        answers: str | Path | None = None,
        structured: bool = False,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(label_names, prompt, text_column)
        self.route = CHAT if prompt.style == "chat" else COMPLETIONS
        if structured and self.route != CHAT:
            raise ValueError("structured=True is for prompts in a chat: leave it out, or use style='chat'.")
        self.extra_body = dict(extra_body or {})
        if reserved := self.extra_body.keys() & {"model", "messages", "prompt", "seed", "n", "stream"}:
            raise ValueError(f"extra_body has {sorted(reserved)}, which each request fills itself: leave it out.")
        self.endpoint = endpoint
        self.sampling, self.structured = sampling, structured
        self.served = ServedModel(endpoint, answers)

    @property
    def abilities(self) -> Abilities:
        """What the server honours. It is asked at the first question."""
        return self.served.abilities(self.route, self.extra_body)

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        """Whether the server honours seeds, whatever else it answers meanwhile."""
        return self.abilities.replayable

    @property
    def spent(self) -> Spent:
        """Requests and tokens that this object has spent."""
        return self.served.spent

    def generate_like(
        self, labels: Sequence[int], seed_rows: Sequence[dict[str, Any] | None], seed: int
    ) -> list[dict[str, Any]]:
        """
        See [`Generator.generate_like`]. Of a server that honours seeds, the same arguments give the same texts; of any
        other while `answers` has them.

        Raises:
            `ValueError`: If a label does not exist.
            `EndpointError`: If the server refuses or fails, or spends all tokens on thinking.
            `BudgetError`: If what may be spent is spent.
        """
        if self.structured and not self.abilities.response_format:
            raise EndpointError(
                f"structured=True, but {self.endpoint.base_url} does not keep to a JSON schema: leave it out."
            )
        bodies = list(map(self._body, *self._prompts(labels, seed_rows, seed)))
        answers = self.served.ask(self.route, bodies)
        if answers and all(answer.thought and not answer.text for answer in answers):
            raise EndpointError(
                f"{self.endpoint.model} spent max_new_tokens={self.sampling.max_new_tokens} on thinking and wrote "
                "nothing: raise it, or turn thinking off by extra_body, such as "
                '{"chat_template_kwargs": {"enable_thinking": false}}.'
            )
        return [{self.text_column: self._text(answer)} for answer in answers]

    def _body(self, prompt: str, rng: np.random.Generator) -> dict[str, Any]:
        sampling = self.sampling
        body: dict[str, Any] = {"messages": turns(prompt)} if self.route == CHAT else {"prompt": prompt}
        # 31 bits: some servers keep a seed in so many.
        body |= {"max_tokens": sampling.max_new_tokens, "seed": int(rng.integers(2**31))}
        body |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        if sampling.top_k:
            body["top_k"] = sampling.top_k
        if stop := self.prompt.stop:
            body["stop"] = list(stop)
        if self.structured:
            body["response_format"] = SCHEMA
        return body | self.extra_body

    def _text(self, answer: Answer) -> str:
        if self.structured:
            try:
                written = json.loads(answer.text).get("text", "")
            except (ValueError, AttributeError):
                # Broken off: no text.
                return ""
            return self.prompt.extract(written) if isinstance(written, str) else ""
        text = self.prompt.extract(answer.text)
        return text if answer.finished else cut_unfinished(text, self.sampling.cut_at_sentence_end)

    def fingerprint(self) -> str:
        """
        A hash of the model's name, what the server honours, the prompt, the labels and the settings. The address is
        not in it: a server under another one that knows the model by the same name is taken for the same.
        """
        sampling = dataclasses.asdict(self.sampling)
        del sampling["batch_size"]
        facts = {
            "type": type(self).__name__,
            "model": self.endpoint.model,
            "abilities": dataclasses.asdict(self.abilities),
            "prompt": self.prompt.to_dict(),
            "label_names": self.label_names,
            "text_column": self.text_column,
            "sampling": sampling,
            "structured": self.structured,
            "extra_body": self.extra_body,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
