"""Self-BLEU, in the format of the `evaluate` library: loaded from its folder, so it needs no network."""

from collections import Counter
from collections.abc import Sequence

import datasets
import evaluate
from sacrebleu.metrics import BLEU
from sacrebleu.metrics.helpers import extract_all_word_ngrams

from hf_augment.words import separate


_DESCRIPTION = """
Self-BLEU is the mean BLEU of each text with all the other texts as its references. It is near 1 where texts repeat
each other and near 0 where they share little.
"""

_KWARGS_DESCRIPTION = """
Zhu et al. 2018 (Texygen, where the metric is introduced). As there, BLEU is of sentences with the first smoothing of
Chen and Cherry 2014 (no match counts as 0.1); tokens and n-grams are those of sacreBLEU, and a text with fewer than
`max_order` tokens is scored on the n-grams that it has.

Example:

```python
>>> from hf_augment.metrics.loading import load_metric
>>> self_bleu = load_metric("self_bleu")
>>> self_bleu.compute(data=["the film was a joy to watch", "the film was a joy to watch"])
{'self_bleu': 1.0}
>>> self_bleu.compute(data=["the film was a joy to watch", "nobody laughed at all"])
{'self_bleu': 0.0}
```

Args:
    data (`list[str]`): The texts, two or more.
    max_order (`int`, *optional*, defaults to `4`):
        The longest n-grams that BLEU compares, one or more; Texygen reports 2 to 5.
    max_texts (`int`, *optional*, defaults to `200`):
        The largest number of texts to compare, two or more. From a longer list, that many are chosen evenly spaced,
        the first and the last among them. The score rises with the number of texts: compare scores over equally many.
    tokenize (`str`, *optional*, defaults to `"13a"`):
        The tokenizer of sacreBLEU: `"13a"`, `"intl"`, `"char"`, `"zh"` or `"none"` (white space), for instance. With
        `"13a"`, `"intl"` and `"none"`, characters of scripts without spaces are tokens of their own.

Returns:
    `dict[str, float]`: `self_bleu`, in `[0, 1]`; less is more diverse.

Raises:
    `ValueError`: If there are fewer than two texts, one of them is `None`, `max_order` is less than one or `max_texts`
        less than two.
"""

_CITATION = """
@inproceedings{zhu2018texygen,
    title={Texygen: A Benchmarking Platform for Text Generation Models},
    author={Zhu, Yaoming and Lu, Sidi and Zheng, Lei and Guo, Jiaxian and Zhang, Weinan and Wang, Jun and Yu, Yong},
    booktitle={Proceedings of the 41st International ACM SIGIR Conference},
    pages={1097--1100},
    year={2018}
}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class SelfBleu(evaluate.Measurement):
    def _info(self) -> evaluate.MeasurementInfo:
        return evaluate.MeasurementInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features({"data": datasets.Value("string")}),
            reference_urls=["https://arxiv.org/abs/1802.01886", "https://github.com/mjpost/sacrebleu"],
        )

    def _compute(
        self, data: Sequence[str], max_order: int = 4, max_texts: int = 200, tokenize: str = "13a"
    ) -> dict[str, float]:
        if max_order < 1:
            raise ValueError(f"`max_order` is {max_order}. Give the longest n-grams to compare, one or more.")
        if max_texts < 2:
            raise ValueError(
                f"`max_texts` is {max_texts}. Give two or more, as each text is compared with the others."
            )
        if len(data) < 2:
            raise ValueError(f"`data` has {len(data)} text(s). Give two or more: each is compared with the others.")
        if None in data:
            raise ValueError(f"`data[{list(data).index(None)}]` is None. Drop missing texts first.")  # type: ignore
        tokenizer = BLEU(tokenize=tokenize).tokenizer
        chosen = _evenly_spaced(data, max_texts)
        if tokenize in ("13a", "intl", "none"):
            chosen = [separate(text) for text in chosen]
        texts = [tokenizer(text.rstrip()) for text in chosen]
        return {"self_bleu": _mean_leave_one_out_bleu(texts, max_order)}


def _evenly_spaced(texts: Sequence[str], max_texts: int) -> Sequence[str]:
    if len(texts) <= max_texts:
        return texts
    return [texts[index * (len(texts) - 1) // (max_texts - 1)] for index in range(max_texts)]


def _mean_leave_one_out_bleu(texts: Sequence[str], max_order: int) -> float:
    """
    Gives what `BLEU.sentence_score` of each text against the others gives, in time linear in the texts' lengths.

    BLEU clips an n-gram's count to the largest in any reference. Over all texts but one, that is the largest of all,
    or the second largest for a text that holds the largest itself; so two counts for each n-gram do for every text.
    """
    counted = [extract_all_word_ngrams(text, 1, max_order) for text in texts]
    two_largest: dict[tuple[str, ...], tuple[int, int]] = {}
    for ngrams, _ in counted:
        for ngram, count in ngrams.items():
            largest, second = two_largest.get(ngram, (0, 0))
            two_largest[ngram] = (count, largest) if count > largest else (largest, max(second, count))
    lengths = Counter(length for _, length in counted)
    total_score = 0.0
    for ngrams, length in counted:
        matches, totals = [0] * max_order, [0] * max_order
        for ngram, count in ngrams.items():
            largest, second = two_largest[ngram]
            totals[len(ngram) - 1] += count
            matches[len(ngram) - 1] += min(count, second if count == largest else largest)
        bleu = BLEU.compute_bleu(
            matches,
            totals,
            sys_len=length,
            ref_len=_closest_other_length(length, lengths),
            smooth_method="floor",
            effective_order=True,
            max_ngram_order=max_order,
        )
        total_score += bleu.score
    # sacreBLEU's scores are percentages, whose rounding may exceed 100 by a hair.
    return min(total_score / len(texts) / 100, 1.0)


def _closest_other_length(length: int, lengths: Counter[int]) -> int:
    """The brevity penalty's reference length: the closest to `length`, and of two as close the shorter."""
    others = (other for other, count in lengths.items() if other != length or count > 1)
    return min(others, key=lambda other: (abs(other - length), other))
