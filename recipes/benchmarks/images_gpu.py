"""
What does a training step of images cost on a GPU? ResNet-18 at batch 64, DCGAN at batch 128, 32×32, by option.

    python recipes/benchmarks/images_gpu.py                                # every option, in turn
    python recipes/benchmarks/images_gpu.py --only "blended, bf16, graph"  # one; start it thrice for three at once
    python recipes/benchmarks/images_gpu.py --equal                        # whether replayed steps are the same steps

Milliseconds a step of a whole training by the Trainer, after its first steps, on noise: time does not depend on what
images show. The classifier's batches are cropped and flipped. `--equal` trains twice as it is and once replayed, from
one seed, and prints how far the weights are apart: replayed no farther than two runs of the same code.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from typing import Any

import datasets
import numpy as np
import torch
from torchvision.transforms import v2
from transformers import TrainerCallback, ViTImageProcessor, set_seed

from hf_augment import (
    AugmentingTrainer,
    AugmentingTrainingArguments,
    DCGANConfig,
    DCGANGenerator,
    GANTrainer,
    GANTrainingArguments,
    ImageCollator,
    ImageRows,
    SmallResNetForImageClassification,
)
from hf_augment.images.graphed import GraphedNetwork


NAMES = [str(label) for label in range(10)]

#: Next to no CPU is fast at it.
BF16 = torch.cuda.is_available()

#: Name to what is trained, the Trainer's options, and those of this script.
OPTIONS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "classifier, fp32": ("classifier", {}, set()),
    "classifier, bf16": ("classifier", {"bf16": BF16}, set()),
    "classifier, bf16, graph": ("classifier", {"bf16": BF16}, {"graph"}),
    "classifier, bf16, graph, cuDNN benchmark": ("classifier", {"bf16": BF16}, {"graph", "benchmark"}),
    "classifier, bf16, compile": ("classifier", {"bf16": BF16, "torch_compile": True}, set()),
    "blended, bf16": ("blended", {"bf16": BF16}, set()),
    "blended, bf16, graph": ("blended", {"bf16": BF16}, {"graph"}),
    "blended, bf16, graph, inline": (
        "blended",
        {"bf16": BF16, "synthetic_producer": "inline"},
        {"graph"},
    ),
    "gan, fp32": ("gan", {}, set()),
    "gan, fp32, on device": ("gan", {"data_on_device": True}, set()),
    "gan, fp32, on device, graph": ("gan", {"data_on_device": True, "cuda_graph": True}, set()),
    "gan, bf16, on device, graph": ("gan", {"bf16": BF16, "data_on_device": True, "cuda_graph": True}, set()),
}


class Clock(TrainerCallback):
    """Seconds from one step to the last, when the device has done them."""

    def __init__(self, first: int) -> None:
        self.first, self.start, self.seconds, self.steps = first, 0.0, 0.0, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step in (self.first, state.max_steps):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if state.global_step == self.first:
                self.start = time.perf_counter()
            else:
                self.seconds, self.steps = time.perf_counter() - self.start, state.max_steps - self.first


def rows(count: int) -> datasets.Dataset:
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    features = datasets.Features(
        {"image": datasets.Array3D((32, 32, 3), "uint8"), "label": datasets.ClassLabel(names=NAMES)}
    )
    return datasets.Dataset.from_dict({"image": list(images), "label": [i % 10 for i in range(count)]}, features)


def build(name: str, folder: str, data: datasets.Dataset, steps: int, width: int, clock: Clock) -> Any:
    """The trainer of an option."""
    kind, options, own = OPTIONS[name]
    torch.backends.cudnn.benchmark = "benchmark" in own
    common: dict[str, Any] = {"max_steps": steps, "save_strategy": "no", "report_to": "none", "disable_tqdm": True}
    common |= {"logging_nan_inf_filter": False, "max_grad_norm": 0, "dataloader_pin_memory": False}
    set_seed(0)
    generator: Any = DCGANGenerator(DCGANConfig(id2label=dict(enumerate(NAMES)), width=width))
    if kind == "gan":
        gan_args = GANTrainingArguments(folder, sample_steps=0, **common, **options)
        return GANTrainer(generator, gan_args, data, callbacks=[clock])
    args = AugmentingTrainingArguments(
        folder,
        per_device_train_batch_size=64,
        learning_rate=1e-3,
        remove_unused_columns=False,
        synthetic_shard_size=2048,
        **common,
        **options,
    )
    model: Any = SmallResNetForImageClassification.build(NAMES, width=width)
    processor = ViTImageProcessor(do_resize=False, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    augment = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(32, padding=4)])
    return AugmentingTrainer(
        model.to(memory_format=torch.channels_last),
        args,
        train_dataset=ImageRows(data),
        data_collator=ImageCollator(processor, augment, device=args.device),
        generator=generator.to(args.device) if kind == "blended" else None,
        callbacks=[clock, *([GraphedNetwork(model.timm_model, (3, 32, 32))] if "graph" in own else [])],
    )


def milliseconds(name: str, data: datasets.Dataset, steps: int, width: int) -> float:
    """Milliseconds a step."""
    clock = Clock(steps // 4)
    with tempfile.TemporaryDirectory() as folder:
        build(name, folder, data, steps, width, clock).train()
    return clock.seconds / clock.steps * 1000


def weights(name: str, data: datasets.Dataset, steps: int, width: int) -> torch.Tensor:
    """All weights and running statistics after a training, float64."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = build(name, folder, data, steps, width, Clock(steps + 1))
        trainer.train()
    state = trainer.model.state_dict().values()
    return torch.cat([tensor.detach().double().flatten().cpu() for tensor in state])


def distances(data: datasets.Dataset, steps: int, width: int) -> dict[str, float]:
    """How far weights are apart, as a share of their size."""
    found = {}
    for plain, replayed in (
        ("classifier, bf16", "classifier, bf16, graph"),
        ("gan, fp32, on device", "gan, fp32, on device, graph"),
    ):
        once, again, other = (weights(name, data, steps, width) for name in (plain, plain, replayed))
        for name, compared in ((plain, again), (replayed, other)):
            found[f"{plain} and {name}"] = float((once - compared).norm() / once.norm())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=OPTIONS, default=list(OPTIONS), help="Options to time.")
    parser.add_argument("--equal", action="store_true", help="Compare weights instead of times.")
    parser.add_argument("--steps", type=int, default=800, help="Optimizer steps of a training.")
    parser.add_argument("--width", type=int, default=64, help="Width of both networks.")
    options = parser.parse_args()
    data = rows(6400)
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    if options.equal:
        for name, distance in distances(data, options.steps, options.width).items():
            print(json.dumps({"weights of": name, "apart": distance, "steps": options.steps, "on": where}), flush=True)
        return
    for name in options.only:
        found = milliseconds(name, data, options.steps, options.width)
        print(json.dumps({"option": name, "ms a step": round(found, 3), "on": where}), flush=True)


if __name__ == "__main__":
    main()
