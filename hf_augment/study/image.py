"""Studies of image classifiers: their rows, filters and reports."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from accelerate import PartialState

from hf_augment.data.holdouts import load_holdouts, load_train_and_test
from hf_augment.data.images import image_digests, load_images
from hf_augment.data.splits import sample_per_class
from hf_augment.filters.base import Filter
from hf_augment.filters.class_coverage import ClassCoverage
from hf_augment.filters.feature_copies import FeatureCopies
from hf_augment.filters.label_agreement import LabelAgreement
from hf_augment.generators.base import Generator
from hf_augment.images.arrays import image_arrays
from hf_augment.images.grids import write_grid
from hf_augment.judges.classifier import ClassifierFeatures
from hf_augment.neighbours.features import COPY_DISTANCE, RealFeatures
from hf_augment.seeding import derive_seed
from hf_augment.study.arms import LearnedSource, Source
from hf_augment.study.image_quality import measure_quality, quality_table
from hf_augment.study.image_settings import ImageExperimentArguments
from hf_augment.study.labelled import LabelledData
from hf_augment.study.split import Split
from hf_augment.study.study import Study
from hf_augment.study.style import learned_rows


def load_image_data(args: ImageExperimentArguments, seed: int) -> LabelledData:
    """Loads all images; every name, column, label and size is checked here, before anything is trained."""

    def load(split: str, label_names: list[str] | None, keep_columns: tuple[str, ...]) -> datasets.Dataset:
        columns = (args.image_column, args.label_column, args.label_map)
        return load_images(args.dataset, split, *columns, label_names, keep_columns, args.image_size)

    train, test = load_train_and_test(args, load, image_digests, seed)
    data = LabelledData(train, {"test": test}, args.dataset, args.data_note)
    load_holdout = partial(load_images, image_size=args.image_size)
    data.evaluations |= load_holdouts(args, load_holdout, data.label_names, seed)
    shape = train.features["image"].shape
    for name, dataset in data.evaluations.items():
        if dataset.features["image"].shape != shape:
            raise ValueError(
                f"The images of {name!r} have shape {dataset.features['image'].shape}, those of the training set "
                f"{shape}: pass image_size, and images of one mode."
            )
    sample_per_class(data.train, args.train_per_class, seed)
    return data


@dataclass
class ImageFilters:
    """
    The filters of images: copies, then labels, then coverage, which counts what the others accepted.

    Args:
        min_copy_distance (`float`, *optional*, defaults to `COPY_DISTANCE`):
            Distance to a labelled image below which an image is a copy; 1 is usual between real ones.
        max_excess (`float`, *optional*, defaults to 5.0):
            Highest multiple of its share of accepted images that a labelled image may attract.
        min_label_probability (`float`, *optional*, defaults to 0.5):
            Least probability of the requested label, in `[0, 1]`; 0 for no judge.
        judge_folds (`int`, *optional*, defaults to 2):
            Number of classifiers, each trained without one fold, that judge a generator which learned the labelled
            images.
    """

    min_copy_distance: float = COPY_DISTANCE
    max_excess: float = 5.0
    min_label_probability: float = 0.5
    judge_folds: int = 2

    @property
    def gives_label_probabilities(self) -> bool:
        """Whether one of them judges labels."""
        return self.min_label_probability != 0

    def check(self, study: Study, source: Source) -> None:
        """Raises `ValueError` if a class has too few rows."""
        if self.min_label_probability and source.learns:
            study.split(0).check_folds(self.judge_folds)

    def __call__(self, split: Split, source: Source, generator: Generator) -> list[Filter]:
        """Returns the filters of a split."""
        features = ClassifierFeatures(split.judge())
        real = learned = RealFeatures(features, image_arrays(split.train))
        if len(rows := learned_rows(split, source)) > 1:
            learned = RealFeatures(features, np.concatenate([image_arrays(of) for of in rows]))
        filters: list[Filter] = [FeatureCopies(learned, self.min_copy_distance)]
        if self.min_label_probability:
            judge = split.out_of_fold_judge(self.judge_folds) if source.learns else split.judge()
            names = list(generator.label_names)
            filters.append(LabelAgreement(judge, self.min_label_probability, label_names=names))
        return [*filters, ClassCoverage(real, split.train["label"][:], self.max_excess)]


def describe_images(study: Study, source: LearnedSource, per_class: int, steps: int = 0) -> dict[str, Any]:
    """
    Returns what a report says of the first split's generated images, unfiltered, in figures and as a picture.

    Args:
        study ([`Study`]): Study after its runs.
        source ([`LearnedSource`]): Source of the images.
        per_class (`int`): Images of each class to generate, 2 or more.
        steps (`int`, *optional*, defaults to 0):
            Optimizer steps of a classifier that learns from generated images alone, as many as there are labelled
            ones (Ravuri and Vinyals 2019, arXiv 1905.10887); 0 for none.
    """
    first, test = study.split(0), study.data.evaluations["test"]
    judge, rows = first.independent_judge()
    generator, learned = source.open(first), source.learned(first)
    who = f"a classifier of {rows} other images" if rows else "the baseline with more steps"

    def work(_: Path) -> dict[str, Any]:
        return measure_quality(generator, first.train, test, judge, per_class=per_class, seed=first.seed)

    identity = study.run_identity | source.identity() | {"per_class": str(per_class)}
    quality = first.stage("quality", identity, work)
    if steps:
        quality["accuracy_alone"] = _accuracy_alone(first, generator, identity, steps)
    if PartialState().is_main_process:
        write_samples(study.folder / "report/samples.png", first, generator)
    near = {f"{name.replace('_', ' ')} of generated images": quality[name] for name in ("relative_distance", "copies")}
    return {
        "notes": [
            f"The generator was trained for {learned['steps']} steps in {learned['seconds']:.0f} s (if it was "
            f"interrupted, the last part of it); alarms: {', '.join(learned['alarms']) or 'none'}."
        ],
        "memorization": {source.name: {name: round(value, 4) for name, value in near.items()}},
        "tables": [quality_table(quality, study.data.label_names, who)],
        "pictures": {"samples.png": "Of each class: training images, then generated ones, unfiltered"},
    }


def _accuracy_alone(split: Split, generator: Generator, identity: dict[str, str], steps: int) -> float:
    """Returns the test accuracy of a classifier of the study that learned from generated images alone."""
    labels = split.train["label"][:]

    def work(folder: Path) -> dict[str, Any]:
        images = [example["image"] for example in generator.generate(labels, derive_seed(split.seed, "alone"))]
        columns = {"image": images, "label": labels}
        rows = datasets.Dataset.from_dict(columns, features=split.train.features)
        return split.fit(folder, rows, 0, evaluations={"test": split.study.data.evaluations["test"]}, max_steps=steps)

    return split.stage("alone", identity | {"max_steps": str(steps)}, work)["metrics"]["test"]["accuracy"]


def write_samples(path: Path, split: Split, generator: Generator, columns: int = 10) -> None:
    """Writes a picture of training and generated images of each class."""
    images, labels = image_arrays(split.train), split.train.with_format("numpy")["label"][:]
    rows: dict[str, Any] = {}
    for label, name in enumerate(split.study.data.label_names):
        generated = generator.generate([label] * columns, derive_seed(split.seed, "picture", label))
        rows[f"{name}: real"] = list(images[labels == label][:columns])
        rows[f"{name}: generated"] = [example["image"] for example in generated]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_grid(path, rows)
