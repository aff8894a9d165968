"""A comparison on one's own data: what it is made of, what the time allows, and the whole of it with tiny models."""

import argparse
import csv
import dataclasses
import json
import math
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from hf_augment import AgreementSelection
from hf_augment.cli import main
from hf_augment.commands.experiment import add_arguments
from hf_augment.commands.options import nearest
from hf_augment.data.opening import open_data
from hf_augment.files import read_json, write_json
from hf_augment.generators.served.connection import Endpoint
from hf_augment.generators.served.model import ASKED
from hf_augment.study import planning
from hf_augment.study.budget import Costs
from hf_augment.study.experiment import Experiment, build
from hf_augment.study.own_data import check_outside, check_space, folder_of
from hf_augment.study.planning import LEAST, SAVINGS, afford, only_look, saved, without_slow, work_of
from hf_augment.study.pseudo_labels import PseudoLabels
from hf_augment.study.settling import MAY_DIFFER, asked_as, settle, shard_size, training_parser, unnamed
from hf_augment.study.text_sources import prompt_of
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toy_server import ToyServer, serving
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
    prompt = prompt_of(pairs.arms["prompted"].source.prompt, pairs.split(0))
    assert "pair of texts with ||| between them" in prompt.template
    assert several.classifier.labels == ["card", "lost", "new"]
    assert several.data.label_names == ["card; lost", "lost", "new"]
    # Labels are described one by one; `card` never occurs alone.
    described = made(prompt={"descriptions": {"card": "a card", "lost": "a loss", "new": "a wish"}})
    study = build(described, open_data("several.csv"))
    prompt = prompt_of(study.arms["prompted"].source.prompt, study.split(0))
    assert prompt.descriptions == {"card; lost": "a card and a loss", "lost": "a loss", "new": "a wish"}


def test_an_arm_that_there_is_not_is_named_with_those_that_there_are(tiny):
    with pytest.raises(
        ValueError, match=r"There is no arm 'flip'\. There are probe, eda, prompted, probe_prompted, trained"
    ):
        build(made(arms=("flip",)), open_data("tickets.csv"))
    with pytest.raises(ValueError, match=r"further rows may also end in _eda; a probe may not\."):
        build(made(arms=("probe_prompted_eda",)), open_data("tickets.csv"))


def test_the_work_of_a_study_is_counted(tiny):
    study = build(made(arms=("probe", "eda", "prompted")))
    work, tests, train = work_of(study), len(study.data.evaluations["test"]), len(study.split(0).train)
    assert work.steps == 3 * 4
    assert (work.rows, work.rows_once) == (4 * tests, train)
    # Half of eight rows in four steps, each shown once.
    assert work.examples == 4 * 4
    assert work.learned == ()
    assert work_of(build(made(arms=("trained",)))).learned == ("trained",)
    assert work.rounds(Costs(1, 0, 0), 36) == 3


def test_draws_of_the_labelled_rows_multiply_the_work(tiny):
    drawn = {"arms": ("probe", "trained", "both", "real"), "train_per_class": 5}
    one, three = (build(made(**drawn, splits=splits)) for splits in (1, 3))
    assert [len(three.split(index).train) for index in range(3)] == [10, 10, 10]
    once, thrice = work_of(one), work_of(three)
    assert (thrice.steps, thrice.rows, thrice.examples) == (3 * once.steps, 3 * once.rows, 3 * once.examples)
    # The other labelled rows cost nothing; the mixture's generator is that of the arm alone. A shard is made whole.
    assert (once.examples, once.learned, thrice.learned) == (2 * 16, ("trained",), ("trained",) * 3)
    assert (once.draws, thrice.draws) == (1, 3)


def test_other_labelled_rows_are_an_arm_where_rows_are_drawn(settled):
    with pytest.raises(ValueError, match="no arm 'real': it is of rows that train_per_class leaves"):
        build(made(arms=("real",)), open_data("tickets.csv"))
    experiment = settled("--train_per_class", "5", "--splits", "2")
    assert build(dataclasses.replace(experiment, arms=("pseudo_labels",))).arms
    assert experiment.arms[-1] == "real"
    assert (experiment.train_per_class, experiment.splits) == (5, 2)
    # The rules are for ten rows, not for all.
    assert experiment.training["max_steps"] == 120
    study = build(experiment)
    assert len(study.split(1).train) == 10
    assert "real" in saved(experiment, set(), *SAVINGS[-1]).arms
    # Where a draw takes all rows of a class there are no others.
    rarest = min(Counter(open_data("tickets.csv").train["label"]).values())
    assert "real" not in settled("--train_per_class", str(rarest)).arms


