"""An exact index of texts by their n-grams, which tells the text that another one repeats."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hf_augment.words import Kind, kind_of, opening, split_units


#: From this similarity on a text counts as a copy of another one, unless a user says otherwise.
COPY_SIMILARITY = 0.7
#: Words of a text that are quoted.
_QUOTED = 8
#: Units in the shingles that begin with each kind of unit. A Chinese word has one or two characters; with three in a
#: shingle, one changed character in twelve would already make another text of a clause.
_SHINGLES = {Kind.WORD: (3,), Kind.IDEOGRAPH: (1, 2), Kind.LETTER: (3,)}
#: The same in a text of fewer than three units.
_SHORT_SHINGLES = {Kind.WORD: (1,), Kind.IDEOGRAPH: (1, 2), Kind.LETTER: (1,)}
#: Units in a run that counts as copied: about four words in scripts without spaces, where clauses are short.
_RUNS = {Kind.WORD: (8,), Kind.IDEOGRAPH: (6,), Kind.LETTER: (12,)}

#: Odd, so that multiplying by it loses nothing modulo 2**64.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C17)


class Match(NamedTuple):
    """The similarity to the nearest text, in [0, 1], with its number and its opening."""

    similarity: float
    row: int
    opening: str


NO_MATCH = Match(0.0, -1, "")


class Sketch(NamedTuple):
    """The parts of a text that are compared: its distinct shingles and runs, as sorted hashes."""

    opening: str
    shingles: np.ndarray
    runs: np.ndarray


def sketch_texts(texts: Iterable[str]) -> Iterator[Sketch]:
    """Makes one sketch for each text."""
    for text in texts:
        hashes, kinds = map(np.array, zip(*map(_hash_unit, split_units(text)), strict=True))
        shingles = _grams(hashes, kinds, _SHINGLES if len(hashes) >= 3 else _SHORT_SHINGLES)
        yield Sketch(opening(text, _QUOTED), shingles, _grams(hashes, kinds, _RUNS))


@lru_cache(maxsize=2**17)
def _hash_unit(unit: str) -> tuple[np.uint64, Kind]:
    """A 64-bit hash, the same in every process, and the kind of the unit."""
    digest = hashlib.blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little")), kind_of(unit)


def _grams(hashes: np.ndarray, kinds: np.ndarray, sizes: Mapping[Kind, tuple[int, ...]]) -> np.ndarray:
    """The distinct n-grams of a sequence, as sorted hashes; `sizes` by the kind of the unit that they begin with."""
    parts = []
    for size in {size for of_kind in sizes.values() for size in of_kind}:
        begins = np.isin(kinds, [kind for kind, of_kind in sizes.items() if size in of_kind])
        grams = np.zeros(max(len(hashes) - size + 1, 0), dtype=np.uint64)
        for offset in range(size):  # Horner's scheme at all positions at once; uint64 arrays wrap around silently
            grams = grams * _MULTIPLIER + hashes[offset : offset + len(grams)]
        parts.append(grams[begins[: len(grams)]])
    return np.unique(np.concatenate(parts))


class _Block(NamedTuple):
    """Some rows' grams in ascending order, the row of each, counted from `first`, and each row's number of grams."""

    grams: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray
    first: int


class Shared(NamedTuple):
    """
    The result of looking up a set of grams: whether each is there at all; the rows that hold some, ascending, the
    number of them that each row holds, and the number of all its grams.
    """

    held: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    sizes: np.ndarray


class _Postings:
    """The rows that hold a gram. Blocks at least double in size, so that adding a row costs little."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._count = 0

    def add(self, sets: Sequence[np.ndarray]) -> None:
        """Adds rows, each a set of grams."""
        sizes = np.array([grams.size for grams in sets])
        rows = np.repeat(np.arange(len(sets), dtype=np.int32), sizes)
        parts = [_Block(np.concatenate(sets), rows, sizes, self._count)]
        self._count += len(sets)
        while self._blocks and self._blocks[-1].grams.size <= sum(part.grams.size for part in parts):
            parts.insert(0, self._blocks.pop())
        first = parts[0].first
        grams = np.concatenate([part.grams for part in parts])
        rows = np.concatenate([part.rows + np.int32(part.first - first) for part in parts])
        order = np.argsort(grams, kind="stable")
        self._blocks.append(_Block(grams[order], rows[order], np.concatenate([part.sizes for part in parts]), first))

    def shared(self, grams: np.ndarray) -> Shared:
        """Looks up a set of grams."""
        held = np.zeros(grams.size, dtype=bool)
        parts = [(np.empty(0, dtype=np.int64),) * 3]
        for block in self._blocks:
            left, right = (np.searchsorted(block.grams, grams, side) for side in ("left", "right"))
            held |= right > left
            hits = [block.rows[a:b] for a, b in zip(left, right, strict=True) if a < b]
            if hits:
                counts = np.bincount(np.concatenate(hits))
                rows = np.flatnonzero(counts)
                parts.append((rows + block.first, counts[rows], block.sizes[rows]))
        return Shared(held, *map(np.concatenate, zip(*parts, strict=True)))


class TextIndex:
    """
    Finds the text that another one repeats. Everything is compared with everything, so no pair is overlooked.

    Two texts are as similar as the Jaccard similarity of their shingles: shared over all. It is blind to what was
    copied between texts of different lengths: thirty words out of a review of two hundred share every shingle with it
    and still have a similarity of 0.15. With `runs`, the similarity is the largest of three shares: that one; the
    share of the text's runs of eight words that are in any row; the share of one row's runs that are in the text.

    Example:

    ```python
    >>> from hf_augment.neighbours.texts import TextIndex, sketch_texts

    >>> index = TextIndex()
    >>> index.add(sketch_texts(["a film to see twice", "a dull and clumsy film"]))
    >>> [match] = map(index.nearest, sketch_texts(["A dull and clumsy plot."]))
    >>> match
    Match(similarity=0.5, row=1, opening='a dull and clumsy film')
    ```

    Args:
        runs (`bool`, *optional*, defaults to `False`): Whether runs of units count too.
    """

    def __init__(self, runs: bool = False) -> None:
        self._openings: list[str] = []
        self._shingles = _Postings()
        self._runs = _Postings() if runs else None

    def add(self, sketches: Iterable[Sketch]) -> None:
        """Adds texts, which are numbered from 0 in the order in which they are added."""
        sketches = list(sketches)
        if not sketches:
            return
        self._openings += [sketch.opening for sketch in sketches]
        self._shingles.add([sketch.shingles for sketch in sketches])
        if self._runs is not None:
            self._runs.add([sketch.runs for sketch in sketches])

    def nearest(self, sketch: Sketch) -> Match:
        """The most similar text, of equals the first; `NO_MATCH` if none shares a shingle or run with it."""
        _, rows, counts, sizes = self._shingles.shared(sketch.shingles)
        found = _largest(rows, counts / (sizes + sketch.shingles.size - counts))
        if self._runs is not None:
            held, rows, counts, sizes = self._runs.shared(sketch.runs)
            found = max(found, _largest(rows, counts / sizes), key=lambda match: match[0])
            if held.any() and held.mean() > found[0]:
                found = float(held.mean()), _largest(rows, counts)[1]
        return Match(*found, self._openings[found[1]]) if found[0] else NO_MATCH


def _largest(rows: np.ndarray, values: np.ndarray) -> tuple[float, int]:
    """The largest value and its row, of equals the first."""
    if not rows.size:
        return 0.0, -1
    best = values.argmax()
    return float(values[best]), int(rows[best])
