"""
Kinds of data on which the tests of the core run: datasets, generators, a filter and classifiers that take
milliseconds, and whose values can be told by hand.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
import pytest
import torch
from torchvision.transforms import v2
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    ConvNextConfig,
    ConvNextForImageClassification,
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, Filter, Generator, Verdict
from hf_augment.blending.dataset import SyntheticRow


LABELS = ("negative", "positive")
WORDS = {0: ("dull", "clumsy", "flat", "tired"), 1: ("moving", "bright", "warm", "sharp")}
VOCABULARY = 64
COLOURS = {0: (180, 60, 40), 1: (40, 60, 180)}
SIZE = 8


class Toy(ABC):
    """A kind of data: what differs between texts and images, and nothing else."""

    name: ClassVar[str]
    #: The raw columns of an example.
    features: ClassVar[dict[str, Any]]
    #: What the model reads, beside the labels.
    inputs: ClassVar[tuple[str, ...]]
    #: Training arguments that this kind cannot do without.
    arguments: ClassVar[dict[str, Any]] = {}
    preprocess: Callable[..., Any] | None = None

    @abstractmethod
    def example(self, name: str, label: int, rng: np.random.Generator) -> dict[str, Any]:
        """A raw example that shows its maker's name and its class, and is one of many."""

    @abstractmethod
    def number(self, example: dict[str, Any]) -> int:
        """A number that the chance of an example decided."""

    @abstractmethod
    def key(self, row: dict[str, Any]) -> str:
        """Tells a row, raw or prepared, from any other."""

    @abstractmethod
    def by_hand(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row of [`dataset`] as a user's own torch dataset would return it."""

    @abstractmethod
    def model(self, dropout: float = 0.1, seed: int = 0) -> PreTrainedModel:
        """A classifier of some thousand weights."""

    @abstractmethod
    def collator(self) -> Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]:
        """Rows to inputs of the model."""

    @abstractmethod
    def augment(self, columns: dict[str, list[Any]]) -> dict[str, Any]:
        """A transform for `set_transform` that makes what the collator needs, and changes it at random."""

    def augmentation(self, num_rows: int = 40) -> dict[str, Any]:
        """Options of a trainer whose transform and collator both draw from the global random state."""
        rows = self.rows(num_rows).with_transform(self.augment)
        erasing = {"data_collator": ErasingCollator(self), "remove_unused_columns": False}
        return {"train_dataset": rows, "preprocess": None, **erasing}

    def generator(self, name: str = "toy", **kwargs: Any) -> ToyGenerator:
        """A generator of this kind."""
        return ToyGenerator(self, name, **kwargs)

    def rows(self, num_rows: int = 40, seed: int = 0) -> datasets.Dataset:
        """Raw rows with a `ClassLabel`."""
        rng = np.random.default_rng(seed)
        labels = [i % 2 for i in range(num_rows)]
        examples = [self.example("real", label, rng) for label in labels]
        return datasets.Dataset.from_dict(
            {name: [example[name] for example in examples] for name in self.features} | {"label": labels},
            features=datasets.Features({**self.features, "label": datasets.ClassLabel(names=list(LABELS))}),
        )

    def dataset(self, num_rows: int = 40, seed: int = 0) -> datasets.Dataset:
        """Rows that can be trained on."""
        return self.rows(num_rows, seed)

    def stream(self, num_rows: int = 50) -> datasets.IterableDataset:
        """The same as a stream."""
        return self.dataset(num_rows).to_iterable_dataset(3)

    def args(self, output_dir: str | Path, **kwargs: Any) -> AugmentingTrainingArguments:
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
        return AugmentingTrainingArguments(output_dir=str(output_dir), **(defaults | self.arguments | kwargs))

    def trainer(self, output_dir: str | Path, generator: Generator | None = None, **kwargs: Any) -> AugmentingTrainer:
        """
        A trainer on the toy dataset. Keyword arguments that [`AugmentingTrainer`] knows go there, others to [`args`].
        """
        own = {
            name: kwargs.pop(name)
            for name in (
                "compute_loss_func",
                "weigh",
                "filters",
                "preprocess",
                "train_collator",
                "train_dataset",
                "eval_dataset",
                "model",
                "callbacks",
                "policies",
                "data_collator",
                "args",
            )
            if name in kwargs
        }
        if "args" not in own:
            own["args"] = self.args(output_dir, **kwargs)
        own.setdefault("preprocess", self.preprocess)
        own.setdefault("train_dataset", self.dataset())
        own.setdefault("model", self.model())
        own.setdefault("data_collator", self.collator())
        return AugmentingTrainer(generator=generator, **own)