def refusal(command):
    """The line with which a command ends."""
    with pytest.raises(SystemExit) as ended:
        main(command)
    return ended.value.code


def test_an_unknown_option_is_answered_with_the_trainer_s(tiny, capsys):
    assert (
        nearest(["--lerning_rate", "3"], training_parser())
        == "unknown: --lerning_rate (did you mean --learning_rate?)"
    )
    assert "did you mean --learning_rate?" in refusal([*tiny, "--lerning_rate", "3"])


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--train_per_class", "1"], "train_per_class=1 must be 2 or more: labels are judged by rows of the same"),
        (["--minutes", "0"], "minutes=0.0 must be a number above 0"),
        (["--minutes", "inf"], "minutes=inf must be a number above 0"),
        (["--synthetic_reuse", "0"], "synthetic_reuse=0 is out of range: pass 1 or more"),
        (["--seeds", "0"], "seeds=0 must be 1 or more"),
        (["--processes", "0"], "processes=0 must be 1 or more"),
        (["--max_test_rows", "0"], "max_test_rows=0 must be 1 or more"),
        (["--min_label_probability", "1.5"], "min_label_probability=1.5 must be 0 to 1"),
        (["--pseudo_label_share", "0"], "pseudo_label_share=0.0 must be in (0, 1]"),
        (["--pseudo_label_share", "nan"], "pseudo_label_share=nan must be in (0, 1]"),
        (["--prompt", "mine.json", "--kind", "ticket"], "prompt='mine.json' is a whole prompt"),
        (["--num_train_epochs", "3"], "pass max_steps"),
        (["--max_steps", "0"], "max_steps=0 must be 1 or more"),
        (["--learning_rate", "-1"], "learning_rate=-1.0 must be a number above 0"),
        (["--learning_rate", "nan"], "learning_rate=nan must be a number above 0"),
        (["--weight_decay", "-1"], "weight_decay=-1.0 must be a number of 0 or more"),
        (["--adam_beta2", "1"], "adam_beta2=1.0 must be 0 or more, and below 1"),
        (["--label_smoothing_factor", "2"], "label_smoothing_factor=2.0 must be 0 to 1"),
        (["--per_device_train_batch_size", "0"], "per_device_train_batch_size=0 must be 1 or more"),
        (["--seed", "-1"], "seed=-1 must be 0 or more"),
        (["--hub_token", "hf_secret"], "set HF_TOKEN"),
        (["--max_requests", "9"], "max_requests is of a server: pass generator_url, too"),
        (["--label_judge", "prompted"], "label_judge is of a server: pass generator_url, too"),
        (["--generator_url", "http://127.0.0.1:9/v1"], "backend is of a model that runs here, not at generator_url"),
    ],
)
def test_what_contradicts_itself_is_refused_before_data_are_read(typed, told, tiny):
    said = refusal([*tiny, *typed])
    assert told in said
    assert "hf_secret" not in said
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["--model", "./none"], "model='./none' is no model folder here"),
        (["--generator_model", "./none"], "'./none', is no model folder here"),
        (["--output_dir", "tickets.csv"], "output_dir='tickets.csv' is no folder, or lies in none"),
        (["--output_dir", "tickets.csv/in"], "output_dir='tickets.csv/in' is no folder, or lies in none"),
        (["--image_size", "32"], "image_size=32 is of images, and 'tickets.csv' holds texts"),
        (["--image_size", "0"], "image_size=0 must be 1 or more"),
    ],
)
def test_what_is_not_there_or_of_other_data_is_refused_before_any_training(typed, told, tiny):
    assert told in refusal([*tiny, *typed])


