from types import SimpleNamespace

import pytest

from hf_augment.training.shape import RunShape


def shape(num_rows=37, **changes):
    values = {
        "train_batch_size": 4,
        "world_size": 1,
        "dataloader_drop_last": False,
        "gradient_accumulation_steps": 1,
        "max_steps": -1,
        "num_train_epochs": 2.0,
    }
    return RunShape.find(SimpleNamespace(**(values | changes)), num_rows, ratio=0.5)


def test_the_shape_of_a_run_by_hand():
    # 37 rows, two in a batch: 19 batches, the last with one base row and one fill.
    assert shape() == RunShape(4, 1, 19, 38)
    assert shape(dataloader_drop_last=True) == RunShape(4, 1, 18, 36)
    assert shape(world_size=2) == RunShape(4, 1, 10, 20)
    # 19 batches are ten steps of two, the last of one.
    accumulated = shape(gradient_accumulation_steps=2, num_train_epochs=1.5)
    assert accumulated == RunShape(4, 2, 19, 15)
    assert [accumulated.batches_before(step) for step in (0, 9, 10, 11, 15)] == [0, 18, 19, 21, 29]
    assert shape(max_steps=7).total_steps == 7


def test_a_stream_is_one_epoch_of_max_steps():
    streamed = shape(num_rows=None, max_steps=10, gradient_accumulation_steps=3)
    assert streamed == RunShape(4, 3, 30, 10)
    assert streamed.steps_per_epoch == 10


def test_no_batch_at_all_is_an_error():
    with pytest.raises(ValueError, match="dataloader_drop_last=True leaves no batch of 4 on 1 processes from 1 rows"):
        shape(num_rows=1, dataloader_drop_last=True)
