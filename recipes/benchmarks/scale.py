"""
What does a run cost that grows? Shards of arrays, streams, thousands of shards on disk, millions of rows, many steps.

    python recipes/benchmarks/scale.py
    python recipes/benchmarks/scale.py --beside ../other_checkout   # another build, in turns with this one
    python recipes/benchmarks/scale.py --parts room --steps 20000   # memory and disk of a short run and a long one

Each round is a process of its own. Generator and classifier cost next to nothing, so what is timed is the way of the
rows. Reported are the median and the range over the rounds, beside the bar that the figure has to keep.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainerCallback

from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, Generator
from hf_augment.files import write_atomically
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.producer import InlineProducer
from hf_augment.synthesis.shards import Shard, ShardStore


NAMES = [str(label) for label in range(10)]
CONFIG: Any = {"num_labels": len(NAMES)}
FEATURES = datasets.Features({"x": datasets.Value("float32"), "label": datasets.ClassLabel(names=NAMES)})
NUMBERED = {"label": datasets.ClassLabel(names=NAMES), "slot": datasets.Value("int64")}
#: The name of each figure, and what it may be at most.
BARS = {
    "shard of 256 images, CPU ms": "2.8, a tenth of what it was",
    "the same by `datasets` alone, CPU ms": "",
    "shard of 256 images, bytes by its pixels": "1.1",
    "stream, CPU ms a batch of 64": "0.3",
    "stream, its rows alone, CPU ms": "",
    "next shard, ms": "1",
    "resume, s": "1",
    "construction and first batch by stock's": "3",
    "stock's, s": "",
}


class Numbers(Generator):
    """Numbers for nothing; notes when it was called."""

    label_names, columns = NAMES, ("x",)
    called = 0.0

    def generate(self, labels: Any, seed: int) -> list[dict[str, Any]]:
        self.called = time.perf_counter()
        return [{"x": float(x)} for x in np.random.default_rng(seed).random(len(labels), dtype=np.float32)]

    def fingerprint(self) -> str:
        return "numbers-1"


class Linear(PreTrainedModel):
    """A classifier of one number."""

    config_class = PretrainedConfig

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.head = torch.nn.Linear(1, len(NAMES))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.head(x[:, None])
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


def rows(count: int) -> datasets.Dataset:
    columns = {"x": np.zeros(count, dtype=np.float32), "label": np.arange(count) % 10}
    return datasets.Dataset.from_dict(columns, features=FEATURES)


def trainer(folder: str | Path, data: Any, kind: Any = AugmentingTrainer, **options: Any) -> Any:
    fixed: dict[str, Any] = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "no"}
    fixed |= {"dataloader_pin_memory": False, "remove_unused_columns": False, "logging_steps": 1000}
    fixed |= {"synthetic_producer": "inline", "per_device_train_batch_size": 64}
    args = AugmentingTrainingArguments(str(folder), **(fixed | options))
    blend: dict[str, Any] = {} if kind is Trainer else {"generator": Numbers()}
    return kind(Linear(PretrainedConfig(**CONFIG)), args, train_dataset=data, **blend)


def shards(folder: Path) -> dict[str, float]:
    """A shard of images against what `datasets` makes of lists of arrays."""
    store = ShardStore(folder / "images", {"shard_size": 256}, "label", NAMES)
    ours, naive = [], []
    for index in range(9):
        images = list(np.random.default_rng(index).integers(0, 256, (256, 32, 32, 3), dtype=np.uint8))
        slots, labels = list(range(256 * index, 256 * index + 256)), [i % 10 for i in range(256)]
        shard = Shard(index, slots, labels, [{"image": image} for image in images], [None] * 256)
        start = time.process_time()
        store.write(shard)
        between = time.process_time()
        features = datasets.Features({"image": datasets.Array3D((32, 32, 3), "uint8"), **NUMBERED})
        columns = {"image": images, "label": labels, "slot": slots}
        table = datasets.Dataset.from_dict(columns, features=features).with_format("arrow")[:]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        hashlib.sha256(content).hexdigest()
        write_atomically(folder / f"naive-{index}", content)
        ours.append(between - start)
        naive.append(time.process_time() - between)
    size = (store.folder / "shard-000000.arrow").stat().st_size
    return {
        "shard of 256 images, CPU ms": statistics.median(ours) * 1e3,
        "the same by `datasets` alone, CPU ms": statistics.median(naive) * 1e3,
        "shard of 256 images, bytes by its pixels": size / (256 * 32 * 32 * 3),
    }


class Stream(torch.utils.data.IterableDataset):
    """Endless rows."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return ({"x": float(i), "label": i % 10} for i in itertools.count())


