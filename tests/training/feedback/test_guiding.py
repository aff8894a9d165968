"""What a round asks of the examples that are not made yet."""

import dataclasses

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from hf_augment import ClassAllocation, Filter, Generator, HardSeeds, Policy, Verdict
from hf_augment.seeding import derive_rng
from hf_augment.synthesis.shards import ShardStore
from tests.toys import (
    TEXT,
    Recorder,
    assert_equal_weights,
    each_toy,  # noqa: F401 - the fixture `toy`
    weights,
)
from tests.training.feedback.test_rounds import train


class ByNumber(Policy):
    """Prefers rows with large numbers, never the first ten."""

    name, seed_share = "by_number", 0.5

    def __init__(self):
        self.looks = []

    def seed(self, round, rows):
        self.looks.append(rows)
        return np.where(rows.rows < 10, -np.inf, rows.rows)


def slots_of(shards):
    return [shard * 8 + place for shard in shards for place in range(8)]


def test_half_of_what_comes_next_is_written_after_the_rows_that_the_policy_prefers(tmp_path, toy):
    policy, generator = ByNumber(), toy.generator()
    values = {"synthetic_feedback": 4, "num_train_epochs": 2, "synthetic_producer": "inline"}
    trainer = toy.trainer(tmp_path, generator, policies=[policy], **values)
    trainer.train()
    layout, briefs = trainer._feedback.layout, trainer._feedback.briefs
    dataset, pipeline = trainer.train_dataset, trainer.blend.pipeline
    after = []
    for brief in briefs:
        coming = layout.pool(brief.number + 1)[1] if brief.number + 1 in layout.rounds else []
        slots, rows = [slot for slot, _ in brief.seeds[0]], [row for _, row in brief.seeds[0]]
        assert set(slots) <= set(slots_of(coming))
        assert len(set(rows)) == len(rows)
        for label in (0, 1):
            of_class = [slot for slot in slots_of(coming) if pipeline.labels(slot // 8)[slot % 8] == label]
            seeded = [row for slot, row in brief.seeds[0] if slot in of_class]
            assert abs(len(seeded) - len(of_class) / 2) < 1
            # The largest of the class, since all 40 rows were looked at.
            assert sorted(seeded, reverse=True) == [r for r in range(39, 9, -1) if r % 2 == label][: len(seeded)]
            after += [(label, toy.key(dataset[row])) for row in seeded]
        assert brief.figures["seeded"] == len(slots) / (8 * len(coming)) if coming else "seeded" not in brief.figures
    assert sorted(generator.rows) == sorted(after)
    assert len(after) > 10
    for look in policy.looks:
        assert look.rows.tolist() == list(range(40))
        assert look.labels.tolist() == [i % 2 for i in range(40)]
        assert look.probabilities.shape == (40, 2)


def test_what_is_made_ahead_has_the_shares_of_the_round(tmp_path, toy):
    class Lopsided(Policy):
        name, ahead = "lopsided", True

        def class_shares(self, round):
            return np.array([0.25, 0.75])

    recorder = Recorder(toy)
    trainer = train(tmp_path, toy, policies=[Lopsided()], train_collator=recorder)
    layout, labels = trainer._feedback.layout, trainer.blend.pipeline.labels
    for brief in trainer._feedback.briefs[:-1]:
        assert brief.ahead == [0.25, 0.75]
        for shard in layout.pool(brief.number + 1)[1]:
            assert sum(labels(shard)) == 6
            assert trainer.shards.read(shard).labels == labels(shard)
            assert trainer.shards.name(shard) == f"shard-{shard:06d}-{trainer.shards.guides[shard].key}"
    for shard in layout.pool(1)[0]:
        assert sum(labels(shard)) == 4
        assert trainer.shards.name(shard) == f"shard-{shard:06d}"
    assert trainer.shown_share == 1.0
    assert len(recorder.keys(synthetic=True)) == trainer.blend.plan.total_draws


def test_runs_of_other_weights_share_a_folder_and_each_finds_its_own(tmp_path):
    shared = {"synthetic_dir": str(tmp_path / "shards"), "policies": [HardSeeds(), ClassAllocation(ahead=True)]}
    first = train(tmp_path / "0", TEXT, **shared)
    other = train(tmp_path / "1", TEXT, learning_rate=3e-3, **shared)
    again = train(tmp_path / "2", TEXT, **shared)
    assert first.generator.calls
    # What comes before the first round is of all of them.
    assert 0 < len(other.generator.calls) < len(first.generator.calls)
    assert again.generator.calls == []
    assert_equal_weights(weights(again.model), weights(first.model))
    assert first.shards.indices() == other.shards.indices() == again.shards.indices()
    assert len(list(first.shards.folder.glob("shard-*.arrow"))) > len(first.shards.indices())
    assert first.shards.dataset().to_dict() != other.shards.dataset().to_dict()
    # Whoever knows the keys sees all, and others what has no guide.
    unguided = ShardStore.open(first.shards.folder).indices()
    assert unguided == list(first._feedback.layout.known(1))
    whole = ShardStore.open(first.shards.folder, first.blend.pipeline.guides)
    assert whole.dataset().to_dict() == first.shards.dataset().to_dict()
    # An audit by number makes the same example again.
    last = first.shards.indices()[-1]
    before = first.shards.read(last)
    first.shards.drop(last)
    assert first.blend.shard(last).examples == before.examples


def test_a_run_without_a_policy_that_steers_makes_no_guide(tmp_path):
    trainer = train(tmp_path, TEXT, policies=[ClassAllocation()])
    assert trainer.blend.pipeline.guides == {}
    assert all(brief.ahead is None and brief.seeds == [[]] for brief in trainer._feedback.briefs)


def test_of_many_rows_some_are_asked_about_and_each_process_has_its_own(tmp_path):
    policy = ByNumber()
    policy.seed_rows = 7
    train(tmp_path, TEXT, policies=[policy])
    assert all(len(look.rows) == 7 for look in policy.looks)
    assert len({tuple(look.rows) for look in policy.looks}) == len(policy.looks)
    expected = np.sort(derive_rng(1, "seeds", 1, 0).permutation(40)[:7])
    assert policy.looks[0].rows.tolist() == expected.tolist()


def test_rows_under_a_transform_are_shown_as_they_are(tmp_path, toy):
    generator = toy.generator()
    values = {"synthetic_feedback": 4, "num_train_epochs": 2, **toy.augmentation()}
    toy.trainer(tmp_path, generator, policies=[HardSeeds()], **values).train()
    assert {key for _, key in generator.rows} <= set(map(toy.key, toy.rows()))
    assert generator.rows


class Plain(Generator):
    label_names = TEXT.generator().label_names

    def generate(self, labels, seed):
        raise AssertionError

    def fingerprint(self):
        return "plain"


def test_what_cannot_be_seeded_is_refused_when_the_trainer_is_built(tmp_path):
    values = {"synthetic_feedback": 4, "num_train_epochs": 2, "policies": [HardSeeds()]}
    with pytest.raises(ValueError, match="HardSeeds has examples written after training rows, and Plain cannot: pass"):
        TEXT.trainer(tmp_path, Plain(), **values)
    bare = TEXT.dataset().remove_columns("text")
    with pytest.raises(ValueError, match=r"train_dataset has no columns \['text'\]: keep the raw columns in it"):
        TEXT.trainer(tmp_path, TEXT.generator(), train_dataset=bare, **values)
    with pytest.raises(ValueError, match="HardSeeds and ByNumber, and each decides seed: leave one of them out"):
        TEXT.trainer(tmp_path, TEXT.generator(), **values | {"policies": [HardSeeds(), ByNumber()]})


def test_shards_that_follow_the_classifier_are_not_made_ahead_of_it(tmp_path):
    values = {"synthetic_feedback": 4, "num_train_epochs": 2, "policies": [HardSeeds()]}
    trainer = TEXT.trainer(tmp_path, TEXT.generator(), **values)
    with pytest.raises(ValueError, match="so that shards cannot be made ahead of it: leave it out"):
        trainer.fill_shards()


def test_scores_that_are_none_are_refused(tmp_path):
    class Short(Policy):
        name = "short"

        def seed(self, round, rows):
            return [1.0]

    with pytest.raises(ValueError, match=r"Short.seed returned \[1.0\]: return 40 numbers, one for each"):
        train(tmp_path, TEXT, policies=[Short()])


class Rows(torch.utils.data.Dataset):
    """Rows of one's own, each of which may draw at random."""

    def __init__(self, toy, rows, draws=False):
        self.rows, self.draws = [toy.by_hand(row) | row for row in rows], draws

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if self.draws and np.random.random() < 0.5:
            return self.rows[index - index % 2 + (index + 2) % 2]
        return dict(self.rows[index])


def test_rows_with_the_same_numbers_and_other_texts_make_other_examples(tmp_path):
    shared = {"synthetic_dir": str(tmp_path / "shards"), "synthetic_feedback": 4, "num_train_epochs": 2}
    shared |= {"remove_unused_columns": True, "synthetic_class_balance": "uniform", "policies": [HardSeeds()]}
    rows = [TEXT.dataset()[i] for i in range(40)]
    # The same tokens, and other raw texts.
    others = [row | {"text": f"{row['text']}7"} for row in rows]
    runs = []
    for name, of in (("0", rows), ("1", others), ("2", rows)):
        runs.append(TEXT.trainer(tmp_path / name, TEXT.generator(), train_dataset=Rows(TEXT, of), **shared))
        runs[-1].train()
    assert runs[0].generator.rows
    assert {key for _, key in runs[1].generator.rows} <= {TEXT.key({"text": row["text"]}) for row in others}
    assert len(runs[1].generator.rows) == len(runs[0].generator.rows)
    assert runs[2].generator.calls == []


def test_a_dataset_that_draws_gives_a_resumed_run_the_same_rows(tmp_path):
    def run(folder, resume=None, steps=40):
        values = {"synthetic_feedback": 4, "max_steps": 40, "save_strategy": "steps", "save_steps": 20}
        stop = [StopAt(steps)] if steps < 40 else []
        trainer = TEXT.trainer(
            folder,
            TEXT.generator(),
            train_dataset=Rows(TEXT, [TEXT.dataset()[i] for i in range(40)], draws=True),
            policies=[HardSeeds()],
            synthetic_producer="inline",
            synthetic_class_balance="uniform",
            callbacks=stop,
            **values,
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = run(tmp_path / "whole")
    run(tmp_path / "cut", steps=20)
    resumed = run(tmp_path / "cut", resume=True)
    assert_equal_weights(weights(resumed.model), weights(whole.model))
    assert resumed.shards.dataset().to_dict() == whole.shards.dataset().to_dict()


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


class NoRepeats(Filter):
    """Remembers a number of every example, and rejects what has one of them."""

    name = "no_repeats"

    def __init__(self):
        self.known = set()

    def judge(self, examples, labels):
        return [Verdict(TEXT.number(e) % 16 not in self.known, 0.0, "known") for e in examples]

    def remember(self, examples):
        self.known |= {TEXT.number(example) % 16 for example in examples}
        self.known -= {TEXT.number(example) % 16 for example in examples[::2]}

    def forget(self):
        self.known.clear()

    def fingerprint(self):
        return "0"


def test_one_trainer_that_goes_on_from_an_earlier_run_remembers_what_that_was_shown(tmp_path):
    cut = {"save_strategy": "steps", "save_steps": 12, "synthetic_feedback": 3, "max_steps": 30}
    cut |= {"synthetic_producer": "inline", "synthetic_dir": str(tmp_path / "shards")}

    def trainer(folder, **options):
        values = {"filters": [NoRepeats()], "policies": [HardSeeds()], **cut, **options}
        return TEXT.trainer(tmp_path / folder, TEXT.generator(), **values)

    first = trainer("a", callbacks=[StopAt(12)])
    first.train()
    # The same trainer learns something else, and comes back.
    again = trainer("a", callbacks=[StopAt(14)], learning_rate=1e-3)
    again.args.output_dir = str(tmp_path / "b")
    again.train()
    again.callback_handler.callbacks = [c for c in again.callback_handler.callbacks if not isinstance(c, StopAt)]
    again.args.learning_rate = 1e-2
    again.train(resume_from_checkpoint=str(tmp_path / "a/checkpoint-12"))
    alone = trainer("c", synthetic_dir=str(tmp_path / "others"))
    alone.train(resume_from_checkpoint=str(tmp_path / "a/checkpoint-12"))
    assert_equal_weights(weights(again.model), weights(alone.model))


def test_every_process_knows_the_shards_of_all(tmp_path):
    trainer = train(tmp_path, TEXT, policies=[HardSeeds()])
    guiding, brief = trainer._feedback.guiding, trainer._feedback.briefs[0]
    guiding.guides.clear()
    guiding.layout = dataclasses.replace(guiding.layout, world_size=2, rank=0)
    mine, theirs = [[], [(slot + 8, row) for slot, row in brief.seeds[0]]]
    guiding.apply(dataclasses.replace(brief, seeds=[mine, theirs]))
    coming = guiding._coming(1)
    assert len(coming) > 0
    assert set(guiding.guides) == {*coming, *(shard + 1 for shard in coming)}
    # Those of the other process have rows, and other names for it.
    assert {bool(guiding.guides[shard].seed_rows) for shard in coming} == {False}


def test_a_shard_that_another_trainer_made_after_a_round_is_not_called_damaged(tmp_path):
    trainer = train(tmp_path, TEXT, policies=[HardSeeds()])
    last = trainer.shards.indices()[-1]
    other = TEXT.trainer(tmp_path, TEXT.generator(), policies=[HardSeeds()], synthetic_feedback=4, num_train_epochs=2)
    with pytest.raises(ValueError, match=f"Synthetic shard {last} has no account in .* what a round decided"):
        other.blend.shard(last)


def test_a_stream_is_refused_before_its_rows_are_counted(tmp_path):
    values = {"synthetic_feedback": 4, "max_steps": 40, "synthetic_class_balance": "uniform"}
    with pytest.raises(ValueError, match="synthetic_feedback=4 needs training rows that have numbers"):
        TEXT.trainer(tmp_path, TEXT.generator(), train_dataset=TEXT.stream(), policies=[HardSeeds()], **values)
