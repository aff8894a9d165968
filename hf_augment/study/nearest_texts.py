"""Measures how much synthetic texts repeat of the labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_augment.neighbours.texts import COPY_SIMILARITY, TextIndex, sketch_texts
from hf_augment.synthesis.shards import ShardStore


class NearestTexts:
    """Finds the labelled text that another one repeats most, by the similarity of [`Memorization`]."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self._index = TextIndex(runs=True)
        self._index.add(sketch_texts(self.texts))

    def __call__(self, examples: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
        """
        The labelled text nearest to each example and their similarity in `[0, 1]`; an empty text and 0 if they have
        nothing in common with any.
        """
        matches = map(self._index.nearest, sketch_texts(example["text"] for example in examples))
        return [(self.texts[match.row] if match.similarity else "", round(match.similarity, 3)) for match in matches]


def memorization(nearest: NearestTexts, store: ShardStore, others: Sequence[str]) -> dict[str, float]:
    """
    Measures how much the accepted texts of a store repeat of the labelled ones, beside `others`, real texts that
    nobody was trained on: similarities in `[0, 1]` and shares; empty without an accepted text.
    """
    texts = [example for index in store.indices() for example in store.read(index).examples]
    if not texts:
        return {}
    synthetic = np.array([value for _, value in nearest(texts)])
    real = np.array([value for _, value in nearest([{"text": text} for text in others])])
    return {
        "examples": len(texts),
        "mean share repeated of a labelled text": round(float(synthetic.mean()), 3),
        "the same for test texts": round(float(real.mean()), 3),
        "largest share": round(float(synthetic.max()), 3),
        f"share of copies (from {COPY_SIMILARITY})": round(float((synthetic >= COPY_SIMILARITY).mean()), 4),
    }
