"""Classifiers as judges of raw examples: what they say of them, and what they see in them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hf_augment.checks import check_number, read_texts
from hf_augment.fingerprints import texts_digest, weights_fingerprint
from hf_augment.images.arrays import read_images
from hf_augment.label_sets import memberships
from hf_augment.text_pairs import split_pairs


#: Examples in, an array `(n, num_labels)` of probabilities out.
Judge = Callable[[Sequence[dict[str, Any]]], ArrayLike]


class _ModelJudge(ABC):
    """A transformers classifier applied to raw examples in batches; a subclass says what it reads of them."""

    def __init__(self, model: Any, batch_size: int, label_sets: Sequence[str] | None = None) -> None:
        check_number("batch_size", batch_size, 1, whole=True, hint="It is a number of examples.")
        config = model.config
        kinds = (None, "single_label_classification") if label_sets is None else ("multi_label_classification",)
        if config.num_labels < 2 or config.problem_type not in kinds:
            raise ValueError(
                f"`model` must choose one of two or more classes, but has num_labels={config.num_labels} and "
                f"problem_type={config.problem_type!r}. Load it with `num_labels=` of the dataset; one whose labels "
                "are independent (multi_label_classification) judges sets of them, if they are given as `label_sets`."
            )
        self.model = model
        self.batch_size = batch_size
        self.label_names = tuple(config.id2label[label] for label in range(config.num_labels))
        self._sets: torch.Tensor | None = None
        if label_sets is not None:
            self._sets = torch.from_numpy(memberships(label_sets, self.label_names)).float()
            self.label_names = tuple(label_sets)

    @abstractmethod
    def _inputs(self, examples: Sequence[dict[str, Any]]) -> Any:
        """Returns the model's inputs for one batch: a mapping of tensors that has a method `to`."""

    @torch.no_grad()
    def __call__(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """The probabilities of the classes, `(n, num_labels)` in `float32`."""
        self.model.eval()
        rows = [np.empty((0, len(self.label_names)), dtype=np.float32)]
        for start in range(0, len(examples), self.batch_size):
            inputs = self._inputs(examples[start : start + self.batch_size])
            rows.append(self.probabilities(self.model(**inputs.to(self.model.device)).logits))
        return np.concatenate(rows)

    def probabilities(self, logits: torch.Tensor) -> np.ndarray:
        """The probabilities of the classes, in `float32`, by what the model says."""
        scores = logits.float()
        if self._sets is not None:
            # The logarithm of a set's product, but for a term that all sets share.
            scores = scores @ self._sets.to(scores.device).T
        return scores.softmax(-1).cpu().numpy()

    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the judge by all that its answers depend on."""


class ClassifierJudge(_ModelJudge):
    """
    A transformers model for sequence classification as the judge of [`LabelAgreement`].

    It has its own copy of the tokenizer, because a fast tokenizer used by two threads truncates wrongly without an
    error. The model is not copied: give one that nobody trains in the meantime.

    Of independent labels with the probabilities `p`, a set has the product of `p` of its labels and `1 - p` of the
    others, and what the judge tells is its share among `label_sets`. The product alone is small wherever there are
    many labels, and the mean over labels is near 1 for a set that has none of the right ones.

    Example:

    ```python
    >>> from transformers import AutoModelForSequenceClassification, AutoTokenizer
    >>> from hf_augment import ClassifierJudge, LabelAgreement

    >>> model = AutoModelForSequenceClassification.from_pretrained("my-judge")  # doctest: +SKIP
    >>> tokenizer = AutoTokenizer.from_pretrained("my-judge")  # doctest: +SKIP
    >>> agreement = LabelAgreement(ClassifierJudge(model, tokenizer), min_probability=0.8)  # doctest: +SKIP
    ```

    Args:
        model (`transformers.PreTrainedModel`):
            With a head for two or more classes, exclusive unless there are `label_sets`. It stays on its device and is
            put into evaluation mode.
        tokenizer (`transformers.PreTrainedTokenizerBase`): The model's tokenizer.
        text_column (`str`, *optional*, defaults to `"text"`): The column to read.
        max_length (`int`, *optional*, defaults to `128`): In tokens, one or more. Longer texts are cut.
        batch_size (`int`, *optional*, defaults to `64`): One or more.
        label_sets (`Sequence[str]`, *optional*):
            For a model of independent labels: the sets of them that it chooses among ([`~hf_augment.label_sets`]).
        pairs (`bool`, *optional*, defaults to `False`):
            Whether a text is a pair of which the model reads both ([`~hf_augment.text_pairs`]).

    Attributes:
        label_names (`tuple[str, ...]`): The classes in the order of the model's configuration, or `label_sets`.

    Raises:
        `ValueError`: If a number is out of range, the model has one output only, or independent ones without
            `label_sets`, or these have labels that are not the model's.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        text_column: str = "text",
        max_length: int = 128,
        batch_size: int = 64,
        label_sets: Sequence[str] | None = None,
        pairs: bool = False,
    ) -> None:
        check_number("max_length", max_length, 1, whole=True, hint="It is a number of tokens.")
        super().__init__(model, batch_size, label_sets)
        self.tokenizer = copy.deepcopy(tokenizer)
        self.text_column = text_column
        self.max_length, self.pairs = max_length, pairs

    def _inputs(self, examples: Sequence[dict[str, Any]]) -> Any:
        texts = read_texts(examples, self.text_column)
        parts = split_pairs(texts) if self.pairs else (texts,)
        return self.tokenizer(*parts, truncation=True, max_length=self.max_length, padding=True, return_tensors="pt")

    def fingerprint(self) -> str:
        """Identifies the judge by its weights, vocabulary and settings."""
        vocabulary = self.tokenizer.get_vocab()
        tokens = texts_digest(sorted(vocabulary, key=vocabulary.__getitem__))
        sets = "" if self._sets is None else f"-{texts_digest(self.label_names)}"
        sets += "-pairs" if self.pairs else ""
        return f"{weights_fingerprint(self.model)}-{tokens}-{self.text_column}-{self.max_length}{sets}"


