"""Makes a causal language model class-conditional: it learns the dataset's texts after their label prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.pytorch_utils import Conv1D
from transformers.trainer_utils import TrainOutput

from hf_augment.checks import class_column
from hf_augment.extras import optional_imports
from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.prompts import LabelPrompt
from hf_augment.generators.sampling import pad_rows
from hf_augment.seeding import derive_seed, isolated_rng


@dataclass
class CausalLMGeneratorTrainingArguments(TrainingArguments):
    """
    [`~transformers.TrainingArguments`] of a [`CausalLMGeneratorTrainer`]. Two of their defaults differ:
    `num_train_epochs` is 5 and `per_device_train_batch_size` is 16.

    Args:
        num_train_epochs (`float`, *optional*, defaults to 5.0):
            Passes over the dataset. More make texts closer to the dataset's, in the end copies of them.
        per_device_train_batch_size (`int`, *optional*, defaults to 16):
            Texts per device and step.
        max_length (`int`, *optional*, defaults to 64):
            The most tokens of prompt, text and end together; at least 2. Longer texts are cut, and their end, which
            was not seen, is not learned.
        lora_rank (`int`, *optional*, defaults to 0):
            0 trains every weight. Above, low-rank adapters of this rank on all linear layers but the output, which
            take a fraction of the memory and are merged into the weights at the end. They need a `learning_rate` about
            ten times as high.
        lora_alpha (`int`, *optional*, defaults to 16):
            The adapters are scaled by `lora_alpha / lora_rank`; above 0.
        lora_dropout (`float`, *optional*, defaults to 0.0):
            Dropout before the adapters, in `[0, 1)`.

    Raises:
        `ValueError`: If a value is out of its range.
    """

    num_train_epochs: float = field(default=5.0, metadata={"help": "Passes over the dataset."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Texts per device and step."})
    max_length: int = field(default=64, metadata={"help": "The most tokens of prompt, text and end together."})
    lora_rank: int = field(default=0, metadata={"help": "Rank of the adapters. 0 trains every weight."})
    lora_alpha: int = field(default=16, metadata={"help": "The adapters are scaled by lora_alpha / lora_rank."})
    lora_dropout: float = field(default=0.0, metadata={"help": "Dropout before the adapters, in [0, 1)."})

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, valid, wanted in (
            ("max_length", self.max_length >= 2, "at least 2"),
            ("lora_rank", self.lora_rank >= 0, "0 or more"),
            ("lora_alpha", self.lora_alpha > 0, "above 0"),
            ("lora_dropout", 0 <= self.lora_dropout < 1, "in [0, 1)"),
        ):
            if not valid:
                raise ValueError(f"{name}={getattr(self, name)!r} must be {wanted}.")


class CausalLMGeneratorTrainer(Trainer):
    """
    A [`~transformers.Trainer`] that trains a [`CausalLMGenerator`] on labelled texts.

    Only the text and its end are learned, not the label prompt. Of texts without labels, with `label_column=None`, the
    model learns the style: train on them first, and then, by another trainer, on the labelled ones. After `train()`
    the generator is ready to be used or saved: adapters merged, in evaluation mode, with a new fingerprint. Save and
    push the generator rather than the trainer, which knows only the model.

    Example:

    ```python
    >>> from datasets import load_dataset
    >>> from hf_augment import CausalLMGenerator, LabelPrompt
    >>> from hf_augment import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments

    >>> dataset = load_dataset("cornell-movie-review-data/rotten_tomatoes", split="train")
    >>> generator = CausalLMGenerator.from_pretrained(
    ...     "distilgpt2", label_names=["neg", "pos"], prompt=LabelPrompt("Review ({label}):")
    ... )
    >>> args = CausalLMGeneratorTrainingArguments(output_dir="generator", num_train_epochs=1)
    >>> trainer = CausalLMGeneratorTrainer(generator, args, dataset)
    >>> output = trainer.train()
    >>> generator.save_pretrained("generator")
    ```

    Args:
        generator ([`CausalLMGenerator`]):
            With a [`LabelPrompt`]. Its model is trained in place.
        args ([`CausalLMGeneratorTrainingArguments`]):
            The training arguments.
        train_dataset ([`~datasets.Dataset`]):
            With the generator's text column and, unless they have no labels, a label column of integers below
            `len(label_names)`.
        eval_dataset ([`~datasets.Dataset`], *optional*):
            The same, for the loss on texts that are not trained on.
        label_column (`str` or `None`, *optional*, defaults to `"label"`):
            The column of the labels; `None`: texts without labels.
        callbacks (`Sequence[TrainerCallback]`, *optional*):
            Callbacks of the `Trainer`.

    Raises:
        `TypeError`: If the generator's prompt is no [`LabelPrompt`].
        `ValueError`: If the dataset is empty, lacks a column, or has a label or a text that cannot be learned.
    """

    def __init__(
        self,
        generator: CausalLMGenerator,
        args: CausalLMGeneratorTrainingArguments,
        train_dataset: Dataset,
        eval_dataset: Dataset | None = None,
        label_column: str | None = "label",
        callbacks: Sequence[TrainerCallback] | None = None,
    ) -> None:
        if not isinstance(generator.prompt, LabelPrompt):
            raise TypeError(
                f"generator.prompt is a {type(generator.prompt).__name__}, which needs no training. To train a "
                "class-conditional model, make the generator with prompt=LabelPrompt()."
            )
        self.generator = generator
        self._has_adapters = args.lora_rank > 0
        encoded = encode_dataset(generator, train_dataset, label_column, args.max_length)
        held_out = None
        if eval_dataset is not None:
            held_out = encode_dataset(generator, eval_dataset, label_column, args.max_length)
        super().__init__(
            model=_with_adapters(generator.model, args) if self._has_adapters else generator.model,
            args=args,
            train_dataset=encoded,
            eval_dataset=held_out,
            data_collator=CompletionCollator(generator.tokenizer.pad_token_id),
            callbacks=list(callbacks or []),
        )

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        """
        Trains as [`~transformers.Trainer.train`] does, with its arguments, then hands the weights to the generator.

        Raises:
            `RuntimeError`: If adapters were merged by an earlier call. Make a new trainer to go on.
        """
        if self._has_adapters and self.model is self.generator.model:
            raise RuntimeError("The adapters of this trainer are merged already. Make a new trainer to train further.")
        output = super().train(*args, **kwargs)
        # Mixed precision leaves an autocast around `forward`, and then the same weights would sample other texts.
        model = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        self.generator.model = model
        self.model = self.model_wrapped = self.generator.model
        # Adapters freeze what is below them; merged, it can be trained again.
        self.model.requires_grad_(True)
        return output


def encode_dataset(
    generator: CausalLMGenerator, dataset: Dataset, label_column: str | None, max_length: int
) -> Dataset:
    """
    Tokenises texts, in one call, as prompt, text and end; without labels the end of another text stands for a prompt.

    Args:
        generator ([`CausalLMGenerator`]):
            With a [`LabelPrompt`].
        dataset ([`~datasets.Dataset`]):
            See [`CausalLMGeneratorTrainer`].
        label_column (`str`, *optional*):
            The column of the labels; `None`: texts without labels.
        max_length (`int`):
            The most tokens of a row.

    Returns:
        [`~datasets.Dataset`]: `input_ids`, and `labels`, in which the prompt is masked by -100.
    """
    end = generator.tokenizer.eos_token_id
    texts, labels = _checked_columns(generator, dataset, label_column)
    heads = [[end]]
    if label_column is not None:
        heads = generator.encode_prompts([generator.prompt.scoring_prompt(name) for name in generator.label_names])
    if (longest := max(map(len, heads))) >= max_length:
        raise ValueError(f"max_length={max_length} leaves no room after a prompt of {longest} tokens. Raise it.")
    input_ids, targets = [], []
    for label, tail in zip(labels, generator.encode_texts(texts), strict=True):
        # A text that is cut loses its end too: it did not end there.
        row = [*heads[label], *tail, end][:max_length]
        input_ids.append(row)
        targets.append([-100] * len(heads[label]) + row[len(heads[label]) :])
    return Dataset.from_dict({"input_ids": input_ids, "labels": targets})


def _checked_columns(
    generator: CausalLMGenerator, dataset: Dataset, label_column: str | None
) -> tuple[list[str], list[int]]:
    if len(dataset) == 0:
        raise ValueError("The dataset is empty: there is nothing to learn from.")
    if generator.text_column not in dataset.column_names:
        raise ValueError(
            f"The generator's text_column={generator.text_column!r} is not in the dataset, which has "
            f"{dataset.column_names}."
        )
    labels = [0] * len(dataset)
    if label_column is not None:
        labels = class_column(dataset, label_column, generator.label_names)
    texts = list(dataset[generator.text_column])
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"Row {index} has the text {text!r}, which is no string. Filter such rows out.")
    return texts, labels


@dataclass(frozen=True)
class CompletionCollator:
    """
    Pads rows of [`encode_dataset`] on the right, to the longest of the batch.

    Args:
        pad_token_id (`int`):
            Fills `input_ids`, under an attention mask of 0.
    """

    pad_token_id: int

    def __call__(self, features: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        rows = [feature["input_ids"] for feature in features]
        return {
            "input_ids": pad_rows(rows, self.pad_token_id),
            "attention_mask": pad_rows([[1] * len(row) for row in rows], 0),
            "labels": pad_rows([feature["labels"] for feature in features], -100),
        }


def _with_adapters(model: PreTrainedModel, args: CausalLMGeneratorTrainingArguments) -> torch.nn.Module:
    with optional_imports("lora"):
        from peft import LoraConfig, get_peft_model
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=args.lora_rank,
        lora_alpha=args.lora_alpha,
        lora_dropout=args.lora_dropout,
        target_modules="all-linear",
        # GPT-2 stores the transposed weights of a linear layer.
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    # The Trainer seeds only when the adapters are there, so their weights would depend on what was drawn before.
    with isolated_rng(derive_seed(args.seed, "adapters")):
        return get_peft_model(model, config)
