"""Arguments of a training that suit the data, each with the rule that gives it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


#: Passes over the labelled rows; the fewest and the most steps that they become where rows are very few or many, but
#: everything is shown `LEAST_PASSES` times.
PASSES, LEAST_STEPS, MOST_STEPS, LEAST_PASSES = 5, 120, 400, 3
#: Rate of a pretrained model as wide as BERT-base (Devlin et al. 2019, appendix A.3), and of one of random weights.
BASE_RATE, BASE_WIDTH, FRESH_RATE = 5e-5, 768, 3e-3


@dataclass(frozen=True)
class Choice:
    """
    A value that a rule gives to an argument.

    Args:
        name (`str`): The argument.
        value (`int`, `float`, `str` or `tuple[str, ...]`): Its value.
        reason (`str`): The rule, in words that a person can check.
    """

    name: str
    value: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.name}={' '.join(self.value) if isinstance(self.value, tuple) else self.value}: {self.reason}"


def training_choices(
    rows: int, width: int | None, *, batch: int | None = None, steps: int | None = None
) -> list[Choice]:
    """
    Derives how a classifier is trained so that it is no weak baseline, the same for all arms. `max_steps` are those of
    an arm with a generator, too.

    Example:

    ```python
    >>> from hf_augment.study.defaults import training_choices
    >>> for choice in training_choices(770, width=384):
    ...     print(choice)
    per_device_train_batch_size=16: 16 for fewer than 2,000 labelled rows, 32 from there on
    max_steps=241: 5 passes over 770 labelled rows, 16 at a time
    warmup_steps=24: a tenth of the steps, so that warm-up ends
    learning_rate=0.0001: 5e-05 for a pretrained model 768 wide, and this one is 384 wide
    ```

    Args:
        rows (`int`): Number of labelled rows of a run.
        width (`int`, *optional*): Hidden size of a pretrained model; `None` for one that begins with random weights.
        batch (`int`, *optional*): Rows of a batch, if they are given; steps are counted with it.
        steps (`int`, *optional*): Steps, if they are given; the warm-up is a part of them.

    Returns:
        `list[Choice]`: Of `per_device_train_batch_size`, `max_steps`, `warmup_steps` and `learning_rate`.

    Raises:
        ValueError: If there is no row.
    """
    if rows < 1:
        raise ValueError(f"rows={rows} must be 1 or more: it is the number of labelled rows.")
    usual = 16 if rows < 2000 else 32
    wanted, why = _steps(rows, usual if batch is None else batch)
    steps = wanted if steps is None else steps
    rate, of = FRESH_RATE, "for a network that begins with random weights"
    if width is not None:
        # Two digits, as people write rates.
        rate = float(f"{BASE_RATE * BASE_WIDTH / width:.1e}")
        of = f"{BASE_RATE:g} for a pretrained model {BASE_WIDTH} wide, and this one is {width} wide"
    return [
        Choice("per_device_train_batch_size", usual, "16 for fewer than 2,000 labelled rows, 32 from there on"),
        Choice("max_steps", wanted, why),
        Choice("warmup_steps", steps // 10, "a tenth of the steps, so that warm-up ends"),
        Choice("learning_rate", rate, of),
    ]


def _steps(rows: int, batch: int) -> tuple[int, str]:
    """Returns the number of steps, and why."""
    wanted, least = (math.ceil(passes * rows / batch) for passes in (PASSES, LEAST_PASSES))
    steps = max(LEAST_STEPS, least, min(wanted, MOST_STEPS))
    if steps == wanted:
        return steps, f"{PASSES} passes over {rows:,} labelled rows, {batch} at a time"
    if steps == least:
        return steps, f"{LEAST_PASSES} passes over {rows:,} labelled rows, {batch} at a time"
    bound = "fewer teach a model little" if steps == LEAST_STEPS else "more add little"
    return steps, f"{PASSES} passes over {rows:,} labelled rows would be {wanted}, and {bound}"
