import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_augment.generators.base import Generator
from hf_augment.training.arguments import AugmentationArguments
from hf_augment.training.checks import class_shares
from hf_augment.training.task import ClassTask, SetTask, find_task, first_row


NAMES = ["negative", "positive"]


class Maker(Generator):
    label_names = NAMES

    def __init__(self, *columns):
        self.columns = columns or ("text",)

    def generate(self, labels, seed):
        return [dict.fromkeys(self.columns, "x") for _ in labels]

    def fingerprint(self):
        return "maker"


def rows(**columns):
    return datasets.Dataset.from_dict({"text": ["a", "b", "c"], **columns})


def find(dataset, generator=None, label_names=(), reads_labels=True, config=None, made=True):
    row = first_row(dataset)
    return find_task(dataset, row, generator or Maker(), label_names, reads_labels, config, made)


def test_a_whole_number_is_a_class_and_the_rows_are_counted():
    task = find(rows(label=[0, 1, 1]))
    assert isinstance(task, ClassTask)
    assert task.counts(rows(label=[0, 1, 1])).tolist() == [1, 2]
    assert task.label_columns([1, 0]) == {"label": [1, 0]}
    assert task.shard_column == "label"


def test_columns_that_say_the_class_in_another_way_are_found():
    dataset = rows(labels=[0, 1, 1], label=[0, 1, 1], verdict=["rotten", "fresh", "fresh"], film=["x", "y", "z"])
    columns = find(dataset).label_columns([1, 0])
    assert columns == {"labels": [1, 0], "label": [1, 0], "verdict": ["fresh", "rotten"]}


def test_rows_that_are_sorted_by_class_have_their_label_columns_too():
    label = [0] * 300 + [1] * 300
    dataset = datasets.Dataset.from_dict({"text": ["a"] * 600, "labels": label, "label": label})
    assert find(dataset).label_columns([1, 0]) == {"labels": [1, 0], "label": [1, 0]}


class TorchRows(torch.utils.data.Dataset):
    def __init__(self, rows):
        self.rows = list(rows)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


KINDS = {"rows": lambda rows: rows, "stream": lambda rows: rows.to_iterable_dataset(), "torch": TorchRows}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([1, 2], [1, 2, None]),
        (["neg", "pos"], ["neg", "pos", None]),
        ([0.5, 1.5], [0.5, 1.5, None]),
        (["negative", "positive"], ["negative", "positive", "mixed"]),
        ([0, 1], [0, 1, 2]),
        (["en", "en"], None),
    ],
)
def test_raw_labels_of_any_kind_of_rows_are_found_and_a_class_may_have_no_row(kind, values, form):
    """As far as the other classes tell, it has their form."""
    label = [0, 1] * 150
    columns = {"text": ["a"] * 300, "labels": label, "raw": [values[i] for i in label], "id": list(range(300))}
    dataset = KINDS[kind](datasets.Dataset.from_dict(columns))
    generator = Maker("text")
    generator.label_names = ("negative", "positive", "mixed")
    columns = find(dataset, generator).label_columns([1, 0, 2])
    expected = {} if form is None else {"raw": [form[1], form[0], form[2]]}
    assert columns == {"labels": [1, 0, 2]} | expected


def test_no_other_column_is_read_to_find_them():
    images = datasets.Dataset.from_dict({"image": [b"no image"] * 3, "label": [0, 1, 1], "stars": [1, 2, 2]})
    dataset = images.cast_column("image", datasets.Image())
    task = find_task(dataset, {"label": 0, "stars": 1}, Maker("image"), ("labels",), True, None, True)
    assert task.label_columns([1]) == {"label": [1], "stars": [2]}


def test_a_row_without_a_label_is_named():
    with pytest.raises(
        ValueError, match="Row 1 of train_dataset has no label in column 'label', as 1 of 3 rows: drop"
    ):
        find(rows(label=[0, None, 1])).counts(rows(label=[0, None, 1]))


def test_labels_in_words_need_a_function_that_makes_numbers_of_them():
    dataset = rows(label=["negative", "positive", "positive"])
    task = find(dataset)
    assert task.label_columns([1]) == {"label": ["positive"]}
    assert task.counts(dataset).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"labels in words, such as 'negative', in column 'label': encode them"):
        find(dataset, made=False)
    with pytest.raises(ValueError, match=r"labels \['fine'\] in column 'label'"):
        task.counts(rows(label=["negative", "fine", "positive"]))


