"""Rows without labels as an arm: what is kept of them, what is said, and that the study knows when they change."""

import shutil
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest

from hf_augment import Arm, AugmentingTrainingArguments, ImageClassifier, LabelledData, Study, TextClassifier
from hf_augment.data.splits import split_by_label
from hf_augment.study import publication
from hf_augment.study.arms import RealRows
from hf_augment.study.pseudo_labels import KnownLabels, PseudoLabels
from hf_augment.study.variants import variants_of
from tests.tiny import tiny_classifier, tiny_tokenizer
from tests.toys import IMAGE, TEXT


@pytest.fixture
def study(tmp_path):
    """A study of toys of a kind, with so many rows without labels."""
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(tokenizer=tokenizer)):
        part.save_pretrained(tmp_path / "tiny")

    def make(kind=TEXT, unlabelled=60, arms=None, training=None, **how):
        train, test = split_by_label(kind.rows(60), 0.25, seed=0)
        more = None if unlabelled is None else kind.rows(unlabelled, seed=2).remove_columns("label")
        data = LabelledData(train, {"test": test}, unlabelled=more)
        training = AugmentingTrainingArguments(
            str(tmp_path / "run"),
            per_device_train_batch_size=8,
            save_strategy="no",
            synthetic_shard_size=8,
            synthetic_reuse=3,
            use_cpu=True,
            remove_unused_columns=kind is TEXT,
            **{"max_steps": 6} | (training or {}),
        )
        classifier: Any = ImageClassifier(data.label_names, (8, 8, 3), width=2)
        if kind is TEXT:
            classifier = TextClassifier(str(tmp_path / "tiny"), data.label_names, max_length=24)
        arms = [Arm("pseudo_labels", PseudoLabels())] if arms is None else arms
        return Study(data, classifier, training, arms, seeds=1, **how)

    return make


@pytest.mark.parametrize("kind", [TEXT, IMAGE], ids=["text", "image"])
def test_rows_without_a_label_are_shown_with_the_one_that_the_probe_gives_them(kind, study):
    made = study(kind)
    made.run()
    (run,) = [run for run in made.runs if run.arm == "pseudo_labels"]
    assert run.shown == 1.0
    # Each once, whatever is said of examples that cost something.
    assert len(set(map(str, made.stores["pseudo_labels"].dataset()[made.classifier.kind]))) > 12
    whole, _, _ = made.split(0).probes
    shown = made.stores["pseudo_labels"].dataset()
    values = [{made.classifier.kind: value} for value in made.classifier.values(shown)]
    assert whole(values).argmax(1).tolist() == shown["label"][:]
    # They are rows of somebody: no page shows them, and nobody publishes them.
    results = made.report()
    assert results.samples == {}
    # How far the labels can be believed.
    assert PseudoLabels().note(made.split(0)) in results.notes
    assert not list((made.folder / "hub").rglob("*.parquet"))


@pytest.mark.parametrize("kind", [TEXT, IMAGE], ids=["text", "image"])
def test_what_the_judge_said_of_a_row_decides_what_is_chosen_and_how_it_weighs(kind, study):
    names = ("_static", "_live", "_live_weighted")
    variants = {arm.name.removeprefix("pseudo_labels"): arm for arm in variants_of(PseudoLabels(), ())}
    rounds = {"max_steps": 24, "synthetic_feedback": 4, "logging_steps": 8}
    made = study(kind, arms=[variants[name] for name in names], training=rounds)
    made.run()
    curves = [made.train(0, f"pseudo_labels{name}", 0)["curve"] for name in names]
    assert curves[0] != curves[1] != curves[2]
    split, name = made.split(0), made.classifier.kind
    found = PseudoLabels()._labelled(split)
    rows = split.unlabelled.select(found["rows"])
    sure = dict(zip(map(str, rows[name][:]), found["probabilities"], strict=True))
    _, store = made.stream(0, "pseudo_labels_static")
    shown = [shard for shard in map(store.read, store.indices()) if shard.slots]
    assert shown
    for shard in shown:
        values = datasets.Dataset.from_list(shard.examples, features=rows.features)[name][:]
        for value, label, told in zip(values, shard.labels, shard.label_probabilities, strict=True):
            assert told[label] == pytest.approx(sure[str(value)], abs=1e-6)
            assert sum(told) == pytest.approx(1, abs=1e-5)


def test_rows_with_further_columns_are_known_by_their_input():
    known = KnownLabels("text", ["dull", "bright"], [0.9, 0.6], 3)
    verdicts = known.judge([{"text": "bright", "id": 7}, {"text": "dull", "id": 8}], [1, 0])
    assert [verdict.label_probabilities for verdict in verdicts] == [(0.2, 0.6, 0.2), (0.9, 0.05, 0.05)]
    assert all(verdict.accepted for verdict in verdicts)
    assert known.fingerprint() != KnownLabels("text", ["dull", "bright"], [0.9, 0.7], 3).fingerprint()


def test_real_rows_are_weighed_only_where_something_judges_their_labels():
    names = {arm.name for source in (RealRows(), PseudoLabels()) for arm in variants_of(source, ())}
    assert "pseudo_labels_live_weighted" in names
    assert "real_live" in names
    assert not [name for name in names if name.startswith("real") and name.endswith("weighted")]


