"""What labelled texts tell of their classes: the words of each, and the class that is most like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hf_augment.words import Kind, kind_of, split_words


#: Shortest word that says something.
_LETTERS = 3


def class_words(examples: Mapping[str, Sequence[str]], most: int = 12) -> dict[str, list[str]]:
    """
    The words that are typical of each class: those that add most to the divergence of the class's texts from the
    others', `p log(p / q)` with `p` the share of its texts that have the word and `q` that of the others.

    Example:

    ```python
    >>> from hf_augment.generators.prompt_attributes import class_words
    >>> texts = {"lost": ["I lost my card", "the card is lost"], "fee": ["why the fee", "what fee is that"]}
    >>> class_words(texts, most=1)
    {'lost': ['lost'], 'fee': ['fee']}
    ```

    Args:
        examples (`Mapping[str, Sequence[str]]`): Texts by label name, at least one each.
        most (`int`, *optional*, defaults to 12): Number of words of a class, at most.

    Returns:
        `dict[str, list[str]]`: Words in small letters by label name, the most typical first. Empty if a class has
        none, as in scripts without spaces.
    """
    vocabulary, weights = _weights(examples)
    words = [[vocabulary[word] for word in np.argsort(-of, kind="stable")[:most] if of[word] > 0] for of in weights]
    return dict(zip(examples, words, strict=True)) if all(words) else {}


def nearest_classes(examples: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """
    The class whose typical words are most like those of each: the one that a text is most easily taken for.

    Args:
        examples (`Mapping[str, Sequence[str]]`): Texts by label name, of two classes or more.

    Returns:
        `dict[str, str]`: Label names by label name.
    """
    weights = _weights(examples)[1]
    weights /= np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-12)
    similarity = weights @ weights.T
    np.fill_diagonal(similarity, -1)
    names = list(examples)
    return {name: names[nearest] for name, nearest in zip(names, similarity.argmax(axis=1), strict=True)}


def _weights(examples: Mapping[str, Sequence[str]]) -> tuple[list[str], np.ndarray]:
    """The vocabulary, and how typical each word is of each class, `(classes, words)`, at least 0."""
    texts = [[_words(text) for text in of] for of in examples.values()]
    vocabulary = sorted(set().union(*(words for of in texts for words in of)))
    place = {word: column for column, word in enumerate(vocabulary)}
    counts, sizes = np.zeros((len(texts), len(vocabulary))), np.array([[len(of)] for of in texts])
    for row, of in enumerate(texts):
        for words in of:
            counts[row, [place[word] for word in words]] += 1
    share = counts / sizes
    rest = (counts.sum(axis=0) - counts + 0.5) / (sizes.sum() - sizes + 1)
    return vocabulary, np.maximum(share * np.log(np.maximum(share, 1e-12) / rest), 0)


def _words(text: str) -> set[str]:
    return {word for word in split_words(text) if len(word) >= _LETTERS and kind_of(word) is Kind.WORD}
