"""A dataset, a generator, a filter and a classifier that take milliseconds and whose values can be told by hand."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, Filter, Generator, Verdict


WORDS = {0: ("dull", "clumsy", "flat", "tired"), 1: ("moving", "bright", "warm", "sharp")}
LABELS = ("negative", "positive")
VOCABULARY = 64


def sentence(label: int, rng: np.random.Generator) -> str:
    """Some words of a class, and a number that makes the sentence one of many."""
    words = rng.choice(WORDS[label], size=int(rng.integers(2, 6)))
    return " ".join([*words, str(rng.integers(10**6))])


class ToyGenerator(Generator):
    """Counts its calls; fails when it is told to."""

    label_names = LABELS

    def __init__(self, name: str = "toy", fail_at_call: int | None = None, log: Path | None = None) -> None:
        self.name, self.fail_at_call, self.log = name, fail_at_call, log
        self.calls: list[int] = []

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        self.calls.append(seed)
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{seed}\n")
        if self.fail_at_call is not None and len(self.calls) > self.fail_at_call:
            raise ArithmeticError("the toy broke")
        rng = np.random.default_rng(seed)
        return [{"text": f"{self.name} {sentence(label, rng)}"} for label in labels]

    def fingerprint(self) -> str:
        return self.name


class EveryThird(Filter):
    """Rejects what has a number that three divides, and gives probabilities."""

    name = "every_third"
    gives_label_probabilities = True

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        numbers = [int(example["text"].split()[-1]) for example in examples]
        soft = {0: (0.75, 0.25), 1: (0.25, 0.75)}
        return [
            Verdict(n % 3 != 0, float(n % 3), "three divides it", soft[label])
            for n, label in zip(numbers, labels, strict=True)
        ]

    def fingerprint(self) -> str:
        return "1"


def tokenize(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Words to numbers, without a tokenizer."""
    ids = [[2 + zlib.crc32(word.encode()) % (VOCABULARY - 2) for word in text.split()] for text in columns["text"]]
    return {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}


def toy_rows(num_rows: int = 40, seed: int = 0) -> datasets.Dataset:
    """Raw rows with `text` and a `ClassLabel`."""
    rng = np.random.default_rng(seed)
    labels = [i % 2 for i in range(num_rows)]
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(LABELS))})
    return datasets.Dataset.from_dict(
        {"text": ["real " + sentence(label, rng) for label in labels], "label": labels}, features=features
    )


def toy_dataset(num_rows: int = 40, seed: int = 0) -> datasets.Dataset:
    """The rows, tokenised beforehand."""
    rows = toy_rows(num_rows, seed)
    return datasets.Dataset.from_dict(
        {**rows.to_dict(), **tokenize(rows.to_dict())},
        features=datasets.Features(
            {
                **rows.features,
                "input_ids": datasets.List(datasets.Value("int64")),
                "attention_mask": datasets.List(datasets.Value("int64")),
            }
        ),
    )


def toy_model(dropout: float = 0.1, seed: int = 0) -> BertForSequenceClassification:
    """A classifier of some ten thousand weights."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=2,
    )
    return BertForSequenceClassification(config)


class PadCollator:
    """Pads to one length, so that batches of other rows have the same shape."""

    def __init__(self, length: int = 8) -> None:
        self.length = length

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        def padded(name: str) -> torch.Tensor:
            return torch.tensor([(list(row[name]) + [0] * self.length)[: self.length] for row in rows])

        return {
            "input_ids": padded("input_ids"),
            "attention_mask": padded("attention_mask"),
            "labels": torch.tensor([int(row["label"]) for row in rows]),
        }


def toy_args(output_dir: str | Path, **kwargs: Any) -> AugmentingTrainingArguments:
    """Arguments of a run of seconds."""
    defaults: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "learning_rate": 1e-2,
        "logging_steps": 5,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "synthetic_shard_size": 8,
        "seed": 1,
    }
    return AugmentingTrainingArguments(output_dir=str(output_dir), **(defaults | kwargs))


def toy_trainer(output_dir: str | Path, generator: Generator | None = None, **kwargs: Any) -> AugmentingTrainer:
    """
    A trainer on the toy dataset. Keyword arguments that [`AugmentingTrainer`] knows go there, others to the arguments.
    """
    own = {
        name: kwargs.pop(name)
        for name in ("filters", "preprocess", "train_dataset", "model", "callbacks", "data_collator", "args")
        if name in kwargs
    }
    own.setdefault("preprocess", tokenize)
    if "args" not in own:
        own["args"] = toy_args(output_dir, **kwargs)
    own.setdefault("train_dataset", toy_dataset())
    own.setdefault("model", toy_model())
    own.setdefault("data_collator", PadCollator())
    return AugmentingTrainer(generator=generator, **own)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_equal_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Equal to the last bit."""
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different, f"weights differ: {different}"
