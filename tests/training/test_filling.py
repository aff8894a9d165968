"""Shards that several processes make ahead of a training, of which some die: the model is the same to the last bit."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from hf_augment import NearDuplicates
from hf_augment.training.blend import SHARD_FOLDER
from tests.toys import TEXT, EveryThird, assert_equal_weights, weights
from tests.training.test_ranks import environment, launch, seen


#: Lapse of claims, in seconds: a busy machine renews them in time.
LAPSE = 6.0
FILTERS = {"none": [], "every third": [EveryThird(TEXT)], "near duplicates": [NearDuplicates()]}


def trainer(folder, generator=None, filters="none", **options):
    made = TEXT.generator() if generator is None else generator
    return TEXT.trainer(folder, made, filters=FILTERS[filters], synthetic_shard_size=4, **options)


def arrow(folder):
    return {path.name: path.read_bytes() for path in (Path(folder) / SHARD_FOLDER).rglob("*.arrow")}


@pytest.mark.parametrize("filters", FILTERS)
def test_a_training_on_filled_shards_is_the_same_and_generates_nothing(filters, tmp_path):
    alone = trainer(tmp_path / "alone", filters=filters)
    alone.train()
    filled = trainer(tmp_path / "filled", filters=filters).fill_shards()
    assert filled.made == list(range(len(filled.made)))
    assert len(filled.made) > 5
    reads = trainer(tmp_path / "filled", TEXT.generator(fail_at_call=0), filters)
    reads.train()
    assert_equal_weights(weights(reads.model), weights(alone.model))
    assert arrow(tmp_path / "filled").items() >= arrow(tmp_path / "alone").items()


def test_a_part_is_filled_and_what_is_beyond_the_training_is_told(tmp_path):
    one = trainer(tmp_path)
    needed = len(one.blend.layout.shards(one.blend.plan.total_draws))
    told = []
    filled = one.fill_shards([needed, 2, 1, needed + 3], tell=lambda *numbers: told.append(numbers))
    assert (filled.made, filled.others, filled.beyond) == ([1, 2], [], [needed, needed + 3])
    assert told == [(1, 2), (2, 2)]
    assert one.shards.indices() == [1, 2]


@pytest.mark.parametrize("filters", ["none", "every third"])
def test_shards_of_a_training_in_two_processes_are_of_their_ranks(filters, tmp_path):
    one = trainer(tmp_path, filters=filters)
    assert len(one.fill_shards(world_size=2).made) % 2 == 0
    folders = {path.parent.name for path in (tmp_path / SHARD_FOLDER).rglob("*.arrow")}
    # Without filters a slot depends on no rank.
    assert (folders == {one.shards.folder.name}) == (filters == "none")


@pytest.mark.slow
def test_one_process_fills_the_shards_of_a_training_in_two(tmp_path):
    rows, filters = TEXT.dataset(37), [EveryThird(TEXT)]
    one = TEXT.trainer(tmp_path / "run", TEXT.generator(), train_dataset=rows, filters=filters)
    one.fill_shards(world_size=2)
    done = launch(TEXT, tmp_path / "run", filtered=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(seen(tmp_path / "run", "synthetic"))
    assert list((tmp_path / "run").glob("calls-*")) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"shards": [-1]}, "shards holds -1: shards are numbered from 0"),
        ({"world_size": 0}, "world_size=0 must be 1 or more"),
        ({"lapse": 0.0}, r"lapse=0\.0 is out of range"),
    ],
)
def test_what_cannot_be_filled_is_refused(options, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        trainer(tmp_path).fill_shards(**options)


def test_a_trainer_without_a_generator_has_nothing_to_fill(tmp_path):
    with pytest.raises(ValueError, match="This trainer has no shards to fill: pass generator"):
        TEXT.trainer(tmp_path).fill_shards()
    with pytest.raises(ValueError, match="synthetic_ratio above 0"):
        TEXT.trainer(tmp_path, TEXT.generator(), synthetic_ratio=0.0).fill_shards()


# One of them stops in the middle of a shard and waits to be killed.
FILLER = """
    import json, pathlib, sys, time
    from tests.toys import TEXT, ToyGenerator
    from tests.training.test_filling import LAPSE, trainer

    folder, filters, name = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]

    class Slow(ToyGenerator):
        def generate(self, labels, seed):
            made = super().generate(labels, seed)
            if name == "0" and len(self.calls) == 2:
                (folder / "busy").touch()
                time.sleep(600)
            time.sleep(0.05)
            return made

    if __name__ == "__main__":
        filler = trainer(folder / "run", Slow(TEXT), filters)
        (folder / f"ready-{name}").touch()
        while len(list(folder.glob("ready-*"))) < 4:
            time.sleep(0.01)
        filled = filler.fill_shards(lapse=LAPSE)
        (folder / f"filled-{name}.json").write_text(json.dumps(filled.made))
"""


@pytest.mark.slow
@pytest.mark.parametrize("filters", ["every third", "near duplicates"])
def test_four_fillers_one_of_which_is_killed_make_what_one_process_makes(filters, tmp_path):
    needed = trainer(tmp_path / "alone", filters=filters).fill_shards().made
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(FILLER))
    command = [sys.executable, str(script), str(tmp_path), filters]
    fillers = [
        subprocess.Popen([*command, str(name)], env=environment(), stderr=subprocess.PIPE, text=True)
        for name in range(4)
    ]
    try:
        while not (tmp_path / "busy").exists():
            assert fillers[0].poll() is None, fillers[0].communicate()[1]
            time.sleep(0.02)
        os.kill(fillers[0].pid, signal.SIGKILL)
        errors = [filler.communicate(timeout=200)[1] for filler in fillers]
    finally:
        for filler in fillers:
            filler.kill()
    assert [filler.returncode for filler in fillers] == [-signal.SIGKILL, 0, 0, 0], errors
    made = [shard for name in (1, 2, 3) for shard in json.loads((tmp_path / f"filled-{name}.json").read_text())]
    # Each shard once; one more may be of the filler that was killed, whose second call may be for the same shard.
    assert len(made) == len(set(made))
    assert set(made) <= set(needed)
    assert len(needed) - len(made) <= 1
    check_filled(tmp_path / "alone", tmp_path / "run", filters)


def check_filled(alone, run, filters):
    """What many fillers made is what one makes, and a training on it makes the same model file."""
    (folder,) = (run / SHARD_FOLDER).iterdir()
    assert not [path for path in folder.rglob("*") if "claim" in path.name or path.suffix == ".partial"]
    if filters != "near duplicates":
        assert arrow(run) == arrow(alone)
    for name in (alone, run):
        reads = trainer(name, TEXT.generator(fail_at_call=0), filters)
        reads.train()
        reads.model.save_pretrained(name / "model")
    assert arrow(run) == arrow(alone)
    one, other = ((name / "model/model.safetensors").read_bytes() for name in (alone, run))
    assert one == other
