"""Features are read once, by all processes, and charged to each that uses them."""

import numpy as np
import pytest

from hf_augment.study import feature_cache
from hf_augment.study.feature_cache import FeatureCache


FEATURES = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


def never():
    raise AssertionError("was read again")


def cache(folder=None):
    made = FeatureCache()
    made.folder = folder
    return made


def test_what_was_read_is_not_read_again_and_its_seconds_are_counted():
    made = cache()
    assert made.get("a", never, lambda: FEATURES) is FEATURES
    assert made.spared == 0
    assert made.get("a", never, never) is FEATURES
    once = made.spared
    assert once > 0
    made.get("a", never, never)
    assert made.spared == pytest.approx(2 * once)


def test_another_process_finds_it_in_the_folder_to_the_last_bit(tmp_path):
    folder = tmp_path / "features"
    cache(folder).get("a", lambda: "of-a", lambda: FEATURES)
    other = cache(folder)
    found = other.get("its own key", lambda: "of-a", never)
    assert found.dtype == FEATURES.dtype
    assert np.array_equal(found, FEATURES)
    assert other.spared > 0
    with pytest.raises(AssertionError, match="was read again"):
        other.get("other rows", lambda: "of-b", never)
    assert [file.name for file in folder.iterdir()] == ["of-a.safetensors"]


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "of-a.safetensors").write_bytes(b"half of it")
    with pytest.raises(ValueError, match=r"of-a.safetensors is damaged: delete it, and it is made again"):
        cache(tmp_path).get("a", lambda: "of-a", never)


def test_memory_holds_the_last_ones_alone(monkeypatch):
    monkeypatch.setattr(feature_cache, "_KEPT", 2 * FEATURES.nbytes)
    made = cache()
    for name in "abc":
        made.get(name, never, lambda: FEATURES)
    made.get("c", never, never)
    made.get("b", never, never)
    with pytest.raises(AssertionError, match="was read again"):
        made.get("a", never, never)
