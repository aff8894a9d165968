"""A script that uses `Trainer` changes by five lines."""

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hf_augment import CausalLMGenerator, LabelPrompt, SamplingConfig
from tests.test_extras import OPTIONAL
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toys import LABELS, TEXT


SCRIPTS = Path(__file__).parent / "scripts"
BEFORE, AFTER = SCRIPTS / "text_classification.py", SCRIPTS / "text_classification_augmented.py"


#: Runs a script as if no extra was installed.
WITHOUT_EXTRAS = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({sorted(OPTIONAL)}))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def changes():
    """Of the lines that are not empty: what goes, and what comes in its place."""
    before, after = ([line for line in path.read_text().splitlines() if line] for path in (BEFORE, AFTER))
    codes = difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes()
    return [(before[i:j], after[k:m]) for tag, i, j, k, m in codes if tag != "equal"]


def test_the_change_is_five_lines():
    assert sum(max(len(gone), len(come)) for gone, come in changes()) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("script", [BEFORE, AFTER], ids=["before", "after"])
def test_both_scripts_run_without_any_extra(tmp_path, script):
    tokenizer = tiny_tokenizer()
    tiny_classifier().save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    TEXT.rows(20).to_parquet(tmp_path / "train.parquet")
    generator = CausalLMGenerator(
        tiny_causal_lm(tokenizer), tokenizer, LABELS, LabelPrompt(), sampling=SamplingConfig(max_new_tokens=8)
    )
    generator.save_pretrained(tmp_path / "my-generator")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, str(script), "model", "train.parquet", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent), "HF_HOME": str(tmp_path / "home")},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/model.safetensors").is_file()
    assert bool(list((tmp_path / "out").rglob("shard-*.arrow"))) == (script == AFTER)
