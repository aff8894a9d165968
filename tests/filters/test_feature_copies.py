"""What is too near to a real image, in the distance that is usual between real images."""

import numpy as np
import pytest

from hf_augment.filters.feature_copies import FeatureCopies
from hf_augment.neighbours.features import RealFeatures


def grey(value):
    return np.full((2, 2, 1), value, dtype=np.uint8)


def brightness(examples):
    return [[example["image"].mean()] for example in examples]


def judge(values, **arguments):
    real = RealFeatures(brightness, np.stack([grey(value) for value in (0, 20, 40, 60)]))
    return FeatureCopies(real, **arguments).judge([{"image": grey(value)} for value in values], [0] * len(values))


def test_the_relative_distance_decides():
    verdicts = judge([61, 62, 63, 200, 20])
    assert [verdict.score for verdict in verdicts] == [0.05, 0.1, 0.15, 7.0, 0.0]
    assert [verdict.accepted for verdict in verdicts] == [False, True, True, True, False]
    assert verdicts[0].reason == "0.05 from training row 3"
    assert judge([]) == []


def test_the_very_pixels_of_a_real_image_are_always_a_copy():
    assert [verdict.accepted for verdict in judge([20, 21], min_distance=0)] == [False, True]

    def restless(examples):  # different each time: no copy is near itself
        restless.calls += 1
        return np.array(brightness(examples)) + 1000 * restless.calls

    restless.calls = 0
    copies = FeatureCopies(RealFeatures(restless, np.stack([grey(0), grey(20)])))
    verdicts = copies.judge([{"image": grey(20)}, {"image": grey(19)}], [0, 0])
    assert [verdict.accepted for verdict in verdicts] == [False, True]
    assert verdicts[0].reason == "0.00 from training row 1"


def test_of_fresh_real_data_only_the_share_that_the_volume_of_a_ball_tells_is_rejected():
    # Two dimensions: 0.7 * 0.1**2 of the candidates, and at ten times the distance half of them.
    draws = np.random.default_rng(0).integers(0, 256, (3000, 1, 4, 1), dtype=np.uint8)

    def plane(examples):  # 16 bits in each direction
        pixels = np.array([example["image"].ravel() for example in examples], dtype=np.float64)
        return np.stack([pixels[:, 0] + pixels[:, 1] / 256, pixels[:, 2] + pixels[:, 3] / 256], axis=1)

    copies = FeatureCopies(RealFeatures(plane, draws[:1500]))
    verdicts = copies.judge([{"image": image} for image in draws[1500:]], [0] * 1500)
    assert np.mean([not verdict.accepted for verdict in verdicts]) == pytest.approx(0.007, abs=0.005)
    assert np.mean([verdict.score < 1 for verdict in verdicts]) == pytest.approx(0.5, abs=0.05)


def test_fingerprint_and_wrong_arguments():
    real = RealFeatures(brightness, np.stack([grey(0), grey(20)]))
    assert FeatureCopies(real).fingerprint() == f"feature_copies(min_distance=0.1, {real.fingerprint()})"
    assert FeatureCopies(real, 1).fingerprint() == FeatureCopies(real, 1.0).fingerprint()
    with pytest.raises(ValueError, match="`min_distance` must be a number of at least 0, but is -1"):
        FeatureCopies(real, min_distance=-1)