@pytest.mark.parametrize("label", [[0.5, 0.7, 1.0], [0.0, 1.0, 1.0]])
def test_fractions_are_no_classes(label):
    with pytest.raises(ValueError, match="labels of type float64 in column 'label': encode them as integers"):
        find(rows(label=label)).counts(rows(label=label))

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, i):
            return {"text": "a", "label": torch.tensor(label[i])}

    with pytest.raises(ValueError, match="labels of type float64"):
        find(Rows()).counts(Rows())


@pytest.mark.parametrize(
    ("label", "num_labels"), [([[1, 0], [0, 1], [1, 1]], 2), ([0.5, 0.7, 1.0], 1)], ids=["several classes", "a number"]
)
def test_other_targets_come_with_the_example_or_are_made_of_it(label, num_labels):
    config = type("Config", (), {"num_labels": num_labels})()
    dataset = rows(label=label)
    assert not find(dataset, Maker("text", "label"), config=config, made=False).has_classes
    task = find(dataset, config=config)
    assert not task.has_classes
    assert task.label_columns([1]) == {}
    assert task.shard_column == "synthetic_class"
    with pytest.raises(ValueError, match="which is no class, and the generator's columns"):
        find(dataset, config=config, made=False)


LOST = type("Config", (), {"num_labels": 3, "id2label": {0: "card", 2: "new", 1: "lost"}})()


def test_a_row_of_0_and_1_is_a_set_of_labels_and_rows_are_counted_by_set():
    generator = Maker()
    generator.label_names = ["none", "card; lost", "new"]
    dataset = rows(labels=[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    task = find(dataset, generator, config=LOST, made=False)
    assert isinstance(task, SetTask)
    assert not task.has_classes
    assert task.label_columns([1, 2]) == {"labels": [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}
    assert task.counts(dataset).tolist() == [1, 2, 0]
    # What a function makes of labels in their raw form is not the target of a synthetic row.
    assert task.settle({"labels": [[9]], "ids": [[1]]}, [0]) == {"labels": [[0.0, 0.0, 0.0]], "ids": [[1]]}
    with pytest.raises(ValueError, match="none of the generator's sets of labels in column 'labels'"):
        task.counts(rows(labels=[[0.0, 1.0, 0.0]] * 3))


@pytest.mark.parametrize(
    ("balance", "shares"), [("dataset", [1 / 3, 2 / 3, 0]), ("uniform", [0.5, 0.5, 0]), ("rare_first", [1, 0, 0])]
)
def test_a_set_of_labels_that_no_row_has_is_not_asked_for(balance, shares):
    generator = Maker()
    generator.label_names = ["none", "card; lost", "new"]
    dataset = rows(labels=[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    arguments = AugmentationArguments(synthetic_class_balance=balance)
    task = find(dataset, generator, config=LOST)
    assert class_shares(arguments, task, dataset, generator).tolist() == pytest.approx(shares)
    generator.label_shares = [3, 0, 1]
    assert class_shares(arguments, task, dataset, generator).tolist() == [0.75, 0, 0.25]


def test_rows_without_a_label_are_for_models_that_read_none():
    assert find(rows(), reads_labels=False).label_key is None
    with pytest.raises(ValueError, match="no label column among"):
        find(rows())


def test_the_first_row_is_read_without_its_transform():
    dataset = rows(label=[0, 1, 1]).with_transform(lambda columns: {"x": [np.zeros(2)] * len(columns["text"])})
    assert first_row(dataset) == {"text": "a", "label": 0}
    with pytest.raises(ValueError, match="train_dataset is empty"):
        first_row([])
    with pytest.raises(ValueError, match=r"train_dataset holds several datasets, \['a', 'b'\]"):
        first_row({"a": dataset, "b": dataset})


class Kept(torch.utils.data.Dataset):
    """Rows that keep something under the name `labels`."""

    def __init__(self, labels, kept):
        self.rows, self.labels, self.read = labels, kept, 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        self.read += 1
        return {"x": 0.0, "label": self.rows[index]}


@given(st.lists(st.integers(0, 1), min_size=1, max_size=600), st.integers(0, 9))
def test_classes_are_counted_without_reading_all_rows_where_their_labels_are_at_hand(labels, seed):
    naive = np.bincount(labels, minlength=2).tolist()
    task = ClassTask("label", ["negative", "positive"])
    order = np.random.default_rng(seed).permutation(len(labels))
    table = datasets.Dataset.from_dict({"label": np.asarray(labels)[order].tolist()}).select(np.argsort(order))
    for dataset in (table, table.with_format("torch"), Kept(labels, labels), Kept(labels, torch.tensor(labels))):
        assert task.counts(dataset).tolist() == naive
        assert getattr(dataset, "read", 0) <= 200
    for other in (None, [1 - label for label in labels], labels[1:], [[label] for label in labels], "labels"):
        assert task.counts(Kept(labels, other)).tolist() == naive
