"""What a label is: the class that a generator was asked for, or a target that its examples bring along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import datasets
import numpy as np
import torch.utils.data as torch_data
from transformers import PretrainedConfig

from hf_augment.generators.base import Generator
from hf_augment.label_sets import members, memberships
from hf_augment.seeding import derive_rng


#: Names of a label column, in the order in which they are looked for after `label_names`.
LABEL_COLUMNS = ("labels", "label", "label_ids")

#: The rows of a stream, or of a torch dataset, that are read to find columns that say the class, or compared with its
#: attribute `labels`.
ROWS_READ = 200


class Task:
    """
    A task whose examples bring their own target: a number, a sequence, several classes, or none.

    Its generator has the target among its `columns`, or its columns are what `preprocess` makes the target from. The
    classes it is asked for are its own affair, such as topics or styles, drawn evenly.

    Args:
        label_key (`str`, *optional*): The label column of the training rows, if they have one.
    """

    #: Whether the label is what the generator was asked for, so that class balance has a meaning.
    asks_for_labels = False
    #: Whether it is one class, so that soft labels have a meaning.
    has_classes = False

    def __init__(self, label_key: str | None = None) -> None:
        self.label_key = label_key

    @property
    def shard_column(self) -> str:
        """The column in which a shard keeps the classes asked for."""
        return "synthetic_class"

    def label_columns(self, labels: Sequence[int]) -> dict[str, list[Any]]:
        """The label columns of raw rows of these classes."""
        return {}

    def settle(self, made: dict[str, Any], labels: Sequence[int]) -> dict[str, Any]:
        """The columns that `preprocess` made, with the label where the model looks for it."""
        return made

    def counts(self, dataset: Any) -> np.ndarray | None:
        """Rows of each of the generator's classes, int64 of shape `(num_labels,)`; `None` where labels are others."""
        return None


class ClassTask(Task):
    """
    A task in which a label is one class: the class asked for is the label of what was made.

    Args:
        label_key (`str`): The label column of the training rows.
        names (`Sequence[str]`): The generator's classes.
        forms (`dict[str, list]`, *optional*):
            By column of the training rows that says the class: its value for each class, such as its name. Defaults to
            the numbers in `label_key`.
    """

    asks_for_labels = has_classes = True

    def __init__(self, label_key: str, names: Sequence[str], forms: dict[str, list[Any]] | None = None) -> None:
        super().__init__(label_key)
        self.label_key: str = label_key
        self.names = list(names)
        self.forms = {label_key: list(range(len(names)))} if forms is None else forms

    @property
    def shard_column(self) -> str:
        return self.label_key

    def label_columns(self, labels: Sequence[int]) -> dict[str, list[Any]]:
        return {column: [values[label] for label in labels] for column, values in self.forms.items()}

    def settle(self, made: dict[str, Any], labels: Sequence[int]) -> dict[str, Any]:
        """
        Raises:
            ValueError: If the function writes other classes than were asked for.
        """
        if self.label_key not in made:
            return made
        values = np.asarray(made[self.label_key])
        # One-hot rows and the like are the function's own form of the label.
        if values.ndim == 1 and not np.array_equal(values, labels):
            wrong = int(np.flatnonzero(values != np.asarray(labels))[0])
            raise ValueError(
                f"preprocess gives {self.label_key}={values.tolist()[wrong]!r} to an example of class "
                f"{self.names[labels[wrong]]!r}, which is number {labels[wrong]} of the generator's label_names "
                f"{self.names}: put label_names in the order of the dataset's numbers."
            )
        return made

    def counts(self, dataset: Any) -> np.ndarray:
        """
        Raises:
            ValueError: If a label is no whole number in `[0, num_labels)`.
        """
        labels = _labels(dataset, self.label_key)
        if labels.dtype == object and (without := np.flatnonzero(labels == None)).size:  # noqa: E711 - of each element
            raise ValueError(
                f"Row {without[0]} of train_dataset has no label in column {self.label_key!r}, as {without.size} of "
                f"{len(labels)} rows: drop them, for example by train_dataset.filter(lambda row: "
                f"row[{self.label_key!r}] is not None)."
            )
        if self.forms[self.label_key] == self.names:
            numbers = {name: i for i, name in enumerate(self.names)}
            self._refuse({label for label in labels.tolist() if label not in numbers})
            labels = np.asarray([numbers[label] for label in labels.tolist()])
        if labels.dtype.kind not in "iub":
            raise ValueError(
                f"train_dataset has labels of type {labels.dtype} in column {self.label_key!r}: encode them as "
                f"integers, for example by train_dataset.class_encode_column({self.label_key!r})."
            )
        self._refuse(set(labels[(labels < 0) | (labels >= len(self.names))].tolist()))
        return np.bincount(labels.astype(np.int64), minlength=len(self.names))

    def _refuse(self, unknown: set[Any]) -> None:
        if unknown:
            raise ValueError(
                f"train_dataset has labels {sorted(unknown)[:5]} in column {self.label_key!r}, but the generator "
                f"knows 0 to {len(self.names) - 1}, {self.names}: drop those rows, encode them as integers in that "
                "order, or use a generator with more label_names."
            )


