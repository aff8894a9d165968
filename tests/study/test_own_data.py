"""A comparison on one's own data: what it is made of, what the time allows, and the whole of it with tiny models."""

import csv
import json
from pathlib import Path

import pytest

from hf_augment.cli import main
from hf_augment.commands.options import nearest
from hf_augment.data.opening import open_data
from hf_augment.study.budget import Costs
from hf_augment.study.experiment import Experiment, build
from hf_augment.study.own_data import work_of
from hf_augment.study.settling import training_parser
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toys import TEXT


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A CSV of two classes, a classifier and a language model, in a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    for name, model in (("tiny", tiny_classifier(tokenizer=tokenizer)), ("lm", tiny_causal_lm(tokenizer))):
        tokenizer.save_pretrained(tmp_path / name)
        model.save_pretrained(tmp_path / name)
    rows = TEXT.rows(60)
    with open("tickets.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["message", "topic"])
        for number, (text, label) in enumerate(zip(rows["text"], rows["label"], strict=True)):
            writer.writerow([f"{text} {number}", rows.features["label"].int2str(label)])
    return ["experiment", "tickets.csv", "--model", "tiny", "--generator_model", "lm", "--backend", "torch"]


def made(**changes):
    values = {"output_dir": "runs/x", "report_to": "none", "max_steps": 4, "synthetic_shard_size": 16}
    given = {"model": {"model": "lm"}, "classifier": {"model": "tiny", "max_length": 16}}
    return Experiment({"source": "tickets.csv"}, values, **{"arms": ("probe", "prompted"), **given, **changes})


def test_a_study_is_built_of_values_that_json_holds(tiny):
    experiment = made(max_test_rows=5)
    study = build(Experiment(**json.loads(json.dumps(experiment.__dict__))))
    assert list(study.arms) == ["baseline_same_steps", "probe", "prompted"]
    assert len(study.data.evaluations["test"]) == 5
    assert study.data.label_names == TEXT.rows(4).features["label"].names
    assert study.augmented_steps() == 4


def test_pairs_and_several_labels_are_found(tiny):
    texts = [f"{text} {i}" for i, text in enumerate(TEXT.rows(60)["text"][:])]
    sets = ("card;lost", "lost", "new")
    for name, header, cells in (
        ("pairs", ["premise", "hypothesis", "label"], [[a, f"not {a}", "yn"[i % 2]] for i, a in enumerate(texts)]),
        ("several", ["text", "labels"], [[a, sets[i % 3]] for i, a in enumerate(texts)]),
    ):
        with open(f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([header, *cells])
    pairs, several = (build(made(), open_data(f"{name}.csv")) for name in ("pairs", "several"))
    assert pairs.classifier.pairs
    assert "pair of texts with ||| between them" in pairs.arms["prompted"].source.prompt_of(pairs.split(0)).template
    assert several.classifier.labels == ["card", "lost", "new"]
    assert several.data.label_names == ["card; lost", "lost", "new"]


def test_an_arm_that_there_is_not_is_named_with_those_that_there_are(tiny):
    with pytest.raises(ValueError, match=r"arms has \['flip'\]: it must be some of \['probe', 'eda', 'prompted'"):
        build(made(arms=("flip",)), open_data("tickets.csv"))


def test_the_work_of_a_study_is_counted(tiny):
    study = build(made(arms=("probe", "eda", "prompted")))
    work, tests, train = work_of(study), len(study.data.evaluations["test"]), len(study.split(0).train)
    assert work.steps == 3 * 4
    assert work.rows == 4 * tests + train
    # Half of eight rows in four steps, each shown once, and as many rejected.
    assert work.examples == 2 * 4 * 4
    assert work.once == 0
    assert work.rounds(Costs(1, 0, 0), 36) == 3


def test_an_unknown_option_is_answered_with_the_trainer_s(tiny, capsys):
    assert (
        nearest(["--lerning_rate", "3"], training_parser())
        == "unknown: --lerning_rate (did you mean --learning_rate?)"
    )
    with pytest.raises(SystemExit) as ended:
        main([*tiny, "--lerning_rate", "3"])
    assert "did you mean --learning_rate?" in ended.value.code


@pytest.mark.slow
def test_the_whole_of_it_on_a_file(tiny, capsys):
    command = [*tiny, "--minutes", "0.2", "--processes", "1", "--arms", "probe", "prompted", "--max_steps", "4"]
    command += ["--max_new_tokens", "4"]
    main(command)
    told = capsys.readouterr().out
    assert "texts: column 'message', by its name" in told
    assert "labels: column 'topic'" in told
    assert "learning_rate=" in told
    assert "max_steps=" not in told
    assert "3 runs of each arm are done all the same" in told
    plan = json.loads(Path("runs/tickets/plan.json").read_text())
    assert plan["rounds"] == 3
    results = json.loads(Path("runs/tickets/report/results.json").read_text())
    assert {run["arm"] for run in results["runs"]} == {"baseline_same_steps", "probe", "prompted"}
    # The same again reads what was done, and other options have another folder.
    main(command)
    assert "Measuring" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="holds a comparison of other options, max_test_rows=None: pass these"):
        main([*command, "--max_test_rows", "4"])
