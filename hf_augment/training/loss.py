"""Weights of rows in the loss of a Trainer: of the stock loss by itself, for other losses to read."""

from __future__ import annotations

import functools
import inspect
from collections import UserDict
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import torch
import torch.utils.data as torch_data
from transformers import Trainer

from hf_augment.blending.dataset import SAMPLE_WEIGHT, label_input
from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.loaders import swapped
from hf_augment.training.row_weights import (
    IGNORED,
    ROW_INPUTS,
    RowWeights,
    Weigh,
    WeighingCollator,
    dynamic_weights,
    scale_of,
    weigh_loss,
)


def parameters_of(function: Callable[..., Any]) -> Collection[str]:
    """
    The names of a function's parameters; of a module's `forward`, also below `functools.partial`.

    What `**kwargs` takes in is none of them: it may be passed over.
    """
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = function.func
    # The `__call__` of a module, or of a compiled one, says nothing.
    module = getattr(function, "_orig_mod", function)
    return inspect.signature(module.forward if isinstance(module, torch.nn.Module) else function).parameters


if TYPE_CHECKING:
    _Base = Trainer
else:
    _Base = object


class WeighingMixin(_Base):
    """
    Gives the weights of rows to the loss of a [`~transformers.Trainer`], and sees to it that the loss heeds them.

    Args:
        args, kwargs:
            Those of the trainer.
        weigh (`Callable`, *optional*): See [`AugmentingMixin`].
    """

    def __init__(self, *args: Any, weigh: Weigh | None = None, **kwargs: Any) -> None:
        self._weights: RowWeights | None = None
        self._in_step, self.weigh = False, weigh
        # Of the batches of an optimizer step: the mean of the sums of their weights.
        self._mean_weight: torch.Tensor | None = None
        # Which of the scales that there are the model's own loss has.
        self._scale: int | None = None
        super().__init__(*args, **kwargs)
        if self.compute_loss_func is not None and set(ROW_INPUTS) & set(parameters_of(self.compute_loss_func)):
            self.compute_loss_func = self._with_row_weights(self.compute_loss_func)

    @property
    def row_weights(self) -> torch.Tensor | None:
        """
        The weights of the batch's rows, float32 of shape `(batch,)`, for a `compute_loss` of your own; `None` where
        all count the same.
        """
        return None if self._weights is None else self._weights.look("row_weights").weights

    @property
    def label_probabilities(self) -> torch.Tensor | None:
        """The soft labels of the batch's rows, float32 of shape `(batch, num_labels)`; `None` with hard labels."""
        return None if self._weights is None else self._weights.look("label_probabilities").probabilities

    @property
    def augmentation(self) -> AugmentationArguments:
        """The arguments of augmentation."""
        return self.args if isinstance(self.args, AugmentationArguments) else AugmentationArguments()

    @property
    def _has_own_loss(self) -> bool:
        return type(self).compute_loss is not WeighingMixin.compute_loss

    def get_train_dataloader(self) -> torch_data.DataLoader:
        """The parent's; its collator adds the weights of rows and classes, if there are any."""
        column, classes = self.augmentation.row_weight_column, self.augmentation.class_weights
        if column is None and classes is None:
            return super().get_train_dataloader()
        kept: dict[str, Any] = {}
        if column is not None and self.args.remove_unused_columns:
            self._set_signature_columns_if_needed()
            kept["_signature_columns"] = [*(self._signature_columns or ()), column]
        collator = WeighingCollator(self.data_collator, column, classes, self.label_names)
        with swapped(self, data_collator=collator, **kept):
            return super().get_train_dataloader()

    @property
    def _has_stock_loss(self) -> bool:
        # Whether the next loss after this mixin is that of transformers; what comes before has called this one.
        above = super().compute_loss.__func__  # type: ignore[attr-defined]
        return above is Trainer.compute_loss and self.compute_loss_func is None

    def _prepare_inputs(self, inputs: Any) -> Any:
        inputs = super()._prepare_inputs(inputs)
        rows = RowWeights.taken_from(inputs)
        # A loss may prepare further batches; those of the step are the first one's.
        if self._weights is None or not self._in_step:
            self._weights = rows
        return inputs

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The parent's; with accumulation it notes what all rows of the step weigh."""
        batches, items = super().get_batch_samples(*args, **kwargs)
        self._mean_weight = None
        if len(batches) > 1 and all(isinstance(b, dict | UserDict) and SAMPLE_WEIGHT in b for b in batches):
            self._mean_weight = torch.stack([self._counted(batch).sum() for batch in batches]).mean()
        return batches, items

    def _counted(self, batch: Any) -> torch.Tensor:
        """The weights of those rows of a batch that count."""
        weights: torch.Tensor = batch[SAMPLE_WEIGHT]
        labels = batch[label_input(batch, self.label_names)].view(-1)
        return weights * (labels != IGNORED) if labels.numel() == weights.numel() else weights

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As [`~transformers.Trainer.training_step`]; the weights are those of this step's batch."""
        self._weights = None
        with swapped(self, _in_step=True):
            return super().training_step(*args, **kwargs)

    def _check_read(self, needed: Collection[str]) -> None:
        """Refuses a step whose loss did not look at what it needs, of [`ROW_INPUTS`]."""
        if needed and self._weights is None:
            raise ValueError(
                f"Rows have weights or soft labels, and none of them reached the loss of {type(self).__name__}: call "
                "super() in a get_train_dataloader of your own, and _prepare_inputs in a training_step."
            )
        read = set() if self._weights is None else self._weights.read
        if missing := " and ".join(f"self.{name}" for name in needed if name not in read):
            raise ValueError(
                f"Rows have weights or soft labels, but {type(self).__name__}.compute_loss did not look at {missing}: "
                "weigh each row's loss by row_weights, with label_probabilities for its label, or let "
                "super().compute_loss() do so, which can where each row of the batch has one class; and call "
                "compute_loss in a training_step of your own."
            )

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The parent's loss, unless rows have weights or soft labels: then see [`weigh_loss`]."""
        if self._weights is None or not self._has_stock_loss:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs[label_input(inputs, self.label_names)]
        if labels.is_floating_point() or labels.numel() != len(self._weights.weights):
            # No classes: a loss that calls this one has to weigh by itself.
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        # A tuple begins with the loss, and logits come next.
        named = outputs if isinstance(outputs, dict) else dict(zip(("loss", "logits"), outputs, strict=False))
        if named.get("logits") is None:
            raise ValueError(
                f"Rows have weights or soft labels, but {type(self.model).__name__} returns {list(named)}, no "
                "logits to weigh: pass a compute_loss_func with a parameter row_weights."
            )
        rows, weigh = self._weights.look(*ROW_INPUTS), self.weigh or dynamic_weights
        scale = self._scale_of(loss, named["logits"], labels, num_items_in_batch)
        loss = weigh_loss(scale, named["logits"], labels, rows, weigh, self._mean_weight)
        return (loss, outputs) if return_outputs else loss

    def _scale_of(self, loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor, items: Any) -> Any:
        """The scale of the model's own loss; what it divides by does not change once it is told."""
        known: list[Any] = [1.0]
        if items is not None:
            share = (labels != IGNORED).sum() / items
            known += [share, self.args.world_size, share * self.args.world_size]
        if self._scale is None:
            self._scale = scale_of(loss, logits, labels, known)
        return known[self._scale or 0]

    def _with_row_weights(self, function: Callable[..., Any]) -> Callable[..., Any]:
        names = [name for name in ROW_INPUTS if name in parameters_of(function)]

        @functools.wraps(function)
        def compute(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs, **{name: getattr(self, name) for name in names})

        return compute
