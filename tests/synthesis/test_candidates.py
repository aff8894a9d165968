"""What is kept of candidates is read back as the same, or refused."""

import numpy as np
import pytest
from PIL import Image

from hf_augment.synthesis.candidates import Candidates
from hf_augment.synthesis.columns import encode
from hf_augment.synthesis.shards import ShardStore
from tests.toys import comparable, each_toy  # noqa: F401 - the fixture `toy`


@pytest.fixture
def kept(tmp_path):
    return Candidates(ShardStore(tmp_path, {"shard_size": 4}, "label", ("a", "b")), 7)


def test_candidates_of_these_slots_are_read_as_they_were_and_of_others_not(kept, toy):
    examples = [toy.example("x", label, np.random.default_rng(label)) for label in (0, 1)]
    assert kept.read(1, [0, 3]) is None
    kept.keep(1, [0, 3], examples)
    assert comparable(kept.read(1, [0, 3])) == comparable(examples)
    assert kept.read(1, [0, 2]) is kept.read(0, [0, 3]) is None
    assert not kept.done()
    kept.finish()
    assert kept.done()
    kept.drop()
    kept.drop()
    assert kept.read(1, [0, 3]) is None
    assert not kept.done()


def test_images_of_pillow_are_the_same_pixels(kept):
    examples = [{"image": Image.new("RGB", (3, 2), (number, 0, 9))} for number in range(2)]
    kept.keep(0, [0, 1], examples)
    found = kept.read(0, [0, 1])
    assert [one["image"].tobytes() for one in found] == [one["image"].tobytes() for one in examples]
    assert encode([one["image"] for one in found])[0].equals(encode([one["image"] for one in examples])[0])


@pytest.mark.parametrize(
    "values", [[1, 2.5], [(1, 2), (3, 4)], [np.arange(3), np.arange(3)]], ids=["mixed", "tuples", "one axis"]
)
def test_what_would_be_read_as_something_else_is_refused(values, kept):
    with pytest.raises(ValueError, match=r"The column 'x' holds .* which is read back from a file as"):
        kept.keep(0, [0, 1], [{"x": value} for value in values])
    assert kept.read(0, [0, 1]) is None


def test_text_that_cannot_be_written_is_made_again_and_a_damaged_file_refused(kept):
    kept.keep(0, [0], [{"text": "half of a pair: \ud83d"}])
    assert kept.read(0, [0]) is None
    kept.keep(0, [0], [{"text": "whole"}])
    (path,) = kept.folder.iterdir()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"attempt-0 is damaged: .* Delete"):
        kept.read(0, [0])
