#!/usr/bin/env bash
# datasets 5.2.0, seen on 2026-11-29.
#
# `load_dataset` of a folder prepares its files once and reads them anew when they change. Of a folder whose README.md names
# the files in its metadata, as that of every dataset saved from the Hub with configurations does, it goes on returning
# what was there the first time, whatever is written into the files, without a word. Only another name of a file, or
# download_mode="force_redownload", shows the new rows.
#
# Seen (rows in the file, rows read, twice):
#   without README.md: [(5, 5), (40, 40)]
#   with README.md: [(5, 5), (40, 5)]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check datasets==5.2.0
cd "$folder"
export HF_HOME="$folder/home" HF_HUB_OFFLINE=1
"$folder/venv/bin/python" -I - <<'PY' 2>/dev/null || { echo "What is said above has changed." >&2; exit 1; }
import time
from pathlib import Path

import datasets

CARD = "---\nconfigs:\n- config_name: default\n  data_files: data/train.parquet\n---\n"
for name, card, read in (("without README.md", None, 40), ("with README.md", CARD, 5)):
    folder = Path(name.split()[0])
    (folder / "data").mkdir(parents=True)
    if card:
        (folder / "README.md").write_text(card)
    seen = []
    for rows in (5, 40):
        datasets.Dataset.from_dict({"number": list(range(rows))}).to_parquet(folder / "data/train.parquet")
        seen.append((rows, len(datasets.load_dataset(str(folder), split="train"))))
        time.sleep(2)
    print(f"{name}: {seen}")
    assert seen == [(5, 5), (40, read)], seen
PY
