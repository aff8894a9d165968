"""Rounds: at steps that are known in advance, what comes next is chosen by the classifier's present state."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from accelerate.utils import broadcast_object_list, gather_object

from hf_augment.blending.chosen import ChosenLayout
from hf_augment.seeding import derive_rng, derive_seed
from hf_augment.training.blend import BlendedRun
from hf_augment.training.feedback.briefs import Brief, brief_key, read_brief, write_brief
from hf_augment.training.feedback.choosing import checked_scores, checked_shares, choose
from hf_augment.training.feedback.guiding import Guiding
from hf_augment.training.feedback.policies import Candidates, Policy, Round
from hf_augment.training.feedback.scoring import Scorer
from hf_augment.training.feedback.selection import entropy_of
from hf_augment.training.shape import lead_steps


#: What a checkpoint of a run without feedback stands for.
NO_FEEDBACK: dict[str, Any] = {"settings": {}, "briefs": []}


class Feedback:
    """
    The rounds of a run.

    After every `period` optimizer steps the classifier is asked about new candidates, and a [`Brief`] says which of
    them its next steps show. It takes effect after a lead in which no batch has been handed out yet, so that any
    number of workers shows the same. It is on disk before anything uses it, and in every checkpoint. A run that is
    killed after a round reads the brief again if its classifier has the same weights: nothing is scored twice.

    Args:
        run (`BlendedRun`): The run, whose layout is a [`ChosenLayout`].
        policies (`Sequence[Policy]`): What decides. Without any, what is shown is drawn at random.
        scorer (`Scorer`): Asks the classifier.
        args (`TrainingArguments`): Those of the trainer.
    """

    def __init__(self, run: BlendedRun, policies: Sequence[Policy], scorer: Scorer, args: Any) -> None:
        assert isinstance(run.layout, ChosenLayout)
        self.run, self.layout, self.policies, self.scorer = run, run.layout, policies, scorer
        self.period, self.lead = run.blend.augmentation.synthetic_feedback, lead_steps(args)
        self.guiding = Guiding(run, policies, scorer, scorer.trainer.train_dataset)
        self.rank, self.folder = args.process_index, run.store.folder / "briefs"
        self.briefs: list[Brief] = []

    def settings(self) -> dict[str, Any]:
        """Returns what briefs depend on beside the classifier, JSON serialisable."""
        names = ("starts", "reuse", "shard_size", "world_size", "candidates", "lifetime")
        settings: dict[str, Any] = {name: getattr(self.layout, name) for name in names}
        policies = [policy.settings() for policy in self.policies]
        return settings | {"starts": list(self.layout.starts), "policies": policies}

    def state(self) -> dict[str, Any]:
        """Returns what a checkpoint keeps, JSON serialisable."""
        return {"settings": self.settings(), "briefs": [asdict(brief) for brief in self.briefs]}

    def start(self, saved: dict[str, Any] | None) -> None:
        """
        Training begins, or goes on with what a checkpoint kept.

        Raises:
            ValueError: If the checkpoint is of other rounds.
        """
        self.guiding.start()
        if saved is not None:
            for name, now in self.settings().items():
                if (was := saved["settings"].get(name)) != now:
                    raise ValueError(_differs(name, was, now))
            for values in saved["briefs"]:
                self._hold(Brief.from_dict(values))
        # What takes effect later is not shown yet, so that the rounds before count, too.
        last = len(self.briefs)
        rounds = range(max(1, last - math.ceil(self.lead / self.period)), last + 1)
        self.run.check_kept(*(shard for number in rounds for shard in self.layout.pool(number)[0]))
        self._look_ahead()

    def step(self, step: int) -> None:
        """An optimizer step is done: holds a round if it is time for one."""
        number, rest = divmod(step, self.period)
        if rest == 0 and number in self.layout.rounds:
            self._hold(self._decided(number, step))
            self._look_ahead()

    def figures(self) -> dict[str, float]:
        """Returns what a log says of the last round."""
        if not self.briefs:
            return {}
        last = self.briefs[-1]
        return {"synthetic_round": last.number} | {
            f"synthetic_{name}": round(v, 4) for name, v in last.figures.items()
        }

    def _hold(self, brief: Brief) -> None:
        self.briefs.append(brief)
        self.layout.chosen[brief.number] = brief.chosen[self.layout.rank]
        self.guiding.apply(brief)

    def _look_ahead(self) -> None:
        """The producer makes what the next round will choose from."""
        self.guiding.hold(len(self.briefs))
        if (following := len(self.briefs) + 1) in self.layout.rounds and (pool := self.layout.pool(following)[0]):
            self.run.begin()
            self.run.producer.expect(pool[-1])

    def _decided(self, number: int, step: int) -> Brief:
        new = self._new(number)
        key = self._key() if self.rank == 0 else ""
        known = [read_brief(self.folder, number, key) if self.rank == 0 else None]
        # All ranks go by what the first one knows.
        broadcast_object_list(known)
        if known[0] is not None:
            return known[0]
        mine = self._choose(number, step, new)
        everyone = gather_object([mine])
        brief = Brief(
            number,
            key,
            step,
            step + self.lead,
            everyone[0]["shares"],
            [part["chosen"] for part in everyone],
            [part["left"] for part in everyone],
            everyone[0]["ahead"],
            [part["seeds"] for part in everyone],
            everyone[0]["figures"],
            everyone[0]["confusions"],
        )
        if self.rank == 0:
            write_brief(self.folder, brief)
        return brief

    def _key(self) -> str:
        """Identifies what a brief is decided from."""
        facts = self.settings()
        if any(policy.needs_validation for policy in self.policies):
            facts["validation"] = self.scorer.validation_identity()
        if self.guiding.seeding is not None:
            facts["training"] = self.scorer.training_identity()
        return brief_key(self.briefs, self.scorer.weights(), json.dumps(facts, sort_keys=True))

    def _new(self, number: int) -> np.ndarray:
        """Waits for the shards that this round is the first to know; returns their slots that may be chosen."""
        slots: list[int] = []
        for shard in self.layout.pool(number)[1]:
            places = np.flatnonzero(self.run.accepted(shard))
            slots += (shard * self.layout.shard_size + places).tolist()
        if number == 1:
            walked = self.layout.walked()
            slots = [slot for slot in slots if slot not in walked]
        return np.asarray(slots, dtype=np.int64)

    def _choose(self, number: int, step: int, new: np.ndarray) -> dict[str, Any]:
        """This rank's part of a brief."""
        pipeline, rank = self.run.blend.pipeline, self.layout.rank
        asked = derive_seed(self.layout.seed, "feedback", number, rank)
        names, usual = pipeline.generator.label_names, np.asarray(pipeline.class_weights)
        look = Round(number, step, names, usual, lambda: self.scorer.of_validation(asked))
        found = [
            checked_shares(shares, policy, len(names))
            for policy in self.policies
            if (shares := policy.class_shares(look)) is not None
        ]
        # Those of the first rank: another one may round otherwise.
        shares = np.asarray(broadcast_object_list([[*found, usual][0].tolist()])[0])
        scores, entropy = self._scores(look, new, asked)
        left = self._left(number)
        slots = np.concatenate([np.array([slot for slot, _ in left], dtype=np.int64), new])
        every = None
        if scores is not None:
            every = np.concatenate([np.array([-np.inf if s is None else s for _, s in left]), scores])
        at_random = max((policy.random_share for policy in self.policies), default=0.0)
        rng = derive_rng(self.layout.seed, "choose", number, rank)
        places = choose(self._labels(slots), every, shares, self.layout.wanted(number), at_random, rng)
        kept = [None] * len(slots) if every is None else [s if np.isfinite(s) else None for s in every.tolist()]
        ahead, seeds = self.guiding.decide(look, shares if found else None, asked)
        figures = self.guiding.seeded(number, seeds)
        if found:
            figures["moved"] = float(np.abs(shares - usual).sum() / 2)
        if look.was_asked:
            probabilities, labels = look.validation
            figures["validation_accuracy"] = float((probabilities.argmax(1) == labels).mean())
        if entropy is not None and len(entropy):
            fresh = entropy[places[places >= len(left)] - len(left)]
            figures |= {"entropy": float(entropy.mean())}
            figures |= {"entropy_chosen": float(fresh.mean())} if len(fresh) else {}
        return {
            "shares": shares.tolist(),
            "chosen": slots[places].tolist(),
            "left": [(int(slots[i]), kept[i]) for i in np.setdiff1d(np.arange(len(slots)), places).tolist()],
            "ahead": ahead,
            "seeds": seeds,
            "figures": figures,
            "confusions": look.confusions,
        }

    def _scores(self, look: Round, new: np.ndarray, seed: int) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The scores of new candidates, and the classifier's entropy on them; `None` if no policy scores."""
        scoring = next((policy for policy in self.policies if type(policy).score is not Policy.score), None)
        if scoring is None:
            return None, None
        if not len(new):
            return np.empty(0), np.empty(0)
        labels = self._labels(new)
        probabilities = self.scorer.of_slots(new.tolist(), seed)
        judged = [self.run.prepared.reader.label_probabilities(slot) for slot in new.tolist()]
        agreement = np.array([np.nan if p is None else p[label] for p, label in zip(judged, labels, strict=True)])
        # Whom no filter judged is neither better nor worse than the others.
        known = agreement[~np.isnan(agreement)]
        agreement[np.isnan(agreement)] = known.mean() if len(known) else 1.0
        scores = scoring.score(look, Candidates(new, labels, probabilities, agreement))
        return checked_scores(scores, scoring, len(new)), entropy_of(probabilities)

    def _left(self, number: int) -> list[tuple[int, float | None]]:
        """The candidates of earlier rounds that this one may choose."""
        first = self.layout.pool(number)[0].start * self.layout.shard_size
        last = self.briefs[-1].left[self.layout.rank] if self.briefs else []
        return [(slot, score) for slot, score in last if slot >= first]

    def _labels(self, slots: np.ndarray) -> np.ndarray:
        """The classes that slots were asked to be."""
        shards, places = np.divmod(slots, self.layout.shard_size)
        asked = {shard: self.run.blend.pipeline.labels(shard) for shard in np.unique(shards).tolist()}
        pairs = zip(shards.tolist(), places.tolist(), strict=True)
        return np.array([asked[shard][place] for shard, place in pairs], dtype=np.int64)


def _differs(name: str, was: Any, now: Any) -> str:
    """What to say of a checkpoint of other rounds."""
    if name == "starts":
        return (
            "The checkpoint was trained with other rounds, or without any: pass the synthetic_feedback, ratio, "
            "schedule, steps, batch size and loader workers that it had, or start a new run in another output_dir."
        )
    return (
        f"The checkpoint was trained with feedback of {name}={was}, and now it is {now}: pass what it was, or start a "
        "new run in another output_dir."
    )
