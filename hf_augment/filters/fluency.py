"""Filters for how a text reads: countable things, and how surprised a language model is."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hf_augment.checks import check_number, read_texts
from hf_augment.filters.acceptance import Acceptance, check_target_acceptance
from hf_augment.filters.base import Filter, Verdict
from hf_augment.fingerprints import callable_fingerprint
from hf_augment.words import Kind, kind_of, split_words


#: Below this many words, repetition is counted in pairs: "good good good" has a single triple.
_SHORT = 10
#: Stands for infinity and NaN, of which JSON knows neither: exp of it is still finite.
_WORST_NLL = 700.0


def repetition(words: Sequence[str]) -> float:
    """
    The share of word triples (of pairs in fewer than ten words) that repeat an earlier one. Three characters of Thai
    or Kana count as one word, since they alone are repeated in any text.

    It is seq-rep-n of Welleck et al. 2020, *Neural text generation with unlikelihood training*:
    `1 - distinct n-grams / n-grams`.
    """
    size = 2 if len(words) < _SHORT else 3
    sizes = [size * 3 if kind_of(word) is Kind.LETTER else size for word in words]
    grams = [tuple(words[start : start + size]) for start, size in enumerate(sizes) if start + size <= len(words)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def letter_share(text: str) -> float:
    """The share of characters that are letters of any script, their marks, or white space; 0 for an empty text."""
    text = unicodedata.normalize("NFC", text)
    letters = sum(character.isspace() or unicodedata.category(character)[0] in "LM" for character in text)
    return letters / len(text) if text else 0.0


class Fluency(Filter):
    """
    Rejects what is too short, too long, repeats itself or is not made of words.

    It knows nothing of grammar or sense (see [`Perplexity`]), but costs nothing and stops the usual accidents of
    sampling: empty texts, loops, rows of dots and tags. `Verdict.score` is the first measure that is out of bounds, or
    the repetition of a text that is accepted.

    Example:

    ```python
    >>> from hf_augment import Fluency

    >>> texts = ["A film to see twice.", "good good good good", "!!! ??? ... a b c ***"]
    >>> [verdict.reason for verdict in Fluency().judge([{"text": text} for text in texts], labels=[1, 1, 0])]
    ['fluent', 'repetition 0.67 is above 0.3', 'letters 0.43 is below 0.6']
    ```

    Args:
        min_words (`int`, *optional*, defaults to `3`):
            Zero or more. Words are runs of letters, marks and digits; in scripts without spaces, characters
            ([`~hf_augment.words`]).
        max_words (`int`, *optional*): At least `min_words`. Without it no text is too long.
        max_repetition (`float`, *optional*, defaults to `0.3`): Largest [`repetition`], in `[0, 1]`.
        min_letters (`float`, *optional*, defaults to `0.6`): Smallest [`letter_share`], in `[0, 1]`.
        text_column (`str`, *optional*, defaults to `"text"`): The column to read.

    Raises:
        `ValueError`: If an argument is out of range.
    """

    name = "fluency"

    def __init__(
        self,
        min_words: int = 3,
        max_words: int | None = None,
        max_repetition: float = 0.3,
        min_letters: float = 0.6,
        text_column: str = "text",
    ) -> None:
        check_number("min_words", min_words, 0, whole=True, hint="Shorter texts are rejected.")
        if max_words is not None:
            check_number("max_words", max_words, min_words, whole=True, hint="Give None to allow any length.")
        check_number("max_repetition", max_repetition, 0, 1, hint="It is a share; 1 allows any.")
        check_number("min_letters", min_letters, 0, 1, hint="It is a share; 0 allows any.")
        self.min_words = min_words
        self.max_words = max_words
        self.max_repetition = float(max_repetition)
        self.min_letters = float(min_letters)
        self.text_column = text_column

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        return [self._judge_text(text) for text in read_texts(examples, self.text_column)]

    def _judge_text(self, text: str) -> Verdict:
        words = split_words(text)
        repeated, letters = repetition(words), letter_share(text)
        if len(words) < self.min_words:
            return Verdict(False, float(len(words)), f"{len(words)} words is below {self.min_words}")
        if self.max_words is not None and len(words) > self.max_words:
            return Verdict(False, float(len(words)), f"{len(words)} words is above {self.max_words}")
        if repeated > self.max_repetition:
            return Verdict(False, repeated, f"repetition {repeated:.2f} is above {self.max_repetition}")
        if letters < self.min_letters:
            return Verdict(False, letters, f"letters {letters:.2f} is below {self.min_letters}")
        return Verdict(True, repeated, "fluent")

    def fingerprint(self) -> str:
        return (
            f"{self.name}(words={self.min_words}-{self.max_words}, max_repetition={self.max_repetition}, "
            f"min_letters={self.min_letters}, text_column={self.text_column!r})"
        )


class Perplexity(Filter):
    """
    Rejects candidates that surprise a language model: exp of the mean negative log-likelihood of their tokens.

    Low perplexity is no proof of quality; loops have the lowest of all (Holtzman et al. 2020, *The curious case of
    neural text degeneration*), so use it after [`Fluency`].

    Example:

    ```python
    >>> import math
    >>> from hf_augment import Perplexity

    >>> scorer = lambda examples, labels: [math.log(10) if "film" in e["text"] else math.log(90) for e in examples]
    >>> perplexity = Perplexity(scorer, max_perplexity=50)
    >>> verdicts = perplexity.judge([{"text": "A bright film."}, {"text": "Bright a of."}], labels=[1, 1])
    >>> [(verdict.accepted, verdict.reason) for verdict in verdicts]
    [(True, 'perplexity 10'), (False, 'perplexity 90')]
    ```

    Args:
        scorer (`Callable`):
            Takes examples and labels and returns for each the mean negative log-likelihood per token, in nats, such as
            the `negative_log_likelihood` of a causal language model generator. NaN, of a text without tokens, counts
            as the worst. Its `fingerprint()`, or that of the object whose method it is, becomes part of the filter's;
            without one, it is known by its name only.
        max_perplexity (`float`, *optional*):
            One or more. Candidates above it are rejected. Exactly one of this and `target_acceptance` is needed.
        target_acceptance (`float`, *optional*):
            In `(0, 1]`. Accepts this share of each call's candidates, the best ones; see [`Acceptance`].

    Raises:
        `ValueError`: If not exactly one of the two is given or it is out of range; from `judge`, if the scorer returns
            another number of values than it was given examples, or negative ones.
    """

    name = "perplexity"

    def __init__(
        self,
        scorer: Callable[[Sequence[dict[str, Any]], Sequence[int]], ArrayLike],
        max_perplexity: float | None = None,
        target_acceptance: float | None = None,
    ) -> None:
        if not callable(scorer):
            raise ValueError(
                f"`scorer` must be callable, but is {scorer!r}. Give for example `generator.negative_log_likelihood`."
            )
        check_target_acceptance("max_perplexity", max_perplexity, target_acceptance)
        threshold = None
        if target_acceptance is None:
            hint = "Give it, or `target_acceptance`, the share of candidates to accept."
            check_number("max_perplexity", max_perplexity, 1, hint=hint)
            threshold = -float(max_perplexity)  # type: ignore[arg-type]
        self.scorer = scorer
        self.acceptance = Acceptance(threshold, target_acceptance)

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        if not examples:
            return []
        nll = np.asarray(self.scorer(examples, labels), dtype=np.float64)
        if nll.shape != (len(examples),):
            raise ValueError(
                f"`scorer` must return {len(examples)} values, one per example, but its shape is {nll.shape}."
            )
        nll = np.minimum(np.nan_to_num(nll, nan=_WORST_NLL, posinf=_WORST_NLL), _WORST_NLL)
        if nll.min() < 0:
            raise ValueError(
                f"`scorer` must return negative log-likelihoods, zero or more, but the least is {nll.min():.3f}. "
                "Change the sign of log-likelihoods."
            )
        perplexities = np.exp(nll)
        return [
            Verdict(bool(accepted), float(perplexity), f"perplexity {perplexity:.4g}")
            for accepted, perplexity in zip(self.acceptance.choose(-perplexities), perplexities, strict=True)
        ]

    def fingerprint(self) -> str:
        return f"{self.name}({self.acceptance}, scorer={callable_fingerprint(self.scorer)})"