def stream(folder: Path, batches: int = 500) -> dict[str, float]:
    """The keys of batches, half of them rows of a stream, in CPU time."""
    options: dict[str, Any] = {"synthetic_class_balance": "uniform", "synthetic_reuse": 1000}
    loader = trainer(folder / "stream", Stream(), max_steps=batches, **options).get_train_dataloader()
    keys = iter(loader.batch_sampler)
    next(keys)
    start = time.process_time()
    made = sum(1 for _ in keys)
    between = time.process_time()
    for _ in itertools.islice(iter(Stream()), 32 * made):
        pass
    alone = time.process_time() - between
    return {
        "stream, CPU ms a batch of 64": (between - start) / made * 1e3,
        "stream, its rows alone, CPU ms": alone / made * 1e3,
    }


def thousands(folder: Path, count: int) -> dict[str, float]:
    """The next shard, and a resume, where so many are on disk: one for each step."""
    options: dict[str, Any] = {"per_device_train_batch_size": 8, "synthetic_shard_size": 4, "max_steps": count + 2}
    data = rows(4 * count + 400)
    before = trainer(folder / "many", data, save_strategy="steps", save_steps=1, **options)
    before.add_callback(StopAt(1))
    before.train()
    store, generator = before.shards, Numbers()
    made = SynthesisPipeline(generator, (), np.full(10, 0.1), before.args.seed, 4, 3)
    for index in range(count):
        if not store.has(index):
            store.write(made.make(index))
    beside = ShardStore(folder / "many-next", store.identity, "label", NAMES)
    beside.folder.parent.mkdir()
    beside.folder.symlink_to(store.folder)
    producer = InlineProducer(made, beside, range(count + 2))
    producer.wait_for(count)
    start = time.perf_counter()
    producer.wait_for(count + 1)
    after = generator.called - start
    # The checkpoint of the first step becomes that of the last.
    checkpoint = folder / "many" / "checkpoint-1"
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    (checkpoint / "trainer_state.json").write_text(json.dumps(state | {"global_step": count}))
    resumed, began = trainer(folder / "many", data, **options), Begins()
    resumed.add_callback(began)
    start = time.perf_counter()
    resumed.train(resume_from_checkpoint=str(checkpoint))
    return {"next shard, ms": after * 1e3, "resume, s": began.at - start}


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = state.global_step >= self.step


class Begins(TrainerCallback):
    """Notes when the first step begins, whose batch has been made."""

    at = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.at = self.at or time.perf_counter()


def millions(folder: Path, count: int) -> dict[str, float]:
    """A trainer of many rows and its first batch, beside the stock Trainer's."""
    data, seconds = rows(count), {}
    for kind in (Trainer, AugmentingTrainer):
        start = time.perf_counter()
        next(iter(trainer(folder / "rows", data, kind, num_train_epochs=1).get_train_dataloader()))
        seconds[kind] = time.perf_counter() - start
    return {
        "construction and first batch by stock's": seconds[AugmentingTrainer] / seconds[Trainer],
        "stock's, s": seconds[Trainer],
    }


