"""The comparison of a classifier trained with and without generators."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from hf_augment.blending.schedule import BlendPlan
from hf_augment.evaluation.comparison import ArmRun, Difference, compare_all
from hf_augment.filters.pairs import PairOfTexts
from hf_augment.progress import say
from hf_augment.reporting.results import Results
from hf_augment.seeding import derive_seed
from hf_augment.sentences import counted
from hf_augment.study import identity
from hf_augment.study.arms import BASELINES, Arm, Source, sources_of
from hf_augment.study.checks import check_arm, check_kind, check_publication
from hf_augment.study.classifiers import Classifier
from hf_augment.study.filling import with_made
from hf_augment.study.job_order import Job, Rounds, made_ahead, makes, runs_of, worker_of
from hf_augment.study.jobs import run_jobs
from hf_augment.study.labelled import LabelledData
from hf_augment.study.publication import write
from hf_augment.study.runs import as_run
from hf_augment.study.split import REFERENCE, Basis, Split
from hf_augment.synthesis.pipeline import SynthesisPipeline
from hf_augment.synthesis.shards import ShardStore
from hf_augment.training.arguments import AugmentingTrainingArguments
from hf_augment.training.checks import check_filters
from hf_augment.training.guard import AugmentationGuard


#: Runs of each arm that are wanted at least. Fewer pairs leave an interval too wide to be of use: Student's t is 12.7
#: for two and 4.3 for three.
LEAST_PAIRS = 3
#: What asking about a row costs of training on it: a backward pass takes twice as long as a forward one (Kaplan et al.
#: 2020, arXiv 2001.08361, section 2.1).
ASKING = 1 / 3


class Study(Basis):
    """
    Does a generator help a classifier? Trains it with and without, on the same rows, with the same seeds and for the
    same number of steps, and tells what made a difference. What is done is kept in `training.output_dir` and not done
    again; a run that was interrupted goes on from its last checkpoint. Every stage is recognised by what it depends
    on: if that has changed, it is refused with words.

    Example:

    ```python
    from hf_augment import Arm, AugmentingTrainingArguments, CausalLMGenerator, LabelledData, NearDuplicates, Study
    from hf_augment import TextClassifier, load_texts, split_by_label

    train, test = split_by_label(load_texts("reviews.csv", text_column="text", label_column="label"), 0.2, seed=0)
    data = LabelledData(train, {"test": test})
    generator = CausalLMGenerator.from_pretrained("my-generator")
    study = Study(
        data,
        TextClassifier("google-bert/bert-base-uncased", data.label_names, max_length=128),
        AugmentingTrainingArguments("runs/reviews", num_train_epochs=3, save_strategy="no"),
        [Arm("generated", generator, filters=[NearDuplicates()])],
    )
    study.run()
    for difference in study.differences():
        print(difference.describe())
    study.report()
    ```

    Args:
        data ([`LabelledData`]): Labelled rows with a column `text` or `image`.
        classifier ([`Classifier`]): Kind of classifier, such as a [`TextClassifier`].
        training ([`AugmentingTrainingArguments`]): Arguments of its trainer; `output_dir` is the folder of the study.
        arms (`Sequence[Arm]`):
            Arms to compare, beside `baseline`, the stock Trainer, and `baseline_same_steps`, the stock Trainer with as
            many optimizer steps as the arms with a generator.
        train_per_class (`int`, *optional*, defaults to all rows, which are one split):
            Number of labelled rows of each class in a split; where rows have several labels, of each label.
        splits (`int`, *optional*, defaults to 1): Number of draws of the labelled rows.
        seeds (`int`, *optional*, defaults to 3):
            Number of classifiers of each arm on each split. One split with one seed gives no verdict.
        curve_rows (`int`, *optional*, defaults to 100):
            Number of rows of `data.train` that are not labelled, on which `eval_strategy` watches trainings.
        robustness_rows (`int`, *optional*, defaults to 0):
            Number of test rows that are perturbed, in every way at five severities.

    Raises:
        ValueError: At construction, for what cannot work: with the argument, its value and the remedy.
        OSError: If a model is not there.
    """

    def __init__(
        self,
        data: LabelledData,
        classifier: Classifier,
        training: AugmentingTrainingArguments,
        arms: Sequence[Arm],
        *,
        train_per_class: int | None = None,
        splits: int = 1,
        seeds: int = 3,
        curve_rows: int = 100,
        robustness_rows: int = 0,
    ) -> None:
        # Before anything else asks how many processes there are: the device decides how they talk.
        launched, found = int(os.environ.get("WORLD_SIZE", "1")), training.world_size
        if launched != found:
            raise ValueError(f"{launched} processes were started, but {found} can talk: pass --use_cpu without a GPU.")
        for name, value, kind in (("data", data, LabelledData), ("training", training, AugmentingTrainingArguments)):
            if not isinstance(value, kind):
                raise ValueError(f"{name}={type(value).__name__} must be {kind.__name__}.")
        if wrong := [arm for arm in arms if not isinstance(arm, Arm)]:
            raise ValueError(f"arms holds {wrong[0]!r}, which is no Arm: pass Arm(name, generator, filters=[...]).")
        super().__init__(data, classifier, training, train_per_class, curve_rows, robustness_rows)
        self.arms = {arm.name: arm for arm in (*BASELINES, *arms)}
        if len(self.arms) < len(arms) + len(BASELINES):
            raise ValueError(f"arms={[arm.name for arm in arms]} has a name twice, or that of a baseline: rename it.")
        self.splits, self.seeds = splits, seeds
        self._check()

    def sources(self) -> list[Source]:
        """Returns the sources of all arms, each once, with those that mixtures are made of."""
        return sources_of(self.arms.values())

    def is_real(self, arm: str) -> bool:
        """Whether an arm's examples are real rows."""
        source = self.arms[arm].source
        return source is not None and source.real

    def arm_identity(self, arm: Arm) -> dict[str, str]:
        """The runs of an arm."""
        found = self.run_identity | arm.training_identity()
        if arm.probe:
            fed = self.arm_identity(self.arms[arm.probe]) if isinstance(arm.probe, str) else {}
            return found | fed | {"probe": str(arm.probe)}
        if arm.source is None:
            return found | ({"max_steps": str(self.augmented_steps())} if arm.same_steps else {})
        synthesis = identity.arguments(self.training, identity.SYNTHESIS)
        chosen = arm.policies_identity(self.training)
        reuse = {} if arm.source.reuse is None else {"reuse": str(arm.source.reuse)}
        synthesis["synthetic_weighting"] = arm.weighting or self.training.synthetic_weighting
        further = {name: str(steps) for name, steps in self._further_steps(arm).items()}
        return found | further | synthesis | arm.source.identity() | reuse | arm.filters_identity() | chosen

    # What cannot work is refused before anything is trained.

    def _check(self) -> None:
        names, training, arms = self.data.label_names, self.training, self.arms.values()
        for name in ("splits", "seeds", "curve_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be 1 or more.")
        if self.splits > 1 and self.train_per_class is None:
            raise ValueError(f"splits={self.splits} needs train_per_class: all labelled rows are one split.")
        for name, rows in {"train": self.data.train, **self.data.evaluations}.items():
            if self.classifier.kind not in rows.column_names:
                raise ValueError(
                    f"{name} has the columns {rows.column_names}, but {type(self.classifier).__name__} reads "
                    f"{self.classifier.kind!r}."
                )
            self.classifier.check(name, rows)
        if (known := list(self.classifier.label_names)) != names:
            raise ValueError(f"classifier has label_names={known}, but the rows have {names}: pass data.label_names.")
        check_kind(self)
        check_publication(self, self.arms)
        first = self.split(0)
        first.check_folds(1)
        if self.splits > 1 and not len(first.rest):
            raise ValueError(
                f"train_per_class={self.train_per_class} takes all rows, so that splits={self.splits} are all alike: "
                "lower it, or pass splits=1 and seeds."
            )
        for arm in arms:
            if arm.augment is not None:
                self.classifier.collator(arm.augment)
            check_arm(self, arm, self.arms)
        if training.eval_strategy != "no" and len(first.rest) < self.curve_rows:
            raise ValueError(
                f"eval_strategy needs curve_rows={self.curve_rows} rows that are not labelled here, and there are "
                f"{len(first.rest)}: lower train_per_class or curve_rows, or pass eval_strategy=no."
            )
        if any(arm.source is not None for arm in arms):
            if not training.synthetic_ratio:
                raise ValueError("synthetic_ratio=0 leaves nothing to compare: pass a share above 0.")
            shape = self._shape(len(first.train))
            BlendPlan(shape.batch_size, training.synthetic_ratio, shape.batches_per_epoch, shape.batches_per_epoch)
        for arm in arms:
            if arm.source is not None:
                if not callable(arm.filters):
                    check_filters(arm.filters, names)
                elif hasattr(arm.filters, "check"):
                    arm.filters.check(self, arm.judged)
                arm.source.check(self)

    # The runs.

    def run(
        self,
        processes: int = 1,
        rebuild: Callable[[], Study] | None = None,
        go_on: Callable[[int, float, float], bool] | None = None,
        ahead: int = LEAST_PAIRS,
    ) -> list[ArmRun]:
        """
        Does all runs that have not been done, one for each arm, split and seed.

        Args:
            processes (`int`, *optional*, defaults to 1):
                Number of runs at a time, each in a process with its share of the machine's cores.
            rebuild (`Callable`, *optional*):
                Builds the same study in another process: a function of a module, or a `partial` of one.
            go_on (`Callable[[int, float, float], bool]`, *optional*):
                Asked before each run of a further seed, with the number of seeds before it, the share of its runs
                that have not been begun, and how many have ended, in seeds: `False` leaves it out with all others from
                that seed on, and `seeds` becomes that number. By default nothing is left out. It must not look at
                results, or the verdicts have another error than they state.
            ahead (`int`, *optional*, defaults to 3):
                Number of seeds that processes may begin with, `go_on` willing, while others wait for what a generator
                makes.

        Raises:
            ValueError: If a stage was done or begun with another identity.
        """
        if processes > 1 and self.training.world_size > 1:
            raise ValueError(f"processes={processes}, but {self.training.world_size} were started: use either.")
        if processes > 1 and rebuild is None:
            raise ValueError(f"processes={processes} needs rebuild=..., the function that builds the study.")
        most = "" if go_on is None else "at most "
        say(self._plan(most))
        jobs: Iterator[Job]
        jobs, total, begun = runs_of(self), len(self.arms) * self.splits * self.seeds, len(self.runs)
        rounds, seeds = Rounds(self, go_on), self.seeds
        wanted = rounds.wanted

        def done(index: int, name: str, seed: int | None) -> None:
            """Trains what has not been trained in another process, and says how it came out."""
            if seed is None:
                return
            arm = self.arms[name]
            result = with_made(self, index, name, seed, self.train(index, name, seed))
            rounds.ended(name)
            self.runs.append(as_run(name, index, seed, result, self.robustness_rows))
            # Of candidates among which a run chose it is not known here which were shown.
            if index == seed == 0 and arm.source is not None and arm.policies is None:
                self.stores[name] = ShardStore.open(self._shards(self.split(0), arm) / result["shards"])
            say(f"Run {len(self.runs) - begun} of {most}{total}: {self._in_words(self.runs[-1], bool(most))}")

        if processes > 1 and rebuild is not None:
            logs = self.folder / "logs"
            making = made_ahead(self)
            waiting = sum(makes(self, (0, name, 0)) is not None for name in self.arms) * self.splits
            # One beyond those that wait: of these the first makes what they need, if nothing does so ahead.
            overtaken = max(1, waiting * min(self.seeds, ahead) + bool(making))
            work, jobs = partial(worker_of, rebuild), chain(making, jobs)
            run_jobs(work, jobs, total + len(making), processes, logs, partial(makes, self), overtaken, wanted, done)
        else:
            for job in filter(wanted, jobs):
                done(*job)
        if self.seeds < seeds:
            self.runs = [run for run in self.runs if run.seed < self.seeds]
        order = list(self.arms)
        self.runs.sort(key=lambda run: (order.index(run.arm), run.split, run.seed))
        return self.runs

    def _in_words(self, run: ArmRun, open_end: bool) -> str:
        """A finished run; with an open end it is not known how many seeds there will be."""
        which = [f"draw {run.split + 1} of {self.splits}"] if self.splits > 1 else []
        if self.seeds > 1:
            which.append(f"seed {run.seed + 1}" + ("" if open_end else f" of {self.seeds}"))
        return f"{', '.join([run.arm, *which])}: {run.metrics['test']['accuracy']:.3f}"

    def _plan(self, limit: str) -> str:
        plan = (
            f"{limit}{counted(len(self.arms) * self.splits * self.seeds, 'run')}: {counted(len(self.arms), 'arm')}, "
            f"{counted(self.splits, 'draw')} of the labelled rows, {counted(self.seeds, 'seed')}; "
            f"{counted(len(self.split(0).train), 'labelled row')}, "
            f"{counted(len(self.data.evaluations['test']), 'test row')}."
        )
        if self.splits * self.seeds == 1:
            plan += " One run of each arm gives no verdict: pass seeds=3, or train_per_class and splits=3."
        return plan

    def train(self, split: int, arm: str, seed: int) -> dict[str, Any]:
        """Does one run, if it has not been done; returns what [`run_arm`] does."""
        of, rows = self.arms[arm], self.split(split)
        if of.probe:
            seed = 0  # Nothing in it is drawn: all seeds share one run.

        def work(folder: Path) -> dict[str, Any]:
            options = {"augment": of.augment, "validation": rows.apart[0], "robustness_rows": self.robustness_rows}
            # What is pushed, and what judges.
            options["save"] = seed == 0 and (split == 0 or arm == REFERENCE)
            if of.probe:
                options["probe"], shown = self._probed(rows, of)
                return rows.fit(folder, rows.train, seed, evaluations=self.data.evaluations, **options) | shown
            if of.source is not None:
                options |= self.synthesis(rows, of) | self._further_steps(of)
            elif of.same_steps:
                options["max_steps"] = self.augmented_steps()
            if of.guarded:
                options["callbacks"] = [AugmentationGuard(baseline=self.train(split, REFERENCE, seed)["curve"])]
            return rows.fit(folder, rows.train, seed, evaluations=self.data.evaluations, **options)

        return rows.stage(f"{arm}-{seed}", self.arm_identity(of), work)

    def _further_steps(self, arm: Arm) -> dict[str, int]:
        """Returns `max_steps` of an arm that is trained longer than the others."""
        if not arm.longer or arm.source is None:
            return {}
        reuse = arm.source.reuse or self.training.synthetic_reuse
        asked = self.training.synthetic_candidates * self.training.synthetic_ratio / reuse
        return {"max_steps": math.ceil(self.augmented_steps() * (1 + asked * ASKING))}

    def _probed(self, split: Split, arm: Arm) -> tuple[list[datasets.Dataset], dict[str, float]]:
        """Returns the synthetic rows that a probe learns, and which share of them was shown to the arm it names."""
        if not isinstance(arm.probe, str):
            return [], {}
        result = self.train(split.index, arm.probe, 0)
        store = ShardStore.open(self._shards(split, self.arms[arm.probe]) / result["shards"])
        return [store.dataset()] if result["shown"] else [], {"shown": result["shown"]}

    def stream(self, split: int, arm: str) -> tuple[SynthesisPipeline, ShardStore]:
        """
        Returns what makes and what keeps the examples of an arm with a generator, without a run of it. A generator
        that learns the rows is trained if need be.
        """
        rows, training = self.split(split), self.training
        made = self.synthesis(rows, self.arms[arm])
        given = made["generator"].label_shares
        shares = rows.class_shares() if given is None else np.asarray(given) / np.sum(given)
        pipeline = SynthesisPipeline(
            made["generator"],
            made["filters"],
            shares,
            made["synthetic_seed"],
            training.synthetic_shard_size,
            training.synthetic_max_attempts,
        )
        return pipeline, pipeline.store(made["synthetic_dir"], "label", training.world_size)

    def synthesis(self, split: Split, arm: Arm) -> dict[str, Any]:
        """Returns the further options of an arm with a generator."""
        assert arm.source is not None
        generator = arm.source.open(split)
        filters = arm.make_filters(split, generator)
        if self.data.pairs and not arm.source.real:
            filters = [PairOfTexts(), *filters]
        counters = () if arm.source.shared else (split.index,)
        return {
            "generator": generator,
            "filters": filters,
            # One synthetic stream for all seeds of a split: generation is paid for once.
            "synthetic_dir": str(self._shards(split, arm)),
            "synthetic_seed": derive_seed(split.seed, "synthetic", *counters) % 2**31,
            "synthetic_feedback": 0 if arm.policies is None else self.training.synthetic_feedback,
            "policies": arm.policies,
            "synthetic_reuse": arm.source.reuse or self.training.synthetic_reuse,
            "synthetic_weighting": arm.weighting or self.training.synthetic_weighting,
        }

    def _shards(self, split: Split, arm: Arm) -> Path:
        assert arm.source is not None
        return split.folder / f"{arm.source.name}{'' if arm.filtered else '_unfiltered'}-shards"

    # What came of them.

    def differences(self, evaluation: str = "test") -> list[Difference]:
        """
        Compares every arm with `baseline_same_steps` on an evaluation set, after [`Study.run`]; but for those that had
        more steps on purpose.
        """
        return compare_all([run for run in self.runs if not self.arms[run.arm].longer], REFERENCE, evaluation)

    def report(self, settings: dict[str, Any] | None = None, **more: Any) -> Results | None:
        """
        Prints what was found and writes the report into `output_dir/report`; lays out in `output_dir/hub` what may be
        published, and pushes it with `training.push_to_hub`. `settings` are shown beside the study's own, and `more`
        are further arguments of [`Results`], such as `notes`. Returns what is in `report/results.json`, and `None` for
        all processes but the first.
        """
        return write(self, self.arms, settings or {}, more)
