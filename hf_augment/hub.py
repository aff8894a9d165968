"""Push what an experiment left on disk: classifiers, generators, synthetic datasets, report."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi

from hf_augment.synthesis import ShardStore


#: What a saved model consists of, with the source of one that transformers does not know.
MODEL_FILES = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.py"]


def push_experiment(
    root: Path, repo_id: str, stores: dict[str, ShardStore], private: bool | None = None, token: str | None = None
) -> None:
    """
    Pushes the first split's augmented classifiers to `{repo_id}-{arm}` with the report, their synthetic examples to
    the dataset repository `{repo_id}-{arm}-synthetic`, and the trained generator to `{repo_id}-generator`.

    Only named files are uploaded, never a whole folder. Everything is on disk before,
    so a push that fails can be repeated by running the recipe again.

    Args:
        root (`Path`):
            The experiment's folder.
        repo_id (`str`):
            Such as `"user/name"`; without a user it is the token's.
        stores (`dict[str, ShardStore]`):
            The synthetic examples by arm.
        private (`bool`, *optional*):
            Whether new repositories are private. Defaults to the account's setting.
        token (`str`, *optional*):
            Defaults to the environment's.
    """
    api = HfApi(token=token)
    for arm, store in stores.items():
        target = _push_model(api, root / f"split-0/{arm}-0/model", f"{repo_id}-{arm}", private)
        for path in sorted((root / "report").iterdir()):
            if path.name in ("report.md", "results.json") or path.suffix == ".png":
                name = "README.md" if path.name == "report.md" else path.name
                api.upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=target)
        store.dataset().push_to_hub(f"{repo_id}-{arm}-synthetic", private=private, token=token)
    generator = root / "split-0/generator/model"
    if generator.is_dir():
        _push_model(api, generator, f"{repo_id}-generator", private)


def _push_model(api: HfApi, folder: Path, repo_id: str, private: bool | None) -> str:
    """Returns the repository's whole name, which uploads need and only the Hub knows."""
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=MODEL_FILES)
    return repo_id
