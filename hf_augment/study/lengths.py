"""How many tokens of a text are read and written, by the tokens that labelled texts have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import AutoConfig, AutoTokenizer

from hf_augment.study.defaults import Choice


#: Texts whose tokens are counted; tokens that are read, and that are written, at most as a rule.
COUNTED, MOST_READ, MOST_WRITTEN = 2000, 256, 64


def length_choices(model: str, texts: Sequence[str], typed: int | None = None) -> tuple[list[Choice], int | None]:
    """
    Chooses how many tokens of a text a classifier reads, and a generator writes. Room is left for test texts: two
    tokens for each word, where the labelled texts have no more.

    Args:
        model (`str`): Folder or Hub id of the classifier.
        texts (`Sequence[str]`): The labelled texts, of which the first 2,000 are counted.
        typed (`int`, *optional*): The tokens that are to be read, if they are given.

    Returns:
        `tuple[list[Choice], int | None]`: Of `max_length` and `max_new_tokens`, and the width of the model's hidden
        layers, where its configuration says it.

    Raises:
        OSError: If the model is not there.
        ValueError: If `typed` is more than the model can read.
    """
    tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    config: Any = AutoConfig.from_pretrained(model, trust_remote_code=False)
    positions = _positions(config)
    if typed is not None and typed > positions:
        raise ValueError(
            f"max_length={typed} is more than the {positions} tokens that the classifier reads: lower it."
        )
    # A tokenizer that does not know it says a number without end.
    most = min(tokenizer.model_max_length, positions)
    counted = list(texts[:COUNTED])
    # The tokenizer warns of texts that are longer than it can read.
    tokens = np.array([len(ids) for ids in tokenizer(counted, verbose=False)["input_ids"]])
    words = np.array([len(text.split()) for text in counted])
    wanted = max(2 * np.quantile(words, 0.99), np.quantile(tokens, 0.99))
    room = int(min(MOST_READ, most, max(16, 8 * math.ceil(wanted / 8))))
    written = min(room if typed is None else typed, MOST_WRITTEN)
    read_why = f"room for the longest 1 % of texts, two tokens a word or as many as they have, {MOST_READ} at most"
    written_why = f"as long as a labelled text, {MOST_WRITTEN} at most; as much is learned of it"
    choices = [
        Choice("max_length", room, read_why + _longer(tokens, room)),
        Choice("max_new_tokens", written, written_why + _longer(tokens, written)),
    ]
    return choices, getattr(config, "hidden_size", None)


def _positions(config: Any) -> float:
    """The most tokens that a model has places for; infinite where it counts distances, or does not say it."""
    found = getattr(config, "max_position_embeddings", None) or math.inf
    # XLNet says -1; DeBERTa has a number, but places only with this.
    return found if found > 0 and getattr(config, "position_biased_input", True) else math.inf


def _longer(tokens: np.ndarray, room: int) -> str:
    count = int(np.sum(tokens > room))
    return f"; {count} of {len(tokens)} texts are longer" if count else ""
