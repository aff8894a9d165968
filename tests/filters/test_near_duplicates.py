"""MinHash against all pairs, and what counts as a copy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.filters.near_duplicates import EvaluationOverlap, Memorization, NearDuplicates
from hf_augment.neighbours.texts import AlikeTexts, rows_per_band, sketch_texts


REVIEW = (
    "I went to see this with two friends on a rainy night. The first half is slow, the second half of the story never "
    "finds its feet, and by the time the ghost appears nobody in the room cared any more. The music by contrast is "
    "lovely, and I would buy the record tomorrow if they sold it without the pictures."
)
PASSAGE = "the second half of the story never finds its feet, and by the time the ghost appears nobody cared"

# Few different words, so that random texts are often alike.
random_texts = st.lists(st.sampled_from("abc"), max_size=12).map(" ".join)


def examples(*texts):
    return [{"text": text} for text in texts]


def accepted(filter_, *texts):
    return [verdict.accepted for verdict in filter_.judge(examples(*texts), [0] * len(texts))]


def naive_grams(text, size):
    words = text.lower().split()
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


def naive_jaccard(first, second):
    def shingles(text):
        return naive_grams(text, 3 if len(text.split()) >= 3 else 1)

    union = shingles(first) | shingles(second)
    return len(shingles(first) & shingles(second)) / len(union) if union else 1.0


def naive_copied(text, rows):
    grams = naive_grams(text, 8)
    row_grams = [naive_grams(row, 8) for row in rows]
    in_any_row = len(grams & set().union(*row_grams)) / len(grams) if grams else 0
    return max([in_any_row, *(len(grams & row) / len(row) for row in row_grams if row)])


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(random_texts, max_size=8), st.lists(random_texts, max_size=8), st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_near_duplicates_equal_all_pairs(remembered, texts, threshold):
    near_duplicates = NearDuplicates(threshold)
    near_duplicates.remember(examples(*remembered))
    kept, expected = list(remembered), []
    for text in texts:
        expected.append(all(naive_jaccard(text, other) < threshold for other in kept))
        if expected[-1]:
            kept.append(text)
    assert accepted(near_duplicates, *texts) == expected


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.lists(st.lists(st.sampled_from("ab"), min_size=6, max_size=14).map(" ".join), min_size=1, max_size=5),
    st.lists(st.sampled_from("ab"), max_size=16).map(" ".join),
)
def test_memorization_equals_all_pairs(rows, text):
    [verdict] = Memorization(rows, threshold=0.5).judge(examples(text), [0])
    score = max(naive_copied(text, rows), *(naive_jaccard(text, row) for row in rows), 0)
    # A similarity below the threshold need not be found, one above it must be exact.
    assert verdict.score == pytest.approx(score) if score >= 0.5 else verdict.score <= score + 1e-9
    assert verdict.accepted == (score < 0.5)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_bands_are_the_longest_that_overlook_two_in_a_thousand(threshold):
    def overlooked(rows):
        return (1 - threshold**rows) ** (64 // rows)

    rows = rows_per_band(threshold)
    assert overlooked(rows) <= 0.002
    assert rows == 32 or all(overlooked(longer) > 0.002 for longer in range(rows + 1, 33))


def test_pairs_at_the_threshold_are_found():
    # 20 words are 18 shingles; with the last 3 words changed 15 are shared of 21: 5/7.
    rng = np.random.default_rng(0)
    words = rng.integers(10**6, size=(300, 23)).astype(str)
    found = 0
    for row in words:
        index = AlikeTexts(0.7)
        first, second = sketch_texts([" ".join(row[:20]), " ".join([*row[:17], *row[20:]])])
        index.add(first)
        found += index.nearest(second).similarity == pytest.approx(5 / 7)
    assert found >= 298


def test_the_threshold_itself_rejects():
    # Shingles abc, bcd against abc, bcd, cde, def: exactly one half.
    for threshold, expected in [(0.5, False), (0.51, True)]:
        near_duplicates = NearDuplicates(threshold)
        near_duplicates.remember(examples("a b c d e f"))
        assert accepted(near_duplicates, "a b c d") == [expected]


def test_case_and_punctuation_do_not_matter_but_words_do():
    assert accepted(NearDuplicates(), "A dull, dull FILM!", "a dull dull film", "a dull bright film") == [
        True,
        False,
        True,
    ]
    assert accepted(NearDuplicates(), "Loved it", "loved it!", "Hated it", "", "...") == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_judging_changes_nothing_and_forgetting_is_complete():
    near_duplicates = NearDuplicates()
    assert accepted(near_duplicates, "a film to see") == [True]
    assert accepted(near_duplicates, "a film to see") == [True]
    near_duplicates.remember(examples("a film to see"))
    assert accepted(near_duplicates, "a film to see") == [False]
    near_duplicates.forget()
    assert accepted(near_duplicates, "a film to see") == [True]
    near_duplicates.remember(examples("a film to see"))
    assert accepted(near_duplicates, "a film to see") == [False]


def test_a_passage_copied_out_of_a_long_row_is_memorised():
    memorization = Memorization([REVIEW, "An unrelated row about a dog and its owner in the rain of Paris."])
    paraphrase = "In its second half the story loses its way, and nobody cared by the time a ghost finally appeared"
    copied, new = memorization.judge(examples(PASSAGE, paraphrase), [0, 0])
    # All runs but the last, which ends in "nobody cared": the review says "nobody in the room cared".
    runs = len(PASSAGE.split()) - 7
    assert copied.score == pytest.approx((runs - 1) / runs)
    assert (copied.accepted, new.accepted) == (False, True)
    assert copied.reason == f"{copied.score:.2f} like training row 'I went to see this with two friends'"
    assert naive_jaccard(PASSAGE, REVIEW) < 0.3


def test_a_row_with_something_added_is_an_overlap():
    row = "the ghost appears and nobody in the room cares"
    padded = f"{REVIEW.split('.')[0]}. And then {row} at all, which I found sad for a film with so many names in it."
    [verdict] = EvaluationOverlap([row]).judge(examples(padded), [1])
    assert (verdict.accepted, verdict.score) == (False, 1.0)
    assert verdict.reason == "1.00 like evaluation row 'the ghost appears and nobody in the room'"


def test_other_column():
    verdicts = Memorization(["a dull film"], text_column="sentence").judge([{"sentence": "a dull film"}], [0])
    assert [verdict.accepted for verdict in verdicts] == [False]
    with pytest.raises(ValueError, match=r"`text_column` is 'text'.*\['label', 'sentence'\]"):
        NearDuplicates().judge([{"sentence": "a dull film", "label": 0}], [0])


def test_fingerprints_cover_threshold_column_and_texts():
    fingerprints = [
        NearDuplicates().fingerprint(),
        NearDuplicates(0.8).fingerprint(),
        NearDuplicates(text_column="sentence").fingerprint(),
        Memorization(["ab", "c"]).fingerprint(),
        Memorization(["a", "bc"]).fingerprint(),
        EvaluationOverlap(["ab", "c"]).fingerprint(),
    ]
    assert len(set(fingerprints)) == len(fingerprints)
    assert Memorization(iter(["ab", "c"])).fingerprint() == fingerprints[3]
    assert NearDuplicates(1).fingerprint() == NearDuplicates(1.0).fingerprint()


def test_only_a_large_index_shows_its_progress(capsys):
    Memorization(["a dull film"] * 10)
    assert capsys.readouterr().err == ""
    Memorization(["a dull film"] * 5001)
    assert "memorization: indexing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NearDuplicates(0.05), "`threshold` must be a number between 0.1 and 1, but is 0.05"),
        (lambda: NearDuplicates(float("nan")), "`threshold`.* but is nan"),
        (lambda: NearDuplicates(True), "`threshold`.* but is True"),
        (lambda: Memorization(["a"], "0.7"), "`threshold`.* but is '0.7'"),
        (lambda: Memorization([]), "`train_texts` must hold at least one text"),
        (lambda: EvaluationOverlap([]), "`eval_texts` must hold at least one text"),
        (lambda: Memorization("one text"), "`train_texts` must be a list of texts"),
        (lambda: Memorization(["a", None]), "`train_texts` must hold only `str`, but row 1 is None"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
