"""The draws of labelled rows, their seeds and their judges."""

import itertools
from types import SimpleNamespace

import datasets
import pytest

from hf_augment.seeding import derive_seed
from hf_augment.study import split as module
from hf_augment.study.labelled import LabelledData
from hf_augment.study.split import HELD_OUT, Split, check_folds, classifier_seed
from hf_augment.study.stages import Stages


def test_every_split_and_seed_has_a_classifier_seed_of_its_own():
    seeds = {classifier_seed(42, split, seed) for split, seed in itertools.product(range(10), repeat=2)}
    assert len(seeds) == 100
    # The first split keeps those of results that were measured when all splits shared them.
    assert [classifier_seed(42, 0, seed) for seed in range(3)] == [
        derive_seed(42, "classifier", seed) % 2**31 for seed in range(3)
    ]
    assert [classifier_seed(42, 0, seed) for seed in range(3)] == [1905946156, 934872008, 1137480722]


class Classifier:
    """Judges are the names of their folders, and a fold is found by the row that it holds."""

    def as_judge(self, folder):
        return str(folder)

    def nearest_fold(self, folds, judge):
        texts = [fold["text"][:] for fold in folds]
        return lambda examples: [next(k for k, fold in enumerate(texts) if row["text"] in fold) for row in examples]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of which the trainings are only noted down: by stage, the options of each."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    rows = {"text": [f"text {i}" for i in range(40)], "label": [i % 2 for i in range(40)]}
    labelled = datasets.Dataset.from_dict(rows, features)
    fitted = {}

    def run_arm(folder, classifier, args, train, **options):
        fitted[folder.name] = {"train": train, **options}
        return {}

    monkeypatch.setattr(module, "run_arm", run_arm)
    return SimpleNamespace(
        data=LabelledData(labelled, {"test": labelled}),
        classifier=Classifier(),
        training=SimpleNamespace(seed=42, eval_strategy="steps"),
        train_per_class=6,
        curve_rows=4,
        folder=tmp_path,
        stages=SimpleNamespace(run=lambda name, identity, work: work(tmp_path / name)),
        classifier_identity={},
        augmented_steps=lambda num_rows: 10 * num_rows,
        train=lambda split, arm, seed: fitted.setdefault("asked", (split, arm, seed)),
        fitted=fitted,
    )


def test_an_out_of_fold_judge_has_not_seen_the_rows_that_it_judges(study):
    split = Split(study, 1)
    judge = split.out_of_fold_judge(3)
    assert set(study.fitted) == {"judge-0", "judge-1", "judge-2"}
    everything = sorted(split.train["text"][:])
    held_out = []
    for k, name in enumerate(judge.judges):
        seen = study.fitted[f"judge-{k}"]["train"]["text"][:]
        assert name.endswith(f"split-1/judge-{k}/model")
        own = [text for text in everything if judge.fold_of([{"text": text}]) == [k]]
        # All rows but those of its own fold.
        assert sorted([*seen, *own]) == everything
        assert len(own) == 4
        held_out += own
    assert sorted(held_out) == everything


def test_a_judge_of_another_number_of_folds_is_not_taken_for_one_of_these(study):
    """It would have learned rows of the fold that it is to judge."""
    study.stages = Stages(study.folder)
    split = Split(study, 1)
    split.out_of_fold_judge(2)
    again = split.out_of_fold_judge(2)
    assert len(again.judges) == 2
    assert study.stages.reused == ["split-1/judge-0", "split-1/judge-1"]
    with pytest.raises(ValueError, match="judge-0 was made with judge_folds='2', and now it is '3': pass what it was"):
        split.out_of_fold_judge(3)


def test_judges_are_trained_as_long_as_an_arm_and_with_the_seeds_of_their_split(study):
    Split(study, 1).out_of_fold_judge(2)
    told = [(fit["seed"], fit["max_steps"], fit["save"]) for fit in study.fitted.values()]
    assert told == [(classifier_seed(42, 1, k), 120, True) for k in range(2)]
    # Each is measured on what it has not seen.
    first, second = (fit["evaluations"][HELD_OUT]["text"][:] for fit in study.fitted.values())
    assert first == study.fitted["judge-1"]["train"]["text"][:]
    assert second == study.fitted["judge-0"]["train"]["text"][:]


@pytest.mark.parametrize("labels", [[0] + [1] * 11, [0, 1]])
def test_too_few_rows_for_a_judge_are_said_with_their_class(study, labels):
    rows = study.data.train.select_columns(["text"]).select(range(len(labels)))
    split = Split(study, 0)
    split.train = rows.add_column("label", labels).cast_column("label", study.data.train.features["label"])
    study.classifier.label_names = study.data.label_names
    with pytest.raises(ValueError, match=r"must have two labelled rows, or nothing can judge labels, .* fewer: neg"):
        _ = split.probes


def test_what_has_not_learned_the_rows_is_judged_by_the_reference(study):
    assert Split(study, 2).judge().endswith("split-2/baseline_same_steps-0/model")
    assert study.fitted == {"asked": (2, "baseline_same_steps", 0)}


def test_an_independent_judge_knows_no_labelled_row(study):
    split = Split(study, 0)
    _, count = split.independent_judge(per_class=10)
    seen = study.fitted["independent-judge"]
    assert (count, len(seen["train"]), seen["max_steps"]) == (20, 20, 200)
    assert not set(seen["train"]["text"][:]) & set(split.train["text"][:])
    # Too few others.
    study.train_per_class = 15
    judge, count = Split(study, 0).independent_judge()
    assert (judge.endswith("baseline_same_steps-0/model"), count) == (True, 0)


def test_rows_are_labelled_watched_or_neither(study):
    first, second = Split(study, 0), Split(study, 1)
    watched, others = first.apart
    assert (len(first.train), len(watched), len(others)) == (12, 4, 24)
    parts = [set(part["text"][:]) for part in (first.train, watched, others)]
    assert len(set.union(*parts)) == 40
    assert first.train["label"][:].count(0) == 6
    assert first.train["text"][:] != second.train["text"][:]
    study.training.eval_strategy = "no"
    unwatched = Split(study, 0)
    assert unwatched.apart[0] is None
    assert unwatched.apart[1]["text"][:] == unwatched.rest["text"][:]


def test_generators_are_trained_with_a_seed_of_the_split_on_the_same_device(study):
    for name, value in {"use_cpu": True, "bf16": False, "fp16": False, "ddp_backend": None}.items():
        setattr(study.training, name, value)
    study.training.dataloader_pin_memory = False
    first, second = (Split(study, index).generator_arguments() for index in range(2))
    assert first.pop("seed") == derive_seed(42, "generator", 0) % 2**31
    assert second.pop("seed") == derive_seed(42, "generator", 1) % 2**31
    assert first == second
    assert (first["use_cpu"], first["report_to"]) == (True, "none")


def test_a_class_without_enough_rows_is_named():
    check_folds([0, 1, 0, 1], ["neg", "pos"], 2)
    with pytest.raises(ValueError, match="has 1 rows of 'pos', but there must be 2 of every class"):
        check_folds([0, 0, 1], ["neg", "pos"], 2)
