"""Distinct-n, in the format of the `evaluate` library: loaded from its folder, so it needs no network."""

from collections.abc import Callable, Sequence

import datasets
import evaluate

from hf_augment.words import separate


_DESCRIPTION = """
Distinct-n is the number of distinct n-grams in a set of texts divided by the number of all their n-grams. It is near 1
where texts share little and near 0 where they repeat each other, and falls as texts are added: compare sets of equal
size only.
"""

_KWARGS_DESCRIPTION = """
Li et al. 2016, section 5, who divide by the number of tokens; dividing by the number of n-grams, as is usual since,
lets the score reach 1 for every n.

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> distinct = load_metric("distinct_n")
>>> distinct.compute(data=["a fine film", "a fine day"], n=[1, 2])
{'distinct_1': 0.6666666666666666, 'distinct_2': 0.75}
```

Args:
    data (`list[str]`): The texts, one or more. No n-gram spans two of them.
    n (`Sequence[int]`, *optional*, defaults to `(1, 2, 3)`): The lengths of n-grams to count, each one or more.
    tokenizer (`Callable[[str], Sequence[str]]`, *optional*):
        Splits a text into tokens; by default at white space, with case and punctuation kept, and around each
        character in scripts without spaces.

Returns:
    `dict[str, float]`: `distinct_1` and so on, one for each of `n`, in `[0, 1]`; more is more diverse. 0 where no text
        has n tokens.

Raises:
    `ValueError`: If there are no texts, one of them is `None`, or `n` is empty or holds less than one.
"""

_CITATION = """
@inproceedings{li2016diversity,
    title={A Diversity-Promoting Objective Function for Neural Conversation Models},
    author={Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill},
    booktitle={Proceedings of NAACL-HLT},
    pages={110--119},
    year={2016}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class DistinctN(evaluate.Measurement):
    def _info(self) -> evaluate.MeasurementInfo:
        return evaluate.MeasurementInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"data": datasets.Value("string")}),
            reference_urls=["https://aclanthology.org/N16-1014"],
        )

    def _compute(
        self,
        data: Sequence[str],
        n: Sequence[int] = (1, 2, 3),
        tokenizer: Callable[[str], Sequence[str]] | None = None,
    ) -> dict[str, float]:
        if not n or min(n) < 1:
            raise ValueError(
                f"`n` is {n!r}. Give the lengths of n-grams to count, each one or more, such as (1, 2, 3)."
            )
        if not data:
            raise ValueError("`data` is empty. Give one text or more.")
        if None in data:
            raise ValueError(f"`data[{list(data).index(None)}]` is None. Drop missing texts first.")  # type: ignore
        texts = [tuple(tokenizer(text) if tokenizer else separate(text).split()) for text in data]
        return {f"distinct_{order}": _distinct(texts, order) for order in n}


def _distinct(texts: Sequence[tuple[str, ...]], order: int) -> float:
    ngrams = [text[start : start + order] for text in texts for start in range(len(text) - order + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0
