"""The commands with a server: what a newcomer may mistype ends with one line, and no answer is asked for twice."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hf_augment.cli import main
from tests.tiny import tiny_classifier, tiny_tokenizer
from tests.toy_server import ToyServer, serving


INTENTS = ("card_arrival", "card_linking", "pin_change")


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A command on a CSV of three intents, twelve rows each."""
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained("tiny")
    tiny_classifier(num_labels=3, tokenizer=tokenizer).save_pretrained("tiny")
    with open("my.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([f"about {name} number {row * 7}", name] for name in INTENTS for row in range(12))
    return ["my.csv", "--model", "tiny", "--generator_model", "m"]


def refused(command):
    with pytest.raises(SystemExit) as ended:
        main(command)
    line = ended.value.code
    assert "\n" not in line
    return line


def test_what_is_mistyped_ends_with_one_line_that_says_what_to_do(command, server, monkeypatch):
    def line(url, *more):
        return refused(["experiment", *command, "--arms", "prompted", "--generator_url", url, *more])

    assert "leave that out" in line(server.url + "/chat/completions")
    assert server.requests == []
    assert "did not answer (ConnectionError)" in (said := line("http://127.0.0.1:9/v1"))
    assert "check that the server runs and that this is its address" in said
    monkeypatch.delenv("NO_SUCH", raising=False)
    assert "'NO_SUCH' is not set in the environment: set it" in line(server.url, "--token_variable", "NO_SUCH")
    server.faults = [404]
    assert "which mostly has /v1 before /chat/completions, or no model 'm': check both" in line(server.url)
    server.faults = [401]
    assert "set token_variable to the environment variable of a token" in line(server.url)


@pytest.mark.slow
@pytest.mark.parametrize("judge", ["probe", "prompted"])
def test_killed_in_mid_generation_a_command_asks_for_no_answer_again(command, judge, tmp_path):
    toy = ToyServer(delay=0.2)
    with serving(toy) as url:
        words = ["generate", *command, "--generator_url", url + "/", "--out", "made", "--examples", "40"]
        words += ["--label_judge", judge, "--max_candidates", "64"]
        with subprocess.Popen([sys.executable, "-m", "hf_augment", *words], stdout=subprocess.DEVNULL) as process:
            while len(toy.requests) < 45:
                time.sleep(0.01)
                assert process.poll() is None
            os.kill(process.pid, signal.SIGKILL)
        # The threads of the toy answer nobody.
        time.sleep(1)
        before, toy.delay = len(toy.requests), 0
        main(words)
        bodies = [json.dumps(body, sort_keys=True) for _, body in toy.requests]
        # What was under way when it was killed, sixteen at most, and no question about the server.
        again = [body for body in bodies[before:] if body in bodies[:before]]
        assert len(again) <= 16
        assert not any("random number of six digits" in body for body in bodies[before:])
        assert any("Answer with" in body for body in bodies) == (judge == "prompted")
        sent = len(toy.requests)
        main(words)
        assert len(toy.requests) == sent
