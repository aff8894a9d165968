"""A study of one's own rows from Python: a generator, a filter, a classifier."""

import dataclasses
import json
import re
import shutil

import datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainingArguments

from hf_augment import (
    Arm,
    AugmentingTrainingArguments,
    ClassAllocation,
    LabelAgreement,
    LabelledData,
    NearDuplicates,
    Study,
    TextClassifier,
    UncertaintySelection,
    Verdict,
)
from hf_augment.data.splits import sample_per_class
from hf_augment.hub import pushing
from hf_augment.hub.pushing import PushError
from hf_augment.reporting.tables import arm_table, cost_table
from hf_augment.study import identity
from hf_augment.study.arms import Given, LearnedSource, RealRows
from hf_augment.study.split import classifier_seed
from hf_augment.study.text import TextFilters
from hf_augment.study.variants import variants_of
from tests.tiny import tiny_classifier, tiny_tokenizer
from tests.toys import TEXT, ToyGenerator, assert_equal_weights


#: Fields of the trainer's arguments that no result of a study depends on: where results are kept, what is shown of
#: them, how they are published, how fast they are made, and what a study decides itself.
NOTHING_DEPENDS_ON = (
    *("output_dir", "logging_strategy", "logging_steps", "logging_first_step", "log_on_each_node"),
    *("logging_nan_inf_filter", "include_num_input_tokens_seen", "log_level", "log_level_replica", "disable_tqdm"),
    *("report_to", "run_name", "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
    *("per_device_eval_batch_size", "eval_do_concat_batches", "eval_use_gather_object", "eval_accumulation_steps"),
    *("include_for_metrics", "batch_eval_metrics", "save_only_model", "save_on_each_node", "save_total_limit"),
    *("enable_jit_checkpoint", "push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy"),
    *("hub_always_push", "hub_revision", "ignore_data_skip", "restore_callback_states_from_checkpoint"),
    *("activation_checkpointing", "activation_checkpointing_kwargs", "gradient_checkpointing", "use_cache"),
    *("gradient_checkpointing_kwargs", "torch_empty_cache_steps", "dataloader_num_workers", "dataloader_pin_memory"),
    *("dataloader_persistent_workers", "dataloader_prefetch_factor", "dataloader_multiprocessing_context"),
    *("ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph", "ddp_backend"),
    *("ddp_timeout", "debug", "skip_memory_metrics", "do_train", "do_eval", "do_predict", "resume_from_checkpoint"),
    *("local_rank", "synthetic_producer", "synthetic_timeout", "synthetic_dir", "synthetic_keep"),
)
#: These decide with `load_best_model_at_end` alone.
SAVING = ("save_strategy", "save_steps")


def test_of_every_argument_of_the_trainer_it_is_known_whether_results_depend_on_it():
    """A new one of transformers has to be put into one of the lists."""
    depends = {
        *identity.TRAINING,
        *identity.DEVICE,
        *identity.WATCHING,
        *identity.SYNTHESIS,
        *identity.FEEDBACK,
        *SAVING,
    }
    assert not depends & set(NOTHING_DEPENDS_ON)
    fields = {field.name for field in dataclasses.fields(AugmentingTrainingArguments)}
    assert fields - depends == fields & set(NOTHING_DEPENDS_ON)


@pytest.fixture
def make(tmp_path):
    """A study of a tiny classifier, with other arguments."""
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(tokenizer=tokenizer)):
        part.save_pretrained(tmp_path / "tiny")
    data = LabelledData(TEXT.rows(40), {"test": TEXT.rows(12, seed=1)}, "toys")

    def study(arms=None, training=None, **arguments):
        training = {"max_steps": 2, "per_device_train_batch_size": 4, "save_strategy": "no", "use_cpu": True} | (
            training or {}
        )
        return Study(
            data,
            TextClassifier(str(tmp_path / "tiny"), data.label_names, max_length=24),
            AugmentingTrainingArguments(str(tmp_path / "run"), report_to="none", **training),
            [Arm("said", TEXT.generator(), filters=[NearDuplicates()])] if arms is None else arms,
            **{"train_per_class": 6, "seeds": 1} | arguments,
        )

    return study


