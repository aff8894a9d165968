"""What is in data, in short tables, and what is odd about them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from hf_augment.data.oddities import Finding, find_oddities
from hf_augment.data.opening import Data, texts_of
from hf_augment.data.splits import sample_rows
from hf_augment.words import split_words


#: Texts, of each part, whose words are counted.
COUNTED = 2000
#: Classes of which each end is shown.
_SHOWN = 6
#: The share of a text's letters from which it counts for a script.
_OF_SCRIPT = 0.1


@dataclass
class Summary:
    """
    What [`summarize`] found.

    Args:
        tables (`list[tuple[str, list[str], list[list[str]]]]`): Title, header and rows of each table.
        findings (`list[Finding]`): What is odd, warnings first.
    """

    tables: list[tuple[str, list[str], list[list[str]]]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def summarize(data: Data) -> Summary:
    """
    Counts rows by class, words or pixels, and looks for what is odd: classes of one row, two spellings of a class,
    texts with two labels, texts that give their label away, near copies of labelled texts among the test texts.

    Example:

    ```python
    from hf_augment import open_data
    from hf_augment.data.summary import summarize

    summary = summarize(open_data("tickets.csv"))
    print(*summary.findings, sep="\\n")
    ```

    Args:
        data ([`Data`]): What [`open_data`] returned.

    Returns:
        [`Summary`]
    """
    parts = {"labelled": data.train, "test": data.test}
    if data.unlabelled is not None:
        parts["unlabelled"] = data.unlabelled
    tables = [_rows_by_class(data)]
    if data.kind == "image":
        tables += _of_images(data)
    else:
        parts = {role: sample_rows(rows, COUNTED, 0) for role, rows in parts.items()}
        tables += _of_texts({role: texts_of(rows) for role, rows in parts.items()})
    return Summary(tables, find_oddities(data))


def _rows_by_class(data: Data) -> tuple[str, list[str], list[list[str]]]:
    train, test = data.counts(data.train), data.counts(data.test)
    order = sorted(range(len(train)), key=lambda i: (-train[i], data.label_names[i]))
    rows = [[data.label_names[i], str(train[i]), str(test[i])] for i in order]
    if len(rows) > 2 * _SHOWN + 1:
        rows[_SHOWN:-_SHOWN] = [[f"… {len(rows) - 2 * _SHOWN} more classes", "", ""]]
    total = ["all rows", str(len(data.train)), str(len(data.test))]
    if data.several:
        none = [str(sum(not labels for labels in part["labels"][:])) for part in (data.train, data.test)]
        rows.append(["none of them", *none])
    what = "labels, several in a row" if data.several else "classes"
    return f"{len(train)} {what}", ["class", "labelled", "test"], [*rows, total]


def _of_texts(parts: dict[str, list[str]]) -> list[tuple[str, list[str], list[list[str]]]]:
    rows = []
    for role, texts in parts.items():
        lengths = [len(split_words(text)) for text in texts]
        found = Counter(script for text in texts for script in _scripts(text))
        scripts = ", ".join(f"{name} {count / len(texts):.0%}" for name, count in found.most_common(5))
        rows.append([role, *(f"{q:.0f}" for q in np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1])), scripts or "none"])
    more = f" (of {COUNTED} of them at random)" if any(len(texts) == COUNTED for texts in parts.values()) else ""
    header = ["", "least", "quarter", "half", "three quarters", "most", "scripts, in how many texts"]
    return [(f"Words in a text{more}", header, rows)]


def _scripts(text: str) -> list[str]:
    """The scripts of which a text has a tenth of its letters or more."""
    found = Counter(_script(letter) for letter in text if letter.isalpha())
    return [name for name, count in found.items() if count >= _OF_SCRIPT * found.total()]


@lru_cache(maxsize=2**16)
def _script(letter: str) -> str:
    return unicodedata.name(letter, "unknown").partition(" ")[0].capitalize().replace("Cjk", "Chinese characters")


def _of_images(data: Data) -> list[tuple[str, list[str], list[list[str]]]]:
    height, width, channels = data.train.features["image"].shape
    rows = [["used as", f"{width}×{height} pixels, {'colour' if channels == 3 else 'grey'}"]]
    if data.forms is not None:
        sizes = np.array(list(data.forms.sizes.elements()))
        for side, lengths in zip(("width", "height"), sizes.T, strict=True):
            least, half, most = np.quantile(lengths, [0, 0.5, 1])
            rows.append([side, f"{least:.0f} to {most:.0f} pixels, half of them up to {half:.0f}"])
        for title, counter in (("mode", data.forms.modes), ("changed", data.forms.changes)):
            rows.append([title, ", ".join(f"{name}: {count}" for name, count in counter.most_common()) or "none"])
    return [("Images", ["", ""], rows)]
