"""Rows without labels, labelled by a judge: those of which it is surest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import datasets
import numpy as np
from tqdm.auto import tqdm

from hf_augment.checks import check_number
from hf_augment.generators.dataset import examples_of
from hf_augment.judges.classifier import Judge


#: Rows that are judged at a time.
_CHUNK = 256
#: Columns that are added.
LABEL, PROBABILITY = "label", "label_probability"


def pseudo_label(
    dataset: datasets.Dataset,
    judge: Judge,
    label_names: Sequence[str],
    *,
    confident_share: float = 0.6,
    min_probability: float = 0.0,
) -> datasets.Dataset:
    """
    Labels rows by a judge (Lee 2013, *Pseudo-Label*), and keeps those of which it is surest.

    Of the rows that it takes for a class the surest are kept, of each class the same share: a bound that all classes
    share would leave little of those that the judge knows less well. What is kept is trained on like labelled rows,
    for example by a [`DatasetGenerator`], which shows it in the slots of synthetic examples.

    Example:

    ```python
    >>> import datasets
    >>> from hf_augment import DatasetGenerator, pseudo_label

    >>> def judge(examples):
    ...     return [[0.9, 0.1] if "dull" in e["text"] else [0.4, 0.6] for e in examples]

    >>> rows = datasets.Dataset.from_dict({"text": ["So dull.", "Bright.", "A dull plot."]})
    >>> kept = pseudo_label(rows, judge, ["neg", "pos"], confident_share=1.0)
    >>> kept.to_dict()
    {'text': ['So dull.', 'Bright.', 'A dull plot.'], 'label': [0, 1, 0], 'label_probability': [0.9, 0.6, 0.9]}
    >>> DatasetGenerator(kept.remove_columns("label_probability")).generate([1], seed=0)
    [{'text': 'Bright.'}]
    ```

    Args:
        dataset (`datasets.Dataset`): Rows with the columns that the judge reads, and none named as those added.
        judge (`Callable`): Takes a sequence of examples and returns an array `(n, num_labels)` of probabilities.
        label_names (`Sequence[str]`): The judge's classes, in order.
        confident_share (`float`, *optional*, defaults to `0.6`):
            In `(0, 1]`. The share that is kept of the rows of each class, rounded up.
        min_probability (`float`, *optional*, defaults to `0.0`): In `[0, 1]`. Rows with less are never kept.

    Returns:
        `datasets.Dataset`: The rows that were kept, in their order, with `label` (a `ClassLabel`) and
        `label_probability` (float64), which is the judge's.

    Raises:
        ValueError: If a number is out of range, a column is there already, or the judge knows other classes.
    """
    check_number("confident_share", confident_share, 0, 1, hint="It is a share of the rows of a class.")
    if confident_share == 0:
        raise ValueError("confident_share=0 keeps no row: pass a share in (0, 1].")
    check_number("min_probability", min_probability, 0, 1, hint="It is a probability.")
    if taken := sorted({LABEL, PROBABILITY} & set(dataset.column_names)):
        raise ValueError(f"dataset has the columns {taken}, which are added to rows without labels: remove them.")
    probabilities = _judged(dataset, judge, len(label_names))
    labels, sureness = probabilities.argmax(1), probabilities.max(1, initial=0.0)
    kept = []
    for label in range(len(label_names)):
        rows = np.flatnonzero(labels == label)
        # Stable, so that among equals the first are kept.
        # The tiny addend: what is 7 may be just above.
        count = math.ceil(confident_share * len(rows) - 1e-9)
        surest = rows[np.argsort(-sureness[rows], kind="stable")][:count]
        kept.append(surest[sureness[surest] >= min_probability])
    chosen = np.sort(np.concatenate(kept))
    found = dataset.select(chosen)
    found = found.add_column(LABEL, labels[chosen], feature=datasets.ClassLabel(names=list(label_names)))
    return found.add_column(PROBABILITY, sureness[chosen])


def _judged(dataset: datasets.Dataset, judge: Judge, classes: int) -> np.ndarray:
    """The judge's probabilities of all rows, float64 of shape `(rows, classes)`."""
    parts, dataset = [np.empty((0, classes))], dataset.with_format(None)
    with tqdm(total=len(dataset), desc="Labelling rows", unit="row", disable=len(dataset) <= _CHUNK) as progress:
        for start in range(0, len(dataset), _CHUNK):
            rows = range(start, min(start + _CHUNK, len(dataset)))
            part = np.asarray(judge(examples_of(dataset, rows)), dtype=np.float64)
            if part.shape != (len(rows), classes):
                raise ValueError(
                    f"judge returned an array of shape {part.shape} for {len(rows)} rows and {classes} label_names: "
                    "give a judge of these classes."
                )
            # Written so that NaN fails too.
            if not ((part >= 0) & (part <= 1)).all():
                raise ValueError(
                    f"judge returned {part[0].round(3).tolist()} first, which are no probabilities: apply a softmax."
                )
            parts.append(part)
            progress.update(len(rows))
    return np.concatenate(parts)
