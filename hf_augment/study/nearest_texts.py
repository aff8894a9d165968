"""How near synthetic texts come to the labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from hf_augment.reporting.samples import COPY
from hf_augment.synthesis.shards import ShardStore


class NearestTexts:
    """
    Finds the labelled text that is most like another one, by the cosine of TF-IDF weights of words and pairs of words.

    Example:

    ```python
    >>> from hf_augment.study.nearest_texts import NearestTexts
    >>> nearest = NearestTexts(["a dull plot", "a moving film"])
    >>> nearest([{"text": "A moving film!"}])
    [('a moving film', 1.0)]
    ```

    Args:
        texts (`Sequence[str]`):
            The labelled texts.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        # By default words of one letter do not count, and texts of none but such would be no vocabulary.
        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)
        self._vectors = self._vectorizer.fit_transform(self.texts)

    def __call__(self, examples: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
        """The nearest labelled text of each example, and its similarity in `[0, 1]`."""
        if not examples:
            return []
        found = self._vectorizer.transform([example["text"] for example in examples]) @ self._vectors.T
        best, near = found.argmax(axis=1), found.max(axis=1).toarray()
        return [
            (self.texts[int(i)], round(min(float(value), 1.0), 3))
            for i, value in zip(np.asarray(best).ravel(), near.ravel(), strict=True)
        ]


def memorization(nearest: NearestTexts, store: ShardStore, others: Sequence[str]) -> dict[str, float]:
    """
    How near the accepted texts come to the labelled ones, beside real texts that nobody was trained on.

    Args:
        nearest (`NearestTexts`):
            Of the labelled texts.
        store ([`~hf_augment.synthesis.ShardStore`]):
            Of the synthetic ones.
        others (`Sequence[str]`):
            Real texts.

    Returns:
        `dict[str, float]`: Similarities in `[0, 1]` and shares; empty without an accepted text.
    """
    texts = [example for index in store.indices() for example in store.read(index).examples]
    if not texts:
        return {}
    synthetic = np.array([value for _, value in nearest(texts)])
    real = np.array([value for _, value in nearest([{"text": text} for text in others])])
    return {
        "examples": len(texts),
        "mean similarity to the nearest labelled text": round(float(synthetic.mean()), 3),
        "the same for test texts": round(float(real.mean()), 3),
        "highest similarity": round(float(synthetic.max()), 3),
        f"share of copies (similarity from {COPY})": round(float((synthetic >= COPY).mean()), 4),
    }
