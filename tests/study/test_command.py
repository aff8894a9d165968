"""How a recipe ends."""

import io
import sys

import pytest

from hf_augment.study.command import one_line_errors


def test_letters_that_a_terminal_does_not_know_end_no_run(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", terminal)
    with one_line_errors():
        print("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{GRINNING FACE}", flush=True)
    assert terminal.buffer.getvalue() == b"caf\xe9 ?\n"


@pytest.mark.parametrize("error", [ValueError("dropout=2\nis too much"), FileNotFoundError("dropout=2\nis too much")])
def test_bad_input_ends_with_one_line(error):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise error
    assert ended.value.code == "error: dropout=2 is too much"


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError), one_line_errors():
        raise KeyError("dropout")
