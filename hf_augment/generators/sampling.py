"""Drawing completions: the settings, the draw itself, and the end of an unfinished completion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
import torch
from transformers import LogitsProcessor

from hf_augment.words import drop_last


#: Random numbers that are drawn together for a row.
_DRAWN_AT_ONCE = 2048

_CLOSING = r"[\p{Pe}\p{Pf}\"']*"
#: A terminal mark of Unicode with what belongs to it and what closes after it. A space follows those that are written
#: with one, which `3.5` lacks; German closes with what opens elsewhere, and French after a space.
_SENTENCE_END = regex.compile(
    rf"[\p{{Sentence_Terminal}}…]+\p{{M}}*(?:{_CLOSING}(?:\p{{Pi}}|\s»)?(?=\s|$)|(?<![.!?…]\p{{M}}*){_CLOSING})"
)


@dataclass(frozen=True)
class SamplingConfig:
    """
    Settings for sampling texts from a language model.

    Args:
        max_new_tokens (`int`, *optional*, defaults to 64):
            The most tokens of a completion; at least 1. Near the 95th percentile of the real texts is best: on a GPU
            every completion of a batch takes as long as the longest.
        temperature (`float`, *optional*, defaults to 1.0):
            Divides the logits; above 0. Below 1 texts are safer and more alike.
        top_k (`int`, *optional*, defaults to 50):
            Draws from the `top_k` likeliest tokens. 0 draws from all of them, which is slower.
        top_p (`float`, *optional*, defaults to 1.0):
            Draws from the likeliest tokens that together have this probability, after `temperature` and `top_k`; in
            (0, 1].
        batch_size (`int`, *optional*, defaults to 64):
            Number of texts made at once; at least 1. Large batches are what makes generation cheap.
        cut_at_sentence_end (`bool`, *optional*, defaults to `True`):
            Whether a text that reached `max_new_tokens` is cut after its last whole sentence. If `False`, or where no
            sentence ends, only its last word is dropped, which may be half of one (in scripts without spaces, its last
            character).

    Raises:
        `ValueError`: If a value is out of its range.
    """

    max_new_tokens: int = 64
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    batch_size: int = 64
    cut_at_sentence_end: bool = True

    def __post_init__(self) -> None:
        for name, lowest in (("max_new_tokens", 1), ("top_k", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < lowest:
                raise ValueError(f"{name}={value!r} must be an integer of at least {lowest}.")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature={self.temperature!r} must be above 0. For the likeliest token use top_k=1.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p!r} must be in (0, 1]. Use 1.0 to turn it off.")


class GumbelSampler(LogitsProcessor):
    """
    Makes greedy decoding an exact sample in which each row draws from a generator of its own.

    The argmax of logits plus Gumbel noise is distributed like their softmax (the Gumbel-max trick: [A* Sampling,
    Maddison et al. 2014](https://arxiv.org/abs/1411.0030)). `generate(do_sample=True)` would draw from the process's
    global random state instead, which a classifier that trains at the same time also draws from, and one stream for
    all rows would make a text depend on how many others are made with it.

    The warpers are applied here, not before: noise and `top_p` then cost `top_k` values a row, not a vocabulary.

    Args:
        config (`SamplingConfig`):
            Its `temperature`, `top_k` and `top_p` are used.
        rngs (`Sequence[np.random.Generator]`):
            One for each row of the batch, on the CPU, so that a GPU draws the same noise.
    """

    def __init__(self, config: SamplingConfig, rngs: Sequence[np.random.Generator]) -> None:
        self.config = config
        self.rngs = rngs
        self._noise: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """
        Args:
            input_ids (`torch.Tensor` of shape `(batch_size, length)`):
                Unused.
            scores (`torch.Tensor` of shape `(batch_size, vocab_size)`):
                Logits.

        Returns:
            `torch.Tensor` of shape `(batch_size, vocab_size)`: `scores`, changed in place to infinity at the token
            drawn: no second tensor of that size is written.
        """
        values, tokens = self._candidates(scores)
        choice = (values + self._draw(values)).argmax(-1, keepdim=True)
        if tokens is not None:
            choice = tokens.gather(-1, choice)
        return scores.scatter_(-1, choice, float("inf"))

    def select(self, rows: torch.Tensor) -> None:
        """Goes on with some rows of the batch, given by their indices."""
        self.rngs = [self.rngs[row] for row in rows.tolist()]
        self._noise = [noise[rows] for noise in self._noise]

    def _draw(self, values: torch.Tensor) -> torch.Tensor:
        """Noise for one token of each row, drawn for several at once: a call for each row and token would be felt."""
        if not self._noise:
            shape = (max(1, _DRAWN_AT_ONCE // values.shape[1]), values.shape[1])
            drawn = np.stack([rng.standard_exponential(shape, dtype=np.float32) for rng in self.rngs], axis=1)
            # Minus the logarithm of an exponential variable is a Gumbel one. Noise of infinity on a token that was
            # ruled out would be NaN, which argmax prefers.
            noise = torch.from_numpy(drawn).clamp_(min=1e-30).log_().neg_().to(values.device)
            self._noise = [*noise.flip(0)]
        return self._noise.pop()

    def _candidates(self, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits that may be drawn, by temperature, and their tokens where they are not in the vocabulary's order."""
        config = self.config
        if not config.top_k and config.top_p == 1:
            return scores.float() / config.temperature, None
        values, tokens = scores.topk(min(config.top_k or scores.shape[-1], scores.shape[-1]))
        values = values.float() / config.temperature
        if config.top_p < 1:
            probabilities = values.softmax(-1)
            # A token goes when those ahead of it have `top_p` already, so that the first always stays.
            ahead = probabilities.cumsum(-1) - probabilities
            values = values.masked_fill(ahead >= config.top_p, -float("inf"))
        return values, tokens


def pad_rows(rows: Sequence[Sequence[int]], value: int, *, left: bool = False) -> torch.Tensor:
    """Rows of token ids as one `(len(rows), longest)` tensor, filled with `value`."""
    width = max(map(len, rows))
    fillers = [[value] * (width - len(row)) for row in rows]
    return torch.tensor([[*f, *row] if left else [*row, *f] for f, row in zip(fillers, rows, strict=True)])


def cut_unfinished(text: str, at_sentence_end: bool) -> str:
    """
    Ends a text that was broken off: after its last whole sentence, else before its last word (its last character, in
    scripts without spaces). What ends a sentence is Unicode's `Sentence_Terminal`, so `。`, `।` and `؟` do.

    Example:

    ```python
    >>> cut_unfinished("A moving film. The cast is sup", at_sentence_end=True)
    'A moving film.'
    >>> cut_unfinished("a moving film with a sup", at_sentence_end=True)
    'a moving film with a'
    >>> cut_unfinished("很好看。演员", at_sentence_end=True)
    '很好看。'
    ```
    """
    if at_sentence_end and (ends := [match.end() for match in _SENTENCE_END.finditer(text)]):
        return text[: ends[-1]]
    return drop_last(text)
