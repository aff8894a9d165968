"""Metrics of feature vectors: against naive references and by hand, their errors, and loading in a new process."""

from __future__ import annotations

import doctest
import functools
import math
import os
import random
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from hf_augment.metrics import features
from hf_augment.metrics.loading import load_metric, metric_path


NAMES = [
    "classification_accuracy_score",
    "feature_diversity",
    "frechet_distance",
    "kernel_distance",
    "nearest_neighbors",
    "precision_recall_density_coverage",
]
LABELLED = ["classification_accuracy_score", "feature_diversity"]

few_examples = settings(max_examples=25, deadline=None)

cached = functools.cache(load_metric)


def compute(name, **kwargs):
    return cached(name).compute(**kwargs)


def normal(n_rows, n_features, seed=0, scale=1.0):
    # As evaluate keeps them: float32.
    return (np.random.default_rng(seed).normal(size=(n_rows, n_features)) * scale).astype(np.float32)


def distance(a, b):
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def naive_frechet(data, real):
    means, covariances = zip(*((x.mean(axis=0), np.cov(x, rowvar=False)) for x in (data, real)), strict=True)
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(values) @ vectors.T
    trace = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root)).sum()
    return ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * trace


def naive_kernel_distance(data, real):
    def mean_kernel(xs, ys, same):
        values = [
            (float(np.dot(x, y)) / len(x) + 1) ** 3
            for i, x in enumerate(xs)
            for j, y in enumerate(ys)
            if not (same and i == j)
        ]
        return sum(values) / len(values)

    return mean_kernel(data, data, True) + mean_kernel(real, real, True) - 2 * mean_kernel(data, real, False)


def naive_prdc(data, real, k):
    def radius(rows, i):
        return sorted(distance(rows[i], row) for j, row in enumerate(rows) if j != i)[k - 1]

    radii, real_radii = ([radius(rows, i) for i in range(len(rows))] for rows in (data, real))
    precise = pairs = recalled = covered = 0
    for x in data:
        inside = [distance(x, y) <= r for y, r in zip(real, real_radii, strict=True)]
        precise += any(inside)
        pairs += sum(inside)
    for y, real_radius in zip(real, real_radii, strict=True):
        recalled += any(distance(x, y) <= r for x, r in zip(data, radii, strict=True))
        covered += any(distance(x, y) <= real_radius for x in data)
    return {
        "precision": precise / len(data),
        "recall": recalled / len(real),
        "density": pairs / (k * len(data)),
        "coverage": covered / len(real),
    }


def naive_nearest(data, real, threshold):
    nearest = [min((distance(x, y), i) for i, y in enumerate(real)) for x in data]
    leave_one_out = [min(distance(x, y) for j, y in enumerate(real) if j != i) for i, x in enumerate(real)]
    distances, typical = [d for d, _ in nearest], float(np.median(leave_one_out))
    return {
        "indices": [i for _, i in nearest],
        "distances": pytest.approx(distances),
        "relative_distance": pytest.approx(float(np.median(distances)) / typical),
        "copies": sum(d < threshold * typical for d in distances) / len(distances),
    }


def naive_diversity(data, labels, real, real_labels):
    def mean_distance(rows, classes, label):
        members = [row for row, c in zip(rows, classes, strict=True) if c == label]
        pairs = [distance(x, y) for i, x in enumerate(members) for y in members[:i]]
        return sum(pairs) / len(pairs)

    classes = range(max(real_labels) + 1)
    return [mean_distance(data, labels, c) / mean_distance(real, real_labels, c) for c in classes]


def test_frechet_distance_equals_the_naive_one():
    data, real = normal(60, 4, seed=1, scale=2.0) + 1, normal(50, 4) @ np.triu(np.ones((4, 4), np.float32))
    result = compute("frechet_distance", data=data, real=real)
    assert result == {"frechet_distance": pytest.approx(naive_frechet(data, real), rel=1e-5)}


def test_frechet_distance_by_hand():
    # Means 3 apart; standard deviations sqrt(2) and 2 sqrt(2).
    result = compute("frechet_distance", data=[[1.0], [5.0]], real=[[5.0], [7.0]])
    assert result == {"frechet_distance": pytest.approx(9 + 2)}


def test_frechet_distance_of_few_rows_is_finite_and_not_negative():
    rows = normal(5, 20)  # covariances far from full rank
    assert 0 <= compute("frechet_distance", data=rows, real=rows)["frechet_distance"] < 1e-4
    assert 0 < compute("frechet_distance", data=rows, real=normal(5, 20, seed=1))["frechet_distance"] < 100


