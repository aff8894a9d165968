"""What a report is made of: what was run, and what was found in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from hf_augment.evaluation.comparison import ArmRun, Difference, compare_all
from hf_augment.evaluation.robustness import TableRows
from hf_augment.reporting.cards.facts import perturbed
from hf_augment.reporting.samples import Nearest, Sample, choose_samples
from hf_augment.synthesis.shards import ShardStore, acceptance


@dataclass
class ReportFacts:
    """
    All that a report is made of.

    Args:
        title (`str`):
            What was run.
        settings (`dict[str, Any]`):
            What the figures depend on.
        runs (`list[ArmRun]`):
            All arms, the baselines first.
        reference (`str`):
            The arm that the others are compared with.
        test (`str`):
            The evaluation set of the verdict; the others are hold-outs.
        stores (`dict[str, ShardStore]`):
            The synthetic examples by arm.
        notes (`list[str]`, *optional*):
            Sentences that belong beside the table.
        tables (`list[TableRows]`, *optional*):
            Further tables: title, header, rows.
        pictures (`dict[str, str]`, *optional*):
            Further pictures that lie in the report's folder: file names and what they show.
        command (`str`, *optional*):
            What was typed to get the figures.
        versions (`dict[str, str]`, *optional*):
            Of Python and the libraries.
        data (`dict[str, Any]`, *optional*):
            `name`, `note`, `label_names`, `train_rows` (labelled rows of a run), `evaluations` (rows by name) and
            `perturbed_rows` (how many of the test set were perturbed).
        models (`dict[str, str]`, *optional*):
            `classifier`, and each generator by its arm: names a reader can look up.
        memorization (`dict[str, dict[str, float]]`, *optional*):
            By arm, how near synthetic examples come to the labelled rows: what it says is shown as it is.
        nearest (`dict[str, Callable]`, *optional*):
            By arm, a function from a list of raw examples to the nearest labelled row of each: a list of
            `(text, similarity in [0, 1])`. Arrays of rejected examples are not kept, so it is not asked about those.
    """

    title: str
    settings: dict[str, Any]
    runs: list[ArmRun]
    reference: str
    test: str
    stores: dict[str, ShardStore]
    notes: list[str] = field(default_factory=list)
    tables: list[TableRows] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    memorization: dict[str, dict[str, float]] = field(default_factory=dict)
    nearest: dict[str, Nearest] = field(default_factory=dict)

    @property
    def evaluations(self) -> list[str]:
        """The evaluation sets, the test set first."""
        return [self.test, *(name for name in self.runs[0].metrics if name != self.test)]

    @property
    def arms(self) -> list[str]:
        """The arms, in order of appearance."""
        return list(dict.fromkeys(run.arm for run in self.runs))

    def of_arm(self, arm: str) -> list[ArmRun]:
        """The runs of an arm."""
        return [run for run in self.runs if run.arm == arm]

    def mean(self, arm: str, value: Callable[[ArmRun], float]) -> float:
        """A figure's mean over the runs of an arm."""
        return float(np.mean([value(run) for run in self.of_arm(arm)]))

    def robustness(self, evaluation: str) -> dict[str, dict[str, list[float]]]:
        """By perturbation, then by arm: accuracy at severity 1, 2, …, the mean over runs; of the arms that have it."""
        found: dict[str, dict[str, list[float]]] = {}
        for arm in self.arms:
            measured = [run.robustness[evaluation] for run in self.of_arm(arm) if evaluation in run.robustness]
            for name in measured[0] if measured else ():
                found.setdefault(name, {})[arm] = np.mean([m[name] for m in measured], axis=0).tolist()
        return found

    def classes(self, evaluation: str, figure: str) -> dict[str, dict[str, float]]:
        """By class, then by arm: `precision`, `recall`, `f1` or `support`, the mean over runs."""
        found: dict[str, dict[str, float]] = {}
        for arm in self.arms:
            measured = [run.classes[evaluation] for run in self.of_arm(arm) if evaluation in run.classes]
            for name in dict.fromkeys(name for by_name in measured for name in by_name):
                figures = [by_name[name][figure] for by_name in measured if name in by_name]
                found.setdefault(name, {})[arm] = float(np.mean(figures))
        return found


@dataclass
class Findings:
    """
    What was found in the facts; see [`find`].

    Args:
        facts ([`ReportFacts`]):
            What was run.
        differences (`list[Difference]`):
            Every arm against the reference, on every evaluation set, the test set first, then on perturbed rows.
        acceptance (`dict[str, dict[str, float]]`):
            By arm, what [`~hf_augment.synthesis.acceptance`] says.
        generating (`dict[str, float]`):
            By arm, seconds that its synthetic examples took.
        samples (`dict[str, list[Sample]]`):
            By arm, some of its synthetic examples.
    """

    facts: ReportFacts
    differences: list[Difference]
    acceptance: dict[str, dict[str, float]]
    generating: dict[str, float]
    samples: dict[str, list[Sample]]

    def on(self, evaluation: str) -> list[Difference]:
        """The differences on an evaluation set."""
        return [d for d in self.differences if d.evaluation == evaluation]

    def results(self) -> dict[str, Any]:
        """What `results.json` holds: figures and words, no arrays, and no labelled row or test row."""
        facts = self.facts
        apart = ("correct", "perturbed", "curve")
        return {
            "title": facts.title,
            "command": facts.command,
            "versions": facts.versions,
            "settings": facts.settings,
            "data": facts.data,
            "models": facts.models,
            "reference": facts.reference,
            "test": facts.test,
            "runs": [{key: value for key, value in asdict(run).items() if key not in apart} for run in facts.runs],
            "differences": [_difference(d) for d in self.differences],
            "acceptance": self.acceptance,
            "samples": {
                arm: [sample.words() for sample in samples if not sample.repeats_a_row]
                for arm, samples in self.samples.items()
            },
            "memorization": facts.memorization,
            "wait": {arm: facts.mean(arm, lambda run: run.wait) for arm in facts.arms},
            "notes": facts.notes,
            "tables": facts.tables,
            "pictures": facts.pictures,
        }


def find(facts: ReportFacts) -> Findings:
    """
    Compares the arms and reads their synthetic examples.

    Args:
        facts ([`ReportFacts`]):
            What was run.

    Returns:
        [`Findings`]: What a report says.
    """
    accounts = {arm: list(store.accounts()) for arm, store in facts.stores.items()}
    return Findings(
        facts,
        list(_compared(facts)),
        {arm: acceptance(shards) for arm, shards in accounts.items()},
        {arm: sum(shard.seconds for shard in shards) for arm, shards in accounts.items()},
        {arm: choose_samples(store, facts.nearest.get(arm)) for arm, store in facts.stores.items()},
    )


def _compared(facts: ReportFacts) -> Iterator[Difference]:
    """On every evaluation set, then on the perturbed rows of those where every run has them."""
    for name in facts.evaluations:
        yield from compare_all(facts.runs, facts.reference, name)
    for name in facts.evaluations:
        if all(run.perturbed.get(name) for run in facts.runs):
            runs = [replace(run, correct={perturbed(name): run.perturbed[name]}) for run in facts.runs]
            yield from compare_all(runs, facts.reference, perturbed(name))


def _difference(difference: Difference) -> dict[str, Any]:
    apart = ("family", "discordant", "d_z", "bootstrap")
    figures = {name: value for name, value in asdict(difference).items() if name not in apart}
    return figures | {"verdict": difference.verdict, "sentence": difference.describe()}
