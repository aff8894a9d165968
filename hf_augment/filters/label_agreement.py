"""The filter that asks a classifier whether a candidate is of the class it was asked to be, and whom it may ask."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.feature_extraction.text import TfidfVectorizer

from hf_augment.filters.acceptance import Acceptance, check_target_acceptance
from hf_augment.filters.base import Filter, Verdict
from hf_augment.filters.checks import check_number, check_texts, read_texts
from hf_augment.filters.fingerprints import callable_fingerprint, texts_digest
from hf_augment.schema import weights_fingerprint


#: Examples in, an array `(n, num_labels)` of probabilities out.
Reference = Callable[[Sequence[dict[str, Any]]], ArrayLike]


class LabelAgreement(Filter):
    """
    Accepts candidates whose requested label a reference classifier finds likely enough.

    The score is the reference's probability of the requested label. All probabilities go into
    `Verdict.label_probabilities`, so they can serve as a soft label.

    Example:

    ```python
    >>> from hf_augment import LabelAgreement

    >>> def reference(examples):
    ...     return [[0.91, 0.09] if "dull" in example["text"] else [0.2, 0.8] for example in examples]

    >>> agreement = LabelAgreement(reference, label_names=["neg", "pos"])
    >>> verdicts = agreement.judge([{"text": "A dull film."}, {"text": "A dull plot."}], labels=[0, 1])
    >>> [(verdict.accepted, verdict.reason) for verdict in verdicts]
    [(True, 'reference says neg (0.91)'), (False, 'reference says neg (0.91)')]
    ```

    Args:
        reference (`Callable`):
            Takes a sequence of examples and returns an array `(n, num_labels)` of probabilities, such as a
            [`ClassifierReference`]. Its `fingerprint()` becomes part of the filter's; without one, it is known by its
            name only.
        min_probability (`float`, *optional*, defaults to `0.5`):
            In `[0, 1]`. Candidates with at least this score are accepted. Not together with `target_acceptance`.
        target_acceptance (`float`, *optional*):
            In `(0, 1]`. Accepts this share of each call's candidates, those with the best scores, rounded up; of equal
            scores the first.
        label_names (`Sequence[str]`, *optional*):
            The generator's classes in order, for the verdicts' reasons and to check the reference's own order.

    Raises:
        `ValueError`: If an argument is out of range, both thresholds are given, or the reference orders the same class
            names differently; from `judge`, if the reference returns anything else than one row of probabilities for
            each candidate.
    """

    name = "label_agreement"
    gives_label_probabilities = True

    def __init__(
        self,
        reference: Reference,
        min_probability: float | None = None,
        target_acceptance: float | None = None,
        label_names: Sequence[str] | None = None,
    ) -> None:
        if not callable(reference):
            raise ValueError(
                f"`reference` must be callable, but is {reference!r}. Wrap a model in `ClassifierReference(model, "
                "tokenizer)`, or give a function of examples."
            )
        check_target_acceptance("min_probability", min_probability, target_acceptance)
        threshold = None
        if target_acceptance is None:
            threshold = 0.5 if min_probability is None else min_probability
            check_number("min_probability", threshold, 0, 1, hint="It is a probability.")
            threshold = float(threshold)
        self.reference = reference
        self.acceptance = Acceptance(threshold, target_acceptance)
        self.label_names = None if label_names is None else list(label_names)
        theirs = getattr(reference, "label_names", None)
        if self.label_names and theirs and set(theirs) == set(self.label_names) and list(theirs) != self.label_names:
            raise ValueError(
                f"`label_names` is {self.label_names}, but the reference has {list(theirs)}: its probabilities would "
                "be taken for other classes. Use one order for the dataset, the generator and the reference."
            )

    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        """See [`Filter.judge`]."""
        if not examples:
            return []
        probabilities = self._ask(examples)
        if min(labels) < 0 or max(labels) >= probabilities.shape[1]:
            raise ValueError(
                f"`labels` go from {min(labels)} to {max(labels)}, but the reference knows {probabilities.shape[1]} "
                "classes. Use a reference that was trained on the generator's classes."
            )
        scores = probabilities[np.arange(len(labels)), np.asarray(labels)]
        return [
            Verdict(bool(accepted), float(score), self._reason(row), tuple(row.tolist()))
            for accepted, score, row in zip(self.acceptance.choose(scores), scores, probabilities, strict=True)
        ]

    def _ask(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """The reference's probabilities, checked."""
        probabilities = np.asarray(self.reference(examples), dtype=np.float64)
        classes = len(self.label_names) if self.label_names else None
        if (
            probabilities.ndim != 2
            or len(probabilities) != len(examples)
            or (classes and probabilities.shape[1] != classes)
        ):
            raise ValueError(
                f"`reference` must return an array of shape ({len(examples)}, {classes or 'num_labels'}), but its "
                f"shape is {probabilities.shape}. Return one row of probabilities for each example."
            )
        # Written so that NaN fails too.
        if not (probabilities.min() >= 0 and np.abs(probabilities.sum(axis=1) - 1).max() <= 0.01):
            raise ValueError(
                "`reference` must return probabilities, zero or more and with a sum of 1 in each row, but returned "
                f"{probabilities[0].round(3).tolist()} first. Apply a softmax to logits."
            )
        return probabilities

    def _reason(self, probabilities: np.ndarray) -> str:
        best = int(probabilities.argmax())
        name = self.label_names[best] if self.label_names else f"class {best}"
        return f"reference says {name} ({probabilities[best]:.2f})"

    def fingerprint(self) -> str:
        """See [`Filter.fingerprint`]."""
        return f"{self.name}({self.acceptance}, reference={callable_fingerprint(self.reference)})"


