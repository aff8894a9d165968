#!/usr/bin/env bash
# evaluate 0.4.6 with datasets 5.2.0, seen on 2026-11-28.
#
# Before evaluate loads a metric it reads the imports of the script, one line at a time, and takes the first word after
# `import` for a package. `import os, sys`, which is valid Python, is read as a package named `os,`: a metric that needs
# nothing but the standard library is refused, with the advice to install `os,`. With one import on each line it loads.
#
# Seen:
#   import os, sys: ImportError: To be able to use together, you need to install the following dependencies['os,'] ...
#   one a line: {'rows': 1}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check evaluate==0.4.6 datasets==5.2.0
cd "$folder"
HF_HOME="$folder/home" HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
from pathlib import Path

import evaluate


REST = """
import datasets
import evaluate


class Metric(evaluate.Metric):
    def _info(self):
        features = datasets.Features({name: datasets.Value("int32") for name in ("predictions", "references")})
        return evaluate.MetricInfo(description="", citation="", features=features)

    def _compute(self, predictions, references):
        return {"rows": len(predictions)}
"""


def load(name, imports):
    Path(name).mkdir()
    Path(name, f"{name}.py").write_text(imports + REST)
    return evaluate.load(name).compute(predictions=[1], references=[1])


try:
    load("together", "import os, sys")
except ImportError as error:
    print(f"import os, sys: ImportError: {error}")
    assert "['os,']" in str(error)
else:
    raise AssertionError("`import os, sys` was read as two packages")
apart = load("apart", "import os\nimport sys")
print(f"one a line: {apart}")
assert apart == {"rows": 1}
PY