def test_ones_own_generator_is_compared_in_a_few_lines(make, capsys):
    study = make(seeds=2)
    runs = study.run()
    assert [(run.arm, run.split, run.seed) for run in runs] == [
        (arm, 0, seed) for arm in ("baseline", "baseline_same_steps", "said") for seed in (0, 1)
    ]
    assert {run.steps for run in runs} == {2}
    assert [difference.arm for difference in study.differences()] == ["baseline", "said"]
    assert study.stores["said"].dataset().column_names[0] == "text"
    told = capsys.readouterr().out
    assert "6 runs: 3 arms, 1 draw of the labelled rows, 2 seeds; 12 labelled rows, 12 test rows." in told
    assert re.search(r"Run 6 of 6: said, seed 2 of 2: [01]\.\d{3}\n", told)
    study.report({"origin": "a list"})
    last = capsys.readouterr().out.splitlines()
    assert [line for line in last if line.startswith("Accuracy on test: baseline ")]
    page = study.folder / "report/review.html"
    assert last[-6:-4] == [f"Report: {study.folder / 'report/report.html'}", f"All examples, to look at: {page}"]
    # The page may be sent to others with its folder: it names the classifier from there.
    written = (study.folder / "report/report.html").read_text()
    assert "The classifier, from the folder of the results" in written
    assert "model=&#34;split-0/" in written
    assert str(study.folder) not in written
    # The nearest labelled rows, which are for nobody else.
    assert any(f": {text}</span>" in page.read_text() for text in study.split(0).train["text"])
    assert last[-4].startswith(f"Model: {study.folder / 'split-0'}")
    assert last[-3] == "    from transformers import pipeline"
    results = json.loads((study.folder / "report/results.json").read_text())
    assert results["data"]["name"] == "toys"
    assert results["settings"]["origin"] == "a list"
    staged = json.loads((study.folder / "hub/push.json").read_text())["repositories"]
    assert {entry["suffix"] for entry in staged} == {"said", "said-synthetic", "results"}
    assert "review.html" not in {path.name for path in study.folder.glob("hub/*/*")}
    # Once more: nothing is trained, and of a third seed there is no question.
    again, asked = make(seeds=3), []
    again.run(go_on=lambda *rounds: asked.append(rounds) or rounds[0] < 2)
    assert (len(again.stages.reused), again.seeds) == (6, 2)
    assert np.allclose(asked, [(1, 1, 1), (1, 2 / 3, 4 / 3), (1, 1 / 3, 5 / 3), (2, 1, 2)])
    assert "at most 9 runs" in capsys.readouterr().out


def test_a_round_that_cannot_be_ended_does_not_count(make, capsys):
    """Its first run was begun, and then there was no time for the others."""
    study = make(seeds=3)
    runs = study.run(go_on=lambda seeds, share, ended: seeds < 1 or share == 1)
    assert study.seeds == 1
    assert [(run.arm, run.seed) for run in runs] == [("baseline", 0), ("baseline_same_steps", 0), ("said", 0)]
    assert study.stages.result("split-0/baseline-1") is not None
    told = capsys.readouterr().out
    assert told.count("No further round is begun: 1 run of each arm on each draw.") == 1


def test_live_and_static_arms_show_candidates_of_one_stream(make):
    generator = TEXT.generator()
    arms = variants_of(Given(generator, "said"), [NearDuplicates()])
    arms = [arm for arm in arms if arm.name in ("said_live", "said_static")]
    feedback = {"synthetic_feedback": 4, "max_steps": 30, "synthetic_shard_size": 8, "logging_steps": 10}
    study = make(arms, feedback)
    runs = {run.arm: run for run in study.run()}
    assert runs["said_live"].shown == runs["said_static"].shown > 0.9
    live, static = (study.train(0, name, 0) for name in ("said_live", "said_static"))
    assert live["shards"] == static["shards"]
    assert live["curve"] != static["curve"]
    # Twice as many candidates as there are draws; none is made for the second arm.
    assert len(generator.calls) == len(set(generator.calls)) >= 2 * 60 // 8
    assert "policies" not in study.arm_identity(Arm("said", Given(generator, "said")))
    report = study.report()
    assert report.samples == {}
    assert report.notes[0].startswith("said_live against said_static on test: ")
    # Other rounds are another run.
    with pytest.raises(ValueError, match="was made with synthetic_feedback='4', and now it is '3'"):
        make(arms, feedback | {"synthetic_feedback": 3}).run()


