import pickle
import random

import datasets
import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from hf_augment.blending.dataset import (
    LABEL_PROBABILITIES,
    SAMPLE_WEIGHT,
    BlendedDataset,
    BlendingCollator,
    SyntheticRow,
)
from hf_augment.blending.sampler import Batch, Slot


# What a row holds beside its label: lists, as of words, or arrays, as of pixels.
VALUES = {
    "lists": lambda number: [number, number],
    "arrays": lambda number: np.full((2, 2, 1), number, dtype=np.uint8),
}


@pytest.fixture(params=VALUES)
def value(request):
    return VALUES[request.param]


class Slots:
    def __init__(self, value):
        self.value = value

    def read(self, slot):
        return {"x": self.value(slot), "label": slot % 2, "text": "only the generator's"}

    def label_probabilities(self, slot):
        return (0.25, 0.75) if slot else None


def real(value):
    """Ten, eleven and twelve."""
    return [{"x": value(10 + i), "label": i % 2} for i in range(3)]


def rows_of(dataset, keys, seed=0):
    return dataset.__getitems__(Batch(keys, seed))


def numbers(rows):
    return [(np.unique(row["x"]).tolist(), row["label"]) for row in rows]


def test_rows_come_in_the_order_of_the_keys_with_the_columns_of_real_rows(value):
    dataset = BlendedDataset(real(value), Slots(value))
    rows = rows_of(dataset, [2, Slot(7), 0, Slot(0)], seed=5)
    assert numbers(rows) == [([12], 0), ([7], 1), ([10], 0), ([0], 0)]
    assert [set(row) for row in rows] == [{"x", "label"}] * 4
    assert [type(row) is SyntheticRow for row in rows] == [False, True, False, True]
    assert {type(row["x"]) for row in rows} == {type(value(0))}
    assert rows.seed == 5
    assert numbers([dataset[0], dataset[Slot(7)]]) == [([10], 0), ([7], 1)]


def test_synthetic_values_become_tensors_where_real_ones_are(value):
    dataset = datasets.Dataset.from_list(real(value)).with_format("torch")
    rows = rows_of(BlendedDataset(dataset, Slots(value)), [1, Slot(4)])
    assert torch.equal(rows[1]["x"], torch.tensor(value(4)))
    assert rows[1]["x"].dtype == rows[0]["x"].dtype
    assert torch.equal(default_collate(rows)["x"], torch.stack([torch.tensor(value(11)), torch.tensor(value(4))]))


def test_a_transform_applies_to_synthetic_rows_in_a_batch(value):
    seen = []

    def double(columns):
        seen.append(len(columns["x"]))
        return {"x": [np.multiply(x, 2) for x in columns["x"]], "label": columns["label"]}

    dataset = datasets.Dataset.from_list(real(value)).with_transform(double)
    rows = rows_of(BlendedDataset(dataset, Slots(value), transform=double), [0, 1, Slot(3), Slot(4)])
    assert numbers(rows) == [([20], 0), ([22], 1), ([6], 1), ([8], 0)]
    assert seen == [2, 2]


def test_rows_of_a_stream_are_their_own_keys(value):
    row = {"x": value(8), "label": 1}
    assert rows_of(BlendedDataset(None, Slots(value)), [row, Slot(1)])[0] is row


def test_a_missing_column_names_the_remedy(value):
    dataset = [row | {"input_ids": [1]} for row in real(value)]
    with pytest.raises(ValueError, match=r"lack the columns \['input_ids'\].*preprocess="):
        rows_of(BlendedDataset(dataset, Slots(value)), [0, Slot(1)])


def test_the_collator_weighs_rows_and_the_users_collator_sees_none_of_it(value):
    seen = []

    def collate(rows):
        seen.extend(rows)
        return {"labels": torch.tensor([row["label"] for row in rows])}

    rows = rows_of(BlendedDataset(real(value), Slots(value), soft_labels=True), [1, Slot(5), Slot(0)])
    batch = BlendingCollator(collate, synthetic_weight=0.5, num_labels=2, soft_labels=True)(rows)
    assert all(set(row) == {"x", "label"} for row in seen)
    assert batch[SAMPLE_WEIGHT].tolist() == [1.0, 0.5, 0.5]
    assert batch[LABEL_PROBABILITIES].tolist() == [[0.0, 1.0], [0.25, 0.75], [1.0, 0.0]]
    plain = BlendingCollator(collate, synthetic_weight=1.0, num_labels=2)(rows)
    assert set(plain) == {"labels"}


def test_soft_labels_take_a_row_that_does_not_count_and_refuse_labels_that_are_no_classes():
    def soft(labels):
        return BlendingCollator(lambda rows: {"labels": labels}, 1.0, 2, soft_labels=True)(Batch([{}, {}], seed=0))

    assert soft(torch.tensor([-100, 1]))[LABEL_PROBABILITIES].tolist()[1] == [0.0, 1.0]
    with pytest.raises(
        ValueError, match=r"one class for each of 2 rows, .* labels of type torch.float32 and shape \(2, 2\)"
    ):
        soft(torch.eye(2))


# --- chance ------------------------------------------------------------------------------------------------------


def chance():
    """A number from each of the global random states."""
    return random.random(), float(np.random.rand()), torch.rand(()).item()


class Draws:
    """A dataset whose rows are drawn."""

    def __getitem__(self, index):
        return {"x": chance(), "label": index}


def drawn(seed):
    """Of a batch: its real rows, its synthetic rows, and what the collator added."""

    def transform(columns):
        return {"x": [chance() for _ in columns["x"]], "label": columns["label"]}

    def collate(rows):
        return [*(row["x"] for row in rows), chance()]

    dataset = BlendedDataset(Draws(), Slots(VALUES["lists"]), transform)
    return BlendingCollator(collate, 1.0, 2)(rows_of(dataset, [0, 1, Slot(0), Slot(1)], seed))


def test_what_is_drawn_on_the_way_depends_on_the_batchs_seed_alone_and_moves_nothing_outside():
    first = drawn(seed=3)
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    expected = chance()
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    assert drawn(seed=3) == first
    assert chance() == expected
    assert not set(drawn(seed=4)) & set(first)
    assert len(set(first)) == 5


def test_a_batch_keeps_its_seed_on_the_way_to_a_worker():
    back = pickle.loads(pickle.dumps(Batch([1, Slot(2)], seed=7)))
    assert (type(back), back, back.seed) == (Batch, [1, 2], 7)
    assert [type(key) for key in back] == [int, Slot]
