"""The shards of an arm's runs, made ahead of them by one process, or by any number on any number of hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from hf_augment.study.arms import Arm
from hf_augment.study.runs import make_trainer
from hf_augment.study.split import classifier_seed
from hf_augment.synthesis.filling import Filled
from hf_augment.synthesis.producer import InlineProducer
from hf_augment.training.trainer import AugmentingTrainer


if TYPE_CHECKING:
    from hf_augment.study.study import Study


def can_be_made_ahead(study: Study, arm: Arm) -> bool:
    """
    Whether all runs of an arm on a split show the same examples, and each run all of them, so that they can be made
    before: not where a classifier chooses, a guard may end it, or shards are dropped when they were shown. A mixture
    would wait for the generators that it is made of.
    """
    if arm.source is None or arm.source.real or arm.policies is not None or arm.guarded:
        return False
    return len(arm.source.leaves()) == 1 and study.training.synthetic_keep == "all"


def make_shards(study: Study, split: int, arm: str) -> None:
    """
    Makes all shards that the runs of an arm on a split show, in their order, if they have not been made. Runs that
    need them can then be trained beside each other.
    """
    of, rows = study.arms[arm], study.split(split)

    def work(_: Path) -> dict[str, Any]:
        blend = _trainer(study, split, of).blend
        assert blend is not None
        needed = blend.layout.all_shards(blend.plan.total_draws)
        producer = InlineProducer(blend.pipeline, blend.shards, needed)
        for shard in tqdm(needed):
            producer.wait_for(shard)
        # Those, too, that were made before an interruption.
        return {"seconds": sum(blend.shards.account(shard).seconds for shard in needed)}

    rows.stage(_made(arm), study.arm_identity(of), work)


def with_made(study: Study, split: int, arm: str, seed: int, result: dict[str, Any]) -> dict[str, Any]:
    """
    Returns the result of a run; of the first one of an arm whose examples were made ahead, with the time that this
    took, which it would have waited for otherwise.
    """
    made = None if seed else study.stages.result(f"{study.split(split).folder.name}/{_made(arm)}")
    if made is None:
        return result
    seconds = result["seconds"] + made["seconds"]
    return result | {"seconds": seconds, "wait": (result["wait"] * result["seconds"] + made["seconds"]) / seconds}


def _made(arm: str) -> str:
    return f"{arm}-made"


def fill_arm(study: Study, split: int, arm: str, shards: range | None = None, **options: Any) -> Filled:
    """
    Makes shards that the runs of an arm on a split show, which all seeds share, and trains no classifier but the
    judges of its filters. A generator that learns the rows is trained by the process that comes first; the others
    wait.

    Args:
        study ([`Study`]): In a folder that all hosts share.
        split (`int`): Number of the split.
        arm (`str`): Name of the arm; of a probe of generated examples, that of the arm that these are of.
        shards (`range`, *optional*, defaults to all that a run needs): Numbers of shards.
        options (`Any`): Further arguments of [`~AugmentingTrainer.fill_shards`].

    Returns:
        [`Filled`]: Who made them.

    Raises:
        ValueError: If the arm generates nothing; as [`~AugmentingTrainer.fill_shards`].
    """
    of = study.arms[arm]
    of = study.arms[of.probe] if isinstance(of.probe, str) else of
    if of.source is None:
        raise ValueError(f"arm={arm!r} generates nothing, so that there are no shards to fill: name another arm.")
    return _trainer(study, split, of).fill_shards(shards, **options)


def _trainer(study: Study, split: int, arm: Arm) -> AugmentingTrainer:
    """The trainer of the first run of an arm."""
    rows, classifier = study.split(split), study.classifier
    made = study.synthesis(rows, arm)
    seed = classifier_seed(rows.seed, split, 0)
    folder, model = rows.folder / f"{arm.name}-0", classifier.begin(seed, rows.train)
    return make_trainer(folder, classifier, model, study.training, rows.train, seed, **made)
