"""Texts from a server: the same again, kept, and never paid for twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from hf_augment import Endpoint, EndpointGenerator, InstructPrompt, LabelPrompt, SamplingConfig
from hf_augment.generators.served.connection import BudgetError, EndpointError
from hf_augment.generators.served.model import ASKED, Abilities, in_threads
from tests.toy_server import written


NAMES = ["card_arrival", "card_linking"]
PROMPT = InstructPrompt.for_labels(NAMES, kind="message to a bank")


def generator(server, prompt=PROMPT, **options):
    own = {name: options.pop(name) for name in ("max_requests", "concurrency", "attempts") if name in options}
    return EndpointGenerator(Endpoint(server.url, "m", pause=0.01, **own), NAMES, prompt, **options)


def asked(server):
    """The requests that are no questions about the server."""
    return [body for _, body in server.requests if ASKED not in json.dumps(body)]


def test_a_request_holds_the_prompt_the_settings_and_a_seed_of_its_own(server):
    made = generator(server, sampling=SamplingConfig(max_new_tokens=9, top_k=5), extra_body={"min_p": 0.1})
    texts = [example["text"] for example in made.generate([0, 1, 0], seed=3)]
    bodies = {body["seed"]: body for body in asked(server)}
    assert len(bodies) == 3
    assert [path for path, _ in server.requests] == ["/v1/chat/completions"] * len(server.requests)
    body = next(body for body in bodies.values() if "card linking" in body["messages"][0]["content"])
    del body["messages"], body["seed"]
    assert body == {"model": "m", "max_tokens": 9, "temperature": 1.0, "top_p": 1.0, "top_k": 5, "min_p": 0.1}
    assert len(set(texts)) == 3
    # The first two do not depend on the third.
    assert [example["text"] for example in made.generate([0, 1], seed=3)] == texts[:2]


def test_a_label_prompt_goes_to_completions(server):
    made = generator(server, LabelPrompt("Message ({label}):"))
    assert len(made.generate([1], seed=0)) == 1
    assert server.requests[-1][0] == "/v1/completions"
    assert server.requests[-1][1]["prompt"] == "Message (card_linking):"
    assert made.abilities == Abilities(seed=True, seed_in_company=True, logprobs=False, response_format=False)


@pytest.mark.parametrize(
    ("honours", "abilities"),
    [
        ((), Abilities(False, False, False, False)),
        (("seed",), Abilities(True, False, False, False)),
        (("seed", "seed_in_company", "logprobs"), Abilities(True, True, True, False)),
        (("seed", "seed_in_company", "response_format"), Abilities(True, True, False, True)),
    ],
)
def test_what_a_server_honours_is_found_and_told(server, honours, abilities):
    server.honours, server.delay = set(honours), 0.3
    made = generator(server)
    assert made.abilities == abilities
    assert made.replayable == abilities.replayable
    assert len(server.requests) == 10


def test_a_server_that_writes_otherwise_where_it_has_read_the_prompt_heeds_no_seed(server):
    """As that of llama.cpp does, which is asked anew by every object: it still knows what the last one asked."""
    known = set()

    def answers_to(body):
        prompt = body["messages"][0]["content"]
        warm = prompt in known and body.get("cache_prompt", True)
        known.add(prompt)
        return written(body, salt=warm)

    server.answers_to, server.honours = answers_to, set()
    assert not any(generator(server).abilities.seed for _ in range(3))
    made = generator(server, extra_body={"cache_prompt": False})
    assert made.abilities == Abilities(True, True, False, False)


def test_what_is_added_to_requests_is_added_to_the_questions_about_the_server(server, tmp_path):
    server.answers_to = lambda body: written(body) if body.get("thinks") is False else ""
    options = {"answers": tmp_path / "a.sqlite", "extra_body": {"thinks": False}}
    assert generator(server, **options).replayable
    assert not generator(server, answers=tmp_path / "a.sqlite").replayable
    sent = len(server.requests)
    assert generator(server, **options).replayable
    assert len(server.requests) == sent


def test_a_server_that_refuses_options_has_not_these_abilities(server):
    def answers_to(body):
        if body.keys() & {"logprobs", "response_format"}:
            raise ConnectionError
        return "text " + str(body["seed"])

    server.answers_to = answers_to
    # The thread of the server that raises sends nothing.
    assert generator(server, attempts=2).abilities == Abilities(True, True, False, False)


def test_an_answer_on_disk_is_not_asked_for_again(server, tmp_path):
    first = generator(server, answers=tmp_path / "a.sqlite")
    texts = first.generate([0, 1, 1], seed=5)
    assert first.replayable
    sent = len(server.requests)
    again = generator(server, answers=tmp_path / "a.sqlite")
    assert again.generate([0, 1, 1], seed=5) == texts
    assert again.fingerprint() == first.fingerprint()
    assert len(server.requests) == sent
    again.generate([0, 1, 1, 0], seed=5)
    assert len(server.requests) == sent + 1


def test_what_is_answered_before_a_fault_is_kept(server, tmp_path):
    made = generator(server, answers=tmp_path / "a.sqlite", concurrency=4)
    made.fingerprint()
    assert made.abilities.seed
    server.faults = [None] * 9 + [401]
    with pytest.raises(EndpointError, match="answered 401"):
        made.generate([0, 1] * 10, seed=0)
    # The rest was not begun; those that were under way ended well.
    assert len(asked(server)) < 20
    made.generate([0, 1] * 10, seed=0)
    assert len(asked(server)) == 21


def test_a_budget_leaves_what_was_paid_for(server, tmp_path):
    made = generator(server, answers=tmp_path / "a.sqlite", max_requests=10)
    with pytest.raises(BudgetError, match="max_requests=10"):
        made.generate([0] * 20, seed=0)
    sent = len(asked(server))
    assert sent > 0
    # Nor does whoever goes on have a budget anew.
    again = generator(server, answers=tmp_path / "a.sqlite", max_requests=sent + 1)
    assert (again.spent.requests, again.spent.tokens) == (sent, 16 * sent)
    with pytest.raises(BudgetError, match=f"max_requests={sent + 1}"):
        again.generate([0] * 20, seed=0)
    generator(server, answers=tmp_path / "a.sqlite").generate([0] * 20, seed=0)
    assert len(asked(server)) == 20


def test_killed_in_mid_generation_no_answer_is_asked_for_again(server, tmp_path):
    server.delay = 0.02
    script = f"""