class SetTask(Task):
    """
    A task in which a row may have several labels, as a row of 0 and 1: the set of labels asked for, one of the
    generator's `label_names` such as `"card; lost"`, is the target of what was made. Sets that no training row has are
    not asked for.

    Args:
        label_key (`str`): The label column of the training rows.
        sets (`np.ndarray`): Which labels each set has, bool of shape `(sets, labels)`.
    """

    asks_for_labels = True

    def __init__(self, label_key: str, sets: np.ndarray) -> None:
        super().__init__(label_key)
        self.label_key: str = label_key
        self.sets = sets

    @property
    def shard_column(self) -> str:
        return "label"

    def label_columns(self, labels: Sequence[int]) -> dict[str, list[Any]]:
        return {self.label_key: self.sets[list(labels)].astype(float).tolist()}

    def settle(self, made: dict[str, Any], labels: Sequence[int]) -> dict[str, Any]:
        """The columns that `preprocess` made: it may have made a target from labels of another form."""
        return made | self.label_columns(labels)

    def counts(self, dataset: Any) -> np.ndarray:
        """
        Raises:
            ValueError: If no row has one of the generator's sets.
        """
        number = {row.tobytes(): i for i, row in enumerate(self.sets)}
        plain = dataset.with_format(None) if isinstance(dataset, datasets.Dataset) else dataset
        rows = (np.asarray(plain[row][self.label_key]) for row in range(len(plain)))
        found = [number.get((row == 1).tobytes()) for row in rows]
        counts = np.bincount([i for i in found if i is not None], minlength=len(self.sets))
        if not counts.any():
            raise ValueError(
                f"train_dataset has none of the generator's sets of labels in column {self.label_key!r}: give the "
                "generator label_names that are sets of its rows."
            )
        return counts


