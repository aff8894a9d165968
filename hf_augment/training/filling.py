"""The shards of a training, made ahead of it by any number of processes on any number of hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hf_augment.synthesis.claims import LAPSE
from hf_augment.synthesis.filling import Filled, fill_shards
from hf_augment.training.blend import Blend
from hf_augment.training.feedback.policies import Policy
from hf_augment.training.shape import RunShape


class FillingMixin:
    """The part of [`AugmentingMixin`] that makes shards without training."""

    train_dataset: Any
    policies: Sequence[Policy] | None

    def fill_shards(
        self,
        shards: Iterable[int] | None = None,
        *,
        world_size: int | None = None,
        lapse: float = LAPSE,
        tell: Callable[[int, int], None] = lambda there, total: None,
    ) -> Filled:
        """
        Makes shards of this training and trains nothing. Any number of scripts that build the same trainer may call it
        at the same time, on hosts that share `synthetic_dir`: each shard is made by one of them. It returns when all
        that were asked for are there. `train` then only reads them, or, with filters that have a memory, filters their
        candidates in order; the model is the same to the last bit. Only call `train` when all shards are there.

        Hosts must be of one kind: their libraries and devices must make the same examples of the same seed, and the
        same fingerprints of models, or a training does not recognise its shards.

        Example:

        ```python
        trainer = AugmentingTrainer(model, args, train_dataset=train, generator=generator)
        # On any host, as often as there are hosts:
        trainer.fill_shards()
        # Then, on one:
        trainer.train()
        ```

        Args:
            shards (`Iterable[int]`, *optional*, defaults to all that the training will need):
                Numbers of shards, from 0.
            world_size (`int`, *optional*, defaults to that of this process):
                Number of processes of the training. The shard of number `n` is read by that of rank
                `n % world_size`; with filters, each of which knows the shards of its rank alone, another number gives
                other shards.
            lapse (`float`, *optional*, defaults to 60.0):
                Seconds after which what a filler that died had begun is made by another.
            tell (`Callable[[int, int], None]`, *optional*):
                Called after each shard with how many are there, of how many.

        Returns:
            [`~hf_augment.synthesis.filling.Filled`]: Who made them, and which are beyond what the training needs, and
            were left out.

        Raises:
            ValueError: If there is nothing to fill, or an argument is out of its range; as [`fill_shards`].
        """
        if world_size is not None and world_size < 1:
            raise ValueError(f"world_size={world_size} must be 1 or more.")
        blend = self.blend
        if blend is None:
            raise ValueError(
                "This trainer has no shards to fill: pass generator and train_dataset, and synthetic_ratio above 0."
            )
        if world_size is not None and world_size != blend.layout.world_size:
            blend = self._new_blend(self._shape(self.train_dataset, world_size), world_size)
        if any(policy.steers for policy in self.policies or ()):
            raise ValueError(
                "policies has one that decides what comes next by the classifier, so that shards cannot be made ahead "
                "of it: leave it out, or let training make them."
            )
        needed = blend.layout.all_shards(blend.plan.total_draws)
        wanted = list(needed) if shards is None else sorted(set(shards))
        if wanted and wanted[0] < 0:
            raise ValueError(f"shards holds {wanted[0]}: shards are numbered from 0.")
        within = [shard for shard in wanted if shard in needed]
        filled = fill_shards(blend.pipeline, blend.shards, within, lapse, tell)
        filled.beyond.extend(wanted[len(within) :])
        return filled

    @property
    def blend(self) -> Blend | None:
        """The plan, the producer and the shards."""
        raise NotImplementedError

    def _new_blend(self, shape: RunShape, world_size: int | None = None) -> Blend:
        raise NotImplementedError

    def _shape(self, dataset: Any, world_size: int | None = None) -> RunShape:
        raise NotImplementedError
