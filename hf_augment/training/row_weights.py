"""Weights of rows in the loss: where they come from, and a loss that heeds them."""

from __future__ import annotations

import numbers
from collections import UserDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from hf_augment.blending.dataset import AGREEMENT, LABEL_PROBABILITIES, SAMPLE_WEIGHT, classes_of
from hf_augment.training.arguments import LARGEST_WEIGHT


#: Logits `(batch, num_labels)`, classes `(batch,)` and agreements `(batch,)` to weights `(batch,)`.
Weigh = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
#: What a loss of one's own is given of each row, as parameters or attributes of these names.
ROW_INPUTS = ("row_weights", "label_probabilities")
#: The largest ratio of the judge's probability to the classifier's: beyond, an example is more likely mislabelled.
MOST_WEIGHT = 4.0
#: The class of a row that cross-entropy leaves out.
IGNORED = -100
#: The least cross-entropy of a batch by which the scale of a loss can be told, and how far off it may be by rounding.
TELLING, ROUNDING = 0.05, 0.05


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


def dynamic_weights(logits: torch.Tensor, labels: torch.Tensor, agreement: torch.Tensor) -> torch.Tensor:
    """
    Weights of synthetic rows by what they teach: the judge's probability of the class over the classifier's own (Kuo
    et al. 2025, *Not all LLM-generated data are equal*, arXiv 2410.21526, the DIMP loss), at most [`MOST_WEIGHT`], and
    then divided by their mean in the batch.

    Example:

    ```python
    >>> import torch
    >>> from hf_augment.training.row_weights import dynamic_weights
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


def scale_of(
    loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor, known: Sequence[float | torch.Tensor]
) -> int | None:
    """
    Tells what a model's own loss is of the mean cross-entropy of its logits.

    Model heads differ in what they divide by, and some ignore `num_items_in_batch`, so that accumulation multiplies
    their loss (https://github.com/huggingface/transformers/issues/47688). Whatever the scale is, it must not change
    with the weights: at weight 1 a weighted loss is the model's own.

    Args:
        loss (`torch.Tensor`): The model's own loss of the batch.
        logits (`torch.Tensor` of shape `(batch, num_labels)`): Its logits.
        labels (`torch.Tensor` of shape `(batch,)`): The classes; -100 for a row that does not count.
        known (`Sequence[float]`): The scales that there may be.

    Returns:
        `int`: The place of the scale among those known; `None` where a loss near 0 does not tell.

    Raises:
        `ValueError`: If the loss is something else than a cross-entropy of the logits.
    """
    plain = float(F.cross_entropy(logits.detach(), labels.view(-1)))
    if not plain > TELLING:
        return None
    own, scales = float(loss.detach().float().mean()), [float(scale) for scale in known]
    nearest = min(range(len(scales)), key=lambda i: abs(own - scales[i] * plain))
    if abs(own - scales[nearest] * plain) > ROUNDING * scales[nearest] * plain:
        raise ValueError(
            f"Rows have weights or soft labels, but the model's loss, {own:.4g}, is not the cross-entropy of its "
            f"logits, {plain:.4g}, and whatever else is in it would be lost: pass a compute_loss_func with a "
            "parameter row_weights."
        )
    return nearest


def weigh_loss(
    scale: float | torch.Tensor,
    logits: torch.Tensor,
    labels: torch.Tensor,
    rows: RowWeights,
    weigh: Weigh = dynamic_weights,
    divisor: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    The weighted mean of a batch's cross-entropies, at the scale of the model's own loss.

    Args:
        scale (`float`): What the model's own loss is of the mean; see [`scale_of`].
        logits (`torch.Tensor` of shape `(batch, num_labels)`): Logits of the model.
        labels (`torch.Tensor` of shape `(batch,)`): The classes; -100 for a row that does not count.
        rows (`RowWeights`): Weights and soft labels.
        weigh (`Callable`, *optional*, defaults to [`dynamic_weights`]): Weights that depend on the logits.
        divisor (`torch.Tensor`, *optional*, defaults to the sum of the batch's weights):
            The mean of that sum over the batches of an optimizer step, so that accumulation weighs all of its rows.

    Returns:
        `torch.Tensor`: A scalar, float32.
    """
    logits, labels = logits.float(), labels.view(-1)
    targets = labels if rows.probabilities is None else rows.probabilities
    losses = F.cross_entropy(logits, targets, reduction="none")
    weights = rows.weights
    if rows.agreement is not None:
        weights = weights * checked_weights(weigh(logits.detach(), labels, rows.agreement), labels)
    # Rows that a mean leaves out count neither above nor below.
    weights = weights * (labels != IGNORED)
    total = weights.sum() if divisor is None else divisor.to(weights.device)
    # Where no row counts there is no loss, nor anything to divide it by.
    return scale * (weights * losses).sum() / torch.where(total > 0, total, 1.0)


def checked_weights(weights: Any, labels: torch.Tensor) -> torch.Tensor:
    """Weights that a user's function returned for a batch; raises `ValueError` if they are none."""
    found, rows = torch.as_tensor(weights, dtype=torch.float32, device=labels.device), len(labels)
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
        value = row.get(self.column) if isinstance(row, dict) else None
        if not isinstance(value, numbers.Real | torch.Tensor) or not 0 <= float(value) <= LARGEST_WEIGHT:
            raise ValueError(
                f"row_weight_column={self.column!r} holds {value!r} in a row: give each training row, a "
                f"dictionary, a number from 0 to {LARGEST_WEIGHT:g}, which a transform of the dataset keeps."
            )
        return float(value)