from hf_augment import Endpoint, EndpointGenerator, InstructPrompt
names = {NAMES!r}
prompt = InstructPrompt.for_labels(names, kind="message to a bank")
endpoint = Endpoint({server.url!r}, "m", concurrency=2)
made = EndpointGenerator(endpoint, names, prompt, answers={str(tmp_path / "a.sqlite")!r})
made.generate([0, 1] * 300, seed=0)
"""
    process = subprocess.Popen([sys.executable, "-c", script])
    while len(server.requests) < 60:
        time.sleep(0.02)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    made = generator(server, answers=tmp_path / "a.sqlite")
    kept = len(made.served.store)
    assert kept > 20
    before = len(asked(server))
    made.generate([0, 1] * 300, seed=0)
    assert len(asked(server)) == before + 600 - kept


def test_no_more_requests_are_in_flight_than_allowed(server):
    server.delay = 0.1
    generator(server, concurrency=3).generate([0] * 12, seed=0)
    assert server.most_at_once == 3


def test_structured_answers_are_read_as_json(server):
    made = generator(server, structured=True)
    text = made.generate([0], seed=0)[0]["text"]
    assert text
    assert "{" not in text
    server.honours.discard("response_format")
    with pytest.raises(EndpointError, match="structured=True, but"):
        generator(server, structured=True).generate([0], seed=0)


def test_a_structured_answer_that_was_broken_off_is_no_text(server):
    made = generator(server, structured=True)
    assert made.abilities.response_format
    server.honours.discard("response_format")
    server.answers_to = lambda body: '{"text": "a message'
    assert made.generate([0], seed=9) == [{"text": ""}]


def test_a_text_that_was_broken_off_ends_with_a_sentence(server):
    def broken_off(handler):
        choice = {"finish_reason": "length", "message": {"content": "It came. Then it w"}}
        handler.send(200, json.dumps({"choices": [choice]}).encode())

    made = generator(server)
    assert made.abilities
    server.faults = [broken_off]
    assert made.generate([0], seed=0) == [{"text": "It came."}]


def test_a_model_that_only_thinks_is_told_of(server):
    def thinking(handler):
        message = {"content": None, "reasoning_content": "The user wants"}
        handler.send(200, json.dumps({"choices": [{"finish_reason": "length", "message": message}]}).encode())

    server.faults = [thinking]
    with pytest.raises(EndpointError, match="spent max_new_tokens=64 on thinking"):
        generator(server).generate([0], seed=0)


def test_the_fingerprint_follows_what_texts_depend_on(server):
    def fingerprint(**options):
        return generator(server, **options).fingerprint()

    known = {
        fingerprint(),
        fingerprint(prompt=LabelPrompt()),
        fingerprint(sampling=SamplingConfig(temperature=0.5)),
        fingerprint(structured=True),
        fingerprint(extra_body={"min_p": 0.1}),
        fingerprint(text_column="sentence"),
    }
    assert len(known) == 6
    assert fingerprint(concurrency=2, sampling=SamplingConfig(top_k=0, batch_size=3)) in known
    server.honours.discard("seed")
    assert fingerprint() not in known


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": LabelPrompt(), "structured": True}, "structured=True is for prompts in a chat"),
        ({"extra_body": {"seed": 1}}, r"extra_body has \['seed'\]"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_sent(server, options, message):
    with pytest.raises(ValueError, match=message):
        generator(server, **options)
    with pytest.raises(ValueError, match="labels has"):
        generator(server).generate([2], seed=0)
    assert server.requests == []


def test_threads_keep_the_order_and_end_with_the_first_error():
    done = []

    def work(item):
        if item == 3:
            raise ValueError("three")
        done.append(item)
        return -item

    assert in_threads(work, [1, 2], 8, threading.Event()) == [-1, -2]
    assert in_threads(work, [], 8, threading.Event()) == []
    stop = threading.Event()
    with pytest.raises(ValueError, match="three"):
        in_threads(work, [0, 3, *range(4, 1000)], 1, stop)
    assert stop.is_set()
    assert done[-1] == 0