def _labels(dataset: Any, key: str) -> np.ndarray:
    """A column of all training rows, without reading rows one by one where it is to be had otherwise."""
    if isinstance(dataset, datasets.Dataset):
        column = dataset.with_format("arrow", columns=[key])[:][key]
        return column.to_numpy() if not column.null_count else np.asarray(column.to_pylist())

    def read(row: int) -> Any:
        return np.asarray(dataset[row][key]).item()

    rows, kept = range(len(dataset)), getattr(dataset, "labels", None)
    if kept is not None and np.shape(kept) == (len(rows),):
        kept = np.asarray(kept)
        # An attribute of this name may be something else.
        if all(kept[row] == read(row) for row in rows[:: len(rows) // ROWS_READ + 1]):
            return kept
    return np.asarray([read(row) for row in rows])


def find_task(
    dataset: Any,
    row: Mapping[str, Any],
    generator: Generator,
    label_names: Sequence[str],
    reads_labels: bool,
    config: PretrainedConfig | None,
    made: bool,
) -> Task:
    """
    Finds out what a label of the training rows is.

    Args:
        dataset (`datasets.Dataset`, `datasets.IterableDataset` or `torch.utils.data.Dataset`): The training rows.
        row (`Mapping[str, Any]`): The first of them, raw; see [`first_row`].
        generator (`Generator`): Makes the synthetic ones.
        label_names (`Sequence[str]`): As in [`~transformers.TrainingArguments`].
        reads_labels (`bool`): Whether the model's `forward` names labels.
        config (`PretrainedConfig`, *optional*): That of the model.
        made (`bool`): Whether a function (`preprocess`, or the dataset's transform) may make the target.

    Returns:
        [`ClassTask`] where a label is a whole number and the generator's examples do not bring it; [`SetTask`] where
        it is a row of 0 and 1 and the generator's classes are sets of the labels in `config.id2label`; else [`Task`].

    Raises:
        ValueError: If nothing gives the synthetic rows a label, or the classes are others than the generator's.
    """
    key = next((name for name in (*label_names, *LABEL_COLUMNS) if name in row), None)
    if key is None and reads_labels and not {*label_names, *LABEL_COLUMNS} & {*generator.columns}:
        raise ValueError(f"train_dataset has no label column among {list(row)}: name it 'label' or set label_names.")
    if key is None or key in generator.columns:
        return Task(key)
    value = np.asarray(row[key])
    if (sets := _label_sets(value, generator, config)) is not None:
        return SetTask(key, sets)
    number = value.ndim == 0 and value.dtype.kind == "f" and getattr(config, "num_labels", 0) == 1
    if value.ndim or number:
        if not made:
            raise ValueError(
                f"train_dataset has {row[key]!r:.60} in column {key!r}, which is no class, and the generator's "
                f"columns {list(generator.columns)} do not have it: make it a column of the generator, or pass "
                "preprocess=..., the function that makes it."
            )
        return Task(key)
    if isinstance(row[key], str) and not made:
        raise ValueError(
            f"train_dataset has labels in words, such as {row[key]!r}, in column {key!r}: encode them as integers, "
            f"for example by train_dataset.class_encode_column({key!r})."
        )
    _check_classes(dataset, key, list(generator.label_names), config)
    return ClassTask(key, generator.label_names, _forms(dataset, row, key, generator))


def _label_sets(value: np.ndarray, generator: Generator, config: PretrainedConfig | None) -> np.ndarray | None:
    """Which labels each of the generator's classes has, if they are sets of labels, as the row's label is one."""
    id2label = getattr(config, "id2label", None) or {}
    labels = [id2label[number] for number in sorted(id2label)]
    if value.shape != (len(labels),) or not np.isin(value, (0, 1)).all():
        return None
    known = all(set(members(name)) <= set(labels) for name in generator.label_names)
    return memberships(generator.label_names, labels) if known else None


def _check_classes(dataset: Any, key: str, names: list[str], config: PretrainedConfig | None) -> None:
    feature = (getattr(dataset, "features", None) or {}).get(key)
    if isinstance(feature, datasets.ClassLabel) and list(feature.names) != names:
        raise ValueError(
            f"The generator was made for the labels {names}, but column {key!r} of train_dataset has "
            f"{list(feature.names)}: use a generator with these label_names in this order."
        )
    num_labels = getattr(config, "num_labels", len(names))
    if num_labels != len(names):
        raise ValueError(f"The generator has {len(names)} labels, {names}, but the model has num_labels={num_labels}.")
    id2label = getattr(config, "id2label", None) or {}
    named = [id2label.get(i) for i in range(num_labels)]
    if all(named) and named != [f"LABEL_{i}" for i in range(num_labels)] and named != names:
        raise ValueError(
            f"The generator was made for the labels {names}, but the model's config.id2label says {named}: make them "
            "agree, so that a label means the same in both."
        )


def _forms(dataset: Any, first: Mapping[str, Any], key: str, generator: Generator) -> dict[str, list[Any]]:
    """By column of the training rows that says the class: its value for each class."""
    names: list[Any] = list(generator.label_names)
    numbers: list[Any] = list(range(len(names)))
    forms: dict[str, list[Any]] = {key: names if isinstance(first[key], str) else numbers}
    others = [
        column
        for column, value in first.items()
        if column not in (key, *generator.columns) and isinstance(_plain(value), str | int | float)
    ]
    for column, values in _values(dataset, key, others).items():
        seen: list[Any] = [values.get(label) for label in forms[key]]
        with_row = [i for i, value in enumerate(seen) if value is not None]
        # For a class without a row: as the other classes have it, or nothing.
        for form, is_sure in ((names, True), (numbers, len(with_row) > 1 or column in LABEL_COLUMNS)):
            if is_sure and with_row and all(form[i] == seen[i] for i in with_row):
                seen = form
                break
        if seen in (names, numbers) or len(with_row) > 1:
            forms[column] = seen
    return forms


def _values(dataset: Any, key: str, columns: Sequence[str]) -> dict[str, dict[Any, Any]]:
    """By column with one value for each label, and another for each other label: its values."""
    found: dict[str, dict[Any, Any]] = {column: {} for column in columns}
    for part in _parts(dataset, [key, *columns]) if columns else ():
        for column, values in list(found.items()):
            pairs = zip(part[key], part[column], strict=True)
            if any(values.setdefault(label, value) != value for label, value in pairs):
                del found[column]
        if not found:
            break
    return {column: values for column, values in found.items() if len(set(values.values())) == len(values)}


def _parts(dataset: Any, columns: list[str]) -> Iterator[dict[str, list[Any]]]:
    """Some columns of the training rows, some rows at a time; not all rows where each has to be made."""
    if isinstance(dataset, datasets.Dataset):
        yield from dataset.with_format(None).select_columns(columns).iter(batch_size=1000)
        return
    if isinstance(dataset, torch_data.IterableDataset):
        rows: Iterable[Any] = islice(dataset, ROWS_READ)
    else:
        # Rows may be sorted by class, or take turns.
        chosen = derive_rng(0, "label_columns").permutation(len(dataset))[:ROWS_READ].tolist()
        rows = (dataset[i] for i in chosen)
    for row in rows:
        yield {column: [_plain(row.get(column))] for column in columns}


def _plain(value: Any) -> Any:
    """A number out of the array or tensor that holds nothing else."""
    return value.item() if getattr(value, "shape", None) == () else value


def first_row(dataset: Any) -> dict[str, Any]:
    """
    The first raw row of a dataset of any kind; of a [`datasets.Dataset`] with a transform, without it.

    Raises:
        ValueError: If rows have no names for their columns, or there is none.
    """
    if isinstance(dataset, datasets.Dataset):
        dataset = dataset.with_format(None)
    if isinstance(dataset, dict):
        raise ValueError(f"train_dataset holds several datasets, {list(dataset)}: concatenate them, or pass one.")
    if isinstance(dataset, torch_data.IterableDataset):
        row = next(iter(islice(dataset, 1)), None)
    else:
        row = dataset[0] if len(dataset) else None
    if row is None:
        raise ValueError("train_dataset is empty: check the filters and the split it was made with.")
    if not isinstance(row, Mapping):
        raise ValueError(
            f"train_dataset has rows of type {type(row).__name__}: synthetic rows are blended by column name, so "
            "return a dict from __getitem__."
        )
    return dict(row)
