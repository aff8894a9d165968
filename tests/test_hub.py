"""What is pushed, and what is not. The Hub is recorded, not reached."""

import json

import datasets
import pytest
from huggingface_hub import HfApi
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_augment import CausalLMGenerator, LabelPrompt, ShardStore
from hf_augment.hub import push_experiment
from hf_augment.synthesis import Shard
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toys import LABELS


@pytest.fixture
def pushed(monkeypatch):
    calls = []

    def record(what):
        return lambda self, repo_id, **kwargs: calls.append((what, repo_id))

    monkeypatch.setattr(PreTrainedModel, "push_to_hub", record("model"))
    monkeypatch.setattr(PreTrainedTokenizerBase, "push_to_hub", record("tokenizer"))
    monkeypatch.setattr(datasets.Dataset, "push_to_hub", record("dataset"))
    monkeypatch.setattr(CausalLMGenerator, "push_to_hub", record("generator"))
    monkeypatch.setattr(
        HfApi,
        "upload_file",
        lambda self, path_or_fileobj, path_in_repo, repo_id: calls.append((path_in_repo, repo_id)),
    )
    return calls


def test_only_named_things_are_pushed(tmp_path, pushed):
    tokenizer = tiny_tokenizer()
    for name, model in (("trained-0", tiny_classifier()), ("generator", tiny_causal_lm(tokenizer))):
        model.save_pretrained(tmp_path / f"split-0/{name}/model")
        tokenizer.save_pretrained(tmp_path / f"split-0/{name}/model")
    CausalLMGenerator(tiny_causal_lm(tokenizer), tokenizer, LABELS, LabelPrompt()).save_pretrained(
        tmp_path / "split-0/generator/model"
    )
    (tmp_path / ".env").write_text("HF_TOKEN=secret")
    store = ShardStore(tmp_path / "shards", {"shard_size": 4}, "label", LABELS)
    store.write(Shard(0, slots=[0], labels=[1], examples=[{"text": "fine"}], label_probabilities=[None]))
    push_experiment(tmp_path, "user/demo", {"trained": store})
    assert pushed == [
        ("model", "user/demo-trained"),
        ("tokenizer", "user/demo-trained"),
        ("README.md", "user/demo-trained"),
        ("report.png", "user/demo-trained"),
        ("results.json", "user/demo-trained"),
        ("dataset", "user/demo-trained-synthetic"),
        ("generator", "user/demo-generator"),
    ]
    assert "secret" not in json.dumps(pushed)
