"""A language model and its tokenizer from a folder, a GGUF file or the Hub, and the file that makes it a generator."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from hf_augment.files import parse_json, write_atomically
from hf_augment.weights import safetensors_only


CONFIG_NAME = "generator_config.json"
FORMAT_VERSION = 1
#: What the config of a language model has.
NEEDED = ("label_names", "text_column", "prompt", "sampling")
#: The files of a language model.
FILES = "config.json, *.safetensors and the tokenizer's files"

#: What a saved generator consists of; nothing else is ever uploaded.
FILE_PATTERNS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def write_generator_config(folder: Path, config: dict[str, Any]) -> None:
    """Writes `config` in one step, so that the file is either whole or missing."""
    content = json.dumps({"format_version": FORMAT_VERSION, **config}, indent=2) + "\n"
    write_atomically(folder / CONFIG_NAME, content.encode())


def read_generator_config(
    name_or_path: str, revision: str | None, needed: Collection[str] = NEEDED, files: str = FILES
) -> tuple[dict[str, Any] | None, str | None]:
    """
    Reads what [`write_generator_config`] wrote, with at least the entries `needed`; an error names `files`.

    Returns:
        `tuple[dict | None, str | None]`: The config, or `None` of a plain model, and the revision to load the
        weights from: of a Hub repository the very commit that the config came from.
    """
    path = Path(name_or_path) / CONFIG_NAME
    if not path.parent.is_dir():
        try:
            path = Path(hf_hub_download(name_or_path, CONFIG_NAME, revision=revision))
        except LocalEntryNotFoundError as error:  # first: it is also an EntryNotFoundError
            raise unreachable(name_or_path, error, files) from error
        except EntryNotFoundError:
            return None, revision
        except (OSError, HFValidationError) as error:
            raise unreachable(name_or_path, error, files) from error
        revision = path.parent.name
    if not path.exists():
        return None, revision
    remedy = "Update hf_augment, or save the generator again"
    config = parse_json(path, remedy)
    if config.pop("format_version", None) != FORMAT_VERSION:
        raise ValueError(f"{path} is not of format {FORMAT_VERSION}. {remedy}.")
    if missing := set(needed) - config.keys():
        raise ValueError(f"{path} is damaged: it lacks {sorted(missing)}. {remedy}.")
    return config, revision


def load_causal_lm(
    name_or_path: str,
    *,
    gguf_file: str | None = None,
    revision: str | None = None,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """
    Loads a causal language model and its tokenizer, without running code of a repository and without pickle.

    Raises:
        `OSError`: If the files are not there and cannot be downloaded, or weights are there in pickle alone.
        `ValueError`: If an index of the weights leads out of its folder.
    """
    options: dict[str, Any] = {"revision": revision, "trust_remote_code": False}
    if gguf_file is not None:
        options["gguf_file"] = gguf_file
    # The tokenizer is the smaller download: what cannot be reached fails with it.
    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, **options)
        if gguf_file is None:
            options |= safetensors_only(name_or_path, **({"revision": revision} if revision else {}))
        elif hasattr(transformers, "GgufConfig"):
            # Weights left in GGUF blocks can be neither trained nor saved.
            options["quantization_config"] = transformers.GgufConfig(dequantize=True)
        if dtype is not None:
            options["dtype"] = dtype
        model: Any = AutoModelForCausalLM.from_pretrained(name_or_path, **options)
    except OSError as error:
        raise unreachable(name_or_path, error) from error
    return model.to(device), tokenizer


def unreachable(name_or_path: str, error: Exception, files: str = FILES) -> OSError:
    """An error that says how to load what could not be loaded."""
    return OSError(
        f"name_or_path={name_or_path!r} could not be loaded: {error}\nPass the path of a local folder that has "
        f"{files}. For a Hub id, check its spelling, the network, and "
        "that HF_HOME is where it was downloaded to."
    )


def merged(model: Any) -> Any:
    """The model with its adapters in its weights; a `ValueError` for adapters that cannot be merged."""
    if hasattr(model, "merge_and_unload"):
        _untie_adapted(model.get_base_model())
        model = model.merge_and_unload()
    elif getattr(model, "peft_config", None):
        # Loaded by transformers itself, adapters are part of a model that can be neither merged nor saved whole.
        raise ValueError(
            "model has adapters that are not merged. Give `peft.PeftModel.from_pretrained(base_model, folder)`, "
            "which is merged here."
        )
    return model


def _untie_adapted(model: PreTrainedModel) -> None:
    """Gives the output embeddings a weight of their own where an adapter of one side would be merged into both."""
    layers: Any = model.get_input_embeddings(), model.get_output_embeddings()
    embeddings, head = (getattr(layer, "base_layer", layer) for layer in layers)
    if head is not None and head.weight is embeddings.weight and (embeddings, head) != layers:
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
        model.config.tie_word_embeddings = False
