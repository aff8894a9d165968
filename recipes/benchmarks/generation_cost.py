"""
What does it cost to generate while training? ResNet-18 on 32×32 images, half of each batch from a DCGAN.

    python recipes/benchmarks/generation_cost.py

The same training runs in turns with shards that have to be made (inline, nothing overlaps) and with shards that lie on
disk. Reported is the median over the rounds of the ratio of their times. The images are noise: time does not depend on
what they show.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import ViTImageProcessor

from hf_augment import (
    AugmentingTrainer,
    AugmentingTrainingArguments,
    DCGANConfig,
    DCGANGenerator,
    ImageCollator,
    ImageRows,
    SmallResNetForImageClassification,
)


NAMES = [str(label) for label in range(10)]


def train(folder: Path, rows: ImageRows, steps: int, batch_size: int) -> float:
    """Seconds of a training whose shards are in `folder`, or will be."""
    torch.manual_seed(0)
    generator: Any = DCGANGenerator(DCGANConfig(id2label=dict(enumerate(NAMES))))
    processor = ViTImageProcessor(do_resize=False, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    args = AugmentingTrainingArguments(
        str(folder),
        per_device_train_batch_size=batch_size,
        max_steps=steps,
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        synthetic_ratio=0.5,
        # One shard holds what the run shows.
        synthetic_shard_size=steps * batch_size // 2,
        synthetic_producer="inline",
    )
    trainer = AugmentingTrainer(
        SmallResNetForImageClassification.build(NAMES),
        args,
        train_dataset=rows,
        data_collator=ImageCollator(processor),
        generator=generator.to(args.device),
    )
    start = time.perf_counter()
    trainer.train()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="How often both are timed.")
    parser.add_argument("--steps", type=int, default=12, help="Optimizer steps of a training.")
    parser.add_argument("--batch_size", type=int, default=64, help="Rows of a batch.")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    count = options.steps * options.batch_size
    features = datasets.Features(
        {"image": datasets.Array3D((32, 32, 3), "uint8"), "label": datasets.ClassLabel(names=NAMES)}
    )
    images = rng.integers(0, 256, size=(count, 32, 32, 3), dtype=np.uint8)
    rows = ImageRows(
        datasets.Dataset.from_dict({"image": list(images), "label": [i % 10 for i in range(count)]}, features=features)
    )
    table = Table("round", "made while training, s", "from disk, s", "ratio")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder), rows, options.steps, options.batch_size)  # Warms up, and is not timed.
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            made, read = (train(Path(folder), rows, options.steps, options.batch_size) for _ in range(2))
        ratios.append(made / read)
        table.add_row(str(number), f"{made:.1f}", f"{read:.1f}", f"{made / read:.3f}")
    console = Console()
    console.print(table)
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
    console.print(f"median ratio {statistics.median(ratios):.3f} ({spread}, n={options.rounds}, {where})")


if __name__ == "__main__":
    main()
