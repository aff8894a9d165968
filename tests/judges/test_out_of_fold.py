"""Who has seen the nearest training row does not judge."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.judges.out_of_fold import NearestImageFold, NearestTextFold, OutOfFoldJudge


def texts(*values):
    return [{"text": value} for value in values]


def pictures(images):
    return [{"image": image} for image in images]


def dots(*values):
    """Images of two pixels, from pairs of numbers."""
    return np.array(values, dtype=np.uint8).reshape(-1, 1, 2, 1)


def pixels(examples):
    return np.array([example["image"].ravel() for example in examples], dtype=np.float64)


def saying(*rows):
    """A judge that says the same whatever it is asked."""
    return lambda asked: np.array(rows)


def judged_by(fold_of, folds, examples, key):
    """The fold of the judge of each example; every judge checks that it has not seen what it judges."""

    def trained_without(fold):
        def judge(asked):
            assert {key(example) for example in asked} <= set(folds[fold])
            return np.tile([fold, 1 - fold], (len(asked), 1))

        return judge

    judge = OutOfFoldJudge([trained_without(fold) for fold in range(len(folds))], fold_of)
    return judge(examples)[:, 0].tolist()


def split(rows, count):
    folds = [rows[fold::count] for fold in range(min(count, len(rows)))]
    shuffled = random.Random(0).sample(rows, len(rows))
    return folds, shuffled, [next(fold for fold, some in enumerate(folds) if row in some) for row in shuffled]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(" ".join), min_size=2, unique=True),
    st.integers(2, 4),
)
def test_a_memorised_text_is_never_judged_by_who_saw_it(rows, count):
    folds, shuffled, expected = split(rows, count)
    assert judged_by(NearestTextFold(folds), folds, texts(*shuffled), lambda e: e["text"]) == expected


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=2, max_size=30, unique=True),
    st.integers(2, 4),
    st.sampled_from([pixels, lambda examples: np.random.default_rng(0).random((len(examples), 2))]),
)
def test_a_memorised_image_is_never_judged_by_who_saw_it_whatever_the_features(rows, count, features):
    folds, shuffled, expected = split(rows, count)
    fold_of = NearestImageFold([dots(*fold) for fold in folds], features)
    judges = judged_by(fold_of, folds, pictures(dots(*shuffled)), lambda e: tuple(e["image"].ravel().tolist()))
    assert judges == expected


def test_the_nearest_text_chooses_the_judge():
    fold_of = NearestTextFold(
        [["a dull film", "such a long story"], ["a bright film", "what music"], ["a dull story"]]
    )
    assert fold_of(texts("bright bright film", "The music!", "a dull, dull story", "nothing known")) == [1, 1, 2, 0]
    spaceless = NearestTextFold([["这部电影的剧情非常精彩"], ["演员的表演让人失望"], ["ดีมาก", "😀"], ["แย่", "😡"]])
    found = texts("剧情也还算精彩吧", "他们的表演很好", "มันดีมากๆ", "😡😡", "แย่มั้ย")
    assert spaceless(found) == [0, 1, 2, 3, 3]
    reordered = NearestTextFold([["film dull"], ["dull film"]])
    assert reordered(texts("dull film", "film dull", "Dull film")) == [1, 0, 0]


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=5))
def test_the_nearest_image_chooses_the_judge(candidates):
    folds = [dots((0, 0), (200, 10)), dots((90, 90)), dots((0, 210), (255, 255), (0, 210))]
    fold_of = NearestImageFold(folds, pixels)
    for candidate, fold in zip(dots(*candidates), fold_of(pictures(dots(*candidates))), strict=True):
        distances = [
            np.linalg.norm(rows[:, 0, :, 0] - candidate[0, :, 0].astype(float), axis=1).min() for rows in folds
        ]
        assert distances[fold] == pytest.approx(min(distances))
    assert fold_of([]) == []


def test_each_judge_is_asked_once_and_rows_keep_their_order():
    asked = []

    def judge(examples):
        asked.append([example["row"] for example in examples])
        return [[example["row"] / 10, 1 - example["row"] / 10] for example in examples]

    out_of_fold = OutOfFoldJudge([judge] * 3, lambda examples: [2, 0, 2, 0])
    answers = out_of_fold([{"row": row} for row in range(4)])
    assert asked == [[1, 3], [0, 2]]
    assert answers[:, 0].tolist() == [0.0, 0.1, 0.2, 0.3]
    assert OutOfFoldJudge([judge] * 2, lambda examples: [])([]).shape == (0,)


def test_fingerprints():
    def text(folds, **arguments):
        return OutOfFoldJudge([saying([1, 0])] * 2, NearestTextFold(folds, **arguments)).fingerprint()

    def image(folds, **arguments):
        return NearestImageFold(folds, **{"features": pixels, **arguments}).fingerprint()

    assert text([["a b"], ["c", "d"]]) == text([["a b"], ["c", "d"]])
    different = [
        text([["a b"], ["c", "d"]]),
        text([["a b", "c"], ["d"]]),
        text([["a b"], ["c", "d"]], text_column="review"),
        image([dots((0, 0)), dots((0, 1), (200, 0))]),
        image([dots((0, 0), (0, 1)), dots((200, 0))]),
        image([dots((0, 0)), dots((200, 0), (0, 1))]),
    ]
    assert len(set(different)) == len(different)
    assert image([dots((0, 0)), dots((0, 1), (200, 0))]) == different[3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OutOfFoldJudge([len, len], [["a"], ["b"]]), "`fold_of` must be callable, but is <class 'list'>"),
        (lambda: OutOfFoldJudge([len], NearestTextFold([["a"]])), "at least 2.*but are 1 for 1 folds"),
        (lambda: OutOfFoldJudge([len, len], NearestTextFold([["a"]])), "are 2 for 1 folds"),
        (lambda: OutOfFoldJudge([len, len], lambda asked: [2])([{}]), r"1 numbers from 0 to 1.*\[2\]"),
        (lambda: OutOfFoldJudge([len, len], lambda asked: [0, 0])([{}]), "1 numbers from 0 to 1, but returned 2"),
        (
            lambda: NearestTextFold([["un \u00e9t\u00e9"], ["un e\u0301te\u0301"]]),
            "equal text, but folds 0 and 1 both have row 0 .* which is row 1 too",
        ),
        (lambda: NearestTextFold([["a"], []]), r"`folds\[1\]` must hold at least one text"),
        (
            lambda: NearestTextFold([["a"], ["b", "a"]]),
            "equal text, but folds 0 and 1 both have row 0 .* which is row 2 too",
        ),
        (
            lambda: NearestImageFold([dots((1, 2)), dots()], pixels),
            r"`folds\[1\]` must be a uint8 array.*\(0, 1, 2, 1\)",
        ),
        (lambda: NearestImageFold([dots((1, 2)), [1]], pixels), r"`folds\[1\]`.*<class 'list'>"),
        (
            lambda: NearestImageFold([dots((1, 2)), dots((3, 4)).reshape(1, 2, 1, 1)], pixels),
            r"fold 0 are \(1, 2, 1\) and those of fold 1 are \(2, 1, 1\)",
        ),
        (
            lambda: NearestImageFold([dots((1, 2), (5, 6)), dots((3, 4), (5, 6))], pixels),
            "equal image, but folds 0 and 1 both have row 1 .* which is row 3 too",
        ),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