def test_results_may_not_lie_in_the_data(tiny, monkeypatch):
    Path("data").mkdir()
    Path("tickets.csv").rename("data/tickets.csv")
    inside = "output_dir='data/out' lies in the data, 'data', and would be read with it the next time"
    assert inside in refusal(["experiment", "data", *tiny[2:], "--output_dir", "data/out"])
    told = "lies in the data, '.', and would be read with it the next time: pass another --output_dir"
    with monkeypatch.context() as inside_of:
        inside_of.chdir("data")
        assert told in refusal(["experiment", ".", *tiny[2:]])
    assert "out='data/x' lies in the data" in refusal(["generate", "data", *tiny[2:], "--out", "data/x"])
    assert not Path("runs").exists()
    # Of files of splits, nothing below them is read.
    Path("data/tickets.csv").rename("data/train.csv")
    check_outside("output_dir", Path("data/out"), "data")


def test_a_folder_of_other_files_is_left_alone(tiny):
    Path("mine/hub").mkdir(parents=True)
    Path("mine/hub/notes.txt").write_text("mine")
    assert "output_dir='mine' holds other files: pass a new folder" in refusal([*tiny, "--output_dir", "mine"])
    assert [path.name for path in Path("mine").rglob("*")] == ["hub", "notes.txt"]


def test_other_descriptions_are_another_comparison(tiny, settled, monkeypatch):
    names, words = open_data("tickets.csv").label_names, Path("d.yaml")
    words.write_text("".join(f"{name}: of a kind\n" for name in names))
    experiment = settled("--descriptions", "d.yaml")
    Path("run").mkdir()
    write_json(Path("run/plan.json"), {})
    monkeypatch.setattr("hf_augment.study.own_data._begun", lambda *_: ({"course": {}}, experiment))
    words.write_text("".join(f"{name}: of another kind\n" for name in names))
    told = refusal([*tiny, "--descriptions", "d.yaml", "--output_dir", "run"])
    assert "descriptions='d.yaml' has other words than when this comparison was begun: pass another" in told


def test_a_folder_is_named_after_the_data_as_typed(tiny, monkeypatch):
    Path("link.csv").symlink_to("tickets.csv")
    names = [folder_of(source).as_posix() for source in ("link.csv", "owner/reviews", ".", "none.csv.gz")]
    assert names == ["runs/link", "runs/reviews", f"runs/{Path.cwd().name}", "runs/none"]


