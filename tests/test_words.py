"""Units of texts, script by script, and that for English they are what they always were."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.words import Kind, kind_of, opening, separate, split_units, split_words


ENGLISH = [
    "I went to see this with two friends on a rainy night. It's a 10/10, isn't it?",
    "it 's a charming and often affecting journey .",
    '<br /><br />Don\'t miss it -- the U.S. cut (1999) runs 3.5 hours; "snake_case" & $5.00!',
    "An e-mail: a.b@c.org, http://example.org/x?y=1 #1 +2 ~3 `4` ^5 |6| {7} [8] \\9",
    "The naïve café owner’s “résumé” — Ærøskøbing, Łódź, ½ price, H²O, № 5",
    "Привет, МИР! Ένα φίλμ.",
]


@pytest.mark.parametrize("text", ENGLISH[:4])
def test_english_has_the_units_it_always_had(text):
    assert split_units(text) == split_words(text) == re.findall(r"\w+", text.lower())


@settings(derandomize=True, max_examples=300)
@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_any_ascii_text_has_the_words_it_always_had(text):
    assert split_words(text) == re.findall(r"\w+", text.lower())


@pytest.mark.parametrize("text", ENGLISH[4:])
def test_composed_letters_of_europe_are_as_they_were(text):
    assert split_words(text) == [word.casefold() for word in re.findall(r"\w+", text)]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("हिन्दी में फिल्म।", ["हिन्दी", "में", "फिल्म"]),
        ("বাংলা ছবি", ["বাংলা", "ছবি"]),
        ("தமிழ் படம்", ["தமிழ்", "படம்"]),
        ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
        ("هَذَا فِيلْمٌ، جَيِّدٌ", ["هَذَا", "فِيلْمٌ", "جَيِّدٌ"]),
        ("نمی‌خواهم", ["نمی‌خواهم"]),
        ("한국어 영화", ["한국어", "영화"]),
        ("བོད་སྐད་ཡིན།", ["བོད", "སྐད", "ཡིན"]),
        ("这部电影很好，2024年。", [*"这部电影很好", "2024", "年"]),
        ("Wi-Fi很快", ["wi", "fi", "很", "快"]),
        ("このラーメンはﾊﾟ", [*"このラーメンは", "ﾊﾟ"]),
        ("ดีที่น้ำ", ["ดี", "ที่", "น้ำ"]),
        ("ខ្ញុំ", ["ខ្ញុំ"]),
        ("x\u0323y", ["x\u0323y"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("film😀😢 👨‍👩‍👧🇩🇪👍🏽 1️⃣", ["film", "😀", "😢", "👨‍👩‍👧", "🇩🇪", "👍🏽", "1️⃣"]),
        ("5 € → 6 £", ["5", "€", "→", "6", "£"]),
        ("?! ...", ["?", "!", ".", ".", "."]),
        (" ", [""]),
    ],
)
def test_units_of_many_scripts(text, units):
    assert split_units(text) == [unicodedata.normalize("NFC", unit) for unit in units]
    for form in ("NFC", "NFD"):
        assert split_units(unicodedata.normalize(form, text)) == split_units(text)


def test_case_is_folded_after_marks_are_in_order():
    assert split_units("\u03b1\u0345\u0301") == split_units("\u1fb4") == ["\u03ac\u03b9"]


def test_words_are_units_without_symbols():
    assert split_words("film 😀 好 5 €") == ["film", "好", "5"]
    assert split_words("?! 😀") == []


@pytest.mark.parametrize(
    ("unit", "kind"),
    [
        ("film", 0),
        ("हिन्दी", 0),
        ("한국어", 0),
        ("😀", 0),
        ("2024", 0),
        ("好", 1),
        ("々", 1),
        ("の", 2),
        ("ー", 2),
        ("ที่", 2),
    ],
)
def test_kinds(unit, kind):
    assert kind_of(unit) is Kind(kind)


@settings(derandomize=True, max_examples=300)
@given(st.text(max_size=40))
def test_any_text_has_units_without_white_space_and_is_separated_without_loss(text):
    units = split_units(text)
    assert units
    assert not any(character.isspace() for unit in units for character in unit)
    assert "".join(separate(text).split()) == "".join(unicodedata.normalize("NFC", text).split())
    assert " ".join(text.split()).startswith(opening(text, 3))


def test_english_is_separated_by_its_spaces_alone():
    for text in ENGLISH:
        assert separate(text) == text
        assert opening(text, 8) == " ".join(text.split()[:8])
    assert opening("这部电影很好，真的。", 4) == "这部电影"
    assert opening("\n a b\tc", 2) == "a b"
