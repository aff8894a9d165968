"""Text classifiers by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from hf_augment.evaluation.robustness import Predict
from hf_augment.judges.classifier import ClassifierJudge
from hf_augment.perturbations.easy_augmentation import TokenAugmentation
from hf_augment.perturbations.text import TEXT_PERTURBATIONS, perturb_texts
from hf_augment.study.arms import Classifier
from hf_augment.study.sources import resolve
from hf_augment.study.text_settings import TextExperimentArguments
from hf_augment.training.trainer import AugmentingTrainer


class TextClassifier(Classifier):
    """
    A sequence classifier by name: its tokenizer, and a fresh model for every run.

    Args:
        args (`TextExperimentArguments`):
            `model`, `dropout` and `max_length` of it.
        label_names (`Sequence[str]`):
            The classes.
    """

    perturbations = TEXT_PERTURBATIONS

    def __init__(self, args: TextExperimentArguments, label_names: Sequence[str]) -> None:
        self.name, self.max_length = resolve(args.model), args.max_length
        try:
            self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(self.name, trust_remote_code=False)
            self.config = AutoConfig.from_pretrained(
                self.name,
                trust_remote_code=False,
                id2label=dict(enumerate(label_names)),
                label2id={name: i for i, name in enumerate(label_names)},
            )
        except OSError as error:
            raise OSError(
                f"model={args.model!r} is no model folder here and could not be loaded from the Hub: check the name "
                "and the network, or pass a local folder."
            ) from error
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"):
            if hasattr(self.config, name):
                setattr(self.config, name, args.dropout)
        self.processing_class = self.tokenizer

    def new_model(self, seed: int) -> PreTrainedModel:
        """The pretrained weights and a new head, drawn from `seed`."""
        set_seed(seed)
        return AutoModelForSequenceClassification.from_pretrained(
            self.name, config=copy.deepcopy(self.config), trust_remote_code=False, dtype=torch.float32
        )

    def tokenize(self, columns: dict[str, list[Any]]) -> dict[str, Any]:
        """The function of `Dataset.map(batched=True)`, for real and synthetic rows."""
        return dict(self.tokenizer(columns["text"], truncation=True, max_length=self.max_length))

    @property
    def preprocess(self) -> Callable[..., Any]:
        """Tokenising."""
        return self.tokenize

    def collator(self, augment: str | None) -> Any:
        """Pads; `"eda"` swaps, leaves out and repeats words of every training row."""
        padding = DataCollatorWithPadding(self.tokenizer)
        if augment != "eda":
            return padding
        # Some tokenizers do not know how much the model reads.
        reads = getattr(self.config, "max_position_embeddings", None) or self.tokenizer.model_max_length
        longest = min(self.tokenizer.model_max_length, reads)
        return TokenAugmentation(padding, self.tokenizer, max_length=longest)

    def perturb(self, values: Sequence[str], name: str, severity: int, seed: int) -> list[str]:
        """See [`perturb_texts`]."""
        return perturb_texts(values, name, severity, seed)

    def values(self, dataset: datasets.Dataset) -> list[str]:
        """The texts."""
        return dataset["text"][:]

    def prepare(self, values: Sequence[str]) -> datasets.Dataset:
        """Tokenised texts."""
        return datasets.Dataset.from_dict(self.tokenize({"text": list(values)}))

    def predict(self, trainer: AugmentingTrainer) -> Predict:
        """In the order of their lengths, which spares padding."""
        predict = super().predict(trainer)

        def sorted_predict(values: Sequence[str]) -> np.ndarray:
            order = np.argsort([len(value) for value in values], kind="stable")
            logits = np.asarray(predict([values[i] for i in order]))
            return logits[np.argsort(order, kind="stable")]

        return sorted_predict

    def rows(self, dataset: datasets.Dataset, description: str) -> datasets.Dataset:
        """Tokenised rows."""
        return dataset.map(self.tokenize, batched=True, keep_in_memory=True, desc=f"Tokenising {description}")

    def as_judge(self, folder: Path) -> ClassifierJudge:
        """A trained model of this kind, as a judge of candidates."""
        model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False)
        return ClassifierJudge(model, self.tokenizer, max_length=self.max_length)
