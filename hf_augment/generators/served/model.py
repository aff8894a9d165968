"""A language model behind an address: many requests at a time, each answer on disk before it is used."""

from __future__ import annotations

import functools
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from hf_augment.generators.served.answer_store import AnswerStore
from hf_augment.generators.served.connection import BudgetError, Connection, Endpoint, EndpointError, Spent, tokens_of


Item = TypeVar("Item")
Result = TypeVar("Result")

#: What a server is asked to find out what it honours: two draws of a model that samples hardly ever are the same. It
#: is as long as prompts with examples are: with a prompt of more than 64 tokens, llama.cpp writes another text where
#: it has kept what it read of it.
ASKED = (
    "Write three random words and a random number of six digits. These were written before, and none of them is to be "
    "written again: river, lantern, mustard, 402913; pebble, violin, harbour, 775120; ladder, thunder, saffron, "
    "118364; mirror, cactus, envelope, 930257; blanket, rooster, compass, 564808; orchard, whistle, granite, 287531; "
    "feather, tunnel, biscuit, 649072; anchor, meadow, cushion, 351986."
)

#: What the kinds of prompts are sent to: turns of a chat, or the beginning of a text.
CHAT, COMPLETIONS = "/chat/completions", "/completions"


@dataclass(frozen=True)
class Answer:
    """
    What a server wrote.

    Args:
        text (`str`): The text, empty if there is none.
        finished (`bool`): Whether the model ended it, and not the limit of tokens.
        likely (`dict[str, float]`, *optional*, defaults to `None`):
            The log-probabilities of the likeliest first tokens, if they were asked for and given.
        thought (`bool`, *optional*, defaults to `False`): Whether the model thought before it wrote.
        prompt_tokens (`int`, *optional*, defaults to 0): Tokens read, by the server's own count.
        completion_tokens (`int`, *optional*, defaults to 0): Tokens written.
    """

    text: str
    finished: bool
    likely: dict[str, float] | None = None
    thought: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Abilities:
    """
    What a server honours, as a few short requests show.

    Args:
        seed (`bool`):
            The same request with the same seed has the same answer, also where its prompt was read before; with
            another seed another.
        seed_in_company (`bool`): Also while others are answered.
        logprobs (`bool`): It gives log-probabilities.
        response_format (`bool`): It keeps to a JSON schema.
    """

    seed: bool
    seed_in_company: bool
    logprobs: bool
    response_format: bool

    @property
    def replayable(self) -> bool:
        """Whether what was written once can be written again."""
        return self.seed and self.seed_in_company


