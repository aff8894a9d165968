"""Requests to a server that speaks OpenAI's protocol: bounded, retried where it helps, and counted."""

from __future__ import annotations

import email.utils
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hf_augment.extras import optional_imports


Read = TypeVar("Read")

#: Answers of a server that is busy, or that a moment later may be well again.
_PASSING = frozenset({408, 409, 425, 429})
#: Bytes that an answer may have: a text of thousands of tokens, with its log-probabilities.
_LONGEST_ANSWER = 2**24


class EndpointError(OSError):
    """A server refused, or did not answer in time and often enough."""


class BudgetError(EndpointError):
    """What may be spent on a server is spent."""


@dataclass(frozen=True)
class Endpoint:
    """
    A server that speaks OpenAI's protocol, and how it is asked: vLLM, SGLang, llama.cpp, Ollama, `transformers serve`,
    or a provider.

    Example:

    ```python
    >>> from hf_augment import Endpoint

    >>> local = Endpoint("http://127.0.0.1:8000/v1", "Qwen/Qwen3-8B")
    >>> provider = Endpoint(
    ...     "https://router.huggingface.co/v1", "Qwen/Qwen3-8B", token_variable="HF_TOKEN", max_requests=5000
    ... )
    ```

    Args:
        base_url (`str`):
            The address before `/chat/completions`, with `http://` or `https://`. Redirects are not followed.
        model (`str`): The name by which the server knows the model.
        token_variable (`str`, *optional*):
            The environment variable that holds the token. It is read at each request, and goes nowhere else.
        concurrency (`int`, *optional*, defaults to 16): Requests in flight, at least 1.
        timeout (`float`, *optional*, defaults to 60.0): Seconds for a whole answer, above 0.
        attempts (`int`, *optional*, defaults to 6):
            How often a request is sent at most, at least 1: again after no or half an answer, one that is no JSON, and
            the statuses 408, 409, 425, 429 and 5xx, with twice the pause each time.
        pause (`float`, *optional*, defaults to 0.5):
            Seconds before the second attempt, 0 or more. A server that says Retry-After gets as long as it asks for.
        max_pause (`float`, *optional*, defaults to 120.0): Seconds of a pause, at most. A server that asks for more
            ends the run.
        max_requests (`int`, *optional*):
            Requests that may be sent by a process, retries included, and before it for the answers that it finds.
            Defaults to any number.
        max_tokens (`int`, *optional*):
            Tokens read and written, by the server's own count, after which none is sent. Defaults to any number.

    Raises:
        `ValueError`: If a value is out of its range.
    """

    base_url: str
    model: str
    token_variable: str | None = None
    concurrency: int = 16
    timeout: float = 60.0
    attempts: int = 6
    pause: float = 0.5
    max_pause: float = 120.0
    max_requests: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url={self.base_url!r} must begin with http:// or https://.")
        if "@" in self.base_url.split("/")[2]:
            raise ValueError("base_url holds a name or password: set token_variable to an environment variable.")
        if self.base_url.rstrip("/").endswith(("/completions", "/chat")):
            raise ValueError(
                f"base_url={self.base_url!r} must end before /chat/completions, mostly in /v1: leave that out."
            )
        if not self.model:
            raise ValueError("model='' must be the name by which the server knows the model.")
        for name, least in (("concurrency", 1), ("attempts", 1), ("max_requests", 1), ("max_tokens", 1)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")
        for name, value in (("timeout", self.timeout), ("max_pause", self.max_pause)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}={value!r} must be a number of seconds above 0.")
        if not 0 <= self.pause <= self.max_pause:
            raise ValueError(f"pause={self.pause!r} must be from 0 to max_pause={self.max_pause!r} seconds.")

    def token(self) -> str | None:
        """Returns the token, or `None` without a variable; raises `EndpointError` if the variable is not set."""
        if self.token_variable is None:
            return None
        if not (token := os.environ.get(self.token_variable, "").strip()):
            raise EndpointError(f"token_variable={self.token_variable!r} is not set in the environment: set it.")
        return token


@dataclass
class Spent:
    """What a server was asked and what it counted: requests, retries included, and tokens read and written."""

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Read and written."""
        return self.prompt_tokens + self.completion_tokens


class _PassingError(Exception):
    """An attempt failed that may succeed when it is repeated, at best after so many seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Connection:
    """
    Sends requests to an [`Endpoint`], from any number of threads.

    Args:
        endpoint (`Endpoint`): The server.

    Raises:
        `ImportError`: If the extra `endpoint` is not installed.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        with optional_imports("endpoint"):
            import requests
            import urllib3
            from requests.adapters import HTTPAdapter
        self.endpoint, self.spent = endpoint, Spent()
        self._lock = threading.Lock()
        self._failures = (requests.RequestException, urllib3.exceptions.HTTPError)
        self._session = requests.Session()
        # A netrc file would add tokens of other programs.
        self._session.auth = _Bearer(endpoint)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=endpoint.concurrency, pool_block=True))

    def post(
        self,
        route: str,
        body: Mapping[str, Any],
        read: Callable[[dict[str, Any]], Read],
        stopped: Callable[[float], bool],
        attempts: int | None = None,
    ) -> Read:
        """
        Sends a request until it is answered.

        Args:
            route (`str`): What follows `base_url`, such as `"/chat/completions"`.
            body (`Mapping[str, Any]`): What is sent beside the model's name, JSON serialisable.
            read (`Callable[[dict], Any]`): Takes what is wanted from an answer; a `ValueError` if it is not there.
            stopped (`Callable[[float], bool]`):
                Waits so many seconds and returns whether nobody wants the answer any more, as
                `threading.Event().wait` does.
            attempts (`int`, *optional*): Defaults to the endpoint's, and is not more than these.

        Returns:
            `Any`: What `read` returned.

        Raises:
            `EndpointError`: If the server refuses, or fails at every attempt.
            `BudgetError`: If `max_requests` or `max_tokens` are spent; nothing was sent.
        """
        endpoint, most = self.endpoint, min(attempts or self.endpoint.attempts, self.endpoint.attempts)
        data = json.dumps({"model": endpoint.model, **body}).encode()
        for attempt in range(1, most + 1):
            self._count(attempt)
            try:
                return self._attempt(route, data, read)
            except _PassingError as failure:
                reason, wait = str(failure), failure.wait
            wait = min(endpoint.pause * 2 ** (attempt - 1), endpoint.max_pause) if wait is None else wait
            if wait > endpoint.max_pause and attempt < most:
                raise EndpointError(
                    f"{self._where(route)} {reason} and asks for {wait:.0f} seconds, more than max_pause="
                    f"{endpoint.max_pause:g}: run it again later, or raise max_pause."
                )
            if attempt < most and stopped(wait):
                break
        raise EndpointError(
            f"{self._where(route)} {reason}, at attempt {attempt} of {most}: check that the server runs and that this "
            "is its address, and run it again; what was answered is kept."
        )

    def _count(self, attempt: int) -> None:
        endpoint, spent = self.endpoint, self.spent
        with self._lock:
            for name, used in (("max_requests", spent.requests), ("max_tokens", spent.tokens)):
                if (limit := getattr(endpoint, name)) is not None and used >= limit:
                    raise BudgetError(
                        f"{name}={limit} of {endpoint.base_url} are spent ({spent.requests} requests, {spent.tokens} "
                        f"tokens). What was answered is kept: raise {name} to go on."
                    )
            spent.requests += 1
            spent.retries += attempt > 1

    def _attempt(self, route: str, data: bytes, read: Callable[[dict[str, Any]], Read]) -> Read:
        until, url = time.monotonic() + self.endpoint.timeout, self.endpoint.base_url.rstrip("/") + route
        headers = {"Content-Type": "application/json"}
        try:
            with self._session.post(
                url, data=data, headers=headers, timeout=self.endpoint.timeout, stream=True, allow_redirects=False
            ) as response:
                content = b""
                # What is there, and not so many bytes: a server may send one a second.
                while piece := response.raw.read1(2**16, decode_content=True):
                    content += piece
                    if time.monotonic() > until or len(content) > _LONGEST_ANSWER:
                        raise _PassingError(f"had not answered whole after {self.endpoint.timeout:g} s")
        except self._failures as error:
            # The text of the error names the address and the machine's own parts: its kind says enough.
            raise _PassingError(f"did not answer ({type(error).__name__})") from error
        if response.status_code != 200:
            self._refuse(route, response.status_code, response.headers.get("Retry-After"), content)
        try:
            answer = json.loads(content)
        except ValueError as error:
            raise _PassingError("answered what is no JSON") from error
        if not isinstance(answer, dict):
            raise _PassingError("answered JSON that is no object")
        with self._lock:
            read_tokens, written_tokens = tokens_of(answer)
            self.spent.prompt_tokens += read_tokens
            self.spent.completion_tokens += written_tokens
        try:
            return read(answer)
        except ValueError as error:
            raise _PassingError(f"answered {error}") from error

    def _refuse(self, route: str, status: int, retry_after: str | None, content: bytes) -> None:
        said = " ".join(content[:300].decode("utf-8", "replace").split())
        if status in _PASSING or status >= 500:
            raise _PassingError(f"answered {status}", seconds_of(retry_after))
        advice = {
            401: "set token_variable to the environment variable of a token",
            403: "the token does not allow it",
            404: f"there is no such address, which mostly has /v1 before {route}, or no model "
            f"{self.endpoint.model!r}: check both",
        }.get(status, "it does not take this request")
        raise EndpointError(f"{self._where(route)} answered {status}: {advice}. It said: {said}")

    def _where(self, route: str) -> str:
        return f"{self.endpoint.base_url.rstrip('/')}{route}"


class _Bearer:
    """The token of a request, read when it is sent: no object holds it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def __call__(self, request: Any) -> Any:
        if token := self.endpoint.token():
            request.headers["Authorization"] = f"Bearer {token}"
        return request


def tokens_of(answer: Mapping[str, Any]) -> tuple[int, int]:
    """The tokens that a server says it has read and written for an answer; 0 where it does not say."""
    usage = answer.get("usage")
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")] if isinstance(usage, dict) else []
    read, written = [count if isinstance(count, int) else 0 for count in counts] or (0, 0)
    return read, written


def seconds_of(retry_after: str | None) -> float | None:
    """
    The seconds that a Retry-After header asks for, a number or a date (RFC 9110, section 10.2.3); `None` without one,
    or with one that is neither.
    """
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
