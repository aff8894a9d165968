"""What rows of a batch share is read once, what is finished is dropped, and neither changes a text."""

import numpy as np
import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from hf_augment.generators import torch_backend
from hf_augment.generators.sampling import SamplingConfig
from hf_augment.generators.shared_prefix import remembers_every_token, shared_prefix
from tests.tiny import tiny_causal_lm, tiny_tokenizer


TOKENIZER = tiny_tokenizer()
END = TOKENIZER.eos_token_id


def rows_of(prompts):
    return TOKENIZER(prompts)["input_ids"]


def complete(model, rows, **sampling):
    rngs = [np.random.default_rng(row) for row in range(len(rows))]
    written = torch_backend.complete(model, rows, rngs, SamplingConfig(**sampling), [END], TOKENIZER.pad_token_id)
    return [row[: row.index(END) + 1] if END in row else row for row in written]


def sliding(model_class=MistralForCausalLM):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    config = MistralConfig(vocab_size=len(TOKENIZER), sliding_window=8, **sizes, **heads, eos_token_id=END)
    return model_class(config).eval()


def test_a_shared_prefix_leaves_a_token_to_go_on_from():
    assert shared_prefix([[7, 8, 9, 1], [7, 8, 2]]) == 2
    assert shared_prefix([[7, 8], [7, 8]]) == 1
    assert shared_prefix([[7, 8], [7, 8, 9]]) == 1
    assert shared_prefix([[7], [7, 8]]) == 0
    assert shared_prefix([[1, 2], [3, 2]]) == 0


ALIKE = ["an opening of all: one"] * 3
SOME = ["an opening of all: one", "an opening of all: another, longer", "an opening of all: 3"]
NOTHING = ["one", "another, longer", "3"]


@pytest.mark.parametrize("prompts", [ALIKE, SOME, NOTHING])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_texts_are_those_of_prompts_that_are_read_one_by_one(kind, prompts, monkeypatch):
    model, rows = tiny_causal_lm(TOKENIZER, kind), rows_of(prompts * 6)
    settings = {"max_new_tokens": 40, "temperature": 0.5, "top_k": 0}
    together = complete(model, rows, **settings)
    lengths = {len(row) for row in together}
    assert len(lengths) > 1  # some rows are dropped before others are finished
    monkeypatch.setattr(torch_backend, "remembers_every_token", lambda model: False)
    assert together == complete(model, rows, **settings)
    assert together == complete(model, rows, batch_size=1, **settings)


def test_the_prefix_is_read_once_and_finished_rows_no_more():
    model, rows = tiny_causal_lm(TOKENIZER), rows_of(SOME * 8)
    read = []
    model.get_input_embeddings().register_forward_hook(lambda module, args, output: read.append(args[0].shape))
    written = complete(model, rows, max_new_tokens=60, top_k=0)
    start = shared_prefix(rows)
    assert read[0] == (1, start)
    assert read[1] == (24, max(map(len, rows)) - start)
    # Later a token at a time, each time of fewer rows or as many; a row more than a sixteenth is not read in vain.
    batches = [shape[0] for shape in read[2:]]
    assert all(shape[1] == 1 for shape in read[2:])
    assert batches == sorted(batches, reverse=True)
    for step, size in enumerate(batches, start=1):
        assert size <= max(1, sum(len(row) > step for row in written)) * 17 / 16 + 1
    assert batches[-1] < 24


def test_a_model_that_does_not_remember_every_token_reads_each_prompt_whole():
    model, rows = sliding(), rows_of(SOME)
    assert not remembers_every_token(model)
    assert complete(model, rows, max_new_tokens=30) == complete(model, rows, max_new_tokens=30, batch_size=1)


def test_a_row_draws_the_same_whatever_is_drawn_for_others():
    model, rows = tiny_causal_lm(TOKENIZER), rows_of(SOME)
    alone = [
        torch_backend.complete(model, [row], [np.random.default_rng(i)], SamplingConfig(20), [END], 0)[0]
        for i, row in enumerate(rows)
    ]
    together = complete(model, rows, max_new_tokens=20)
    assert [row[: len(own)] for row, own in zip(alone, together, strict=True)] == together
