"""Parts of a dataset."""

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.data.splits import (
    near_copies,
    sample_per_class,
    sample_per_label,
    sample_rows,
    share_of_test,
    split_by_group,
    split_by_label,
    without_duplicates,
)
from hf_augment.label_sets import memberships, with_sets
from tests.data.rows import rows, texts


def grouped(groups):
    return datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(len(groups))], "film": groups})


def test_no_group_is_on_both_sides():
    films = [f"film {i % 10}" for i in range(57)]
    dataset = grouped(films)
    both = dict(zip(("train", "test"), split_by_group(dataset, "film", 0.3, seed=4), strict=True))
    assert both["train"].column_names == ["text"]
    film = dict(zip(dataset["text"][:], films, strict=True))
    sides = {side: {film[text] for text in both[side]["text"][:]} for side in both}
    assert sides["train"].isdisjoint(sides["test"])
    assert (len(sides["train"]), len(sides["test"])) == (7, 3)
    assert len(both["train"]) + len(both["test"]) == 57
    _, again = split_by_group(dataset.select(range(56, -1, -1)), "film", 0.3, seed=4)
    assert set(again["text"][:]) == set(both["test"]["text"][:])
    others = [set(split_by_group(dataset, "film", 0.3, seed=s)[1]["text"][:]) for s in range(5, 9)]
    assert any(other != set(both["test"]["text"][:]) for other in others)


def test_rows_of_no_group_are_one_group(said):
    both = split_by_group(grouped([None, "a", None, "b"]), "film", 0.34, seed=0)
    assert {len(side) for side in both} <= {1, 2, 3}
    assert sorted(both[0]["text"][:] + both[1]["text"][:]) == ["t0", "t1", "t2", "t3"]
    assert any({"t0", "t2"} <= set(side["text"][:]) for side in both)
    assert said == ["group_column='film' is empty in 2 rows, which are kept together."]


@pytest.mark.parametrize(("fraction", "groups"), [(0.0, 10), (1.0, 10), (0.01, 10), (0.5, 1), (-0.5, 4), (1.5, 4)])
def test_a_side_without_a_group(fraction, groups):
    with pytest.raises(ValueError, match=f"test_fraction={fraction} of the {groups} groups in 'film' would leave"):
        split_by_group(grouped([str(i) for i in range(groups)]), "film", fraction, seed=0)


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.integers(0, 2), min_size=8, max_size=60),
    fraction=st.floats(0.3, 0.7),
    seed=st.integers(0, 2**31),
)
def test_the_same_share_of_every_class_is_held_out(labels, fraction, seed):
    dataset = rows(labels, names=("a", "b", "c"))
    train, test = split_by_label(dataset, fraction, seed)
    positions = [[int(text.split()[1]) for text in side["text"][:]] for side in (train, test)]
    assert sorted(positions[0] + positions[1]) == list(range(len(labels)))
    assert all(side == sorted(side) for side in positions)
    counts = np.bincount(labels, minlength=3)
    shares = [min(round(fraction * count), max(count - 1, 0)) for count in counts]
    assert np.bincount(test["label"][:], minlength=3).tolist() == shares
    assert split_by_label(dataset, fraction, seed)[1]["text"][:] == test["text"][:]


def test_other_rows_are_held_out_by_other_seeds():
    dataset = rows([0, 1] * 20)
    draws = {tuple(split_by_label(dataset, 0.25, seed)[1]["text"][:]) for seed in range(4)}
    assert len(draws) == 4


def test_the_last_row_of_a_class_is_not_held_out():
    train, test = split_by_label(rows([0, 0, 0, 0, 1, 1, 2], names=("a", "b", "c")), 0.9, 0)
    assert np.bincount(train["label"][:]).tolist() == [1, 1, 1]
    assert np.bincount(test["label"][:]).tolist() == [3, 1]


@pytest.mark.parametrize(("labels", "fraction"), [([0, 1] * 4, 0.1), ([0], 0.9), ([0, 1], 0.5)])
def test_no_row_to_hold_out(labels, fraction):
    message = rf"test_fraction={fraction} of each class, of {len(labels)} rows in all, would leave no test row"
    with pytest.raises(ValueError, match=message):
        split_by_label(rows(labels), fraction, 0)


