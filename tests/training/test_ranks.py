"""Two processes on one machine, as `accelerate launch` starts them."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.toys import (
    assert_equal_weights,
    each_toy,  # noqa: F401 - the fixture `toy`
)


SCRIPT = """
    import json, os, pathlib, sys
    import torch.distributed as dist
    from transformers import TrainerCallback
    from tests.toys import TOYS, EveryThird, Recorder

    toy, folder, options = TOYS[sys.argv[1]], pathlib.Path(sys.argv[2]), json.loads(sys.argv[3])
    rank = int(os.environ["RANK"])

    class StopAt(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == options.get("stop_at"):
                control.should_training_stop = True

    fails = options.get("fails") == rank
    generator = toy.generator(fail_at_call=1 if fails else None, log=folder / f"calls-{rank}")
    recorder = Recorder(toy)
    trainer = toy.trainer(folder, generator, train_dataset=toy.dataset(37), data_collator=recorder,
                          callbacks=[StopAt()], ddp_backend="gloo",
                          filters=[EveryThird(toy)] if options.get("filtered") else [], **options.get("args", {}))
    trainer.train(resume_from_checkpoint=options.get("resume"))
    keys = {name: recorder.keys(name == "synthetic") for name in ("real", "synthetic")}
    (folder / f"seen-{rank}.json").write_text(json.dumps(keys))
    if rank == 0:
        trainer.model.save_pretrained(folder / "final")
    dist.destroy_process_group()
"""


def launch(toy, folder, **options):
    return launch_script(SCRIPT, folder, toy.name, str(folder), json.dumps(options))


def launch_script(text, folder, *arguments):
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    return subprocess.run(
        [*command, str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=folder.parent,
        env=environment(),
    )


def environment():
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}


def seen(folder, what):
    return [json.loads((folder / f"seen-{rank}.json").read_text())[what] for rank in (0, 1)]


@pytest.mark.slow
def test_two_processes_share_the_real_rows_and_no_synthetic_one_and_resume_exactly(tmp_path, toy):
    options = {"save_strategy": "steps", "save_steps": 3, "num_train_epochs": 2, "gradient_accumulation_steps": 2}
    whole = launch(toy, tmp_path / "whole", args=options)
    assert whole.returncode == 0, whole.stderr[-2000:]
    synthetic = [key for keys in seen(tmp_path / "whole", "synthetic") for key in keys]
    assert len(set(synthetic)) == len(synthetic) > 0
    real = [key for keys in seen(tmp_path / "whole", "real") for key in keys]
    assert set(real) == set(map(toy.key, toy.dataset(37)))

    cut = launch(toy, tmp_path / "cut", args=options, stop_at=3)
    assert cut.returncode == 0, cut.stderr[-2000:]
    calls = [(tmp_path / f"cut/calls-{rank}").read_text().split() for rank in (0, 1)]
    rest = launch(toy, tmp_path / "cut", args=options, resume=str(tmp_path / "cut/checkpoint-3"))
    assert rest.returncode == 0, rest.stderr[-2000:]
    assert_equal_weights(*(load_file(tmp_path / name / "final/model.safetensors") for name in ("whole", "cut")))
    after = [(tmp_path / f"cut/calls-{rank}").read_text().split() for rank in (0, 1)]
    everything = [call for rank in after for call in rank]
    assert len(everything) == len(set(everything)), "nothing is generated a second time, nor on two ranks"
    assert [a[: len(c)] for a, c in zip(after, calls, strict=True)] == calls


@pytest.mark.slow
def test_a_producer_that_fails_on_one_rank_ends_the_run_with_its_error(tmp_path, toy):
    # A rank that waits for the other one for ever would meet the time limit of `launch_script`, which is an error.
    failed = launch(toy, tmp_path / "run", fails=1)
    assert failed.returncode != 0
    assert "the toy broke" in failed.stderr


GAN = """
    import os, pathlib, sys
    import torch.distributed as dist
    from tests.generator_trainers.test_gan import trainer

    folder = pathlib.Path(sys.argv[1])
    made = trainer(folder, ddp_backend="gloo", ema_decay=0.5, sample_steps=2, per_device_train_batch_size=2,
                   num_train_epochs=5, logging_steps=1, max_discriminator_accuracy=0.01, stop_on_alarm=True)
    made.train()
    (folder / f"rank-{os.environ['RANK']}").write_text(f"{made.state.global_step} {made.generator.fingerprint()}")
    dist.destroy_process_group()
"""


@pytest.mark.slow
def test_a_gan_on_two_processes_is_one_gan_and_an_alarm_stops_both(tmp_path):
    done = launch_script(GAN, tmp_path / "gan", str(tmp_path / "gan"))
    assert done.returncode == 0, done.stderr[-2000:]
    one, other = ((tmp_path / f"gan/rank-{rank}").read_text() for rank in (0, 1))
    assert one == other
    assert one.startswith("3 ")
