#!/usr/bin/env bash
# openvino-genai 2026.4.1.0 with gguf 0.19.0, seen on 2026-11-28.
#
# A pipeline of continuous batching can keep what it has read of a prompt for the next prompt that begins so
# (`enable_prefix_caching`), in blocks of 32 tokens on a CPU, and can read each prompt at once instead of in parts
# (`dynamic_split_fuse=False`). Either should change how long a completion takes, and not what it says. Here a prompt of
# two whole blocks is given six times at once, to be completed without sampling, by a small random model in 32-bit
# numbers. With both, all but the first call get other completions for most rows. A prompt of 70 tokens is completed alike,
# and so is any prompt with one of the two alone.
#
# Seen (wrong completions of six, in each of four calls):
#   64 tokens, cache: [0, 0, 0, 0]
#   64 tokens, cache, whole prompts: [0, 3, 4, 4]
#   70 tokens, cache, whole prompts: [0, 0, 0, 0]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check openvino-genai==2026.4.1.0 gguf==0.19.0
cd "$folder"
# Else the import reports itself to its makers.
export CI=true
"$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import gguf
import numpy as np
import openvino
import openvino_genai


VOCABULARY, WIDTH, LAYERS, HEADS, BETWEEN = 384, 64, 2, 4, 128
rng = np.random.default_rng(0)
writer = gguf.GGUFWriter("model.gguf", "llama")
writer.add_context_length(256)
writer.add_embedding_length(WIDTH)
writer.add_block_count(LAYERS)
writer.add_feed_forward_length(BETWEEN)
writer.add_head_count(HEADS)
writer.add_head_count_kv(HEADS)
writer.add_key_length(WIDTH // HEADS)
writer.add_value_length(WIDTH // HEADS)
writer.add_rope_dimension_count(WIDTH // HEADS)
writer.add_rope_freq_base(10000.0)
writer.add_layer_norm_rms_eps(1e-5)
writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("default")
writer.add_token_list(["a", "b", "ab", *(f"<{i}>" for i in range(3, VOCABULARY))])
writer.add_token_types([1] * (VOCABULARY - 1) + [3])
writer.add_token_merges(["a b"])
for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
    add(VOCABULARY - 1)
shapes = {"token_embd": (VOCABULARY, WIDTH)}
for layer in range(LAYERS):
    shapes |= {f"blk.{layer}.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
    shapes |= {f"blk.{layer}.ffn_{name}": (BETWEEN, WIDTH) for name in ("gate", "up")}
    shapes[f"blk.{layer}.ffn_down"] = (WIDTH, BETWEEN)
    shapes |= {f"blk.{layer}.{name}_norm": (WIDTH,) for name in ("attn", "ffn")}
shapes["output_norm"] = (WIDTH,)
for name, shape in shapes.items():
    ones = len(shape) == 1
    values = np.ones(shape, np.float32) if ones else rng.normal(0, 0.3, shape).astype(np.float16)
    writer.add_tensor(f"{name}.weight", values)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()


def calls(prompt, caches, whole):
    """Completions of the prompt, six at once, in each of four calls."""
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.enable_prefix_caching, scheduler.dynamic_split_fuse = caches, not whole
    scheduler.max_num_batched_tokens = 2**16
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    pipeline = openvino_genai.ContinuousBatchingPipeline("model.gguf", scheduler, "CPU", options)
    settings = openvino_genai.GenerationConfig()
    settings.max_new_tokens, settings.do_sample, settings.apply_chat_template = 8, False, False
    settings.ignore_eos = True
    rows = [openvino.Tensor(np.array([prompt], dtype=np.int64))] * 6
    return [[r.m_generation_ids[0] for r in pipeline.generate(rows, [settings] * 6)] for _ in range(4)]


prompt = rng.integers(VOCABULARY - 1, size=70).tolist()
for length, whole in ((64, False), (64, True), (70, True)):
    right = calls(prompt[:length], False, whole)[0][0]
    wrong = [sum(one != right for one in call) for call in calls(prompt[:length], True, whole)]
    print(f"{length} tokens, cache{', whole prompts' * whole}: {wrong}")
    assert (sum(wrong) > 0) == (length == 64 and whole), wrong
PY
