"""Folders of images by class, with or without a folder for each split."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import datasets


#: Names of splits, as folders have them.
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("val", "valid", "validation", "dev"), "validation"
)
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".ico"),
)


def image_folder(path: Path) -> dict[str, datasets.Dataset] | None:
    """
    Reads a folder of images whose classes are its folders, or the folders in `train`, `test` and the like. What lies
    deeper belongs to the same class; hidden files and those that are no images by their name are left out.

    Returns:
        `dict[str, datasets.Dataset]`: By split: `image`, and `label` as a `ClassLabel`; `None` if no two folders hold
        images.
    """
    files = _files(path)
    # An archive's own folder around all.
    while files and len({file.parts[0] for file in files}) == 1 and len(files[0].parts) > 2:
        path, files = path / files[0].parts[0], [Path(*file.parts[1:]) for file in files]
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    splits = {top: SPLITS[top.lower()] for top in tops if top.lower() in SPLITS}
    if "train" not in splits.values() or set(splits) != tops:
        splits = {}
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for file in files:
        split, inside = (
            (splits[file.parts[0]], file.parts[1:]) if splits and len(file.parts) > 1 else ("train", file.parts)
        )
        if len(inside) > 1:
            found[split].append((str(path / file), inside[0]))
    names = sorted({name for rows in found.values() for _, name in rows})
    if len(names) < 2:
        return None
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    return {
        split: datasets.Dataset.from_dict(
            {"image": [file for file, _ in rows], "label": [names.index(name) for _, name in rows]}, features=features
        )
        for split, rows in found.items()
    }


def images_in(path: Path) -> datasets.Dataset:
    """All images of a folder, wherever they lie in it, as the column `image`."""
    features = datasets.Features({"image": datasets.Image()})
    return datasets.Dataset.from_dict({"image": [str(path / file) for file in _files(path)]}, features=features)


def _files(path: Path) -> list[Path]:
    """The images in a folder, by their paths from there, without hidden ones."""
    files = [file.relative_to(path) for file in sorted(path.rglob("*")) if is_image(file.name) and file.is_file()]
    return [file for file in files if not any(part.startswith((".", "__MACOSX")) for part in file.parts)]


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name.lower().endswith(SUFFIXES)
