"""The index of texts: every pair, however the texts came in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.neighbours.texts import NO_MATCH, TextIndex, sketch_texts
from hf_augment.words import split_units


texts = st.lists(st.sampled_from([*"abc", "好", "看", "ไ"]), max_size=8).map(" ".join)


def grams(text):
    """By the definition: three units from a word or another letter on, one and two from a Chinese character on."""
    units = split_units(text)
    sizes = {unit: (1, 2) if unit in "好看" and unit else ((3,) if len(units) >= 3 else (1,)) for unit in units}
    starts = [(start, size) for start, unit in enumerate(units) for size in sizes[unit]]
    return {tuple(units[start : start + size]) for start, size in starts if start + size <= len(units)}


def similarity(one, other):
    return len(grams(one) & grams(other)) / len(grams(one) | grams(other))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(texts, max_size=12), st.integers(1, 4), texts)
def test_the_nearest_of_all_pairs_however_many_were_added_at_once(rows, at_once, text):
    index = TextIndex()
    for start in range(0, len(rows), at_once):
        index.add(sketch_texts(rows[start : start + at_once]))
    [found] = map(index.nearest, sketch_texts([text]))
    expected = [similarity(row, text) for row in rows]
    assert found.similarity == pytest.approx(max(expected, default=0))
    if found != NO_MATCH:
        assert found.row == int(np.argmax(expected))
        assert found.opening == rows[found.row]


def test_no_pair_at_the_threshold_is_overlooked():
    # 20 words are 18 shingles; with the last 3 words changed 15 are shared of 21: 5/7.
    rng = np.random.default_rng(0)
    words = rng.integers(10**6, size=(300, 23)).astype(str)
    index = TextIndex()
    index.add(sketch_texts(" ".join(row[:20]) for row in words))
    changed = [" ".join([*row[:17], *row[20:]]) for row in words]
    matches = [index.nearest(sketch) for sketch in sketch_texts(changed)]
    assert [match.row for match in matches] == list(range(300))
    assert {round(match.similarity, 9) for match in matches} == {round(5 / 7, 9)}


def test_runs_over_several_rows_add_up_and_the_row_with_most_is_named():
    index = TextIndex(runs=True)
    rows = ["a b c d e f g h i x", "c d e f g h i j k l y"]
    for row in rows:
        index.add(sketch_texts([row]))
    [found] = map(index.nearest, sketch_texts(["a b c d e f g h i j k l"]))
    # Five runs of eight, of which the first row has two and the second three.
    assert (found.similarity, found.row) == (1.0, 1)
