"""The server of llama.cpp, by the wheel xllamacpp: what is found out about it is what it does."""

import importlib.util
import subprocess
import sys
from contextlib import contextmanager

import gguf
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from hf_augment import Endpoint, EndpointGenerator, EndpointJudge, InstructPrompt, LabelPrompt, SamplingConfig
from hf_augment.generators import gguf_export
from tests.tiny import CHAT_TEMPLATE, tiny_tokenizer


NAMES = ["card_arrival", "card_linking"]
#: Long enough that llama.cpp reads it in another way than token by token.
EXAMPLES = {name: [f"Where is the {name} that was to come {i} days ago, please?" for i in range(3)] for name in NAMES}
PROMPT = InstructPrompt.for_labels(NAMES, kind="message to a bank", examples=EXAMPLES)
SERVER = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.cpuparams.n_threads = sys.argv[1], 16384, 1
params.n_parallel, params.kv_unified = int(sys.argv[2]), sys.argv[3] == "unified"
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
time.sleep(3600)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="without the wheel xllamacpp"),
]


def add_vocabulary(writer, size):
    """The tokens of the tiny tokenizer, which takes any text."""
    tokens = sorted(tiny_tokenizer().get_vocab().items(), key=lambda item: item[1])
    assert len(tokens) == size
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token for token, _ in tokens])
    writer.add_token_types([3 if token.startswith("<") and len(token) > 1 else 1 for token, _ in tokens])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_chat_template(CHAT_TEMPLATE)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A random Llama as a GGUF file."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer()),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=1,
    )
    path = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf_export, "_add_placeholders", add_vocabulary)
        gguf_export.write_gguf(LlamaForCausalLM(config), path)
    assert gguf.GGUFReader(path).tensors
    return path


@contextmanager
def served(model, slots, cache="split"):
    """Serves a model; gives the address."""
    command = [sys.executable, "-c", SERVER, str(model), str(slots), cache]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process.stdout.readline().strip() + "/v1"
        finally:
            process.kill()


def generator(url, prompt=PROMPT, **extra_body):
    sampling = SamplingConfig(max_new_tokens=16, top_k=0)
    return EndpointGenerator(Endpoint(url, "m"), NAMES, prompt, sampling=sampling, extra_body=extra_body)


@pytest.mark.parametrize("prompt", [PROMPT, LabelPrompt("Message ({label}):")])
def test_one_slot_without_a_cache_of_prompts_writes_the_same_again(model, prompt):
    with served(model, 1) as url:
        made = generator(url, prompt, cache_prompt=False)
        assert made.replayable
        texts = made.generate([0, 1, 0, 1, 0], seed=1)
        assert made.generate([0, 1, 0, 1, 0], seed=1) == texts
        assert made.generate([0, 1], seed=1) == texts[:2]
        assert len({example["text"] for example in texts}) == 5


def test_what_is_read_from_the_cache_of_prompts_changes_texts(model):
    with served(model, 1) as url:
        # Of three questions none may hit upon a text that does not change.
        found = [generator(url).abilities for _ in range(3)]
        made = generator(url)
        first, again = (made.generate([0], seed=1) for _ in range(2))
    assert not all(one.seed for one in found)
    assert first != again


def test_slots_that_share_their_memory_change_the_texts_of_each_other(model):
    with served(model, 4, "unified") as url:
        found = [generator(url, cache_prompt=False).abilities for _ in range(3)]
    assert all(one.seed for one in found)
    assert not all(one.seed_in_company for one in found)


def test_it_judges_by_its_log_probabilities(model):
    with served(model, 1) as url:
        judge = EndpointJudge(Endpoint(url, "m"), NAMES)
        assert judge.by_likelihood
        found = judge([{"text": "Where is my card?"}, {"text": "Link my card."}])
    assert found.shape == (2, 2)
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found > 0).all()
