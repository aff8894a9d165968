"""Easy data augmentation (Wei and Zou 2019) without its thesaurus, for texts and for batches of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from hf_augment.seeding import derive_rng


Word = TypeVar("Word")


def augment_words(words: Sequence[Word], alpha: float, rng: np.random.Generator) -> list[Word]:
    """
    Applies one of three operations of Wei and Zou 2019 (section 2), each as likely as the others, with `n = max(1,
    int(alpha * len(words)))`. None or one word are returned as they are.

    - Swap: n times, two words change places.
    - Deletion: each word is missing with probability `alpha`; if all would be, one of them stays.
    - Insertion: n times, a word of the same text is put at a random place. The paper inserts synonyms, which need a
      thesaurus (WordNet) to be downloaded; so does its fourth operation, the replacement by synonyms, left out here.
    """
    changed = list(words)
    if len(words) < 2:
        return changed
    operation, n = rng.integers(3), max(1, int(alpha * len(words)))
    if operation == 0:
        for _ in range(n):
            i, j = rng.choice(len(words), 2, replace=False)
            changed[i], changed[j] = changed[j], changed[i]
        return changed
    if operation == 1:
        kept = [word for word in words if rng.random() >= alpha]
        return kept or [words[int(rng.integers(len(words)))]]
    for _ in range(n):
        changed.insert(int(rng.integers(len(changed) + 1)), words[int(rng.integers(len(words)))])
    return changed


class EasyDataAugmentation:
    """
    Swaps, deletes or repeats some words of texts: see [`augment_words`]. The classic baseline for texts, to compare
    generated examples with.

    Example:

    ```python
    >>> from hf_augment.perturbations.easy_augmentation import EasyDataAugmentation
    >>> EasyDataAugmentation(alpha=0.1)(["A moving film about a man and his two dogs."], seed=2)
    ['A moving film dogs. a man and his two about']
    ```

    Args:
        alpha (`float`, *optional*, defaults to 0.1):
            Share of words to change, in `(0, 1]`. Wei and Zou 2019 (table 3) recommend 0.1 from 5,000 training rows on
            and 0.05 for fewer. Others raise a `ValueError`.
    """

    def __init__(self, alpha: float = 0.1) -> None:
        self.alpha = _checked_alpha(alpha)

    def __call__(self, texts: Sequence[str], seed: int) -> list[str]:
        """
        Augments each text, whose words are what white space separates. What becomes of text `i` depends on `seed`, on
        `i` and on the text alone.
        """
        words = [text.split() for text in texts]
        return [
            " ".join(augment_words(of_text, self.alpha, derive_rng(seed, "easy data augmentation", row)))
            for row, of_text in enumerate(words)
        ]


class TokenAugmentation:
    """
    Does what [`EasyDataAugmentation`] does to rows that are tokenised already: a data collator that changes whole
    words of `input_ids` and hands the rows to another collator. Synthetic rows are augmented like real ones.

    [`AugmentingTrainer`] seeds what it draws, batch by batch; under the stock `Trainer` it draws from torch's global
    random state. A `Trainer` evaluates with its `data_collator` too, so pass this one as `train_collator`.

    Special tokens stay where they are, and what they separate, such as the two texts of a pair, is augmented apart.
    Tokens are put together to words by the marks of the vocabulary: `##` before a piece that continues a word, or `Ġ`
    or `▁` before one that begins it. The first word of a byte-level vocabulary has no mark, and adheres to the word
    before it when it is moved.

    Example:

    ```python
    from transformers import DataCollatorWithPadding
    from hf_augment import AugmentingTrainer, TokenAugmentation

    plain = DataCollatorWithPadding(tokenizer)
    augmenting = TokenAugmentation(plain, tokenizer)
    trainer = AugmentingTrainer(model, args, train_dataset=rows, data_collator=plain, train_collator=augmenting)
    ```

    Args:
        collator (`Callable`): Gets the rows, with lists of `int` in the tokenizer's columns; it has to pad.
        tokenizer (`transformers.PreTrainedTokenizerBase`): The tokenizer that made the rows.
        alpha (`float`, *optional*, defaults to 0.1): Share of words to change, in `(0, 1]`.
        max_length (`int`, *optional*):
            Tokens in a row; what insertions push beyond is cut off. Defaults to the tokenizer's `model_max_length`.

    Raises:
        ValueError: If `alpha` is outside its range, or rows are without `input_ids` or padded.
    """

    def __init__(
        self,
        collator: Callable[[list[Any]], Any],
        tokenizer: Any,
        alpha: float = 0.1,
        max_length: int | None = None,
    ) -> None:
        self.collator, self.alpha = collator, _checked_alpha(alpha)
        self.max_length = tokenizer.model_max_length if max_length is None else max_length
        self._columns = {"input_ids", "special_tokens_mask", *tokenizer.model_input_names}
        # An unknown word is a word.
        self._special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        self._begins = _word_beginnings(tokenizer.get_vocab())

    def __call__(self, rows: Sequence[dict[str, Any]]) -> Any:
        """Augments the rows and collates them."""
        # Inside a batch, so that the state is the one that the Trainer keeps or seeds.
        rng = np.random.default_rng(int(torch.randint(2**62, ()).item()))
        return self.collator([self._augmented(row, rng) for row in rows])

    def _augmented(self, row: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
        if "input_ids" not in row:
            raise ValueError(f"A row has the columns {list(row)}, no 'input_ids': tokenise the dataset beforehand.")
        columns = {name: [int(value) for value in row[name]] for name in row if name in self._columns}
        if 0 in columns.get("attention_mask", ()):
            raise ValueError(
                "A row is padded, as its attention_mask shows: tokenise without padding and leave it to the collator."
            )
        order = self._order(columns["input_ids"], rng)
        return {**row, **{name: [values[i] for i in order] for name, values in columns.items()}}

    def _order(self, ids: list[int], rng: np.random.Generator) -> list[int]:
        """Returns the places of a row's tokens in the order of the augmented row."""
        order: list[int] = []
        words: list[list[int]] = []
        room = max(self.max_length - len(ids), 0)
        for i, token in enumerate([*ids, None]):
            if token is None or token in self._special:
                length = sum(map(len, words))
                words = augment_words(words, self.alpha, rng)
                while sum(map(len, words)) > length + room:
                    words.pop()
                room += length - sum(map(len, words))
                order += [place for word in words for place in word]
                order += [] if token is None else [i]
                words = []
            elif words and token not in self._begins:
                words[-1].append(i)
            else:
                words.append([i])
        return order


def _word_beginnings(vocabulary: dict[str, int]) -> set[int]:
    """Returns the tokens that begin a word, by the mark that most tokens of the vocabulary carry."""
    marked = {mark: {i for token, i in vocabulary.items() if token.startswith(mark)} for mark in ("##", "Ġ", "▁")}
    # Tokens such as "##" are in vocabularies of other kinds too.
    mark = max(marked, key=lambda mark: len(marked[mark]))
    return set(vocabulary.values()) - marked[mark] if mark == "##" else marked[mark]


def _checked_alpha(alpha: float) -> float:
    if not 0 < alpha <= 1:
        raise ValueError(f"alpha={alpha!r}: give the share of words to change, above 0 and up to 1; 0.1 is usual.")
    return alpha