def test_kernel_distance_equals_the_naive_one():
    data, real = normal(12, 3, seed=1) + 1, normal(12, 3)
    result = compute("kernel_distance", data=data, real=real, subsets=3)
    assert result["kernel_distance"] == pytest.approx(naive_kernel_distance(data, real))
    assert result["kernel_distance_std"] == pytest.approx(0, abs=1e-9)  # each subset is all rows


def test_kernel_distance_of_subsets():
    data, real = normal(90, 3, seed=1) + 1, normal(70, 3)
    first, second = (compute("kernel_distance", data=data, real=real, subset_size=20, seed=seed) for seed in (0, 1))
    assert first != second
    assert first == compute("kernel_distance", data=data, real=real, subset_size=20)
    error = first["kernel_distance_std"] / math.sqrt(100)
    assert first["kernel_distance"] == pytest.approx(naive_kernel_distance(data, real), abs=4 * error)
    # By default as many rows as the smaller side has.
    assert compute("kernel_distance", data=data, real=real, subsets=2) == compute(
        "kernel_distance", data=data, real=real, subsets=2, subset_size=70
    )


def test_kernel_distance_spares_the_random_state():
    torch.manual_seed(3)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first = compute("kernel_distance", data=normal(30, 2, seed=1), real=normal(30, 2), subset_size=9)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    torch.manual_seed(4)
    assert first == compute("kernel_distance", data=normal(30, 2, seed=1), real=normal(30, 2), subset_size=9)


