"""The shards of an arm's runs, made ahead of them by any number of processes on any number of hosts."""

from __future__ import annotations

from typing import Any

from hf_augment.study.runs import make_trainer
from hf_augment.study.split import classifier_seed
from hf_augment.study.study import Study
from hf_augment.synthesis.filling import Filled


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
    of, rows = study.arms[arm], study.split(split)
    of = study.arms[of.probe] if isinstance(of.probe, str) else of
    if of.source is None:
        raise ValueError(f"arm={arm!r} generates nothing, so that there are no shards to fill: name another arm.")
    made = study.synthesis(rows, of)
    seed, classifier = classifier_seed(rows.seed, split, 0), study.classifier
    folder, model = rows.folder / f"{of.name}-0", classifier.begin(seed, rows.train)
    trainer = make_trainer(folder, classifier, model, study.training, rows.train, seed, **made)
    return trainer.fill_shards(shards, **options)
