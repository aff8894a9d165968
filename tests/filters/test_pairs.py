from hf_augment.filters.pairs import PairOfTexts


def test_a_candidate_has_to_be_two_texts():
    examples = [
        {"text": "He sleeps. ||| He is awake."},
        {"text": "He sleeps. He is awake."},
        {"text": "He sleeps. |||"},
    ]
    verdicts = PairOfTexts().judge(examples, [0, 0, 1])
    assert [verdict.accepted for verdict in verdicts] == [True, False, False]
    assert verdicts[1].reason == "not two texts with ||| between them"
    assert PairOfTexts().fingerprint() != PairOfTexts("pair").fingerprint()
