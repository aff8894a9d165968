import pytest

from hf_augment import ShardStore
from hf_augment.study.nearest_texts import NearestTexts, memorization
from hf_augment.synthesis.shards import Shard


LABELLED = ["a dull plot and a dull cast", "a moving film", "I"]


def test_the_nearest_text_and_how_near_it_is():
    nearest = NearestTexts(LABELLED)
    found = nearest([{"text": "A moving FILM"}, {"text": "the cast was dull"}, {"text": "nothing in common"}])
    assert found[0] == ("a moving film", 1.0)
    assert found[1] == ("", 0.0)
    assert nearest([{"text": "a dull plot, a fine cast"}]) == [(LABELLED[0], 0.125)]
    assert found[2] == ("", 0.0)
    assert nearest([]) == []


def test_how_near_a_store_comes_beside_real_texts(tmp_path):
    store = ShardStore(tmp_path, {"label_names": ["neg", "pos"], "shard_size": 2}, "label", ["neg", "pos"])
    nearest = NearestTexts(LABELLED)
    assert memorization(nearest, store, ["x"]) == {}
    texts = ["a moving film", "quite another thing"]
    store.write(
        Shard(0, slots=[0, 1], labels=[1, 0], examples=[{"text": t} for t in texts], label_probabilities=[None] * 2)
    )
    found = memorization(nearest, store, ["nobody wrote this", "a dull plot, a fine cast"])
    assert found["examples"] == 2
    assert found["mean share repeated of a labelled text"] == 0.5
    assert found["largest share"] == 1.0
    assert found["share of copies (from 0.7)"] == 0.5
    assert found["the same for test texts"] == pytest.approx(0.125 / 2, abs=1e-3)
