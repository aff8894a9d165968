#!/usr/bin/env bash
# openvino 2026.4.1 with openvino-telemetry 2025.2.0, seen on 2026-11-29.
#
# `import openvino` reports the import to its makers, from a process of `multiprocessing`; it is on unless it was switched
# off, and writes a number for the user into ~/intel. Where processes are spawned (macOS, Windows, and Linux for all who
# chose so, as one does with CUDA), a new process runs the main module once more: the top of a script runs twice, and
# what it begins is begun twice, by no more than the import. Variables such as CI switch it off, and so does
# `opt_in_out --opt_out`. Here an unreachable proxy keeps everything on this machine.
#
# Seen (what a script prints that waits a little at its end, and whether there is an ~/intel):
#   as it comes: ['top', 'top', 'end'] True
#   with CI=true: ['top', 'end'] False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openvino==2026.4.1 openvino-telemetry==2025.2.0
cat > "$folder/script.py" <<'PY'
import multiprocessing
import time

print("top", flush=True)
multiprocessing.set_start_method("spawn", force=True)
if __name__ == "__main__":
    import openvino

    time.sleep(5)
    print("end", flush=True)
PY
cd "$folder"
"$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import os
import subprocess
import sys
from pathlib import Path

unreachable = "http://127.0.0.1:9"
for name, further, lines, writes in (
    ("as it comes", {}, ["top", "top", "end"], True),
    ("with CI=true", {"CI": "true"}, ["top", "end"], False),
):
    home = Path(name.replace(" ", "_")).absolute()
    home.mkdir()
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]} | further
    environment |= {variable: unreachable for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    done = subprocess.run([sys.executable, "script.py"], env=environment, capture_output=True, text=True, check=True)
    found, written = done.stdout.split(), (home / "intel").exists()
    print(f"{name}: {found} {written}")
    assert (found, written) == (lines, writes), done.stderr
PY
