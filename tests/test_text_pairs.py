"""Pairs of texts as one text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_augment.text_pairs import is_pair, join_pairs, split_pairs


TEXT = st.text(alphabet="ab |", min_size=1).map(str.strip).filter(lambda text: text.strip(" |"))


@given(TEXT, TEXT)
def test_a_pair_is_told_apart_again(first, second):
    (joined,) = join_pairs([first], [second])
    if "|" not in first + second:
        assert is_pair(joined)
        assert split_pairs([joined]) == ([first], [second])


def test_a_separator_within_a_text_is_none():
    (joined,) = join_pairs(["a ||| b"], ["c||||d"])
    assert joined == "a | b ||| c||d"
    assert split_pairs([joined]) == (["a | b"], ["c||d"])


@pytest.mark.parametrize("text", ["a", "a |||", " ||| b", "a ||| b ||| c", ""])
def test_what_is_no_pair(text):
    assert not is_pair(text)
    assert split_pairs(["a"]) == (["a"], [""])