def by_length(examples):
    """A judge that is surer of one class or the other, as a text is longer or shorter."""
    first = np.array([len(example["text"]) % 5 for example in examples]) / 5 + 0.1
    return np.stack([first, 1 - first], axis=1)


def test_an_arm_may_weigh_rows_as_a_study_would_that_weighs_all(make):
    agreement = LabelAgreement(by_length, 0.0)
    arms = [Arm("plain", TEXT.generator(), [agreement])]
    arms += [dataclasses.replace(arms[0], name="weighed", weighting="dynamic")]
    training = {"max_steps": 6, "per_device_train_batch_size": 8}
    study = make(arms, training)
    study.run()
    folder = study.folder / "split-0"
    plain, weighed = (load_file(folder / f"{arm}-0/model/model.safetensors") for arm in ("plain", "weighed"))
    with pytest.raises(AssertionError, match="weights differ"):
        assert_equal_weights(plain, weighed)
    assert study.train(0, "plain", 0)["shards"] == study.train(0, "weighed", 0)["shards"]
    shutil.rmtree(study.folder)
    make(arms[:1], training | {"synthetic_weighting": "dynamic"}).run()
    assert_equal_weights(load_file(folder / "plain-0/model/model.safetensors"), weighed)


def test_an_arm_weighs_nothing_that_nobody_judges(make):
    for filters in ((), [NearDuplicates()], TextFilters(min_label_probability=0)):
        with pytest.raises(ValueError, match="The arm 'said' weighs rows by what a judge says of their labels"):
            make([Arm("said", TEXT.generator(), filters, weighting="dynamic")])
    make([Arm("said", TEXT.generator(), TextFilters(), weighting="dynamic")])
    with pytest.raises(ValueError, match=r"'said' has weighting='strong': pass one of \('constant', 'dynamic'\)"):
        Arm("said", TEXT.generator(), weighting="strong")


@pytest.mark.parametrize(
    ("how", "training", "message"),
    [
        ({}, {"synthetic_labels": "soft"}, "The arm 'said' labels rows softly by what a judge says of their labels"),
        ({}, {"synthetic_weighting": "dynamic"}, "The arm 'said' weighs rows by what a judge says of their labels"),
        (
            {"filters": [LabelAgreement(by_length, 0.0)], "weighting": "dynamic"},
            {"per_device_train_batch_size": 2},
            "The arm 'said' weighs rows against each other, and synthetic_ratio=0.5 leaves one in a batch",
        ),
        (
            {"filters": [LabelAgreement(by_length, 0.0)], "weighting": "dynamic"},
            {"label_smoothing_factor": 0.1},
            "The arm 'said' weighs rows, which does not go with label_smoothing_factor",
        ),
    ],
)
def test_weights_that_its_training_would_refuse_are_refused_at_once(make, how, training, message):
    with pytest.raises(ValueError, match=message):
        make([Arm("said", TEXT.generator(), **how)], training)


def test_an_arm_that_steers_makes_examples_of_its_own_beside_those_of_all(make):
    generator = TEXT.generator()
    names = ("said_static", "said_seeded", "said_steered")
    arms = [arm for arm in variants_of(Given(generator, "said"), [NearDuplicates()]) if arm.name in names]
    rounds = {"synthetic_feedback": 4, "max_steps": 40, "synthetic_shard_size": 8, "logging_steps": 10}
    study = make(arms, rounds | {"eval_strategy": "steps", "eval_steps": 20}, curve_rows=8)
    study.run()
    (folder,) = study.folder.glob("split-0/said-shards/*/")
    guided = {path.stem.split("-")[2] for path in folder.glob("shard-*-*.arrow")}
    assert len(guided) > len(list(folder.glob("briefs/*.json"))) / 2
    # A toy holds what each was written after.
    texts = set(study.split(0).train["text"])
    assert {TEXT.key({"text": text}) for text in texts} >= {key for _, key in generator.rows}
    assert generator.rows
    notes = study.report().notes
    assert [note.partition(" on ")[0] for note in notes[:2]] == [
        f"{name} against said_static" for name in ("said_seeded", "said_steered")
    ]
    logged = {name for run in study.runs for log in run.curve for name in log}
    assert {"synthetic_seeded", "synthetic_moved", "synthetic_entropy_chosen"} <= logged
    assert (study.folder / "report/rounds.png").exists()


