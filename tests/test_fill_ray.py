"""Tasks on a local Ray, one of which is killed while it makes a shard, make what one process makes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.study.test_filling import SHARDS
from tests.study.test_own_arm import EASY, MODELS
from tests.study.test_own_data import tiny  # noqa: F401 - a fixture
from tests.toys import TEXT, ToyGenerator
from tests.training.test_filling import LAPSE, check_filled, trainer
from tests.training.test_ranks import environment


FILTERS = "every third"


class Mortal(ToyGenerator):
    """Ends its process in the second shard, if it is the first to come so far."""

    def __init__(self, folder):
        super().__init__(TEXT)
        self.folder = folder

    def generate(self, labels, seed):
        made = super().generate(labels, seed)
        if len(self.calls) == 2:
            try:
                (self.folder / "died").touch(exist_ok=False)
            except FileExistsError:
                return made
            os.kill(os.getpid(), signal.SIGKILL)
        return made


def work(folder):
    return trainer(Path(folder) / "run", Mortal(Path(folder)), FILTERS).fill_shards(lapse=LAPSE).made


SCRIPT = """
    import json, sys
    import ray
    from recipes.fill_ray import fill
    from tests.test_fill_ray import work

    ray.init(num_cpus=4, include_dashboard=False)
    print("made", json.dumps(fill(work, [sys.argv[1]], tasks=4)))
"""


def run(*command):
    done = subprocess.run(
        [sys.executable, *command],
        env=environment() | {"RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_four_tasks_one_of_which_dies_make_what_one_process_makes(tmp_path):
    needed = trainer(tmp_path / "alone", filters=FILTERS).fill_shards().made
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    code, told = run(str(tmp_path / "script.py"), str(tmp_path))
    assert code == 0, told[-3000:]
    assert (tmp_path / "died").exists()
    (line,) = (line for line in told.splitlines() if line.startswith("made "))
    made = [shard for task in json.loads(line.removeprefix("made ")) for shard in task]
    # What the one that died had made before, if anything, is told by nobody.
    assert len(made) == len(set(made)) <= len(needed)
    check_filled(tmp_path / "alone", tmp_path / "run", FILTERS)


@pytest.mark.slow
def test_the_command_of_a_training_but_for_ray(tiny, tmp_path):  # noqa: F811
    script = str(Path(__file__).parents[1] / "recipes/fill_ray.py")
    options = [str(tmp_path / "tickets.csv"), *MODELS, *EASY, *SHARDS, "--output_dir", str(tmp_path / "mine")]
    options = [str(tmp_path / word) if word in ("tiny", "lm") else word for word in options]
    code, told = run(script, "--tasks", "2", *options, "--shards", "0:2")
    assert code == 0, told[-3000:]
    code, told = run(script, "--tasks", "1", *options, "--shards", "2:0")
    assert code == 1
    assert "shards='2:0' must be FIRST:END" in told
