"""Weights of rows in the loss: of the stock loss by itself, for other losses to read."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections import UserDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812
import torch.utils.data as torch_data
from transformers import Trainer

from hf_augment.blending.dataset import AGREEMENT, LABEL_PROBABILITIES, SAMPLE_WEIGHT, classes_of, label_input
from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.loaders import swapped


#: Logits `(batch, num_labels)`, classes `(batch,)` and agreements `(batch,)` to weights `(batch,)`.
Weigh = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
#: What a loss of one's own is given of each row, as parameters or attributes of these names.
ROW_INPUTS = ("row_weights", "label_probabilities")
#: The largest ratio of the judge's probability to the classifier's: beyond, an example is more likely mislabelled.
MOST_WEIGHT = 4.0
#: The class of a row that cross-entropy leaves out.
IGNORED = -100


@dataclass
class RowWeights:
    """
    The collator's account of a batch's rows.

    Args:
        weights (`torch.Tensor` of shape `(batch,)`):
            1 for a real row, or its own, `synthetic_weight` for a synthetic one, times that of the class; float32.
        probabilities (`torch.Tensor` of shape `(batch, num_labels)`, *optional*):
            Soft labels, float32; one-hot for rows without one.
        agreement (`torch.Tensor` of shape `(batch,)`, *optional*):
            The probability of each synthetic row's class by the filter that judged it, float32; NaN for others.
        read (`set[str]`, *optional*, defaults to none): Names of those that a loss has asked for.
    """

    weights: torch.Tensor
    probabilities: torch.Tensor | None = None
    agreement: torch.Tensor | None = None
    read: set[str] = field(default_factory=set)

    @classmethod
    def taken_from(cls, inputs: Any) -> RowWeights | None:
        """Takes them out of a batch, so that no model meets them; `None` where the collator gave none."""
        if not isinstance(inputs, dict | UserDict) or SAMPLE_WEIGHT not in inputs:
            return None
        return cls(inputs.pop(SAMPLE_WEIGHT), inputs.pop(LABEL_PROBABILITIES, None), inputs.pop(AGREEMENT, None))

    def look(self, *names: str) -> RowWeights:
        """Returns itself, and remembers what a loss has asked for."""
        self.read.update(names)
        return self


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


def dynamic_weights(logits: torch.Tensor, labels: torch.Tensor, agreement: torch.Tensor) -> torch.Tensor:
    """
    Weights of synthetic rows by what they teach: the judge's probability of the class over the classifier's own (Kuo
    et al. 2025, *Not all LLM-generated data are equal*, arXiv 2410.21526, the DIMP loss), at most [`MOST_WEIGHT`], and
    then divided by their mean in the batch.

    Example:

    ```python
    >>> import torch
    >>> from hf_augment.training.loss import dynamic_weights
    >>> logits = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    >>> dynamic_weights(logits, torch.tensor([0, 0, 1]), torch.tensor([0.9, 0.9, float("nan")]))
    tensor([1.3116, 0.6884, 1.0000])
    ```

    Args:
        logits (`torch.Tensor` of shape `(batch, num_labels)`): Of the classifier.
        labels (`torch.Tensor` of shape `(batch,)`): The classes.
        agreement (`torch.Tensor` of shape `(batch,)`): The judge's probabilities of them; NaN for a real row.

    Returns:
        `torch.Tensor` of shape `(batch,)`: float32; 1 for a real row.
    """
    own = logits.float().softmax(-1).gather(1, labels.clamp(min=0).view(-1, 1)).view(-1)
    ratio = (agreement.masked_fill(labels == IGNORED, torch.nan) / own.clamp(min=1e-12)).clamp(max=MOST_WEIGHT)
    return torch.where(ratio.isnan(), 1.0, ratio / ratio.nanmean().clamp(min=1e-6))


def weigh_loss(
    loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor, rows: RowWeights, weigh: Weigh = dynamic_weights
) -> torch.Tensor:
    """
    The weighted mean of a batch's cross-entropies, at the scale of the model's own loss.

    Model heads differ in what they divide by, and some ignore `num_items_in_batch`, so that accumulation multiplies
    their loss (https://github.com/huggingface/transformers/issues/47688). Whatever the scale is, it must not change
    with the weights: at weight 1 this is the model's own loss.

    Args:
        loss (`torch.Tensor`): The model's own loss of the batch.
        logits (`torch.Tensor` of shape `(batch, num_labels)`): Its logits.
        labels (`torch.Tensor` of shape `(batch,)`): The classes; -100 for a row that does not count.
        rows (`RowWeights`): Weights and soft labels.
        weigh (`Callable`, *optional*, defaults to [`dynamic_weights`]): Weights that depend on the logits.

    Returns:
        `torch.Tensor`: A scalar, float32.
    """
    logits, labels = logits.float(), labels.view(-1)
    plain = F.cross_entropy(logits, labels).detach()
    scale = torch.where(plain > 0, loss.detach().float().mean() / plain, 1.0)
    # Rounding, of a loss in bfloat16 above all, is no scale.
    scale = torch.where((scale - 1).abs() < 0.02, 1.0, scale)
    targets = labels if rows.probabilities is None else rows.probabilities
    losses = F.cross_entropy(logits, targets, reduction="none")
    weights = rows.weights
    if rows.agreement is not None:
        weights = weights * checked_weights(weigh(logits.detach(), labels, rows.agreement), len(labels))
    # Rows that a mean leaves out count neither above nor below.
    weights = weights * (labels != IGNORED)
    # Where no row counts there is no loss, nor anything to divide it by.
    return scale * (weights * losses).sum() / weights.sum().clamp(min=1e-12)


def checked_weights(weights: Any, rows: int) -> torch.Tensor:
    """Weights that a user's function returned for a batch; raises `ValueError` if they are none."""
    found = torch.as_tensor(weights, dtype=torch.float32)
    if found.shape != (rows,) or not (found.isfinite() & (found >= 0)).all():
        raise ValueError(
            f"weigh returned {weights!r:.200}: return a tensor of shape ({rows},) of finite numbers, 0 or more."
        )
    return found


class WeighingCollator:
    """
    Collates with the user's collator, which does not see the column of weights, and adds the weights of rows.

    Args:
        collator (`Callable`): The user's collator.
        column (`str`, *optional*): Column of the weights; `None`: each row has 1.
        class_weights (`Sequence[float]`, *optional*): Weights of the classes.
        label_names (`Sequence[str]`): Names of the label among what the collator returns.
    """

    def __init__(
        self,
        collator: Callable[[list[Any]], Any],
        column: str | None,
        class_weights: Sequence[float] | None,
        label_names: Sequence[str],
    ) -> None:
        self.collator, self.column, self.label_names = collator, column, label_names
        self.class_weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)

    def __call__(self, rows: list[Any]) -> Any:
        weights = torch.ones(len(rows))
        if self.column is not None:
            weights = torch.tensor([self._weight(row) for row in rows], dtype=torch.float32)
            rows = [{name: value for name, value in row.items() if name != self.column} for row in rows]
        batch = self.collator(rows)
        if self.class_weights is not None:
            labels = classes_of(batch, len(rows), self.label_names, "class_weights")
            if int(labels.max()) >= len(self.class_weights):
                raise ValueError(
                    f"class_weights has {len(self.class_weights)} numbers, and a row has the class "
                    f"{int(labels.max())}: give one for each class."
                )
            weights = weights * self.class_weights[labels]
        batch[SAMPLE_WEIGHT] = weights
        return batch

    def _weight(self, row: Any) -> float:
        value = row.get(self.column)
        if not isinstance(value, numbers.Real | torch.Tensor) or not 0 <= float(value) < math.inf:
            raise ValueError(
                f"row_weight_column={self.column!r} holds {value!r} in a row: give each training row a finite number, "
                "0 or more, which a transform of the dataset keeps."
            )
        return float(value)


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
        weigh (`Callable`, *optional*, defaults to [`dynamic_weights`]): See [`AugmentingMixin`].
    """

    def __init__(self, *args: Any, weigh: Weigh = dynamic_weights, **kwargs: Any) -> None:
        self._weights: RowWeights | None = None
        self._in_step, self.weigh = False, weigh
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

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As [`~transformers.Trainer.training_step`]; the weights are those of this step's batch."""
        self._weights = None
        with swapped(self, _in_step=True):
            return super().training_step(*args, **kwargs)

    def _check_read(self, needed: Collection[str]) -> None:
        """Refuses a step whose loss did not look at what it needs, of [`ROW_INPUTS`]."""
        read = set() if self._weights is None else self._weights.read
        if missing := " and ".join(f"self.{name}" for name in needed if name not in read):
            raise ValueError(
                f"Rows have weights or soft labels, but {type(self).__name__}.compute_loss did not look at {missing}: "
                "weigh each row's loss by row_weights, with label_probabilities for its label, or let "
                "super().compute_loss() do so, which can where each row of the batch has one class; call from a "
                "training_step of your own _prepare_inputs and compute_loss; or pass synthetic_weight=1 and "
                "synthetic_labels='hard'."
            )

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """
        The parent's loss, unless synthetic rows have another weight or soft labels: then see [`weigh_loss`].
        """
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
                "logits to weigh: pass a compute_loss_func with a parameter row_weights, or synthetic_weight=1 and "
                "synthetic_labels='hard'."
            )
        loss = weigh_loss(loss, named["logits"], labels, self._weights.look(*ROW_INPUTS), self.weigh)
        return (loss, outputs) if return_outputs else loss

    def _with_row_weights(self, function: Callable[..., Any]) -> Callable[..., Any]:
        names = [name for name in ROW_INPUTS if name in parameters_of(function)]

        @functools.wraps(function)
        def compute(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs, **{name: getattr(self, name) for name in names})

        return compute
