"""What all prompts of a batch begin with is read once."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


def shared_prefix(rows: Sequence[list[int]]) -> int:
    """
    The number of tokens that rows begin with alike, at least one token short of the shortest row: what comes last is
    read to go on from.

    Example:

    ```python
    >>> from hf_augment.generators.shared_prefix import shared_prefix
    >>> shared_prefix([[7, 8, 9, 1], [7, 8, 2]])
    2
    >>> shared_prefix([[7, 8], [7, 8]])
    1
    ```
    """
    # What the first and the last in the order of lists have in common, all have.
    pairs = enumerate(zip(min(rows), max(rows), strict=False))
    most = min(map(len, rows)) - 1
    return min(most, next((place for place, (one, other) in pairs if one != other), most))


def remembers_every_token(model: PreTrainedModel) -> bool:
    """
    Whether a causal language model keeps keys and values of every token and nothing else, so that a prefix can be
    read apart from what follows it, and padding may stand between them.
    """
    layers = DynamicCache(config=model.config.get_text_config(decoder=True)).layers
    supported: Any = model._supports_default_dynamic_cache
    return supported() and len(layers) > 0 and all(type(layer) is DynamicLayer for layer in layers)


def read_prefix(model: PreTrainedModel, prefix: Sequence[int], rows: int, room: int) -> dict[str, Any]:
    """
    Reads a prefix once for all rows of a batch.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal language model that remembers every token.
        prefix (`Sequence[int]`): Token ids; may be empty.
        rows (`int`): Rows of the batch.
        room (`int`): Tokens of the longest row when it is finished, the prefix included.

    Returns:
        `dict[str, Any]`: The argument of `generate` that holds what was read.
    """
    # Before transformers 5.24 a cache has the name of what it holds.
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    layers = DynamicCache(config=model.config.get_text_config(decoder=True)).layers
    cache = Cache(layers=[_RoomyLayer(rows, room) for _ in layers])
    if prefix:
        # Without the head, whose logits nobody needs.
        model.base_model(input_ids=torch.tensor([prefix], device=model.device), use_cache=True, **{name: cache})
    return {name: cache}


class _RoomyLayer(DynamicLayer):
    """
    Keys and values of one layer, in a tensor that has room for all that will come: a layer that grows by
    concatenation copies everything at each token. What is read as one row counts for all of them.
    """

    def __init__(self, rows: int, room: int) -> None:
        super().__init__()
        self.rows, self.room = rows, room

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Makes the room, of the states' dtype and device."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.all_keys, self.all_values = (
            states.new_empty(self.rows, states.shape[1], self.room, states.shape[3])
            for states in (key_states, value_states)
        )
        self._read(0)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes the states of new tokens and returns those of all tokens so far, of as many rows as are read."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        keys, values = self._read(start + key_states.shape[2])
        keys[:, :, start:], values[:, :, start:] = key_states, value_states
        return keys[: len(key_states)], values[: len(value_states)]

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps some rows, given by their indices."""
        length = self.get_seq_length()
        for states in (self.all_keys, self.all_values):
            states[: len(indices), :, :length] = states[indices, :, :length]
        self.all_keys, self.all_values = self.all_keys[: len(indices)], self.all_values[: len(indices)]
        self._read(length)

    def _read(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.keys, self.values = self.all_keys[:, :, :length], self.all_values[:, :, :length]
        return self.keys, self.values