class ServedModel:
    """
    Asks a served model, and keeps what it answers.

    Args:
        endpoint ([`Endpoint`]): The server.
        answers (`str` or `Path`, *optional*):
            A file on a disk of this machine, in which answers are kept by their request: one that is there is not
            asked for again, in this run or another. Without it they are kept nowhere.
    """

    def __init__(self, endpoint: Endpoint, answers: str | Path | None = None) -> None:
        self.endpoint, self._connection = endpoint, Connection(endpoint)
        self.store = None if answers is None else AnswerStore(answers)
        if self.store is not None:
            # A budget is not spent anew by whoever goes on.
            self._connection.spent = Spent(**self.store.totals(("prompt_tokens", "completion_tokens"), "requests"))

    @property
    def spent(self) -> Spent:
        """What has been spent: by this object, and before it for what its file of answers holds."""
        return self._connection.spent

    def ask(self, route: str, bodies: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """
        Asks for one answer to each request, at most `concurrency` at a time. If one fails, those under way are waited
        for and kept before the error is raised.

        Args:
            route (`str`): `CHAT` or `COMPLETIONS`.
            bodies (`Sequence[Mapping[str, Any]]`): What is sent beside the model's name.

        Raises:
            `EndpointError`: If the server refuses, or fails at every attempt.
            `BudgetError`: If what may be spent is spent.
        """
        stop = threading.Event()
        return in_threads(functools.partial(self._ask, route, stop), bodies, self.endpoint.concurrency, stop)

    def _ask(self, route: str, stop: threading.Event, body: Mapping[str, Any]) -> Answer:
        read = functools.partial(read_answer, chat=route == CHAT)
        if self.store is None:
            return self._connection.post(route, body, read, stop.wait)
        request = {"model": self.endpoint.model, "route": route, **body}
        if (kept := self.store.get(request)) is None:
            kept = self.store.put(request, asdict(self._connection.post(route, body, read, stop.wait)))
        return Answer(**kept)

    def abilities(self, route: str, extra_body: Mapping[str, Any] | None = None) -> Abilities:
        """
        Returns what the server honours; asks it once in the life of this object, or of its file of answers.

        Args:
            route (`str`): `CHAT` or `COMPLETIONS`.
            extra_body (`dict[str, Any]`, *optional*, defaults to `{}`): What is added to every request.
        """
        request: dict[str, Any] = {"abilities": self.endpoint.model, "route": route}
        if extra_body:
            request["extra_body"] = dict(extra_body)
        cache = self.__dict__.setdefault("_abilities", {})
        if (key := json.dumps(request, sort_keys=True)) not in cache:
            kept = None if self.store is None else self.store.get(request)
            if kept is None:
                kept = asdict(self._find_abilities(route, extra_body or {}))
                kept = kept if self.store is None else self.store.put(request, kept)
            cache[key] = Abilities(**kept)
        return cache[key]

    def _find_abilities(self, route: str, extra_body: Mapping[str, Any]) -> Abilities:
        # A server that has been asked before keeps what it read of a prompt: this one is new to it.
        asked = f"{uuid.uuid4().hex}: {ASKED}"
        fixed: dict[str, Any] = {"max_tokens": 24, "temperature": 1.0, **extra_body}
        # Of several lengths: what a server computes together, and in what parts, depends on all of them.
        bodies = [_asking(route, f"{asked} {ASKED[:more]}") | fixed for more in (0, 0, 1, 2, 5, 11)]
        first, other, told, longer, longest, formed = (body | {"seed": seed} for seed, body in enumerate(bodies, 1))
        if route == CHAT:
            told |= {"logprobs": True, "top_logprobs": 5}
            formed |= {"max_tokens": 60, "response_format": SCHEMA}
        alone = self._fresh(route, first)
        company = [first, other, told, longer, first, formed, longest, first]
        ask = functools.partial(self._fresh_or_none, route)
        answers: list[Any] = in_threads(ask, company, self.endpoint.concurrency, threading.Event())
        seed = self._fresh(route, first).text == alone.text != answers[1].text
        return Abilities(
            seed=seed,
            seed_in_company=seed and all(answers[place].text == alone.text for place in (0, 4, 7)),
            logprobs=answers[2] is not None and bool(answers[2].likely),
            response_format="response_format" in formed and _is_object(answers[5]),
        )

    def _fresh(self, route: str, body: Mapping[str, Any]) -> Answer:
        """Returns an answer of the connection, and not one that is kept, which would answer for the server."""
        read = functools.partial(read_answer, chat=route == CHAT)
        # A server that is not there is told of soon.
        return self._connection.post(route, body, read, threading.Event().wait, attempts=2)

    def _fresh_or_none(self, route: str, body: Mapping[str, Any]) -> Answer | None:
        """Returns a fresh answer, or `None` where the server does not take what goes beyond a plain request."""
        try:
            return self._fresh(route, body)
        except EndpointError as error:
            if isinstance(error, BudgetError) or not body.keys() & {"logprobs", "response_format"}:
                raise
            return None


def _asking(route: str, prompt: str) -> dict[str, Any]:
    return {"messages": turns(prompt)} if route == CHAT else {"prompt": prompt}


def _is_object(answer: Answer | None) -> bool:
    return answer is not None and answer.text.lstrip().startswith("{")


#: An answer that is a JSON object with a text.
SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "example",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
            "additionalProperties": False,
        },
    },
}


def turns(prompt: str) -> list[dict[str, str]]:
    """A chat in which a user says the prompt."""
    return [{"role": "user", "content": prompt}]


def read_answer(answer: Mapping[str, Any], chat: bool) -> Answer:
    """Reads an answer of either route; raises `ValueError` for one of another form."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choice := choices[0], dict):
        count = len(choices) if isinstance(choices, list) else "no"
        raise ValueError(f"with {count} choices, where one was asked for")
    message = choice.get("message") if chat else choice
    text = message.get("content" if chat else "text") if isinstance(message, dict) else 0
    if not isinstance(message, dict) or not isinstance(text, str | None):
        raise ValueError("with a choice that has no text")
    thought = chat and any(message.get(name) for name in ("reasoning_content", "reasoning"))
    finished, likely = choice.get("finish_reason") != "length", _likely(choice) if chat else None
    return Answer(text or "", finished, likely, thought, *tokens_of(answer))


def _likely(choice: Mapping[str, Any]) -> dict[str, float] | None:
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return None
    top = [one for one in content[0].get("top_logprobs") or () if isinstance(one, dict)]
    given = {one["token"]: float(one["logprob"]) for one in top if {"token", "logprob"} <= one.keys()}
    return given or None


def in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], threads: int, stop: threading.Event
) -> list[Result]:
    """
    Calls `work` for each item in so many threads, and returns the results in their order. After the first error no
    further item is begun, `stop` is set, and the error is raised when those under way are done. Whoever is interrupted
    waits for none: the threads end with the process.
    """
    results: list[Any] = [None] * len(items)
    errors: list[BaseException] = []
    left, lock = iter(enumerate(items)), threading.Lock()

    def run() -> None:
        for place, item in _shared(left, lock):
            if stop.is_set():
                return
            try:
                results[place] = work(item)
            except Exception as error:  # noqa: BLE001 - raised in the calling thread
                errors.append(error)
                stop.set()

    workers = [threading.Thread(target=run, daemon=True) for _ in range(min(threads, len(items)))]
    for worker in workers:
        worker.start()
    try:
        for worker in workers:
            # With a limit, so that an interrupt comes through.
            while worker.is_alive():
                worker.join(0.2)
    finally:
        stop.set()
    if errors:
        raise errors[0]
    return results


def _shared(items: Iterator[Item], lock: threading.Lock) -> Iterator[Item]:
    """An iterator that several threads may share."""
    while True:
        with lock:
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
