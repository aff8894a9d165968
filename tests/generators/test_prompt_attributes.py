"""The words that tell classes apart, against numbers worked out by hand."""

from hf_augment.generators.prompt_attributes import class_words, nearest_classes


TEXTS = {
    "lost": ["I lost my card", "the CARD is lost", "card lost abroad"],
    "swallowed": ["the machine swallowed my card", "card swallowed", "swallowed"],
    "fee": ["why the fee", "what fee is that", "fee for a top-up"],
}


def test_the_words_of_a_class_are_those_that_others_lack():
    words = class_words(TEXTS)
    # lost: 1 · log(1 / (0.5/7)) = 2.64; abroad: 1/3 · log(1/3 / (0.5/7)) = 0.51; card: 1 · log(1 / (2.5/7)) = 1.03.
    assert words["lost"] == ["lost", "card", "abroad"]
    assert words["swallowed"][:2] == ["swallowed", "machine"]
    assert words["fee"][0] == "fee"
    # Of a class less often than of the others: 1/3 against 2.5/7.
    assert "the" not in words["fee"]
    assert {name: len(of) for name, of in class_words(TEXTS, most=1).items()} == dict.fromkeys(TEXTS, 1)


def test_a_class_without_words_has_all_go_without():
    assert class_words({"a": ["退款在哪里"], "b": ["where is it"]}) == {}
    assert class_words({"a": ["no"], "b": ["on it"]}) == {}


def test_the_nearest_class_is_the_one_with_the_same_words():
    assert nearest_classes(TEXTS) == {"lost": "swallowed", "swallowed": "lost", "fee": "lost"}
