"""Texts as sets of hashed word n-grams, and two indexes over many of them: who is alike, and who was copied from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from datasketch import MinHash, MinHashLSH


#: Words in a shingle, for how alike two texts are.
SHINGLE_WORDS = 3
#: Words in a run that counts as copied; see `CopiedRuns`.
RUN_WORDS = 8

_PERMUTATIONS = 64
#: The largest share of pairs at exactly the threshold that the buckets may overlook.
_MISS_RATE = 0.002
#: Odd, so that multiplying by it loses nothing modulo 2**64.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C17)


class Match(NamedTuple):
    """How similar the nearest text is, in [0, 1], and how it begins."""

    similarity: float
    opening: str


NO_MATCH = Match(0.0, "")


def split_words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits: case and punctuation do not make a text another one."""
    return re.findall(r"\w+", text.lower())


@lru_cache(maxsize=2**17)
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def hash_words(words: list[str]) -> np.ndarray:
    """A 64-bit hash for each word, the same in every process."""
    return np.fromiter(map(_word_hash, words), dtype=np.uint64, count=len(words))


def join_ngrams(hashes: np.ndarray, size: int) -> np.ndarray:
    """The distinct n-grams of a sequence of hashes, as sorted hashes themselves; empty for a shorter sequence."""
    count = max(len(hashes) - size + 1, 0)
    grams = np.zeros(count, dtype=np.uint64)
    for offset in range(size):  # Horner's scheme at all positions at once; uint64 arrays wrap around silently
        grams = grams * _MULTIPLIER + hashes[offset : offset + count]
    return np.unique(grams)


class Sketch(NamedTuple):
    """What is compared of one text."""

    opening: str
    shingles: np.ndarray
    runs: np.ndarray
    minhash: MinHash


def sketch_texts(texts: Iterable[str]) -> Iterator[Sketch]:
    """One sketch for each text. A text too short for a shingle is the set of its words."""
    # The shingles are hashes already; MinHash permutes 32-bit numbers.
    empty = MinHash(num_perm=_PERMUTATIONS, seed=1, hashfunc=int)
    for text in texts:
        hashes = hash_words(split_words(text))
        shingles = join_ngrams(hashes, SHINGLE_WORDS if len(hashes) >= SHINGLE_WORDS else 1)
        minhash = empty.copy()
        minhash.update_batch((shingles >> np.uint64(32)).tolist())
        yield Sketch(" ".join(text.split()[:RUN_WORDS]), shingles, join_ngrams(hashes, RUN_WORDS), minhash)


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """Shared over all, of two arrays of distinct values; 1 for two empty ones."""
    shared = np.intersect1d(first, second, assume_unique=True).size
    union = first.size + second.size - shared
    return shared / union if union else 1.0


def rows_per_band(threshold: float) -> int:
    """
    The longest LSH bands that still find a pair at the threshold with probability 0.998.

    `bands` bands of `rows` rows overlook a pair of Jaccard similarity `s` with probability `(1 - s**rows)**bands`
    (Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, section 3.4).
    """
    fits = [r for r in range(1, _PERMUTATIONS // 2 + 1) if (1 - threshold**r) ** (_PERMUTATIONS // r) <= _MISS_RATE]
    return max(fits)


class AlikeTexts:
    """
    Finds the text with the highest Jaccard similarity: MinHash buckets propose, the exact similarity decides.

    So nothing below the threshold is ever taken for above it, and a pair at the threshold is overlooked twice in a
    thousand; equal texts never are.

    Args:
        threshold (`float`):
            In `[0.1, 1]`. Texts less similar than this need not be found.
    """

    def __init__(self, threshold: float) -> None:
        rows = rows_per_band(threshold)
        self._buckets = MinHashLSH(num_perm=_PERMUTATIONS, params=(_PERMUTATIONS // rows, rows))
        self._openings: list[str] = []
        self._shingles: list[np.ndarray] = []

    def add(self, sketch: Sketch) -> None:
        """Adds one text."""
        self._buckets.insert(len(self._openings), sketch.minhash, check_duplication=False)
        self._openings.append(sketch.opening)
        self._shingles.append(sketch.shingles)

    def nearest(self, sketch: Sketch) -> Match:
        """The most similar text, of equals the first added, or `NO_MATCH`."""
        rows = sorted(self._buckets.query(sketch.minhash))
        matches = (Match(jaccard(sketch.shingles, self._shingles[row]), self._openings[row]) for row in rows)
        return max(matches, key=lambda match: match.similarity, default=NO_MATCH)


class CopiedRuns:
    """
    Finds what was copied word for word between texts of different lengths, where Jaccard similarity is blind: thirty
    words out of a review of two hundred share every shingle with it and still have a similarity of 0.15.

    Args:
        sketches (`Iterable[Sketch]`):
            The texts to search.
    """

    def __init__(self, sketches: Iterable[Sketch]) -> None:
        kept = [(sketch.opening, sketch.runs) for sketch in sketches]
        self._openings = [opening for opening, _ in kept]
        self._sizes = np.array([runs.size for _, runs in kept])
        runs = np.concatenate([runs for _, runs in kept])
        order = np.argsort(runs, kind="stable")
        self._runs = runs[order]
        self._rows = np.repeat(np.arange(len(kept), dtype=np.int32), self._sizes)[order]

    def nearest(self, sketch: Sketch) -> Match:
        """
        The larger of two shares: of the text's runs that are in any row, and of one row's runs that are in the text.
        """
        left = np.searchsorted(self._runs, sketch.runs, "left")
        right = np.searchsorted(self._runs, sketch.runs, "right")
        found = right > left
        if not found.any():
            return NO_MATCH
        rows = np.concatenate([self._rows[a:b] for a, b in zip(left[found], right[found], strict=True)])
        shared = np.bincount(rows, minlength=self._sizes.size)
        inside = shared / np.maximum(self._sizes, 1)
        copied = float(found.mean())
        if inside.max() > copied:
            return Match(float(inside.max()), self._openings[inside.argmax()])
        return Match(copied, self._openings[shared.argmax()])