class ClassifierReference:
    """
    A transformers model for sequence classification as the reference of [`LabelAgreement`].

    It has its own copy of the tokenizer, because a fast tokenizer used by two threads truncates wrongly without an
    error. The model is not copied: give one that nobody trains in the meantime.

    Example:

    ```python
    >>> from transformers import AutoModelForSequenceClassification, AutoTokenizer
    >>> from hf_augment import ClassifierReference, LabelAgreement

    >>> model = AutoModelForSequenceClassification.from_pretrained("my-reference")  # doctest: +SKIP
    >>> tokenizer = AutoTokenizer.from_pretrained("my-reference")  # doctest: +SKIP
    >>> agreement = LabelAgreement(ClassifierReference(model, tokenizer), min_probability=0.8)  # doctest: +SKIP
    ```

    Args:
        model (`transformers.PreTrainedModel`):
            With a head for two or more exclusive classes. It stays on its device and is put into evaluation mode.
        tokenizer (`transformers.PreTrainedTokenizerBase`):
            The model's tokenizer.
        text_column (`str`, *optional*, defaults to `"text"`):
            The column to read.
        max_length (`int`, *optional*, defaults to `128`):
            In tokens, one or more. Longer texts are cut.
        batch_size (`int`, *optional*, defaults to `64`):
            One or more.

    Attributes:
        label_names (`tuple[str, ...]`):
            The classes in the order of the model's configuration.

    Raises:
        `ValueError`: If a number is out of range or the model has one output only or independent ones.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        text_column: str = "text",
        max_length: int = 128,
        batch_size: int = 64,
    ) -> None:
        check_number("max_length", max_length, 1, whole=True, hint="It is a number of tokens.")
        check_number("batch_size", batch_size, 1, whole=True, hint="It is a number of examples.")
        config = model.config
        if config.num_labels < 2 or config.problem_type not in (None, "single_label_classification"):
            raise ValueError(
                f"`model` must choose one of two or more classes, but has num_labels={config.num_labels} and "
                f"problem_type={config.problem_type!r}. Load it with `num_labels=` of the dataset."
            )
        self.model = model
        self.tokenizer = copy.deepcopy(tokenizer)
        self.text_column = text_column
        self.max_length = max_length
        self.batch_size = batch_size
        self.label_names = tuple(config.id2label[label] for label in range(config.num_labels))

    @torch.no_grad()
    def __call__(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """The probabilities of the classes, `(n, num_labels)` in `float32`."""
        texts = read_texts(examples, self.text_column)
        self.model.eval()
        rows = [np.empty((0, len(self.label_names)), dtype=np.float32)]
        for start in range(0, len(texts), self.batch_size):
            batch = self.tokenizer(
                texts[start : start + self.batch_size],
                truncation=True,
                max_length=self.max_length,
                padding=True,
                return_tensors="pt",
            )
            logits = self.model(**batch.to(self.model.device)).logits
            rows.append(logits.float().softmax(-1).cpu().numpy())
        return np.concatenate(rows)

    def fingerprint(self) -> str:
        """Identifies the reference by its weights, vocabulary and settings."""
        vocabulary = self.tokenizer.get_vocab()
        tokens = texts_digest(sorted(vocabulary, key=vocabulary.__getitem__))
        return f"{weights_fingerprint(self.model)}-{tokens}-{self.text_column}-{self.max_length}"


class OutOfFoldReference:
    """
    Several classifiers as one reference, for when the generator and the reference learn from the same rows.

    A classifier is sure of the rows it was trained on, right or wrong; if the generator has memorised one, its label
    would be confirmed by a judge who knows the answer by heart. So classifier `k` is trained on all rows but those of
    fold `k`, and a candidate is judged by the one that has not seen the candidate's nearest row: the same text, else
    the highest cosine of TF-IDF word vectors, of equal ones the first.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import OutOfFoldReference

    >>> first = lambda examples: np.tile([0.9, 0.1], (len(examples), 1))
    >>> second = lambda examples: np.tile([0.3, 0.7], (len(examples), 1))
    >>> reference = OutOfFoldReference([first, second], folds=[["a dull film"], ["a bright story"]])
    >>> reference([{"text": "a very bright story"}, {"text": "such a dull one"}]).tolist()
    [[0.3, 0.7], [0.9, 0.1]]
    ```

    Args:
        references (`Sequence[Callable]`):
            At least two, each like the `reference` of [`LabelAgreement`]; `references[k]` was trained without
            `folds[k]`.
        folds (`Sequence[Sequence[str]]`):
            The texts of all training rows, as many folds as references. Equal texts must be in one fold.
        text_column (`str`, *optional*, defaults to `"text"`):
            The column of the candidates to compare.

    Raises:
        `ValueError`: If the lengths differ, a fold is empty, or a text is in two folds.
    """

    #: Candidates compared with all rows at a time: the cosines of 64 with 25,000 rows are 13 MB.
    _CHUNK = 64

    def __init__(
        self, references: Sequence[Reference], folds: Sequence[Sequence[str]], text_column: str = "text"
    ) -> None:
        if len(references) < 2 or len(references) != len(folds):
            raise ValueError(
                f"`references` and `folds` must be equally many and at least 2, but are {len(references)} and "
                f"{len(folds)}. Give each classifier the fold it was not trained on."
            )
        texts = [check_texts(f"folds[{fold}]", rows) for fold, rows in enumerate(folds)]
        self._fold_of_text: dict[str, int] = {}
        for fold, rows in enumerate(texts):
            for row in rows:
                if self._fold_of_text.setdefault(row, fold) != fold:
                    raise ValueError(
                        f"`folds` must not share a text, but folds {self._fold_of_text[row]} and {fold} both have "
                        f"{row[:60]!r}. Drop duplicates, or keep them in one fold (scikit-learn's `GroupKFold`)."
                    )
        self.references = list(references)
        self.text_column = text_column
        self._fold_of_row = np.repeat(np.arange(len(texts)), [len(rows) for rows in texts])
        self._vectorizer = TfidfVectorizer(token_pattern=r"\w+", dtype=np.float32)
        self._rows = self._vectorizer.fit_transform([row for rows in texts for row in rows]).T.tocsr()
        self._digest = texts_digest(f"{fold} {row}" for fold, rows in enumerate(texts) for row in rows)

    def folds_of(self, examples: Sequence[dict[str, Any]]) -> list[int]:
        """The fold of the training row nearest to each example."""
        texts = read_texts(examples, self.text_column)
        folds: list[int] = []
        for start in range(0, len(texts), self._CHUNK):
            chunk = texts[start : start + self._CHUNK]
            cosines = (self._vectorizer.transform(chunk) @ self._rows).toarray()
            # Rounded, so that equal cosines are equal on every machine; argmax takes the first.
            nearest = self._fold_of_row[cosines.round(5).argmax(axis=1)]
            folds += [self._fold_of_text.get(text, int(fold)) for text, fold in zip(chunk, nearest, strict=True)]
        return folds

    def __call__(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """The probabilities of the classes, `(n, num_labels)`."""
        folds = self.folds_of(examples)
        rows: dict[int, np.ndarray] = {}
        for fold in sorted(set(folds)):
            members = [index for index, of in enumerate(folds) if of == fold]
            answers = np.asarray(self.references[fold]([examples[index] for index in members]))
            rows.update(zip(members, answers, strict=True))
        return np.array([rows[index] for index in range(len(examples))])

    def fingerprint(self) -> str:
        """Identifies the reference by its classifiers and folds."""
        return f"out_of_fold({', '.join(map(callable_fingerprint, self.references))}, folds={self._digest})"
