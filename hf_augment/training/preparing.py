"""From raw synthetic examples to rows like the real ones: the user's own functions, given what they expect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import datasets

from hf_augment.seeding import derive_seed, isolated_rng
from hf_augment.training.task import ClassTask, Task


Preprocess = Callable[[dict[str, list[Any]]], Any]


class RowMaker:
    """
    Gives synthetic examples the columns of real rows, by the functions that made the real ones.

    A function that was written for the dataset may read more than a generator makes:

    - *the label*, under the name it had in the raw rows, as a number or in words. If the training rows do not have
      that column any more, the name that the function misses is taken for it, if it then gives the class asked for;
    - *other columns of the training rows*, such as an id. They hold `None` for synthetic examples.

    Args:
        task (`Task`): The task, which says what a label is.
        columns (`Sequence[str]`): The generator's columns.
        known (`Iterable[str]`): The columns of the training rows.
        preprocess (`Callable`, *optional*):
            Columns to columns, as given to `Dataset.map(batched=True)`; `None` keeps the raw columns.
    """

    def __init__(
        self, task: Task, columns: Sequence[str], known: Iterable[str], preprocess: Preprocess | None = None
    ) -> None:
        self.task, self.columns, self.preprocess = task, list(columns), preprocess
        self.known = [name for name in known if name not in self.columns]
        self._as: tuple[str, bool] | None = None  # The label's name in the raw rows, and whether it is in words.

    def prepare(self, shard: int, columns: dict[str, list[Any]], labels: Sequence[int]) -> dict[str, Any]:
        """
        Returns the raw columns of a shard's examples, its label columns, and those that `preprocess` makes.

        Args:
            shard (`int`): The shard's number, which seeds a preprocessing that draws random numbers.
            columns (`dict[str, list]`): The generator's columns.
            labels (`Sequence[int]`): The classes asked for.

        Raises:
            ValueError: If the function reads a column that nothing gives, or returns another number of rows.
        """
        raw = columns | self.task.label_columns(labels)
        if self.preprocess is None:
            return raw
        # What is drawn here must not move the random numbers of training.
        with isolated_rng(derive_seed(0, "preprocess", shard)):
            made = self._made(raw, labels)
        for name, values in made.items():
            if len(values) != len(labels):
                raise ValueError(
                    f"preprocess returned {len(values)} values in column {name!r} for {len(labels)} examples: it is "
                    "called as by Dataset.map(batched=True) and has to return one value for each."
                )
        return raw | self.task.settle(made, labels)

    def _made(self, raw: dict[str, list[Any]], labels: Sequence[int]) -> dict[str, Any]:
        assert self.preprocess is not None
        if self._as is not None:
            raw = raw | self._label_column(*self._as, labels)
        try:
            return self._call(self.preprocess, self._given(raw, len(labels)))
        except KeyError as error:
            missing = error.args[0] if error.args else None
            if self._as is None and isinstance(self.task, ClassTask):
                # A function that misses no column has looked up a number among words, which it has replaced.
                name = missing if isinstance(missing, str) else self.task.label_key
                for in_words in (False, True):
                    found = self._tried(raw, name, in_words, labels)
                    if found is not None:
                        self._as = (name, in_words)
                        return found
            if not isinstance(missing, str):
                raise
            raise ValueError(
                f"preprocess found no {error}: for synthetic examples it is given the columns {list(raw)}. Let the "
                "generator's columns have the names that it reads, or keep that column in train_dataset; if it is the "
                "label, a preprocess that leaves the label out will do, since synthetic rows have it."
            ) from error

    def _tried(self, raw: dict[str, Any], name: str, in_words: bool, labels: Sequence[int]) -> dict[str, Any] | None:
        """Returns what the function makes if `name` is the label; `None` where that cannot be."""
        assert self.preprocess is not None
        assert isinstance(self.task, ClassTask)
        try:
            made = dict(self.preprocess(self._given(raw | self._label_column(name, in_words, labels), len(labels))))
            self.task.settle(made, labels)
        except (KeyError, TypeError, ValueError):
            return None
        return made if self.task.label_key in made else None

    def _label_column(self, name: str, in_words: bool, labels: Sequence[int]) -> dict[str, list[Any]]:
        assert isinstance(self.task, ClassTask)
        return {name: [self.task.names[label] if in_words else label for label in labels]}

    def _call(self, function: Preprocess, columns: dict[str, list[Any]]) -> dict[str, Any]:
        try:
            made = function(columns)
            if not isinstance(made, Mapping):
                raise TypeError(f"preprocess returned {type(made).__name__}: return the columns that it makes.")
            return dict(made)
        except Exception as error:
            nothing = [name for name in self.known if name in columns and any(v is None for v in columns[name])]
            if nothing:
                error.add_note(
                    f"Synthetic examples hold None in {nothing}, columns of train_dataset that the generator does not "
                    "make: make them columns of the generator, or pass a function that does without them. It may "
                    "leave the label out: synthetic rows have it."
                )
            raise

    def _given(self, raw: dict[str, list[Any]], rows: int) -> dict[str, list[Any]]:
        return {name: [None] * rows for name in self.known} | raw

    def transform(self, dataset: Any) -> Callable[[dict[str, list[Any]]], dict[str, Any]] | None:
        """
        Returns the transform that `set_transform` or `with_transform` gave a dataset, for columns of synthetic rows.

        It is given the columns that the dataset's format names. With `output_all_columns` the others are kept beside
        what it makes.

        Args:
            dataset (`Any`): The training rows, of any kind; `None` is returned for one without a transform.
        """
        if not isinstance(dataset, datasets.Dataset) or dataset.format["type"] != "custom":
            return None
        form: Mapping[str, Any] = dataset.format
        function, names = form["format_kwargs"]["transform"], form["columns"]
        known = list(dataset.column_names)

        def apply(columns: dict[str, list[Any]]) -> dict[str, Any]:
            rows = len(next(iter(columns.values())))
            given = self._given(columns, rows)
            made = self._call(function, {name: given[name] for name in names if name in given})
            others = {name: given[name] for name in known if name in given and name not in names}
            return others | made if form["output_all_columns"] else made

        return apply
