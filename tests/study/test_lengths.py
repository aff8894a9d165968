"""How many tokens of a text are read and written."""

import math
from types import SimpleNamespace

import pytest

from hf_augment.study.lengths import _positions, length_choices
from tests.tiny import tiny_classifier, tiny_tokenizer


@pytest.fixture
def model(tmp_path):
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(tokenizer=tokenizer)):
        part.save_pretrained(tmp_path)
    return str(tmp_path)


def chosen(model, texts, typed=None):
    choices, width = length_choices(model, texts, typed)
    assert width == 32
    return {choice.name: (choice.value, choice.reason) for choice in choices}


def test_words_have_room_for_two_tokens_each(model):
    found = chosen(model, ["a " * 15] * 10)
    assert (found["max_length"][0], found["max_new_tokens"][0]) == (32, 32)
    assert "longer" not in found["max_length"][1] + found["max_new_tokens"][1]


def test_words_of_many_tokens_have_room_for_these(model):
    """As in languages without spaces, and whose letters a tokenizer hardly knows."""
    word = "!?" * 45
    tokens = len(tiny_tokenizer()(word)["input_ids"])
    assert tokens > 80
    found = chosen(model, [word] * 50)
    assert tokens <= found["max_length"][0] < tokens + 8
    assert found["max_new_tokens"][0] == 64
    assert found["max_new_tokens"][1].endswith("; 50 of 50 texts are longer")


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({"max_position_embeddings": 512}, 512),
        ({"max_position_embeddings": 512, "position_biased_input": False}, math.inf),
        ({"max_position_embeddings": -1}, math.inf),
        ({}, math.inf),
    ],
)
def test_places_of_a_model(config, places):
    assert _positions(SimpleNamespace(**config)) == places


def test_what_is_cut_is_said_and_no_more_is_read_than_can_be(model):
    found = chosen(model, ["a film"] * 199 + ["!" * 5000])
    assert found["max_length"] == (
        16,
        "room for the longest 1 % of texts, two tokens a word or as many as they have, 256 at most"
        "; 1 of 200 texts are longer",
    )
    assert chosen(model, ["!" * 5000])["max_length"][0] == 256
    assert chosen(model, ["a film"], typed=40)["max_new_tokens"][0] == 40
    with pytest.raises(ValueError, match="max_length=1024 is more than the 256 tokens that the classifier reads"):
        length_choices(model, ["a film"], 1024)