def test_the_first_of_each_text_stays():
    dataset = rows([0, 1, 1, 0], ["a", "b", "a", "c"])
    assert without_duplicates(dataset, texts).to_dict() == {"text": ["a", "b", "c"], "label": [0, 1, 0]}
    unique = rows([0, 1])
    assert without_duplicates(unique, texts) is unique
    assert texts(without_duplicates(dataset, texts, rows([0], ["b"]))) == ["a", "c"]


def test_some_rows():
    dataset = rows([0, 1] * 20)
    assert sample_rows(dataset, None, 1) is dataset
    assert sample_rows(dataset, 40, 1) is dataset
    assert sample_rows(dataset, 99, 1) is dataset
    draws = [sample_rows(dataset, 7, *key)["text"][:] for key in [(1, 0), (1, 0), (2, 0), (1, 1), (1, 2)]]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) == 4
    for draw in draws:
        positions = [int(text.split()[1]) for text in draw]
        assert positions == sorted(set(positions))
        assert len(positions) == 7
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"count={count} random rows"):
            sample_rows(dataset, count, 1)


def test_some_rows_of_each_class():
    dataset = rows([0] * 30 + [1] * 10)
    assert sample_per_class(dataset, None, 1) is dataset
    draws = [sample_per_class(dataset, 4, *key) for key in [(1, 0), (1, 0), (2, 0), (1, 1), (1, 2)]]
    for draw in draws:
        assert np.bincount(draw["label"][:]).tolist() == [4, 4]
        assert draw["label"][:] == sorted(draw["label"][:])
    assert draws[0].to_dict() == draws[1].to_dict()
    assert len({tuple(draw["text"][:]) for draw in draws}) == 4
    assert set(sample_per_class(dataset, 10, 3)["text"][-10:]) == set(dataset["text"][30:])
    with pytest.raises(ValueError, match="train_per_class=11 is more than the 10 rows of 'positive': lower it"):
        sample_per_class(dataset, 11, 1)
    for count in (0, -1):
        with pytest.raises(ValueError, match=f"train_per_class={count} must be 1 or more"):
            sample_per_class(dataset, count, 1)


@pytest.mark.parametrize(("count", "rows"), [(9, 3), (120, 40), (600, 200), (900, 200), (2000, 400), (100_000, 5000)])
def test_how_many_rows_are_tested_on(count, rows):
    assert share_of_test(count) * count == pytest.approx(rows)


def test_texts_that_nearly_repeat_others():
    texts = ["my new card has not come yet, where is it?", "another text of some words", "where is it"]
    assert near_copies(texts, ["My new card has not come yet; where is it", "some words of another text"]) == [0]


def test_rows_of_several_labels_are_divided_by_the_rarest():
    sets = [[0, 1], [0], [0, 2], []] * 10
    features = datasets.Features({"x": datasets.Value("int64"), "labels": datasets.List(datasets.ClassLabel(3))})
    dataset = datasets.Dataset.from_dict({"x": list(range(40)), "labels": sets}, features=features)
    _, test = split_by_label(dataset, 0.3, 0)
    assert sorted(row % 4 for row in test["x"][:]) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_each_label_and_none_of_them_is_in_as_many_rows_as_asked_for_if_there_are():
    labels = [[0], [0, 1], [0], [1], [], [0, 1, 2], [], [0], [1]] * 3
    column = datasets.List(datasets.ClassLabel(names=["a", "b", "c"]))
    dataset = datasets.Dataset.from_dict({"text": [str(i) for i in range(27)], "labels": labels})
    dataset = with_sets(dataset.cast_column("labels", column))
    names = ["a", "b", "c", "unknown"]
    assert sample_per_label(dataset, names, None, 1) is dataset
    draws = [sample_per_label(dataset, names, 4, *key) for key in [(1, 0), (1, 0), (2, 0), (1, 1)]]
    for draw in draws:
        has = memberships(draw.features["label"].names, names)[draw["label"][:]]
        # All three rows of the rarest label have the others, too.
        assert has.sum(axis=0).tolist() == [4, 4, 3, 0]
        assert (~has.any(axis=1)).sum() == 4
        assert draw["text"][:] == sorted(draw["text"][:], key=int)
    assert draws[0].to_dict() == draws[1].to_dict()
    assert len({tuple(draw["text"][:]) for draw in draws}) == 3
    with pytest.raises(ValueError, match="train_per_class=0 must be 1 or more"):
        sample_per_label(dataset, names, 0, 1)