class ToyGenerator(Generator):
    """Counts its calls; fails when it is told to. What it makes after a row depends on the row."""

    label_names, takes_seed_rows = LABELS, True

    def __init__(self, toy: Toy, name: str = "toy", fail_at_call: int | None = None, log: Path | None = None) -> None:
        self.toy, self.columns = toy, tuple(toy.features)
        self.name, self.fail_at_call, self.log = name, fail_at_call, log
        self.calls: list[int] = []
        self.rows: list[tuple[int, str]] = []

    def generate_like(
        self, labels: Sequence[int], seed_rows: Sequence[dict[str, Any] | None], seed: int
    ) -> list[dict[str, Any]]:
        examples = self.generate(labels, seed)
        for i, row in enumerate(seed_rows):
            if row is not None:
                self.rows.append((labels[i], self.toy.key(row)))
                rng = np.random.default_rng([seed, self.toy.number(row)])
                examples[i] = self.toy.example(self.name, labels[i], rng)
        return examples

    def generate(self, labels: Sequence[int], seed: int) -> list[dict[str, Any]]:
        self.calls.append(seed)
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{seed}\n")
        if self.fail_at_call is not None and len(self.calls) > self.fail_at_call:
            raise ArithmeticError("the toy broke")
        rng = np.random.default_rng(seed)
        return [self.toy.example(self.name, label, rng) for label in labels]

    def fingerprint(self) -> str:
        return self.name


class EveryThird(Filter):
    """Rejects what has a number that three divides, and gives probabilities."""

    name = "every_third"
    gives_label_probabilities = True

    def __init__(self, toy: Toy) -> None:
        self.toy = toy

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        numbers = [self.toy.number(example) for example in examples]
        soft = {0: (0.75, 0.25), 1: (0.25, 0.75)}
        return [
            Verdict(n % 3 != 0, float(n % 3), "three divides it", soft[label])
            for n, label in zip(numbers, labels, strict=True)
        ]

    def fingerprint(self) -> str:
        return "1"


class Kill(TrainerCallback):
    """Kills the process when a step begins, if it was started with the word `kill`."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step == self.step and "kill" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)


def run_python(script: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """Runs an indented script in a process of its own, which may be killed."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


class Recorder:
    """The toy's collator, which notes what each batch was made of: whether a row was synthetic, and its key."""

    def __init__(self, toy: Toy) -> None:
        self.toy, self.collate = toy, toy.collator()
        self.batches: list[list[tuple[bool, str]]] = []

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        self.batches.append([(isinstance(row, SyntheticRow), self.toy.key(row)) for row in rows])
        return self.collate(rows)

    def keys(self, synthetic: bool) -> list[str]:
        """Those of the synthetic rows, or of the real ones, in the order of their showing."""
        return [key for batch in self.batches for is_synthetic, key in batch if is_synthetic == synthetic]

    def synthetic_rows(self) -> list[int]:
        """How many there were in each batch."""
        return [sum(is_synthetic for is_synthetic, _ in batch) for batch in self.batches]


class ErasingCollator:
    """The toy's collator, which takes some values out at random, as collators that mask words do."""

    def __init__(self, toy: Toy) -> None:
        self.name, self.collate = toy.inputs[0], toy.collator()

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch = self.collate(rows)
        return batch | {self.name: batch[self.name] * (torch.rand(batch[self.name].shape) < 0.8)}


# --- texts -------------------------------------------------------------------------------------------------------


