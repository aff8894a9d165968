"""Values from YAML and from the command line, and what is refused."""

import sys
from dataclasses import dataclass, field

import pytest
from transformers import TrainingArguments

from hf_augment.study.arguments import parse_arguments


@dataclass
class Arguments:
    name: str = "default"
    rate: float = 0.5
    count: int = 3
    limit: float | None = 7.0
    folder: str | None = None
    names: list[str] = field(default_factory=lambda: ["one", "two"])
    flag: bool = False
    shown: bool = True

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count={self.count}\nmust be 1 or more.")


def parse(tmp_path, yaml=None, *argv, kinds=(Arguments,)):
    if yaml is not None:
        path = tmp_path / "config.yaml"
        path.write_text(yaml, encoding="utf-8")
        argv = ("--config", str(path), *argv)
    filled = parse_arguments(kinds, argv)
    return filled[0] if len(filled) == 1 else filled


def refused(tmp_path, capsys, yaml=None, *argv):
    with pytest.raises(SystemExit) as stop:
        parse(tmp_path, yaml, *argv)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err


def test_defaults_without_arguments(tmp_path):
    assert parse(tmp_path) == Arguments()
    assert parse(tmp_path, "") == Arguments()
    assert parse(tmp_path, "# only a comment\n") == Arguments()


def test_the_command_line_wins_over_yaml_over_defaults(tmp_path):
    yaml = "name: from yaml\nrate: 0.25\nnames: [a, b, c]\n"
    args = parse(tmp_path, yaml, "--rate", "0.125", "--names", "z")
    assert (args.name, args.rate, args.names, args.count) == ("from yaml", 0.125, ["z"], 3)
    # Wherever --config stands, and however it is written.
    config = tmp_path / "config.yaml"
    (args,) = parse_arguments([Arguments], ["--rate", "0.125", f"--config={config}"])
    assert (args.name, args.rate) == ("from yaml", 0.125)


@pytest.mark.parametrize(
    ("written", "value"),
    [("5.0e-4", 5e-4), ("1e-4", 1e-4), ("1", 1.0), (".5", 0.5), ("-2.5", -2.5), ("1.0e-09", 1e-9)],
)
def test_floats_as_people_write_them(tmp_path, written, value):
    assert parse(tmp_path, f"rate: {written}\nlimit: {written}").rate == value
    assert parse(tmp_path, f"limit: {written}").limit == value
    assert parse(tmp_path, None, "--rate", written).rate == value


@pytest.mark.parametrize(
    ("written", "value"),
    [("true", True), ("False", False), ("yes", True), ("no", False), ("on", True), ("off", False), ("0", False)],
)
def test_booleans(tmp_path, written, value):
    args = parse(tmp_path, f"flag: {written}\nshown: {written}")
    assert (args.flag, args.shown) == (value, value)


def test_booleans_of_the_command_line(tmp_path):
    assert parse(tmp_path, "flag: true", "--flag", "false").flag is False
    assert parse(tmp_path, None, "--flag").flag is True
    assert parse(tmp_path, "shown: true", "--no_shown").shown is False


def test_none_only_where_none_is_allowed(tmp_path, capsys):
    args = parse(tmp_path, "limit: null\nfolder:")
    assert args.limit is None
    assert args.folder is None
    assert parse(tmp_path, "limit: null", "--limit", "2").limit == 2.0
    assert "count='null': write one value" in refused(tmp_path, capsys, "count: null")
    assert "name='': write one value" in refused(tmp_path, capsys, "name:")
    assert parse(tmp_path, "folder: 'null'").folder == "null"


WORDS = ["no", "yes", "on", "off", "True", "010", "1.10", "1:30", "1e3", "1_000", "0x10", "2020-01-01", "NA", "-x"]


@pytest.mark.parametrize("written", WORDS)
def test_a_text_is_what_is_written(tmp_path, written):
    args = parse(tmp_path, f"name: {written}\nfolder: {written}\nnames: [{written}, '{written}']\n")
    assert (args.name, args.folder, args.names) == (written, written, [written, written])
    _, training = parse(tmp_path, f"output_dir: x\nrun_name: {written}", kinds=(Arguments, TrainingArguments))
    assert training.run_name == written


def test_words_of_choices(tmp_path, capsys):
    yaml = f"output_dir: {tmp_path}\nsave_strategy: no\neval_strategy: no\nlabel_names: [no, yes]"
    _, training = parse(tmp_path, yaml, kinds=(Arguments, TrainingArguments))
    assert (training.save_strategy.value, training.eval_strategy.value) == ("no", "no")
    assert training.label_names == ["no", "yes"]
    with pytest.raises(SystemExit):
        parse(tmp_path, f"output_dir: {tmp_path}\nsave_strategy: never", kinds=(TrainingArguments,))
    assert "--save-strategy: invalid choice: 'never' (choose from" in capsys.readouterr().err


def test_a_list_of_words_that_yaml_or_the_command_line_would_read_otherwise(tmp_path):
    yaml = "names:\n- -1\n- --count\n- null\n- ''\n- \"- {label}\"\n- --\n"
    assert parse(tmp_path, yaml).names == ["-1", "--count", "null", "", "- {label}", "--"]
    assert parse(tmp_path, yaml, "--names", "a").names == ["a"]


