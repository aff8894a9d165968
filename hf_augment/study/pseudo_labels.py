"""Rows without labels as a source of examples: what every generator has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import datasets
import numpy as np

from hf_augment.data.splits import sample_rows
from hf_augment.filters.base import Filter, Verdict
from hf_augment.fingerprints import images_digest, texts_digest
from hf_augment.generators.base import Generator
from hf_augment.generators.dataset import DatasetGenerator
from hf_augment.judges.pseudo_labels import LABEL, PROBABILITY, pseudo_label
from hf_augment.reporting.results import UNLABELLED_ROWS
from hf_augment.seeding import derive_seed
from hf_augment.study.arms import Filters, Source
from hf_augment.study.split import Basis, Split


#: The column of a row's number.
_ROW = "hf_augment.row"


class KnownLabels(Filter):
    """
    Accepts rows that a judge has labelled, and says how sure it was of their label: what is chosen among them, and how
    much they weigh, may go by that. Each of the other classes has an equal part of the rest.

    Example:

    ```python
    >>> from hf_augment.study.pseudo_labels import KnownLabels
    >>> KnownLabels("text", ["So dull."], [0.9], 2).judge([{"text": "So dull."}], [0])[0].label_probabilities
    (0.9, 0.1)
    ```

    Args:
        column (`str`): Their column, `"text"` or `"image"`.
        inputs (`Sequence[Any]`): Texts, or uint8 images of one shape.
        probabilities (`Sequence[float]`): The judge's probability of the class of each.
        num_labels (`int`): Number of classes.
    """

    name = "pseudo_label"
    gives_label_probabilities = True

    def __init__(self, column: str, inputs: Sequence[Any], probabilities: Sequence[float], num_labels: int) -> None:
        self._column = column
        self._known = dict(zip(map(_key, inputs), probabilities, strict=True))
        self._num_labels = num_labels

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        verdicts = []
        for example, label in zip(examples, labels, strict=True):
            sure = self._known[_key(example[self._column])]
            rest = round((1 - sure) / (self._num_labels - 1), 6)
            told = tuple(sure if other == label else rest for other in range(self._num_labels))
            verdicts.append(Verdict(True, sure, f"the judge was sure by {sure:.2f}", told))
        return verdicts

    def fingerprint(self) -> str:
        return f"{self.name}({texts_digest(f'{key} {sure}' for key, sure in self._known.items())})"


def known_labels(split: Split, source: Source, generator: Generator) -> list[Filter]:
    """Returns the filter of the rows that a source of pseudo-labels keeps on a split."""
    assert isinstance(source, PseudoLabels)
    found = source._labelled(split)
    classifier = split.study.classifier
    inputs = classifier.values(split.unlabelled.select(found["rows"]))
    return [KnownLabels(classifier.kind, inputs, found["probabilities"], len(generator.label_names))]


def _key(value: Any) -> str:
    return value if isinstance(value, str) else images_digest(np.asarray(value, dtype=np.uint8)[None])


class Asked(Protocol):
    """A model that is asked for labels, and what opens it."""

    def check(self, study: Any, judged: Source) -> None:
        """Raises `ValueError` or `OSError` for what cannot work."""

    def judge(self, split: Split, rows: datasets.Dataset | None = None) -> Any:
        """Returns a judge that is shown some of these labelled rows."""


@dataclass
class PseudoLabels(Source):
    """
    Rows without labels, labelled by the probe of each split's labelled rows; see [`pseudo_label`]. They are those of
    the data or, where there are none, the training rows that are not labelled in a split.

    Args:
        name (`str`, *optional*, defaults to `"pseudo_labels"`): Name of its folders.
        confident_share (`float`, *optional*, defaults to 0.6): The share that is kept of the rows of each class.
        most_rows (`int`, *optional*, defaults to 4000): Random rows that are labelled, at most.
        asked (`Asked`, *optional*):
            Another judge than the probe, such as an [`~hf_augment.study.text.AskedModel`]; it is shown labelled rows.
    """

    name: str = "pseudo_labels"
    confident_share: float = 0.6
    most_rows: int = 4000
    asked: Asked | None = None
    real = True
    # Rows that are there cost nothing.
    reuse = 1

    @property
    def models(self) -> tuple[str, ...]:
        return (f"{UNLABELLED_ROWS}, labelled by {self._judge_name}",)

    @property
    def _judge_name(self) -> str:
        return "the probe" if self.asked is None else "a model that was asked"

    @property
    def own_filters(self) -> Filters:
        return known_labels

    def check(self, study: Basis) -> None:
        """Raises `ValueError` if there are no rows without labels."""
        if self.asked is not None:
            self.asked.check(study, self)
        if not len(study.split(0).unlabelled):
            raise ValueError(
                f"The arm {self.name!r} learns from rows without labels, and there are none: pass unlabelled, or "
                "leave the arm out."
            )

    def open(self, split: Split) -> Generator:
        data, found = split.study.data, self._labelled(split)
        shares = split.class_shares() * (np.bincount(found["labels"], minlength=len(data.label_names)) > 0)
        if not shares.any():
            raise ValueError(f"{self.name}: no row without a label was taken for a class that has labelled rows.")
        rows = split.unlabelled.select(found["rows"]).add_column(LABEL, found["labels"])
        rows = rows.cast_column(LABEL, datasets.ClassLabel(names=data.label_names))
        return DatasetGenerator(rows, label_shares=shares.tolist())

    def note(self, first: Split) -> str | None:
        found = self._labelled(first)
        names = first.study.data.label_names
        without = [names[label] for label in set(range(len(names))) - set(found["labels"])]
        missing = f", none of them of {', '.join(map(repr, without[:5]))}" if without else ""
        surest = f"the surest {self.confident_share:.0%}"
        kept = f", and {surest} of each class were kept, {len(found['rows'])}" if self.confident_share < 1 else ""
        note = (
            f"For {self.name} {self._judge_name} labelled {found['judged']} rows without labels on the first split"
            f"{kept}{missing}."
        )
        if "right" in found:
            note += f" Of labelled rows that it did not know it is right on {found['right']:.3f}"
            note += f", and on {found['right_where_sure']:.3f} of {surest}." if self.confident_share < 1 else "."
        return note

    def _labelled(self, split: Split) -> dict[str, Any]:
        """The numbers of the rows that are kept, their classes, and how far the probe can be believed."""
        identity = split.study.classifier_identity | split.unlabelled_identity | self.identity()
        return split.stage(f"{self.name}-rows", identity, lambda folder: self._label(split, folder))

    def _label(self, split: Split, folder: Path) -> dict[str, Any]:
        names, rows = split.study.data.label_names, split.unlabelled
        rows = rows.add_column(_ROW, np.arange(len(rows)))
        rows = sample_rows(rows, self.most_rows, derive_seed(split.seed, "pseudo_labels", split.index))

        judge = split.probes[0] if self.asked is None else self.asked.judge(split, split.train)
        kept = pseudo_label(rows, judge, names, confident_share=self.confident_share)
        found = {
            "judged": len(rows),
            "rows": kept[_ROW][:],
            "labels": kept[LABEL][:],
            "probabilities": [round(p, 4) for p in kept[PROBABILITY][:]],
        }
        # One that is asked was shown labelled rows, and says nothing of how right it is by others.
        return found | (self._trust(split) if self.asked is None else {})

    def _trust(self, split: Split) -> dict[str, float]:
        """How far the probe can be believed, by labelled rows that it does not know: all, and the surest."""
        truth = np.array(split.train[LABEL][:])
        rows = split.train.remove_columns(LABEL).add_column(_ROW, np.arange(len(truth)))
        right = {}
        for name, share in (("right", 1.0), ("right_where_sure", self.confident_share)):
            kept = pseudo_label(rows, split.probes[1], split.study.data.label_names, confident_share=share)
            right[name] = float((np.array(kept[LABEL][:]) == truth[kept[_ROW][:]]).mean())
        return right
