"""A `Trainer` of class-conditional GANs: arguments, two updates a step, alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import torch.utils.data as torch_data
from accelerate.utils import broadcast
from huggingface_hub import HfApi
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import HubStrategy, TrainOutput
from transformers.utils import logging

from hf_augment.checks import class_column
from hf_augment.generator_trainers.adversarial_pair import LOSSES, AdversarialPair
from hf_augment.generator_trainers.diff_augment import AUGMENTATIONS
from hf_augment.generator_trainers.gan_monitor import GANMonitor, in_a_row
from hf_augment.generator_trainers.graphed_step import GraphedStep
from hf_augment.generators.dcgan import DCGANDiscriminator, DCGANGenerator
from hf_augment.images.arrays import image_arrays
from hf_augment.neighbours.features import Features
from hf_augment.seeding import derive_seed, isolated_rng


logger = logging.get_logger(__name__)


@dataclass
class GANTrainingArguments(TrainingArguments):
    """
    [`~transformers.TrainingArguments`] of a [`GANTrainer`]. The defaults that differ are the documented DCGAN's
    (Radford et al. 2016, section 4): Adam with learning rate 2e-4 and β1 0.5, constant, batches of 128, 100 epochs, no
    clipping of gradients.

    Args:
        loss (`str`, *optional*, defaults to `"bce"`):
            `"bce"` as documented, or `"hinge"`, which suits spectral normalisation and projection.
        ema_decay (`float`, *optional*, defaults to 0.0):
            In `[0, 1)`. Above 0 the generator that results is an exponential moving average of the trained one; 0.999
            is usual for long trainings.
        diff_augment (`list[str]`, *optional*, defaults to `[]`):
            Differentiable augmentation against overfitting on small sets: some of `"color"`, `"translation"`,
            `"cutout"`.
        mismatched_share (`float`, *optional*, defaults to 0.0):
            In `[0, 1)`. The discriminator also learns to refuse real images under another class's name, this share of
            what it learns to refuse (Reed et al. 2016, arXiv 1605.05396, section 4.2, has 0.5). The generator learns
            the classes sooner, and to draw only what is typical of them.
        mode_seeking (`float`, *optional*, defaults to 0.0):
            0 or more. Weight of a loss of the generator against images that are alike though their latents are not
            (Mao et al. 2019, arXiv 1903.05628); 0.1 keeps a small class-conditional GAN from drawing one image for
            each class, much more draws noise.
        sample_steps (`int`, *optional*, defaults to 500):
            Number of steps after which a grid of samples is written to `output_dir/samples`, and the diversity of each
            class measured; 0 for never.
        max_discriminator_accuracy (`float`, *optional*, defaults to 0.995):
            Alarm `alarm_discriminator_won` above this accuracy in three logs in a row: what it says then teaches the
            generator little.
        min_diversity (`float`, *optional*, defaults to 0.5):
            Alarm `alarm_collapse` below this share of the real diversity in any class, in three measurements in a row.
        stop_on_alarm (`bool`, *optional*, defaults to `False`): Whether an alarm ends the training.
        data_on_device (`bool`, *optional*, defaults to `False`):
            Whether all images are kept in the memory of the device, where a batch of them is a slice.
        cuda_graph (`bool`, *optional*, defaults to `False`):
            Whether a step is captured once and then replayed (see [`GraphedStep`]), which is the same arithmetic
            without waiting for Python. For one CUDA device and a constant learning rate; without CUDA, steps run as
            they are.

    Raises:
        ValueError: If a value is out of its range.
    """

    num_train_epochs: float = field(default=100.0, metadata={"help": "Passes over the dataset."})
    per_device_train_batch_size: int = field(default=128, metadata={"help": "Images per device and step."})
    learning_rate: float = field(default=2e-4, metadata={"help": "Learning rate of Adam, for both networks."})
    adam_beta1: float = field(default=0.5, metadata={"help": "β1 of Adam."})
    lr_scheduler_type: str = field(default="constant", metadata={"help": "Course of the learning rate."})
    max_grad_norm: float = field(default=0.0, metadata={"help": "Clips the generator's gradient; 0 for never."})
    logging_nan_inf_filter: bool = field(
        default=False, metadata={"help": "Leaves losses that are no numbers out of the log; every step waits for it."}
    )
    loss: str = field(default="bce", metadata={"help": "Adversarial loss.", "choices": list(LOSSES)})
    ema_decay: float = field(default=0.0, metadata={"help": "Decay of the generator's moving average; 0 for none."})
    diff_augment: list[str] = field(
        default_factory=list, metadata={"help": f"Differentiable augmentation: some of {', '.join(AUGMENTATIONS)}."}
    )
    mismatched_share: float = field(
        default=0.0, metadata={"help": "Share of real images of other classes in what the discriminator refuses."}
    )
    mode_seeking: float = field(
        default=0.0, metadata={"help": "Weight of a loss against images that are alike though their latents are not."}
    )
    sample_steps: int = field(default=500, metadata={"help": "Steps between grids and measurements; 0 for never."})
    max_discriminator_accuracy: float = field(default=0.995, metadata={"help": "Alarm above it."})
    min_diversity: float = field(default=0.5, metadata={"help": "Alarm below this share of the real diversity."})
    stop_on_alarm: bool = field(default=False, metadata={"help": "Whether an alarm ends the training."})
    data_on_device: bool = field(default=False, metadata={"help": "Keeps all images in the device's memory."})
    cuda_graph: bool = field(
        default=False, metadata={"help": "Captures a step once on a CUDA device, and replays it."}
    )

    def __post_init__(self) -> None:
        for name, valid, wanted in (
            ("loss", self.loss in LOSSES, f"one of {sorted(LOSSES)}"),
            ("ema_decay", 0 <= self.ema_decay < 1, "in [0, 1)"),
            ("diff_augment", set(self.diff_augment) <= set(AUGMENTATIONS), f"some of {sorted(AUGMENTATIONS)}"),
            ("mismatched_share", 0 <= self.mismatched_share < 1, "in [0, 1)"),
            ("mode_seeking", self.mode_seeking >= 0, "0 or more"),
            ("sample_steps", self.sample_steps >= 0, "0 or more"),
            ("max_discriminator_accuracy", 0 < self.max_discriminator_accuracy <= 1, "in (0, 1]"),
            ("min_diversity", 0 <= self.min_diversity < 1, "in [0, 1)"),
            ("per_device_train_batch_size", self.per_device_train_batch_size > 1, "2 or more, for batch norm"),
            ("gradient_accumulation_steps", self.gradient_accumulation_steps == 1, "1; raise the batch size instead"),
            ("cuda_graph", not self.cuda_graph or self.lr_scheduler_type == "constant", "False: the rate changes"),
            ("data_on_device", not (self.data_on_device and self.dataloader_num_workers), "False with workers"),
        ):
            if not valid:
                raise ValueError(f"{name}={getattr(self, name)!r} must be {wanted}.")
        # Batches are tensors already, and a smaller last one would upset batch norm.
        self.remove_unused_columns, self.dataloader_drop_last = False, True
        # Each side leaves the other's weights alone.
        self.ddp_find_unused_parameters = True
        # Only what is in the memory of the host can be pinned there.
        self.dataloader_pin_memory = self.dataloader_pin_memory and not self.data_on_device
        super().__post_init__()


class GANTrainer(Trainer):
    """
    A [`~transformers.Trainer`] that trains a [`DCGANGenerator`] against a discriminator on labelled images.

    A step is an update of the discriminator and then one of the generator. After `train()` the generator (with
    `ema_decay` its moving average) is ready to be used, saved and pushed. Latents are drawn from `seed` and the number
    of the step, so the weights of a training that was interrupted are those of one that was not. Only the first
    figures logged after a resume are means of fewer steps.

    Example:

    ```python
    from datasets import load_dataset
    from hf_augment import DCGANConfig, DCGANGenerator, GANTrainer, GANTrainingArguments

    dataset = load_dataset("uoft-cs/cifar10", split="train")
    names = dataset.features["label"].names
    generator = DCGANGenerator(DCGANConfig(id2label=dict(enumerate(names)), image_column="img"))
    GANTrainer(generator, GANTrainingArguments("dcgan"), dataset).train()
    generator.save_pretrained("my-dcgan")
    ```

    Args:
        generator ([`DCGANGenerator`]): Gets its trained weights when `train()` returns.
        args ([`GANTrainingArguments`]): The training arguments.
        train_dataset ([`~datasets.Dataset`]):
            With the generator's column of images, in its size and number of channels, and labels of all its classes.
        discriminator ([`DCGANDiscriminator`], *optional*):
            Defaults to a new one of the generator's configuration, drawn from `seed`.
        label_column (`str`, *optional*, defaults to `"label"`): The column of the labels.
        features (`Callable`, *optional*):
            For the measure of diversity: examples to an array `(n, d)`, such as [`ClassifierFeatures`]. Defaults to
            the pixels.
        callbacks (`Sequence[TrainerCallback]`, *optional*): Callbacks of the `Trainer`.

    Raises:
        ValueError: If the dataset does not fit the generator.
    """

    args: GANTrainingArguments
    optimizer: Any

    def __init__(
        self,
        generator: DCGANGenerator,
        args: GANTrainingArguments,
        train_dataset: datasets.Dataset,
        discriminator: DCGANDiscriminator | None = None,
        label_column: str = "label",
        features: Features | None = None,
        callbacks: Sequence[TrainerCallback] | None = None,
    ) -> None:
        if args.n_gpu > 1:
            raise ValueError(f"{args.n_gpu} GPUs in one process are not supported: start it by `accelerate launch`.")
        if args.cuda_graph and args.world_size > 1:
            raise ValueError(f"cuda_graph=True is for one process, and there are {args.world_size}: leave it out.")
        images, labels = _checked_columns(generator, train_dataset, label_column)
        if args.mismatched_share and len(generator.label_names) < 2:
            raise ValueError(f"mismatched_share={args.mismatched_share} needs two classes or more: leave it out.")
        batch_size = args.train_batch_size * args.world_size
        if len(images) < batch_size:
            raise ValueError(
                f"train_dataset has {len(images)} images, fewer than the {batch_size} of a batch: lower "
                f"per_device_train_batch_size={args.per_device_train_batch_size}."
            )
        if discriminator is None:
            with isolated_rng(derive_seed(args.seed, "discriminator")):
                discriminator = DCGANDiscriminator(generator.config)
        self.generator = generator
        self.pair = AdversarialPair(
            generator, discriminator, args.loss, args.diff_augment, args.mismatched_share, args.mode_seeking
        )
        self.monitor = GANMonitor(images, labels, generator.config.image_column, features, args.seed)
        self._figures: list[torch.Tensor] = []
        self._graphed: GraphedStep | None = None
        self._rng = torch.Generator(args.device)
        place = args.device if args.data_on_device else "cpu"
        super().__init__(
            model=self.pair,
            args=args,
            train_dataset=_Rows(torch.from_numpy(images).to(place), torch.from_numpy(labels).to(place)),
            data_collator=_as_it_is,
            callbacks=[_AfterStep(self), *(callbacks or [])],
        )

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        """Trains as [`~transformers.Trainer.train`] does, with its arguments, then hands the weights over."""
        self._figures.clear()
        self._graphed = None
        output = super().train(*args, **kwargs)
        # The running statistics of batch norm are each rank's own, and one generator is wanted.
        state = {name: broadcast(tensor.clone()) for name, tensor in self.sampler.state_dict().items()}
        self.generator.load_state_dict(state)
        module: Any = self.generator
        module.to(self.args.device).eval()
        return output

    @property
    def sampler(self) -> DCGANGenerator:
        """Returns the generator as it is now: its moving average where there is one."""
        return self.pair.average if self.args.ema_decay else self.pair.generator

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Updates the discriminator, then makes the gradient of the generator, whose update is the Trainer's."""
        model.train()
        inputs = self._prepare_inputs(inputs)
        self._rng.manual_seed(derive_seed(self.args.seed, "gan", self.state.global_step, self.args.process_index))
        step = partial(self._step, model)
        if self.args.cuda_graph and self.args.device.type == "cuda":
            self._graphed = self._graphed or GraphedStep(step, model.parameters(), self.optimizer, self._rng)
        loss, figures = (self._graphed or step)(inputs["images"], inputs["labels"])
        self._figures.append(figures)
        return loss

    def _step(self, model: Any, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the generator's loss, and the discriminator's with its accuracy."""
        # Parameters without a gradient are not touched by the optimizer: one Adam serves both sides in turn.
        self.pair.discriminator.requires_grad_(True)
        with self.compute_loss_context_manager():
            discriminator_loss, accuracy = model("discriminator", images, labels, rng=self._rng)
        self.accelerator.backward(discriminator_loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.pair.discriminator.requires_grad_(False)
        with self.compute_loss_context_manager():
            loss, _ = model("generator", images, labels, rng=self._rng)
        self.accelerator.backward(loss)
        self.pair.discriminator.requires_grad_(True)
        return loss.detach(), torch.stack([discriminator_loss.detach(), accuracy])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As [`~transformers.Trainer.log`]; `loss` is the generator's, and the discriminator's figures go with it."""
        if "loss" in logs and self._figures:
            loss, accuracy = self._over_ranks(torch.stack(self._figures).mean(dim=0))
            logs |= {"discriminator_loss": loss, "discriminator_accuracy": accuracy}
            self._figures.clear()
        super().log(logs, start_time)
        limit = self.args.max_discriminator_accuracy
        if "discriminator_accuracy" in logs:
            self._alarm("discriminator_won", "discriminator_accuracy", lambda accuracy: accuracy > limit)

    def after_step(self) -> None:
        """Moves the average on, and measures where it is time to."""
        step, every = self.state.global_step, self.args.sample_steps
        if self.args.ema_decay:
            self.pair.update_average(self.args.ema_decay, step)
        if not every or (step % every and step != self.state.max_steps):
            return
        diversity = self._over_ranks(torch.tensor(self.monitor.diversity(self.sampler), device=self.args.device))
        if self.is_world_process_zero():
            path = Path(str(self.args.output_dir)) / f"samples/step-{step:06d}.png"
            self.monitor.write_samples(path, self.sampler)
        worst, should_log = int(np.argmin(diversity)), self.control.should_log
        self.log({"diversity": float(np.mean(diversity)), "min_diversity": diversity[worst], "least_diverse": worst})
        self._alarm("collapse", "min_diversity", lambda share: share < self.args.min_diversity)
        # Logging says that what was to be logged has been, and the losses of this step have not.
        self.control.should_log = should_log

    def _over_ranks(self, figures: torch.Tensor) -> list[float]:
        # The same on all ranks: one that stopped alone would leave the others waiting.
        return self.accelerator.reduce(figures, reduction="mean").tolist()

    def _alarm(self, name: str, figure: str, holds: Any) -> None:
        # Read from the log, which a checkpoint keeps.
        if not in_a_row(self.state.log_history, figure, holds):
            return
        super().log({f"alarm_{name}": 1.0})
        remedies = "spectral_norm, projection, diff_augment, or fewer epochs"
        logger.warning(f"Step {self.state.global_step}: alarm_{name} ({figure}). What helps: {remedies}.")
        if self.args.stop_on_alarm:
            self.control.should_training_stop = True

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Saves the generator as it is now; the discriminator and all else that training needs is in checkpoints."""
        if _internal_call:
            super().save_model(output_dir, _internal_call)
        elif self.args.should_save:
            self.sampler.save_pretrained(output_dir or str(self.args.output_dir))

    def push_to_hub(  # type: ignore[override]
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
    ) -> Any:
        """
        Saves the generator in `output_dir` and pushes it with the grids of samples; of other files, none. The
        arguments are those of [`~transformers.Trainer.push_to_hub`], and `private` (defaults to
        `args.hub_private_repo`): whether a new repository is.
        """
        if not self.is_world_process_zero():
            return None
        self.save_model()
        folder = Path(str(self.args.output_dir))
        api: Any = HfApi(token=token or self.args.hub_token)
        name = self.args.hub_model_id or folder.absolute().name
        private = self.args.hub_private_repo if private is None else private
        repo_id = api.create_repo(name, private=private, exist_ok=True).repo_id
        return api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            commit_message=commit_message,
            revision=revision or self.args.hub_revision,
            allow_patterns=["config.json", "model.safetensors", "dcgan.py", "samples/*.png"],
            run_as_future=not blocking,
        )

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        # The stock method uploads whatever lies in output_dir.
        if self.args.hub_strategy != HubStrategy.END:
            self.push_to_hub(f"Training in progress, step {self.state.global_step}")


class _Rows(torch_data.Dataset[Any]):
    """Rows by index, a batch at a time, without a detour by single ones."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: list[int]) -> dict[str, torch.Tensor]:
        rows = torch.tensor(indices, device=self.images.device)
        return {"images": self.images[rows], "labels": self.labels[rows]}


def _as_it_is(batch: Any) -> Any:
    return batch


def _checked_columns(
    generator: DCGANGenerator, dataset: datasets.Dataset, label_column: str
) -> tuple[np.ndarray, np.ndarray]:
    config, names = generator.config, list(generator.label_names)
    labels = np.array(class_column(dataset, label_column, names))
    images = image_arrays(dataset, config.image_column, config.num_channels)
    if images.shape[1:3] != (config.image_size, config.image_size):
        raise ValueError(
            f"The images are {images.shape[1]}×{images.shape[2]}, the generator's image_size is {config.image_size}: "
            "resize or pad the images to it."
        )
    missing = sorted(set(range(len(names))) - set(labels.tolist()))
    if missing:
        raise ValueError(
            f"The dataset has no image of {[names[label] for label in missing]}: a class nobody shows cannot be "
            "learned, so add images or leave it out of the generator's classes."
        )
    return images, labels


class _AfterStep(TrainerCallback):
    def __init__(self, trainer: GANTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trainer.after_step()
