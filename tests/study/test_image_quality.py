"""Figures of generated images, from which one can tell good ones from bad ones."""

import json

import datasets
import numpy as np
import pytest
from transformers import ViTImageProcessor

from hf_augment import Generator, ImageClassifierJudge, SmallResNetForImageClassification
from hf_augment.images.arrays import image_arrays
from hf_augment.seeding import isolated_rng
from hf_augment.study import image_quality
from hf_augment.study.image_quality import measure_quality, quality_table


NAMES = ("cool", "warm")
COLOURS = np.array([(40, 60, 180), (180, 60, 40)])


def noisy(labels, seed, spread=56):
    rng = np.random.default_rng(seed)
    return [(COLOURS[label] + rng.integers(0, spread, (8, 8, 3))).astype(np.uint8) for label in labels]


class Painter(Generator):
    """Draws what it is told to."""

    label_names = NAMES
    columns = ("image",)

    def __init__(self, draw):
        self.draw = draw

    def generate(self, labels, seed):
        return [{"image": image} for image in self.draw(labels, seed)]

    def fingerprint(self):
        return "painter"


@pytest.fixture(scope="module")
def train():
    labels = [i % 2 for i in range(24)]
    features = datasets.Features(
        {"image": datasets.Array3D((8, 8, 3), "uint8"), "label": datasets.ClassLabel(names=list(NAMES))}
    )
    return datasets.Dataset.from_dict({"image": noisy(labels, 0), "label": labels}, features=features)


@pytest.fixture(scope="module")
def judge():
    """A model that knows nothing; but what it sees differs with the colour."""
    with isolated_rng(0):
        model = SmallResNetForImageClassification.build(NAMES, width=8).eval()
    processor = ViTImageProcessor(do_resize=False, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return ImageClassifierJudge(model, processor)


@pytest.fixture(scope="module")
def qualities(train, judge):
    """Of generators whose faults are known."""
    real = image_arrays(train)
    draws = {
        "good": noisy,
        "copies": lambda labels, seed: [real[label + 2 * (i % 6)] for i, label in enumerate(labels)],
        "collapsed": lambda labels, seed: [noisy([label], 5)[0] for label in labels],
        "wrong class": lambda labels, seed: noisy([1 - label for label in labels], seed),
    }
    return {
        name: measure_quality(Painter(draw), train, train, judge, per_class=12, seed=3) for name, draw in draws.items()
    }


def test_the_figures_tell_good_images_from_bad_ones(qualities):
    good, copies, collapsed, wrong = qualities.values()
    assert good["copies"] == 0
    assert copies["copies"] == 1
    assert copies["relative_distance"] == 0
    assert 0.5 < good["relative_distance"] < 2
    assert all(0.7 < share < 1.4 for share in good["per_class"])
    assert collapsed["per_class"] == pytest.approx([0, 0], abs=1e-6)
    assert collapsed["recall"] < good["recall"]
    assert collapsed["frechet_distance"] > good["frechet_distance"]
    # The probe learns colours of the wrong name.
    assert good["classification_accuracy_score"] == 1
    assert wrong["classification_accuracy_score"] == 0
    # Without the labels, they are as good as the others.
    assert wrong["precision"] == pytest.approx(good["precision"], abs=0.2)


def test_the_figures_are_complete_and_can_be_kept(qualities):
    for quality in qualities.values():
        assert (quality["n"], quality["n_real"]) == (24, 24)
        assert json.loads(json.dumps(quality)) == quality
        assert len(quality["agreement_per_class"]) == len(quality["per_class"]) == 2
        # One class each time, as the model knows nothing.
        assert quality["agreement"] == np.mean(quality["agreement_per_class"])


def test_the_same_seed_gives_the_same_figures(train, judge, qualities):
    again = measure_quality(Painter(noisy), train, train, judge, per_class=12, seed=3)
    assert again == qualities["good"]
    assert measure_quality(Painter(noisy), train, train, judge, per_class=12, seed=4) != again


def test_the_fewest_images(train, judge):
    quality = measure_quality(Painter(noisy), train.select(range(4)), train, judge, per_class=2, seed=0)
    assert quality["n"] == 4
    assert quality["density"] > 0


def test_no_more_real_images_are_compared_than_can_be(train, judge, monkeypatch):
    monkeypatch.setattr(image_quality, "MOST_REAL", 10)
    quality = measure_quality(Painter(noisy), train, train, judge, per_class=12, seed=0)
    assert (quality["n"], quality["n_real"]) == (24, 10)


def test_the_table_shows_every_figure():
    quality = {
        "n": 24,
        "n_real": 48,
        "agreement": 0.75,
        "agreement_per_class": [1.0, 0.5],
        "per_class": [0.25, 0.75],
        "feature_diversity": 0.25,
        "frechet_distance": 1.234,
        "kernel_distance": 0.0125,
        "kernel_distance_std": 0.001,
        "precision": 0.5,
        "recall": 0.25,
        "density": 0.75,
        "coverage": 1.0,
        "relative_distance": 0.9,
        "copies": 0.125,
        "classification_accuracy_score": 0.625,
    }
    title, header, rows = quality_table(quality, list(NAMES), "a judge")
    assert title == "24 generated images beside 48 training images, by the features of a judge"
    assert header == ("measure", "value")
    assert [value for _, value in rows] == [
        "75.0 %",
        "50.0 % (warm)",
        "0.50",
        "0.25 (cool)",
        "1.23",
        "0.0125 ± 0.0010",
        "0.50, 0.25",
        "0.75, 1.00",
        "0.90",
        "12.5 %",
        "0.625",
    ]
    assert len({measure for measure, _ in rows}) == len(rows)
    *_, alone = quality_table(quality | {"accuracy_alone": 0.5}, list(NAMES), "a judge")[2]
    assert alone == ("classifier of as many generated images as labelled ones", "0.500")
