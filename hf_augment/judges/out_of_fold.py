"""Several classifiers as one judge, of which the one that has not seen the nearest training row answers."""

from __future__ import annotations

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hf_augment.checks import check_texts, read_texts
from hf_augment.extras import optional_imports
from hf_augment.fingerprints import callable_fingerprint, texts_digest
from hf_augment.images.arrays import check_images
from hf_augment.judges.classifier import Judge
from hf_augment.neighbours.features import Features, RealFeatures
from hf_augment.words import split_units


with optional_imports("filters"):
    from sklearn.feature_extraction.text import TfidfVectorizer


class OutOfFoldJudge:
    """
    Several classifiers as one judge, for when the generator and the judge learn from the same rows.

    A classifier is sure of the rows it was trained on, right or wrong, and would confirm the label of one that the
    generator has memorised. So classifier `k` is trained on all rows but those of fold `k`, and a candidate is judged
    by the one that has not seen the candidate's nearest row.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import NearestTextFold, OutOfFoldJudge

    >>> first = lambda examples: np.tile([0.9, 0.1], (len(examples), 1))
    >>> second = lambda examples: np.tile([0.3, 0.7], (len(examples), 1))
    >>> judge = OutOfFoldJudge([first, second], NearestTextFold([["a dull film"], ["a bright story"]]))
    >>> judge([{"text": "a very bright story"}, {"text": "such a dull one"}]).tolist()
    [[0.3, 0.7], [0.9, 0.1]]
    ```

    Args:
        judges (`Sequence[Callable]`):
            At least two, each like the `judge` of [`LabelAgreement`]; `judges[k]` was trained without fold `k`.
        fold_of (`Callable`):
            Takes a sequence of examples and returns for each the fold of its nearest training row, such as a
            [`NearestTextFold`] or a [`NearestImageFold`]. Its `fingerprint()` becomes part of the judge's; without
            one, it is known by its name only.

    Raises:
        `ValueError`: If there are fewer than two judges, or another number than `fold_of` has folds; when called, if
            `fold_of` returns anything else than one fold for each example.
    """

    def __init__(self, judges: Sequence[Judge], fold_of: Callable[[Sequence[dict[str, Any]]], Sequence[int]]) -> None:
        if not callable(fold_of):
            raise ValueError(
                f"`fold_of` must be callable, but is {type(fold_of)}. Wrap the texts of the folds in "
                "`NearestTextFold(folds)`, or their images in `NearestImageFold(folds, features)`."
            )
        folds = getattr(fold_of, "num_folds", len(judges))
        if len(judges) < 2 or len(judges) != folds:
            raise ValueError(
                f"`judges` must be at least 2 and as many as the folds of `fold_of`, but are {len(judges)} "
                f"for {folds} folds. Give each classifier the fold it was not trained on."
            )
        self.judges = list(judges)
        self.fold_of = fold_of

    def __call__(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """The probabilities of the classes, `(n, num_labels)`."""
        folds = list(self.fold_of(examples))
        if len(folds) != len(examples) or not set(folds) <= set(range(len(self.judges))):
            raise ValueError(
                f"`fold_of` must return {len(examples)} numbers from 0 to {len(self.judges) - 1}, but returned "
                f"{len(folds)}, among them {sorted(set(folds))[:10]}. Return the fold of each example's nearest row."
            )
        rows: dict[int, np.ndarray] = {}
        for fold in sorted(set(folds)):
            members = [index for index, of in enumerate(folds) if of == fold]
            answers = np.asarray(self.judges[fold]([examples[index] for index in members]))
            rows.update(zip(members, answers, strict=True))
        return np.array([rows[index] for index in range(len(examples))])

    def fingerprint(self) -> str:
        """Identifies the judge by its classifiers and folds."""
        judges = ", ".join(map(callable_fingerprint, self.judges))
        return f"out_of_fold({judges}, fold_of={callable_fingerprint(self.fold_of)})"


class _NearestFold(ABC):
    """Finds the fold of the training row nearest to an example."""

    def __init__(self, sizes: Sequence[int], first_rows: np.ndarray, kind: str) -> None:
        self.num_folds = len(sizes)
        self._fold_of_row = np.repeat(np.arange(len(sizes)), sizes)
        for row in np.flatnonzero(self._fold_of_row[first_rows] != self._fold_of_row)[:1]:
            first = first_rows[row]
            raise ValueError(
                f"`folds` must not share an equal {kind}, but folds {self._fold_of_row[first]} and "
                f"{self._fold_of_row[row]} both have row {first} (counted through all folds), which is row {row} too. "
                "Drop duplicates, or keep them in one fold (scikit-learn's `GroupKFold`)."
            )

    def __call__(self, examples: Sequence[dict[str, Any]]) -> list[int]:
        """The fold of the training row nearest to each example."""
        return self._fold_of_row[self._nearest_rows(examples)].tolist()

    @abstractmethod
    def _nearest_rows(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """The row nearest to each example, counted through all folds; the first one that is equal, if there is one."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the folds by their rows and how they are compared."""


class NearestTextFold(_NearestFold):
    """
    The fold of the training text nearest to a text, for [`OutOfFoldJudge`]: the same text, else the highest cosine
    of TF-IDF vectors of words ([`~hf_augment.words`]), of equal ones the first.

    Example:

    ```python
    >>> from hf_augment import NearestTextFold

    >>> fold_of = NearestTextFold([["a dull film"], ["a bright story", "what music"]])
    >>> fold_of([{"text": "a very bright story"}, {"text": "such a dull one"}])
    [1, 0]
    ```

    Args:
        folds (`Sequence[Sequence[str]]`): The texts of all training rows. Equal texts must be in one fold.
        text_column (`str`, *optional*, defaults to `"text"`): The column of the candidates to compare.

    Attributes:
        num_folds (`int`): Number of folds.

    Raises:
        `ValueError`: If a fold is empty or holds something else than texts, or a text is in two folds.
    """

    #: Candidates compared with all rows at a time: the cosines of 64 with 25,000 rows are 13 MB.
    _CHUNK = 64

    def __init__(self, folds: Sequence[Sequence[str]], text_column: str = "text") -> None:
        checked = [check_texts(f"folds[{fold}]", rows) for fold, rows in enumerate(folds)]
        self._digest = texts_digest(f"{fold} {row}" for fold, rows in enumerate(checked) for row in rows)
        texts = [unicodedata.normalize("NFC", row) for rows in checked for row in rows]
        self._row_of: dict[str, int] = {}
        first_rows = np.array([self._row_of.setdefault(text, row) for row, text in enumerate(texts)])
        super().__init__([len(rows) for rows in checked], first_rows, "text")
        self.text_column = text_column
        self._vectorizer = TfidfVectorizer(analyzer=split_units, dtype=np.float32)
        self._rows = self._vectorizer.fit_transform(texts).T.tocsr()

    def _nearest_rows(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        texts = [unicodedata.normalize("NFC", text) for text in read_texts(examples, self.text_column)]
        rows: list[int] = []
        for start in range(0, len(texts), self._CHUNK):
            chunk = texts[start : start + self._CHUNK]
            cosines = (self._vectorizer.transform(chunk) @ self._rows).toarray()
            # Rounded, so that equal cosines are equal on every machine; argmax takes the first.
            nearest = cosines.round(5).argmax(axis=1)
            rows += [self._row_of.get(text, int(row)) for text, row in zip(chunk, nearest, strict=True)]
        return np.array(rows, dtype=np.int64)

    def fingerprint(self) -> str:
        """Identifies the folds by their texts and column."""
        return f"nearest_text({self._digest}, text_column={self.text_column!r})"


class NearestImageFold(_NearestFold):
    """
    The fold of the training image nearest to an image, for [`OutOfFoldJudge`]: the same image, else the nearest in
    a feature space.

    Example:

    ```python
    >>> import numpy as np
    >>> from hf_augment import NearestImageFold

    >>> brightness = lambda examples: [[example["image"].mean()] for example in examples]
    >>> dark, bright = np.full((1, 8, 8, 1), 10, np.uint8), np.full((1, 8, 8, 1), 200, np.uint8)
    >>> fold_of = NearestImageFold([dark, bright], brightness)
    >>> fold_of([{"image": np.full((8, 8, 1), 180, np.uint8)}])
    [1]
    ```

    Args:
        folds (`Sequence[np.ndarray]`):
            The images of all training rows, each fold uint8 of shape `(rows, height, width, channels)`. Equal images
            must be in one fold.
        features (`Callable`): As for [`RealFeatures`].
        image_column (`str`, *optional*, defaults to `"image"`): The column of the candidates to compare.

    Attributes:
        num_folds (`int`): Number of folds.

    Raises:
        `ValueError`: If a fold is no such array or is empty, the images are of several sizes, an image is in two
            folds, or as for [`RealFeatures`].
    """

    def __init__(self, folds: Sequence[np.ndarray], features: Features, image_column: str = "image") -> None:
        images = [check_images(f"folds[{fold}]", rows) for fold, rows in enumerate(folds)]
        for fold, rows in enumerate(images):
            if rows.shape[1:] != images[0].shape[1:]:
                raise ValueError(
                    f"`folds` must hold images of one size, but those of fold 0 are {images[0].shape[1:]} and those "
                    f"of fold {fold} are {rows.shape[1:]}. Bring all images to one size and mode."
                )
        self._sizes = [len(rows) for rows in images]
        self._real = RealFeatures(features, np.concatenate(images), image_column)
        super().__init__(self._sizes, self._real.first_rows, "image")

    def _nearest_rows(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        return self._real.nearest(examples).rows

    def fingerprint(self) -> str:
        """Identifies the folds by their images and features."""
        return f"nearest_image(sizes={self._sizes}, {self._real.fingerprint()})"
