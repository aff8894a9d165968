"""Columns against what `datasets` by itself makes of the same values."""

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from hf_augment.synthesis.columns import ARRAYS, as_dataset, decode, encode
from tests.toys import comparable


def table(values):
    column, feature = encode(values)
    return pa.table([column], schema=datasets.Features({"x": feature}).arrow_schema)


def decoded(values):
    column, feature = encode(values)
    return decode(pa.chunked_array([column]), feature)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_plain_values_are_what_datasets_makes_of_them(data):
    kind = data.draw(st.sampled_from([st.text(max_size=3), st.integers(-9, 9), st.booleans(), st.floats(-1, 1)]))
    kind = data.draw(st.sampled_from([kind, st.one_of(kind, st.none()), st.lists(kind, min_size=1, max_size=3)]))
    values = data.draw(st.lists(kind, min_size=1, max_size=5))
    naive = datasets.Dataset.from_dict({"x": values})
    ours = as_dataset([table(values)], "a")
    assert ours.features == naive.features
    assert ours["x"][:] == naive["x"][:] == decoded(values)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_arrays_are_what_datasets_makes_of_them(data):
    dtype = data.draw(st.sampled_from(["bool", "uint8", "int64", "float16", "float32"]))
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)))
    shards = data.draw(st.lists(st.lists(arrays(dtype, shape), min_size=1, max_size=5), min_size=1, max_size=4))
    feature = ARRAYS[len(shape)](shape, dtype)
    naive = datasets.concatenate_datasets(
        [datasets.Dataset.from_dict({"x": s}, features=datasets.Features({"x": feature})) for s in shards]
    )
    ours = as_dataset([table(s) for s in shards], "a")
    assert ours.features == naive.features
    assert comparable(list(ours.with_format("numpy", dtype=np.dtype(dtype))["x"][:])) == comparable(
        [array for s in shards for array in s]
    )
    assert len(ours) == len(naive)
    row = data.draw(st.integers(0, len(naive) - 1))
    assert np.array_equal(ours[row]["x"], naive[row]["x"], equal_nan=True)
    assert comparable(decoded(shards[0])) == comparable(shards[0])


@pytest.mark.parametrize(
    "values",
    [
        [np.zeros((2, 2)), np.zeros((3, 2))],
        [np.zeros((0, 2)), np.zeros((0, 2))],
        [np.zeros((2, 2)), None],
        [np.arange(3), np.arange(3)],
        [{"a": 1}, {"a": 2}],
        [None, None],
    ],
    ids=["shapes", "empty", "none", "one axis", "dicts", "nothing"],
)
def test_what_is_no_array_of_one_shape_is_left_to_datasets(values):
    naive = datasets.Dataset.from_dict({"x": values})
    assert as_dataset([table(values)], "a").features == naive.features
    assert decoded(values) == naive["x"][:]


def test_arrays_take_the_bytes_of_their_values_and_no_more():
    values = list(np.zeros((256, 32, 32, 3), np.uint8))
    assert encode(values)[0].nbytes == 786_432


def test_pictures_are_decoded():
    picture = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    assert np.array_equal(decoded([picture])[0], picture)


def test_shards_in_which_a_column_is_empty_join_the_others():
    assert as_dataset([table([None]), table(["a"]), table(["b"])], "a")["x"][:] == [None, "a", "b"]
