"""The jobs of a study, in the order in which they are begun: its runs, and before them what several of them need."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from hf_augment.study.filling import can_be_made_ahead, make_shards


if TYPE_CHECKING:
    from hf_augment.study.study import Study


#: Split, arm and seed of a run; without a seed, what makes the examples of all runs with its generator on this split.
Job = tuple[int, str, int | None]


def runs_of(study: Study, go_on: Callable[[int], bool] | None) -> Iterator[Job]:
    """
    Yields all arms of a seed before those of the next: two processes seldom want the same generator at once. Probes of
    what an arm was shown come last, since they would wait for it. Where `go_on` ends them, `study.seeds` becomes the
    number of seeds that there are.
    """
    fed = [name for name, arm in study.arms.items() if isinstance(arm.probe, str)]
    for seed in range(study.seeds):
        if seed and go_on is not None and not go_on(seed):
            study.seeds = seed
            break
        for arm in (arm for arm in study.arms if arm not in fed):
            yield from ((split, arm, seed) for split in range(study.splits))
    yield from ((split, arm, seed) for seed in range(study.seeds) for arm in fed for split in range(study.splits))


def made_ahead(study: Study) -> list[Job]:
    """Returns what makes examples before all runs, so that these need not wait for each other: once a generator."""
    found: dict[Hashable, Job] = {}
    for split in range(study.splits):
        for name, arm in study.arms.items():
            if can_be_made_ahead(study, arm):
                found.setdefault(makes(study, (split, name, None)), (split, name, None))
    return list(found.values())


def makes(study: Study, job: Job) -> Hashable:
    """The generator and the examples of a run, which those of other arms and seeds share; `None` if it makes none."""
    split, name, _ = job
    source = study.arms[name].source
    return None if source is None or source.real else (None if source.shared else split, source.name)


def worker_of(rebuild: Callable[[], Study]) -> Callable[..., Any]:
    """Returns what does a job in another process."""
    return partial(_do, rebuild())


def _do(study: Study, split: int, arm: str, seed: int | None) -> None:
    """Does a run; or makes all that arms with one generator show, such as an arm and the same without filters."""
    if seed is not None:
        study.train(split, arm, seed)
        return
    for name, other in study.arms.items():
        if can_be_made_ahead(study, other) and makes(study, (split, name, None)) == makes(study, (split, arm, None)):
            make_shards(study, split, name)
