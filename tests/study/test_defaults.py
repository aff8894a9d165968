"""Rules from the data to the arguments of a training."""

import pytest

from hf_augment.study.defaults import Choice, training_choices


def chosen(*args):
    return {choice.name: choice.value for choice in training_choices(*args)}


@pytest.mark.parametrize(
    ("rows", "batch", "steps", "why"),
    [
        (16, 16, 120, "5 passes over 16 labelled rows would be 5, and fewer teach a model little"),
        (770, 16, 241, "5 passes over 770 labelled rows, 16 at a time"),
        (1500, 16, 400, "5 passes over 1,500 labelled rows would be 469, and more add little"),
        (5000, 32, 469, "3 passes over 5,000 labelled rows, 32 at a time"),
    ],
)
def test_steps_show_every_row_often_and_are_no_fewer_than_a_model_needs(rows, batch, steps, why):
    found = chosen(rows, 384)
    assert (found["per_device_train_batch_size"], found["max_steps"]) == (batch, steps)
    assert found["warmup_steps"] == steps // 10
    assert training_choices(rows, 384)[1].reason == why


@pytest.mark.parametrize(("width", "rate"), [(384, 1e-4), (768, 5e-5), (1024, 3.8e-5), (None, 3e-3)])
def test_a_wider_model_is_trained_at_a_lower_rate(width, rate):
    assert chosen(100, width)["learning_rate"] == rate


def test_what_is_given_is_counted_with():
    given = {choice.name: choice for choice in training_choices(770, 384, batch=4)}
    assert (given["max_steps"].value, given["warmup_steps"].value) == (578, 57)
    assert given["max_steps"].reason == "3 passes over 770 labelled rows, 4 at a time"
    few = {choice.name: choice.value for choice in training_choices(770, 384, steps=8)}
    assert (few["max_steps"], few["warmup_steps"]) == (241, 0)


def test_a_choice_says_its_reason():
    assert f"{Choice('learning_rate', 5e-5, 'as BERT')}" == "learning_rate=5e-05: as BERT"


def test_there_must_be_a_row():
    with pytest.raises(ValueError, match="rows=0 must be 1 or more"):
        training_choices(0, 384)
