"""A language model as a GGUF file of eight-bit weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from hf_augment.extras import optional_imports


#: Weights that share a scale, next to each other in a row.
_GROUP = 32


def check_exportable(model: PreTrainedModel) -> None:
    """
    Refuses a model that [`write_gguf`] cannot write.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal language model.

    Raises:
        `ValueError`: With what is in the way, and the backend that takes it.
    """
    config: Any = model.config
    rope = getattr(config, "rope_parameters", None) or {}
    for wrong, what in (
        (config.model_type != "llama", f"a model of type {config.model_type!r}"),
        (rope.get("rope_type") != "default", f"scaled positions ({rope.get('rope_type')})"),
        (getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False), "biases"),
        (
            any(size % _GROUP for size in (config.hidden_size, getattr(config, "intermediate_size", 0))),
            f"layers whose sizes are no multiples of {_GROUP}",
        ),
    ):
        if wrong:
            raise ValueError(
                f"backend='openvino' writes plain Llama models (SmolLM, TinyLlama, Llama 2), and this one has {what}. "
                "Use backend='torch'."
            )


def write_gguf(model: PreTrainedModel, path: Path) -> None:
    """
    Writes a Llama model with its matrices in Q8_0: eight bits a weight and one scale for 32 of them.

    The file has no vocabulary but one of placeholders: whoever reads it gives and takes token ids.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            See [`check_exportable`]. Of any dtype, on any device.
        path (`Path`):
            The file.
    """
    with optional_imports("openvino"):
        import gguf
    config: Any = model.config
    heads, key_heads = config.num_attention_heads, config.num_key_value_heads
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    _add_placeholders(writer, config.vocab_size)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.detach().float().cpu().numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            values = _rotated_in_pairs(values, heads if "q_proj" in name else key_heads)
        place: Any = names.get_name(name, try_suffixes=(".weight",))
        if values.ndim == 1:
            writer.add_tensor(place, values)
        else:
            writer.add_tensor(place, gguf.quants.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_placeholders(writer: Any, size: int) -> None:
    """The least that readers take for the vocabulary of a byte-level tokenizer: one merge and one special token."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(["a", "b", "ab", *(f"<{index}>" for index in range(3, size))])
    writer.add_token_types([1] * (size - 1) + [3])
    writer.add_token_merges(["a b"])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(size - 1)


def _rotated_in_pairs(weights: np.ndarray, heads: int) -> np.ndarray:
    """Rows in the order of GGUF: positions rotate neighbours there, and the halves of a head in transformers."""
    halves = weights.reshape(heads, 2, -1, weights.shape[1])
    return halves.swapaxes(1, 2).reshape(weights.shape)
