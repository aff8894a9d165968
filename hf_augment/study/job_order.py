"""The jobs of a study, in the order in which they are begun: its runs, and before them what several of them need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from hf_augment.progress import say
from hf_augment.sentences import counted
from hf_augment.study.filling import can_be_made_ahead, make_shards


if TYPE_CHECKING:
    from hf_augment.study.study import Study


#: Split, arm and seed of a run; without a seed, what makes the examples of all runs with its generator on this split.
Job = tuple[int, str, int | None]


def runs_of(study: Study) -> Iterator[Job]:
    """
    Yields all arms of a seed before those of the next: two processes seldom want the same generator at once. Probes of
    what an arm was shown come last, since they would wait for it.
    """
    fed = [name for name, arm in study.arms.items() if isinstance(arm.probe, str)]
    for arms in ([name for name in study.arms if name not in fed], fed):
        yield from ((split, arm, seed) for seed in range(study.seeds) for arm in arms for split in range(study.splits))


class Rounds:
    """
    Decides whether a run is begun. The first one that is not ends the rounds: `study.seeds` becomes its seed, and what
    was begun of that one does not count.

    Args:
        study ([`Study`]): The study.
        go_on (`Callable[[int, float, float], bool]`, *optional*): See [`Study.run`].
    """

    def __init__(self, study: Study, go_on: Callable[[int, float, float], bool] | None) -> None:
        self.study, self.go_on, self.begun, self._ended = study, go_on, Counter[int](), 0
        self._trained = study.splits * sum(not arm.probe for arm in study.arms.values())

    def wanted(self, job: Job) -> bool:
        """Whether a job is to be begun now; asked once of each, when nothing keeps it waiting any more."""
        study, (_, arm, seed) = self.study, job
        if not seed or seed >= study.seeds:
            return not seed
        # A probe takes next to no time.
        if self.go_on is None or study.arms[arm].probe:
            return True
        if not self.go_on(seed, 1 - self.begun[seed] / self._trained, self._ended / self._trained):
            study.seeds = seed
            say(f"No further round is begun: {counted(seed, 'run')} of each arm on each draw.")
            return False
        self.begun[seed] += 1
        return True

    def ended(self, arm: str) -> None:
        """Says that a run of an arm has ended."""
        self._ended += not self.study.arms[arm].probe


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
