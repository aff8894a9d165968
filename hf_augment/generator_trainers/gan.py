"""A `Trainer` of class-conditional GANs: two updates a step, alarms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from accelerate.utils import broadcast
from huggingface_hub import HfApi
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import HubStrategy, TrainOutput
from transformers.utils import logging

from hf_augment.generator_trainers.adversarial_pair import AdversarialPair
from hf_augment.generator_trainers.gan_arguments import GANTrainingArguments
from hf_augment.generator_trainers.gan_monitor import GANMonitor, in_a_row
from hf_augment.generator_trainers.gan_rows import Rows, as_it_is, checked_columns, checked_images
from hf_augment.generator_trainers.graphed_step import GraphedStep
from hf_augment.generators.dcgan import DCGANDiscriminator, DCGANGenerator
from hf_augment.neighbours.features import Features
from hf_augment.seeding import derive_rng, derive_seed, isolated_rng


logger = logging.get_logger(__name__)


class GANTrainer(Trainer):
    """
    A [`~transformers.Trainer`] that trains a [`DCGANGenerator`] against a discriminator on labelled images.

    A step is an update of the discriminator and then one of the generator. After `train()` the generator (with
    `ema_decay` its moving average) is ready to be used, saved and pushed. Latents are drawn from `seed` and the number
    of the step, so the weights of a training that was interrupted are those of one that was not. Only the first
    figures logged after a resume are means of fewer steps.

    Images without labels teach it what images look like: with as many of them in each step as there are labelled ones,
    the discriminator also tells real from generated where no class is said.

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
        unlabelled ([`~datasets.Dataset`], *optional*):
            Images of the same kind without labels, of which each step draws as many as it has labelled ones. An epoch
            is a pass over the labelled images, and takes about twice the time.

    Raises:
        ValueError: If a dataset does not fit the generator.
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
        unlabelled: datasets.Dataset | None = None,
    ) -> None:
        if args.n_gpu > 1:
            raise ValueError(f"{args.n_gpu} GPUs in one process are not supported: start it by `accelerate launch`.")
        if args.cuda_graph and args.world_size > 1:
            raise ValueError(f"cuda_graph=True is for one process, and there are {args.world_size}: leave it out.")
        images, labels = checked_columns(generator, train_dataset, label_column)
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
        self._unlabelled: torch.Tensor | None = None
        if unlabelled is not None:
            if not len(unlabelled):
                raise ValueError("unlabelled has no images: leave it out.")
            self._unlabelled = torch.from_numpy(checked_images(generator, unlabelled, "unlabelled")).to(place)
        super().__init__(
            model=self.pair,
            args=args,
            train_dataset=Rows(torch.from_numpy(images).to(place), torch.from_numpy(labels).to(place)),
            data_collator=as_it_is,
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
        images = self._with_unlabelled(inputs["images"])
        step = partial(self._step, model)
        if self.args.cuda_graph and self.args.device.type == "cuda":
            self._graphed = self._graphed or GraphedStep(step, model.parameters(), self.optimizer, self._rng)
        loss, figures = (self._graphed or step)(images, inputs["labels"])
        self._figures.append(figures)
        return loss

    def _with_unlabelled(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the images of a batch, and after them as many random ones without labels, if there are any."""
        if self._unlabelled is None:
            return images
        rng = derive_rng(self.args.seed, "unlabelled", self.state.global_step, self.args.process_index)
        drawn = torch.from_numpy(rng.integers(len(self._unlabelled), size=len(images)))
        return torch.cat([images, self._unlabelled[drawn.to(self._unlabelled.device)].to(images.device)])

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


class _AfterStep(TrainerCallback):
    def __init__(self, trainer: GANTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trainer.after_step()
