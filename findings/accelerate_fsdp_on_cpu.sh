#!/usr/bin/env bash
# accelerate 1.15.0 with torch 2.14.1, seen on 2026-11-29.
#
# `accelerate launch` takes a configuration with `distributed_type: FSDP` and `use_cpu: true`, and starts processes whose
# environment says that FSDP is used. On a machine without a GPU each of them then believes that it is alone: two whole
# trainings that never exchange a gradient, both of them the main process, and nothing is said of it. With
# `Accelerator(cpu=True)`, as `TrainingArguments(use_cpu=True)` has it, they train by DDP, again without a word. torch's
# own FSDP2 shards the same model on CPUs over gloo.
#
# Seen:
#   Accelerator(): FSDP is asked for; NO, 1 process, main process: True and True; 0 of 2 weights are sharded
#   Accelerator(cpu=True): FSDP is asked for; MULTI_CPU, 2 processes, main process: True and False; 0 of 2 weights are sharded
#   torch alone: 2 of 2 weights are sharded
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check accelerate==1.15.0 torch==2.14.1
cd "$folder"
cat > config.yaml <<'YAML'
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
fsdp_config: {fsdp_version: 2, fsdp_auto_wrap_policy: NO_WRAP}
mixed_precision: "no"
num_machines: 1
num_processes: 2
use_cpu: true
YAML
cat > script.py <<'PY'
import json
import os
import pathlib
import sys

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor


def sharded(model):
    return [sum(isinstance(p, DTensor) for p in model.parameters()), len(list(model.parameters()))]


accelerator = Accelerator(cpu=sys.argv[1] == "cpu" or None)
prepared = accelerator.prepare(torch.nn.Linear(8, 8))
alone = torch.nn.Linear(8, 8)
fully_shard(alone, mesh=dist.init_device_mesh("cpu", (2,)))
found = {
    "asked": os.environ["ACCELERATE_USE_FSDP"],
    "used": [accelerator.distributed_type.value, accelerator.num_processes, accelerator.is_main_process],
    "accelerate": sharded(prepared),
    "torch": sharded(alone),
}
pathlib.Path(f"{sys.argv[1]}-{os.environ['RANK']}.json").write_text(json.dumps(found))
accelerator.end_training()
PY
for how in plain cpu; do
    OMP_NUM_THREADS=1 "$folder/venv/bin/accelerate" launch --config_file config.yaml script.py $how 2> errors.txt ||
        { cat errors.txt >&2; exit 1; }
done
"$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import json
from pathlib import Path

expected = {"plain": [["NO", 1, True], ["NO", 1, True]], "cpu": [["MULTI_CPU", 2, True], ["MULTI_CPU", 2, False]]}
for how, used in expected.items():
    first, second = (json.loads(Path(f"{how}-{rank}.json").read_text()) for rank in (0, 1))
    name = "Accelerator(cpu=True)" if how == "cpu" else "Accelerator()"
    kind, processes, main = first["used"]
    print(
        f"{name}: FSDP is asked for; {kind}, {processes} process{'es' * (processes > 1)}, main process: {main} and "
        f"{second['used'][2]}; {first['accelerate'][0]} of 2 weights are sharded"
    )
    for found, expect in ((first, used[0]), (second, used[1])):
        assert found == {"asked": "true", "used": expect, "accelerate": [0, 2], "torch": [2, 2]}, found
print(f"torch alone: {first['torch'][0]} of 2 weights are sharded")
PY
