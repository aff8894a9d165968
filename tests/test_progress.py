"""Signs of life."""

import io
import sys
import time

import pytest

from hf_augment import progress
from hf_augment.progress import last_words, one_line_errors, say, working


def test_work_tells_that_it_goes_on_and_of_nested_work_the_innermost(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PERIOD", 0.05)
    with working("outer"), working("inner"):
        time.sleep(0.3)
    lines = capsys.readouterr().out.splitlines()
    while lines[-1] == "· outer: 0 s":  # On a slow machine, when the inner work has ended.
        lines.pop()
    assert [line for line in lines[: lines.index("· inner")] if line != "· outer: 0 s"] == ["· outer"]
    assert set(lines[lines.index("· inner") + 1 :]) == {"· inner: 0 s"}
    assert progress._at_work == []


def test_one_rank_speaks(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    say("twice")
    monkeypatch.setenv("RANK", "0")
    say("once")
    assert capsys.readouterr().out == "once\n"


def test_the_last_words_of_a_log_are_its_work_and_its_bar(tmp_path):
    log = tmp_path / "log"
    log.write_text("")
    assert last_words(log) == ""
    log.write_text("· split-0/baseline-0\n  0%|   | 0/16 [00:00<?, ?it/s]\r 50%|█  | 8/16 [00:41<00:40, 5.1s/it]")
    assert last_words(log) == "split-0/baseline-0 8/16"
    log.write_text("x" * 9000 + "\n· split-0/trained-1: 25 s\nall kinds of words")
    assert last_words(log) == "split-0/trained-1: 25 s"


def test_letters_that_a_terminal_does_not_know_end_no_run(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", terminal)
    with one_line_errors():
        print("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{GRINNING FACE}", flush=True)
    assert terminal.buffer.getvalue() == b"caf\xe9 ?\n"


@pytest.mark.parametrize("kind", [ValueError, FileNotFoundError, ImportError])
def test_bad_input_ends_with_one_line(kind):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise kind("dropout=2\nis too much")
    assert ended.value.code == "error: dropout=2 is too much"


def test_a_device_without_memory_ends_with_one_line():
    class OutOfMemoryError(RuntimeError):
        """As PyTorch's is called."""

    told = "the memory of the device ran out: lower --per_device_train_batch_size"
    with pytest.raises(SystemExit, match=told), one_line_errors():
        raise OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="another"), one_line_errors():
        raise RuntimeError("another")


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError), one_line_errors():
        raise KeyError("dropout")


def test_an_interrupt_ends_with_one_line(capsys):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted: what is done is kept; the same command goes on from there\n"
