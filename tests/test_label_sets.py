"""Sets of labels as classes."""

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_augment.label_sets import labels_of, members, memberships, set_name, sets_of, with_sets


LABELS = ["card", "lost", "new"]


def rows(labels):
    found = datasets.Dataset.from_dict({"text": ["a"] * len(labels), "labels": labels})
    return found.cast_column("labels", datasets.List(datasets.ClassLabel(names=LABELS)))


@given(st.sets(st.integers(0, 2)))
def test_a_name_says_the_set(numbers):
    name = set_name(LABELS[i] for i in sorted(numbers))
    assert members(name) == [LABELS[i] for i in sorted(numbers)]
    assert np.flatnonzero(memberships([name], LABELS)[0]).tolist() == sorted(numbers)


def test_rows_with_the_same_labels_in_any_order_are_of_one_class():
    found = with_sets(rows([[1, 0], [], [0, 1, 1], [2]]))
    assert found.features["label"].names == ["card; lost", "new", "none"]
    assert found["label"][:] == [0, 2, 0, 1]
    assert found.column_names == ["text", "label"]
    assert labels_of(found) is None
    assert with_sets(rows([[2]]), ["none", "new"])["label"][:] == [1]
    with pytest.raises(ValueError, match=r"have the sets of labels \['new'\], which are none of the 1 in sets"):
        with_sets(rows([[2]]), ["none"])


@pytest.mark.parametrize("name", ["a; b", "none", ""])
def test_a_label_that_reads_as_a_set_is_refused(name):
    column = datasets.List(datasets.ClassLabel(names=[name, "c"]))
    found = datasets.Dataset.from_dict({"labels": [[1]]}).cast_column("labels", column)
    with pytest.raises(ValueError, match="cannot be told from a set of labels, which are written 'one; other'"):
        sets_of(found)


def test_a_set_of_unknown_labels_is_refused():
    with pytest.raises(ValueError, match=r"The set 'card; red' has the labels \['red'\], which are none of"):
        memberships(["none", "card; red"], LABELS)
