"""Tiny models and a tiny tokenizer, made on the spot: no download, a second to train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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
    A causal language model of two layers with random weights: `"llama"`, `"tied llama"`, or `"gpt2"`, which has tied
    weights too, learned positions and dropout.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
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
            tie_word_embeddings=kind == "tied llama",
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


def tiny_gguf(path: Path) -> None:
    """A Llama of one layer with its byte-level tokenizer as a GGUF file, matrices quantised to eight bits."""
    import gguf

    rng = np.random.default_rng(0)
    # A byte-level GGUF must have a merge, here of the token after the bytes.
    tokens = [*sorted(tiny_tokenizer().get_vocab(), key=tiny_tokenizer().get_vocab().get), "ab"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 5 + [gguf.TokenType.NORMAL] * 257)
    writer.add_token_merges(["a b"])
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(4)
    shapes = {"attn_q": (32, 32), "attn_k": (32, 32), "attn_v": (32, 32), "attn_output": (32, 32)}
    shapes |= {"ffn_gate": (64, 32), "ffn_up": (64, 32), "ffn_down": (32, 64)}
    shapes = {f"blk.0.{name}": shape for name, shape in shapes.items()}
    shapes |= {"token_embd": (len(tokens), 32), "output": (len(tokens), 32)}
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, shape in shapes.items():
        weights = rng.normal(scale=0.1, size=shape).astype(np.float32)
        writer.add_tensor(f"{name}.weight", gguf.quants.quantize(weights, kind), raw_dtype=kind)
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(32, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