def test_anchors_and_merged_keys(tmp_path):
    yaml = "name: &word no\nfolder: *word\nnames: &both [a, *word]\n"
    args = parse(tmp_path, yaml)
    assert (args.name, args.folder, args.names) == ("no", "no", ["a", "no"])
    yaml = (
        "output_dir: x\nlr_scheduler_kwargs: &rates {min_lr: 1e-5, on: no, off: '1'}\n"
        "liger_kernel_config:\n  <<: *rates\n  rope: true\n"
    )
    _, training = parse(tmp_path, yaml, kinds=(Arguments, TrainingArguments))
    assert training.lr_scheduler_kwargs == {"min_lr": 1e-5, "on": "no", "off": "1"}
    assert training.liger_kernel_config == {"min_lr": 1e-5, "on": "no", "off": "1", "rope": True}


def test_what_is_required_may_stand_in_the_file_alone(tmp_path):
    @dataclass
    class Required:
        model: str

    assert parse(tmp_path, "model: 010", kinds=(Required,)).model == "010"


def test_no_python_objects(tmp_path, capsys):
    assert "is not YAML" in refused(tmp_path, capsys, "name: !!python/object/apply:os.getcwd []")


def test_empty_lists(tmp_path):
    assert parse(tmp_path, "names: []").names == []
    assert parse(tmp_path, "names: []", "--names", "a", "b").names == ["a", "b"]
    assert parse(tmp_path, "names: [a]", "--names").names == []
    assert parse(tmp_path, "names: a").names == ["a"]


def test_a_list_at_the_end_of_the_file_does_not_swallow_the_command_line(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("names: [a]")
    assert "['stray'] are not known" in refused(tmp_path, capsys, None, "stray", "--config", str(tmp_path / "c.yaml"))


def test_a_value_may_begin_with_a_dash_or_have_spaces_and_umlauts(tmp_path):
    assert parse(tmp_path, 'name: "- {label}: ü"').name == "- {label}: ü"
    assert parse(tmp_path, 'name: ""').name == ""


def test_dictionaries_of_training_arguments(tmp_path):
    yaml = f"output_dir: {tmp_path}\nlr_scheduler_kwargs: {{min_lr: 1.0e-5}}\nlearning_rate: 1e-4\nreport_to: none\n"
    _, training = parse(tmp_path, yaml + "rate: 2", "--seed", "7", kinds=(Arguments, TrainingArguments))
    assert training.lr_scheduler_kwargs == {"min_lr": 1e-5}
    assert (training.learning_rate, training.seed) == (1e-4, 7)


def test_the_program_need_not_be_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [""])
    assert parse_arguments([Arguments]) == (Arguments(),)
    # Nor is a file beside it read.
    (tmp_path / "train.args").write_text("--count 9")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "train.py"), "--rate", "1"])
    assert parse_arguments([Arguments]) == (Arguments(rate=1.0),)


YAML_REFUSED = {
    "unknown keys": ("nme: x\n2: y\non: z", "has the unknown keys ['2', 'nme', 'on']"),
    "no field of the command line": ("no_shown: true", "unknown keys ['no_shown']"),
    "help is not a key": ("help: true", "unknown keys ['help']"),
    "config is not a key": ("config: other.yaml", "unknown keys ['config']"),
    "value": ("count: many", "argument --count: invalid int value: 'many'"),
    "half a count": ("count: 2.5", "invalid int value: '2.5'"),
    "boolean": ("flag: 7", "Truthy value expected: got 7"),
    "list for one value": ("count: [1, 2]", "count=['1', '2']: write one value"),
    "empty list for one value": ("count: []", "count=[]: write one value"),
    "dictionary for a text": ("name: {label}", "name={'label': ''}: write one value"),
    "dictionary in a list": ("names: [a: b]", "names=[{'a': 'b'}]: write one value"),
    "nothing in a list": ("names:\n-\n- a", "names=['', 'a']: write one value"),
    "a key twice": ("count: 1\nname: x\ncount: 2", "the keys ['count'] are there more than once"),
    "list": ("- a\n- b", "is no list of lines of the form `name: value`"),
    "text": ("just text", "is no list of lines of the form"),
    "broken": ("a: [1\nb: }", "is not YAML"),
    "refused by the dataclass": ("count: 0", "count=0 must be 1 or more."),
}


@pytest.mark.parametrize("case", YAML_REFUSED)
def test_yaml_that_is_refused(tmp_path, capsys, case):
    yaml, message = YAML_REFUSED[case]
    assert message in refused(tmp_path, capsys, yaml)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--nme", "x"], "['--nme', 'x'] are not known"),
        (["--nam", "x"], "['--nam', 'x'] are not known"),
        (["--count", "many"], "argument --count: invalid int value: 'many'; --help lists"),
        (["--count"], "argument --count: expected one argument"),
        (["--config"], "argument --config: expected one argument"),
        (["--config", "nowhere.yaml"], "--config nowhere.yaml does not exist: pass the path of a YAML file."),
        (["--count", "-1"], "count=-1 must be 1 or more."),
    ],
)
def test_command_lines_that_are_refused(tmp_path, capsys, argv, message):
    assert message in refused(tmp_path, capsys, None, *argv)


def test_a_file_that_is_not_text(tmp_path, capsys):
    (tmp_path / "config.bin").write_bytes(b"\xff\xfe\x00")
    assert "is not YAML" in refused(tmp_path, capsys, None, "--config", str(tmp_path / "config.bin"))


def test_help_ends_well(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_arguments([Arguments, TrainingArguments], ["--help"])
    assert stop.value.code == 0
    assert "--config" in capsys.readouterr().out