def test_chance_may_have_as_many_steps_as_asking_takes_time(make):
    names = ("said_live", "said_static", "said_static_longer")
    arms = [arm for arm in variants_of(Given(TEXT.generator(), "said"), []) if arm.name in names]
    rounds = {"synthetic_feedback": 4, "max_steps": 40, "synthetic_candidates": 3.0, "synthetic_reuse": 2}
    study = make(arms, rounds)
    study.run()
    # Half of the rows are synthetic, each shown twice; of three one is chosen, and asking is a third of training.
    assert {run.arm: run.steps for run in study.runs}["said_static_longer"] == 40 + 40 * 3 * 0.5 / 2 / 3
    assert {run.steps for run in study.runs if run.arm in names[:2]} == {40}
    report = study.report()
    assert [note.partition(" on ")[0] for note in report.notes[:2]] == [
        "said_live against said_static",
        "said_live against said_static_longer",
    ]
    assert {row[5] for row in cost_table(report)[2] if row[0] in names} == {"not counted"}
    assert "said_static_longer" not in report.tried
    assert "said_static_longer" not in {difference.arm for difference in (*study.differences(), *report.differences)}
    assert [len(run.rounds) > 1 for run in study.runs] == [run.arm in names for run in study.runs]
    # Another number of candidates makes another number of steps, and so another run.
    more = make(arms, rounds | {"synthetic_candidates": 6.0})
    assert more.arm_identity(more.arms[names[2]])["max_steps"] == str(40 + 20)


@pytest.mark.parametrize(
    ("how", "training", "message"),
    [
        ({"longer": True}, {}, "'said' has longer=True, and no policies that choose: pass policies=\\[\\]"),
        ({"policies": []}, {}, "'said' chooses in rounds: pass synthetic_feedback"),
        ({"policies": []}, {"synthetic_feedback": 2}, "synthetic_feedback=2 leaves no round in 2 steps"),
        ({"policies": [], "source": None}, {"synthetic_feedback": 1}, "'said' has policies, which need a source"),
        (
            {"policies": [ClassAllocation()]},
            {"synthetic_feedback": 1, "max_steps": 30},
            "looks at validation rows: pass eval_strategy",
        ),
    ],
)
def test_arms_that_cannot_choose_are_refused(make, how, training, message):
    with pytest.raises(ValueError, match=message):
        make([Arm("said", **{"source": TEXT.generator()} | how)], training)
    arms = [Arm("said", TEXT.generator(), policies=[]), Arm("probe_said", probe="said")]
    with pytest.raises(ValueError, match="'probe_said' would learn all candidates of 'said'"):
        make(arms, {"synthetic_feedback": 1, "max_steps": 30})


def test_nothing_is_published_of_real_rows_and_no_example_that_no_filter_saw(make):
    said = Arm("said", TEXT.generator(), filters=[NearDuplicates()])
    study = make([said, Arm("raw", TEXT.generator("raw")), Arm("real", RealRows())])
    study.run()
    study.report()
    staged = json.loads((study.folder / "hub/push.json").read_text())["repositories"]
    assert {entry["suffix"] for entry in staged} == {"said", "said-synthetic", "raw", "results"}


class Learned(LearnedSource):
    """What it learned is an empty configuration."""

    name, models = "learned", ("a model",)

    def train(self, split, folder):
        (folder / "model").mkdir(parents=True)
        (folder / "model/config.json").write_text("{}")
        return {"steps": 1, "seconds": 1.0}

    def load(self, folder):
        return TEXT.generator()

    def identity(self):
        return {"learned": "1"}


def test_a_learned_generator_is_published_where_every_arm_of_it_chooses(make):
    source = Learned()
    study = make(
        [Arm("learned_live", source, policies=[UncertaintySelection()]), Arm("learned_static", source, policies=[])],
        {"max_steps": 30, "synthetic_feedback": 4, "synthetic_shard_size": 8},
    )
    study.run()
    study.report()
    staged = json.loads((study.folder / "hub/push.json").read_text())["repositories"]
    assert {entry["suffix"] for entry in staged} == {"generator", "results"}
    assert "learned_live" in (study.folder / "hub/generator/README.md").read_text().replace("\\", "")


