#!/usr/bin/env bash
# datasets 5.2.0, torch 2.14.1 and torchvision 0.29.1, seen on 2026-12-01.
#
# A column of the type Array3D(dtype="uint8") is read as int64 in the formats "torch" and "numpy"; the same picture in an
# Image column is read as uint8. torchvision scales integers by the largest number of their type, so that
# `v2.ToDtype(torch.float32, scale=True)` makes every such picture black, whatever is in it, and nothing warns.
# `with_format("torch", dtype=torch.uint8)` keeps the type.
#
# Seen (type as read, brightest pixel of a white picture after scaling):
#   Array3D: torch.int64 2.8e-17
#   Image: torch.uint8 1.0
#   Array3D with dtype=torch.uint8: torch.uint8 1.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check datasets==5.2.0 torch==2.14.1 torchvision==0.29.1 pillow==13.0.0
export HF_HOME="$folder/home" HF_HUB_OFFLINE=1
"$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import datasets
import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

white = np.full((3, 8, 8), 255, dtype=np.uint8)
kind = datasets.Features({"image": datasets.Array3D((3, 8, 8), "uint8")})
arrays = datasets.Dataset.from_dict({"image": [white]}, features=kind)
images = datasets.Dataset.from_dict({"image": [Image.fromarray(white.transpose(1, 2, 0))]})
images = images.cast_column("image", datasets.Image())
scale = v2.ToDtype(torch.float32, scale=True)
for name, rows, dtype, brightest in (
    ("Array3D", arrays.with_format("torch"), torch.int64, 2.8e-17),
    ("Image", images.with_format("torch"), torch.uint8, 1.0),
    ("Array3D with dtype=torch.uint8", arrays.with_format("torch", dtype=torch.uint8), torch.uint8, 1.0),
):
    read = rows[0]["image"]
    seen = float(scale(read).max())
    print(f"{name}: {read.dtype} {seen:.2g}" if seen < 1 else f"{name}: {read.dtype} {seen}")
    assert read.dtype == dtype, read.dtype
    assert np.isclose(seen, brightest, rtol=0.02), seen
assert arrays.with_format("numpy")[0]["image"].dtype == np.int64
PY
