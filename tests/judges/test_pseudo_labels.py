import datasets
import numpy as np
import pytest

from hf_augment import DatasetGenerator, pseudo_label


NAMES = ["neg", "pos"]
#: p(pos) of each row; by the last digit of its text.
POSITIVE = np.array([0.1, 0.9, 0.45, 0.6, 0.2, 0.8, 0.3])


def judge(examples):
    pos = POSITIVE[[int(example["text"][-1]) for example in examples]]
    return np.stack([1 - pos, pos], axis=1)


def rows(count=7, **more):
    return datasets.Dataset.from_dict({"text": [f"text {i % 7}" for i in range(count)]} | more)


def expected(share, least):
    """Naively: the rows of each class, sorted."""
    kept = []
    for label in (0, 1):
        sure = [(max(p, 1 - p), -i) for i, p in enumerate(POSITIVE) if int(p > 0.5) == label]
        sure.sort(reverse=True)
        kept += [-i for p, i in sure[: -(-len(sure) * share // 1).__int__()] if p >= least]
    return sorted(kept)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("least", [0.0, 0.7])
def test_of_each_class_the_surest_are_kept_in_the_order_of_the_rows(share, least):
    kept = pseudo_label(rows(), judge, NAMES, confident_share=share, min_probability=least)
    numbers = [int(text[-1]) for text in kept["text"]]
    assert numbers == expected(share, least)
    assert kept["label"][:] == [int(POSITIVE[i] > 0.5) for i in numbers]
    assert kept["label_probability"][:] == [max(POSITIVE[i], 1 - POSITIVE[i]) for i in numbers]
    assert kept.features["label"].names == NAMES


def test_rows_are_judged_in_parts_and_equals_keep_their_order():
    asked = []

    def note(examples):
        asked.append(len(examples))
        return np.tile([0.3, 0.7], (len(examples), 1))

    kept = pseudo_label(rows(600), note, NAMES, confident_share=0.01)
    assert asked == [256, 256, 88]
    assert kept["text"][:] == [f"text {i}" for i in range(6)]


def test_without_a_row_there_is_none():
    for kept in (pseudo_label(rows(0), judge, NAMES), pseudo_label(rows(), judge, NAMES, min_probability=1)):
        assert len(kept) == 0
        assert kept.features["label"].names == NAMES


def test_a_share_that_is_whole_is_not_rounded_up():
    def same(examples):
        return np.tile([0.3, 0.7], (len(examples), 1))

    assert len(pseudo_label(rows(100), same, NAMES, confident_share=0.07)) == 7


def test_arrays_stay_arrays():
    features = datasets.Features({"image": datasets.Array3D((2, 2, 3), "uint8")})
    images = [np.full((2, 2, 3), value, np.uint8) for value in (10, 200)]
    pictures = datasets.Dataset.from_dict({"image": images}, features)

    def bright(examples):
        assert all(example["image"].dtype == np.uint8 for example in examples)
        pos = [example["image"].mean() / 255 for example in examples]
        return [[1 - p, p] for p in pos]

    kept = pseudo_label(pictures, bright, NAMES, confident_share=1.0)
    assert kept["label"][:] == [0, 1]
    drawn = DatasetGenerator(kept.remove_columns("label_probability")).generate([1, 0], seed=0)
    assert [int(example["image"].mean()) for example in drawn] == [200, 10]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"confident_share": 0}, "confident_share=0 keeps no row"),
        ({"confident_share": 1.5}, "`confident_share` must be a number between 0 and 1"),
        ({"min_probability": -1}, "`min_probability` must be a number between 0 and 1"),
        ({"dataset": rows(label=[0] * 7)}, r"dataset has the columns \['label'\], which are added"),
        ({"judge": lambda examples: np.full((7, 2), np.nan)}, "which are no probabilities: apply a softmax"),
        ({"judge": lambda examples: np.full((7, 2), 5.0)}, r"judge returned \[5.0, 5.0\] first, which are no"),
        ({"label_names": ["a", "b", "c"]}, r"judge returned an array of shape \(7, 2\) for 7 rows and 3 label_names"),
    ],
)
def test_what_cannot_be_is_refused(change, told):
    given = {"dataset": rows(), "judge": judge, "label_names": NAMES} | change
    with pytest.raises(ValueError, match=told):
        pseudo_label(**given)
