"""Signals and damage: the process is gone at once, nothing is left behind, and only the shard in progress is lost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from transformers import TrainerCallback

from hf_augment import NearDuplicates
from hf_augment.study.stages import last_checkpoint
from hf_augment.training.blend import SHARD_FOLDER
from tests.toys import TEXT, assert_equal_weights, weights


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


def train(folder, generator, resume=None, **options):
    filters = [NearDuplicates()]
    trainer = TEXT.trainer(folder, generator, filters=filters, save_strategy="steps", save_steps=3, **options)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


# The first three shards are made at once; the next would take many minutes, in one way or another.
SCRIPT = """
import pathlib, signal, sys, time
import torch
from tests.toys import TEXT, ToyGenerator
from tests.training.test_interruption import train

folder, way, options = pathlib.Path(sys.argv[1]), sys.argv[2], eval(sys.argv[3])

class Slow(ToyGenerator):
    def generate(self, labels, seed):
        if len(self.calls) == 3:
            folder.with_suffix(".busy").touch()
            ones = torch.ones(300, 300)
            while True:
                time.sleep(600) if way == "sleeps" else ones @ ones
        return super().generate(labels, seed)

if __name__ == "__main__":
    # Tests in several processes ignore Ctrl-C, and what they start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    train(folder, Slow(TEXT), **options)
"""


def files(folder):
    return {path.name: path.read_bytes() for path in (folder / SHARD_FOLDER).rglob("*.arrow")}


@pytest.fixture(scope="module", name="whole")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return weights(train(folder, TEXT.generator()).model), files(folder)


def is_whole(checkpoint):
    return checkpoint is not None and all(
        (Path(checkpoint) / name).exists() for name in ("augmentation.json", "trainer_state.json")
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "signals", "options"),
    [
        ("computes", [signal.SIGINT], {}),
        ("computes", [signal.SIGINT], {"synthetic_producer": "inline"}),
        ("computes", [signal.SIGINT, signal.SIGINT], {"dataloader_num_workers": 2}),
        ("sleeps", [signal.SIGINT, signal.SIGINT], {}),
        ("computes", [signal.SIGTERM], {"dataloader_num_workers": 2}),
    ],
)
def test_a_signal_ends_the_process_at_once_and_what_was_done_is_kept(tmp_path, whole, way, signals, options):
    folder, interrupted = tmp_path / "run", signals[0] == signal.SIGINT
    # A short name: workers put sockets there, whose paths have to be.
    temporary = tempfile.mkdtemp()
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py"), str(folder), way, repr(options)],
        env=os.environ | {"TMPDIR": temporary, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # A checkpoint that is being written would leave a part of it behind: nothing is cleaned up after SIGTERM.
        while not folder.with_suffix(".busy").exists() or not is_whole(last_checkpoint(folder)):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        for number in signals:
            process.send_signal(number)
            time.sleep(0.1)
        # A tenth of what the generator would take.
        error = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    # Python would say that a signal ended it, but torch has it run code that makes it forget so.
    assert process.returncode in ([-signal.SIGINT, 1] if interrupted else [-signal.SIGTERM]), error
    assert ("KeyboardInterrupt" in error) == interrupted
    assert not any(words in error for words in ("terminate called", "Fatal Python error"))
    assert [name for name in os.listdir(temporary) if name.startswith("hf_augment")] == []
    shutil.rmtree(temporary)
    assert not list(folder.rglob("*.partial"))
    done = files(folder)
    assert len(done) == 3
    resumed = train(folder, TEXT.generator(), resume=last_checkpoint(folder), **options)
    assert_equal_weights(weights(resumed.model), whole[0])
    assert files(folder) == whole[1]
    assert done.items() <= whole[1].items()


@pytest.mark.parametrize("shard", [0, 1])
def test_a_damaged_shard_ends_a_resumed_run_and_deleted_it_is_made_again(tmp_path, whole, shard):
    cut = train(tmp_path, TEXT.generator(), callbacks=[StopAt(3)])
    path = cut.shards.folder / f"shard-{shard:06d}.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    # One is shown again, the other is read to the filter by the thread.
    with pytest.raises((ValueError, RuntimeError), match=rf"{path} is damaged: its SHA-256 is .*Delete {path.name}"):
        train(tmp_path, TEXT.generator(), resume=True)
    path.unlink()
    path.with_suffix(".json").unlink()
    resumed = train(tmp_path, TEXT.generator(), resume=True)
    assert_equal_weights(weights(resumed.model), whole[0])
    assert files(tmp_path) == whole[1]


@pytest.mark.parametrize("which", ["first", "last"])
def test_a_lost_shard_that_would_not_be_made_again_is_refused(tmp_path, which):
    generator = TEXT.generator()
    generator.replayable = False
    cut = train(tmp_path, generator, callbacks=[StopAt(6)])
    last = json.loads((tmp_path / "checkpoint-6/augmentation.json").read_text())["prepared"]["shard"]
    assert last > 0
    # The last one was shown, the first is what the filter compares with.
    shard = 0 if which == "first" else last
    path = cut.shards.folder / f"shard-{shard:06d}.arrow"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(ValueError, match=f"shard {shard}, which the checkpoint was trained on, is not in"):
        train(tmp_path, generator, resume=True)
    path.write_bytes(kept)
    train(tmp_path, generator, resume=True)
