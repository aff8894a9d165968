"""Two processes that share a classifier's weights by FSDP2, as `accelerate launch` starts them."""

import json
import subprocess
import sys
import textwrap

import pytest
import yaml
from safetensors.torch import load_file

from tests.toys import TEXT, assert_equal_weights
from tests.training.test_ranks import environment, seen


CONFIG = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "FSDP",
    "fsdp_config": {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_transformer_layer_cls_to_wrap": "BertLayer",
        "fsdp_state_dict_type": "SHARDED_STATE_DICT",
    },
    "mixed_precision": "no",
    "num_machines": 1,
    "num_processes": 2,
    "use_cpu": True,
}

SCRIPT = """
    import json, os, pathlib, sys
    import torch
    import torch.distributed as dist
    from accelerate import state
    from accelerate.utils import DistributedType
    from safetensors.torch import save_file
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from torch.distributed.tensor import DTensor
    from tests.toys import TEXT, EveryThird, Recorder, ToyGenerator

    folder, resume = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
    rank = int(os.environ["RANK"])
    init = state.AcceleratorState.__init__

    def also_on_cpus(self, *args, fsdp_plugin=None, **kwargs):
        # accelerate leaves FSDP out on CPUs, without a word, though what it builds on works there.
        init(self, *args, fsdp_plugin=fsdp_plugin, **kwargs)
        if self.distributed_type is DistributedType.MULTI_CPU:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin
            state.PartialState._shared_state["distributed_type"] = self.distributed_type

    state.AcceleratorState.__init__ = also_on_cpus

    class Replica(ToyGenerator):
        # Has a network of its own, whole on each rank.
        network = torch.nn.Linear(4, 4)

        @torch.inference_mode()
        def generate(self, labels, seed):
            assert not any(isinstance(parameter, DTensor) for parameter in self.network.parameters())
            assert self.network(torch.ones(len(labels), 4)).isfinite().all()
            return super().generate(labels, seed)

    recorder = Recorder(TEXT)
    trainer = TEXT.trainer(folder, Replica(TEXT), train_dataset=TEXT.dataset(37), data_collator=recorder,
                           filters=[EveryThird(TEXT)], ddp_backend="gloo", max_steps=6, save_strategy="steps",
                           save_steps=3)
    trainer.train(resume_from_checkpoint=resume)
    assert all(isinstance(parameter, DTensor) for parameter in trainer.model_wrapped.parameters())
    keys = {name: recorder.keys(name == "synthetic") for name in ("real", "synthetic")}
    (folder / f"seen-{rank}.json").write_text(json.dumps(keys))
    gathered = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(trainer.model_wrapped, options=gathered)
    if rank == 0:
        save_file(weights, folder / "final.safetensors")
    dist.destroy_process_group()
"""


def launch(folder, name, resume=None):
    (folder / name).mkdir(exist_ok=True)
    (folder / "script.py").write_text(textwrap.dedent(SCRIPT))
    (folder / "fsdp2.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(folder / "fsdp2.yaml")]
    done = subprocess.run(
        [*command, "--main_process_port", "0", str(folder / "script.py"), str(folder / name), json.dumps(resume)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_ranks_that_share_the_weights_share_no_slot_and_resume_exactly(tmp_path):
    launch(tmp_path, "whole")
    one, other = seen(tmp_path / "whole", "synthetic")
    assert len(set(one + other)) == len(one) + len(other) > 0
    real = [key for keys in seen(tmp_path / "whole", "real") for key in keys]
    assert set(real) <= set(map(TEXT.key, TEXT.dataset(37)))
    (tmp_path / "whole").rename(tmp_path / "run")
    before = load_file(tmp_path / "run/final.safetensors")
    launch(tmp_path, "run", resume=str(tmp_path / "run/checkpoint-3"))
    assert_equal_weights(load_file(tmp_path / "run/final.safetensors"), before)
    again = seen(tmp_path / "run", "synthetic")
    # The second half of the steps, of the same slots.
    assert all(late == whole[-len(late) :] != whole for late, whole in zip(again, (one, other), strict=True))
