"""A language model behind an address as a source of texts."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hf_augment.generators.prompts import InstructPrompt, Prompt
from hf_augment.generators.sampling import SamplingConfig
from hf_augment.generators.served.connection import Endpoint
from hf_augment.generators.served.endpoint import EndpointGenerator
from hf_augment.judges.endpoint import EndpointJudge
from hf_augment.progress import say_once
from hf_augment.study.arms import Source
from hf_augment.study.split import Basis, Split
from hf_augment.study.text_sources import check_prompt, prompt_of


#: Where a study keeps what servers answered.
ANSWERS = "answers.sqlite"


@dataclass
class ServedLanguageModel(Source):
    """
    A language model behind an address, which is only prompted. What it writes is kept in the study's folder, and its
    arms, splits and processes share it.

    Args:
        name (`str`): Name of the arm.
        endpoint ([`Endpoint`]): The server, and how it is asked.
        prompt (`Prompt` or `Callable`):
            Prompt that asks for a text of a class, or a function that makes it of the label names and of `examples`,
            the labelled texts of a split by label name, such as a `partial` of [`InstructPrompt.for_labels`].
        sampling (`SamplingConfig`, *optional*, defaults to `SamplingConfig(top_k=0)`): Sampling of the texts.
        send_examples (`bool`, *optional*, defaults to `False`):
            Whether labelled texts may be sent to another machine. If not, a server that is not on this machine gets
            prompts that a function makes of label names alone, and a prompt that holds examples is refused.
        structured (`bool`, *optional*, defaults to `False`): As of [`EndpointGenerator`].
        extra_body (`dict[str, Any]`, *optional*, defaults to `{}`): As of [`EndpointGenerator`].
    """

    name: str
    endpoint: Endpoint
    prompt: Prompt | Callable[..., Prompt]
    sampling: SamplingConfig = field(default_factory=lambda: SamplingConfig(top_k=0))
    send_examples: bool = False
    structured: bool = False
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> tuple[str, ...]:
        return (self.endpoint.model,)

    @property
    def shows_examples(self) -> bool:
        """Whether its prompts are made of labelled texts."""
        made = not isinstance(self.prompt, Prompt)
        return made and (self.send_examples or is_local(self.endpoint.base_url))

    @property
    def _holds_examples(self) -> bool:
        return isinstance(self.prompt, InstructPrompt) and bool(self.prompt.examples)

    @property
    def learns(self) -> bool:  # type: ignore[override]
        return self.shows_examples or self._holds_examples

    @property
    def shared(self) -> bool:  # type: ignore[override]
        return not self.shows_examples

    def identity(self) -> dict[str, str]:
        known = super().identity()
        # How it is asked changes nothing of what is asked for, but whether prompts may show labelled texts does.
        asking, may = f"{self.name}.endpoint", f"{self.name}.send_examples"
        known = {key: value for key, value in known.items() if key not in (asking, may)}
        return known | {asking: self.endpoint.model, f"{self.name}.shows_examples": str(self.shows_examples)}

    def check(self, study: Basis) -> None:
        """
        Asks the server a few short questions, and says what it honours.

        Raises:
            OSError: If the server is not there, or refuses.
            ValueError: If the prompt is of other labels, or would send examples to another machine.
            ImportError: If the extra `endpoint` is not installed.
        """
        if self._holds_examples and not (self.send_examples or is_local(self.endpoint.base_url)):
            raise ValueError(
                f"The prompt of {self.name!r} holds examples, which {self.endpoint.base_url} would be sent: leave "
                "them out, or pass send_examples."
            )
        prompt = self.prompt_of(study.split(0))
        check_prompt(self.name, prompt, study.data.label_names)
        abilities = self.generator(study, prompt).abilities
        address, model = self.endpoint.base_url, self.endpoint.model
        kept = "so its texts can be written again" if abilities.replayable else "so its texts are those that are kept"
        say_once(
            f"{address} serves {model}, and {'heeds' if abilities.replayable else 'does not heed'} seeds, {kept}."
        )
        if not isinstance(self.prompt, Prompt) and not self.shows_examples:
            say_once("Its prompts show no labelled texts, which would leave this machine; send_examples allows it.")

    def shows_rows(self, study: Basis) -> bool:
        if not self.prompt_of(study.split(0)).takes_seed_texts:
            return False
        if not (self.send_examples or is_local(self.endpoint.base_url)):
            raise ValueError(
                f"The policies of an arm of {self.name!r} have examples written after labelled texts, which "
                f"{self.endpoint.base_url} would be sent: leave the arm out, or pass send_examples."
            )
        return True

    def prompt_of(self, split: Split) -> Prompt:
        """Returns the prompt; one that is made of labelled texts, of those of the split."""
        if isinstance(self.prompt, Prompt) or self.shows_examples:
            return prompt_of(self.prompt, split)
        return self.prompt(split.study.data.label_names)

    def generator(self, study: Basis, prompt: Prompt) -> EndpointGenerator:
        """Returns the generator with a prompt."""
        return EndpointGenerator(
            self.endpoint,
            study.data.label_names,
            prompt,
            sampling=self.sampling,
            answers=study.folder / ANSWERS,
            structured=self.structured,
            extra_body=self.extra_body,
        )

    def open(self, split: Split) -> EndpointGenerator:
        return self.generator(split.study, self.prompt_of(split))

    def note(self, first: Split) -> str | None:
        spent = self.generator(first.study, self.prompt_of(first)).spent
        return (
            f"{self.endpoint.model} was served. Its {spent.requests} answers are kept and shared by arms, splits and "
            f"processes; for them it read {spent.prompt_tokens} tokens and wrote {spent.completion_tokens}."
        )


@dataclass
class ServedJudge:
    """
    A language model behind an address that is asked for the labels of texts, which it is sent without labelled ones.

    Args:
        source ([`ServedLanguageModel`]): The model, and whether texts may be sent to another machine.
        template (`str`, *optional*): The question, with `{options}` and `{text}`. Defaults to that of
            [`EndpointJudge`].
        descriptions (`dict[str, str]`, *optional*, defaults to `{}`): How an option reads, by label name.
    """

    source: ServedLanguageModel
    template: str | None = None
    descriptions: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> dict[str, str]:
        """Returns the values that its judgements depend on."""
        asked = {"template": str(self.template), "descriptions": str(dict(self.descriptions))}
        return self.source.identity() | {f"{self.source.name}.judge.{key}": value for key, value in asked.items()}

    def check(self, study: Basis, judged: Source) -> None:
        """
        Raises what [`ServedLanguageModel.check`] does, and `ValueError` if texts that are rows, or that repeat rows
        which a source learns, would be sent to another machine.
        """
        self.source.check(study)
        address = self.source.endpoint.base_url
        if (judged.learns or judged.real) and not (self.source.send_examples or is_local(address)):
            raise ValueError(
                f"The judge at {address} would be sent the texts of {judged.name!r}, which are rows of yours or may "
                "repeat them: pass send_examples, or another label_judge."
            )

    def judge(self, split: Split, rows: Any = None) -> EndpointJudge:
        """Returns the judge; no labelled rows are shown to it."""
        asked: dict[str, Any] = {} if self.template is None else {"template": self.template}
        return EndpointJudge(
            self.source.endpoint,
            split.study.data.label_names,
            descriptions=dict(self.descriptions),
            answers=split.study.folder / ANSWERS,
            extra_body=self.source.extra_body,
            **asked,
        )


def is_local(base_url: str) -> bool:
    """Whether an address is of this machine: what is sent there stays here."""
    host = urllib.parse.urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
