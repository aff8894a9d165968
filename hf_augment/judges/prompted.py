"""A causal language model as a classifier: what it answers when it is asked for the label of a text."""

from __future__ import annotations

import copy
import functools
import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.special
import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicLayer

from hf_augment.fingerprints import weights_fingerprint
from hf_augment.generators.answers import one_line
from hf_augment.generators.prompt_base import check_template, fill
from hf_augment.generators.sampling import pad_rows
from hf_augment.generators.scoring import SCORED_TOKENS, encode_open, evaluating, longest_input
from hf_augment.seeding import derive_rng


#: Labelled texts that calibrate an opinion, at most. The mean of 64 is known to an eighth of the deviation of one.
_CALIBRATING_TEXTS = 64


class _Opinion:
    """Demonstrations, texts to calibrate with, and what comes of them."""

    def __init__(self, head: str, calibrating: list[str]) -> None:
        self.head, self.calibrating = head, calibrating
        #: The text before a question.
        self.before = f"{head}\n\n" if head else ""
        #: Token ids of the head, and what the model remembers of them, if it is one that can.
        self.head_ids: list[int] = []
        self.cache: DynamicCache | None = None
        #: The mean log-probability of every answer over the calibrating texts.
        self.offset: Any = 0.0


class _Branch(NamedTuple):
    """
    A point at which answers part: the tokens before it, those that follow, which `answers` come by, and with which of
    the tokens each of these goes on.
    """

    before: list[int]
    tokens: list[int]
    answers: list[int]
    turns: list[int]


