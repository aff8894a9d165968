"""Nearest real images against all pairs; who they are does not depend on who asks with them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.neighbours.features import RealFeatures


# Few different pixels, so that images are often equal or equally far.
points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)


def dots(*values):
    """Images of two pixels, from pairs of numbers."""
    return np.array(values, dtype=np.uint8).reshape(-1, 1, 2, 1)


def pictures(images):
    return [{"image": image} for image in images]


def pixels(examples):
    return np.array([example["image"].ravel() for example in examples], dtype=np.float64)


def distance(first, second):
    return float(np.hypot(first[0] - second[0], first[1] - second[1]))


@settings(derandomize=True, deadline=None, max_examples=100)
@given(points.filter(lambda rows: len(set(rows)) > 1), points)
def test_the_nearest_is_that_of_all_pairs(rows, candidates):
    real = RealFeatures(pixels, dots(*rows))
    assert real.first_rows.tolist() == [rows.index(row) for row in rows]
    different = list(dict.fromkeys(rows))
    others = {row: [other for other in different if other != row] for row in different}
    assert real.unit == pytest.approx(np.median([min(distance(row, o) for o in others[row]) for row in different]))
    nearest = real.nearest(pictures(dots(*candidates)))
    for candidate, row, relative in zip(candidates, *nearest, strict=True):
        assert relative * real.unit == pytest.approx(min(distance(candidate, other) for other in rows))
        assert distance(candidate, rows[row]) == pytest.approx(relative * real.unit)
        assert row == rows.index(rows[row])


def test_popularity_is_how_many_different_images_are_nearest_themselves_included():
    #           0: alone    1: nearest to 0, 2, 5     2         3: repeats 1   4, 5: far, each other's but for 5
    rows = [(0, 0), (10, 0), (13, 0), (10, 0), (200, 0), (100, 0)]
    real = RealFeatures(pixels, dots(*rows))
    # (0,0)->1, (10,0)->2, (13,0)->1, (200,0)->5, (100,0)->2
    assert real.popularity.tolist() == [1, 3, 3, 0, 1, 2]
    assert real.unit == 10


def test_the_same_image_is_nearest_whatever_the_features():
    def dull(examples):  # only the first pixel counts
        return pixels(examples)[:, :1]

    real = RealFeatures(dull, dots((0, 0), (50, 1), (50, 2), (90, 9)))
    nearest = real.nearest(pictures(dots((50, 2), (50, 1), (51, 1))))
    assert nearest.rows[:2].tolist() == [2, 1]
    assert nearest.distances.tolist() == [0, 0, 1 / real.unit]
    assert real.nearest([]).rows.shape == (0,)


def test_small_distances_are_exact():
    # Squares of 1e8 would swallow the square of 0.5 in float32.
    real = RealFeatures(lambda examples: 1e4 + pixels(examples) / 2, dots((0, 0), (4, 0), (8, 0)))
    assert real.unit == 2
    assert real.nearest(pictures(dots((5, 0)))).distances.tolist() == [0.25]


def test_features_always_see_equally_many_images_and_never_an_empty_batch():
    seen = []

    def counting(examples):
        seen.append(len(examples))
        return pixels(examples)

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (130, 1, 2, 1), dtype=np.uint8)
    real = RealFeatures(counting, images)
    together = real.nearest(pictures(images[:70] // 2))
    alone = [real.nearest(pictures([image // 2])) for image in images[:70]]
    assert together.rows.tolist() == [one.rows[0] for one in alone]
    assert together.distances.tolist() == [one.distances[0] for one in alone]
    assert set(seen) == {64}


def test_other_column():
    def scans(examples):
        return [example["scan"].ravel() for example in examples]

    real = RealFeatures(scans, dots((0, 0), (9, 9)), image_column="scan")
    assert real.nearest([{"scan": dots((8, 8))[0]}]).rows.tolist() == [1]
    with pytest.raises(ValueError, match=r"`image_column` is 'scan'.*\['image'\]"):
        real.nearest(pictures(dots((8, 8))))


def test_the_fingerprint_covers_images_features_and_column():
    class Named:
        def __call__(self, examples):
            return pixels(examples)

        def fingerprint(self):
            return "weights-1"

    images = dots((0, 0), (9, 9), (1, 2), (3, 4))
    different = [
        RealFeatures(pixels, images),
        RealFeatures(Named(), images),
        RealFeatures(pixels, images[::-1]),
        RealFeatures(pixels, images.reshape(2, 1, 4, 1)),
    ]
    fingerprints = [real.fingerprint() for real in different]
    assert len(set(fingerprints)) == len(fingerprints)
    assert "weights-1" in fingerprints[1]
    assert RealFeatures(pixels, images.copy()).fingerprint() == fingerprints[0]


def test_only_many_images_show_their_progress(capsys):
    images = np.arange(5001 * 2, dtype=np.uint16).view(np.uint8).reshape(5001, 2, 2, 1)
    RealFeatures(pixels, images[:100])
    assert capsys.readouterr().err == ""
    RealFeatures(pixels, images)
    assert "features of real images" in capsys.readouterr().err


TWO = dots((0, 0), (9, 9))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RealFeatures("model", TWO), "`features` must be callable, but is <class 'str'>"),
        (lambda: RealFeatures(pixels, TWO.astype(float)), r"`images` must be a uint8 array.*float64 of shape \(2, 1"),
        (lambda: RealFeatures(pixels, TWO[:, 0]), r"`images` must be a uint8 array.*\(2, 2, 1\)"),
        (lambda: RealFeatures(pixels, TWO[:0]), "at least one image"),
        (lambda: RealFeatures(pixels, TWO[[0, 0, 0]]), "at least two different images, but its 3 are all alike"),
        (lambda: RealFeatures(lambda examples: np.zeros((64, 2)), TWO), "`features` must tell most images apart"),
        (lambda: RealFeatures(lambda examples: np.zeros(64), TWO), r"shape \(64, d\) for 64.*shape is \(64,\)"),
        (lambda: RealFeatures(lambda examples: np.full((64, 1), np.nan), TWO), "with 64 NaN or infinite"),
        (
            lambda: RealFeatures(pixels, TWO).nearest(pictures(TWO.reshape(2, 2, 1, 1))),
            r"real images have shape \(1, 2, 1\), but the examples' are \(2, 1, 1\)",
        ),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
