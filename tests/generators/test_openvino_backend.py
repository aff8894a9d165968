"""Completions by OpenVINO: those of the model, whatever comes with them, whatever came before."""

import builtins
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.openvino_backend import faster_backend
from hf_augment.generators.prompts import LabelPrompt
from hf_augment.generators.sampling import SamplingConfig
from tests.tiny import tiny_causal_lm, tiny_tokenizer


NAMES = ["negative", "positive"]
TOKENIZER = tiny_tokenizer()
LONG = LabelPrompt("A prompt that is longer than a block of the cache, for {label}:")


def llama(tied=True, seed=0):
    """A Llama with grouped heads and weights large enough that attention matters."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(TOKENIZER),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        initializer_range=0.1,
        eos_token_id=TOKENIZER.eos_token_id,
    )
    return LlamaForCausalLM(config).eval()


def make(model=None, prompt=LONG, backend="openvino", **sampling):
    settings = SamplingConfig(**{"max_new_tokens": 8, **sampling})
    return CausalLMGenerator(model or llama(), TOKENIZER, NAMES, prompt, sampling=settings, backend=backend)


def tokens(generator, rows, seeds):
    return generator._complete(rows, [np.random.default_rng(seed) for seed in seeds])


def need_openvino():
    """Without an import, which would send statistics of its use."""
    if importlib.util.find_spec("openvino_genai") is None:
        pytest.skip("without openvino_genai")


@pytest.fixture(scope="module", autouse=True)
def all_instructions():
    """Without the bound that conftest.py sets for torch, under which OpenVINO does not load."""
    torch.nn.functional.conv2d(torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3))  # By now torch has read it.
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DNNL_MAX_CPU_ISA", raising=False)
        yield


@pytest.fixture(scope="module")
def generator():
    need_openvino()
    return make(max_new_tokens=12)


@pytest.mark.parametrize("tied", [True, False])
def test_the_likeliest_tokens_are_those_of_the_model(tied):
    need_openvino()
    model = llama(tied)
    rows = TOKENIZER(["a prompt", "another prompt, longer than a block of thirty-two tokens"])["input_ids"]
    written = tokens(make(model, max_new_tokens=6, top_k=1), rows, [0, 1])
    for row, completion in zip(rows, written, strict=True):
        assert len(completion) == 6
        with torch.no_grad():
            logits = model(torch.tensor([row + completion])).logits[0, len(row) - 1 : -1]
        # Weights of eight bits may exchange two that are about as likely.
        gaps = logits.max(-1).values - logits.gather(-1, torch.tensor(completion)[:, None])[:, 0]
        assert gaps.max() < 0.05 * logits.std()


def test_draws_follow_the_models_distribution(generator):
    (row,) = generator.encode_prompts([LONG.prompt("negative")])
    with torch.no_grad():
        logits = generator.model(torch.tensor([row])).logits[0, -1]
    top = logits.topk(5)
    expected = (top.values / 2.0).softmax(-1).double().numpy()
    generator.sampling = SamplingConfig(max_new_tokens=1, top_k=5, temperature=2.0)
    n = 2_000
    drawn = [written for (written,) in tokens(generator, [row] * n, range(n))]
    generator.sampling = SamplingConfig(max_new_tokens=12)
    counts = np.array([drawn.count(token) for token in top.indices.tolist()])
    assert counts.sum() == n
    # The 0.999 quantile with 4 degrees of freedom is 18.5; eight bits move the probabilities a little.
    assert (np.square(counts - n * expected) / (n * expected)).sum() < 25


def test_a_text_does_not_depend_on_its_company_nor_on_what_was_written_before(generator):
    labels = [0, 1, 1, 0, 1, 0, 0]
    first = generator.generate(labels, seed=7)
    assert len({example["text"] for example in first}) > 3
    generator.generate([1, 1], seed=1)
    assert generator.generate(labels, seed=7) == first
    assert generator.generate(labels[:3], seed=7) == first[:3]
    assert generator.generate(labels[:1], seed=7) == first[:1]
    fresh = make(max_new_tokens=12)
    assert fresh.generate(labels[:2], seed=7) == first[:2]
    assert fresh.generate(labels, seed=7) == first


def test_a_block_that_several_rows_would_write_into_is_not_taken_from_the_cache(generator):
    start = TOKENIZER("exactly thirty-two letters, here.. and then some more")["input_ids"]
    # Prompts of whole blocks, and one that ended at once, which leaves its prompt behind.
    rows = [start[:32]] * 3 + [start[:40]] * 3 + [start]
    generator.sampling = SamplingConfig(max_new_tokens=1)
    tokens(generator, rows, range(7))
    generator.sampling = SamplingConfig(max_new_tokens=12)
    together = [tokens(generator, rows, range(7)) for _ in range(3)]
    assert together[0] == together[1] == together[2]
    for place in (0, 3, 6):
        assert tokens(make(generator.model, max_new_tokens=12), [rows[place]], [place]) == [together[0][place]]


def test_several_threads_are_as_many_pipelines_and_the_same_texts(generator, monkeypatch):
    labels = [0, 1, 0, 1, 0]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    threads = make(max_new_tokens=12)
    assert threads.generate(labels, seed=3) == generator.generate(labels, seed=3)
    assert len(threads._openvino._pipelines) == 2


def test_new_weights_write_new_texts(generator):
    other = make(llama(seed=1))
    before = other.generate([0, 1, 0], seed=3)
    other.model = generator.model
    assert other.generate([0, 1, 0], seed=3) == make(generator.model).generate([0, 1, 0], seed=3) != before


def test_the_fingerprint_tells_backends_and_versions_apart(generator):
    model = generator.model
    torchs, ours = make(model, backend="torch").fingerprint(), make(model).fingerprint()
    assert torchs != ours
    assert importlib.metadata.version("openvino_genai").rpartition(".")[0] in generator._draws


def test_texts_that_depend_on_their_company_are_refused(monkeypatch):
    need_openvino()
    from hf_augment.generators import openvino_backend

    run, calls = openvino_backend._run, []

    def disturbed(pipeline, prompts, settings):
        calls.append(len(prompts))
        return [row[:-1] if len(prompts) > 1 else row for row in run(pipeline, prompts, settings)]

    monkeypatch.setattr(openvino_backend, "_run", disturbed)
    with pytest.raises(RuntimeError, match="writes other texts for the same prompts and seeds"):
        make().generate([0], seed=0)


def test_nothing_is_sent_to_the_makers_of_openvino():
    need_openvino()
    code = """
