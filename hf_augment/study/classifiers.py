"""The interface of a kind of classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import datasets
import numpy as np
import torch
import transformers
from accelerate import PartialState
from transformers import PreTrainedModel, TrainerCallback

from hf_augment.evaluation.robustness import Predict, predict_with_trainer
from hf_augment.fingerprints import images_digest, texts_digest, weights_fingerprint
from hf_augment.judges.classifier import ClassifierFeatures
from hf_augment.label_sets import memberships
from hf_augment.study.feature_cache import FeatureCache
from hf_augment.study.identity import identity_of
from hf_augment.study.probe import fit_head
from hf_augment.training.trainer import AugmentingTrainer


class Classifier(ABC):
    """
    A kind of classifier: a fresh model for every run, and what a trainer needs beside it.

    Attributes:
        kind (`str`): Column of its data, `"text"` or `"image"`.
        name (`str`): Name that a reader can look up.
        label_names (`Sequence[str]`): The classes, in the order of the integer labels.
        labels (`Sequence[str]`, *optional*): The labels that the classes are sets of, where rows have several.
        pairs (`bool`, defaults to `False`): Whether it reads pairs of texts.
        processing_class (`Any`):
            Tokenizer or image processor, as `Trainer(processing_class=...)`; saved with the model.
        perturbations (`Sequence[str]`): Names for `perturb`.
    """

    kind: ClassVar[str]
    name: str
    label_names: Sequence[str]
    labels: Sequence[str] | None = None
    pairs: bool = False
    processing_class: Any
    perturbations: ClassVar[Sequence[str]]

    def identity(self) -> dict[str, str]:
        """Returns the values that a model depends on before it is trained."""
        return identity_of("classifier", self)

    @abstractmethod
    def new_model(self, seed: int) -> PreTrainedModel:
        """Returns a model whose random weights are drawn from `seed`."""

    def begin(self, seed: int, train: datasets.Dataset) -> PreTrainedModel:
        """Returns the model with which a training on labelled rows begins: by default, one that knows none of them."""
        return self.new_model(seed)

    def frozen(self, seed: int) -> PreTrainedModel:
        """Returns the model of which a probe fits the last layer."""
        return self.new_model(seed)

    def probe(
        self, seed: int, *train: datasets.Dataset, of: Sequence[int] | np.ndarray | None = None
    ) -> PreTrainedModel:
        """
        Returns a model whose last layer alone is fitted to labelled rows, by default to all of them; see [`fit_head`].
        """
        features = self.features(seed)
        read = np.concatenate([self.read(features, rows) for rows in train])
        targets = np.concatenate([self.targets(rows) for rows in train])
        rows = np.arange(len(read)) if of is None else np.asarray(of)
        return fit_head(features, read[rows], targets[rows])

    @torch.no_grad()
    def features(self, seed: int) -> ClassifierFeatures:
        """Returns the features of which a probe fits the last layer, whose weights are 0 until then."""
        features = ClassifierFeatures(self.judge(self.frozen(seed).to(PartialState().device)))
        for weights in features.head.parameters():
            weights.zero_()
        return features

    def read(self, features: ClassifierFeatures, rows: datasets.Dataset) -> np.ndarray:
        """
        Returns what a layer that is to be fitted reads of rows. It is kept in [`Classifier.cache`] for the next model
        that is the same below that layer: a batch of other rows would round otherwise, so it is always of all rows at
        once.
        """
        weights = weights_fingerprint(features.judge.model)

        def name() -> str:
            versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
            return texts_digest([weights, str(self.identity()), versions, self.digest(rows)])

        def read() -> np.ndarray:
            return self.ask(lambda values: features([{self.kind: value} for value in values]), self.values(rows))

        return self.cache.get((weights, rows._fingerprint), name, read)

    @cached_property
    def cache(self) -> FeatureCache:
        """What was read; a study gives it a folder."""
        return FeatureCache()

    def digest(self, rows: datasets.Dataset) -> str:
        """Identifies the inputs of labelled rows."""
        values = self.values(rows)
        return images_digest(values) if isinstance(values, np.ndarray) else texts_digest(values)

    @abstractmethod
    def rows(self, dataset: datasets.Dataset, description: str) -> Any:
        """Returns labelled rows as a dataset for the trainer."""

    @abstractmethod
    def values(self, dataset: datasets.Dataset) -> Any:
        """Returns the inputs of labelled rows: texts, or uint8 images."""

    def targets(self, dataset: datasets.Dataset) -> np.ndarray:
        """
        Returns what a model of this kind is to say of labelled rows: their classes, int64 of shape `(rows,)`; where
        rows have several labels bool of shape `(rows, labels)`.
        """
        classes = np.array(dataset["label"][:])
        return classes if self.labels is None else memberships(dataset.features["label"].names, self.labels)[classes]

    def check(self, name: str, dataset: datasets.Dataset) -> None:  # noqa: B027 - texts have no shape
        """Raises a `ValueError` for rows, with their name, that this kind of classifier cannot read."""

    @abstractmethod
    def perturb(self, values: Any, name: str, severity: int, seed: int) -> Any:
        """Returns as many inputs, perturbed."""

    @abstractmethod
    def prepare(self, values: Sequence[Any]) -> Any:
        """Returns such inputs as a dataset for `trainer.predict`."""

    @abstractmethod
    def judge(self, model: PreTrainedModel) -> Any:
        """Returns a model of this kind as a judge of labels."""

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        """Saves a model with what `transformers.pipeline` needs beside it."""
        for part in (model, self.processing_class):
            part.save_pretrained(folder)

    @abstractmethod
    def as_judge(self, folder: Path) -> Any:
        """Returns a trained model that was saved in a folder as a judge of labels."""

    @abstractmethod
    def nearest_fold(self, folds: Sequence[datasets.Dataset], judge: Callable[[], Any]) -> Callable[..., Any]:
        """Returns what finds the fold of a candidate's nearest row, for [`OutOfFoldJudge`]; `judge` knows all rows."""

    @abstractmethod
    def collator(self, augment: str | None = None) -> Any:
        """
        Returns the data collator, with classic augmentation by name.

        Raises:
            ValueError: If the name is not known.
        """

    @property
    def preprocess(self) -> Callable[..., Any] | None:
        """The function that makes the model's columns from the raw ones, if `rows` have them."""
        return None

    def callbacks(self, model: PreTrainedModel) -> list[TrainerCallback]:
        """Returns callbacks for the training of a model of this kind."""
        return []

    def predict(self, trainer: AugmentingTrainer) -> Predict:
        """Returns the function that asks a trained model."""
        return partial(self.ask, predict_with_trainer(trainer, self.prepare))

    def ask(self, model: Predict, values: Any) -> np.ndarray:
        """Returns what a model answers about inputs, in their order."""
        return np.asarray(model(values))
