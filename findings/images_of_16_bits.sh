#!/usr/bin/env bash
# Pillow 13.0.0 and NumPy 2.4.6, seen on 2026-11-28.
#
# Converting a 16-bit grey image to "L" or "RGB" clips its values at 255, it does not scale them: whatever is brighter than
# 1/257 of the range becomes white. A float image from 0 to 1 becomes black for the same reason. Nothing warns, so a
# pipeline that begins with `image.convert("RGB")` trains on white medical or depth images.
#
# Seen:
#   I;16 to L: [0, 128, 255, 256, 32768, 65535] -> [0, 128, 255, 255, 255, 255]
#   I;16 to RGB: [0, 128, 255, 256, 32768, 65535] -> [0, 128, 255, 255, 255, 255]
#   F to L: [0.0, 0.25, 0.5, 1.0] -> [0, 0, 0, 1]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import io

import numpy as np
from PIL import Image


def converted(values, dtype, mode):
    image = Image.fromarray(np.array([values], dtype))
    if dtype is np.uint16:  # as it comes from a file
        file = io.BytesIO()
        image.save(file, "png")
        image = Image.open(file)
    result = np.asarray(image.convert(mode)).reshape(len(values), -1)[:, 0].tolist()
    print(f"{image.mode} to {mode}: {values} -> {result}")
    return result


values = [0, 128, 255, 256, 32768, 65535]
for mode in ("L", "RGB"):
    assert converted(values, np.uint16, mode) == [0, 128, 255, 255, 255, 255]
assert converted([0.0, 0.25, 0.5, 1.0], np.float32, "L") == [0, 0, 0, 1]
PY