def test_a_probe_of_real_rows_is_no_generator_s(make):
    study = make([Arm("said", TEXT.generator()), Arm("real", RealRows()), Arm("probe_real", probe="real")])
    study.run()
    assert study.report().tried == ["said"]


def test_an_example_that_repeats_a_real_row_is_not_published(make, caplog):
    class Copies(ToyGenerator):
        """Every second example is a labelled row, a test row or one without a label."""

        def generate(self, labels, seed):
            made = super().generate(labels, seed)
            return [{"text": real[(seed + i) % len(real)]} if i % 2 else example for i, example in enumerate(made)]

    labelled, tested, unlabelled = (TEXT.rows(n, seed=seed)["text"][:] for n, seed in ((40, 0), (12, 1), (60, 2)))
    real = [*labelled, *tested, *unlabelled]
    study = make([Arm("said", Copies(TEXT, "copies"), filters=[NearDuplicates()])])
    study.data.unlabelled = datasets.Dataset.from_dict({"text": unlabelled})
    study.run()
    study.report()
    shown = study.stores["said"].dataset()["text"][:]
    staged = datasets.Dataset.from_parquet(str(study.folder / "hub/said-synthetic/data/train.parquet"))["text"][:]
    assert set(unlabelled) - {*labelled, *tested} & set(shown)
    assert not set(real) & set(staged)
    assert 0 < len(staged) < len(shown)
    assert f"said-synthetic leaves out {len(shown) - len(staged)} of {len(shown)} examples" in caplog.text


ROWS = TEXT.rows(40)
TEST = TEXT.rows(12, seed=1)
OTHER = datasets.ClassLabel(names=["x", "y"])


