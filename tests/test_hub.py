"""What is pushed, and what is not. The Hub is recorded, not reached."""

from pathlib import Path

import datasets
import numpy as np
import pytest
from huggingface_hub import HfApi, RepoUrl
from huggingface_hub.utils import filter_repo_objects
from transformers import ViTImageProcessor

from hf_augment import CausalLMGenerator, DCGANConfig, DCGANGenerator, LabelPrompt, ShardStore
from hf_augment import SmallResNetForImageClassification as SmallResNet
from hf_augment.hub import push_experiment
from hf_augment.synthesis import Shard
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toys import LABELS


@pytest.fixture
def pushed(monkeypatch):
    """Files by repository; a name without a user gets one, as on the Hub."""
    files = {}

    def create_repo(self, repo_id, private=None, exist_ok=False):
        assert exist_ok
        assert private is True
        name = repo_id if "/" in repo_id else f"me/{repo_id}"
        files.setdefault(name, [])
        return RepoUrl(f"https://huggingface.co/{name}")

    def upload_folder(self, repo_id, folder_path, allow_patterns):
        found = sorted(str(path.relative_to(folder_path)) for path in folder_path.rglob("*") if path.is_file())
        files[repo_id] += filter_repo_objects(found, allow_patterns=allow_patterns)

    def upload_file(self, path_or_fileobj, path_in_repo, repo_id):
        assert Path(path_or_fileobj).is_file()
        files[repo_id].append(path_in_repo)

    def push_dataset(self, repo_id, private=None, token=None):
        assert (private, token) == (True, None)
        files[repo_id] = self.column_names

    for name, played in (("create_repo", create_repo), ("upload_folder", upload_folder), ("upload_file", upload_file)):
        monkeypatch.setattr(HfApi, name, played)
    monkeypatch.setattr(datasets.Dataset, "push_to_hub", push_dataset)
    return files


def save_texts(classifier, generator):
    tokenizer = tiny_tokenizer()
    tiny_classifier().save_pretrained(classifier)
    tokenizer.save_pretrained(classifier)
    CausalLMGenerator(tiny_causal_lm(tokenizer), tokenizer, LABELS, LabelPrompt()).save_pretrained(generator)


def save_images(classifier, generator):
    SmallResNet.build(LABELS, width=2).save_pretrained(classifier)
    ViTImageProcessor(do_resize=False).save_pretrained(classifier)
    DCGANGenerator(DCGANConfig(width=2, id2label=dict(enumerate(LABELS)))).save_pretrained(generator)


TOKENIZER = ["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"]
KINDS = {
    "text": (
        save_texts,
        {"text": "fine"},
        ["config.json", "model.safetensors", *TOKENIZER],
        ["config.json", "generation_config.json", "generator_config.json", "model.safetensors", *TOKENIZER],
    ),
    # With the source that loads them where the package is not installed.
    "image": (
        save_images,
        {"image": np.zeros((8, 8, 3), np.uint8)},
        ["config.json", "model.safetensors", "preprocessor_config.json", "small_resnet.py"],
        ["config.json", "dcgan.py", "model.safetensors"],
    ),
}
REPORT = ["README.md", "report.png", "results.json", "samples.png"]


@pytest.fixture(params=KINDS, name="kind")
def kind_of_data(request, tmp_path):
    """An experiment's folder, in which there is more than may be seen."""
    save, example, *files = KINDS[request.param]
    root = tmp_path / "experiment"
    folders = [root / f"split-0/{name}/model" for name in ("trained-0", "generator")]
    save(*folders)
    (root / "report").mkdir()
    for name in ("report.md", "report.png", "results.json", "samples.png", "notes.txt"):
        (root / "report" / name).write_text("x")
    for folder in (root, root / "report", *folders):
        for name in (".env", "optimizer.pt", "training_args.bin", "log.csv"):
            (folder / name).write_text("secret")
    store = ShardStore(tmp_path / "shards", {"shard_size": 4}, "label", LABELS)
    store.write(Shard(0, slots=[0], labels=[1], examples=[example], label_probabilities=[None]))
    columns = [*example, "label", "slot", "label_probabilities"]
    return root, {"trained": store}, columns, *files


@pytest.mark.parametrize(("name", "user"), [("user/demo", "user"), ("demo", "me")])
def test_only_named_files_are_pushed(kind, pushed, name, user):
    root, stores, columns, classifier, generator = kind
    push_experiment(root, name, stores, private=True)
    synthetic = f"{name}-trained-synthetic"
    assert set(pushed) == {f"{user}/demo-trained", synthetic, f"{user}/demo-generator"}
    assert sorted(pushed[f"{user}/demo-trained"]) == sorted([*classifier, *REPORT])
    assert sorted(pushed[f"{user}/demo-generator"]) == sorted(generator)
    assert pushed[synthetic] == columns


def test_without_a_trained_generator_none_is_pushed(kind, pushed):
    root, stores, *_ = kind
    (root / "split-0/generator").rename(root / "split-1")
    push_experiment(root, "user/demo", stores, private=True)
    assert set(pushed) == {"user/demo-trained", "user/demo-trained-synthetic"}
