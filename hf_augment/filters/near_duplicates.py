"""Filters that reject what was said before: by the generator, in the training rows, or in the evaluation rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from tqdm.auto import tqdm

from hf_augment.checks import check_number, check_texts, read_texts
from hf_augment.filters.base import Filter, Verdict
from hf_augment.fingerprints import texts_digest
from hf_augment.neighbours.texts import COPY_SIMILARITY, Match, Sketch, TextIndex, sketch_texts


#: From so many texts on, indexing shows its progress.
_SLOW_TO_INDEX = 5_000


class _NearestTextFilter(Filter):
    """Rejects candidates whose similarity to the nearest of some texts reaches the threshold."""

    #: The name of the nearest text in `Verdict.reason`.
    _said_of: ClassVar[str]

    def __init__(self, threshold: float, text_column: str) -> None:
        hint = f"Candidates at least so similar are rejected; {COPY_SIMILARITY} is usual."
        check_number("threshold", threshold, 0.1, 1, hint=hint)
        self.threshold = float(threshold)
        self.text_column = text_column

    def _sketches(self, examples: Sequence[dict[str, Any]]) -> Iterable[Sketch]:
        return sketch_texts(read_texts(examples, self.text_column))

    def _verdict(self, match: Match) -> Verdict:
        reason = f"{match.similarity:.2f} like {self._said_of} {match.opening!r}" if match.similarity else "like none"
        return Verdict(match.similarity < self.threshold, match.similarity, reason)

    def fingerprint(self) -> str:
        return f"{self.name}(threshold={self.threshold}, text_column={self.text_column!r})"


class NearDuplicates(_NearestTextFilter):
    """
    Rejects candidates that nearly repeat an accepted synthetic example, or an earlier candidate of the same call that
    passed this filter. See [`Memorization`] for the training rows.

    The similarity is the Jaccard similarity of the sets of word 3-grams (of single words in texts of fewer than
    three): shared over all (Broder 1997, *On the resemblance and containment of documents*). Case and punctuation do
    not count, symbols do. In scripts without spaces characters are the words ([`~hf_augment.words`]), and Chinese ones
    count singly and in pairs.

    Example:

    ```python
    >>> from hf_augment import NearDuplicates

    >>> texts = ["A dull and clumsy film.", "a dull and clumsy film", "A film to see twice."]
    >>> verdicts = NearDuplicates().judge([{"text": text} for text in texts], labels=[0, 0, 1])
    >>> [verdict.accepted for verdict in verdicts]
    [True, False, True]
    >>> verdicts[1].reason
    "1.00 like an earlier sample 'A dull and clumsy film.'"
    ```

    Args:
        threshold (`float`, *optional*, defaults to `0.7`):
            In `[0.1, 1]`. Candidates with at least this similarity are rejected; 1 rejects only the same word 3-grams.
        text_column (`str`, *optional*, defaults to `"text"`): The column to compare.

    Raises:
        `ValueError`: If `threshold` is out of range.
    """

    name = "near_duplicates"
    _said_of = "an earlier sample"

    def __init__(self, threshold: float = COPY_SIMILARITY, text_column: str = "text") -> None:
        super().__init__(threshold, text_column)
        self.forget()

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        # Not yet remembered: a later filter may reject them.
        passed_here = TextIndex()
        verdicts = []
        for sketch in self._sketches(examples):
            verdict = self._verdict(max(self._accepted.nearest(sketch), passed_here.nearest(sketch)))
            if verdict.accepted:
                passed_here.add([sketch])
            verdicts.append(verdict)
        return verdicts

    def remember(self, examples: Sequence[dict[str, Any]]) -> None:
        self._accepted.add(self._sketches(examples))

    def forget(self) -> None:
        self._accepted = TextIndex()


class _CopyFilter(_NearestTextFilter):
    """Rejects candidates that resemble a row of fixed texts, or were copied out of them, or contain one."""

    _argument: ClassVar[str]

    def __init__(self, texts: Iterable[str], threshold: float, text_column: str) -> None:
        super().__init__(threshold, text_column)
        texts = check_texts(self._argument, texts)
        self._digest = texts_digest(texts)
        progress = tqdm(texts, desc=f"{self.name}: indexing", unit="text", disable=len(texts) <= _SLOW_TO_INDEX)
        self._rows = TextIndex(runs=True)
        self._rows.add(sketch_texts(progress))

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        return [self._verdict(self._rows.nearest(sketch)) for sketch in self._sketches(examples)]

    def fingerprint(self) -> str:
        return f"{super().fingerprint()[:-1]}, {self._argument}={self._digest})"


class Memorization(_CopyFilter):
    """
    Rejects candidates that repeat the training rows, so that what the classifier gets is new.

    The similarity to the training rows is the largest of three shares, each in `[0, 1]`:

    - the Jaccard similarity with one row, as in [`NearDuplicates`];
    - the share of the candidate's word 8-grams that occur in any row. Jaccard similarity cannot see thirty words
      copied out of a review of two hundred (it is 0.15 at most); this share is then 1;
    - the share of one row's word 8-grams that occur in the candidate: a whole row with something added.

    Eight words in a row are hardly ever written twice by chance. "At least 70 % of the 8-grams seen in training" is
    the definition of contamination in Chowdhery et al. 2022 (*PaLM*, section 8). Lee et al. 2022 (*Deduplicating
    training data makes language models better*) find that near-duplicates and exact substrings each catch what the
    other overlooks, hence both. Six Chinese characters, or twelve of another script without spaces, stand for eight
    words ([`~hf_augment.words`]). A text of fewer than eight words is judged by its Jaccard similarity alone.

    Example:

    ```python
    >>> from hf_augment import Memorization

    >>> review = "I saw it twice, and the second half of this long film still made no sense to me. A pity."
    >>> verdicts = Memorization([review, "A dull film."]).judge(
    ...     [{"text": "The second half of this long film still made no sense."}, {"text": "A bright film."}], [0, 1]
    ... )
    >>> [(verdict.accepted, verdict.score) for verdict in verdicts]
    [(False, 1.0), (True, 0.0)]
    ```

    Args:
        train_texts (`Iterable[str]`):
            The texts that the generator was trained on, at least one. 25,000 film reviews take half a minute on one
            core.
        threshold (`float`, *optional*, defaults to `0.7`):
            In `[0.1, 1]`. Candidates with at least this similarity are rejected.
        text_column (`str`, *optional*, defaults to `"text"`): The column of the candidates to compare.

    Raises:
        `ValueError`: If `train_texts` is empty or holds something else than texts, or `threshold` is out of range.
    """

    name = "memorization"
    _said_of = "training row"
    _argument = "train_texts"

    def __init__(
        self, train_texts: Iterable[str], threshold: float = COPY_SIMILARITY, text_column: str = "text"
    ) -> None:
        super().__init__(train_texts, threshold, text_column)


class EvaluationOverlap(_CopyFilter):
    """
    Rejects candidates that repeat rows of the evaluation set: a generator that saw them elsewhere would leak them into
    training, and the measured accuracy would be worth nothing. Compares like [`Memorization`].

    Example:

    ```python
    >>> from hf_augment import EvaluationOverlap

    >>> overlap = EvaluationOverlap(["What a bright and moving film this is."])
    >>> [verdict] = overlap.judge([{"text": "Yes! What a bright and moving film this is."}], labels=[1])
    >>> verdict.reason
    "1.00 like evaluation row 'What a bright and moving film this is.'"
    ```

    Args:
        eval_texts (`Iterable[str]`): The texts of all evaluation sets that will be reported, at least one.
        threshold, text_column (*optional*): As for [`Memorization`].

    Raises:
        `ValueError`: If `eval_texts` is empty or holds something else than texts, or `threshold` is out of range.
    """

    name = "evaluation_overlap"
    _said_of = "evaluation row"
    _argument = "eval_texts"

    def __init__(
        self, eval_texts: Iterable[str], threshold: float = COPY_SIMILARITY, text_column: str = "text"
    ) -> None:
        super().__init__(eval_texts, threshold, text_column)
