"""Measures worked out by hand, and perplexity at its thresholds."""

import math
import unicodedata

import pytest

from hf_augment.filters.fluency import Fluency, Perplexity, letter_share, repetition


def judge(filter_, *texts):
    return filter_.judge([{"text": text} for text in texts], [0] * len(texts))


def perplexity_of(values, **arguments):
    return Perplexity(lambda examples, labels: [math.log(value) for value in values], **arguments).judge(
        [{}] * len(values), [0] * len(values)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("one", 0),
        ("good good good", 1 / 2),
        ("to be or not to be", 1 / 5),
        ("the good the bad and the ugly", 0),
        ("a b c " * 10, 25 / 28),
        ("one two three four five six seven eight nine ten", 0),
    ],
)
def test_repetition(text, expected):
    assert repetition(text.split()) == pytest.approx(expected)


def test_nine_letters_of_thai_stand_for_three_words():
    assert repetition(["ดี", "ม", "า", "ก"] * 4) == pytest.approx(4 / 8)
    assert repetition([*"很好看"] * 4) == pytest.approx(7 / 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("abc d", 1), ("a1b2", 0.5), ("...!", 0), ("été", 1), ("हिन्दी", 1), ("e\u03011", 0.5), ("a\n\tb", 1)],
)
def test_letter_share(text, expected):
    assert letter_share(text) == expected


def test_each_bound_is_inclusive_and_names_its_measure():
    fluency = Fluency(min_words=3, max_words=5, max_repetition=0.5, min_letters=0.6)
    verdicts = judge(
        fluency, "one two three", "one two", "a b c d e", "a b c d e f", "so so so so", "so so so", "abc d 123 4"
    )
    assert [(verdict.accepted, verdict.reason) for verdict in verdicts] == [
        (True, "fluent"),
        (False, "2 words is below 3"),
        (True, "fluent"),
        (False, "6 words is above 5"),
        (False, "repetition 0.67 is above 0.5"),
        (True, "fluent"),
        (True, "fluent"),
    ]
    assert [verdict.score for verdict in verdicts] == pytest.approx([0, 2, 0, 6, 2 / 3, 0.5, 0])
    assert judge(fluency, "abc d 1234 5")[0].reason == "letters 0.58 is below 0.6"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी", 1),
        ("हिन्दी फिल्म", 2),
        ("שָׁלוֹם", 1),
        ("مُمْتِعٌ", 1),
        (unicodedata.normalize("NFD", "Việt"), 1),
        ("film 😀 😀 😀", 1),
        ("好看", 2),
        ("...", 0),
    ],
)
def test_marks_and_symbols_make_no_words(text, words):
    assert judge(Fluency(min_words=9), text)[0].reason == f"{words} words is below 9"


@pytest.mark.parametrize(
    "text",
    [
        "这部电影的剧情非常精彩，演员的表演也很出色，我会推荐给所有的朋友。",
        "この映画の物語は本当に面白かったと思います。でも最後の場面はあまり好きではありませんでした。",
        "หนังเรื่องนี้สนุกมากและนักแสดงก็เล่นดีจริงๆ แต่ตอนจบทำให้รู้สึกผิดหวังเล็กน้อย การเล่าเรื่องก็ดี การแสดงก็ดี",
        "यह फिल्म बहुत अच्छी है और कलाकारों का अभिनय भी शानदार है।",
    ],
)
def test_texts_of_any_script_are_fluent_and_loops_of_them_are_not(text):
    assert judge(Fluency(), text, text[:12] * 6)[0].reason == "fluent"
    assert judge(Fluency(), text[:12] * 6)[0].reason.startswith("repetition")


def test_fluency_can_be_switched_off():
    everything = Fluency(min_words=0, max_repetition=1, min_letters=0)
    assert all(verdict.accepted for verdict in judge(everything, "", "a a a a a a", "!!!"))


def test_max_perplexity():
    verdicts = perplexity_of([10, 49.9, 50.1], max_perplexity=50)
    assert [verdict.accepted for verdict in verdicts] == [True, True, False]
    assert [verdict.score for verdict in verdicts] == pytest.approx([10, 49.9, 50.1])
    assert verdicts[2].reason == "perplexity 50.1"


def test_target_acceptance_takes_the_lowest_perplexity_and_of_equals_the_first():
    verdicts = perplexity_of([30, 10, 20, 20, 40], target_acceptance=0.4)
    assert [verdict.accepted for verdict in verdicts] == [False, True, True, False, False]


def test_a_text_without_tokens_is_the_worst_and_its_score_finite():
    scorer = lambda examples, labels: [float("nan"), 5000.0, 1.0]  # noqa: E731
    for verdicts in (
        Perplexity(scorer, max_perplexity=1e6).judge([{}] * 3, [0] * 3),
        Perplexity(scorer, target_acceptance=0.3).judge([{}] * 3, [0] * 3),
    ):
        assert [verdict.accepted for verdict in verdicts] == [False, False, True]
        assert all(math.isfinite(verdict.score) for verdict in verdicts)


def test_no_candidates():
    assert perplexity_of([], target_acceptance=1) == []
    assert judge(Fluency()) == []


def test_fingerprints():
    class Model:
        def fingerprint(self):
            return "weights-1"

        def score(self, examples, labels):
            return [1.0] * len(examples)

    assert (
        Perplexity(Model().score, max_perplexity=50).fingerprint() == "perplexity(threshold=-50.0, scorer=weights-1)"
    )
    assert Perplexity(Model().score, target_acceptance=1).fingerprint() == (
        "perplexity(target_acceptance=1.0, scorer=weights-1)"
    )
    fluencies = [
        Fluency(),
        Fluency(min_words=4),
        Fluency(max_words=9),
        Fluency(max_repetition=0.5),
        Fluency(min_letters=0.5),
        Fluency(text_column="sentence"),
    ]
    assert len({fluency.fingerprint() for fluency in fluencies}) == len(fluencies)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fluency(min_words=-1), "`min_words` must be a whole number of at least 0, but is -1"),
        (lambda: Fluency(min_words=2.5), "`min_words` must be a whole number"),
        (lambda: Fluency(max_words=2), "`max_words` must be a whole number of at least 3, but is 2"),
        (lambda: Fluency(max_repetition=1.5), "`max_repetition`.*1.5"),
        (lambda: Fluency(min_letters=None), "`min_letters`.*None"),
        (lambda: Perplexity("scorer", 50), "`scorer` must be callable"),
        (lambda: Perplexity(len), "`max_perplexity` must be a number of at least 1, but is None. Give it, or"),
        (lambda: Perplexity(len, 0.5), "`max_perplexity`.*0.5"),
        (lambda: Perplexity(len, 50, 0.5), "`max_perplexity` and `target_acceptance` exclude each other"),
        (lambda: Perplexity(len, target_acceptance=0), "`target_acceptance` must be above 0"),
        (lambda: Perplexity(len, target_acceptance=1.1), "`target_acceptance`.*1.1"),
        (lambda: perplexity_of([0.5], max_perplexity=50), "must return negative log-likelihoods.*-0.693"),
        (lambda: Perplexity(lambda e, _: [1.0], 50).judge([{}, {}], [0, 0]), "`scorer` must return 2 values"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
