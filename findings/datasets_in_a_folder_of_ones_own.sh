#!/usr/bin/env bash
# datasets 5.2.0 with dill 0.4.1 and pyarrow 26.0.1, seen on 2026-11-28.
#
# `pip install --target FOLDER`, with FOLDER on the path, is how packages are carried to a machine without an index, and
# into zipped applications. datasets installed so makes a dataset of two numbers only if the folder's name is
# `site-packages`. datasets takes the fingerprint of what it makes with dill, which writes modules by name where it takes
# them for installed, and otherwise by value, with all that they hold: a type of pyarrow among it that no module holds
# under its name. dill tells the one from the other by the folder's name.
#
# Seen:
#   packages: PicklingError: Can't pickle <class 'MonthDayNano'>: it's not found as builtins.MonthDayNano
#   site-packages: [1, 2]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
export PIP_TARGET="$folder/packages"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check datasets==5.2.0 dill==0.4.1 pyarrow==26.0.1
cp -r "$folder/packages" "$folder/site-packages"
cat > "$folder/make.py" <<'PY'
import datasets


print(datasets.Dataset.from_dict({"number": [1, 2]})["number"][:])
PY
export HF_HOME="$folder/home" HF_HUB_OFFLINE=1
seen() { PYTHONPATH="$folder/$1" "$folder/venv/bin/python" "$folder/make.py" 2>&1 | tail -1; }
one=$(seen packages || true)
other=$(seen site-packages)
echo "packages: ${one#_pickle.}"
echo "site-packages: $other"
"$folder/venv/bin/python" -I - "$one" "$other" <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import sys


one, other = sys.argv[1:]
assert "PicklingError: Can't pickle <class 'MonthDayNano'>" in one, one
assert other == "[1, 2]", other
PY
