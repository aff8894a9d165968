"""Maps of labels; `test_texts.py` reads labels of any form."""

import pytest

from hf_augment.data.labels import parse_map


def test_maps_of_labels():
    assert parse_map(None) == {}
    assert parse_map("") == {}
    assert parse_map(" fresh = positive , rotten=negative") == {"fresh": "positive", "rotten": "negative"}


@pytest.mark.parametrize("bad", ["fresh", "a=b=c", "a=b,", "=b", "a=", "a=b,,c=d", "a=b,a=c", "a==b", ","])
def test_what_is_not_a_map(bad):
    with pytest.raises(ValueError, match=r"label_map=.* is not a map of labels: write theirs=ours"):
        parse_map(bad)
