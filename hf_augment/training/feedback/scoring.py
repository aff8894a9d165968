"""A classifier in the middle of its training, asked about rows: nothing of the training changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import datasets
import numpy as np
import torch

from hf_augment.blending.dataset import BlendedDataset
from hf_augment.blending.sampler import Batch, Slot
from hf_augment.fingerprints import rows_digest, weights_fingerprint
from hf_augment.seeding import isolated_rng
from hf_augment.training.loaders import bare_loader, swapped
from hf_augment.training.task import ROWS_READ


class Scorer:
    """
    Asks the classifier of a trainer about synthetic examples and validation rows, as in an evaluation: without
    dropout, augmentation, gradients or a trace in the random state.

    Args:
        trainer (`Trainer`): The trainer.
        rows (`BlendedDataset`): The rows of its training.
        num_labels (`int`): Number of classes.
    """

    def __init__(self, trainer: Any, rows: BlendedDataset, num_labels: int) -> None:
        self.trainer, self.rows, self.num_labels = trainer, rows, num_labels

    def weights(self) -> str:
        """Returns what identifies the classifier as it is now."""
        return weights_fingerprint(self.trainer.model)

    def of_slots(self, slots: Sequence[int], seed: int) -> np.ndarray:
        """
        Returns the probabilities of the classes, float32 of shape `(n, num_labels)`.

        Args:
            slots (`Sequence[int]`): Slots of examples that are prepared.
            seed (`int`): Seed of a random transform, if the rows have one.
        """
        with isolated_rng(seed), self._evaluating():
            return self._of(self.rows.synthetic([Slot(slot) for slot in slots]))[0]

    def of_rows(self, rows: Sequence[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
        """
        Returns the probabilities of the classes for training rows, float32 of shape `(n, num_labels)`, and their
        labels, int64 of shape `(n,)`.

        Args:
            rows (`Sequence[int]`): Their numbers in the training set.
            seed (`int`): See [`~Scorer.of_slots`].
        """
        with isolated_rng(seed), self._evaluating():
            return self._of(self.rows.__getitems__(Batch(rows, seed)))

    def _of(self, rows: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        collate = self.trainer._get_collator_with_removed_columns(self.trainer.data_collator, "candidates")
        weight = self.trainer.augmentation.row_weight_column
        if weight is not None:
            rows = [{name: value for name, value in row.items() if name != weight} for row in rows]
        found = np.empty((len(rows), self.num_labels), dtype=np.float32)
        labels = np.empty(len(rows), dtype=np.int64)
        # Rows of like length, so that little is padded.
        order = sorted(range(len(rows)), key=lambda i: (_length(rows[i]), i))
        size = self.trainer.args.eval_batch_size
        for start in range(0, len(rows), size):
            places = order[start : start + size]
            found[places], labels[places] = self._ask(collate([rows[i] for i in places]))
        return found, labels

    def of_validation(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """
        Returns the probabilities of the classes for `eval_dataset`, float32 of shape `(n, num_labels)`, and the
        labels, int64 of shape `(n,)`. Each rank asks about all rows.
        """
        trainer = self.trainer
        # A loader of its own: the trainer's would be kept, and is for a part of the rows.
        own = swapped(trainer, _eval_dataloaders={})
        whole = swapped(trainer.args, dataloader_persistent_workers=False, dataloader_drop_last=False)
        with isolated_rng(seed), self._evaluating(), own, whole:
            loader = bare_loader(trainer.accelerator, lambda: trainer.get_eval_dataloader(trainer.eval_dataset))
            asked = [self._ask(batch) for batch in loader]
        probabilities = np.concatenate([np.empty((0, self.num_labels), np.float32), *(p for p, _ in asked)])
        labels = np.concatenate([np.empty(0, np.int64), *(found for _, found in asked)])
        # A label of -100 is none.
        counted = (labels >= 0) & (labels < self.num_labels)
        if not counted.any():
            raise ValueError(
                f"eval_dataset has no label in {self.num_labels} classes, so that no policy can look at it."
            )
        return probabilities[counted], labels[counted]

    def validation_identity(self) -> str:
        """Returns what identifies the validation rows, as far as it is known."""
        return _identity(self.trainer.eval_dataset)

    def training_identity(self) -> str:
        """Returns what identifies the training rows, as far as it is known."""
        return _identity(self.trainer.train_dataset)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        model = self.trainer.model
        training = model.training
        model.eval()
        try:
            with torch.no_grad(), self.trainer.compute_loss_context_manager():
                yield
        finally:
            model.train(training)

    def _ask(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        inputs = dict(self.trainer._prepare_inputs(batch))
        name = next((name for name in (*self.trainer.label_names, "labels") if name in inputs), None)
        if name is None:
            raise ValueError(f"synthetic_feedback needs labels, and a batch has the inputs {list(inputs)}: pass 0.")
        labels = inputs.pop(name).view(-1)
        outputs = self.trainer.model(**inputs)
        logits = outputs.get("logits") if isinstance(outputs, dict) else outputs[0]
        shape = None if logits is None else tuple(logits.shape)
        if logits is None or shape != (len(labels), self.num_labels):
            raise ValueError(
                f"synthetic_feedback needs the logits of {self.num_labels} classes for each of {len(labels)} rows, "
                f"but {type(self.trainer.model).__name__} gives an array of shape {shape}: pass 0."
            )
        return logits.float().softmax(-1).cpu().numpy(), labels.cpu().numpy()


def _length(row: dict[str, Any]) -> int:
    tokens = row.get("input_ids")
    return 0 if tokens is None else len(tokens)


def _identity(rows: Any) -> str:
    if isinstance(rows, datasets.Dataset):
        return str(rows._fingerprint)
    # A stream has no length, and is not read twice.
    count = len(rows) if hasattr(rows, "__len__") else 0
    with isolated_rng(0):
        return f"{type(rows).__name__} {count} {rows_digest(rows[i] for i in range(min(count, ROWS_READ)))}"
