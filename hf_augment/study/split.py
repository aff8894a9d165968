"""What all arms of a study stand on: the draws of the labelled rows, and the classifiers that know them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import sklearn.model_selection

from hf_augment.data.splits import sample_per_class, sample_per_label
from hf_augment.evaluation.comparison import ArmRun
from hf_augment.fingerprints import texts_digest
from hf_augment.judges.classifier import ClassifierFeatures
from hf_augment.judges.out_of_fold import OutOfFoldJudge
from hf_augment.seeding import derive_rng, derive_seed
from hf_augment.sentences import named
from hf_augment.study import identity
from hf_augment.study.classifiers import Classifier
from hf_augment.study.labelled import LabelledData
from hf_augment.study.runs import run_arm
from hf_augment.study.stages import Stages
from hf_augment.synthesis.pipeline import class_weights
from hf_augment.synthesis.shards import ShardStore
from hf_augment.training.arguments import AugmentingTrainingArguments
from hf_augment.training.shape import RunShape


#: The arm that the others are compared with: the stock Trainer, with as many steps as the arms with a generator.
REFERENCE = "baseline_same_steps"
#: What the fold that a judge has not seen is called among its evaluations.
HELD_OUT = "held out"


class Basis(ABC):
    """All of a study but its arms: the rows and their splits, the classifier, the stages, and what came of them."""

    def __init__(
        self,
        data: LabelledData,
        classifier: Classifier,
        training: AugmentingTrainingArguments,
        train_per_class: int | None,
        curve_rows: int,
        robustness_rows: int,
    ) -> None:
        self.data, self.classifier, self.training = data, classifier, training
        self.train_per_class, self.curve_rows, self.robustness_rows = train_per_class, curve_rows, robustness_rows
        self.folder = Path(str(training.output_dir))
        self.stages = Stages(self.folder)
        classifier.cache.folder = self.folder / "features"
        self.split = cache(partial(Split, self))
        self.runs: list[ArmRun] = []
        #: What the first split's classifiers were shown, by arm.
        self.stores: dict[str, ShardStore] = {}

    @abstractmethod
    def train(self, split: int, arm: str, seed: int) -> dict[str, Any]:
        """Does one run, if it has not been done; returns what [`run_arm`] does."""

    def augmented_steps(self, num_rows: int | None = None) -> int:
        """Returns the optimizer steps of an arm with a generator, on a split or on so many labelled rows."""
        return self._shape(len(self.split(0).train) if num_rows is None else num_rows).total_steps

    def _shape(self, num_rows: int) -> RunShape:
        return RunShape.find(self.training, num_rows, self.training.synthetic_ratio)

    @cached_property
    def rows_identity(self) -> dict[str, str]:
        """The labelled rows of all splits."""
        found = {"train_per_class": str(self.train_per_class), "seed": str(self.training.seed)}
        found |= {"label_names": str(self.data.label_names)} | self._contents({"train": self.data.train})
        if self.data.unlabelled is not None:
            found["contents of unlabelled"] = self.classifier.digest(self.data.unlabelled)
        return found

    @cached_property
    def device_identity(self) -> dict[str, str]:
        """The machine, as far as results depend on it."""
        return identity.arguments(self.training, identity.DEVICE)

    @cached_property
    def classifier_identity(self) -> dict[str, str]:
        """A classifier that is trained without a generator."""
        training = identity.arguments(self.training, identity.TRAINING)
        return self.rows_identity | self.device_identity | training | self.classifier.identity()

    @cached_property
    def run_identity(self) -> dict[str, str]:
        """A classifier that is watched and evaluated, too."""
        rows = {"curve_rows": str(self.curve_rows), "robustness_rows": str(self.robustness_rows)}
        watched = identity.watching(self.training)
        return self.classifier_identity | watched | rows | self._contents(self.data.evaluations)

    def _contents(self, of: dict[str, datasets.Dataset]) -> dict[str, str]:
        return {
            f"contents of {name}": texts_digest([self.classifier.digest(rows), *map(str, rows["label"][:])])
            for name, rows in of.items()
        }


def classifier_seed(base: int, split: int, seed: int) -> int:
    """
    Returns the seed of a classifier's weights, order and dropout: the same for all arms of a split, another one for
    each split. A seed that all splits shared would have an effect that no interval over splits covers.
    """
    return derive_seed(base, "classifier", seed, split) % 2**31


def draw_labelled(
    rows: datasets.Dataset, labels: Sequence[str] | None, count: int | None, seed: int, split: int
) -> datasets.Dataset:
    """Returns so many rows of each class, or of each of `labels` where a row may have several; `None`: all of them."""
    if labels is None:
        return sample_per_class(rows, count, seed, split)
    return sample_per_label(rows, labels, count, seed, split)


class Split:
    """
    One draw of the labelled rows of a study: the number `index` from 0, whose stages lie in `folder`, and the rows
    `train`.
    """

    def __init__(self, study: Basis, index: int) -> None:
        self.study, self.index, self.seed = study, index, int(study.training.seed)
        self.folder = study.folder / f"split-{index}"
        self.train = self._sample(study.data.train)

    @cached_property
    def rest(self) -> datasets.Dataset:
        """The other rows of the training set."""
        rows = self.study.data.train.select_columns(["label"])
        rows = rows.add_column("row", np.arange(len(rows)))
        used = self._sample(rows)["row"][:]
        return self.study.data.train.select(np.setdiff1d(np.arange(len(rows)), used))

    def _sample(self, rows: datasets.Dataset) -> datasets.Dataset:
        return draw_labelled(rows, self.study.data.labels, self.study.train_per_class, self.seed, self.index)

    def class_shares(self) -> np.ndarray:
        """
        Returns the share of each class among examples, by `synthetic_class_balance`: float64 of shape `(classes,)`.
        Sets of labels that only test rows have are not asked for.
        """
        counts = np.bincount(self.train["label"][:], minlength=len(self.study.data.label_names))
        shares = np.zeros(len(counts))
        shares[counts > 0] = class_weights(self.study.training.synthetic_class_balance, counts[counts > 0])
        return shares

    @cached_property
    def apart(self) -> tuple[datasets.Dataset | None, datasets.Dataset]:
        """The rest in two parts: rows on which trainings are watched, if they are, and the others."""
        if self.study.training.eval_strategy == "no":
            return None, self.rest
        order = derive_rng(self.seed, "validation", self.index).permutation(len(self.rest))
        watched, others = (self.rest.select(sorted(part)) for part in np.split(order, [self.study.curve_rows]))
        return watched, others

    @property
    def unlabelled(self) -> datasets.Dataset:
        """Rows without labels: those of the data, or, where there are none, the training rows not labelled here."""
        data = self.study.data
        return self.apart[1].remove_columns("label") if data.unlabelled is None else data.unlabelled

    @property
    def unlabelled_identity(self) -> dict[str, str]:
        """What the rows without labels depend on beside `rows_identity`: training rows that are watched are not."""
        if self.study.data.unlabelled is not None:
            return {}
        watched = self.apart[0]
        return {"curve_rows": "none, by eval_strategy=no" if watched is None else str(len(watched))}

    def stage(self, name: str, identity: dict[str, str], work: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """Does a stage of the split once; see [`Stages.run`]."""
        return self.study.stages.run(f"{self.folder.name}/{name}", identity, work)

    def fit(self, folder: Path, train: datasets.Dataset, seed: int, **options: Any) -> dict[str, Any]:
        """Trains a classifier with the split's seed of that number; see [`run_arm`]."""
        seed = classifier_seed(self.seed, self.index, seed)
        return run_arm(folder, self.study.classifier, self.study.training, train, seed=seed, **options)

    def generator_arguments(self) -> dict[str, Any]:
        """
        Returns the arguments that the trainers of all generators get. Of all arguments of a process, the last ones
        decide on the device, the precision and how processes talk: the same as for the classifiers.
        """
        same = ("use_cpu", "bf16", "fp16", "ddp_backend", "dataloader_pin_memory")
        seed = derive_seed(self.seed, "generator", self.index) % 2**31
        return {"seed": seed, "report_to": "none", **{name: getattr(self.study.training, name) for name in same}}

    def train_judge(
        self,
        name: str,
        train: datasets.Dataset,
        seed: int,
        num_rows: int,
        held_out: datasets.Dataset | None = None,
        **known_by: str,
    ) -> Any:
        """
        Trains a classifier that takes no part in the comparison, for as many steps as an arm with a generator and
        `num_rows` labelled rows; returns it as a judge. Its stage keeps how accurate it is on `held_out`, and is
        recognised by what `known_by` says of its rows, too.
        """
        steps = self.study.augmented_steps(num_rows)
        identity = self.study.classifier_identity | {"max_steps": str(steps)} | known_by

        def work(folder: Path) -> dict[str, Any]:
            evaluations = {} if held_out is None else {HELD_OUT: held_out}
            return self.fit(folder, train, seed, evaluations=evaluations, save=True, max_steps=steps)

        self.stage(name, identity, work)
        return self.study.classifier.as_judge(self.folder / name / "model")

    def judge(self) -> Any:
        """Returns a judge that was trained on all labelled rows, for what a generator made that has not seen them."""
        self.study.train(self.index, REFERENCE, 0)
        return self.study.classifier.as_judge(self.folder / f"{REFERENCE}-0/model")

    def out_of_fold_judge(self, folds: int = 2) -> OutOfFoldJudge:
        """
        Returns a judge for a generator that has learned the labelled rows. A classifier that was trained on the same
        rows would confirm copies of them, so each is trained without one fold, and judges what is nearest to it.
        """
        judges, held_out = [], []
        for k, (others, fold) in enumerate(self._folds(folds)):
            held_out.append(self.train.select(fold))
            rows = self.train.select(others)
            # Of another number of folds it would know rows of the fold that it is to judge.
            known_by = {"judge_folds": str(folds)}
            judges.append(self.train_judge(f"judge-{k}", rows, k, len(self.train), held_out[k], **known_by))
        return OutOfFoldJudge(judges, self.study.classifier.nearest_fold(held_out, self.judge))

    @cached_property
    def probes(self) -> tuple[Any, OutOfFoldJudge, float]:
        """
        Judges that are made in seconds, since they learn the last layer alone: one that knows all labelled rows, and
        one of folds, as many as the rarest class has rows, 2 to 5; and the probability that the labels of three in
        four labelled rows have at least, for a judge that does not know them.
        """
        classifier, labels = self.study.classifier, np.array(self.train["label"][:])

        def fit(rows: np.ndarray | None) -> Any:
            return classifier.judge(classifier.probe(self.seed, self.train, of=rows))

        counts = np.bincount(labels, minlength=len(classifier.label_names))
        if self.study.data.labels is None and (counts > 1).sum() < 2:
            few = named(name for name, count in zip(classifier.label_names, counts, strict=True) if count < 2)
            raise ValueError(
                f"Two classes must have two labelled rows, or nothing can judge labels, and these have fewer: {few}. "
                "Label more rows of them."
            )
        rarest = int(counts.min())
        folds = list(self._folds(min(5, rarest) if rarest > 1 and self.study.data.labels is None else 2))
        judges, whole = [fit(others) for others, _ in folds], fit(None)
        read = classifier.read(classifier.features(self.seed), self.train)
        known = [
            ClassifierFeatures(judge).judge_read(read[fold])[range(len(fold)), labels[fold]]
            for judge, (_, fold) in zip(judges, folds, strict=True)
        ]
        nearest = classifier.nearest_fold([self.train.select(fold) for _, fold in folds], lambda: whole)
        return whole, OutOfFoldJudge(judges, nearest), float(np.quantile(np.concatenate(known), 0.25))

    def _folds(self, folds: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows outside and inside of each fold, which have the same share of every class as far as can be."""
        labels = np.array(self.train["label"][:])
        if self.study.data.labels is None:
            splitter = sklearn.model_selection.StratifiedKFold(folds, shuffle=True, random_state=self.index)
            yield from splitter.split(labels, labels)
            return
        # Most sets of labels have fewer rows than there are folds.
        order = np.lexsort((derive_rng(self.seed, "folds", self.index).permutation(len(labels)), labels))
        fold_of = np.argsort(order) % folds
        yield from ((np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(folds))

    def check_folds(self, folds: int) -> None:
        """
        Raises `ValueError` for a class with fewer rows than folds: a judge would not know it. Of a set of labels it
        knows the labels.
        """
        if self.study.data.labels is None:
            check_folds(self.train["label"][:], self.study.data.label_names, folds)

    def independent_judge(self, per_class: int = 150) -> tuple[Any, int]:
        """
        Returns a judge that knows neither the labelled rows nor what a generator made of them, and the number of rows
        it was trained on, `per_class` at most since more would take longer than the arms; where there are too few
        other rows, the judge of [`Split.judge`] and 0.
        """
        classes = len(self.study.data.label_names)
        rarest = int(np.bincount(self.rest["label"][:], minlength=classes).min())
        if rarest * classes < len(self.train):
            return self.judge(), 0
        rows = sample_per_class(self.rest, min(rarest, per_class), self.seed, 1)
        return self.train_judge("independent-judge", rows, 0, len(rows)), len(rows)


def check_folds(rows: Sequence[int], names: Sequence[str], folds: int) -> None:
    """Raises `ValueError` for a class with fewer rows than folds: a judge would not know it."""
    counts = np.bincount(rows, minlength=len(names))
    rarest = int(counts.argmin())
    if counts[rarest] < folds:
        raise ValueError(
            f"The training set has {counts[rarest]} rows of {names[rarest]!r}, but there must be {folds} of every "
            "class (with a trained generator, judge_folds): add some, or leave the class out with label_map."
        )
