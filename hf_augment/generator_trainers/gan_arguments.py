"""The arguments of a GAN's training."""

from __future__ import annotations

from dataclasses import dataclass, field

from transformers import TrainingArguments

from hf_augment.generator_trainers.adversarial_pair import LOSSES
from hf_augment.generator_trainers.diff_augment import AUGMENTATIONS


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
