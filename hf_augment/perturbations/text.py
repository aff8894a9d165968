"""Noise in texts for tests of robustness: seeded, in five severities, without a download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import regex

from hf_augment.perturbations.text_tables import DISTRACTORS, FORMS, NEIGHBOURS, OTHER_FORM
from hf_augment.seeding import derive_rng


class _Kind(NamedTuple):
    """The share of spots to change at severity 1 to 5, where the spots are, and what may be put at one of them."""

    shares: tuple[float, ...]
    spots: Any  # A compiled pattern.
    variants: Callable[[Any], Sequence[str]]


def perturb_texts(texts: Sequence[str], name: str, severity: int, seed: int = 0) -> list[str]:
    """
    Texts with noise of one kind, to test a classifier on; not for training.

    Example:

    ```python
    >>> from hf_augment.perturbations.text import perturb_texts
    >>> perturb_texts(["A film that is not without its charming moments."], "keyboard_typos", 4)
    ['A film that is not wothout its chatming miments.']
    >>> perturb_texts(["A film that is not without its charming moments."], "contractions", 5)
    ["A film that's not without its charming moments."]
    ```

    The table has the share of words (or of what else is named) that is changed at severity 1 to 5. It is met on
    average, so that a short text may stay as it is. A higher severity changes what a lower one did, and more. The
    first four kinds change one letter within a word of four letters or more and keep its ends, which people read
    without effort. The shares are choices of this package, between one or two letters of a sentence (Pruthi et al.
    2019, by an adversary) and one of every word (Belinkov and Bisk 2018).

    | name | what happens | shares |
    |---|---|---|
    | `keyboard_typos` | a letter becomes one whose key touches its own (QWERTY) | such words: 10, 20, 40, 60, 80 % |
    | `character_swaps` | two neighbouring letters change places | the same |
    | `character_deletions` | a letter is missing | the same |
    | `character_repetition` | a letter stands there two to four times | the same |
    | `case` | a word becomes upper case, or lower case if it was upper | words: 10, 20, 40, 70, 100 % |
    | `contractions` | "do not" becomes "don't" and "don't" "do not" (English) | places: 20, 40, 60, 80, 100 % |
    | `punctuation` | marks after a word are lost, or a comma or point comes | ends of words: 5, 10, 20, 35, 50 % |
    | `whitespace` | a gap is lost, doubled, or one letter late | gaps: 5, 10, 20, 35, 50 % |
    | `word_drop` | a word is missing | words: 5, 10, 20, 30, 40 % |
    | `distractor_sentence` | sentences such as "A week has seven days." follow (English) | 1, 2, 3, 4, 5 of them |

    Distraction follows Naik et al. 2018, who append "and true is true" once or five times; a classifier that cuts long
    texts does not see what is appended. `word_drop` may take away what the label rests on, such as a "not": its last
    severities say how far a classifier falls, not how far it should. `case` does not reach a model whose tokenizer
    lowers all text, and many texts have no place for `contractions`.

    Args:
        texts (`Sequence[str]`): No text becomes empty, and no character of several code points is taken apart.
        name (`str`): One of `TEXT_PERTURBATIONS`.
        severity (`int`): From 1 to 5.
        seed (`int`, *optional*, defaults to 0):
            The result for text `i` depends on `seed`, `name`, `severity`, `i` and the text alone.

    Returns:
        `list[str]`: As many texts, in their order.

    Raises:
        ValueError: If there is no perturbation of that name, `severity` is not from 1 to 5, or a text is no `str`.
    """
    if name not in TEXT_PERTURBATIONS:
        raise ValueError(f"name={name!r} is no perturbation of texts: choose one of {list(TEXT_PERTURBATIONS)}.")
    if severity not in range(1, 6):
        raise ValueError(f"severity={severity!r}: give a whole number from 1 (slight) to 5 (strong).")
    if isinstance(texts, str):
        raise ValueError(f"texts={texts[:40]!r} is a single text: put it in a list.")
    results = []
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"texts[{row}] is {text!r}, no text: drop or convert such rows.")
        # Not by severity: so the changes of a low severity are among those of a higher one.
        rng = derive_rng(seed, f"perturb_texts {name}", row)
        changed = _distracted(text, severity, rng) if name == _DISTRACTOR else _changed(text, name, severity, rng)
        results.append(changed if changed.strip() else text)
    return results


def _changed(text: str, name: str, severity: int, rng: np.random.Generator) -> str:
    kind = _KINDS[name]
    spots = [(match.span(), variants) for match in kind.spots.finditer(text) if (variants := kind.variants(match))]
    count = int(kind.shares[severity - 1] * len(spots) + rng.random())
    changes = []
    for i in rng.permutation(len(spots))[:count]:
        span, variants = spots[i]
        changes.append((span, variants[rng.integers(len(variants))]))
    for (start, end), new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text.strip() if name == "word_drop" else text


def _distracted(text: str, severity: int, rng: np.random.Generator) -> str:
    sentences = [DISTRACTORS[i] for i in rng.permutation(len(DISTRACTORS))[:severity]]
    start = text.rstrip()
    # So that the first of them begins as a sentence does.
    return " ".join([f"{start}." if start[-1:].isalnum() else start, *sentences]).lstrip()


def _inside(change: Callable[[list[str], int], Sequence[str]]) -> Callable[[Any], Sequence[str]]:
    """Returns a function from a word to all words that `change` makes of it at one letter that is not at its ends."""

    # Most words of a text are words that were seen before.
    @lru_cache(maxsize=2**16)
    def variants(word: str) -> tuple[str, ...]:
        # A letter with its accents, vowel signs or modifiers is one.
        letters = regex.findall(r"\X", word)
        return tuple(new for i in range(1, len(letters) - 1) for new in change(letters, i) if new != word)

    return lambda match: variants(match[0])


def _replaced(letters: list[str], i: int, new: str, end: int | None = None) -> str:
    return "".join([*letters[:i], new, *letters[i + 1 if end is None else end :]])


def _neighbouring_keys(letters: list[str], i: int) -> list[str]:
    keys = NEIGHBOURS.get(letters[i].lower(), "")
    return [_replaced(letters, i, key.upper() if letters[i].isupper() else key) for key in keys]


def _swapped(letters: list[str], i: int) -> list[str]:
    return [_replaced(letters, i, letters[i + 1] + letters[i], i + 2)] if i + 2 < len(letters) else []


def _deleted(letters: list[str], i: int) -> list[str]:
    return [_replaced(letters, i, "")]


def _repeated(letters: list[str], i: int) -> list[str]:
    return [_replaced(letters, i, letters[i] * times) for times in (2, 3, 4)]


def _other_case(match: Any) -> list[str]:
    word = match[0]
    other = word.upper() if word != word.upper() else word.lower()
    return [other] if other != word else []


def _other_form(match: Any) -> list[str]:
    found = match[0].replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    other = OTHER_FORM.get(("" if "'" in found else " ").join(found.lower().split()))
    if other is None:
        # Found by its case alone, as the long s and the dotted I are.
        return []
    if found.isupper() and len(found) > 1:
        return [other.upper()]
    return [other[0].upper() + other[1:] if found[0].isupper() else other]


def _other_marks(match: Any) -> list[str]:
    return [""] if match[0] else [",", "."]


def _other_gap(match: Any) -> list[str]:
    gap, letter, rest = match.groups()
    return [letter, gap + gap + letter, *([letter + gap] if rest is not None else [])]


_LETTERS = regex.compile(r"(?:\p{L}\p{M}*){4,}")
_OF_LETTERS = (0.1, 0.2, 0.4, 0.6, 0.8)
_OF_PLACES = (0.05, 0.1, 0.2, 0.35, 0.5)
_KINDS = {
    "keyboard_typos": _Kind(_OF_LETTERS, _LETTERS, _inside(_neighbouring_keys)),
    "character_swaps": _Kind(_OF_LETTERS, _LETTERS, _inside(_swapped)),
    "character_deletions": _Kind(_OF_LETTERS, _LETTERS, _inside(_deleted)),
    "character_repetition": _Kind(_OF_LETTERS, _LETTERS, _inside(_repeated)),
    "case": _Kind((0.1, 0.2, 0.4, 0.7, 1.0), regex.compile(r"\p{L}[\p{L}\p{M}'\u2019]*"), _other_case),
    "contractions": _Kind((0.2, 0.4, 0.6, 0.8, 1.0), FORMS, _other_form),
    # Marks and the gap before them, where a word or the text ends, or nothing between two words. Brackets are no
    # marks, for they would take the smile from ":)".
    "punctuation": _Kind(
        _OF_PLACES,
        regex.compile(r"\s*[.,;:!?…]+(?=\s|$)|(?<=[\p{L}\p{N}]\p{M}*)(?=\s+[\p{L}\p{N}])"),
        _other_marks,
    ),
    "whitespace": _Kind(_OF_PLACES, regex.compile(r"(?<=\S)(\s+)(?=\S)(\X)(?=(\S))?"), _other_gap),
    "word_drop": _Kind((0.05, 0.1, 0.2, 0.3, 0.4), regex.compile(r"\S+\s*"), lambda match: [""]),
}
_DISTRACTOR = "distractor_sentence"

#: The names that [`perturb_texts`] takes.
TEXT_PERTURBATIONS: tuple[str, ...] = (*_KINDS, _DISTRACTOR)