class Room(TrainerCallback):
    """Notes the most bytes that a run has on disk, without and with its accounts, and in its file of prepared rows."""

    def __init__(self) -> None:
        self.trainer: Any = None
        self.shards, self.accounts, self.rows = 0, 0, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % 50:
            return
        sizes: dict[str, int] = {".arrow": 0, ".json": 0}
        for entry in os.scandir(self.trainer.shards.folder):
            sizes[Path(entry.name).suffix] += entry.stat().st_size
        self.shards, self.accounts = max(self.shards, sizes[".arrow"]), sizes[".json"]
        self.rows = max(self.rows, os.fstat(self.trainer._run.prepared.reader._descriptor).st_size)


def room(folder: Path, steps: int) -> dict[str, float]:
    """The room that a run of so many steps takes: 64 shards of 8 examples for each checkpoint."""
    kept = Room()
    options: dict[str, Any] = {"synthetic_keep": "recent", "save_strategy": "steps", "save_steps": 100}
    options |= {"save_total_limit": 1, "per_device_train_batch_size": 16, "synthetic_shard_size": 16}
    made = trainer(folder / "room", rows(1600), max_steps=steps, **options)
    kept.trainer = made
    made.add_callback(kept)
    made.train()
    return {
        "memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "shards, kB": kept.shards / 1e3,
        "prepared rows, kB": kept.rows / 1e3,
        "accounts, kB": kept.accounts / 1e3,
    }


def measure(parts: list[str], options: argparse.Namespace, steps: int) -> dict[str, float]:
    found: dict[str, float] = {}
    known: dict[str, Callable[[Path], dict[str, float]]] = {
        "shards": shards,
        "stream": stream,
        "thousands": lambda folder: thousands(folder, options.shards),
        "millions": lambda folder: millions(folder, options.rows),
        "room": lambda folder: room(folder, steps),
    }
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            found |= known[part](Path(folder))
    return found


def elsewhere(build: Path, arguments: list[str]) -> dict[str, float]:
    """What a build measures in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(build), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, *arguments]
    output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="How often each build is measured.")
    parser.add_argument("--beside", type=Path, help="Checkout of another build.")
    parser.add_argument("--parts", nargs="+", default=["shards", "stream", "thousands", "millions", "room"])
    parser.add_argument("--shards", type=int, default=10_000, help="Shards on disk.")
    parser.add_argument("--rows", type=int, default=10_000_000, help="Rows of the large dataset.")
    parser.add_argument("--steps", type=int, default=20_000, help="Steps of the long run; the short one has a tenth.")
    parser.add_argument("--once", type=int, metavar="STEPS", help="Measure once, with so many steps, and print JSON.")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(measure(options.parts, options, options.once)))
        return
    sizes = ["--shards", str(options.shards), "--rows", str(options.rows)]
    here, timed = Path(__file__).resolve().parents[2], [part for part in options.parts if part != "room"]
    builds = {"this build": here} | ({options.beside.name: options.beside.resolve()} if options.beside else {})
    found: dict[str, list[dict[str, float]]] = {name: [] for name in builds}
    for _, (name, build) in itertools.product(range(options.rounds if timed else 0), builds.items()):
        found[name].append(elsewhere(build, ["--once", "1", *sizes, "--parts", *timed]))
    print(f"one thread, median (range) of {options.rounds} rounds")
    for figure, (name, rounds) in itertools.product(BARS, found.items()):
        if values := [of[figure] for of in rounds if figure in of]:
            spread = f"{statistics.median(values):9.3f} ({min(values):.3f} to {max(values):.3f})"
            print(f"{figure:42} {name:12} {spread:32} {BARS[figure] and f'bar: {BARS[figure]}'}")
    if "room" in options.parts:
        for steps in (options.steps // 10, options.steps):
            figures = elsewhere(here, ["--once", str(steps), "--parts", "room"])
            print(f"{steps:6} steps: " + ", ".join(f"{name} {value:.1f}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