@st.composite
def grids(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Points of a small grid: full of ties and of equal rows."""
    k, width = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    row = st.lists(st.integers(0, 4), min_size=width, max_size=width)
    tables = [draw(st.lists(row, min_size=k + 1, max_size=9)) for _ in range(2)]
    offset = draw(st.sampled_from([0, 1000]))
    return np.array(tables[0]) + offset, np.array(tables[1]) + offset, k


@few_examples
@given(grids())
def test_prdc_equals_the_naive_one(tables):
    data, real, k = tables
    result = compute("precision_recall_density_coverage", data=data, real=real, k=k)
    assert result == pytest.approx(naive_prdc(data, real, k))


def test_prdc_of_normal_features_in_blocks(monkeypatch):
    data, real = normal(80, 6, seed=1, scale=0.8), normal(60, 6)
    # So that each block of distances holds a few rows only.
    monkeypatch.setattr(features, "_WORKING_MEMORY", 8 * 60 * 7 / 2**20)
    assert [rows.stop - rows.start for rows, _ in features.distance_blocks(data, real)] == [7] * 11 + [3]
    result = compute("precision_recall_density_coverage", data=data, real=real)
    assert result == pytest.approx(naive_prdc(data, real, 5))
    assert 0 < result["recall"] < 1


def test_prdc_counts_the_surface_of_a_ball():
    rows = normal(40, 5)
    # A ball holds its own row and k others, of which the k-th is exactly on its surface.
    result = compute("precision_recall_density_coverage", data=rows, real=rows, k=4)
    assert result == {"precision": 1.0, "recall": 1.0, "density": 5 / 4, "coverage": 1.0}


def test_coverage_per_class():
    real, real_labels = normal(45, 2), np.arange(45) % 3
    data, labels = normal(20, 2, seed=1), np.arange(20) % 2  # none of class 2
    result = compute(
        "precision_recall_density_coverage", data=data, real=real, k=2, labels=labels, real_labels=real_labels
    )
    within = [naive_prdc(data[labels == c], real[real_labels == c], 2)["coverage"] for c in range(2)]
    assert result.pop("coverage_per_class") == [pytest.approx(within[0]), pytest.approx(within[1]), 0.0]
    assert result == pytest.approx(naive_prdc(data, real, 2))


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_nearest_neighbors_equal_the_naive_ones(offset):
    real = normal(30, 4) + np.float32(offset)
    data = np.concatenate([real[[7, 3]], real[[5]] + np.float32(0.001), normal(9, 4, seed=1) + np.float32(offset)])
    result = compute("nearest_neighbors", data=data, real=real)
    assert result == naive_nearest(data, real, 0.1)
    assert (result["indices"][:3], result["distances"][:2], result["copies"]) == ([7, 3, 5], [0.0, 0.0], 0.25)
    assert compute("nearest_neighbors", data=data, real=real, threshold=2.0) == naive_nearest(data, real, 2.0)


def test_copies_of_float64_features_have_no_distance():
    real = np.random.default_rng(0).normal(size=(10, 3))
    result = compute("nearest_neighbors", data=real, real=real)
    assert (result["distances"], result["relative_distance"], result["copies"]) == ([0.0] * 10, 0.0, 1.0)


def test_feature_diversity_equals_the_naive_one():
    data, labels = normal(20, 3, seed=1, scale=0.5), np.arange(20) % 3
    real, real_labels = normal(15, 3), np.arange(15) % 3
    result = compute("feature_diversity", data=data, labels=labels, real=real, real_labels=real_labels)
    expected = naive_diversity(data, labels, real, real_labels)
    assert result == {"feature_diversity": pytest.approx(min(expected)), "per_class": pytest.approx(expected)}


def test_feature_diversity_of_a_collapsed_class_is_0():
    real, labels = normal(6, 3), [0, 0, 0, 1, 1, 1]
    data = real.copy()
    data[:3] = data[0]
    result = compute("feature_diversity", data=data, labels=labels, real=real, real_labels=labels)
    assert result == {"feature_diversity": 0.0, "per_class": [0.0, pytest.approx(1.0)]}


def test_classification_accuracy_score():
    labels = np.arange(40) % 2
    real, data = (normal(40, 3, seed) + 3 * labels[:, None] for seed in (0, 1))

    def score(real_labels):
        sides = {"data": data, "labels": labels, "real": real, "real_labels": real_labels}
        return compute("classification_accuracy_score", **sides)["classification_accuracy_score"]

    assert score(labels) == pytest.approx(1.0, abs=0.05)
    assert score(1 - labels) == pytest.approx(1 - score(labels))
    assert score(labels + 2) == 0.0  # classes that are never generated are never right


class MostFrequent:
    """No estimator of scikit-learn, but with its two methods."""

    def fit(self, features, labels):
        self.label = np.bincount(labels).argmax()

    def predict(self, features):
        return [self.label] * len(features)


# The nearest synthetic row to the first three is of class 0, to the last of class 1.
@pytest.mark.parametrize(
    ("classifier", "accuracy"), [(MostFrequent(), 0.25), (KNeighborsClassifier(n_neighbors=1), 0.5)]
)
def test_classification_accuracy_score_of_another_classifier(classifier, accuracy):
    before = dict(vars(classifier))
    result = compute(
        "classification_accuracy_score",
        data=[[0.0], [5.0], [6.0]],
        labels=[0, 1, 1],
        real=[[1.0], [2.0], [2.2], [4.0]],
        real_labels=[0, 0, 1, 0],
        classifier=classifier,
    )
    assert result == {"classification_accuracy_score": accuracy}
    assert vars(classifier) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [np.array, torch.tensor, list])
def test_any_kind_of_table_does(name, kind):
    rows = [[float(i), float(i * i % 7)] for i in range(12)]
    labels = {"labels": [0, 1] * 6, "real_labels": [0, 1] * 6} if name in LABELLED else {}
    result = compute(name, data=kind(rows), real=kind(rows[::-1]), **labels)
    assert result == compute(name, data=rows, real=rows[::-1], **labels)
    values = [value for entry in result.values() for value in (entry if isinstance(entry, list) else [entry])]
    assert all(type(value) in (float, int) for value in values)


GOOD = [[0.0, 1.0], [2.0, 5.0], [4.0, 0.0]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("data", "real", "message"),
    [
        (GOOD[:1], GOOD, r"`data` has shape \(1, 2\). Give vectors as \(examples, features\), two examples or more"),
        ([], GOOD, r"`data` has shape \(0,\)"),
        ([[], []], GOOD, r"`data` has shape \(2, 0\)"),
        ([[0.0, 1.0], [2.0]], GOOD, "`data` is not a table of numbers .* all of one width"),
        ([[0.0, 1.0], None], GOOD, "`data` is not a table of numbers"),
        (GOOD, np.zeros((4, 2, 2)), r"`real` has shape \(4, 2, 2\). .*flatten images first"),
        (GOOD, GOOD[:1], r"`real` has shape \(1, 2\)"),
        (GOOD, [["a", "b"], ["c", "d"]], "`real` is not a table of numbers"),
        (GOOD, [[0.0, math.nan], [1.0, 1.0], [math.inf, 0.0]], "`real` is not finite in 2 of 3 rows. .* row 0"),
        ([[0.0, 1.0], [math.nan, 1.0]], GOOD, "`data` is not finite in 1 of 2 rows. The first is row 1"),
        (GOOD, [[0.0], [1.0]], "`data` has 2 features and `real` has 1. Take both from the same layer"),
    ],
)
def test_table_errors(name, data, real, message):
    labels = {"labels": [0] * len(data), "real_labels": [0] * len(real)} if name in LABELLED else {}
    with pytest.raises(ValueError, match=message):
        compute(name, data=data, real=real, **labels)


@pytest.mark.parametrize("name", [*LABELLED, "precision_recall_density_coverage"])
@pytest.mark.parametrize(
    ("labels", "real_labels", "message"),
    [
        ([0, 1], [0, 1, 1], r"`labels` has shape \(2,\) and type int64. Give one integer class for each of the 3"),
        ([0, 1, 1], [0.0, 1.0, 1.0], r"`real_labels` has shape \(3,\) and type float64"),
        ([0, 1, -1], [0, 1, 1], r"`labels\[2\]` is -1. Give classes from 0 on"),
    ],
)
def test_label_errors(name, labels, real_labels, message):
    more = {} if name in LABELLED else {"k": 1}
    with pytest.raises(ValueError, match=message):
        compute(name, data=GOOD, labels=labels, real=GOOD, real_labels=real_labels, **more)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("kernel_distance", {"subsets": 0}, "`subsets` is 0"),
        ("kernel_distance", {"subset_size": 4}, "`subset_size` is 4. Give between 2 and 3"),
        ("kernel_distance", {"subset_size": 1}, "`subset_size` is 1"),
        ("precision_recall_density_coverage", {"k": 3}, "`k` is 3. Give between 1 and 2"),
        ("precision_recall_density_coverage", {"k": 0}, "`k` is 0"),
        ("precision_recall_density_coverage", {"k": 1, "labels": [0, 1, 1]}, "`labels` is given but `real_labels` is"),
        ("precision_recall_density_coverage", {"k": 1, "real_labels": [0] * 3}, "`real_labels` is given but `labels`"),
        (
            "precision_recall_density_coverage",
            {"k": 1, "labels": [0, 1, 1], "real_labels": [0, 1, 1]},
            r"`real_labels` has class 0 1 time\(s\), but `k` is 1",
        ),
        ("nearest_neighbors", {"threshold": 0.0}, "`threshold` is 0.0"),
        ("nearest_neighbors", {"real": [[1.0, 1.0]] * 4}, "`real` has 4 rows, of which at least half equal another"),
        (
            "feature_diversity",
            {"labels": [0, 1, 1], "real_labels": [0, 0, 0]},
            r"`labels\[1\]` is 1, but the largest of `real_labels` is 0",
        ),
        ("feature_diversity", {"labels": [0, 1, 1], "real_labels": [0, 0, 1]}, r"`labels` has class 0 1 time\(s\)"),
        ("feature_diversity", {"labels": [0, 0, 0], "real_labels": [0, 2, 0]}, r"`labels` has class 1 0 time\(s\)"),
        (
            "feature_diversity",
            {"labels": [0, 0, 0], "real": [[1.0, 1.0]] * 4, "real_labels": [0] * 4},
            "`real` has 4 rows of class 0, all equal",
        ),
        (
            "classification_accuracy_score",
            {"labels": [1, 1, 1], "real_labels": [0, 1, 1]},
            "`labels` has no class but 1",
        ),
    ],
)
def test_argument_errors(name, kwargs, message):
    with pytest.raises(ValueError, match=message):
        compute(name, **{"data": GOOD, "real": GOOD, **kwargs})


@pytest.mark.parametrize("name", NAMES)
def test_documented_examples_run(name):
    module = import_module(f"hf_augment.metrics.{name}.{name}")
    text = module._KWARGS_DESCRIPTION.replace("```python", "").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_loads_in_a_new_process_with_empty_caches(tmp_path):
    program = """
import sys, warnings
warnings.simplefilter("error")
import evaluate
for folder in sys.argv[1:]:
    metric = evaluate.load(folder)
    print(metric.name, metric.module_type, sorted(metric.features))
"""
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "HF_MODULES_CACHE": str(tmp_path / "modules")}
    command = [sys.executable, "-c", program, *map(metric_path, NAMES)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} measurement ['data']" for name in NAMES]
