import datasets
import pytest
import torch
from torch.utils.data import default_collate

from hf_augment.blending import BlendedDataset, BlendingCollator
from hf_augment.blending.dataset import LABEL_PROBABILITIES, SAMPLE_WEIGHT, SyntheticRow
from hf_augment.blending.sampler import Slot


class Slots:
    def read(self, slot):
        return {"x": [slot, slot], "label": slot % 2, "text": "only the generator's"}

    def label_probabilities(self, slot):
        return (0.25, 0.75) if slot else None


REAL = datasets.Dataset.from_dict({"x": [[0, 1], [2, 3], [4, 5]], "label": [0, 1, 0]})


def test_rows_come_in_the_order_of_the_keys_with_the_columns_of_real_rows():
    rows = BlendedDataset(REAL, Slots()).__getitems__([2, Slot(7), 0, Slot(0)])
    assert rows == [
        {"x": [4, 5], "label": 0},
        {"x": [7, 7], "label": 1},
        {"x": [0, 1], "label": 0},
        {"x": [0, 0], "label": 0},
    ]
    assert [type(row) is SyntheticRow for row in rows] == [False, True, False, True]


def test_synthetic_values_become_tensors_where_real_ones_are():
    rows = BlendedDataset(REAL.with_format("torch"), Slots()).__getitems__([1, Slot(4)])
    assert torch.equal(rows[1]["x"], torch.tensor([4, 4]))
    assert default_collate(rows)["x"].tolist() == [[2, 3], [4, 4]]


def test_a_transform_applies_to_synthetic_rows_in_a_batch():
    def double(columns):
        return {"x": [[2 * v for v in x] for x in columns["x"]], "label": columns["label"]}

    dataset = REAL.with_transform(double)
    assert BlendedDataset(dataset, Slots(), transform=double).__getitems__([0, Slot(3)]) == [
        {"x": [0, 2], "label": 0},
        {"x": [6, 6], "label": 1},
    ]


def test_rows_of_a_stream_are_their_own_keys():
    row = {"x": [8, 9], "label": 1}
    assert BlendedDataset(None, Slots()).__getitems__([row, Slot(1)])[0] is row


def test_a_missing_column_names_the_remedy():
    dataset = REAL.add_column("input_ids", [[1], [2], [3]])
    with pytest.raises(ValueError, match=r"lack the columns \['input_ids'\].*preprocess="):
        BlendedDataset(dataset, Slots()).__getitems__([0, Slot(1)])


def test_the_collator_weighs_rows_and_the_users_collator_sees_none_of_it():
    seen = []

    def collate(rows):
        seen.extend(rows)
        return {"labels": torch.tensor([row["label"] for row in rows])}

    rows = BlendedDataset(REAL, Slots(), soft_labels=True).__getitems__([1, Slot(5), Slot(0)])
    batch = BlendingCollator(collate, synthetic_weight=0.5, num_labels=2, soft_labels=True)(rows)
    assert all(set(row) == {"x", "label"} for row in seen)
    assert batch[SAMPLE_WEIGHT].tolist() == [1.0, 0.5, 0.5]
    assert batch[LABEL_PROBABILITIES].tolist() == [[0.0, 1.0], [0.25, 0.75], [1.0, 0.0]]
