"""A causal language model as a classifier: what it answers when it is asked for the label of a text."""

from __future__ import annotations

import copy
import hashlib
import inspect
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from hf_augment.generators.prompts import check_template, fill, one_line
from hf_augment.generators.sampling import pad_rows
from hf_augment.generators.scoring import encode_open, evaluating, longest_input
from hf_augment.schema import weights_fingerprint
from hf_augment.seeding import derive_rng


#: Labelled texts that calibrate an opinion, at most. The mean of 64 is known to an eighth of the deviation of one.
_CALIBRATING_TEXTS = 64


class PromptedClassifier:
    """
    Asks a causal language model for the label of texts, after a few labelled ones that show what is wanted.

    It is the reference of [`LabelAgreement`] where labelled texts are few: a classifier that was trained on them knows
    less than the language model. Each opinion sees other demonstrations; their log-probabilities are averaged.

    What a model answers depends on the demonstrations and their order more than on the text ([Zhao et al.
    2021](https://arxiv.org/abs/2102.09690)). So each opinion is calibrated: from every class's log-probability its
    mean over labelled texts, as many of each class, is subtracted. (They use an empty text for it; labelled ones are
    at hand here.) No text calibrates an opinion that it is a demonstration of.

    Example:

    ```python
    >>> from hf_augment import CausalLMGenerator, InstructPrompt, LabelAgreement, PromptedClassifier

    >>> generator = CausalLMGenerator.from_pretrained(
    ...     "HuggingFaceTB/SmolLM2-135M-Instruct",
    ...     label_names=["negative", "positive"],
    ...     prompt=InstructPrompt.for_sentiment(),
    ... )
    >>> reference = PromptedClassifier(
    ...     generator.model,
    ...     generator.tokenizer,
    ...     label_names=["negative", "positive"],
    ...     template="Review: {text}\\nSentiment:",
    ...     examples=[("a dull film", 0), ("a moving story", 1), ("what a mess", 0), ("a delight", 1)],
    ... )
    >>> reference([{"text": "the cast is superb"}]).shape
    (1, 2)
    >>> agreement = LabelAgreement(reference, min_probability=0.5)
    ```

    Args:
        model ([`~transformers.PreTrainedModel`]):
            A causal language model. It is not copied: give one that nobody trains in the meantime.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Its tokenizer, of which a copy is kept: a fast tokenizer used by two threads gives wrong results.
        label_names (`Sequence[str]`):
            The classes, in the order of the dataset's integer labels; at least two.
        template (`str`, *optional*, defaults to `"Text: {text}\\nLabel:"`):
            The question, with `{text}`. The answer follows it after a space.
        answers (`dict[str, str]`, *optional*, defaults to `{}`):
            What is answered, by label name. A label that is not in it is its own answer. They are told apart by the
            first token in which they differ, so there all of them must.
        examples (`Sequence[tuple[str, int]]`, *optional*, defaults to `()`):
            Labelled texts to draw demonstrations from, and to calibrate with. Without any the model is asked as it is.
        demonstrations (`int`, *optional*, defaults to 1):
            Texts of each class that an opinion is shown; 0 for none.
        opinions (`int`, *optional*, defaults to 2):
            How often the model is asked, each time after other demonstrations; at least 1. Without demonstrations it
            is asked once.
        text_column (`str`, *optional*, defaults to `"text"`):
            The column of the texts.
        batch_size (`int`, *optional*, defaults to 32):
            Texts read at once; at least 1.
        seed (`int`, *optional*, defaults to 0):
            Of the demonstrations and their order.

    Raises:
        `ValueError`: If a number is out of its range, the template lacks `{text}`, answers cannot be told apart, an
            example has no such label, a class has too few examples, or the demonstrations leave no room for a text.
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
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        check_template("template", template, required={"text"}, allowed={"text"})
        for name, value, least in (
            ("demonstrations", demonstrations, 0),
            ("opinions", opinions, 1),
            ("batch_size", batch_size, 1),
        ):
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")
        if len(set(label_names)) < max(len(label_names), 2):
            raise ValueError(f"label_names={list(label_names)} must be different names, at least two.")
        self.model, self.tokenizer = model, copy.deepcopy(tokenizer)
        self.label_names, self.template, self.text_column = tuple(label_names), template, text_column
        self.batch_size = batch_size
        # `past_key_values` is `cache` from transformers 5.24 on.
        parameters = inspect.signature(model.forward).parameters
        self._cache_argument = "cache" if "cache" in parameters else "past_key_values"
        self.answers = [(answers or {}).get(name, name) for name in self.label_names]
        self._shared_ids, self._answer_ids = self._first_difference()
        by_class = self._by_class(examples, demonstrations)
        rng = derive_rng(seed, "demonstrations")
        shown = demonstrations if by_class else 0
        self._heads: list[str] = []
        self._offsets: list[np.ndarray] = []
        for _ in range(opinions if shown else 1):
            orders = [rng.permutation(len(texts)) for texts in by_class]
            drawn = [[texts[i] for i in order] for texts, order in zip(by_class, orders, strict=True)]
            turns = [(texts[i], label) for i in range(shown) for label, texts in enumerate(drawn)]
            self._heads.append("".join(self._turn(*turns[i]) for i in rng.permutation(len(turns))))
            self._offsets.append(self._calibrate(self._heads[-1], [texts[shown:] for texts in drawn]))

    def _by_class(self, examples: Sequence[tuple[str, int]], demonstrations: int) -> list[list[str]]:
        if unknown := {label for _, label in examples} - set(range(len(self.label_names))):
            raise ValueError(f"examples has the labels {sorted(unknown)}, but label_names={list(self.label_names)}.")
        by_class: list[list[str]] = [[] for _ in self.label_names]
        for text, label in examples:
            by_class[label].append(text)
        if not examples:
            return []
        for name, texts in zip(self.label_names, by_class, strict=True):
            if len(texts) < max(demonstrations, 1):
                raise ValueError(
                    f"demonstrations={demonstrations}, but examples has {len(texts)} of {name!r}: lower it."
                )
        return by_class

    def _first_difference(self) -> tuple[list[int], list[int]]:
        """The tokens that all answers begin with, and for each answer the one that follows."""
        rows = self.tokenizer([f" {one_line(answer)}" for answer in self.answers], add_special_tokens=False)
        ids: list[list[int]] = rows["input_ids"]
        shared = [
            tokens[0] for tokens in itertools.takewhile(lambda tokens: len(set(tokens)) == 1, zip(*ids, strict=False))
        ]
        following = [row[len(shared)] for row in ids if len(row) > len(shared)]
        if len(set(following)) < len(ids):
            raise ValueError(
                f"answers={self.answers} are not told apart by the first token in which they differ: give "
                "answers={label name: word} with words that begin differently."
            )
        return shared, following

    def _turn(self, text: str, label: int) -> str:
        return f"{self._question(text)} {self.answers[label]}\n\n"

    def _question(self, text: str) -> str:
        return fill(self.template, {"text": one_line(text)})

    def _calibrate(self, head: str, by_class: list[list[str]]) -> np.ndarray:
        """The mean log-probability of every answer over as many texts of each class."""
        count = min([len(texts) for texts in by_class] + [_CALIBRATING_TEXTS // len(self.label_names)])
        if not by_class or not count:
            return np.zeros(len(self.label_names))
        return self._log_probabilities(head, [text for texts in by_class for text in texts[:count]]).mean(axis=0)

    def __call__(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """
        The probabilities of the classes.

        Args:
            examples (`Sequence[dict[str, Any]]`):
                Raw examples with the text column.

        Returns:
            `np.ndarray` of shape `(len(examples), len(label_names))`: Rows that sum to 1, in `float64`.
        """
        texts = [example[self.text_column] for example in examples]
        opinions = [
            self._log_probabilities(head, texts) - offset
            for head, offset in zip(self._heads, self._offsets, strict=True)
        ]
        logits = np.mean(opinions, axis=0)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True)) if len(texts) else logits
        return weights / weights.sum(axis=1, keepdims=True)

    def _log_probabilities(self, head: str, texts: Sequence[str]) -> np.ndarray:
        """Of the answers, `(len(texts), num_labels)`, given that it is one of them."""
        result = np.zeros((len(texts), len(self.label_names)))
        if not texts:
            return result
        head_ids = encode_open(self.tokenizer, [head])[0] if head else []
        questions = [self._question(text) for text in texts]
        rows = [row + self._shared_ids for row in encode_open(self.tokenizer, questions, add_special_tokens=not head)]
        room = longest_input(self.model) - len(head_ids)
        if (longest := max(map(len, rows))) > room:
            raise ValueError(
                f"A question of {longest} tokens does not fit into the {room} that the demonstrations leave: lower "
                "`demonstrations`, or cut the texts."
            )
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        with evaluating(self.model):
            cache = self._read(head_ids)
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                logits = self._answer([rows[i] for i in batch], len(head_ids), cache)
                result[batch] = logits[:, self._answer_ids].double().log_softmax(-1).cpu().numpy()
        return result

    def _read(self, head_ids: list[int]) -> DynamicCache | None:
        """What the model remembers of the demonstrations: they are read once, not once for each text."""
        if not head_ids:
            return None
        cache = DynamicCache(config=self.model.config)
        input_ids = torch.tensor([head_ids], device=self.model.device)
        self.model(input_ids=input_ids, use_cache=True, **{self._cache_argument: cache})
        return cache

    def _answer(self, rows: list[list[int]], head_length: int, cache: DynamicCache | None) -> torch.Tensor:
        """The logits after the last token of each row, `(len(rows), vocab_size)`."""
        # Reading on writes into the cache.
        cache = copy.deepcopy(cache)
        if cache is not None:
            cache.batch_repeat_interleave(len(rows))
        input_ids = pad_rows(rows, 0).to(self.model.device)
        mask = pad_rows([[1] * (head_length + len(row)) for row in rows], 0).to(self.model.device)
        ends = torch.tensor([len(row) - 1 for row in rows], device=self.model.device)
        remembered = {self._cache_argument: cache} if cache is not None else {}
        output = self.model(input_ids=input_ids, attention_mask=mask, use_cache=cache is not None, **remembered)
        return output.logits[torch.arange(len(rows)), ends].float()

    def fingerprint(self) -> str:
        """A hash of the weights, the vocabulary, what is asked, the demonstrations and their calibration."""
        facts = [
            weights_fingerprint(self.model),
            sorted(self.tokenizer.get_vocab().items()),
            *(self.template, self.label_names, self.answers, self.text_column, self.batch_size),
            *(self._heads, [offset.tolist() for offset in self._offsets]),
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
