"""What policies that choose make of what the classifier and the judge say."""

import numpy as np
import pytest

from hf_augment import AgreementSelection, UncertaintySelection
from hf_augment.training.feedback.choosing import choose
from hf_augment.training.feedback.policies import Candidates
from hf_augment.training.feedback.selection import entropy_of


def test_the_score_is_entropy_where_the_judge_agrees():
    says = np.array([[1, 0], [0.8, 0.2], [0.5, 0.5], [0.8, 0.2]], dtype=np.float32)
    candidates = Candidates(np.arange(4), np.zeros(4, int), says, np.array([1, 1, 1, 0.5]))
    h = -(0.8 * np.log2(0.8) + 0.2 * np.log2(0.2))
    assert UncertaintySelection().score(None, candidates) == pytest.approx([0, h, -np.inf, h / 2], abs=1e-6)
    assert UncertaintySelection(max_entropy=1).score(None, candidates)[2] == pytest.approx(1)
    assert entropy_of(np.full((1, 4), 0.25)) == pytest.approx([1])


def test_what_the_classifier_agrees_with_is_chosen_by_chance_and_then_what_it_comes_near_to():
    says = np.array([[0.9, 0.1, 0.0], [0.4, 0.35, 0.25], [0.4, 0.35, 0.25], [0.1, 0.9, 0.0]], dtype=np.float32)
    candidates = Candidates(np.arange(4), np.array([0, 0, 1, 0]), says, np.ones(4))
    scores = AgreementSelection().score(None, candidates)
    assert scores == pytest.approx([1, 1, 0.875, 1 / 9], abs=1e-6)
    # However sure: of the two that it agrees with each comes first as often.
    firsts = [choose(np.zeros(4, int), scores, np.ones(1), 1, 0.0, np.random.default_rng(i))[0] for i in range(200)]
    assert set(firsts) == {0, 1}
    assert 70 < firsts.count(0) < 130


def test_of_what_the_classifier_says_nothing_nothing_is_chosen_while_there_are_others():
    says = np.array([[np.nan, np.nan], [0.9, 0.1]], dtype=np.float32)
    candidates = Candidates(np.arange(2), np.array([0, 1]), says, np.ones(2))
    assert AgreementSelection().score(None, candidates) == pytest.approx([-np.inf, 1 / 9])


def test_settings_of_selection_are_told_and_checked():
    assert UncertaintySelection().fingerprint() != UncertaintySelection(max_entropy=0.5).fingerprint()
    assert AgreementSelection().settings() == ["agreement_selection", 0.0]
    for make in (AgreementSelection, UncertaintySelection):
        with pytest.raises(ValueError, match="`random_share` must be a number between 0 and 1"):
            make(random_share=2)
    with pytest.raises(ValueError, match="`max_entropy` must be a number between"):
        UncertaintySelection(max_entropy=0)
