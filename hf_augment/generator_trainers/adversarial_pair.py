"""Generator, discriminator and the generator's moving average as one module, and the losses they play for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from hf_augment.generator_trainers.diff_augment import diff_augment
from hf_augment.generators.dcgan import NO_LABEL, DCGANDiscriminator, DCGANGenerator, from_uint8


Loss = Callable[[torch.Tensor], torch.Tensor]

#: Of the scores of real images, of generated ones, and what the generator wants of its own. `"bce"`: Goodfellow et al.
#: 2014 (section 3, with the generator's loss that does not saturate). `"hinge"`: Lim and Ye 2017 (arXiv 1705.02894).
LOSSES: dict[str, tuple[Loss, Loss, Loss]] = {
    "bce": (lambda s: F.softplus(-s).mean(), lambda s: F.softplus(s).mean(), lambda s: F.softplus(-s).mean()),
    "hinge": (lambda s: F.relu(1 - s).mean(), lambda s: F.relu(1 + s).mean(), lambda s: -s.mean()),
}


class AdversarialPair(nn.Module):
    """
    Holds what a GAN trains and what its checkpoints keep.

    Args:
        generator ([`DCGANGenerator`]): Copied; the copy is trained.
        discriminator ([`DCGANDiscriminator`]): Trained in place.
        loss (`str`): A key of `LOSSES`.
        policy (`Sequence[str]`): The policy of [`diff_augment`].
        mismatched_share (`float`):
            In `[0, 1)`. Share of real images under another class's name in what the discriminator learns to refuse.
        mode_seeking (`float`): Weight of [`AdversarialPair.repetition`] in the generator's loss; 0 for none.
    """

    def __init__(
        self,
        generator: DCGANGenerator,
        discriminator: DCGANDiscriminator,
        loss: str,
        policy: Sequence[str],
        mismatched_share: float,
        mode_seeking: float,
    ) -> None:
        super().__init__()
        self.generator = copy.deepcopy(generator)
        self.discriminator = discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.loss, self.policy = loss, tuple(policy)
        self.mismatched_share, self.mode_seeking = mismatched_share, mode_seeking

    def forward(
        self, side: str, images: torch.Tensor, labels: torch.Tensor, rng: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        The loss of one side. One method for both, because mixed precision and several processes wrap `forward`.

        Args:
            side (`str`): `"discriminator"` or `"generator"`.
            images (`torch.Tensor`):
                Real ones, uint8 of shape `(n, height, width, channels)`; or of twice as many rows, of which the second
                half has no labels.
            labels (`torch.Tensor`):
                Int64 of shape `(n,)`. As many images of the same classes are generated; and again as many, of which
                the discriminator is not told the class, beside images without labels.
            rng (`torch.Generator`): On the device of the images.

        Returns:
            `tuple[torch.Tensor, torch.Tensor]`: The loss, and the discriminator's accuracy (0 on the generator's
            side), both of shape `()`.
        """
        classes = labels.repeat(len(images) // len(labels))
        told = F.pad(labels, (0, len(images) - len(labels)), value=NO_LABEL)
        latents = torch.randn(len(classes), self.generator.config.latent_size, generator=rng, device=labels.device)
        of_real, of_generated, of_generator = LOSSES[self.loss]
        if side == "generator":
            generated = self.generator(latents, classes)
            loss = of_generator(self._scores(generated, told, rng))
            if self.mode_seeking:
                loss = loss + self.mode_seeking * self.repetition(latents, classes, generated, rng)
            return loss, loss.new_zeros(())
        with torch.no_grad():
            generated = self.generator(latents, classes)
        # Apart, since batch norm would tell them by each other.
        real, fake = self._scores(from_uint8(images), told, rng), self._scores(generated, told, rng)
        accuracy = ((real > 0).float().mean() + (fake <= 0).float().mean()) / 2
        loss = of_generated(fake)
        if share := self.mismatched_share:
            num_labels = len(self.generator.label_names)
            others = labels + torch.randint(1, num_labels, labels.shape, generator=rng, device=labels.device)
            mismatched = self._scores(from_uint8(images[: len(labels)]), others % num_labels, rng)
            loss = (1 - share) * loss + share * of_generated(mismatched)
        return of_real(real) + loss, accuracy.detach()

    def repetition(
        self, latents: torch.Tensor, labels: torch.Tensor, generated: torch.Tensor, rng: torch.Generator
    ) -> torch.Tensor:
        """
        Measures how much alike images of other latents and the same class are: the distance of two latents over that
        of their images (Mao et al. 2019, *Mode seeking generative adversarial networks*, arXiv 1903.05628, eq. 3), of
        shape `()`.
        """
        others = torch.randn(latents.shape, generator=rng, device=latents.device)
        apart = (latents - others).abs().mean(dim=1)
        differ = (generated - self.generator(others, labels)).float().abs().mean(dim=(1, 2, 3))
        return (apart / (differ + 1e-5)).mean()

    def _scores(self, images: torch.Tensor, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return self.discriminator(diff_augment(images, self.policy, rng), labels).float()

    @torch.no_grad()
    def update_average(self, decay: float, step: int) -> None:
        """
        Moves the average towards the generator; with the shorter memory of early steps, so that it does not keep the
        random weights of the start (as in the moving averages of TensorFlow).

        Args:
            decay (`float`): In `[0, 1)`; 0 makes it a copy.
            step (`int`): Steps done, 1 or more.
        """
        decay = min(decay, (1 + step) / (10 + step)) if decay else 0.0
        current = self.generator.state_dict()
        for name, average in self.average.state_dict().items():
            if average.is_floating_point():
                average.lerp_(current[name], 1 - decay)
            else:
                average.copy_(current[name])
