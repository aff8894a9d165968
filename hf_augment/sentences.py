"""Parts of sentences that are made of what was found."""

from __future__ import annotations

from collections.abc import Iterable


#: The most names in a sentence.
MOST_NAMES = 5


def counted(number: int, noun: str) -> str:
    """
    A number with its noun.

    Example:

    ```python
    >>> from hf_augment.sentences import counted
    >>> counted(1, "run"), counted(3, "run")
    ('1 run', '3 runs')
    ```
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def named(names: Iterable[str]) -> str:
    """
    Names, of many the first ones.

    Example:

    ```python
    >>> from hf_augment.sentences import named
    >>> named("abc"), named("abcdefg")
    ('a, b, c', 'a, b, c, d, e and 2 more')
    ```
    """
    names = list(names)
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