class ImageClassifierJudge(_ModelJudge):
    """
    A transformers model for image classification as the judge of [`LabelAgreement`]. The model is not copied: give one
    that nobody trains in the meantime.

    Example:

    ```python
    >>> import numpy as np
    >>> from transformers import ViTImageProcessor
    >>> from hf_augment import ImageClassifierJudge, SmallResNetForImageClassification

    >>> model = SmallResNetForImageClassification.build([str(digit) for digit in range(10)], num_channels=1, width=2)
    >>> processor = ViTImageProcessor(do_resize=False, image_mean=[0.5], image_std=[0.5])
    >>> ImageClassifierJudge(model, processor)([{"image": np.zeros((28, 28, 1), dtype=np.uint8)}]).shape
    (1, 10)
    ```

    Args:
        model (`transformers.PreTrainedModel`):
            With a head for two or more exclusive classes. It stays on its device and is put into evaluation mode.
        image_processor (`transformers.BaseImageProcessor`):
            The processor that made the model's inputs when it was trained; for grey images with one mean and
            deviation.
        image_column (`str`, *optional*, defaults to `"image"`):
            The column to read, with images as [`stack_images`] takes them, all of one size.
        batch_size (`int`, *optional*, defaults to `256`): One or more.

    Attributes:
        label_names (`tuple[str, ...]`): The classes in the order of the model's configuration.

    Raises:
        `ValueError`: If `batch_size` is out of range or the model has one output only or independent ones; when
            called, if the column is missing or holds something else than images.
    """

    def __init__(self, model: Any, image_processor: Any, image_column: str = "image", batch_size: int = 256) -> None:
        super().__init__(model, batch_size)
        self.image_processor = image_processor
        self.image_column = image_column

    def _inputs(self, examples: Sequence[dict[str, Any]]) -> Any:
        images = list(read_images(examples, self.image_column))
        # Said, because it cannot be guessed of an image that is three pixels high.
        inputs = self.image_processor(images=images, return_tensors="pt", input_data_format="channels_last")
        return inputs.to(self.model.dtype)

    def fingerprint(self) -> str:
        """Identifies the judge by its weights, its image processor's settings and its column."""
        settings = texts_digest([self.image_processor.to_json_string()])
        return f"{weights_fingerprint(self.model)}-{settings}-{self.image_column}"


