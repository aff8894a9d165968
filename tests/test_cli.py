"""The command line, as far as no Hub answers; with one, it is tested where the Hub is (`test_hub`)."""

import subprocess
import sys
from pathlib import Path

import pytest

from hf_augment import __version__
from hf_augment.cli import main
from hf_augment.files import write_json
from hf_augment.hub.pushing import PushError
from hf_augment.hub.staging import FORMAT_VERSION
from tests.fake_hub import TOKEN, FakeHub


ROOT = Path(__file__).parents[1]


@pytest.fixture
def pushed(monkeypatch):
    calls = []

    def push(*arguments):
        calls.append(arguments)
        return ["https://hub/user/a", "https://hub/user/b"]

    monkeypatch.setattr("hf_augment.hub.pushing.push", push)
    return calls


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ([], ("runs/demo", None, None)),
        (["--repo_id", "user/demo", "--private"], ("runs/demo", "user/demo", True)),
    ],
)
def test_what_is_typed_is_pushed(options, arguments, pushed, capsys):
    main(["push", "runs/demo", *options])
    assert pushed == [arguments]
    assert capsys.readouterr().out == "https://hub/user/a\nhttps://hub/user/b\n"


@pytest.mark.parametrize("error", [ValueError, OSError, PushError])
def test_an_error_is_one_line(error, monkeypatch):
    def fail(*_):
        raise error("no\n  such thing")

    monkeypatch.setattr("hf_augment.hub.pushing.push", fail)
    with pytest.raises(SystemExit) as ended:
        main(["push", "runs/demo"])
    assert ended.value.code == "error: no such thing"


@pytest.mark.parametrize("arguments", [[], ["pull"], ["push"], ["push", "runs/demo", "--token", TOKEN]])
def test_what_there_is_no_command_for_is_refused(arguments, pushed, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: hf_augment" in capsys.readouterr().err
    assert not pushed


def test_an_unknown_option_is_answered_with_the_nearest_and_its_value_is_not_shown(pushed, capsys):
    with pytest.raises(SystemExit):
        main(["push", "runs/demo", "--repo-id", "demo", "--token=" + TOKEN])
    told = capsys.readouterr().err
    assert "unknown: --repo-id (did you mean --repo_id?), --token. `hf_augment push --help` lists" in told
    assert TOKEN not in told
    assert "demo" not in told


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--arms", "probe", "my.csv"], "are required: DATA (before the options)"),
        (["--max_steps", "100", "my.csv"], "write DATA before --max_steps"),
    ],
)
def test_data_that_an_option_would_take_for_its_value_is_asked_for(typed, told, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["experiment", *typed])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_an_option_without_a_value_may_stand_before_the_data(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"'my.csv' does not exist"):
        main(["experiment", "--use_cpu", "my.csv", "--max_steps", "100"])


def test_help_and_version_load_no_library_for_training():
    told = "import sys; from hf_augment.cli import main; main(sys.argv[1:])"
    for option, expected in (("--version", f"hf_augment {__version__}"), ("--help", "usage: hf_augment")):
        command = [sys.executable, "-X", "importtime", "-c", told, option]
        done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)
        assert done.stdout.startswith(expected)
        loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
        assert not loaded & {"torch", "transformers", "datasets", "numpy"}


def test_as_a_process_a_refusal_is_one_line_and_exit_code_1(tmp_path):
    folder = tmp_path / "demo/hub/trained"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    entry = {"folder": "trained", "suffix": "trained", "repo_type": "model", "files": ["config.json"]}
    write_json(folder.parent / "push.json", {"format_version": FORMAT_VERSION, "repositories": [entry]})
    with FakeHub() as hub:
        environment = hub.environment(tmp_path / "home") | {"PYTHONPATH": str(ROOT), "HF_TOKEN": "hf_secretButOld"}
        command = [sys.executable, "-m", "hf_augment", "push", "demo"]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: demo-trained could not be pushed: the Hub refused the token (401); run `hf auth login`, or set "
        "HF_TOKEN to a token with write access. Arrived: nothing. Did not arrive: demo-trained. "
        "Repeat with: hf_augment push demo\n"
    )
    assert not hub.repositories