@pytest.mark.parametrize(
    ("train", "evaluations", "message"),
    [
        (ROWS, {"validation": TEST}, r"evaluations=\['validation'\] has no test set"),
        (ROWS.rename_column("text", "sentence"), {"test": TEST}, r"train has the columns \['sentence', 'label'\]"),
        (ROWS.cast_column("label", datasets.Value("float32")), {"test": TEST}, "regression is not supported"),
        (ROWS, {"test": TEST.cast_column("label", datasets.Value("int64"))}, "test has the label Value"),
        (ROWS, {"test": TEST.cast_column("label", OTHER)}, r"test has the classes \['x', 'y'\], but train has"),
        (
            ROWS.map(lambda row, i: {"text": row["text"] if i else None}, with_indices=True),
            {"test": TEST},
            "1 rows with",
        ),
        (ROWS, {"test": TEST.map(lambda row: {"label": None})}, "test has 12 rows without a label"),
        (ROWS.select([]), {"test": TEST}, "train has no row"),
        ([{"text": "a", "label": 0}], {"test": TEST}, "train=list must be a datasets.Dataset"),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(train, evaluations, message):
    with pytest.raises(ValueError, match=message):
        LabelledData(train, evaluations)


def test_parts_that_do_not_go_together_are_refused_before_anything_is_trained(make, tmp_path):
    make()
    foreign = TEXT.generator()
    foreign.label_names = ("x", "y")
    for arms, message in (
        ([Arm("said", foreign)], r"arm 'said' has label_names=\['x', 'y'\], but the rows have"),
        ([Arm("said", TEXT.generator(), filters=NearDuplicates())], "must be a list of filters"),
        ([TEXT.generator()], "which is no Arm: pass Arm"),
    ):
        with pytest.raises(ValueError, match=message):
            make(arms)
    data = LabelledData(ROWS, {"test": TEST})
    classifier = TextClassifier(str(tmp_path / "tiny"), ["pos", "neg"], max_length=24)
    training = AugmentingTrainingArguments(str(tmp_path / "run"), use_cpu=True)
    with pytest.raises(ValueError, match=r"classifier has label_names=\['pos', 'neg'\], but the rows have"):
        Study(data, classifier, training, [])
    with pytest.raises(ValueError, match="training=TrainingArguments must be AugmentingTrainingArguments"):
        Study(data, classifier, TrainingArguments(str(tmp_path / "run"), use_cpu=True), [])


def test_what_is_changed_is_done_again_alone_or_refused_with_words(make):
    make().run()
    # It concerns the arms with a generator, and no baseline.
    changed = make(training={"synthetic_weight": 0.5})
    with pytest.raises(ValueError, match=r"said-0 was made with synthetic_weight='1.0', and now it is '0.5'"):
        changed.run()
    assert changed.stages.reused == ["split-0/baseline-0", "split-0/baseline_same_steps-0"]
    with pytest.raises(ValueError, match=r"baseline-0 was made with learning_rate='5e-05', and now it is '0.1'"):
        make(training={"learning_rate": 0.1}).run()
    more = make([Arm("other", TEXT.generator()), Arm("eda", augment="eda")])
    more.run()
    assert more.stages.reused == ["split-0/baseline-0", "split-0/baseline_same_steps-0"]


def test_an_arm_that_is_augmented_in_another_way_or_guarded_is_another_one(make):
    study = make([], {"eval_strategy": "steps", "eval_steps": 1}, curve_rows=4)
    plain = study.arm_identity(Arm("other"))
    assert study.arm_identity(Arm("other", augment="eda")) == plain | {"augment": "eda"}
    source = Given(TEXT.generator(), "said")
    plain = study.arm_identity(Arm("other", source))
    assert study.arm_identity(Arm("other", source, guarded=True)) == plain | {"guarded": "True"}
    assert study.arm_identity(Arm("other", source, augment="eda")) == plain | {"augment": "eda"}


def test_arms_of_a_split_share_rows_and_seed_and_nothing_else_is_shared(make, monkeypatch):
    fitted = []

    def run_arm(folder, classifier, args, train, *, seed, **options):
        fitted.append((folder.parent.name, folder.name, seed, train["text"][:], options))
        return {}

    monkeypatch.setattr("hf_augment.study.split.run_arm", run_arm)
    study = make(splits=2, seeds=2, training={"eval_strategy": "steps", "eval_steps": 1}, curve_rows=4)
    for split in (0, 1):
        for arm in study.arms:
            for seed in (0, 1):
                study.train(split, arm, seed)
    assert len(fitted) == 12
    for folder, name, seed, texts, options in fitted:
        split, number = int(folder[-1]), int(name[-1])
        assert seed == classifier_seed(42, split, number)
        assert texts == sample_per_class(study.data.train, 6, 42, split)["text"][:]
        assert not set(texts) & set(options["validation"]["text"][:])
        arm = name[:-2]
        assert options["save"] == (number == 0 and (split == 0 or arm == "baseline_same_steps"))
        assert ("max_steps" in options) == (arm == "baseline_same_steps")
        assert ("generator" in options) == (arm == "said")
    streams = {(folder, of["synthetic_seed"], of["synthetic_dir"]) for folder, *_, of in fitted if "generator" in of}
    # One for the seeds of a split, in a folder of its own; a generator that is given is asked the same for all splits.
    assert len(streams) == 2
    assert len({seed for _, seed, _ in streams}) == 1
    assert len({folder for _, _, folder in streams}) == 2


def test_a_baseline_is_the_stock_trainer(make):
    study = make([], training={"max_steps": -1, "num_train_epochs": 1, "synthetic_ratio": 0.5})
    study.run()
    steps = {run.arm: run.steps for run in study.runs}
    # Twelve rows in batches of four, of which two are synthetic in an arm with a generator.
    assert steps == {"baseline": 3, "baseline_same_steps": 6}
    folders = [study.folder / f"split-0/{arm}-0/model/model.safetensors" for arm in study.arms]
    with pytest.raises(AssertionError, match="weights differ"):
        assert_equal_weights(*map(load_file, folders))


def test_a_probe_learns_the_labelled_rows_and_what_an_arm_is_shown(make):
    said = Arm("said", TEXT.generator(), filters=[NearDuplicates()])
    study = make([Arm("probe_said", probe="said"), Arm("probe", probe=True), said], seeds=2)
    runs = {run.arm: run for run in study.run()}
    # All seeds share one.
    assert {path.parent.name for path in study.folder.glob("split-0/probe*/stage.json")} == {"probe-0", "probe_said-0"}
    assert (runs["probe"].steps, runs["probe"].shown) == (0, None)
    assert (runs["probe_said"].steps, runs["probe_said"].shown) == (0, 1.0)
    weights = {arm: load_file(study.folder / f"split-0/{arm}-0/model/model.safetensors") for arm in runs}
    differ = [name for name, value in weights["probe"].items() if not torch.equal(value, weights["probe_said"][name])]
    assert sorted(differ) == ["classifier.bias", "classifier.weight"]
    results = study.report()
    assert [(row[0], row[2]) for row in arm_table(results, "test")[2]][:5] == [
        ("baseline", "2"),
        ("baseline_same_steps", "2"),
        ("probe_said", "-"),
        ("probe", "-"),
        ("said", "2"),
    ]
    cost = {row[0]: row for row in cost_table(results)[2]}
    assert (cost["probe"][1], cost["probe"][5]) == ("-", "-")
    # It is shown what was generated for the arm that it names.
    assert results.generating["probe_said"] == results.generating["said"] > 0
    assert cost["probe_said"][5] == cost["said"][5] != "-"


def test_a_probe_of_an_arm_that_was_shown_nothing_has_the_labelled_rows_alone(make):
    class Rejects(NearDuplicates):
        def judge(self, examples, labels):
            return [Verdict(False, 0.0, "no") for _ in examples]

    study = make([Arm("said", TEXT.generator(), filters=[Rejects()]), Arm("probe_said", probe="said")])
    runs = {run.arm: run for run in study.run()}
    assert runs["probe_said"].shown == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arms": [Arm("p", probe="said")]}, r"The arm 'p' has probe='said': name an arm with a source, of \[\]"),
        (
            {"arms": [Arm("a", TEXT.generator()), Arm("p", probe="a")], "training": {"synthetic_keep": "recent"}},
            "The arm 'p' learns from all examples: pass synthetic_keep='all'",
        ),
        ({"arms": [Arm("baseline")]}, r"arms=\['baseline'\] has a name twice, or that of a baseline"),
        ({"arms": [Arm("a"), Arm("a")]}, r"arms=\['a', 'a'\] has a name twice"),
        ({"arms": [Arm("a", augment="mixup")]}, "classic has 'mixup'"),
        ({"arms": [Arm("a", TEXT.generator(), guarded=True)]}, "The arm 'a' is _guarded: it needs eval_strategy"),
        ({"seeds": 0}, "seeds=0 must be 1 or more"),
        ({"splits": 2, "train_per_class": None}, "splits=2 needs train_per_class"),
        ({"splits": 2, "train_per_class": 20}, "train_per_class=20 takes all rows, so that splits=2 are all alike"),
        ({"training": {"synthetic_ratio": 0.0}}, "synthetic_ratio=0 leaves nothing to compare"),
        ({"training": {"eval_strategy": "epoch"}}, "eval_strategy needs curve_rows=100 rows"),
    ],
)
def test_what_cannot_work_is_refused_at_construction(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_several_processes_need_to_know_how_the_study_is_built(make):
    with pytest.raises(ValueError, match=r"processes=2 needs rebuild=..., the function that builds the study"):
        make().run(processes=2)


def test_one_run_of_each_arm_is_said_to_give_no_verdict(make):
    assert "One run of each arm gives no verdict: pass seeds=3" in make()._plan(3)
    assert "no verdict" not in make(seeds=2)._plan(6)


@pytest.mark.parametrize(
    ("name", "token", "error", "message"),
    [
        ("a b", "a token", ValueError, "hub_model_id='a b' makes the name 'a b-results', which the Hub does not take"),
        ("a" * 85, "a token", ValueError, "-said-synthetic', which the Hub does not take"),
        ("user/name", None, PushError, "Not logged in: run `hf auth login`, or set HF_TOKEN"),
        ("user/name", "a token", None, None),
    ],
)
def test_a_push_that_cannot_succeed_is_refused_before_anything_is_trained(
    name, token, error, message, make, monkeypatch
):
    monkeypatch.setattr(pushing, "get_token", lambda: None)
    training = {"push_to_hub": True, "hub_model_id": name, "hub_token": token}
    if error is None:
        assert make(training=training).training.push_to_hub
        return
    with pytest.raises(error, match=message):
        make(training=training)