class PromptedJudge:
    """
    Asks a causal language model for the label of texts, after a few labelled ones that show what is wanted.

    It is the judge of [`LabelAgreement`] where labelled texts are few: a classifier that was trained on them knows
    less than the language model. Each opinion is shown other demonstrations; their log-probabilities are averaged.

    What a model answers depends on the demonstrations and their order more than on the text ([Zhao et al.
    2021](https://arxiv.org/abs/2102.09690)). So each opinion is calibrated: from every class's log-probability its
    mean over labelled texts, as many of each class, is subtracted; none calibrates an opinion that it is a
    demonstration of.

    Example:

    ```python
    >>> from hf_augment import CausalLMGenerator, InstructPrompt, LabelAgreement, PromptedJudge

    >>> names, chat = ["negative", "positive"], "HuggingFaceTB/SmolLM2-135M-Instruct"
    >>> generator = CausalLMGenerator.from_pretrained(chat, label_names=names, prompt=InstructPrompt.for_sentiment())
    >>> judge = PromptedJudge(
    ...     generator.model,
    ...     generator.tokenizer,
    ...     names,
    ...     template="Review: {text}\\nSentiment:",
    ...     examples=[("a dull film", 0), ("a moving story", 1), ("what a mess", 0), ("a delight", 1)],
    ... )
    >>> judge([{"text": "the cast is superb"}]).shape
    (1, 2)
    >>> agreement = LabelAgreement(judge, min_probability=0.5)
    ```

    Args:
        model ([`~transformers.PreTrainedModel`]):
            A causal language model. It is not copied: give one that no other thread uses in the meantime.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Its tokenizer, of which a copy is kept: a fast tokenizer used by two threads gives wrong results.
        label_names (`Sequence[str]`): The classes, in the order of the dataset's integer labels; at least two.
        template (`str`, *optional*, defaults to `"Text: {text}\\nLabel:"`):
            The question, with `{text}` and something after it. The answer follows after a space.
        answers (`dict[str, str]`, *optional*, defaults to `{}`):
            The answers by label name. A label that is not in it is its own answer. An answer is as likely as the
            tokens in which it parts from others. A text is read once for each such point: once in all where answers
            begin with different tokens, and 16 times for the 77 intents of BANKING77.
        examples (`Sequence[tuple[str, int]]`, *optional*, defaults to `()`):
            Labelled texts to draw demonstrations from, and to calibrate with. Without any the model is asked as it is.
        demonstrations (`int`, *optional*, defaults to 1): Texts of each class that an opinion is shown; 0 for none.
        opinions (`int`, *optional*, defaults to 2):
            Number of times that the model is asked, each time after other demonstrations; at least 1. Fewer where the
            examples of a class do not suffice, and one without demonstrations.
        text_column (`str`, *optional*, defaults to `"text"`): The column of the texts, which are cut to what fits.
        seed (`int`, *optional*, defaults to 0): The seed of the demonstrations and their order.

    Raises:
        `ValueError`: If a number is out of its range, the template lacks `{text}` or ends with it, answers are
            equal or of no label, an example has no such label, a class has too few examples, or the
            demonstrations do not fit into the model; when called, if an example has no text.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        template: str = "Text: {text}\nLabel:",
        answers: Mapping[str, str] | None = None,
        examples: Sequence[tuple[str, int]] = (),
        demonstrations: int = 1,
        opinions: int = 2,
        text_column: str = "text",
        seed: int = 0,
    ) -> None:
        check_question("template", template)
        for name, value, least in (("demonstrations", demonstrations, 0), ("opinions", opinions, 1)):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")
        if len(set(label_names)) < max(len(label_names), 2):
            raise ValueError(f"label_names={list(label_names)} must be different names, at least two.")
        answers = answers or {}
        if unknown := set(answers) - set(label_names):
            raise ValueError(f"answers has {sorted(unknown)}, but label_names={list(label_names)}: use these names.")
        self.model, self.tokenizer = model, copy.deepcopy(tokenizer)
        self.label_names, self.template, self.text_column = tuple(label_names), template, text_column
        self.answers = [one_line(answers.get(name, name)) for name in self.label_names]
        # `past_key_values` is `cache` from transformers 5.24 on.
        parameters = inspect.signature(model.forward).parameters
        self._cache_argument = "cache" if "cache" in parameters else "past_key_values"
        self._branches = self._find_branches()
        #: The most tokens before a point at which answers part.
        self._ahead = max(len(branch.before) for branch in self._branches)
        by_class = self._by_class(examples, demonstrations)
        self._opinions = self._draw(by_class, demonstrations, opinions, seed)
        for opinion in self._opinions:
            self._read(opinion)
            if opinion.calibrating:
                opinion.offset = self._log_probabilities(opinion, opinion.calibrating).mean(axis=0)

    def _by_class(self, examples: Sequence[tuple[str, int]], demonstrations: int) -> list[list[str]]:
        """The different texts of each class; nothing without examples."""
        if unknown := {label for _, label in examples} - set(range(len(self.label_names))):
            raise ValueError(f"examples has the labels {sorted(unknown)}, but label_names={list(self.label_names)}.")
        by_class: list[list[str]] = [
            list(dict.fromkeys(one_line(text) for text, of in examples if of == label))
            for label in range(len(self.label_names))
        ]
        for name, texts in zip(self.label_names, by_class, strict=True) if examples else ():
            if len(texts) < max(demonstrations, 1):
                raise ValueError(
                    f"examples has {len(texts)} texts of {name!r}, with demonstrations={demonstrations}, and every "
                    "class needs as many and at least 1: add some, or lower demonstrations."
                )
        return by_class if examples else []

    def _draw(self, by_class: list[list[str]], shown: int, opinions: int, seed: int) -> list[_Opinion]:
        """Opinions with different demonstrations, in random order, and calibrating texts from all others."""
        if not by_class:
            return [_Opinion("", [])]
        rng = derive_rng(seed, "demonstrations")
        texts = [[of[i] for i in rng.permutation(len(of))] for of in by_class]
        possible = min(map(len, texts)) // shown if shown else 1
        drawn = []
        for k in range(min(opinions, possible)):
            own = [of[k * shown : (k + 1) * shown] for of in texts]
            turns = [(text, label) for label, of in enumerate(own) for text in of]
            head = "\n\n".join(self._turn(*turns[i]) for i in rng.permutation(len(turns)))
            rest = [[text for text in of if text not in own[label]] for label, of in enumerate(texts)]
            count = min(*map(len, rest), max(1, _CALIBRATING_TEXTS // len(rest)))
            drawn.append(_Opinion(head, [text for of in rest for text in of[:count]]))
        return drawn

    def _turn(self, text: str, label: int) -> str:
        return f"{self._question(text)} {self.answers[label]}"

    def _question(self, text: str) -> str:
        return fill(self.template, {"text": one_line(text)})

    def _encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids, in which a special token that a text spells out is the letters it is: data ends no sequence."""
        return encode_open(self.tokenizer, prompts, split_special_tokens=True)

    def _find_branches(self) -> list[_Branch]:
        """The points at which answers part; what ends an answer is a part of it."""
        # After a question, as they are read: some tokenizers put a mark before the first word of a text.
        question = self._question("x")
        asked, *answered = self._encode([question, *(f"{question} {answer}\n\n" for answer in self.answers)])
        ids = [row[len(asked) :] for row in answered]
        if len(set(map(tuple, ids))) < len(ids):
            raise ValueError(f"answers={self.answers} has one twice: give answers={{label name: words}} that differ.")
        branches = []
        for before in sorted({tuple(row[:place]) for row in ids for place in range(len(row))}):
            passing = [
                i for i, row in enumerate(ids) if tuple(row[: len(before)]) == before and len(row) > len(before)
            ]
            following = [ids[i][len(before)] for i in passing]
            tokens = sorted(set(following))
            if len(tokens) > 1:
                branches.append(_Branch(list(before), tokens, passing, list(map(tokens.index, following))))
        return branches

    def _read(self, opinion: _Opinion) -> None:
        """Lets the model read the demonstrations once, not once for each text."""
        needed = len(self._encode([opinion.before + self._question("")])[0]) + self._ahead
        if needed >= longest_input(self.model):
            raise ValueError(
                f"template and examples make a prompt of {needed} tokens, and the model reads "
                f"{longest_input(self.model)}: lower `demonstrations`, or give shorter texts."
            )
        if not opinion.head:
            return
        opinion.head_ids = self._encode([opinion.head])[0]
        cache = DynamicCache(config=self.model.config)
        input_ids = torch.tensor([opinion.head_ids], device=self.model.device)
        with evaluating(self.model):
            self.model(input_ids=input_ids, use_cache=True, **{self._cache_argument: cache})
        # Models that remember a state instead of keys and values (Mamba) cannot go on from it several times.
        if all(isinstance(layer, DynamicLayer) for layer in cache.layers):
            plain = self._log_probabilities(opinion, ["x"])
            opinion.cache = cache
            # And some take the cache and forget it (RWKV). Half of the digits, since sums are made in another order.
            tolerance = torch.finfo(self.model.dtype).eps ** 0.5
            if not np.allclose(self._log_probabilities(opinion, ["x"]), plain, rtol=0, atol=tolerance):
                opinion.cache = None

    def __call__(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """
        The probabilities of the classes, rows that sum to 1, in `float64` of shape `(len(examples), num_labels)`.
        """
        for example in examples:
            if not isinstance(text := example.get(self.text_column), str):
                raise ValueError(f"text_column={self.text_column!r} holds {text!r} in an example: it must be a text.")
        texts = [example[self.text_column] for example in examples]
        opinions = [self._log_probabilities(opinion, texts) - opinion.offset for opinion in self._opinions]
        return scipy.special.softmax(np.mean(opinions, axis=0), axis=1)

    def _log_probabilities(self, opinion: _Opinion, texts: Sequence[str]) -> np.ndarray:
        """Log-probabilities of the answers, `(len(texts), num_labels)`, given that it is one of them."""
        result = np.zeros((len(texts), len(self.label_names)))
        rows = self._rows(opinion, texts)
        for branch in self._branches:
            known = self._at_branch(opinion, [row + branch.before for row in rows], branch.tokens)
            result[:, branch.answers] += known[:, branch.turns]
        return result

    def _at_branch(self, opinion: _Opinion, rows: list[list[int]], tokens: list[int]) -> np.ndarray:
        """Log-probabilities of the tokens after each row, `(len(rows), len(tokens))`, given that it is one of them."""
        result = np.zeros((len(rows), len(tokens)))
        head = len(opinion.head_ids)
        cache = opinion.cache if all(row[:head] == opinion.head_ids for row in rows) else None
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]), reverse=True)
        with evaluating(self.model):
            while order:
                # The first is the longest, so this many fit into the budget together.
                size = max(1, SCORED_TOKENS // len(rows[order[0]]))
                batch, order = order[:size], order[size:]
                logits = self._answer([rows[i] for i in batch], head, cache)
                result[batch] = logits[:, tokens].double().log_softmax(-1).cpu().numpy()
        return result

    def _rows(self, opinion: _Opinion, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of the whole prompts, read in one go: where two parts meet, a tokenizer may join letters."""
        room = longest_input(self.model) - self._ahead
        rows = self._encode([opinion.before + self._question(text) for text in texts])
        for i, row in enumerate(rows):
            # A token has a letter or more, so that not too much is cut.
            text = one_line(texts[i])
            while len(row) > room:
                text = text[: max(0, len(text) - (len(row) - room))]
                (row,) = self._encode([opinion.before + self._question(text)])
            rows[i] = row
        return rows

    def _answer(self, rows: list[list[int]], head: int, cache: DynamicCache | None) -> torch.Tensor:
        """The logits after the last token of each row, `(len(rows), vocab_size)`."""
        known = head if cache is not None else 0
        remembered: dict[str, Any] = {}
        if cache is not None:
            # Reading on writes into the cache.
            remembered[self._cache_argument] = copy.deepcopy(cache)
            remembered[self._cache_argument].batch_repeat_interleave(len(rows))
        input_ids = pad_rows([row[known:] for row in rows], 0).to(self.model.device)
        mask = pad_rows([[1] * len(row) for row in rows], 0).to(self.model.device)
        ends = torch.tensor([len(row) - known - 1 for row in rows], device=self.model.device)
        output = self.model(input_ids=input_ids, attention_mask=mask, use_cache=cache is not None, **remembered)
        return output.logits[torch.arange(len(rows)), ends].float()

    @functools.cached_property
    def _weights(self) -> str:
        return weights_fingerprint(self.model)

    def fingerprint(self) -> str:
        """A hash of the weights, which are read once, the vocabulary, what is asked, and the labelled texts used."""
        facts = [
            self._weights,
            sorted(self.tokenizer.get_vocab().items()),
            *(self.template, self.label_names, self.answers, self.text_column),
            *([opinion.head, opinion.calibrating] for opinion in self._opinions),
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def check_question(argument: str, template: str) -> None:
    """Raises `ValueError` unless a template has `{text}`, no other field, and something after it."""
    check_template(argument, template, required={"text"}, allowed={"text"})
    if template.rstrip().endswith("{text}"):
        raise ValueError(f"{argument}={template!r} asks nothing: add after {{text}} what the answer follows.")