def test_a_note_says_how_far_the_probe_can_be_believed(study):
    made = study()
    found = PseudoLabels()._labelled(made.split(0))
    truth = np.array(made.split(0).train["label"][:])
    _, out_of_fold, _ = made.split(0).probes
    guessed = out_of_fold([{"text": text} for text in made.split(0).train["text"]]).argmax(1)
    assert found["right"] == pytest.approx((guessed == truth).mean())
    assert found["judged"] == 60
    assert set(found["labels"]) <= {0, 1}
    note = PseudoLabels().note(made.split(0))
    assert "labelled 60 rows without labels on the first split, and the surest 60% of each class were kept" in note
    assert f"right on {found['right']:.3f}" in note


def test_a_class_that_no_row_is_taken_for_is_not_asked_for(study, monkeypatch):
    made = study()
    only = {"judged": 3, "rows": [0, 2], "labels": [1, 1], "right": 0.5, "right_where_sure": 0.5}
    monkeypatch.setattr(PseudoLabels, "_labelled", lambda self, split: only)
    generator = PseudoLabels().open(made.split(0))
    assert list(generator.label_shares) == [0.0, 0.5]
    assert "none of them of 'neg" in PseudoLabels().note(made.split(0))
    pipeline, _ = made.stream(0, "pseudo_labels")
    assert set(pipeline.labels(0)) == {1}


def test_rows_that_a_split_does_not_label_are_without_labels(study):
    with pytest.raises(ValueError, match="'pseudo_labels' learns from rows without labels, and there are none"):
        study(unlabelled=None)
    made = study(unlabelled=None, train_per_class=5)
    split = made.split(0)
    drawn = PseudoLabels().open(split).generate([0, 1] * 4, seed=0)
    assert {example["text"] for example in drawn} <= {*split.rest["text"]}
    assert set(drawn[0]) == {"text"}


def test_a_model_that_is_asked_takes_the_place_of_the_probe(study):
    class Asked:
        def check(self, study, source):
            assert source.name == "pseudo_labels"

        def judge(self, split, rows):
            assert len(rows) == len(split.train)
            return lambda examples: [[0.2, 0.8]] * len(examples)

    source = PseudoLabels(confident_share=0.5, asked=Asked())
    made = study(train_per_class=5, arms=[Arm("pseudo_labels", source)])
    found = source._labelled(made.split(0))
    assert found["labels"] == [1] * 30
    assert "right" not in found
    assert source.note(made.split(0)) == (
        "For pseudo_labels a model that was asked labelled 60 rows without labels on the first split, and the surest "
        "50% of each class were kept, 30, none of them of 'negative'."
    )
    assert source.models == ("rows without labels, labelled by a model that was asked",)


def test_other_rows_are_another_study(study):
    before, after = (study(unlabelled=count, arms=[]) for count in (60, 50))
    name = "contents of unlabelled"
    assert before.rows_identity[name] != after.rows_identity[name]
    assert name not in study(unlabelled=None, arms=[]).rows_identity


def test_rows_without_labels_are_others_where_other_rows_are_watched(study):
    """What is kept of a stage are numbers of rows."""

    def labelled(unlabelled=None, eval_strategy="no"):
        training = {"eval_strategy": eval_strategy}
        made = study(unlabelled=unlabelled, training=training, train_per_class=5, curve_rows=8)
        return PseudoLabels()._labelled(made.split(0))

    assert labelled() == labelled()
    was = "pseudo_labels-rows was made with curve_rows='none, by eval_strategy=no', and now it is '8'"
    with pytest.raises(ValueError, match=was):
        labelled(eval_strategy="epoch")
    # Those that are given are the same, whatever is watched.
    shutil.rmtree(study().folder)
    assert labelled(60) == labelled(60, "epoch")


def test_pairs_without_labels_become_texts_too():
    label = datasets.ClassLabel(names=["no", "yes"])
    pair = {"text": ["a", "b"], "text_pair": ["c", "d"]}
    rows = datasets.Dataset.from_dict(pair | {"label": [0, 1]}).cast_column("label", label)
    data = LabelledData(rows, {"test": rows}, unlabelled=datasets.Dataset.from_dict(pair))
    assert data.unlabelled["text"][:] == data.train["text"][:]
    with pytest.raises(ValueError, match="unlabelled has no column 'text_pair'"):
        LabelledData(rows, {"test": rows}, unlabelled=datasets.Dataset.from_dict({"text": ["a"]}))
    plain = rows.remove_columns("text_pair")
    with pytest.raises(ValueError, match="unlabelled has no row"):
        LabelledData(plain, {"test": plain}, unlabelled=plain.remove_columns("label").select([]))


def test_every_process_looks_at_what_a_note_tells(study, monkeypatch):
    """A stage has processes wait for each other: one that did not look would leave the first waiting."""
    made = study()
    made.run()
    asked = []
    monkeypatch.setattr(PseudoLabels, "note", lambda self, first: asked.append(first.index))
    monkeypatch.setattr(publication, "PartialState", lambda: SimpleNamespace(is_main_process=False))
    assert made.report() is None
    assert asked == [0]
