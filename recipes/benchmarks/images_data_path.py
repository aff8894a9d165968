"""
What does the way of a batch of images cost beside the model? Half of its rows synthetic, 32×32, from disk to tensors.

    python recipes/benchmarks/images_data_path.py
    python recipes/benchmarks/images_data_path.py --beside ../other_checkout   # another build, in turns with this one

Each round is a process of its own. It trains a classifier of next to no arithmetic by `AugmentingTrainer`, with crops
and flips, first with shards that are made on the way and then with shards that are there, and the same one by a plain
loop over its rows. Reported are the median and the range over the rounds, in CPU milliseconds a step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torchvision.transforms import v2
from transformers import PretrainedConfig, PreTrainedModel, TrainerCallback, ViTImageProcessor

from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, Generator, ImageCollator, ImageRows


NAMES = [str(label) for label in range(10)]
# The first steps, in which much is done once, are not counted.
BATCH, STEPS, UNCOUNTED = 64, 400, 50
CONFIG: Any = {"num_labels": len(NAMES)}
FIGURES = ("made on the way", "from disk", "without a generator", "plain loop")


class Noise(Generator):
    """Images for nothing, so that what is timed is their way."""

    label_names, columns = NAMES, ("image",)

    def generate(self, labels: Any, seed: int) -> list[dict[str, Any]]:
        rng = np.random.default_rng(seed)
        return [{"image": image} for image in rng.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)]

    def fingerprint(self) -> str:
        return "noise-1"


class Mean(PreTrainedModel):
    """A classifier by the mean colour."""

    config_class = PretrainedConfig

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.head = torch.nn.Linear(3, len(NAMES))

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.head(pixel_values.mean(dim=(2, 3)))
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


class Clock(TrainerCallback):
    """CPU milliseconds a step, after the first ones."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == UNCOUNTED:
            self.start = time.process_time()
        if state.global_step == STEPS:
            self.milliseconds = (time.process_time() - self.start) / (STEPS - UNCOUNTED) * 1000


def rows() -> ImageRows:
    count = BATCH * STEPS // 2
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    features = datasets.Features(
        {"image": datasets.Array3D((32, 32, 3), "uint8"), "label": datasets.ClassLabel(names=NAMES)}
    )
    columns = {"image": list(images), "label": [i % 10 for i in range(count)]}
    return ImageRows(datasets.Dataset.from_dict(columns, features=features))


def train(folder: str, data: ImageRows, ratio: float) -> float:
    """Milliseconds a step."""
    processor = ViTImageProcessor(do_resize=False, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    augment = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(32, padding=4)])
    args = AugmentingTrainingArguments(
        folder,
        per_device_train_batch_size=BATCH,
        max_steps=STEPS,
        synthetic_ratio=ratio,
        synthetic_producer="inline",
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        use_cpu=True,
    )
    generator = Noise() if ratio else None
    trainer = AugmentingTrainer(
        Mean(PretrainedConfig(**CONFIG)),
        args,
        train_dataset=data,
        data_collator=ImageCollator(processor, augment),
        generator=generator,
        callbacks=[clock := Clock()],
    )
    trainer.train()
    return clock.milliseconds


def plain(data: ImageRows) -> float:
    """Milliseconds a step of the same arithmetic, without the Trainer, augmentation or checks."""
    model = Mean(PretrainedConfig(**CONFIG))
    optimizer = torch.optim.AdamW(model.parameters())
    images, labels = torch.from_numpy(data.images), torch.tensor(data.labels)
    start = time.process_time()
    for _ in range(STEPS):
        batch = torch.randint(len(images), (BATCH,))
        pixels = images[batch].permute(0, 3, 1, 2).float().div(127.5).sub(1)
        model(pixels, labels[batch])["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
    return (time.process_time() - start) / STEPS * 1000


def measure() -> None:
    """Prints the figures of this build as JSON."""
    data = rows()
    with tempfile.TemporaryDirectory() as folder:
        train(f"{folder}/warm", data, 0.0)
        made, read, stock = (train(f"{folder}/run", data, ratio) for ratio in (0.5, 0.5, 0.0))
    print(json.dumps(dict(zip(FIGURES, (made, read, stock, plain(data)), strict=True))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="How often each build is timed.")
    parser.add_argument("--beside", type=Path, help="Checkout of another build.")
    parser.add_argument("--once", action="store_true", help="Measure this build once and print JSON.")
    options = parser.parse_args()
    if options.once:
        measure()
        return
    here = Path(__file__).resolve().parents[2]
    builds = {"this build": here} | ({options.beside.name: options.beside.resolve()} if options.beside else {})
    found: dict[str, list[dict[str, float]]] = {name: [] for name in builds}
    for _ in range(options.rounds):
        for name, folder in builds.items():
            environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, __file__, "--once"]
            output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[name].append(json.loads(output.splitlines()[-1]))
    print(f"CPU ms a step of {BATCH} images, one thread, median (range) of {options.rounds} rounds")
    for name, rounds in found.items():
        for figure in FIGURES:
            values = [of[figure] for of in rounds]
            print(f"{name:20} {figure:20} {statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
