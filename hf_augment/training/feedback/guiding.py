"""What a round asks of the shards that come next: guides, by what its policies return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np

from hf_augment.blending.chosen import ChosenLayout
from hf_augment.fingerprints import rows_digest, texts_digest
from hf_augment.seeding import derive_rng, derive_seed, isolated_rng
from hf_augment.synthesis.guides import Guide
from hf_augment.training.blend import BlendedRun
from hf_augment.training.feedback.briefs import Brief
from hf_augment.training.feedback.choosing import checked_scores
from hf_augment.training.feedback.policies import Policy, Round, TrainingRows
from hf_augment.training.feedback.scoring import Scorer


class Guiding:
    """
    Makes a guide for each shard that the round after is the first to know, where a policy steers. Until it is there
    the producer holds. So what a round sees governs examples that are shown from one period later on.

    Args:
        run (`BlendedRun`): The run, whose layout is a [`ChosenLayout`].
        policies (`Sequence[Policy]`): All that decide.
        scorer (`Scorer`): Asks the classifier.
        dataset (`datasets.Dataset`): The training rows.
    """

    def __init__(self, run: BlendedRun, policies: Sequence[Policy], scorer: Scorer, dataset: Any) -> None:
        assert isinstance(run.layout, ChosenLayout)
        self.run, self.layout, self.scorer, self.dataset = run, run.layout, scorer, dataset
        self.guides = run.blend.pipeline.guides
        self.steers = any(policy.steers for policy in policies)
        self.ahead = any(policy.steers and policy.ahead for policy in policies)
        plain = dataset.with_format(None) if isinstance(dataset, datasets.Dataset) else dataset
        self.plain = plain
        self.seeding = next((policy for policy in policies if policy.seeds), None)

    def start(self) -> None:
        """Forgets the guides of an earlier run, and has filters forget what was made by them."""
        if self.guides:
            self.guides.clear()
            self.run.blend.pipeline.forget()

    def hold(self, rounds: int) -> None:
        """So many rounds have been held: what the one after them will know may be made, and nothing beyond."""
        if self.steers and rounds + 1 in self.layout.rounds:
            self.run.producer.hold(len(self.layout.known(rounds + 1)))

    def decide(
        self, look: Round, shares: np.ndarray | None, seed: int
    ) -> tuple[list[float] | None, list[tuple[int, int]]]:
        """
        Returns the shares of the classes in the shards that come next, `None` where they are as in any, and slots of
        this rank with the training row that each is written after.

        Args:
            look (`Round`): The round.
            shares (`np.ndarray`, *optional*): Its shares of the classes, float of shape `(num_labels,)`.
            seed (`int`): Seed of a random transform, if the rows have one.
        """
        coming = self._coming(look.number)
        ahead = shares.tolist() if self.ahead and shares is not None else None
        return ahead, self._seeds(look, coming, ahead, seed) if self.seeding is not None and coming else []

    def apply(self, brief: Brief) -> None:
        """Gives the shards that come next their guides, also those of other ranks: each can read all of them."""
        if not self.steers:
            return
        size, shares = self.layout.shard_size, None if brief.ahead is None else tuple(brief.ahead)
        for rank, of_rank in enumerate(brief.seeds):
            seeds, coming = dict(of_rank), self._coming(brief.number)
            for shard in (shard + rank - self.layout.rank for shard in coming):
                slots = range(shard * size, (shard + 1) * size)
                rows = {slot - slots.start: self._raw(seeds[slot]) for slot in slots if slot in seeds}
                # A brief knows the rows by number: others may have the same.
                self.guides[shard] = Guide(texts_digest([brief.key, rows_digest(rows.values())]), shares, rows)

    def seeded(self, number: int, seeds: Sequence[Any]) -> dict[str, float]:
        """Returns what a brief tells of them."""
        slots = len(self._coming(number)) * self.layout.shard_size
        return {"seeded": len(seeds) / slots} if self.seeding is not None and slots else {}

    def _coming(self, number: int) -> range:
        return self.layout.pool(number + 1)[1] if number + 1 in self.layout.rounds else range(0)

    def _seeds(self, look: Round, coming: range, ahead: list[float] | None, seed: int) -> list[tuple[int, int]]:
        policy, layout = self.seeding, self.layout
        assert policy is not None
        rng = derive_rng(layout.seed, "seeds", look.number, layout.rank)
        # Each rank has rows of its own, so that none has two examples in a round.
        own = np.arange(layout.rank, len(self.dataset), layout.world_size)
        rows = np.sort(rng.permutation(own)[: policy.seed_rows])
        if not len(rows):
            return []
        probabilities, labels = self.scorer.of_rows(rows.tolist(), seed)
        scores = checked_scores(
            policy.seed(look, TrainingRows(rows, labels, probabilities)), policy, len(rows), "seed"
        )
        order = np.argsort(-scores, kind="stable")
        order = order[np.isfinite(scores[order])]
        size = layout.shard_size
        slots = np.concatenate([np.arange(shard * size, (shard + 1) * size) for shard in coming])
        asked = np.concatenate([self.run.blend.pipeline.labels(shard, ahead) for shard in coming])
        seeds: list[tuple[int, int]] = []
        for label in np.unique(asked).tolist():
            of_class = rng.permutation(slots[asked == label])
            count = int(policy.seed_share * len(of_class) + rng.random())
            hardest = rows[order[labels[order] == label]]
            seeds += zip(of_class[:count].tolist(), hardest.tolist(), strict=False)
        return sorted(seeds)

    def _raw(self, row: int) -> dict[str, Any]:
        # A dataset of one's own may draw at random, and is read again by a resumed run.
        with isolated_rng(derive_seed(self.layout.seed, "seed_row", row)):
            example = self.plain[row]
        return {name: example[name] for name in self.run.blend.pipeline.generator.columns}
