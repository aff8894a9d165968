"""The typed result of a comparison: made from its runs, kept in `results.json`, read by everything that shows it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from hf_augment.evaluation.comparison import ArmRun, Difference, best_of, compare_all
from hf_augment.evaluation.robustness import TableRows
from hf_augment.files import parse_json, write_atomically
from hf_augment.reporting.samples import Nearest, Sample, choose_samples
from hf_augment.synthesis.shards import ShardStore, acceptance


Record = TypeVar("Record")

#: What `models` names for an arm whose further rows are real ones: the ceiling of what a generator could bring.
REAL_ROWS = "real rows"
#: With what it begins for an arm whose further rows are real ones that a judge has labelled.
UNLABELLED_ROWS = "rows without labels"


@dataclass(frozen=True)
class Data:
    """
    The data of a comparison.

    Args:
        name (`str`, *optional*): Name that a reader can look up, such as a Hub id.
        kind (`str`, *optional*, defaults to `"text"`): `"text"` or `"image"`.
        label_names (`list[str]`, *optional*): Names of the classes.
        train_rows (`int`, *optional*, defaults to 0): Number of labelled rows of a run.
        evaluations (`dict[str, int]`, *optional*): Number of rows of each evaluation set, by its name.
        perturbed_rows (`int`, *optional*, defaults to 0): Number of rows of the test set that were perturbed.
        note (`str`, *optional*): Sentence that a reader must know.
        pairs (`bool`, *optional*, defaults to `False`): Whether a text is a pair of texts.
        several (`bool`, *optional*, defaults to `False`): Whether a row may have several labels, or none.
        max_length (`int`, *optional*): Number of tokens that the classifiers read of a text.
    """

    name: str = ""
    kind: str = "text"
    label_names: list[str] = field(default_factory=list)
    train_rows: int = 0
    evaluations: dict[str, int] = field(default_factory=dict)
    perturbed_rows: int = 0
    note: str | None = None
    pairs: bool = False
    several: bool = False
    max_length: int | None = None


@dataclass(frozen=True)
class Results:
    """
    The result of a comparison, with everything that a report or a card says. [`Results.of_runs`] makes one,
    [`Results.load`] reads one.

    Args:
        title (`str`): Name of what was run.
        runs (`list[ArmRun]`): Runs of all arms, the baselines first.
        reference (`str`): Arm that the others are compared with.
        test (`str`): Evaluation set of the verdict; the others are hold-outs.
        data ([`Data`], *optional*): The rows.
        models (`dict[str, str]`, *optional*): `classifier`, and each generator by its arm: names that one can look up.
        differences (`list[Difference]`, *optional*):
            Every arm against the reference, on every evaluation set, the test set first, then on perturbed rows; but
            for arms that had more steps on purpose.
        acceptance (`dict[str, dict[str, float]]`, *optional*):
            Shares of candidates that the filters accepted, by arm; see [`~hf_augment.synthesis.shards.acceptance`].
        generating (`dict[str, float]`, *optional*):
            Seconds that the synthetic examples took, by arm; a probe has those of its arm.
        samples (`dict[str, list[Sample]]`, *optional*): Some synthetic examples of each arm.
        memorization (`dict[str, dict[str, float]]`, *optional*):
            Similarity of synthetic examples to the labelled rows, by arm, then by a measure's name.
        beside_probe (`list[Difference]`, *optional*):
            Every other arm against [`Results.probe`] on the test set, if there is one.
        zero_shot (`dict[str, float]`, *optional*):
            Accuracy of a generator's own model as a classifier of test rows, by words on how it was measured, and on
            how many.
        judge_accuracy (`float`, *optional*):
            Accuracy of the classifiers that judge labels on labelled rows that each has not seen.
        not_tried (`dict[str, str]`, *optional*): Arms that were left out, each with the reason, as a clause.
        usual_steps (`int`, *optional*): Steps of a run by the rules, where there was time for fewer only.
        notes (`list[str]`, *optional*): Sentences that belong beside the tables.
        tables (`list[TableRows]`, *optional*): Further tables: title, header, rows.
        pictures (`dict[str, str]`, *optional*): Further pictures in the report's folder: file names, what they show.
        command (`str`, *optional*): Command line that gives the figures.
        versions (`dict[str, str]`, *optional*): Versions of Python and the libraries.
        settings (`dict[str, Any]`, *optional*): Settings that the figures depend on.
    """

    title: str
    runs: list[ArmRun]
    reference: str
    test: str
    data: Data = field(default_factory=Data)
    models: dict[str, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    acceptance: dict[str, dict[str, float]] = field(default_factory=dict)
    generating: dict[str, float] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    memorization: dict[str, dict[str, float]] = field(default_factory=dict)
    beside_probe: list[Difference] = field(default_factory=list)
    zero_shot: dict[str, float] = field(default_factory=dict)
    judge_accuracy: float | None = None
    not_tried: dict[str, str] = field(default_factory=dict)
    usual_steps: int | None = None
    notes: list[str] = field(default_factory=list)
    tables: list[TableRows] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_runs(
        cls,
        title: str,
        runs: Sequence[ArmRun],
        reference: str,
        test: str,
        stores: Mapping[str, ShardStore] | None = None,
        nearest: Mapping[str, Nearest] | None = None,
        uncompared: Collection[str] = (),
        **described: Any,
    ) -> Results:
        """
        Compares the arms and reads their synthetic examples, which lie in `stores` by arm. The functions in `nearest`,
        by arm, take a list of raw examples and return the nearest labelled row of each, a list of `(text, similarity
        in [0, 1])`; they are not asked about rejected arrays. The arms in `uncompared`, such as those with more
        steps, get no verdict. All else are attributes of [`Results`].

        Raises:
            ValueError: If the arms cannot be compared.
        """
        stores, nearest = stores or {}, nearest or {}
        compared = [run for run in runs if run.arm not in uncompared]
        found = cls(title, list(runs), reference, test, differences=_compared(compared, reference, test))
        accounts = {arm: list(store.accounts()) for arm, store in stores.items()}
        return replace(
            found,
            beside_probe=compare_all(compared, found.probe, test) if found.probe else [],
            acceptance={arm: acceptance(shards) for arm, shards in accounts.items()},
            generating={arm: sum(shard.seconds for shard in shards) for arm, shards in accounts.items()},
            samples={arm: choose_samples(store, nearest.get(arm)) for arm, store in stores.items()},
            **described,
        )

    @property
    def evaluations(self) -> list[str]:
        """Evaluation sets, the test set first."""
        names = dict.fromkeys(name for run in self.runs for name in run.metrics)
        return [self.test, *(name for name in names if name != self.test)]

    @property
    def arms(self) -> list[str]:
        """Arms in order of appearance."""
        return list(dict.fromkeys(run.arm for run in self.runs))

    @property
    def probe(self) -> str | None:
        """The most accurate linear classifier on frozen features that was shown real rows alone."""
        probes = [arm for arm in self._untrained if all(run.shown is None for run in self.of_arm(arm))]
        return max(probes, key=self.accuracy, default=None)

    @property
    def tried(self) -> list[str]:
        """
        The arms that are to help: those behind the reference that are compared with it, but for the ceiling of real
        rows, and for probes, which are to help a probe: what these have beside a trained classifier is not what a
        generator brings.
        """
        behind = self.arms[self.arms.index(self.reference) + 1 :]
        compared = {difference.arm for difference in self.on(self.test)} - {*self._untrained}
        return [arm for arm in behind if self.models.get(arm) != REAL_ROWS and arm in compared]

    @property
    def fed_probes(self) -> list[str]:
        """Probes that were shown synthetic rows, too."""
        fed = [arm for arm in self._untrained if all(run.shown is not None for run in self.of_arm(arm))]
        return [arm for arm in fed if self.models.get(arm) != REAL_ROWS]

    @property
    def _untrained(self) -> list[str]:
        return [arm for arm in self.arms if not any(run.steps for run in self.of_arm(arm))]

    def accuracy(self, arm: str) -> float:
        """Mean accuracy of an arm on the test set."""
        return self.mean(arm, lambda run: run.metrics[self.test]["accuracy"])

    def support(self) -> dict[str, int]:
        """Number of test rows of each class; empty where it is not known."""
        return {name: round(max(of.values())) for name, of in self.classes(self.test, "support").items()}

    def majority(self) -> tuple[str, float]:
        """
        The most frequent class of the test rows and its share of them; `("", 0.0)` where it is not known, or a row may
        have several labels.
        """
        support = self.support()
        rows = self.data.evaluations.get(self.test, sum(support.values()))
        several = any("exact_match" in run.metrics[self.test] for run in self.runs)
        if several or not rows or rows != sum(support.values()):
            return "", 0.0
        name = max(support, key=lambda label: support[label])
        return name, support[name] / rows

    def class_name(self, label: int) -> str:
        """The name of a class by its number; the number where names are not known."""
        names = self.data.label_names
        return names[label] if label < len(names) else str(label)

    def of_arm(self, arm: str) -> list[ArmRun]:
        """Runs of an arm."""
        return [run for run in self.runs if run.arm == arm]

    def distinct(self, arm: str) -> list[ArmRun]:
        """Runs of an arm that are no copies: where it is not trained, all seeds of a split are one."""
        runs = sorted(self.of_arm(arm), key=lambda run: (run.split, run.seed))
        if any(run.steps for run in runs):
            return runs
        return list({run.split: run for run in reversed(runs)}.values())[::-1]

    def mean(self, arm: str, value: Callable[[ArmRun], float]) -> float:
        """Mean of a figure over the runs of an arm."""
        return float(np.mean([value(run) for run in self.of_arm(arm)]))

    def metric(self, arm: str, evaluation: str, name: str) -> list[float]:
        """A metric of each distinct run of an arm; empty unless all runs have it and it is finite."""
        values = [run.metrics.get(evaluation, {}).get(name, math.nan) for run in self.distinct(arm)]
        return values if all(map(math.isfinite, values)) else []

    def robustness(self, evaluation: str) -> dict[str, dict[str, list[float]]]:
        """Mean accuracy over runs at severity 1, 2, …, by perturbation, then by arm; of the arms that have it."""
        found: dict[str, dict[str, list[float]]] = {}
        for arm in self.arms:
            measured = [run.robustness[evaluation] for run in self.of_arm(arm) if evaluation in run.robustness]
            for name in measured[0] if measured else ():
                found.setdefault(name, {})[arm] = np.mean([m[name] for m in measured], axis=0).tolist()
        return found

    def classes(self, evaluation: str, figure: str) -> dict[str, dict[str, float]]:
        """Mean `precision`, `recall`, `f1` or `support` over runs, by class, then by arm."""
        found: dict[str, dict[str, float]] = {}
        for arm in self.arms:
            measured = [run.classes[evaluation] for run in self.of_arm(arm) if evaluation in run.classes]
            for name in dict.fromkeys(name for by_name in measured for name in by_name):
                figures = [by_name[name][figure] for by_name in measured if name in by_name]
                found.setdefault(name, {})[arm] = float(np.mean(figures))
        return found

    def class_shares(self, arm: str) -> dict[int, list[float]]:
        """
        Mean shares over runs of the classes among what was chosen, by the step of a round; empty where they are the
        same in all rounds.
        """
        runs = [{r["step"]: r["class_shares"] for r in run.rounds} for run in self.of_arm(arm)]
        steps = sorted(set.intersection(*map(set, runs))) if runs else []
        means = {step: np.mean([run[step] for run in runs], axis=0) for step in steps}
        return {s: m.tolist() for s, m in means.items()} if len(np.unique(list(means.values()), axis=0)) > 1 else {}

    def confusions(self, arm: str) -> dict[tuple[int, int], tuple[float, float]]:
        """
        Mean number over runs of validation rows that were taken for another class, in the first and in the last round,
        by their class and what it was taken for.
        """
        runs = [run.rounds for run in self.of_arm(arm) if run.rounds]
        found: dict[tuple[int, int], list[float]] = {}
        for rounds in runs:
            for place in (0, -1):
                for label, taken, rows in rounds[place]["confusions"]:
                    found.setdefault((label, taken), [0.0, 0.0])[place] += rows / len(runs)
        return {pair: (first, last) for pair, (first, last) in found.items()}

    def on(self, evaluation: str, arms: Sequence[str] | None = None) -> list[Difference]:
        """Differences on an evaluation set, of all arms or of some."""
        return [d for d in self.differences if d.evaluation == evaluation and (arms is None or d.arm in arms)]

    def generator(self, arm: str) -> str | None:
        """Name of what generates for the arm, or `None` if nothing does."""
        return self.models.get(arm) if arm != "classifier" else None

    def is_generated(self, arm: str) -> bool:
        """Whether a generator made further rows of the arm: not where all of them are real ones."""
        parts = (self.generator(arm) or REAL_ROWS).split(" and ")
        return not all(part == REAL_ROWS or part.startswith(UNLABELLED_ROWS) for part in parts)

    def best_arm(self, among: Sequence[str] | None = None) -> str:
        """The most accurate of the arms that help, or the reference if none does; a probe if it is more accurate."""
        found, probe = best_of(self.on(self.test, among)), self.probe
        best = found.arm if found is not None and found.verdict == "helps" else self.reference
        better = probe and probe in (among or self.arms) and self.accuracy(probe) > self.accuracy(best)
        return probe if probe and better else best

    def to_dict(self) -> dict[str, Any]:
        """
        The content of `results.json`: figures and words that more people may read than the labelled rows. It has no
        image, no labelled or test row, no sample that repeats one, and nothing that is kept for each row.
        """
        words = {arm: [s.words() for s in samples if not s.repeats_a_row] for arm, samples in self.samples.items()}
        content = asdict(replace(self, samples={}))
        for run in content["runs"]:
            del run["correct"], run["perturbed"]
        for name in ("differences", "beside_probe"):
            for record, difference in zip(content[name], getattr(self, name), strict=True):
                # For readers of the file: both follow from the figures.
                record |= {"verdict": difference.verdict, "sentence": difference.describe()}
        return content | {"samples": words}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Results:
        """
        Reads what [`Results.to_dict`] gives.

        Raises:
            ValueError: If something is missing that has no default.
        """
        read: dict[str, Any] = {"data": {}, "differences": [], "beside_probe": [], "tables": [], "samples": {}}
        read |= {key: value for key, value in content.items() if value is not None}
        read["data"] = _read(Data, read["data"], "`data`")
        read["runs"] = [_read(ArmRun, run, "an entry of `runs`") for run in read.get("runs", ())]
        if "runs" in content and not read["runs"]:
            raise ValueError("`runs` is empty: it is no results.json of a comparison.")
        for name in ("differences", "beside_probe"):
            # JSON has lists where these have tuples.
            found = [{k: tuple(v) if isinstance(v, list) else v for k, v in d.items()} for d in read[name]]
            read[name] = [_read(Difference, d, f"an entry of `{name}`") for d in found]
        read["tables"] = [(title, tuple(header), list(map(tuple, rows))) for title, header, rows in read["tables"]]
        samples = read["samples"].items()
        read["samples"] = {arm: [_read(Sample, s, "an entry of `samples`") for s in found] for arm, found in samples}
        return _read(cls, read, "the file")

    def save(self, path: Path) -> None:
        """Writes [`Results.to_dict`] as JSON."""
        write_atomically(path, json.dumps(self.to_dict(), indent=1, default=str).encode())

    @classmethod
    def load(cls, path: str | Path) -> Results:
        """
        Reads a `results.json`.

        Example:

        ```python
        from hf_augment import Results

        for difference in Results.load("runs/imdb/report/results.json").on("test"):
            print(difference.describe())
        ```

        Raises:
            ValueError: If the file is missing or damaged.
        """
        remedy = "Report the run again, or take the file from where it was made"
        content = parse_json(Path(path), remedy)
        try:
            return cls.from_dict(content)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: it is no results.json ({error}). {remedy}.") from error


def perturbed(evaluation: str) -> str:
    """Name of the perturbed rows of an evaluation set, where arms are compared on them."""
    return f"{evaluation}, perturbed"


def _compared(runs: Sequence[ArmRun], reference: str, test: str) -> list[Difference]:
    """Compares on every evaluation set, then on the perturbed rows of those where every run has them."""
    evaluations = [test, *(name for name in runs[0].metrics if name != test)]
    found = [difference for name in evaluations for difference in compare_all(runs, reference, name)]
    for name in evaluations:
        if all(run.perturbed.get(name) for run in runs):
            of_rows = [replace(run, correct={perturbed(name): run.perturbed[name]}) for run in runs]
            found += compare_all(of_rows, reference, perturbed(name))
    return found


def _read(kind: type[Record], values: Mapping[str, Any], where: str) -> Record:
    known: Any = fields(kind)  # type: ignore[arg-type]
    for f in known:
        if f.default is MISSING and f.default_factory is MISSING and f.name not in values:
            raise ValueError(f"{where} has no `{f.name}`: it is no results.json of this version of hf_augment.")
    return kind(**{f.name: values[f.name] for f in known if f.name in values})