import multiprocessing.process, sys
started = []
multiprocessing.process.BaseProcess.start = lambda self: started.append(self)
from hf_augment import SamplingConfig
from hf_augment.generators.openvino_backend import openvino_draws
openvino_draws(SamplingConfig())
print("openvino" in sys.modules, "openvino_telemetry" in sys.modules, started)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("True False []\n", "")


# Refusals


def test_without_the_extra_the_error_names_it(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "openvino_genai":
            raise ImportError("No module named 'openvino_genai'", name=name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"hf_augment\[openvino\]"):
        make()


def test_what_the_backend_cannot_do_is_refused_at_construction(monkeypatch):
    with pytest.raises(ValueError, match="backend='vllm' is unknown"):
        make(backend="vllm")
    with pytest.raises(ValueError, match=r"top_k=5 and top_p=0.5 together"):
        make(top_k=5, top_p=0.5)
    monkeypatch.setattr("hf_augment.generators.causal_lm.openvino_draws", lambda sampling: "")
    with pytest.raises(ValueError, match="a model of type 'gpt2'"):
        make(tiny_causal_lm(TOKENIZER, "gpt2"))
    scaled = llama()
    scaled.config.rope_parameters = {"rope_type": "llama3", "rope_theta": 1e4}
    with pytest.raises(ValueError, match=r"scaled positions \(llama3\)"):
        make(scaled)


@pytest.mark.parametrize(
    ("known", "installed", "backend"),
    [({"avx512_vnni": True}, True, "openvino"), ({"avx2": True}, True, "torch"), ({"avx_vnni": True}, False, "torch")],
)
def test_the_faster_backend_is_openvino_on_a_cpu_with_products_of_bytes(known, installed, backend, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if installed else None)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert faster_backend() == backend
