"""Each kind of noise by hand, its strength in numbers, and what holds for every text."""

import doctest
import itertools

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.perturbations import text as module
from hf_augment.perturbations.text import TEXT_PERTURBATIONS, perturb_texts
from hf_augment.perturbations.text_tables import DISTRACTORS, FORMS, NEIGHBOURS, OTHER_FORM


LETTERS = ("keyboard_typos", "character_swaps", "character_deletions", "character_repetition")
CORPUS = [
    "The plot isn't new, but the actors play it with warmth; it is a pleasure to watch them.",
    "What begins as a comedy soon loses its way, and nobody involved seems to care.",
    "I can't remember when I've last laughed so much in a cinema!",
    "Two hours pass slowly. They're filled with noise, and they do not lead anywhere.",
    "A small film with large ambitions, which it doesn't always meet.",
    "You will not find a better portrait of an ordinary town anywhere.",
]


def distance(one, other):
    """Levenshtein's."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def variants(name, text, severity=5, seeds=range(60)):
    """All that a perturbation makes of a text by some seeds."""
    return {perturb_texts([text], name, severity, seed)[0] for seed in seeds}


@pytest.mark.parametrize("name", TEXT_PERTURBATIONS)
def test_damage_grows_with_severity(name):
    texts = CORPUS * 2
    results = [perturb_texts(texts, name, severity) for severity in range(1, 6)]
    damage = [sum(map(distance, texts, result)) for result in results]
    assert damage[0] > 0
    assert all(low < high for low, high in itertools.pairwise(damage)), damage


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        *((name, (0.1, 0.2, 0.4, 0.6, 0.8)) for name in LETTERS),
        ("case", (0.1, 0.2, 0.4, 0.7, 1.0)),
        ("word_drop", (0.05, 0.1, 0.2, 0.3, 0.4)),
    ],
)
def test_the_documented_share_of_words_is_changed(name, shares):
    words = ["quiet", "cinema", "modern", "places"]
    for severity, share in enumerate(shares, 1):
        # Of seven words no share is a whole number.
        results = perturb_texts([" ".join((words * 2)[:7])] * 400, name, severity)
        kept = sum(word in words for result in results for word in result.split())
        assert 1 - kept / 2800 == pytest.approx(share, abs=0.015)


def test_the_documented_share_of_places_is_changed():
    # No two gaps have the same letters around them.
    gaps = ["b c", "d e", "f g", "h i", "j k", "l m"]
    for severity, share in enumerate((0.05, 0.1, 0.2, 0.35, 0.5), 1):
        for name in ("whitespace", "punctuation"):
            results = perturb_texts(["ab cd ef gh ij kl mn"] * 500, name, severity)
            lost = sum(gap not in result for result in results for gap in gaps)
            assert lost / 3000 == pytest.approx(share, abs=0.02), name


def test_a_higher_severity_adds_to_a_lower_one():
    for name, text in itertools.product((*LETTERS, "case"), CORPUS):
        results = [perturb_texts([text], name, severity)[0].split() for severity in range(1, 6)]
        for low, high in itertools.pairwise(results):
            assert all(b == a or a == word for word, a, b in zip(text.split(), low, high, strict=True))


def test_one_letter_that_is_not_at_the_ends_of_a_long_word():
    assert variants("character_swaps", "pLOts") <= {"pLOts", "pOLts", "pLtOs"}
    assert len(variants("character_swaps", "pLOts")) == 3
    assert variants("character_swaps", "aaaa it s-it") == {"aaaa it s-it"}
    assert variants("character_deletions", "(plot)") == {"(plot)", "(pot)", "(plt)"}
    assert variants("character_repetition", "plot") == {
        *("plot", "pllot", "plllot", "pllllot"),
        *("ploot", "plooot", "ploooot"),
    }
    assert variants("keyboard_typos", "xxGx, 4444") == {"xxGx, 4444"} | {
        *(f"x{key}Gx, 4444" for key in "zcsd"),
        *(f"xx{key}x, 4444" for key in "FHTYVB"),
    }


def test_keys_touch_both_ways():
    assert NEIGHBOURS["g"] == "fhtyvb"
    assert NEIGHBOURS["q"] == "wa"
    assert NEIGHBOURS["m"] == "njk"
    assert all(key in NEIGHBOURS[other] for key, others in NEIGHBOURS.items() for other in others)
    assert len(NEIGHBOURS) == 26


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Don't go", "Do not go"),
        ("You do not go", "You don't go"),
        ("IT WON'T", "IT WILL NOT"),
        ("we\u2019re sure", "we are sure"),
        ("ca n't do it", "cannot do it"),
        ("it 's fine", "it is fine"),
        ("I am here", "I'm here"),
        ("so i'm here", "so i am here"),
        ("It is not it", "It's not it"),
        ("we 've been there", "we have been there"),
        ("can  not", "can't"),
        ("it is n't", "it is not"),
        ("Let's see", "Let us see"),
        # Without another form, or with two.
        ("the film's plot", None),
        ("it's been", None),
        ("that 's what it is.", "that is what it is."),
        ("I have a dog", None),
        ("he'd say", None),
        ("Is notable", None),
        ("mid-don'ts", None),
        # Letters that are s and i when case is ignored, and have no short form.
        ("We \u017fhould not go", None),
        ("THAT \u0130S NOT good", None),
    ],
)
def test_contractions(text, other):
    assert perturb_texts([text], "contractions", 5) == [text if other is None else other]


def test_every_form_is_found():
    for form, other in OTHER_FORM.items():
        assert FORMS.search(f"x {form} y")[0] == form
        assert perturb_texts([f"x {form} y"], "contractions", 5) == [f"x {other} y"]


def test_case():
    assert perturb_texts(["It IS \u00fcber 42 don't"], "case", 5) == ["IT is \u00dcBER 42 DON'T"]


def test_punctuation_leaves_numbers_and_smiles():
    assert variants("punctuation", "well .") == {"well .", "well"}
    assert variants("punctuation", "good!!") == {"good!!", "good"}
    assert variants("punctuation", "3.14 :)") == {"3.14 :)"}
    assert variants("punctuation", "a film") == {"a film", "a, film", "a. film"}


def test_whitespace():
    assert variants("whitespace", "a film") == {"a film", "afilm", "a  film", "af ilm"}
    # The whole of a word of one letter would change its side.
    assert variants("whitespace", "film\ta") == {"film\ta", "filma", "film\t\ta"}


def test_word_drop_keeps_order_and_a_word():
    words = [str(i) for i in range(30)]
    (result,) = perturb_texts([" ".join(words)], "word_drop", 5)
    assert len(result.split()) == 18
    assert result.split() == sorted(result.split(), key=int)
    assert variants("word_drop", "one") == {"one"}
    assert variants("word_drop", " one two ") == {"one two", "one", "two"}


def test_distractors_are_as_many_as_the_severity_says_and_all_different():
    for severity in range(1, 6):
        (result,) = perturb_texts(["fine"], "distractor_sentence", severity)
        assert result.startswith("fine. ")
        assert sum(sentence in result for sentence in DISTRACTORS) == severity
        assert len(result) == len("fine.") + sum(1 + len(s) for s in DISTRACTORS if s in result)
    assert perturb_texts(["fine!"], "distractor_sentence", 1)[0].startswith("fine! ")


CLUSTERS = [
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # A family, joined.
    "\U0001f1e9\U0001f1ea",  # A flag.
    "\U0001f44d\U0001f3fd",  # A hand with its colour.
    "e\u0301",  # Two code points.
    "\u0928\u093f",  # A consonant with a vowel sign.
    "\U0001d49c",  # Astral.
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*CLUSTERS, "a", "B", "c", " ", ".", "'", "\u2019"]), max_size=25),
    st.sampled_from(TEXT_PERTURBATIONS),
    st.integers(1, 5),
)
def test_characters_are_not_taken_apart(parts, name, severity):
    text = "".join(parts)
    (result,) = perturb_texts([text], name, severity)
    before = {cluster.casefold() for cluster in regex.findall(r"\X", text)}
    after = {cluster.casefold() for cluster in regex.findall(r"\X", result)}
    assert {cluster for cluster in after if not cluster.isascii()} <= before


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=4), st.sampled_from(TEXT_PERTURBATIONS), st.integers(1, 5))
def test_any_text(texts, name, severity):
    results = perturb_texts(texts, name, severity)
    assert len(results) == len(texts)
    assert all(result.strip() for text, result in zip(texts, results, strict=True) if text.strip())
    assert results == perturb_texts(texts, name, severity)


@pytest.mark.parametrize("name", TEXT_PERTURBATIONS)
def test_a_result_depends_on_its_own_row_and_the_seed(name):
    whole = perturb_texts(CORPUS, name, 3)
    assert perturb_texts(["other", CORPUS[1]], name, 3)[1] == whole[1]
    assert perturb_texts([CORPUS[0]] * 20, name, 3) != [perturb_texts([CORPUS[0]], name, 3)[0]] * 20
    assert perturb_texts(CORPUS * 4, name, 3, seed=1) != perturb_texts(CORPUS * 4, name, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], "fog", 1), r"name='fog' is no perturbation of texts: choose one of \['keyboard_typos'"),
        ((["a"], "case", 0), "severity=0: give a whole number from 1"),
        ((["a"], "case", 6), "severity=6"),
        ((["a"], "case", 1.5), "severity=1.5"),
        (("a text", "case", 1), "texts='a text' is a single text"),
        ((["a", None], "case", 1), r"texts\[1\] is None, no text"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        perturb_texts(*arguments)


def test_documented_examples_run():
    text = perturb_texts.__doc__.replace("```python", "").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, "perturb_texts", module.__file__, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
