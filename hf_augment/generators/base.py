"""What a generator is: labels and a seed in, raw examples out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from hf_augment.extras import optional_imports


class Generator(ABC):
    """
    Makes raw examples of given classes. Everything else (filters, shards, resume, ranks) is the trainer's business.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import Generator

    >>> class Phrases(Generator):
    ...     label_names = ("negative", "positive")
    ...     adjectives = (("dull", "clumsy"), ("moving", "bright"))
    ...
    ...     def generate(self, labels, seed):
    ...         rng = np.random.default_rng(seed)
    ...         return [{"text": f"A {rng.choice(self.adjectives[label])} film."} for label in labels]
    ...
    ...     def fingerprint(self):
    ...         return "phrases-1"

    >>> Phrases().generate([0, 1], seed=0)
    [{'text': 'A clumsy film.'}, {'text': 'A bright film.'}]
    ```

    Attributes:
        label_names (`Sequence[str]`): The classes, in the order of the dataset's integer labels.
        columns (`tuple[str, ...]`, defaults to `("text",)`): The raw columns of an example, without the label.
        label_shares (`Sequence[float]`, *optional*):
            How often each class is asked for, in any unit. Defaults to what `synthetic_class_balance` says.
    """

    label_names: Sequence[str]
    columns: Sequence[str] = ("text",)
    label_shares: Sequence[float] | None = None

    #: Whether `generate` draws from nothing but its `seed`, so that it may run in a background thread. A generator
    #: that needs the global random state sets this to `False` and is then only accepted by the inline producer.
    draws_from_seed_only: ClassVar[bool] = True

    #: Whether `generate` makes again what it made before. One that cannot, such as a server that heeds no seed, sets
    #: this to `False`; a run that lost some of its shards is then refused.
    replayable: bool = True

    #: Whether [`~Generator.generate_like`] is there.
    takes_seed_rows: bool = False

    @abstractmethod
    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        """
        Makes one example per label.

        Args:
            labels (`Sequence[int]`): Indices into `label_names`, one for each example wanted.
            seed (`int`):
                In `[0, 2**63)`. All randomness must come from it: the same labels and seed give the same examples.

        Returns:
            `list[dict[str, Any]]`: As many examples as labels, in their order, each with the keys of `columns`.
        """

    def generate_like(
        self, labels: Sequence[int], seed_rows: Sequence[dict[str, Any] | None], seed: int
    ) -> list[dict[str, Any]]:
        """
        Makes one example per label, each after a real example of its class where there is one, such as by showing it
        in the prompt. A generator that can sets `takes_seed_rows`. Without a row it makes what `generate` makes.

        Args:
            labels (`Sequence[int]`): See [`~Generator.generate`].
            seed_rows (`Sequence[dict]`): For each label a raw example, with the keys of `columns`, or `None`.
            seed (`int`): See [`~Generator.generate`].

        Returns:
            `list[dict[str, Any]]`: As [`~Generator.generate`].

        Raises:
            `NotImplementedError`: If there is a row, and this generator does not take any.
        """
        if all(row is None for row in seed_rows):
            return self.generate(labels, seed)
        raise NotImplementedError(f"{type(self).__name__} makes nothing after a given row.")

    @abstractmethod
    def fingerprint(self) -> str:
        """
        Identifies what is generated: weights, prompt, sampling settings. Two generators with the same fingerprint
        must make the same examples, because shards and checkpoints are recognised by it: change it whenever you change
        what `generate` returns, or delete the shards of earlier runs.
        """


def detached(example: dict[str, Any]) -> dict[str, Any]:
    """
    Returns an example whose Pillow images are apart from the files that they were opened from, and the right way up,
    as those of a dataset are. Of a file, `datasets` would keep the path, or a copy with the loss of its format.
    """
    if not any(hasattr(value, "filename") for value in example.values()):
        return example
    with optional_imports("images"):
        from PIL import ImageOps
    return {k: ImageOps.exif_transpose(v) if hasattr(v, "filename") else v for k, v in example.items()}
