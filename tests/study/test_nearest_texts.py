import pytest

from hf_augment import ShardStore
from hf_augment.study.nearest_texts import NearestTexts, memorization
from hf_augment.synthesis.shards import Shard


LABELLED = ["a dull plot and a dull cast", "a moving film", "I"]


def test_the_nearest_text_and_how_near_it_is():
    nearest = NearestTexts(LABELLED)
    found = nearest([{"text": "A moving FILM"}, {"text": "the cast was dull"}, {"text": "nothing in common"}])
    assert found[0] == ("a moving film", 1.0)
    assert found[1][0] == LABELLED[0]
    assert 0 < found[1][1] < 1
    assert found[2][1] == 0
    assert nearest([]) == []


def test_how_near_a_store_comes_beside_real_texts(tmp_path):
    store = ShardStore(tmp_path, {"label_names": ["neg", "pos"], "shard_size": 2}, "label", ["neg", "pos"])
    nearest = NearestTexts(LABELLED)
    assert memorization(nearest, store, ["x"]) == {}
    texts = ["a moving film", "quite another thing"]
    store.write(
        Shard(0, slots=[0, 1], labels=[1, 0], examples=[{"text": t} for t in texts], label_probabilities=[None] * 2)
    )
    found = memorization(nearest, store, ["nobody wrote this", "dull"])
    assert found["examples"] == 2
    assert found["mean similarity to the nearest labelled text"] == 0.5
    assert found["highest similarity"] == 1.0
    assert found["share of copies (similarity from 0.8)"] == 0.5
    real = nearest([{"text": "dull"}])[0][1]
    assert found["the same for test texts"] == pytest.approx(real / 2, abs=1e-3)
