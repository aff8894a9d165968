"""A classifier that is asked in the middle of its training: what it says, and that nothing else changes."""

import random

import numpy as np
import torch

from hf_augment.training.feedback.scoring import Scorer
from tests.toys import (
    TEXT,
    each_toy,  # noqa: F401 - the fixture `toy`
    weights,
)


def scorer_of(toy, folder, **options):
    trainer = toy.trainer(folder, toy.generator(), eval_dataset=toy.dataset(10, seed=3), **options)
    trainer.get_train_dataloader()
    (run,) = trainer._runs
    run.accepted(0)
    return trainer, run, Scorer(trainer, run.rows, 2)


def states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


def test_it_says_of_slots_what_the_model_says_of_each_row_alone(tmp_path, toy):
    trainer, run, scorer = scorer_of(toy, tmp_path)
    slots = [5, 0, 3, 7]
    found = scorer.of_slots(slots, seed=0)
    trainer.model.eval()
    for slot, said in zip(slots, found, strict=True):
        row = run.prepared.reader.read(slot) | {"label": run.store.read(0).labels[slot]}
        inputs = {name: value for name, value in toy.collator()([row]).items() if name != "labels"}
        expected = trainer.model(**inputs).logits.softmax(-1).detach().numpy()[0]
        np.testing.assert_allclose(said, expected, atol=1e-6)
    assert found.dtype == np.float32
    # One at a time, as well.
    trainer.args.per_device_eval_batch_size = 1
    np.testing.assert_allclose(scorer.of_slots(slots, seed=0), found, atol=1e-6)
    trainer._close_runs(wait=True)


def test_it_says_of_validation_rows_what_an_evaluation_does(tmp_path, toy):
    trainer, _, scorer = scorer_of(toy, tmp_path)
    probabilities, labels = scorer.of_validation(seed=0)
    predicted = trainer.predict(trainer.eval_dataset)
    assert labels.tolist() == predicted.label_ids.tolist()
    expected = torch.tensor(predicted.predictions).softmax(-1).numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    trainer._close_runs(wait=True)


def test_nothing_of_the_training_changes(tmp_path, toy):
    trainer, _, scorer = scorer_of(toy, tmp_path, **toy.augmentation())
    before, kept = states(), {name: value.clone() for name, value in weights(trainer.model).items()}
    digest = scorer.weights()
    for training in (True, False):
        trainer.model.train(training)
        first = scorer.of_slots([1, 2], seed=3)
        assert np.array_equal(scorer.of_slots([1, 2], seed=3), first)
        scorer.of_validation(seed=0)
        assert trainer.model.training is training
    assert states() == before
    assert scorer.weights() == digest
    assert all(torch.equal(value, kept[name]) for name, value in weights(trainer.model).items())
    trainer._close_runs(wait=True)


def test_validation_rows_are_known_by_what_they_hold_and_a_stream_by_its_kind(tmp_path):
    class Listed(torch.utils.data.Dataset):
        def __init__(self, rows):
            self.rows = rows

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            return self.rows[index]

    trainer, _, scorer = scorer_of(TEXT, tmp_path)
    found = []
    rows = [TEXT.by_hand(row) for row in TEXT.dataset(4)]
    for dataset in (Listed(rows), Listed(rows), Listed(rows[::-1]), TEXT.stream(10), TEXT.dataset(4)):
        trainer.eval_dataset = dataset
        found.append(scorer.validation_identity())
    assert found[0] == found[1]
    assert len(set(found)) == 4
    trainer._close_runs(wait=True)
