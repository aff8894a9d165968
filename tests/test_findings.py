"""A finding is a script about other people's packages that anyone can run."""

import os
import re
from pathlib import Path

import pytest


SCRIPTS = sorted((Path(__file__).parent.parent / "findings").glob("*.sh"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_finding_pins_what_it_installs_and_stands_alone(path):
    text = path.read_text()
    assert os.access(path, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    installed = re.search(r"pip install --quiet --disable-pip-version-check (.+)", text)[1].split()
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", requirement) for requirement in installed)
    assert re.search(r"^#.*seen on \d{4}-\d\d-\d\d\.$", text, re.MULTILINE)
    assert "mktemp -d" in text
    assert "assert " in text
    assert "hf_augment" not in text
