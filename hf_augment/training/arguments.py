"""The arguments of augmentation, and `TrainingArguments` with them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import TrainingArguments

from hf_augment.blending.schedule import RatioSchedule


CLASS_BALANCES = ("dataset", "uniform", "rare_first")
PRODUCERS = ("thread", "inline")
KEEP = ("all", "recent")
WEIGHTINGS = ("constant", "dynamic")
#: Of a row or a class: sums of products stay far from what float32 can hold.
LARGEST_WEIGHT = 1e6


@dataclass
class AugmentationArguments:
    """
    What [`AugmentingTrainer`] does with its generator. Used through [`AugmentingTrainingArguments`].

    Args:
        synthetic_ratio (`float`, *optional*, defaults to 0.5):
            Share of synthetic rows in a batch, in `[0, 1)`. With 0 the trainer is the stock `Trainer`. Batches keep
            their size and an epoch is one pass over the real rows, so it has more steps: `1 / (1 - ratio)` times.
        synthetic_schedule (`str`, *optional*, defaults to `"constant"`):
            `"constant"`, `"linear_warmup"`, `"cosine_decay"` or `"stop_after"`. Where it lowers the ratio, real rows
            take the place of synthetic ones; steps and learning rate stay.
        synthetic_schedule_fraction (`float`, *optional*, defaults to 0.5):
            Share of the run, in `(0, 1]`: the length of the warm-up, where the decay ends, or where to stop.
        synthetic_seed (`int`, *optional*, defaults to `seed`):
            Seed of the synthetic stream. Runs with the same one see the same examples and can share their shards.
        synthetic_shard_size (`int`, *optional*, defaults to 256):
            Examples made at a time. Training waits for the first shard; more make generation more efficient.
        synthetic_reuse (`int`, *optional*, defaults to 1):
            Number of times each example is shown, at least 1. Generation costs that many times less.
        synthetic_producer (`str`, *optional*, defaults to `"thread"`):
            `"thread"` generates ahead of training, `"inline"` while training waits. The result is the same.
        synthetic_weight (`float`, *optional*, defaults to 1.0):
            Weight of a synthetic row in the loss, 0 or more; a real row has 1. The loss is the weighted mean over the
            rows of an optimizer step on each process.
        synthetic_weighting (`str`, *optional*, defaults to `"constant"`):
            `"constant"`: all synthetic rows weigh alike. `"dynamic"`: those weigh more whose class a filter such as
            [`LabelAgreement`] finds likely and the classifier does not yet, by [`dynamic_weights`];
            `synthetic_weight` is then their mean in a batch.
        synthetic_labels (`str`, *optional*, defaults to `"hard"`):
            `"hard"`: the class asked for. `"soft"`: the probabilities that a filter such as [`LabelAgreement`] gave.
        synthetic_class_balance (`str`, *optional*, defaults to `"dataset"`):
            `"dataset"`: as in the dataset. `"uniform"`: equal. `"rare_first"`: only classes rarer than the most
            frequent one, in proportion to what they lack.
        synthetic_max_attempts (`int`, *optional*, defaults to 3):
            Number of tries for a slot whose candidate is rejected, at least 1. Then a real row takes its place.
        synthetic_timeout (`float`, *optional*, defaults to 1800.0):
            Seconds that training waits for one shard of the thread before it ends with an error.
        synthetic_dir (`str`, *optional*, defaults to `output_dir/.cache/huggingface/hf_augment`):
            Folder of the shards. Shards that are there from a run of the same stream are used: generator, filters,
            seed, class balance, shard size and attempts.
        synthetic_keep (`str`, *optional*, defaults to `"all"`):
            `"all"` keeps every shard. `"recent"` deletes those that a checkpoint has left behind, or that training has
            in a run without checkpoints, so that a long run takes no more room than a short one. Accounts stay, and
            [`~Blend.shard`] makes a shard again, as does a resume from an older checkpoint. Not for filters that
            compare with earlier examples, nor for runs that share a folder at the same time.
        synthetic_feedback (`int`, *optional*, defaults to 0):
            Optimizer steps between two rounds, in which the trainer's `policies` look at the classifier and choose
            which of the candidates the next steps show; see [`Feedback`]. 0 shows all, in their order.
        synthetic_candidates (`float`, *optional*, defaults to 2.0):
            With feedback, accepted examples that are made for each one that is shown, 1 or more. What is not chosen
            may be chosen in the round after.
        row_weight_column (`str`, *optional*, defaults to `None`):
            Column of `train_dataset` with the weight of each real row in the loss, 0 or more; without a generator,
            too. A synthetic row has `synthetic_weight`.
        class_weights (`list[float]`, *optional*, defaults to `None`):
            Weight of each class in the loss, 0 or more, which multiplies those of its rows, real or synthetic;
            without a generator, too. The loss is the weighted mean over the rows of an optimizer step on each process,
            as that of [`~torch.nn.CrossEntropyLoss`] is. An evaluation does not weigh.
    """

    synthetic_ratio: float = field(
        default=0.5, metadata={"help": "Share of synthetic rows in a batch, in [0, 1). 0 is the stock Trainer."}
    )
    synthetic_schedule: str = field(
        default="constant",
        metadata={"help": "Course of the ratio.", "choices": [schedule.value for schedule in RatioSchedule]},
    )
    synthetic_schedule_fraction: float = field(
        default=0.5, metadata={"help": "Share of the run, in (0, 1], in which the schedule acts."}
    )
    synthetic_seed: int | None = field(
        default=None, metadata={"help": "Seed of the synthetic stream. Defaults to seed."}
    )
    synthetic_shard_size: int = field(default=256, metadata={"help": "Examples made at a time."})
    synthetic_reuse: int = field(default=1, metadata={"help": "How often each example is shown, at least 1."})
    synthetic_producer: str = field(
        default="thread",
        metadata={"help": "Generate ahead of training or while it waits.", "choices": list(PRODUCERS)},
    )
    synthetic_weight: float = field(
        default=1.0, metadata={"help": "Weight of a synthetic row in the loss; a real row has 1."}
    )
    synthetic_weighting: str = field(
        default="constant",
        metadata={"help": "All synthetic rows weigh alike, or by what they teach.", "choices": list(WEIGHTINGS)},
    )
    synthetic_labels: str = field(
        default="hard",
        metadata={"help": "The class asked for, or a filter's probabilities.", "choices": ["hard", "soft"]},
    )
    synthetic_class_balance: str = field(
        default="dataset",
        metadata={"help": "Shares of the classes among synthetic rows.", "choices": list(CLASS_BALANCES)},
    )
    synthetic_max_attempts: int = field(
        default=3, metadata={"help": "How often a slot is tried for before a real row takes its place."}
    )
    synthetic_timeout: float = field(
        default=1800.0, metadata={"help": "Seconds that training waits for one shard of the thread."}
    )
    synthetic_dir: str | None = field(
        default=None,
        metadata={"help": "Where shards are kept. Default: where no push of output_dir looks."},
    )
    synthetic_keep: str = field(
        default="all",
        metadata={"help": "Keep every shard, or those since the last checkpoint.", "choices": list(KEEP)},
    )

    synthetic_feedback: int = field(
        default=0, metadata={"help": "Steps between rounds in which the classifier chooses examples; 0: it does not."}
    )
    synthetic_candidates: float = field(
        default=2.0, metadata={"help": "With feedback, accepted examples for each one that is shown."}
    )
    row_weight_column: str | None = field(
        default=None, metadata={"help": "Column with the weight of each real row in the loss."}
    )
    class_weights: list[float] | None = field(
        default=None, metadata={"help": "Weight of each class in the loss, in the order of the labels."}
    )

    def __post_init__(self) -> None:
        self.validate()
        # The training arguments that a dataclass joins with these.
        others = getattr(super(), "__post_init__", None)
        if others is not None:
            others()

    def validate(self) -> None:
        """Raises `ValueError` for a value out of its range, or that is no number where one is needed."""
        names = ("ratio", "schedule_fraction", "shard_size", "reuse", "max_attempts", "weight", "timeout", "feedback")
        for name in (*names, "candidates"):
            value = getattr(self, f"synthetic_{name}")
            _check(isinstance(value, numbers.Real), self, f"synthetic_{name}", "a number, without quotes")
        _check(0.0 <= self.synthetic_ratio < 1.0, self, "synthetic_ratio", "a share in [0, 1)")
        _check(0.0 < self.synthetic_schedule_fraction <= 1.0, self, "synthetic_schedule_fraction", "a share in (0, 1]")
        _check(self.synthetic_seed is None or self.synthetic_seed >= 0, self, "synthetic_seed", "0 or more, or None")
        for name in ("synthetic_shard_size", "synthetic_reuse", "synthetic_max_attempts"):
            _check(getattr(self, name) >= 1, self, name, "1 or more")
        whole = isinstance(self.synthetic_feedback, int) and self.synthetic_feedback >= 0
        _check(whole, self, "synthetic_feedback", "a whole number of steps, or 0 for none")
        _check(1.0 <= self.synthetic_candidates < math.inf, self, "synthetic_candidates", "1 or more")
        _check(self.synthetic_weight >= 0.0, self, "synthetic_weight", "0 or more")
        _check(self.synthetic_timeout > 0.0, self, "synthetic_timeout", "seconds, more than 0")
        weights = self.class_weights
        numbers_alone = weights is None or (
            isinstance(weights, Sequence)
            and all(isinstance(w, numbers.Real) and 0 <= w <= LARGEST_WEIGHT for w in weights)
        )
        wanted = f"a list of numbers from 0 to {LARGEST_WEIGHT:g}, one for each class"
        _check(numbers_alone, self, "class_weights", wanted)
        for name in ("schedule", "producer", "labels", "class_balance", "keep", "weighting"):
            name = f"synthetic_{name}"
            choices = self.__dataclass_fields__[name].metadata["choices"]
            _check(getattr(self, name) in choices, self, name, f"one of {', '.join(choices)}")


@dataclass
class AugmentingTrainingArguments(AugmentationArguments, TrainingArguments):
    """
    [`~transformers.TrainingArguments`] and the arguments of augmentation. No default of the former is changed.

    Example:

    ```python
    >>> from hf_augment import AugmentingTrainingArguments
    >>> args = AugmentingTrainingArguments(output_dir="out", synthetic_ratio=0.5, synthetic_reuse=4)
    ```

    Args:
        synthetic_ratio, synthetic_schedule, … :
            See [`AugmentationArguments`].
    """


def _check(holds: bool, arguments: AugmentationArguments, name: str, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{name}={getattr(arguments, name)!r} is out of range: pass {wanted}.")