def tokenize(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Words to numbers, without a tokenizer."""
    ids = [[2 + zlib.crc32(word.encode()) % (VOCABULARY - 2) for word in text.split()] for text in columns["text"]]
    return {"input_ids": ids, "attention_mask": [[1] * len(row) for row in ids]}


class PadCollator:
    """Pads to one length, so that batches of other rows have the same shape."""

    length = 8

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        def padded(name: str) -> torch.Tensor:
            return torch.tensor([(list(row[name]) + [0] * self.length)[: self.length] for row in rows])

        return {
            "input_ids": padded("input_ids"),
            "attention_mask": padded("attention_mask"),
            "labels": torch.tensor([int(row["label"]) for row in rows]),
        }


class TextToy(Toy):
    """Sentences, tokenised beforehand, and a BERT."""

    name = "text"
    features: ClassVar[dict[str, Any]] = {"text": datasets.Value("string")}
    inputs = ("input_ids", "attention_mask")
    preprocess = staticmethod(tokenize)

    def example(self, name: str, label: int, rng: np.random.Generator) -> dict[str, Any]:
        words = rng.choice(WORDS[label], size=int(rng.integers(2, 6)))
        return {"text": " ".join([name, *words, str(rng.integers(10**6))])}

    def number(self, example: dict[str, Any]) -> int:
        return int(example["text"].split()[-1])

    def key(self, row: dict[str, Any]) -> str:
        ids = row["input_ids"] if "input_ids" in row else tokenize({"text": [row["text"]]})["input_ids"][0]
        return " ".join(map(str, ids))

    def by_hand(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: row[name] for name in (*self.inputs, "label")}

    def dataset(self, num_rows: int = 40, seed: int = 0) -> datasets.Dataset:
        rows = self.rows(num_rows, seed)
        numbers = datasets.List(datasets.Value("int64"))
        return datasets.Dataset.from_dict(
            rows.to_dict() | tokenize(rows.to_dict()),
            features=datasets.Features({**rows.features, "input_ids": numbers, "attention_mask": numbers}),
        )

    def model(self, dropout: float = 0.1, seed: int = 0) -> PreTrainedModel:
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

    def collator(self) -> PadCollator:
        return PadCollator()

    def augment(self, columns: dict[str, list[Any]]) -> dict[str, Any]:
        """Tokenises what chance leaves of each text; the first word stays."""
        texts = [t.split() for t in columns["text"]]
        kept = [[word for i, word in enumerate(words) if i == 0 or torch.rand(()) < 0.7] for words in texts]
        return tokenize({"text": [" ".join(words) for words in kept]}) | {"label": columns["label"]}


# --- images ------------------------------------------------------------------------------------------------------


# Pixels from -1 to 1, channels first.
TO_PIXELS = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)])
AUGMENT = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(SIZE, padding=1)])


def array(image: Any) -> np.ndarray:
    """An image as a generator makes it, from an array or from the lists that `datasets` gives."""
    return np.asarray(image, dtype=np.uint8)


class StackCollator:
    """Images to pixels, if no transform has done so."""

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        pixels = [row["pixel_values"] if "pixel_values" in row else TO_PIXELS(array(row["image"])) for row in rows]
        return {
            "pixel_values": torch.stack(pixels),
            "labels": torch.tensor([int(row["label"]) for row in rows]),
        }


class ImageToy(Toy):
    """Arrays of noise on a colour, of which the collator makes pixels, and a ConvNeXt."""

    name = "image"
    features: ClassVar[dict[str, Any]] = {"image": datasets.Array3D(shape=(SIZE, SIZE, 3), dtype="uint8")}
    inputs = ("pixel_values",)
    # The collator makes what the model reads; by its signature the Trainer would drop the images.
    arguments: ClassVar[dict[str, Any]] = {"remove_unused_columns": False}

    def example(self, name: str, label: int, rng: np.random.Generator) -> dict[str, Any]:
        image = (COLOURS[label] + rng.integers(0, 56, (SIZE, SIZE, 3))).astype(np.uint8)
        image[0, 0] = zlib.crc32(name.encode()) % 256
        return {"image": image}

    def number(self, example: dict[str, Any]) -> int:
        return int(array(example["image"]).sum())

    def key(self, row: dict[str, Any]) -> str:
        return (array(row["image"]) if "image" in row else row["pixel_values"].numpy()).tobytes().hex()

    def by_hand(self, row: dict[str, Any]) -> dict[str, Any]:
        return row | {"image": array(row["image"])}

    def model(self, dropout: float = 0.1, seed: int = 0) -> PreTrainedModel:
        torch.manual_seed(seed)
        # No batch norm, whose statistics are those of all rows, of whatever weight; and no ViT, of which the Trainer
        # saves weights under names that it does not load (https://github.com/huggingface/transformers/issues/43701).
        config = ConvNextConfig(
            num_stages=1, patch_size=4, hidden_sizes=[16], depths=[2], drop_path_rate=dropout, num_labels=2
        )
        return ConvNextForImageClassification(config)

    def collator(self) -> StackCollator:
        return StackCollator()

    def augment(self, columns: dict[str, list[Any]]) -> dict[str, Any]:
        """Pixels of images that chance has mirrored and moved."""
        pixels = [AUGMENT(TO_PIXELS(array(image))) for image in columns["image"]]
        return {"pixel_values": pixels, "label": columns["label"]}


TEXT, IMAGE = TextToy(), ImageToy()
TOYS: dict[str, Toy] = {toy.name: toy for toy in (TEXT, IMAGE)}


@pytest.fixture(params=TOYS, name="toy")
def each_toy(request: pytest.FixtureRequest) -> Toy:
    """Every kind in turn; a module that imports this has the fixture `toy`."""
    return TOYS[request.param]


# --- comparisons -------------------------------------------------------------------------------------------------


def comparable(value: Any) -> Any:
    """The same for `==`: arrays, which it takes apart, as their type, shape and bytes."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(comparable, value))
    return value


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def assert_equal_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Equal to the last bit."""
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different, f"weights differ: {different}"
