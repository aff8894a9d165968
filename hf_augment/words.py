"""
The units in which texts are counted and compared: words where spaces separate them, characters where none do.

- Latin, Cyrillic, Greek, Arabic, Hebrew, Ethiopic, Hangul, the scripts of India: a run of letters with their marks,
  digits and `_`. Tibetan: the same, which is a syllable, since a tsheg ends it.
- Chinese characters, in Japanese too: one character, about half a word.
- Hiragana, Katakana, Bopomofo, Thai, Lao, Khmer, Burmese and whatever else Unicode says needs a dictionary
  (`Line_Break=SA`, UAX 14): one character with its marks, about a quarter of a word.
- Emoji and other symbols: one symbol, with its skin tone, the second half of its flag and the like.

Characters are the extended grapheme clusters of UAX 29. Canonically equivalent texts (NFC and NFD) have the same
units, and case does not matter. Vowel points matter: a text in Arabic or Hebrew is another one without them. Variants
matter too: traditional and simplified characters, full and half width, with and without a zero-width joiner.

The default word boundaries of UAX 29 are not used, since they keep `don't` and `3.5` whole, which depends on the
apostrophe that was typed, and make one word of a run of Katakana. Without a dictionary a Chinese or a Thai word has no
boundaries: there `min_words` counts characters. Javanese, Balinese and others that are written without spaces but are
not in that class of Unicode have units as long as what stands between two spaces.
"""

from __future__ import annotations

import unicodedata
from enum import IntEnum
from itertools import islice

import regex


_SPACELESS = r"[[\p{Han}\p{Bopomofo}\p{scx=Hiragana}\p{scx=Katakana}\p{Line_Break=SA}]--\p{Inherited}]"
_CHARACTER = rf"(?=[[\w\p{{N}}]&&{_SPACELESS}])\X"
# ASCII symbols are punctuation to most writers, as in `<br />` and `--->`.
_SYMBOL = r"(?=[\p{So}\p{Extended_Pictographic}[\p{Sc}\p{Sm}--\p{ASCII}]])\X"


def _compile(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern, regex.V1)


_CHARACTERS = _compile(_CHARACTER)
_WORDS = _compile(rf"{_CHARACTER}|[[\w\p{{N}}]--{_SPACELESS}]+")
_UNITS = _compile(rf"{_WORDS.pattern}|{_SYMBOL}")
_IDEOGRAPHS = _compile(rf"(?=\p{{Han}}){_CHARACTER}")
_TOKENS = _compile(rf"{_CHARACTER}|(?:(?!{_CHARACTER})\S)+")


def split_words(text: str) -> list[str]:
    """The words of a text (characters, in scripts without spaces), in one case, without punctuation and symbols."""
    return _WORDS.findall(_folded(text))


def split_units(text: str) -> list[str]:
    """
    The words and symbols of a text, by which texts are compared; of a text without any, all its characters. Never
    empty, so that an empty text equals an empty one.

    Example:

    ```python
    >>> from hf_augment.words import split_units
    >>> split_units("It's GREAT, 好看! 😀"), split_units("?!")
    (['it', 's', 'great', '好', '看', '😀'], ['?', '!'])
    ```
    """
    text = _folded(text)
    return _UNITS.findall(text) or [mark for mark in regex.findall(r"\X", text) if not mark.isspace()] or [""]


class Kind(IntEnum):
    """The kind of a unit, by how much of a word it is."""

    WORD = 0
    IDEOGRAPH = 1
    #: A character of another script without spaces.
    LETTER = 2


def kind_of(unit: str) -> Kind:
    """The kind of a unit; a symbol counts as a word."""
    if not _CHARACTERS.match(unit):
        return Kind.WORD
    return Kind.IDEOGRAPH if _IDEOGRAPHS.match(unit) else Kind.LETTER


def separate(text: str) -> str:
    """Puts spaces around each character of a script that has none, for tokenizers that split at spaces; in NFC."""
    return _CHARACTERS.sub(r" \g<0> ", unicodedata.normalize("NFC", text))


def opening(text: str, count: int) -> str:
    """The first words of a text in one line, or its first characters in scripts without spaces."""
    text = " ".join(text.split())
    ends = [match.end() for match in islice(_TOKENS.finditer(text), count)]
    return text[: ends[-1]] if ends else ""


def drop_last(text: str) -> str:
    """Drops the last of several words of a one-line text; in scripts without spaces, its last character."""
    ends = [match.end() for match in _TOKENS.finditer(text)]
    return text[: ends[-2]] if len(ends) > 1 else text


def _folded(text: str) -> str:
    # Caseless and canonical matching (Unicode, section 3.13), composed again so that a syllable of Hangul is one.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
