"""Folders of images by class, with or without a folder for each split."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import datasets

from hf_augment.sentences import counted


#: Names of splits, as folders and files have them, by what they are to `datasets`.
SPLITS = (
    dict.fromkeys(("train", "training"), "train")
    | dict.fromkeys(("test", "testing", "eval", "evaluation"), "test")
    | dict.fromkeys(("validation", "valid", "val", "dev"), "validation")
)
#: Folders of images to learn from without labels.
_UNLABELLED = re.compile(r"un-?_?label|unsup|unannotated|extra", re.IGNORECASE)
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".ico", ".psd", ".tga", ".dds"),
)
#: Of images, too, that Pillow cannot read by itself.
UNREADABLE = (
    *(".heic", ".heif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".svg"),
    *(".exr", ".hdr", ".dcm", ".nii"),
)


def image_folder(path: Path) -> dict[str, datasets.Dataset] | None:
    """
    Reads a folder of images whose classes are its folders, or the folders in `train`, `test` and the like. What lies
    deeper belongs to the same class; hidden files and those that are no images by their name are left out.

    Returns:
        `dict[str, datasets.Dataset]`: By split: `image`, and `label` as a `ClassLabel`, without which a split is that
        has no folders of classes, such as images to be predicted; `None` if no two folders hold images.

    Raises:
        ValueError: If an image lies in no folder of a class, folders of splits lie beside others, or images are of a
            kind that cannot be read.
    """
    root, files = path, _files(path)
    # An archive's own folder around all.
    while len({file.parts[0] for file in files}) == 1 and any(len(file.parts) > 2 for file in files):
        path, files = path / files[0].parts[0], [Path(*file.parts[1:]) for file in files]
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    splits = splits_of(tops)
    if "train" not in splits.values() or set(splits) != tops:
        _check_splits(root, splits, tops, files)
        splits = {}
    stray: dict[str, list[Path]] = defaultdict(list)
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for file in files:
        split, inside = (
            (splits[file.parts[0]], file.parts[1:]) if splits and len(file.parts) > 1 else ("train", file.parts)
        )
        if len(inside) > 1:
            found[split].append((str(path / file), inside[0]))
        else:
            stray[split].append(path / file)
    names = sorted({name for rows in found.values() for _, name in rows})
    if len(names) < 2:
        return None
    for loose in (files for split, files in stray.items() if split in found):
        raise ValueError(
            f"{str(root)!r} has {counted(len(loose), 'image')} in no folder of a class, such as "
            f"{str(loose[0].relative_to(root))!r}: put each into one, or away."
        )
    check_readable(root, top=False)
    unlabelled = {split: _images(files) for split, files in stray.items()}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    return unlabelled | {
        split: datasets.Dataset.from_dict(
            {"image": [file for file, _ in rows], "label": [names.index(name) for _, name in rows]}, features=features
        )
        for split, rows in found.items()
    }


def splits_of(names: Iterable[str]) -> dict[str, str]:
    """
    The split of each name that is one of a split. Where two are of one, such as test and eval, the plainer has it, and
    the other is a split of its own.
    """
    order, found = list(SPLITS), dict[str, str]()
    for name in sorted((name for name in names if name.lower() in SPLITS), key=lambda name: order.index(name.lower())):
        split = SPLITS[name.lower()]
        found[name] = name.lower() if split in found.values() else split
    return found


def _check_splits(root: Path, splits: dict[str, str], tops: set[str], files: list[Path]) -> None:
    """Refuses folders of classes in `train`, `test` and the like that have folders of something else beside them."""
    inside = {top: [file for file in files if file.parts[0] == top] for top in splits}
    deep = [top for top, found in inside.items() if all(len(file.parts) > 2 for file in found)]
    several = any(len({file.parts[1] for file in inside[top]}) > 1 for top in deep)
    # Each may have one class of its own.
    all_deep = "train" in splits.values() and 1 < len(splits) == len(deep)
    if not (several or all_deep):
        return
    has = f"{str(root)!r} has {', '.join(sorted(splits))}, with folders of classes, and"
    if not (others := sorted(tops - set(splits))):
        raise ValueError(f"{has} none named train: name that of the labelled images so.")
    free = [name for name in others if _UNLABELLED.match(name)]
    pass_it = f", and pass images without labels as unlabelled (--unlabelled), such as {free[0]}" if free else ""
    raise ValueError(f"{has} {', '.join(others[:5])} beside them: move what is no split away{pass_it}.")


def check_readable(path: Path, top: bool = True) -> None:
    """
    Raises a `ValueError` if a folder has images of a kind that cannot be read, and none of the same name that can:
    they would be missing. What lies at its `top` may be no data.
    """
    read = {file.with_suffix("") for file in _files(path)}
    unread = _visible(path, (file for file in path.rglob("*") if file.name.lower().endswith(UNREADABLE)))
    found = [file for file in unread if file.with_suffix("") not in read and (top or len(file.parts) > 1)]
    if found:
        raise ValueError(
            f"{str(path)!r} has {counted(len(found), 'image')} of a kind that cannot be read, such as "
            f"{str(found[0])!r}: save them as PNG or JPEG, or move them away."
        )


def images_in(path: Path) -> datasets.Dataset:
    """All images of a folder, wherever they lie in it, as the column `image`; see [`check_readable`]."""
    check_readable(path)
    return _images([path / file for file in _files(path)])


def _images(files: list[Path]) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image()})
    return datasets.Dataset.from_dict({"image": list(map(str, files))}, features=features)


def _files(path: Path) -> list[Path]:
    """The images in a folder, by their paths from there, without hidden ones."""
    return _visible(path, (file for file in path.rglob("*") if is_image(file.name)))


def _visible(path: Path, files: Iterable[Path]) -> list[Path]:
    found = [file.relative_to(path) for file in sorted(files) if file.is_file()]
    return [file for file in found if not any(part.startswith((".", "__MACOSX")) for part in file.parts)]


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name.lower().endswith(SUFFIXES)