def test_a_launcher_of_several_processes_is_refused(tiny, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "2 processes were started, and a comparison is one" in refusal(tiny)


def test_a_disk_without_room_is_told_before_any_training(tiny, monkeypatch):
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("hf_augment.study.own_data.shutil.disk_usage", lambda folder: usage)
    assert "has room for 0.0 GB, and what is kept takes up to 0.3: free some" in refusal([*tiny, "--arms", "probe"])
    # What is there takes no more.
    study = build(made())
    for arm in study.arms:
        (study.folder / f"split-0/{arm}-0/model").mkdir(parents=True)
    (study.folder / "split-0/judge/model").mkdir(parents=True)
    check_space(study.folder, study, "tiny")


def test_classes_without_names_are_not_asked_of_a_language_model(settled, tiny, monkeypatch):
    lines = Path("tickets.csv").read_text().splitlines()
    cells = [line.rpartition(",") for line in lines[1:]]
    numbers = {name: i for i, name in enumerate(sorted({name for *_, name in cells}))}
    Path("tickets.csv").write_text("\n".join([lines[0], *(f"{text},{numbers[name]}" for text, _, name in cells)]))
    assert settled().arms == ("probe", "eda", "trained")
    assert unnamed(open_data("tickets.csv"), []) == {
        "prompted": "since '0', '1' tell a language model nothing: --descriptions FILE says what the classes are, and "
        "`hf_augment inspect --descriptions FILE` drafts it"
    }
    costs = Costs(step=1e-6, row=1e-6, example=1e-6, learning={"trained": 1e-6})
    monkeypatch.setattr(planning, "_measure", lambda *_: costs)
    monkeypatch.setattr(planning, "_left", lambda *_: 240.0)
    options = argparse.Namespace(minutes=5, seeds=1, arms=None, more={}, max_test_rows=None, descriptions=None)
    assert afford(settled(), open_data("tickets.csv"), options, 1, 0.0)[1]["not_tried"].keys() == {"prompted"}
    Path("d.yaml").write_text("0: bad\n1: good\n")
    assert "prompted" in settled("--descriptions", "d.yaml").arms
    options.descriptions = "d.yaml"
    described = settled("--descriptions", "d.yaml")
    assert afford(described, open_data("tickets.csv"), options, 1, 0.0)[1]["not_tried"] == {}
    assert "which do not say what the classes are" in refusal([*tiny, "--arms", "prompted"])


def test_the_least_probability_of_a_label_is_chosen_and_said(settled, capsys):
    assert settled().filters == {"min_label_probability": None}
    told = "min_label_probability=None: what three in four labelled rows get that the judge has not seen"
    assert told in capsys.readouterr().out
    experiment = settled("--min_label_probability", "0.2")
    assert build(experiment).arms["prompted"].filters.min_label_probability == 0.2
    # Nobody judges, so that nothing can weigh by it.
    with pytest.raises(ValueError, match="prompted_weighted' weighs rows by what a judge says of their labels"):
        build(settled("--min_label_probability", "0", "--arms", "prompted_weighted"))


def test_losses_are_logged_often_enough_to_tell_whether_they_fall(settled):
    assert build(settled()).training.logging_steps == 120 // 8
    assert build(settled("--max_steps", "4")).training.logging_steps == 1
    assert build(settled("--logging_steps", "7")).training.logging_steps == 7


def test_a_trained_generator_learns_as_much_of_a_text_as_it_writes(settled):
    assert settled("--max_new_tokens", "200").generator_training["max_length"] == 224


def test_a_file_of_no_model_is_refused():
    with pytest.raises(SystemExit, match="is a file of generator_model: pass that, too"):
        main(["experiment", "tickets.csv", "--gguf_file", "a.gguf"])


@pytest.fixture
def settled(tiny, monkeypatch, tmp_path):
    """The experiment that is made of some options, and what is saved of it."""

    def settle_(*typed):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        options, more = parser.parse_known_args([*tiny[1:], *typed])
        options.more = vars(training_parser().parse_args(more))
        options.opening = {} if options.unlabelled is None else {"unlabelled": options.unlabelled}
        return settle(options, open_data("tickets.csv", **options.opening), tmp_path / "run")

    return settle_


def test_rules_count_with_what_was_typed(settled, capsys):
    experiment = settled("--max_steps", "1000", "--synthetic_reuse", "1", "--arms", "prompted")
    assert experiment.training["max_steps"] == 1000
    assert experiment.training["synthetic_shard_size"] == 64
    assert experiment.arms == ("prompted",)
    settled("--max_steps", "100", "--synthetic_ratio", "0.25")
    assert "so 100 have to be accepted" in capsys.readouterr().out
    assert (experiment.model["model"], experiment.model["gguf_file"]) == ("lm", None)


def test_what_was_typed_is_not_given_up_for_time(settled):
    experiment = settled("--synthetic_reuse", "1")
    poorest = SAVINGS[-1]
    poorer = saved(experiment, {"synthetic_reuse"}, *poorest)
    assert poorer.training["synthetic_reuse"] == 1
    assert poorer.training["max_steps"] == experiment.training["max_steps"] // 4
    assert poorer.training["warmup_steps"] == experiment.training["warmup_steps"] // 4
    assert poorer.arms == ("probe", "prompted", "probe_prompted")
    assert saved(experiment, {"synthetic_reuse", "max_steps", "arms", "max_test_rows"}, *poorest) == experiment


def test_shards_shrink_with_the_examples_that_are_left(settled):
    experiment = settled("--max_steps", "200")
    # Seven of them hold 400.
    assert experiment.training["synthetic_shard_size"] == 58
    # A quarter of the steps, each example shown twice as often: 50 slots instead of 400.
    assert saved(experiment, set(), *SAVINGS[-1]).training["synthetic_shard_size"] == 50
    assert saved(experiment, {"synthetic_shard_size"}, *SAVINGS[-1]).training["synthetic_shard_size"] == 58


def test_no_shard_is_made_for_a_few_examples_more():
    for examples in range(1, 400):
        size = shard_size(examples)
        shards = -(-examples // size)
        assert size <= 64
        assert shards == -(-examples // 64)
        assert shards * size < examples + shards


def test_test_rows_are_given_up_last_unless_typed(settled):
    experiment = settled()
    assert experiment.max_test_rows == 1000
    assert [saved(experiment, set(), *saving).max_test_rows for saving in SAVINGS[-2:]] == [1000, 400]
    assert saved(experiment, {"max_test_rows"}, *SAVINGS[-1]).max_test_rows == 1000


def test_an_arm_with_a_generator_stays_whatever_the_time():
    for arms, left in (
        (("probe", "eda", "prompted", "probe_prompted", "trained"), ("probe", "prompted", "probe_prompted")),
        (("probe", "crop", "trained", "trained_crop"), ("probe", "trained")),
    ):
        steps = {"max_steps": 4, "warmup_steps": 1, "per_device_train_batch_size": 4}
        experiment = Experiment({}, steps | {"synthetic_ratio": 0.5, "synthetic_reuse": 1}, arms)
        assert saved(experiment, set(), *SAVINGS[-1]).arms == left


def of_images(*arms):
    steps = {"max_steps": 40, "warmup_steps": 4, "per_device_train_batch_size": 4, "synthetic_ratio": 0.5}
    experiment = Experiment({}, steps | {"synthetic_reuse": 4}, arms or ("probe", "crop", "trained", "trained_crop"))
    return dataclasses.replace(experiment, classifier={"width": 8}, generator_training={"num_train_epochs": 10.0})


def test_a_generator_of_images_stays_with_each_saving_and_may_learn_for_half_of_its_steps():
    experiment = of_images()
    arms = [saved(experiment, set(), *saving).arms for saving in (*SAVINGS, LEAST)]
    assert arms[1:3] == [("probe", "crop", "trained"), ("probe", "trained")]
    assert all("trained" in of for of in arms)
    epochs = [saved(experiment, set(), *saving).generator_training["num_train_epochs"] for saving in SAVINGS]
    assert epochs == [10.0] * 5 + [5.0] * 2


@pytest.mark.parametrize("saving", [*SAVINGS, LEAST])
def test_a_generator_that_is_too_slow_is_left_out_and_said(saving):
    experiment = of_images()
    # In 100 s half of its steps can be done.
    assert without_slow(experiment, {"trained": 199.0}, 100, set()) == (experiment, {})
    assert without_slow(experiment, {"trained": math.inf}, 100, set()) == (experiment, {})
    assert without_slow(experiment, {"trained": 201.0}, 100, {"arms"}) == (experiment, {})
    left, why = without_slow(experiment, {"trained": 201.0}, 100, set())
    assert left.arms == ("probe", "crop")
    assert list(why) == ["trained"]
    assert "learn the rows for some 4 minutes here (--arms trained, and more --minutes)" in why["trained"]
    # What is left is compared, and texts have others.
    assert saved(left, set(), *saving).arms == ("probe", "crop")
    of_texts = dataclasses.replace(experiment, classifier={"model": "tiny"})
    assert without_slow(of_texts, {"trained": 101.0}, 100, set())[0].arms == ("probe", "crop")


@pytest.mark.parametrize(
    ("step", "steps", "rounds"),
    # Of 120 steps, or a half, a quarter, or an eighth of them, by two arms.
    [(0.01, 120, 3), (0.4, 60, 3), (0.9, 30, 3), (2.0, 30, 1), (5.0, 15, 1), (100.0, 15, 1)],
)
def test_the_less_time_there_is_the_poorer_is_what_is_compared(settled, monkeypatch, step, steps, rounds):
    costs = Costs(step=step, row=1e-6, example=1e-6)
    monkeypatch.setattr(planning, "_measure", lambda *_: costs)
    monkeypatch.setattr(planning, "_left", lambda *_: 240.0)
    experiment = settled("--arms", "prompted")
    options = argparse.Namespace(minutes=5, seeds=None, arms=["prompted"], more={}, max_test_rows=None)
    poorer, course = afford(experiment, open_data("tickets.csv"), options, 1, 0.0)
    assert (poorer.training["max_steps"], course["fitting"]) == (steps, rounds)
    assert course.get("usual_steps") == (None if steps == 120 else 120)
    assert only_look(poorer, course.get("usual_steps")) == (steps == 15)
    assert poorer.training["synthetic_reuse"] == (LEAST.reuse if steps == 15 else 8 if step > 0.01 else 4)


def test_rows_without_labels_make_arms_of_their_own(settled):
    Path("more.txt").write_text("\n".join(f"a further text {i}" for i in range(30)))
    experiment = settled("--unlabelled", "more.txt")
    assert experiment.arms[-2:] == ("pseudo_labels", "probe_pseudo_labels")
    alone = dataclasses.replace(experiment, arms=("pseudo_labels",))
    study = build(alone)
    assert len(study.data.unlabelled) == 30
    # They cost next to nothing, so that no example is counted.
    assert work_of(study).examples == 0
    assert "pseudo_labels" in saved(experiment, set(), *SAVINGS[-1]).arms
    with pytest.raises(ValueError, match="There is no arm 'pseudo_labels'"):
        build(alone, open_data("tickets.csv"))
    assert study.arms["pseudo_labels"].source.confident_share == 0.6
    with pytest.raises(ValueError, match=r"pseudo_label_share=0\.3 is of rows without labels, and none of the arms"):
        settled("--pseudo_label_share", "0.3")
    all_of_them = settled("--unlabelled", "more.txt", "--pseudo_label_share", "1")
    assert build(dataclasses.replace(alone, pseudo_label_share=all_of_them.pseudo_label_share)).arms[
        "pseudo_labels"
    ].source == PseudoLabels(confident_share=1.0)


def test_any_arm_with_further_rows_has_one_with_classic_augmentation(settled, pictures):
    arms = ("prompted_static", "prompted_agreed_eda", "trained_weighted_eda")
    text = build(settled("--arms", *arms)).arms
    assert [text[name].augment for name in arms] == [None, "eda", "eda"]
    (policy,) = text["prompted_agreed_eda"].policies
    assert isinstance(policy, AgreementSelection)
    data = {"source": "pictures"}
    arms = ("trained_crop", "trained_agreed", "trained_agreed_crop", "pseudo_labels_static_augmix", "real_crop")
    values = {"output_dir": "out", "max_steps": 40, "synthetic_feedback": 10, "remove_unused_columns": False}
    learning = {"generator_training": {"per_device_train_batch_size": 4, "num_train_epochs": 1}}
    images = build(Experiment(data, values, arms, train_per_class=4, classifier={"width": 2}, **learning)).arms
    assert [images[name].augment for name in arms] == ["crop", None, "crop", "augmix", "crop"]
    assert images["pseudo_labels_static_augmix"].policies == ()


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(24):
        folder = Path("pictures", "dark" if number % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (number, 5, 5) if number % 2 else (200, number, 9)).save(folder / f"{number}.png")


@pytest.mark.slow
def test_the_whole_of_it_on_a_folder_of_images(pictures):
    # Nothing but the plan makes the folder of the results.
    main(["experiment", "pictures", "--arms", "crop", "--max_steps", "2", "--minutes", "0.1", "--processes", "1"])
    results = json.loads(Path("runs/pictures/report/results.json").read_text())
    assert {run["arm"] for run in results["runs"]} == {"baseline_same_steps", "crop"}


def test_options_of_texts_are_refused_for_images(pictures):
    with pytest.raises(SystemExit, match="'pictures' holds images, and kind is of texts: leave it out"):
        main(["experiment", "pictures", "--kind", "photo"])


def test_what_a_server_is_asked_for_is_settled(settled):
    with serving(ToyServer()) as url:
        experiment = settled("--generator_url", url, "--max_requests", "70")
        assert experiment.arms == ("probe", "eda", "prompted", "probe_prompted")
        source = build(experiment, open_data("tickets.csv")).arms["prompted"].source
        assert (source.endpoint.model, source.endpoint.max_requests, source.sampling.top_k) == ("lm", 70, 0)
        assert build(experiment, open_data("tickets.csv")).arms["prompted"].filters.asked is None
        judged = settled("--generator_url", url, "--label_judge", "prompted")
        filters = build(judged, open_data("tickets.csv")).arms["prompted"].filters
        assert filters.asked.source.endpoint == Endpoint(url, "lm")
        assert filters.min_label_probability == 0.5
        with pytest.raises(ValueError, match="There is no arm 'trained'"):
            build(dataclasses.replace(experiment, arms=("trained",)), open_data("tickets.csv"))


def test_what_shows_labelled_texts_goes_on_elsewhere_if_it_may_send_them(settled):
    with serving(ToyServer()) as url:
        begun = settled("--generator_url", url)
    elsewhere = argparse.Namespace(generator_url="http://elsewhere/v1", generator_model="lm", send_examples=True)
    sources = []
    for options in (elsewhere, argparse.Namespace(**vars(elsewhere) | {"send_examples": None})):
        model = asked_as(begun, options).model
        sources.append((model["endpoint"]["base_url"], model["send_examples"]))
    assert sources == [("http://elsewhere/v1", True), ("http://elsewhere/v1", False)]
    assert {"generator_url", "send_examples"} <= set(MAY_DIFFER)


def test_a_server_that_is_not_there_ends_before_any_training(tiny):
    command = [*tiny[:-2], "--generator_url", "http://127.0.0.1:9/v1", "--arms", "prompted"]
    assert "http://127.0.0.1:9/v1/chat/completions did not answer" in refusal(command)


@pytest.mark.slow
def test_the_whole_of_it_with_a_server_that_is_interrupted(tiny, capsys):
    toy = ToyServer()
    with serving(toy) as url:
        command = [*tiny[:-2], "--generator_url", url, "--minutes", "0.2", "--processes", "1", "--max_steps", "4"]
        command += ["--arms", "probe", "prompted"]
        assert "max_requests=6 of" in refusal([*command, "--max_requests", "6"])
        main(command)
        told = capsys.readouterr().out
        assert told.count(f"{url} serves lm, and heeds seeds") == 1
        assert "were sent" not in told
        # What was paid for was read.
        bodies = [json.dumps(body, sort_keys=True) for _, body in toy.requests]
        asked = [body for body in bodies if ASKED not in body]
        assert len(set(asked)) == len(asked) > 6
        # Nor is anything asked again by another address.
        main(command)
        assert len(toy.requests) == len(bodies)
    results = json.loads(Path("runs/tickets/report/results.json").read_text())
    assert {run["arm"] for run in results["runs"]} == {"baseline_same_steps", "probe", "prompted"}
    assert any(f"Its {len(asked)} answers are kept" in note for note in results["notes"])


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
    assert "minutes are taken to be too little for a run of each of 3 arms" in told
    assert "3 runs of each would take some" in told
    assert "Not tested: prompted (" in told
    assert json.loads(Path("runs/tickets/plan.json").read_text())["rounds"] == 1
    results = json.loads(Path("runs/tickets/report/results.json").read_text())
    assert {run["arm"] for run in results["runs"]} == {"baseline_same_steps", "probe", "prompted"}
    settings = results["settings"]
    assert (settings["model"], settings["max_steps"], settings["minutes"]) == ("tiny", "4", "0.2")
    assert "None" not in {settings[name] for name in ("model", "max_length", "max_new_tokens")}
    assert not {"more", "opening", "generator_url"} & settings.keys()
    # The same again reads what was done, and other options have another folder.
    main(command)
    assert "Measuring" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="holds a comparison of other options, max_test_rows=None: pass these"):
        main([*command, "--max_test_rows", "4"])
    # Of what was interrupted nobody has seen a verdict.
    file, known = Path("runs/tickets/plan.json"), read_json(Path("runs/tickets/plan.json"), "")
    write_json(file, {name: value for name, value in known.items() if name != "rounds"})
    with pytest.raises(SystemExit, match=r"minutes=0\.2: pass these, or another output_dir\.$"):
        main([*command, "--minutes", "0.3"])
    write_json(file, known)
    # Runs of so few steps prove nothing, however many.
    write_json(file, known | {"course": known["course"] | {"usual_steps": 40}})
    with pytest.raises(SystemExit, match=r"Its runs had 4 of 40 steps: more of them prove nothing"):
        main([*command, "--seeds", "2"])
    write_json(file, known)
    # One pair gave no verdict: more runs are added to it, and what is done is kept.
    trained = Path("runs/tickets/split-0/prompted-0/stage.json").read_bytes()
    more = [*command, "--minutes", "0.3", "--seeds"]
    main([*more, "2"])
    # What follows from the time, such as how much a language model is asked, is that of the runs that are kept.
    assert read_json(file, "")["minutes"] == 0.2
    results = json.loads(Path("runs/tickets/report/results.json").read_text())
    assert sorted({run["seed"] for run in results["runs"]}) == [0, 1]
    assert Path("runs/tickets/split-0/prompted-0/stage.json").read_bytes() == trained
    # Two pairs gave one.
    with pytest.raises(SystemExit, match=r"seeds=2: pass .* after a verdict would make the next one too sure"):
        main([*more, "3"])
