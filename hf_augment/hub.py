"""Push what an experiment left on disk: classifiers, generators, synthetic datasets, report."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.synthesis import ShardStore


def push_experiment(root: Path, repo_id: str, stores: dict[str, ShardStore], private: bool | None = None) -> None:
    """
    Pushes the first split's augmented classifiers to `{repo_id}-{arm}` with the report, their synthetic examples to
    the dataset repository `{repo_id}-{arm}-synthetic`, and the trained generator to `{repo_id}-generator`.

    Only named files are uploaded, never a whole folder. The token is the environment's. Everything is on disk before,
    so a push that fails can be repeated by running the recipe again.

    Args:
        root (`Path`):
            The experiment's folder.
        repo_id (`str`):
            Such as `"user/name"`.
        stores (`dict[str, ShardStore]`):
            The synthetic examples by arm.
        private (`bool`, *optional*):
            Whether new repositories are private. Defaults to the account's setting.
    """
    api = HfApi()
    for arm, store in stores.items():
        folder = root / f"split-0/{arm}-0/model"
        model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False)
        model.push_to_hub(f"{repo_id}-{arm}", private=private)
        AutoTokenizer.from_pretrained(folder, trust_remote_code=False).push_to_hub(f"{repo_id}-{arm}")
        files = {"README.md": "report.md", "report.png": "report.png", "results.json": "results.json"}
        for target, name in files.items():
            api.upload_file(path_or_fileobj=root / "report" / name, path_in_repo=target, repo_id=f"{repo_id}-{arm}")
        store.dataset().push_to_hub(f"{repo_id}-{arm}-synthetic", private=private)
    generator = root / "split-0/generator/model"
    if generator.is_dir():
        CausalLMGenerator.from_pretrained(generator).push_to_hub(f"{repo_id}-generator", private=private)