class ClassifierFeatures:
    """
    Features of an example as a classifier sees it: the vector that enters its last linear layer.

    Distances between such vectors are small between examples that differ in what the classifier learned to overlook
    (Zhang et al. 2018, *The unreasonable effectiveness of deep features as a perceptual metric*). What it never
    learned to see, they do not show.

    Example:

    ```python
    >>> import numpy as np
    >>> from transformers import ViTImageProcessor
    >>> from hf_augment import ClassifierFeatures, ImageClassifierJudge, SmallResNetForImageClassification

    >>> model = SmallResNetForImageClassification.build(["cat", "dog"], num_channels=1, width=2)
    >>> processor = ViTImageProcessor(do_resize=False, image_mean=[0.5], image_std=[0.5])
    >>> features = ClassifierFeatures(ImageClassifierJudge(model, processor))
    >>> features([{"image": np.zeros((28, 28, 1), dtype=np.uint8)}]).shape
    (1, 16)
    ```

    Args:
        judge (`ClassifierJudge` or `ImageClassifierJudge`):
            The classifier. Use it in one thread at a time: another thread's examples would be taken for one's own.

    Attributes:
        head (`torch.nn.Linear`): The layer that reads them.

    Raises:
        `ValueError`: If the model has no `torch.nn.Linear` with an output for each class; when called, if that layer
            does not read one vector for each example.
    """

    def __init__(self, judge: ClassifierJudge | ImageClassifierJudge) -> None:
        classes = judge.model.config.num_labels
        linear = [module for module in judge.model.modules() if isinstance(module, torch.nn.Linear)]
        heads = [module for module in linear if module.out_features == classes]
        if not heads:
            raise ValueError(
                f"`judge` must have a model that ends in a `torch.nn.Linear` with {classes} outputs, but its "
                f"linear layers have {[module.out_features for module in linear]}. Write a function of examples."
            )
        self.judge = judge
        self.head = heads[-1]

    def __call__(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """The vectors, `(n, d)` in `float32`, where `d` is the number of inputs of the last linear layer."""
        batches: list[np.ndarray] = []

        def keep(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            batches.append(inputs[0].float().cpu().numpy())

        hook = self.head.register_forward_pre_hook(keep)
        try:
            self.judge(examples)
        finally:
            hook.remove()
        # Heads that score every token, and heads that are used twice.
        if any(batch.ndim != 2 for batch in batches) or sum(map(len, batches)) != len(examples):
            raise ValueError(
                f"`judge` must have a model whose last linear layer reads one vector for each of {len(examples)} "
                f"examples, but it reads {[batch.shape for batch in batches][:2]}. Write a function of examples."
            )
        return np.concatenate([np.empty((0, self.head.in_features), dtype=np.float32), *batches])

    @torch.no_grad()
    def judge_read(self, read: np.ndarray) -> np.ndarray:
        """What the classifier says of examples by such vectors of theirs: `(n, num_labels)` in `float32`."""
        weight = self.head.weight
        return self.judge.probabilities(self.head(torch.as_tensor(read, dtype=weight.dtype, device=weight.device)))

    def fingerprint(self) -> str:
        """Identifies the features by their classifier."""
        return f"features({self.judge.fingerprint()})"
