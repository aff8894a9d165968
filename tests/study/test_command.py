"""The command line of the recipes, with an experiment that does nothing."""

import io
import sys

import pytest

from hf_augment.study import command


@pytest.fixture
def story(monkeypatch):
    """What was done, in order."""
    done = []

    class Story:
        def __init__(self, *arguments):
            done.append(arguments)

        def run(self):
            done.append("run")

    monkeypatch.setattr(command, "parse_arguments", lambda arguments: arguments)
    monkeypatch.setattr(command, "publish", lambda experiment, results: done.append(results))
    return Story, done


def test_letters_that_a_terminal_does_not_know_end_no_run(story, monkeypatch):
    kind, done = story
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", terminal)

    def report(experiment):
        print("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{GRINNING FACE}", flush=True)
        return {"title": "demo"}

    monkeypatch.setattr(command, "report", report)
    command.main(kind, ["experiment", "training"])
    assert terminal.buffer.getvalue() == b"caf\xe9 ?\n"
    assert done == [("experiment", "training"), "run", {"title": "demo"}]


@pytest.mark.parametrize("error", [ValueError("dropout=2\nis too much"), FileNotFoundError("dropout=2\nis too much")])
def test_bad_input_ends_with_one_line(story, monkeypatch, error):
    kind, done = story

    def report(experiment):
        raise error

    monkeypatch.setattr(command, "report", report)
    with pytest.raises(SystemExit) as ended:
        command.main(kind, [])
    assert ended.value.code == "error: dropout=2 is too much"
    assert done == [(), "run"]
