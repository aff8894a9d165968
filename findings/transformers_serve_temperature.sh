#!/usr/bin/env bash
# transformers 5.24.0 with torch 2.14.1, seen on 2026-11-29.
#
# `transformers serve` takes a temperature above 0, and does not sample by it: the model's own generation config decides,
# and without `do_sample` in it, as models are saved by default, the likeliest tokens are returned at any temperature and
# seed. Nothing is said of it. Whoever asks for twenty texts gets one text twenty times; a judge that counts votes
# counts one. With `do_sample=True` in the generation config of the folder that is served, temperature counts.
#
# Seen (different answers of five requests with temperature 1.5 and seeds 1 to 5):
#   as saved: 1
#   with do_sample in its generation config: 5
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.14.1 accelerate==1.15.0 fastapi==0.165.0 uvicorn==0.54.0 openai==3.57.0 rich==15.0.0
cd "$folder"
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

words = [f"w{i}" for i in range(200)] + ["[END]"]
plain = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="w0"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="[END]", unk_token="w0")
tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
torch.manual_seed(0)
sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
model = LlamaForCausalLM(LlamaConfig(vocab_size=len(words), eos_token_id=200, bos_token_id=None, **sizes))


def different(folder):
    """Serves a folder; returns how many answers of five differ."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([*command, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return len({answer(port, folder, seed) for seed in range(1, 6)})
    finally:
        server.terminate()
        server.wait()


def answer(port, folder, seed):
    asked = {"model": str(folder), "messages": [{"role": "user", "content": "w1 w2 w3"}], "temperature": 1.5}
    body = json.dumps(asked | {"max_tokens": 10, "seed": seed}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", body, {"Content-Type": "application/json"}
    )
    for _ in range(120):
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["choices"][0]["message"]["content"]
        except urllib.error.URLError:
            time.sleep(1)
    raise TimeoutError


found = {}
for name, samples in (("as saved", False), ("with do_sample in its generation config", True)):
    place = Path(name.replace(" ", "_")).absolute()
    model.generation_config.do_sample = samples or None
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    found[name] = different(place)
    print(f"{name}: {found[name]}")
assert list(found.values()) == [1, 5], found
PY
