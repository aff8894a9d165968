"""Requests: what is retried, what ends, what is counted; against a real server with faults on the loopback."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from hf_augment.generators.served.connection import BudgetError, Connection, Endpoint, EndpointError, seconds_of
from hf_augment.generators.served.model import CHAT, read_answer, turns
from tests.toy_server import ToyServer, serving


BODY = {"messages": turns("hello"), "seed": 1}


@pytest.fixture
def toy():
    return ToyServer()


def endpoint(url, **options):
    return Endpoint(url, "m", **{"pause": 0.01, "timeout": 20.0, **options})


def post(connection, stopped=None):
    read = lambda answer: read_answer(answer, chat=True)  # noqa: E731
    return connection.post(CHAT, BODY, read, stopped or threading.Event().wait)


def cut(handler):
    """The head promises more than comes."""
    handler.send(200, b'{"choices": [', length=5000)
    handler.close_connection = True


def no_answer(handler):
    handler.close_connection = True


def garbage(handler):
    handler.send(200, b"<html>busy</html>")


def a_list(handler):
    handler.send(200, b"[1]")


def two_choices(handler):
    handler.send(200, b'{"choices": [{}, {}]}')


def no_text(handler):
    handler.send(200, b'{"choices": [{"message": {"content": 7}}]}')


PASSING = [408, 409, 425, 429, 500, 502, 503, 504, cut, no_answer, garbage, a_list, two_choices, no_text]


@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_tried_again(toy, fault):
    toy.faults = [fault, fault]
    with serving(toy) as url:
        connection = Connection(endpoint(url))
        answer = post(connection)
    assert answer.text == toy.reply(BODY)["choices"][0]["message"]["content"]
    assert len(toy.requests) == connection.spent.requests == 3
    assert connection.spent.retries == 2


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_ends_after_so_many_attempts(toy, fault):
    toy.faults = [fault] * 9
    with serving(toy) as url, pytest.raises(EndpointError, match="at attempt 3 of 3"):
        post(Connection(endpoint(url, attempts=3)))
    assert len(toy.requests) == 3


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "set token_variable"),
        (403, "does not allow"),
        (404, "has /v1 before .*no model 'm': check both"),
        (400, "as it was told to"),
    ],
)
def test_what_will_not_pass_ends_at_once(toy, status, advice):
    toy.faults = [status]
    with serving(toy) as url, pytest.raises(EndpointError, match=f"answered {status}: .*{advice}"):
        post(Connection(endpoint(url)))
    assert len(toy.requests) == 1


def test_nobody_there():
    with serving(ToyServer()) as url:
        pass
    with pytest.raises(EndpointError, match=r"\(ConnectionError\), at attempt 2 of 2: check that the server runs"):
        post(Connection(endpoint(url, attempts=2)))


def test_a_server_that_hangs_or_drips_is_left_after_the_timeout(toy):
    hung = threading.Event()

    def drip(handler):
        handler.send(200, b"", length=100)
        while not hung.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    with serving(toy) as url:
        for fault in (lambda handler: hung.wait(20), drip):
            toy.faults = [fault]
            start = time.monotonic()
            assert post(Connection(endpoint(url, timeout=0.3))).text
            assert time.monotonic() - start < 10
        hung.set()


def test_retry_after_is_heeded_up_to_the_longest_pause(toy):
    waits = []
    stopped = lambda seconds: waits.append(seconds)  # noqa: E731
    soon = lambda handler: handler.send(429, b"", Retry_After="7")  # noqa: E731
    later = lambda handler: handler.send(503, b"", Retry_After="700")  # noqa: E731
    with serving(toy) as url:
        toy.faults = [soon, 500, soon]
        post(Connection(endpoint(url, pause=0.5)), stopped)
        assert waits == [7.0, 1.0, 7.0]
        toy.faults = [later]
        with pytest.raises(EndpointError, match="asks for 700 seconds, more than max_pause=120"):
            post(Connection(endpoint(url)), stopped)


def test_seconds_of_a_header():
    assert seconds_of(None) is None
    assert seconds_of("2.5") == 2.5
    assert seconds_of("-1") == 0.0
    assert seconds_of("soon") is None
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < seconds_of(date) <= 100


def test_whoever_wants_no_answer_any_more_waits_for_no_attempt(toy):
    toy.faults = [500] * 9
    with serving(toy) as url, pytest.raises(EndpointError, match="answered 500, at attempt 1 of 6"):
        post(Connection(endpoint(url)), lambda seconds: True)


def test_budgets_end_before_a_request_is_sent(toy):
    with serving(toy) as url:
        connection = Connection(endpoint(url, max_requests=2))
        post(connection)
        post(connection)
        with pytest.raises(BudgetError, match=r"max_requests=2 of .* are spent \(2 requests, 32 tokens\)"):
            post(connection)
        connection = Connection(endpoint(url, max_tokens=17))
        post(connection)
        post(connection)
        with pytest.raises(BudgetError, match="max_tokens=17"):
            post(connection)
    assert len(toy.requests) == 4
    assert (connection.spent.prompt_tokens, connection.spent.completion_tokens) == (20, 12)


def test_the_token_is_the_environments_and_goes_nowhere_else(toy, monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other")
    monkeypatch.setenv("MY_TOKEN", "secret-7")
    with serving(toy) as url:
        post(Connection(endpoint(url)))
        connection = Connection(endpoint(url, token_variable="MY_TOKEN"))
        post(connection)
        assert toy.tokens == [None, "Bearer secret-7"]
        toy.faults = [401]
        with pytest.raises(EndpointError) as raised:
            post(connection)
        assert "secret-7" not in str(raised.value) + repr(vars(connection)) + repr(connection.endpoint)
        monkeypatch.delenv("MY_TOKEN")
        with pytest.raises(EndpointError, match="token_variable='MY_TOKEN' is not set"):
            post(connection)


def test_a_redirect_is_not_followed(toy):
    toy.faults = [lambda handler: handler.send(307, b"", Location="http://127.0.0.1:9/")]
    with serving(toy) as url, pytest.raises(EndpointError, match="answered 307"):
        post(Connection(endpoint(url)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "localhost:8000"}, "must begin with http"),
        ({"base_url": "http://me:secret@host/v1"}, "holds a name or password"),
        ({"base_url": "http://127.0.0.1/v1/chat/completions/"}, "must end before /chat/completions"),
        ({"base_url": "http://127.0.0.1/v1/completions"}, "must end before /chat/completions, mostly in /v1"),
        ({"model": ""}, "model='' must be"),
        ({"concurrency": 0}, "concurrency=0 must be an integer of at least 1"),
        ({"attempts": 1.5}, "attempts=1.5"),
        ({"timeout": 0}, "timeout=0 must be a number of seconds above 0"),
        ({"pause": 5, "max_pause": 1}, "pause=5 must be from 0 to max_pause=1"),
        ({"max_requests": 0}, "max_requests=0"),
    ],
)
def test_bad_settings_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message) as raised:
        Endpoint(**{"base_url": "http://127.0.0.1/v1", "model": "m", **options})
    assert "secret" not in str(raised.value)
