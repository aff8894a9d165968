"""What generators of texts by prompts have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_augment.generators.base import Generator
from hf_augment.generators.prompt_base import Prompt
from hf_augment.seeding import derive_rng


class PromptedGenerator(Generator):
    """
    A generator that asks a language model with a [`Prompt`] for each text.

    Args:
        label_names (`Sequence[str]`): The classes, in the order of the dataset's integer labels.
        prompt (`Prompt`): The prompt that texts are made with.
        text_column (`str`): The column of the dataset that holds the text.

    Raises:
        `ValueError`: If there are no labels, two of one name, or the prompt does not fit them.
    """

    def __init__(self, label_names: Sequence[str], prompt: Prompt, text_column: str) -> None:
        if not label_names or len(set(label_names)) < len(label_names):
            raise ValueError(f"label_names={list(label_names)} must be different names, at least one.")
        prompt.validate(label_names)
        self.label_names, self.prompt = tuple(label_names), prompt
        self.text_column, self.columns = text_column, (text_column,)

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        """
        Makes one text per label. The same labels and seed give the same texts.

        Args:
            labels (`Sequence[int]`): Indices into `label_names`.
            seed (`int`): In `[0, 2**63)`.

        Returns:
            `list[dict[str, str]]`: One example for each label. A text can be empty where the model says nothing.

        Raises:
            `ValueError`: If a label does not exist, or as [`~PromptedGenerator.generate_like`].
        """
        return self.generate_like(labels, [None] * len(labels), seed)

    @property
    def takes_seed_rows(self) -> bool:  # type: ignore[override]
        """Whether the prompt has a place for a text."""
        return self.prompt.takes_seed_texts

    @abstractmethod
    def generate_like(
        self, labels: Sequence[int], seed_rows: Sequence[dict[str, Any] | None], seed: int
    ) -> list[dict[str, Any]]:
        """See [`Generator.generate_like`]: the text of a row is shown in the prompt."""

    def _prompts(
        self, labels: Sequence[int], seed_rows: Sequence[dict[str, Any] | None], seed: int
    ) -> tuple[list[str], list[np.random.Generator]]:
        """The prompt of each row, and the random numbers of its own that are left for its text."""
        if unknown := set(labels) - set(range(len(self.label_names))):
            raise ValueError(f"labels has {sorted(unknown)}, but label_names has only {len(self.label_names)} names.")
        for row in seed_rows:
            if row is not None and not isinstance(row[self.text_column], str):
                raise ValueError(f"A seed row has {row[self.text_column]!r} for its text: leave out rows without one.")
        # A row has a stream of its own, for its prompt and then for its text: neither depends on the other rows.
        rngs = [derive_rng(seed, "row", row) for row in range(len(labels))]
        prompts = []
        for label, row, rng in zip(labels, seed_rows, rngs, strict=True):
            if row is None:
                prompts += self.prompt.prompts([label], self.label_names, rng)
            else:
                prompts.append(self.prompt.prompt_like(self.label_names[label], row[self.text_column], rng))
        return prompts, rngs
