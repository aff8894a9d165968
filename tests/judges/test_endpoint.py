import numpy as np
import pytest

from hf_augment import Endpoint, EndpointJudge, LabelAgreement


NAMES = ["card_arrival", "card_linking"]


def judge(server, names=NAMES, **options):
    return EndpointJudge(Endpoint(server.url, "m", pause=0.01), names, **options)


def test_log_probabilities_of_letters_are_read(server):
    found = judge(server)([{"text": "where is it"}])
    expected = np.exp([-0.2, -1.8])
    np.testing.assert_allclose(found, [expected / expected.sum()])
    body = server.requests[-1][1]
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"]) == (1, True, 20)


def test_a_class_that_is_not_among_the_likeliest_is_no_likelier_than_these(server):
    three = judge(server, [*NAMES, "pin_change"])([{"text": "where is it"}])[0]
    assert three.argmax() == 0
    assert three[2] <= three[1]
    assert three[2] > 0


def test_votes_are_counted_where_there_are_no_log_probabilities(server):
    server.honours.discard("logprobs")
    replies = ["A", " a.", "B: card linking", "no idea", "Card linking."]
    server.answers_to = lambda body: replies[body["seed"] % 5]
    asked = judge(server)
    server.requests.clear()
    found = asked([{"text": "where is it"}])
    np.testing.assert_allclose(found, [[2.5 / 5, 2.5 / 5]])
    replies[1] = "B"
    np.testing.assert_allclose(judge(server)([{"text": "where is it"}]), [[1.5 / 5, 3.5 / 5]])


def test_many_classes_are_numbered_and_voted_on(server):
    names = [f"class_{i}x" for i in range(30)]
    server.answers_to = lambda body: "17"
    found = judge(server, names, votes=2)([{"text": "a"}, {"text": "b"}])
    assert found.shape == (2, 30)
    assert found.argmax(axis=1).tolist() == [16, 16]
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_it_judges_for_the_filter_and_keeps_its_answers(server, tmp_path):
    agreement = LabelAgreement(judge(server, answers=tmp_path / "a.sqlite"), min_probability=0.5, label_names=NAMES)
    verdicts = agreement.judge([{"text": "where is it"}, {"text": "link it"}], labels=[0, 1])
    assert [verdict.accepted for verdict in verdicts] == [True, False]
    sent = len(server.requests)
    judge(server, answers=tmp_path / "a.sqlite")([{"text": "link it"}])
    assert len(server.requests) == sent


def test_no_examples_are_no_requests(server):
    assert judge(server, votes=1)([]).shape == (0, 2)


def test_the_fingerprint_follows_the_question(server):
    known = {
        judge(server).fingerprint(),
        judge(server, votes=2).fingerprint(),
        judge(server, descriptions={"card_arrival": "a card that comes"}).fingerprint(),
        judge(server, template="{text}\n{options}").fingerprint(),
    }
    assert len(known) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["a"]}, "at least two"),
        ({"votes": 0}, "votes=0"),
        ({"descriptions": {"other": "x"}}, r"descriptions has \['other'\]"),
        ({"template": "{text}"}, "does not contain {options}"),
    ],
)
def test_bad_arguments_are_refused_by_name(server, options, message):
    with pytest.raises(ValueError, match=message):
        judge(server, **options)
