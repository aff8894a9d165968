"""Rows and files of the tests."""

from types import SimpleNamespace

import datasets

from hf_augment.data.texts import load_texts
from tests.toys import LABELS


def rows(labels, texts=None, names=LABELS):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=list(names))})
    texts = texts or [f"text {i}" for i in range(len(labels))]
    return datasets.Dataset.from_dict({"text": texts, "label": labels}, features=features)


def load(source, split="train", text="text", label="label", *args, **kwargs):
    return load_texts(str(source), split, text, label, *args, **kwargs)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def wanted(**kwargs):
    """Arguments of an experiment, as far as its data go."""
    defaults = {
        "dataset": "x",
        "train_split": "train",
        "test_split": "test",
        "group_column": None,
        "test_fraction": 0.25,
        "max_test_rows": None,
        "holdouts": [],
    }
    return SimpleNamespace(**(defaults | kwargs))


def texts(dataset):
    return dataset["text"][:]
