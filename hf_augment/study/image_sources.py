"""A DCGAN as a source of images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState

from hf_augment.generator_trainers.gan import GANTrainer
from hf_augment.generator_trainers.gan_arguments import GANTrainingArguments
from hf_augment.generators.base import Generator
from hf_augment.generators.dcgan import DCGANConfig, DCGANGenerator
from hf_augment.seeding import derive_seed, isolated_rng
from hf_augment.study.arms import LearnedSource
from hf_augment.study.image_classifier import on_device
from hf_augment.study.split import Basis, Split
from hf_augment.study.stages import last_checkpoint
from hf_augment.study.style import check_style_rows, style_rows_of


@dataclass
class TrainedDCGAN(LearnedSource):
    """
    A DCGAN that learns the labelled images of each split.

    Args:
        name (`str`): Name of its folders.
        shape (`dict[str, Any]`, *optional*, defaults to `{}`): Arguments of [`DCGANConfig`], such as `width`.
        training (`dict[str, Any]`, *optional*, defaults to `{}`): Arguments of [`GANTrainingArguments`].
        how (`dict[str, Any]`, *optional*, defaults to `{}`):
            Further ones, on which the weights do not depend, such as `save_steps`.
        style_rows (`int`, *optional*, defaults to 0):
            Random images without labels, at most, that it learns beside the labelled ones, without a class.
    """

    name: str
    shape: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    how: dict[str, Any] = field(default_factory=dict, compare=False)
    style_rows: int = field(default=0, kw_only=True)

    @property
    def models(self) -> tuple[str, ...]:
        return (f"DCGAN of width {self.shape.get('width', DCGANConfig().width)}",)

    def check(self, study: Basis) -> None:
        """Raises `ValueError` if it cannot be built or trained."""
        first = study.split(0)
        try:
            self.config(study)
            arguments = self.arguments(first, first.folder)
        except ValueError as error:
            raise ValueError(f"For the generator, {error}") from error
        if arguments.n_gpu > 1:
            raise ValueError(f"{arguments.n_gpu} GPUs in one process: start the recipe by `accelerate launch`.")
        batch = arguments.train_batch_size * arguments.world_size
        if len(first.train) < batch:
            raise ValueError(
                f"generator_batch_size={arguments.train_batch_size} on {arguments.world_size} processes is more than "
                f"the {len(first.train)} labelled images: lower it."
            )
        check_style_rows(study, self.name, self.style_rows)

    def config(self, study: Basis) -> DCGANConfig:
        """Returns the shape for the images of a study."""
        size, width, num_channels = study.data.train.features["image"].shape
        if size != width:
            raise ValueError(f"image_size must be 32 or 64, as it draws square images and these are {size}×{width}.")
        names = dict(enumerate(study.data.label_names))
        numbers = {name: label for label, name in names.items()}
        return DCGANConfig(image_size=size, num_channels=num_channels, id2label=names, label2id=numbers, **self.shape)

    def arguments(self, split: Split, folder: Path) -> GANTrainingArguments:
        """Returns the arguments of its training."""
        return GANTrainingArguments(
            output_dir=str(folder / "checkpoints"),
            save_strategy="steps",
            save_total_limit=1,
            logging_steps=100,
            **self.training,
            **self.how,
            **split.generator_arguments(),
        )

    def train(self, split: Split, folder: Path) -> dict[str, Any]:
        arguments = self.arguments(split, folder)
        with isolated_rng(derive_seed(arguments.seed, "dcgan")):
            generator = DCGANGenerator(self.config(split.study))
        trainer = GANTrainer(generator, arguments, split.train, unlabelled=style_rows_of(split, self.style_rows))
        output = trainer.train(resume_from_checkpoint=last_checkpoint(folder / "checkpoints"))
        if PartialState().is_main_process:
            generator.save_pretrained(folder / "model")
        alarms = sorted({key for log in trainer.state.log_history for key in log if key.startswith("alarm_")})
        return {"steps": output.global_step, "seconds": output.metrics["train_runtime"], "alarms": alarms}

    def load(self, folder: Path) -> Generator:
        return on_device(DCGANGenerator.from_pretrained(folder, trust_remote_code=False))
