"""Stage a run: everything that will be published is on disk first, exactly as it will be uploaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import datasets
import yaml
from huggingface_hub import DatasetCard, ModelCard
from huggingface_hub.utils import filter_repo_objects, validate_repo_id
from jinja2 import TemplateError
from transformers.utils import logging

from hf_augment.files import read_json, write_atomically, write_json
from hf_augment.images.arrays import MODES, image_arrays
from hf_augment.locks import locked
from hf_augment.synthesis.shards import ShardStore


logger = logging.get_logger(__name__)

FORMAT_VERSION = 1
#: The lock of what is to be published, in the folder of a run.
HUB_LOCK = "locks/hub.lock"

#: What a saved model consists of, with the source of one that transformers does not know.
MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt", "*.py")
#: What of a report shows no labelled row, and so may be read by more people than these: neither its pages nor pictures
#: of examples.
REPORT_FILES = (
    *("results.json", "report.png", "curves.png", "rounds.png", "class_shares.png"),
    *("robustness.png", "generalization.png"),
)
#: What may go wrong with a card: its template, its metadata, and figures of another shape than it expects, in a
#: results.json that was edited or comes from elsewhere.
CARD_ERRORS = (TemplateError, LookupError, AttributeError, TypeError, ValueError, ArithmeticError, yaml.YAMLError)
#: Where the rows of a synthetic dataset lie in its repository. One file: a later, shorter push leaves no rows behind.
ROWS = "data/train.parquet"


@dataclass(frozen=True)
class Repository:
    """
    One repository of a run.

    Args:
        suffix (`str`): Addition to the name of the run, after a hyphen; also the name of its staged folder.
        repo_type (`str`): `"model"` or `"dataset"`.
        source (`Path` or [`ShardStore`]): A folder of files, or the synthetic examples that become one parquet file.
        card (`Callable[[], str]`): Makes the README with its metadata block.
        patterns (`Sequence[str]`, *optional*, defaults to `MODEL_FILES`):
            The files of a folder that are published; nothing else is, and nothing hidden.
        private (`Callable[[datasets.Dataset], Sequence[int]]`, *optional*):
            Returns the numbers of synthetic examples that are not published, with a warning. Defaults to none.
    """

    suffix: str
    repo_type: Literal["model", "dataset"]
    source: Path | ShardStore
    card: Callable[[], str]
    patterns: Sequence[str] = MODEL_FILES
    private: Callable[[datasets.Dataset], Sequence[int]] = lambda rows: ()

    def __post_init__(self) -> None:
        validate_repo_id(self.suffix)
        if "/" in self.suffix:
            raise ValueError(f"suffix={self.suffix!r} must be one part of a name, without a slash.")
        if self.repo_type not in ("model", "dataset"):
            raise ValueError(f"repo_type={self.repo_type!r} must be 'model' or 'dataset'.")
        if not callable(self.card):
            raise ValueError(f"card={self.card!r} must be a function that makes the README.")


def stage(run_dir: str | Path, repositories: Sequence[Repository]) -> Path:
    """
    Writes every repository into its folder in `RUN_DIR/hub`, as it will be uploaded, and the list of them into
    `RUN_DIR/hub/push.json`; returns that folder. What was staged before is replaced. The network is not used.

    A card that cannot be rendered is replaced by a minimal one, with a warning; an arm without an accepted synthetic
    example has no dataset, with a warning.

    Raises:
        `FileNotFoundError`: If a folder has none of its files.
        `ValueError`: If a file to publish is a link out of its folder.
    """
    with locked(Path(run_dir) / HUB_LOCK, "the publishing of this folder"):
        return _stage(Path(run_dir) / "hub", repositories)


def _remove(hub: Path, suffixes: set[str]) -> None:
    """Removes what was staged before, and nothing else. Without a list of it, it was interrupted."""
    staged = hub / "push.json"
    listed = read_json(staged, "Delete it")["repositories"] if staged.exists() else []
    others = {path.name for path in hub.iterdir()} - suffixes - {staged.name, *(entry["folder"] for entry in listed)}
    if others:
        raise ValueError(f"{hub} holds {', '.join(sorted(others))}, which is not of this comparison: move it away.")
    shutil.rmtree(hub)


def _stage(hub: Path, repositories: Sequence[Repository]) -> Path:
    staged = []
    if hub.exists():
        _remove(hub, {repository.suffix for repository in repositories})
    hub.mkdir()
    for repository in repositories:
        folder = hub / repository.suffix
        if isinstance(repository.source, ShardStore):
            if not _write_rows(repository.source, folder, repository.private):
                continue
        else:
            link_files(repository.source, repository.patterns, folder)
        # Replaces what may be a link to the source's own.
        write_atomically(folder / "README.md", _render(repository).encode())
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        entry = {"folder": folder.name, "suffix": repository.suffix, "repo_type": repository.repo_type}
        staged.append(entry | {"files": files})
    manifest = {"format_version": FORMAT_VERSION, "repositories": staged}
    # Last, because it says that the rest is whole.
    write_json(hub / "push.json", manifest)
    return hub


def staged_repositories(root: Path) -> list[dict[str, Any]]:
    """
    Reads what [`stage`] has written: for each repository `folder` (in `RUN_DIR/hub`), `suffix`, `repo_type` and
    `files`, paths in the folder. Raises a `ValueError` if nothing is staged, or not all of it is there any more.
    """
    again = "run the recipe again with this output_dir, which stages without training again"
    if not root.is_dir():
        raise ValueError(f"run_dir={str(root)!r} is no folder: pass the output_dir of a run.")
    path = root / "hub/push.json"
    if not path.is_file():
        raise ValueError(f"run_dir={str(root)!r} has nothing staged in hub/push.json: {again}.")
    manifest = read_json(path, again.capitalize())
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"{path} is of format {manifest.get('format_version')}, not {FORMAT_VERSION}: {again}.")
    for entry in manifest["repositories"]:
        for name in entry["files"]:
            if not _inside(root / "hub", f"{entry['folder']}/{name}").is_file():
                raise ValueError(f"{path} names {entry['folder']}/{name}, which is missing: {again}.")
    return manifest["repositories"]


def synthetic_dataset(store: ShardStore) -> datasets.Dataset:
    """
    The accepted examples of a store, of which it has one or more, as they are published: images as `datasets.Image`
    (PNG, without loss), which the Hub shows and `load_dataset` decodes.
    """
    dataset = store.dataset()
    images = [name for name, feature in dataset.features.items() if _holds_images(feature)]
    if not images:
        return dataset
    columns, features = {}, dataset.features.copy()
    for name in dataset.column_names:
        if name not in images:
            columns[name] = dataset[name][:]
            continue
        features[name] = datasets.Image()
        # Pillow knows grey images without the axis of channels alone.
        columns[name] = [array[:, :, 0] if array.shape[2] == 1 else array for array in image_arrays(dataset, name)]
    return datasets.Dataset.from_dict(columns, features=features)


def _holds_images(feature: Any) -> bool:
    return isinstance(feature, datasets.Array3D) and feature.dtype == "uint8" and feature.shape[2] in MODES


def _write_rows(store: ShardStore, folder: Path, private: Callable[[datasets.Dataset], Sequence[int]]) -> bool:
    try:
        dataset = synthetic_dataset(store)
    except ValueError as error:
        logger.warning(f"There is no dataset {folder.name}: {error}")
        return False
    if hidden := set(private(dataset)):
        logger.warning(f"{folder.name} leaves out {len(hidden)} of {len(dataset)} examples, which repeat real rows.")
        dataset = dataset.select([i for i in range(len(dataset)) if i not in hidden])
    if not len(dataset):
        return False
    (folder / ROWS).parent.mkdir(parents=True)
    dataset.to_parquet(folder / ROWS)
    return True


def link_files(source: Path, patterns: Sequence[str], folder: Path) -> None:
    """Puts the files of a folder that match a pattern into another, in the place of what is there."""
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    names = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    names = list(filter_repo_objects(names, allow_patterns=list(patterns)))
    if not names:
        raise FileNotFoundError(f"{source} has none of the files to publish ({', '.join(patterns)}).")
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path = _inside(source, name)
        target.unlink(missing_ok=True)
        try:
            os.link(path, target)
        except OSError:  # Another file system, or one without links.
            shutil.copyfile(path, target)


def _inside(folder: Path, name: str) -> Path:
    """The real path of a file, which must lie in the folder: neither a link nor dots lead out of it."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{folder / name} leads out of its folder: put the file itself there, or take it away.")
    return path


def _render(repository: Repository) -> str:
    kind = DatasetCard if repository.repo_type == "dataset" else ModelCard
    try:
        text = repository.card()
        # Parsed here, because the Hub refuses a commit with bad metadata.
        card = kind(text)
    except CARD_ERRORS as error:
        why = f"{type(error).__name__}: {error}"
        logger.warning(
            f"The card of {repository.suffix} could not be rendered ({why}); a minimal one takes its place."
        )
        text = f"---\ntags:\n- hf_augment\n---\n\n# {repository.suffix}\n\nMade by hf_augment.\n"
        card = kind(text)
    if not isinstance(repository.source, ShardStore):
        return text
    card.data["configs"] = [{"config_name": "default", "data_files": [{"split": "train", "path": ROWS}]}]
    return str(card)
