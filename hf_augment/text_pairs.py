"""Pairs of texts, such as a premise and a hypothesis, as one text: `"A man sleeps. ||| A man is awake."`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


#: Between the texts of a pair. It is no word, so filters that compare words pass over it, and no line break, which
#: prompts take out of what a model writes.
SEPARATOR = "|||"


def join_pairs(firsts: Iterable[str], seconds: Iterable[str]) -> list[str]:
    """
    Makes one text of each pair. A separator within a text loses all but one of its bars.

    Example:

    ```python
    >>> from hf_augment.text_pairs import join_pairs, split_pairs
    >>> texts = join_pairs(["A man sleeps."], ["A man is awake."])
    >>> texts, split_pairs(texts)
    (['A man sleeps. ||| A man is awake.'], (['A man sleeps.'], ['A man is awake.']))
    ```
    """
    pairs = zip(firsts, seconds, strict=True)
    return [f" {SEPARATOR} ".join(text.replace(SEPARATOR, "|").strip() for text in pair) for pair in pairs]


def split_pairs(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first and the second text of each pair, which is empty where there is none."""
    parts = [text.partition(SEPARATOR) for text in texts]
    return [first.strip() for first, _, _ in parts], [second.strip() for _, _, second in parts]


def is_pair(text: str) -> bool:
    """Whether a text is a pair of two that are not empty."""
    parts = text.split(SEPARATOR)
    return len(parts) == 2 and all(part.strip() for part in parts)
