"""What is odd about labelled rows, from rules."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from hf_augment.data.cells import NUMBER, SEPARATORS, few, split_cell
from hf_augment.data.opening import Data, texts_of
from hf_augment.data.splits import near_copies, sample_rows
from hf_augment.label_names import readable_name, says_nothing
from hf_augment.words import split_words


#: Texts, of each part, that are looked through.
SEARCHED = 2000
#: How alike the name of a class is to another one of which it may be a misspelling, and how many rows it has of its.
_ALIKE, _FEW = 0.88, 0.05
#: A text gives its label away if so many of a class name it, and so few others do.
_NAMED, _ELSEWHERE, _LEAST = 0.5, 0.05, 5


@dataclass(frozen=True)
class Finding:
    """
    Something odd.

    Args:
        sentence (`str`): What it is, and what to do.
        warns (`bool`, *optional*, defaults to `True`): Whether it may spoil a result; otherwise it is to be known.
    """

    sentence: str
    warns: bool = True

    def __str__(self) -> str:
        return f"{'!' if self.warns else '-'} {self.sentence}"


def find_oddities(data: Data) -> list[Finding]:
    """Returns what is odd about data, warnings first."""
    found = [Finding(sentence) for rule in RULES for sentence in rule(data)]
    found += [Finding(f"{count} row(s) {which}: left out.", warns=False) for which, count in data.left_out.items()]
    numbers = [name for name in data.label_names if says_nothing(name)]
    if numbers and data.kind != "image":
        found.append(
            Finding(f"{few(numbers)} say nothing to a language model: name or describe the classes.", warns=False)
        )
    return found


def _few_rows(data: Data) -> Iterator[str]:
    train, test = data.counts(data.train), data.counts(data.test)
    single = [name for name, a, b in zip(data.label_names, train, test, strict=True) if a + b == 1]
    if single:
        yield f"Of {few(single)} there is one row: nothing can be measured of it. Merge classes, or add rows."
    untested = [name for name, a, b in zip(data.label_names, train, test, strict=True) if not b and a > 1]
    if untested:
        yield f"Of {few(untested)} there is no test row: nothing is measured of it."
    if min(train) * 20 <= max(train) and min(train) > 1:
        low, high = data.label_names[train.index(min(train))], data.label_names[train.index(max(train))]
        yield f"{high!r} has {max(train)} labelled rows, {low!r} {min(train)}: look at each class, not at accuracy."


def _spellings(data: Data) -> Iterator[str]:
    """Names that are one but for case and punctuation, or of a rare class that may be a common one misspelt."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in data.label_names:
        words = "".join(split_words(name.replace("_", " ")))
        same[words if re.search(r"[^\W\d_]", name) else name].append(name)  # -1 is not 1.
    if twice := [" and ".join(map(repr, names)) for names in same.values() if len(names) > 1]:
        yield f"One class in several spellings: {'; '.join(twice[:5])}. Correct the file, or pass label_map."
    counts = dict(zip(data.label_names, data.counts(data.train), strict=True))
    for name in data.label_names:
        others = [o for o in data.label_names if counts[name] <= _FEW * counts[o] and _digits(o) == _digits(name)]
        for near in difflib.get_close_matches(name, others, 1, _ALIKE):
            yield f"{name!r} ({counts[name]} rows) may be {near!r} misspelt: correct the file, or pass label_map."


def _digits(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _written_together(data: Data) -> Iterator[str]:
    names = set(data.label_names)
    for separator in SEPARATORS if not data.several else ():
        if odd := sorted(name for name in names if separator in name and names & {*split_cell(name, separator)}):
            yield f"{few(odd)} look like several labels in one cell: pass --several, or correct them."
    if 0 < sum(NUMBER.fullmatch(name) is not None for name in names) < len(names):
        yield "Some labels are numbers and some are words: are they of one kind?"


def _contradictions(data: Data) -> Iterator[str]:
    if data.contradictory:
        yield f"{data.contradictory} row(s) repeat another one with another label: the first is kept. Correct them."


def _copies(data: Data) -> Iterator[str]:
    """Near copies between train and test, if the test rows were given; a part is made without."""
    if data.kind == "image":
        return
    test = texts_of(sample_rows(data.test, SEARCHED, 0))
    if near := near_copies(test, texts_of(data.train)):
        yield (
            f"{len(near)} of {len(test)} test texts nearly repeat a labelled one, such as {test[near[0]]!r:.80}: "
            "a right answer there says little."
        )


def _given_away(data: Data) -> Iterator[str]:
    """Classes that most of their texts name, and hardly any other."""
    if data.kind == "image" or data.several:
        return
    rows = sample_rows(data.train, SEARCHED, 0)
    texts = [f" {' '.join(split_words(text.replace('_', ' ')))} " for text in texts_of(rows)]
    labels = rows["label"][:]
    given = []
    for number, name in enumerate(data.label_names):
        phrase = f" {' '.join(split_words(readable_name(name)))} "
        own = [phrase in text for text, label in zip(texts, labels, strict=True) if label == number]
        others = [phrase in text for text, label in zip(texts, labels, strict=True) if label != number]
        if len(own) >= _LEAST and sum(own) >= _NAMED * len(own) and sum(others) <= _ELSEWHERE * len(others):
            given.append(name)
    if given:
        yield f"Most texts of {few(given)} have its name in them: does the text give its label away?"


RULES = (_few_rows, _spellings, _written_together, _contradictions, _copies, _given_away)
