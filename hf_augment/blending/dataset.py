"""Keys to rows, and the collator that keeps count of which rows are synthetic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
import torch.utils.data as torch_data

from hf_augment.blending.sampler import Batch, Slot
from hf_augment.seeding import derive_seed, isolated_rng


# What the collator adds for the loss; no model or collator has inputs of these names.
SAMPLE_WEIGHT, LABEL_PROBABILITIES = "hf_augment.sample_weight", "hf_augment.label_probabilities"
AGREEMENT = "hf_augment.agreement"


class SlotReader(Protocol):
    """Reads the prepared row of a slot, in any process."""

    def read(self, slot: int) -> dict[str, Any]:
        """The columns of one row."""
        ...

    def label_probabilities(self, slot: int) -> Sequence[float] | None:
        """The soft label of a slot, where a filter gave one."""
        ...


class SyntheticRow(dict[str, Any]):
    """A row that came from a slot; its type tells, so that no collator meets a column it does not know."""

    label_probabilities: Sequence[float] | None = None


class BlendedDataset(torch_data.Dataset[Any]):
    """
    Real rows by index (or, of a stream, as they are) and synthetic rows by slot.

    Args:
        dataset (`torch.utils.data.Dataset` or `datasets.Dataset`, *optional*):
            The real rows; `None` where the keys are rows of a stream.
        slots (`SlotReader`): The synthetic rows.
        transform (`Callable`, *optional*):
            A batch transform (columns to columns), applied to synthetic rows when they are read: the one the real
            dataset was given by `set_transform`.
        soft_labels (`bool`, *optional*, defaults to `False`):
            Whether synthetic rows carry their label probabilities to the collator.
        columns (`Collection[str]`, *optional*):
            The columns that will be used; a synthetic row need not have others. Defaults to those of a real row.
        constants (`dict[str, Any]`, *optional*, defaults to `{}`):
            Columns that synthetic rows have beside what the generator makes, each with its value.
    """

    def __init__(
        self,
        dataset: Any,
        slots: SlotReader,
        transform: Callable[[dict[str, list[Any]]], dict[str, Sequence[Any]]] | None = None,
        soft_labels: bool = False,
        columns: Collection[str] | None = None,
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        self.constants = dict(constants or {})
        self.dataset, self.slots, self.columns = dataset, slots, columns
        self.transform, self.soft_labels = transform, soft_labels

    def __len__(self) -> int:
        # The real rows: the Trainer's number of examples, which an epoch passes over once.
        return len(self.dataset)

    def __getitems__(self, keys: Batch) -> Batch:
        with isolated_rng(derive_seed(keys.seed, "rows")):
            real = iter(self._real([key for key in keys if not isinstance(key, Slot)]))
            synthetic = iter(self._synthetic([key for key in keys if isinstance(key, Slot)]))
        rows = [next(synthetic) if isinstance(key, Slot) else next(real) for key in keys]
        # The first row of a batch is always a real one, and says what a row looks like.
        like = {k: v for k, v in rows[0].items() if self.columns is None or k in self.columns}
        return Batch([_conform(row, like) if isinstance(row, SyntheticRow) else row for row in rows], keys.seed)

    def synthetic(self, slots: list[Slot]) -> list[SyntheticRow]:
        """The rows of slots alone, with the columns of a real row; not for a stream, which has no row by number."""
        like = {k: v for k, v in self._real([0])[0].items() if self.columns is None or k in self.columns}
        return [_conform(row, like) for row in self._synthetic(slots)]

    def __getitem__(self, key: Any) -> Any:
        return (self._synthetic([key]) if isinstance(key, Slot) else self._real([key]))[0]

    def _real(self, keys: list[Any]) -> list[Any]:
        if self.dataset is None:
            return keys
        if hasattr(self.dataset, "__getitems__"):
            return self.dataset.__getitems__(keys)
        return [self.dataset[key] for key in keys]

    def _synthetic(self, slots: list[Slot]) -> list[SyntheticRow]:
        rows = [self.slots.read(slot) for slot in slots]
        if self.transform is not None and rows:
            columns = self.transform({name: [row[name] for row in rows] for name in rows[0]})
            rows = [{name: values[i] for name, values in columns.items()} for i in range(len(slots))]
        synthetic = [SyntheticRow(row | self.constants) for row in rows]
        if self.soft_labels:
            for row, slot in zip(synthetic, slots, strict=True):
                row.label_probabilities = self.slots.label_probabilities(slot)
        return synthetic


def _conform(row: SyntheticRow, like: dict[str, Any]) -> SyntheticRow:
    """Gives a synthetic row the keys and, where they are tensors, the types of a real one."""
    missing = [name for name in like if name not in row]
    if missing:
        raise ValueError(
            f"Synthetic rows lack the columns {missing} of real rows; they have {list(row)}: make them columns of the "
            "generator, pass preprocess=..., the function that makes them from the generator's columns, or remove "
            "them from train_dataset."
        )
    conformed = SyntheticRow(
        {
            name: torch.as_tensor(row[name], dtype=value.dtype) if isinstance(value, torch.Tensor) else row[name]
            for name, value in like.items()
        }
    )
    conformed.label_probabilities = row.label_probabilities
    return conformed


class BlendingCollator:
    """
    Collates with the user's collator, whose randomness it seeds, and adds what the loss needs of synthetic rows.

    With another weight than 1 or soft labels it adds `SAMPLE_WEIGHT`, float32 of shape `(batch,)`, and with
    `soft_labels` also `LABEL_PROBABILITIES`, float32 of shape `(batch, num_labels)`, one-hot for real rows. With
    `agreement` it adds `AGREEMENT`, float32 of shape `(batch,)`: the probability of a synthetic row's label by the
    filter that judges it, NaN for a real row.

    Args:
        collator (`Callable`): The user's collator; it sees neither column.
        synthetic_weight (`float`): The weight of a synthetic row; a real one has 1.
        num_labels (`int`): Number of classes.
        soft_labels (`bool`, *optional*, defaults to `False`): Whether to add the probabilities.
        label_names (`Sequence[str]`, *optional*, defaults to `("labels",)`):
            The label is in the first of these that the collator returns.
        agreement (`bool`, *optional*, defaults to `False`): Whether to add that.
    """

    def __init__(
        self,
        collator: Callable[[list[Any]], Any],
        synthetic_weight: float,
        num_labels: int,
        soft_labels: bool = False,
        label_names: Sequence[str] = ("labels",),
        agreement: bool = False,
    ) -> None:
        self.label_names, self.agreement = label_names, agreement
        self.collator, self.synthetic_weight = collator, synthetic_weight
        self.num_labels, self.soft_labels = num_labels, soft_labels

    def __call__(self, rows: Batch) -> Any:
        with isolated_rng(derive_seed(rows.seed, "collate")):
            batch = self.collator(rows)
        if self.synthetic_weight == 1.0 and not (self.soft_labels or self.agreement):
            return batch
        weights = torch.tensor([self.synthetic_weight if isinstance(row, SyntheticRow) else 1.0 for row in rows])
        # Rows may have weights already.
        batch[SAMPLE_WEIGHT] = weights * batch[SAMPLE_WEIGHT] if SAMPLE_WEIGHT in batch else weights
        if self.soft_labels or self.agreement:
            asked = "synthetic_labels='soft'" if self.soft_labels else "synthetic_weighting='dynamic'"
            labels = classes_of(batch, len(rows), self.label_names, asked)
            judged = [row.label_probabilities if isinstance(row, SyntheticRow) else None for row in rows]
            if self.soft_labels:
                batch[LABEL_PROBABILITIES] = F.one_hot(labels, self.num_labels).float()
                for i, probabilities in enumerate(judged):
                    if probabilities is not None:
                        batch[LABEL_PROBABILITIES][i] = torch.tensor(probabilities)
            if self.agreement:
                pairs = zip(judged, labels.tolist(), strict=True)
                batch[AGREEMENT] = torch.tensor([float("nan") if p is None else p[label] for p, label in pairs])
        return batch


def classes_of(batch: Any, rows: int, label_names: Sequence[str], asked: str) -> torch.Tensor:
    """The classes of a batch, for what was `asked`; a row of class -100 does not count, whatever stands for it."""
    labels = batch[label_input(batch, label_names)]
    if labels.is_floating_point() or labels.numel() != rows:
        raise ValueError(
            f"{asked} needs one class for each of {rows} rows, but the collator gives labels of type "
            f"{labels.dtype} and shape {tuple(labels.shape)}: give the classes, or pass another value."
        )
    return labels.view(-1).clamp(min=0)


def label_input(inputs: Any, label_names: Sequence[str]) -> str:
    """The name of the labels among a model's inputs."""
    # A model whose forward names no label gives an empty list.
    for name in (*label_names, "labels"):
        if name in inputs:
            return name
    raise ValueError(
        f"A batch has the inputs {list(inputs)}, none of label_names={list(label_names)}: synthetic_weight and soft "
        "labels need the labels in it, so name them in label_names."
    )
