"""The story of an experiment, told once for all kinds of data."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import sklearn.model_selection

from hf_augment.blending.schedule import BlendPlan
from hf_augment.filters.base import Filter
from hf_augment.filters.label_agreement import LabelAgreement
from hf_augment.fingerprints import images_digest, texts_digest
from hf_augment.generators.base import Generator
from hf_augment.generators.dataset import DatasetGenerator
from hf_augment.judges.out_of_fold import OutOfFoldJudge
from hf_augment.seeding import derive_rng, derive_seed
from hf_augment.study.arms import REAL, REFERENCE, Arm, Classifier, LabelledData, as_run, run_arm
from hf_augment.study.data import sample_per_class
from hf_augment.study.jobs import run_jobs
from hf_augment.study.sources import contents
from hf_augment.study.stages import Stages
from hf_augment.synthesis.shards import ShardStore
from hf_augment.training.arguments import AugmentingTrainingArguments
from hf_augment.training.blend import RunShape
from hf_augment.training.guard import AugmentationGuard


class Experiment(ABC):
    """
    Trains the arms of a comparison. Each stage keeps its result in `output_dir`; what is done is not done again.

    Args:
        args (`ExperimentArguments`):
            What to compare.
        training (`AugmentingTrainingArguments`):
            How to train the classifiers.
    """

    #: Arguments that a stage's result does not depend on: where it is kept, what is only shown, how many there are.
    shown: tuple[str, ...] = (
        *("output_dir", "splits", "seeds", "classic", "generators", "data_note", "processes"),
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
        if args.processes > 1 and training.world_size > 1:
            raise ValueError(f"processes={args.processes} is for one process, but {found} were started: use either.")
        self.check_rows()
        self.check_generators()
        values = dataclasses.asdict(args) | training.to_sanitized_dict()
        values |= {"processes": training.world_size, "labelled_rows": len(self.data.train)}
        # With it the checkpoints decide which weights are kept.
        shown = set(self.shown) - ({"save_strategy", "save_steps"} if training.load_best_model_at_end else set())
        self.facts = {name: str(value) for name, value in values.items() if name not in shown}
        self.contents = self._contents()
        self.runs: list[Any] = []
        self.stores: dict[str, ShardStore] = {}

    # What kinds of data differ in.

    #: `"text"` or `"image"`.
    kind: str

    @abstractmethod
    def generator_names(self) -> dict[str, tuple[str, ...]]:
        """What generates, by arm: names a reader can look up."""

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
        """
        Trains the generator of a split and saves it in `folder/model`; goes on from what was interrupted there.
        Returns its `steps` and `seconds`.
        """

    @abstractmethod
    def open_generator(self, folder: Path) -> Generator:
        """Loads what [`train_generator`] saved."""

    @abstractmethod
    def fold_of(self, folds: Sequence[datasets.Dataset], judge: Callable[[], Path]) -> Callable[..., list[int]]:
        """Which fold's rows a candidate is nearest to, for [`OutOfFoldJudge`]."""

    @abstractmethod
    def filters(
        self,
        train: datasets.Dataset,
        generator: Generator,
        label_judge: Callable[..., Any] | None,
        judge: Callable[[], Path],
    ) -> list[Filter]:
        """The filters of an arm: who may judge labels, and what trains a classifier that knows the rows."""

    def generator_arms(self, name: str) -> list[Arm]:
        """The arms of one of `generators`."""
        kind = name.removesuffix("_unfiltered").removesuffix("_guarded")
        filtered = not name.endswith("_unfiltered") and kind != REAL
        return [Arm(name, generator=kind, filtered=filtered, guarded=name.endswith("_guarded"))]

    def learns(self, arm: Arm) -> bool:
        """Whether an arm's generator learns the labelled rows."""
        return arm.generator == "trained"

    def judges_out_of_fold(self) -> bool:
        """Whether classifiers judge the labels of what a generator makes that has learned the labelled rows."""
        return bool(self.args.min_label_probability)

    def extras(self) -> dict[str, Any]:
        """What a kind of data adds to the report: `notes`, `tables` and `pictures` of [`ReportFacts`]."""
        return {}

    # The story.

    def arms(self) -> list[Arm]:
        """What is compared, in the order in which it is run: the stock Trainer first, and with as many steps."""
        arms = [Arm("baseline", same_steps=False), Arm(REFERENCE)]
        arms += [Arm(name, augment=name) for name in self.args.classic]
        return arms + [arm for name in self.args.generators for arm in self.generator_arms(name)]

    def run(self) -> None:
        """Runs all stages that have not been run."""
        args, arms = self.args, self.arms()
        # An arm of all splits before the next one: two processes seldom want the same generator at once.
        jobs = [(split, arm, seed) for arm in arms for split in range(args.splits) for seed in range(args.seeds)]
        if args.processes > 1:
            make = partial(_job, type(self), args, self.training)
            run_jobs(make, jobs, args.processes, self.stages.root / "logs")
        for split, arm, seed in jobs:
            result = self.arm(split, arm, seed)
            self.runs.append(as_run(arm.name, split, seed, result, args.robustness_rows))
            if split == seed == 0 and arm.generator is not None:
                self.stores[arm.name] = ShardStore.open(self.synthetic_dir(split, arm) / result["shards"])

    def arm(self, split: int, arm: Arm, seed: int) -> dict[str, Any]:
        """One run of the comparison; returns what [`run_arm`] does."""
        train = self.labelled(split)
        steps = {"max_steps": self.augmented_steps(len(train))} if arm.same_steps and arm.generator is None else {}
        # What is pushed, and who judges.
        save = seed == 0 and (split == 0 or arm.name == REFERENCE)

        def work(folder: Path) -> dict[str, Any]:
            options = self.synthesis(split, train, arm) if arm.generator is not None else {}
            options |= steps | {"augment": arm.augment, "save": save, "validation": self.apart(split)[0]}
            options["robustness_rows"] = self.args.robustness_rows
            if arm.guarded:
                curve = self.arm(split, Arm(REFERENCE), seed)["curve"]
                options["callbacks"] = [AugmentationGuard(baseline=curve)]
            return self.fit(folder, train, split, seed, evaluations=self.data.evaluations, **options)

        return self.stage(f"split-{split}/{arm.name}-{seed}", work, **steps)

    def synthesis(self, split: int, train: datasets.Dataset, arm: Arm) -> dict[str, Any]:
        """What the trainer of an arm with a generator gets beside its rows."""
        name = str(arm.generator)
        generator = self.real_rows(split) if name == REAL else self.generator(split, train, name)
        filters: list[Filter] = []
        if arm.filtered:
            filters = self.filters(
                train, generator, self.label_judge(split, train, name), partial(self.judge_of, split)
            )
        return {
            "generator": generator,
            "filters": filters,
            # One synthetic stream for all seeds of a split: generation is paid for once.
            "synthetic_dir": str(self.synthetic_dir(split, arm)),
            "synthetic_seed": derive_seed(self.training.seed, "synthetic", *self.stream(split, name)) % 2**31,
        }

    def synthetic_dir(self, split: int, arm: Arm) -> Path:
        """Where an arm's shards are, each stream in a folder of its own."""
        return self.stages.root / f"split-{split}/{arm.generator}{'' if arm.filtered else '_unfiltered'}-shards"

    def stream(self, split: int, name: str) -> tuple[int, ...]:
        """What tells the random streams of a generator apart."""
        return (split,)

    def apart(self, split: int) -> tuple[datasets.Dataset | None, datasets.Dataset]:
        """The rows of the training set that are not labelled here: those to watch a training with, and the others."""
        rows = self.unlabelled(split)
        if self.training.eval_strategy == "no":
            return None, rows
        order = derive_rng(self.training.seed, "validation", split).permutation(len(rows))
        return tuple(rows.select(sorted(part)) for part in np.split(order, [self.args.curve_rows]))

    def real_rows(self, split: int) -> Generator:
        """Real rows that are not among the labelled ones, as if they were generated."""
        return DatasetGenerator(self.apart(split)[1])

    def generator(self, split: int, train: datasets.Dataset, name: str) -> Generator:
        """A generator that has learned the labelled rows of a split, and no others."""
        self.learned(split, train)
        return self.open_generator(self.stages.root / f"split-{split}/generator/model")

    def learned(self, split: int, train: datasets.Dataset) -> dict[str, Any]:
        """Trains the generator of a split once; returns what [`train_generator`] does."""
        return self.stage(f"split-{split}/generator", lambda folder: self.train_generator(folder, train, split))

    def judge_of(self, split: int) -> Path:
        """A classifier that was trained on all rows of a split, without a generator."""
        self.arm(split, Arm(REFERENCE), 0)
        return self.stages.root / f"split-{split}/{REFERENCE}-0/model"

    def label_judge(self, split: int, train: datasets.Dataset, name: str) -> Callable[..., Any] | None:
        """
        Who judges candidates, if anybody does. Rows that trained the generator trained the baseline too, which would
        confirm copies of them; so a trained generator is judged out of fold.
        """
        if not self.args.min_label_probability:
            return None
        splitter = sklearn.model_selection.StratifiedKFold(self.args.judge_folds, shuffle=True, random_state=split)
        judges, held_out, steps = [], [], self.augmented_steps(len(train))
        labels = train["label"][:]
        for k, (rest, fold) in enumerate(splitter.split(labels, labels)):
            model = self.judge(f"split-{split}/judge-{k}", train.select(rest), split, k, steps)
            judges.append(self.classifier.as_judge(model))
            held_out.append(train.select(fold))
        return OutOfFoldJudge(judges, self.fold_of(held_out, partial(self.judge_of, split)))

    def judge(self, name: str, train: datasets.Dataset, split: int, seed: int, steps: int) -> Path:
        """Trains a classifier that judges candidates and takes no part in the comparison."""
        work = partial(self.fit, train=train, split=split, seed=seed, evaluations={}, save=True, max_steps=steps)
        self.stage(name, work, max_steps=steps)
        return self.stages.root / name / "model"

    # What the steps share.

    def label_agreement(self, generator: Generator, label_judge: Callable[..., Any] | None) -> list[Filter]:
        """The last filter, unless it is turned off."""
        if label_judge is None:
            return []
        least = self.args.min_label_probability
        return [LabelAgreement(label_judge, least, label_names=list(generator.label_names))]

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

    def unlabelled(self, split: int) -> datasets.Dataset:
        """The other rows of the training set, which only the ceiling and independent judges see."""
        row = datasets.Dataset.from_dict(
            {"label": self.data.train["label"][:], "row": list(range(len(self.data.train)))},
            features=datasets.Features({"label": self.data.train.features["label"], "row": datasets.Value("int64")}),
        )
        used = sample_per_class(row, self.args.train_per_class, self.training.seed, split)["row"][:]
        return self.data.train.select(sorted(set(range(len(row))) - set(used)))

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
        arms = self.arms()
        judged = any(arm.filtered and self.learns(arm) for arm in arms)
        least = self.args.judge_folds if judged and self.judges_out_of_fold() else 1
        rarest = int(counts.argmin())
        if counts[rarest] < least:
            raise ValueError(
                f"The training set has {counts[rarest]} rows of {names[rarest]!r}, but there must be {least} of every "
                "class (with a trained generator, judge_folds): add some, or leave the class out with label_map."
            )
        if self.training.eval_strategy != "no" and len(self.unlabelled(0)) < self.args.curve_rows:
            raise ValueError(
                f"eval_strategy needs curve_rows={self.args.curve_rows} rows that are not labelled here, and there "
                f"are {len(self.unlabelled(0))}: lower train_per_class or curve_rows, or pass eval_strategy=no."
            )
        if any(arm.guarded for arm in arms) and self.training.eval_strategy == "no":
            raise ValueError(
                f"generators={self.args.generators}: _guarded needs eval_strategy=steps or epoch, with eval_steps."
            )
        if any(arm.generator == REAL for arm in arms):
            rest = np.bincount(self.apart(0)[1]["label"][:], minlength=len(names))
            if not rest.all():
                raise ValueError(
                    f"generators={self.args.generators} has {REAL!r}, but of {names} there are {rest.tolist()} rows "
                    "that are not among the labelled ones: lower train_per_class, or leave it out."
                )
        if self.args.generators:
            if not self.training.synthetic_ratio:
                raise ValueError("synthetic_ratio=0 leaves nothing to compare: pass a share above 0.")
            shape, ratio = self.augmented_shape(len(labels)), self.training.synthetic_ratio
            BlendPlan(shape.batch_size, ratio, shape.batches_per_epoch, shape.batches_per_epoch)

    def stage(self, name: str, work: Callable[[Path], dict[str, Any]], **facts: Any) -> dict[str, Any]:
        """Does a stage once."""
        return self.stages.run(name, self.facts | self.contents | facts, work)

    def _contents(self) -> dict[str, str]:
        """What rows and local models hold: under the same names there may be others the next time."""
        held: dict[str, str] = {}
        for name, rows in {"train": self.data.train, **self.data.evaluations}.items():
            values = self.classifier.values(rows)
            digest = images_digest(values) if isinstance(values, np.ndarray) else texts_digest(values)
            held[f"contents of {name}"] = texts_digest([digest, *map(str, rows["label"][:])])
        models = {name: contents(value) for name, value in vars(self.args).items() if name.endswith("model")}
        return held | {f"contents of {name}": digest for name, digest in models.items() if digest is not None}

    def fit(self, folder: Path, train: datasets.Dataset, split: int, seed: int, **options: Any) -> dict[str, Any]:
        """Trains a classifier; see [`run_arm`]."""
        seed = classifier_seed(self.training.seed, split, seed)
        return run_arm(folder, self.classifier, self.training, train, seed=seed, **options)


def classifier_seed(base: int, split: int, seed: int) -> int:
    """
    The seed of a classifier's weights, order and dropout: the same for all arms of a split, and other ones for others.
    A seed that all splits shared would be an effect that no interval over splits covers.
    """
    return derive_seed(base, "classifier", seed, split) % 2**31


def _job(kind: type[Experiment], args: Any, training: AugmentingTrainingArguments) -> Callable[..., Any]:
    return kind(args, training).arm
