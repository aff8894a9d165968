"""Some synthetic examples of a store: accepted and rejected ones, with the nearest labelled row of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hf_augment.filters.near_duplicates import EvaluationOverlap, Memorization
from hf_augment.neighbours.texts import COPY_SIMILARITY
from hf_augment.synthesis.shards import ShardStore, summarise_array


#: From raw examples to the nearest labelled row of each and its similarity in [0, 1].
Nearest = Callable[[list[dict[str, Any]]], Sequence[tuple[str, float]]]


@dataclass(frozen=True)
class Sample:
    """
    A synthetic example for a reader.

    Args:
        verdict (`str`): `"accepted"` or `"rejected"`.
        label (`str`): Name of the class that it was made for.
        example (`str`): Its text, of at most 160 characters; an array is named by its shape.
        reason (`str`, *optional*): Reason of its rejection: `"{filter}: {reason}"`.
        nearest (`str`, *optional*): The nearest labelled row.
        similarity (`float`, *optional*): Similarity to it, in `[0, 1]`.
        image (`np.ndarray`, *optional*): The example's image, uint8 of shape `(height, width, channels)`.
    """

    verdict: str
    label: str
    example: str
    reason: str = ""
    nearest: str = ""
    similarity: float | None = None
    image: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def repeats_a_row(self) -> bool:
        """Whether it shows a labelled or a test row: the filters that find copies quote them in their reasons."""
        found = self.reason.partition(":")[0] in (Memorization.name, EvaluationOverlap.name)
        return found or (self.similarity is not None and self.similarity >= COPY_SIMILARITY)

    def words(self) -> dict[str, Any]:
        """All but the image and the labelled row: of a sample that repeats none, this may be published."""
        return {name: value for name, value in vars(self).items() if name not in ("image", "nearest")}


def choose_samples(store: ShardStore, nearest: Nearest | None = None, each: int = 6) -> list[Sample]:
    """
    Chooses the first `each` accepted examples, then as many rejected ones, of different filters where there are;
    `nearest` gives the nearest labelled row of each.

    Raises:
        ValueError: If `nearest` does not answer for each example.
    """
    accepted: list[tuple[int, dict[str, Any]]] = []
    for index in store.indices():
        if len(accepted) < each:
            shard = store.read(index)
            accepted += zip(shard.labels, shard.examples, strict=True)
    accepted = accepted[:each]
    rejected = _of_different_filters([reject for shard in store.accounts() for reject in shard.reject_sample], each)
    examples = [example for _, example in accepted]
    # A large array among rejects is only named, and a name is near nothing.
    if not any(np.ndim(value) for example in examples for value in example.values()):
        examples += [reject["example"] for reject in rejected]
    near: list[tuple[str, float | None]] = []
    if nearest is not None:
        near += [(text, float(similarity)) for text, similarity in nearest(examples)]
        if len(near) != len(examples):
            raise ValueError(
                f"nearest named {len(near)} labelled rows for {len(examples)} examples: return one for each."
            )
    near += [("", None)] * (len(accepted) + len(rejected) - len(near))
    rows = [("accepted", label, example, "") for label, example in accepted]
    rows += [("rejected", r["label"], r["example"], f"{r['filter']}: {r['reason']}") for r in rejected]
    found = []
    for (verdict, label, example, reason), (text, similarity) in zip(rows, near, strict=True):
        words = _short(text_of(example)), reason, _short(text)
        found.append(Sample(verdict, store.label_names[label], *words, similarity, image_of(example)))
    return found


def _of_different_filters(rejects: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The first of each filter, then the second of each, and so on."""
    turns: dict[str, int] = {}
    dealt = []
    for reject in rejects:
        turns[reject["filter"]] = turns.get(reject["filter"], 0) + 1
        dealt.append((turns[reject["filter"]], reject))
    return [reject for _, reject in sorted(dealt, key=lambda turn: turn[0])[:count]]


def text_of(example: dict[str, Any]) -> str:
    """A raw example as text; an array is named by its shape."""
    return " ".join(str(v) if np.ndim(v) == 0 else summarise_array(v) for v in example.values())


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"


def image_of(example: dict[str, Any]) -> np.ndarray | None:
    """The image among the values of a raw example, uint8 of shape `(height, width, channels)`."""
    for value in example.values():
        image = np.asarray(value.convert("RGB")) if hasattr(value, "convert") else value
        if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (1, 3):
            return image
    return None
