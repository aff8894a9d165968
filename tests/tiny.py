"""Tiny models and a tiny tokenizer, made on the spot: no download, a second to train."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<user>' + message['content'] + '<end>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer: any text round-trips. Ids 0 and 1 are `<pad>` and `<end>`."""
    specials = ["<pad>", "<end>", "<user>", "<assistant>", "<unk>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*specials, *alphabet])}
    backend = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        eos_token="<end>",
        unk_token="<unk>",
        additional_special_tokens=["<user>", "<assistant>"],
        chat_template=CHAT_TEMPLATE,
    )


def tiny_causal_lm(tokenizer: PreTrainedTokenizerFast, kind: str = "llama", seed: int = 0) -> PreTrainedModel:
    """
    A causal language model of two layers with random weights: `"llama"`, or `"gpt2"`, which has tied weights, learned
    positions and dropout.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
        if kind == "gpt2":
            config = GPT2Config(vocab_size=len(tokenizer), n_positions=256, n_embd=32, n_layer=2, n_head=2, **ends)
            return GPT2LMHeadModel(config).eval()
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=256,
            **ends,
        )
        return LlamaForCausalLM(config).eval()


def tiny_classifier(
    num_labels: int = 2, tokenizer: PreTrainedTokenizerFast | None = None, seed: int = 0
) -> PreTrainedModel:
    """A BERT classifier of two layers with random weights, for the vocabulary of [`tiny_tokenizer`]."""
    tokenizer = tokenizer or tiny_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=256,
            pad_token_id=tokenizer.pad_token_id,
            num_labels=num_labels,
        )
        return BertForSequenceClassification(config).eval()
