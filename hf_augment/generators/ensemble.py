"""Several generators as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_augment.generators.base import Generator
from hf_augment.seeding import derive_rng, derive_seed


class GeneratorEnsemble(Generator):
    """
    Has every example made by one of several generators, the same number by each. What one of them never writes,
    another does: a trained one knows the style of the dataset, a prompted one more of the world.

    Example:

    ```python
    >>> from hf_augment import Generator, GeneratorEnsemble

    >>> class Says(Generator):
    ...     label_names = ("negative", "positive")
    ...
    ...     def __init__(self, word):
    ...         self.word = word
    ...
    ...     def generate(self, labels, seed):
    ...         return [{"text": f"{self.word} {self.label_names[label]}"} for label in labels]
    ...
    ...     def fingerprint(self):
    ...         return self.word

    >>> GeneratorEnsemble([Says("so"), Says("very")]).generate([0, 1], seed=0)
    [{'text': 'so negative'}, {'text': 'very positive'}]
    ```

    Args:
        generators (`Sequence[Generator]`): At least two, of the same labels and columns.

    Raises:
        `ValueError`: If there are fewer, or they differ in labels or columns.
    """

    def __init__(self, generators: Sequence[Generator]) -> None:
        if len(generators) < 2:
            raise ValueError(f"generators has {len(generators)}, but an ensemble is at least two: pass one as it is.")
        for name in ("label_names", "columns"):
            values = [list(getattr(generator, name)) for generator in generators]
            if any(value != values[0] for value in values):
                raise ValueError(f"generators differ in {name}: {values}. Give all of them the same, in one order.")
        self.generators = list(generators)
        self.label_names, self.columns = generators[0].label_names, generators[0].columns

    @property
    def draws_from_seed_only(self) -> bool:  # type: ignore[override]
        """Whether all of them do."""
        return all(generator.draws_from_seed_only for generator in self.generators)

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        """Whether all of them are."""
        return all(generator.replayable for generator in self.generators)

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        """
        Makes one example per label. Which generator makes which is drawn, class by class; their numbers differ by one
        at most.

        Raises:
            `ValueError`: If one of them returns another number of examples.
        """
        return self.generate_like(labels, [None] * len(labels), seed)

    @property
    def takes_seed_rows(self) -> bool:  # type: ignore[override]
        """Whether one of them does; the others make what they make without."""
        return any(generator.takes_seed_rows for generator in self.generators)

    def generate_like(
        self, labels: Sequence[int], seed_rows: Sequence[dict[str, Any] | None], seed: int
    ) -> list[dict[str, Any]]:
        """See [`Generator.generate_like`] and [`~GeneratorEnsemble.generate`]."""
        if not self.takes_seed_rows and any(row is not None for row in seed_rows):
            return super().generate_like(labels, seed_rows, seed)
        # A purpose of its own: else the first generator would draw from the seed that placed its examples.
        places = derive_rng(seed, "ensemble_places").permutation(len(labels)).tolist()
        places.sort(key=lambda i: labels[i])
        examples: list[dict[str, Any]] = [{}] * len(labels)
        for k, generator in enumerate(self.generators):
            own = sorted(places[k :: len(self.generators)])
            if not own:
                continue
            asked, its_seed = [labels[i] for i in own], derive_seed(seed, "ensemble", k)
            if generator.takes_seed_rows:
                made = generator.generate_like(asked, [seed_rows[i] for i in own], its_seed)
            else:
                made = generator.generate(asked, its_seed)
            if len(made) != len(own):
                raise ValueError(
                    f"generators[{k}], a {type(generator).__name__}, returned {len(made)} examples for {len(own)} "
                    "labels: return one for each, in their order."
                )
            for i, example in zip(own, made, strict=True):
                examples[i] = example
        return examples

    def fingerprint(self) -> str:
        """Those of all of them, in their order."""
        return f"ensemble({', '.join(generator.fingerprint() for generator in self.generators)})"
