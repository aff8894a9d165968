"""A causal language model as a generator of labelled texts."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special
import torch
from huggingface_hub import HfApi
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_augment.fingerprints import weights_fingerprint
from hf_augment.generators.gguf_export import check_exportable
from hf_augment.generators.openvino_backend import OpenVINOBackend, openvino_draws
from hf_augment.generators.pretrained import (
    CONFIG_NAME,
    FILE_PATTERNS,
    load_causal_lm,
    merged,
    read_generator_config,
    write_generator_config,
)
from hf_augment.generators.prompt_base import Prompt
from hf_augment.generators.prompted import PromptedGenerator
from hf_augment.generators.prompts import InstructPrompt
from hf_augment.generators.sampling import SamplingConfig, cut_unfinished
from hf_augment.generators.scoring import encode_open, log_likelihoods, longest_input
from hf_augment.generators.torch_backend import DRAWS, complete


class CausalLMGenerator(PromptedGenerator):
    """
    Samples texts of given classes from a causal language model.

    With a [`LabelPrompt`] the model is made class-conditional by [`CausalLMGeneratorTrainer`]; with an
    [`InstructPrompt`] a model that follows instructions is used as it is. `generate` never touches the global random
    state, so it may run in a thread beside training.

    Example:

    ```python
    >>> from hf_augment import CausalLMGenerator, InstructPrompt

    >>> generator = CausalLMGenerator.from_pretrained(
    ...     "HuggingFaceTB/SmolLM2-135M-Instruct",
    ...     label_names=["negative", "positive"],
    ...     prompt=InstructPrompt.for_sentiment(),
    ... )
    >>> examples = generator.generate([0, 1, 1], seed=0)
    >>> [sorted(example) for example in examples]
    [['text'], ['text'], ['text']]
    ```

    Args:
        model ([`~transformers.PreTrainedModel`]):
            A causal language model. A PEFT model is merged into plain weights here, so that whatever follows (saving,
            the fingerprint) knows only one kind. It is moved to no device.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            Its tokenizer, of which a copy is kept: a fast tokenizer used by two threads gives wrong results. Without a
            padding token it pads with the end-of-sequence token.
        label_names (`Sequence[str]`):
            The classes, in the order of the dataset's integer labels.
        prompt ([`LabelPrompt`] or [`InstructPrompt`]):
            The prompt that texts are made with.
        text_column (`str`, *optional*, defaults to `"text"`):
            The column of the dataset that holds the text.
        sampling ([`SamplingConfig`], *optional*, defaults to `SamplingConfig()`):
            Settings of sampling.
        backend (`str`, *optional*, defaults to `"torch"`):
            What samples. `"openvino"` is for CPUs with instructions for 8-bit integers (VNNI), some three times as
            fast there, for Llama models such as SmolLM2. It is no faster on others, and refused if a text depends on
            its company. It rounds weights to eight bits, and its texts are others. It takes the extra `openvino`,
            whose reports of its use to its makers are not sent.

    Raises:
        `ImportError`: If the backend's extra is missing.
        `ValueError`: If the prompt does not fit the labels or the tokenizer, or the backend the model or the settings.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        prompt: Prompt,
        text_column: str = "text",
        sampling: SamplingConfig | None = None,
        backend: str = "torch",
    ) -> None:
        super().__init__(label_names, prompt, text_column)
        if prompt.style == "chat" and tokenizer.chat_template is None:
            raise ValueError(
                "prompt.style='chat' needs a tokenizer with a chat template, and this one has none. Use an instruct "
                "model, or style='continue'."
            )
        if tokenizer.eos_token_id is None:
            raise ValueError("tokenizer has no end-of-sequence token. Set `tokenizer.eos_token` first.")
        if backend not in ("torch", "openvino"):
            raise ValueError(f"backend={backend!r} is unknown. Use 'torch' or 'openvino'.")
        self.sampling, self.backend = sampling or SamplingConfig(), backend
        self._draws = openvino_draws(self.sampling) if backend == "openvino" else DRAWS
        self.tokenizer = copy.deepcopy(tokenizer)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = model
        self._end_ids = self._find_end_ids()

    @property
    def model(self) -> PreTrainedModel:
        """The language model. Assign it again after changing its weights, so that the fingerprint follows."""
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        model = merged(model)
        if self.backend == "openvino":
            check_exportable(model)
        self._model: PreTrainedModel = model.eval()
        self._weights_fingerprint: str | None = None
        self._openvino: OpenVINOBackend | None = None

    def with_prompt(self, prompt: Prompt) -> CausalLMGenerator:
        """Returns a generator of the same model, which is not copied, under another prompt."""
        settings = (self.label_names, prompt, self.text_column, self.sampling, self.backend)
        generator = CausalLMGenerator(self.model, self.tokenizer, *settings)
        generator._weights_fingerprint, generator._openvino = self._weights_fingerprint, self._openvino
        return generator

    def generate_like(
        self, labels: Sequence[int], seed_rows: Sequence[dict[str, Any] | None], seed: int
    ) -> list[dict[str, Any]]:
        """
        See [`Generator.generate_like`]. The same arguments give the same texts on the same machine. A text depends on
        its label, its seed row, its place and the seed, and on the texts beside it only by rounding.

        Raises:
            `ValueError`: If a label does not exist, or a prompt leaves no room for `max_new_tokens`.
        """
        prompts, rngs = self._prompts(labels, seed_rows, seed)
        rows = self.encode_prompts(prompts)
        room = longest_input(self.model) - max(map(len, rows), default=0)
        if room < self.sampling.max_new_tokens:
            raise ValueError(
                f"max_new_tokens={self.sampling.max_new_tokens} is more than the {room} tokens that the longest "
                "prompt leaves. Lower it, or shorten the prompt (`num_examples`)."
            )
        return [{self.text_column: self._text(row)} for row in self._complete(rows, rngs)]

    def _complete(self, rows: list[list[int]], rngs: list[np.random.Generator]) -> list[list[int]]:
        if self.backend == "torch":
            return complete(self.model, rows, rngs, self.sampling, self._end_ids, self.tokenizer.pad_token_id)
        if self._openvino is None:
            self._openvino = OpenVINOBackend(self.model, self.sampling.batch_size)
        return self._openvino.complete(rows, rngs, self.sampling, self._end_ids)

    def encode_prompts(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of prompts, in the chat template where the prompt is a chat."""
        if chat := self.prompt.style == "chat":
            prompts = [self._chat(prompt) for prompt in prompts]
        # The chat template has written the special tokens already.
        return encode_open(self.tokenizer, prompts, add_special_tokens=not chat)

    def _chat(self, prompt: str) -> str:
        turns = [{"role": "user", "content": prompt}]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """
        Token ids of texts as completions, without an end. A special token that is spelled out in a text is taken for
        the letters it is: data cannot end a sequence.
        """
        if not texts:
            return []
        completions = [self.prompt.completion(text) for text in texts]
        return self.tokenizer(completions, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def _text(self, row: list[int]) -> str:
        end = next((i for i, token in enumerate(row) if token in self._end_ids), None)
        # The token that ends a text can hold the text's last letters, such as `."`.
        kept = row if end is None else row[: end + 1]
        completion = self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        # A character whose bytes are not all there; what follows it belongs to no text.
        whole, broken, _ = str(completion).partition("\ufffd")
        text = self.prompt.extract(whole)
        return cut_unfinished(text, self.sampling.cut_at_sentence_end) if end is None or broken else text

    def _find_end_ids(self) -> list[int]:
        """The tokens after which a row is finished: ends of sequence, and whatever holds a stop character."""
        known = self.model.generation_config.eos_token_id if self.model.generation_config else None
        ends = {self.tokenizer.eos_token_id, *(known if isinstance(known, list) else [known])} - {None}
        if stop := set(self.prompt.stop):
            pieces = self.tokenizer.batch_decode([[token] for token in range(len(self.tokenizer))])
            ends |= {token for token, piece in enumerate(pieces) if stop & set(piece)}
        return sorted(ends)

    def negative_log_likelihood(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[float]:
        """
        Measures how surprising texts are to the model as texts of their class.

        The text follows [`~Prompt.scoring_prompt`]: the label prompt, or the `scoring_template` of an
        [`InstructPrompt`], which varies nothing. Its end is not counted.

        Args:
            examples (`Sequence[dict[str, Any]]`):
                Raw examples with the text column.
            labels (`Sequence[int]`):
                The class of each.

        Returns:
            `list[float]`: Nats per token, 0 or more; infinity for an empty text. Their exponential is the perplexity.
        """
        prompts = [self.prompt.scoring_prompt(self.label_names[label]) for label in labels]
        sums, counts = self._log_likelihoods(prompts, [example[self.text_column] for example in examples])
        return [float(-total / count) if count else float("inf") for total, count in zip(sums, counts, strict=True)]

    def label_posterior(self, examples: Sequence[dict[str, Any]]) -> np.ndarray:
        """
        The model as a classifier: p(label | text) by Bayes' rule from p(text | label), all labels equally likely
        beforehand. Its accuracy says what the generator itself knows of the task.

        Args:
            examples (`Sequence[dict[str, Any]]`):
                Raw examples with the text column.

        Returns:
            `np.ndarray` of shape `(len(examples), len(label_names))`: Rows that sum to 1.
        """
        texts = [example[self.text_column] for example in examples for _ in self.label_names]
        prompts = [self.prompt.scoring_prompt(name) for _ in examples for name in self.label_names]
        sums, _ = self._log_likelihoods(prompts, texts)
        logits = sums.reshape(len(examples), len(self.label_names))
        return scipy.special.softmax(logits, axis=1)

    def _log_likelihoods(self, prompts: Sequence[str], texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        heads = encode_open(self.tokenizer, prompts)
        return log_likelihoods(self.model, heads, self.encode_texts(texts), self.tokenizer.pad_token_id)

    def fingerprint(self) -> str:
        """
        A hash of the weights, the vocabulary, the chat template, the prompt, the labels, the backend with its version
        and precision, and the sampling settings, `batch_size` included: it changes the arithmetic of a batch, and so
        now and then a token. The weights are hashed once, until `model` is assigned.
        """
        if self._weights_fingerprint is None:
            self._weights_fingerprint = weights_fingerprint(self.model)
        vocabulary = sorted(self.tokenizer.get_vocab().items())
        facts = [self._weights_fingerprint, vocabulary, self.tokenizer.chat_template, self._config(), self._draws]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def _config(self) -> dict[str, Any]:
        return {
            "type": type(self).__name__,
            "label_names": list(self.label_names),
            "text_column": self.text_column,
            "prompt": self.prompt.to_dict(),
            "sampling": dataclasses.asdict(self.sampling),
        }

    def save_pretrained(self, save_directory: str | Path) -> None:
        """
        Saves weights (safetensors), tokenizer and `generator_config.json` into one folder, from which both
        [`~CausalLMGenerator.from_pretrained`] and `AutoModelForCausalLM` load.

        Args:
            save_directory (`str` or `Path`):
                Made if it does not exist. Until everything is written, the folder has no `generator_config.json`.
        """
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_NAME).unlink(missing_ok=True)
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        write_generator_config(folder, self._config())

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        label_names: Sequence[str] | None = None,
        prompt: Prompt | None = None,
        text_column: str | None = None,
        sampling: SamplingConfig | None = None,
        gguf_file: str | None = None,
        revision: str | None = None,
        dtype: torch.dtype | None = None,
        device: str | torch.device | None = None,
        backend: str = "torch",
    ) -> CausalLMGenerator:
        """
        Loads a saved generator, or makes one of a plain causal language model.

        Args:
            name_or_path (`str` or `Path`):
                A folder or a Hub id.
            label_names (`Sequence[str]`, *optional*):
                The classes. With `prompt` it makes a generator of a plain language model; a saved generator has both
                and takes neither.
            prompt ([`LabelPrompt`] or [`InstructPrompt`], *optional*):
                The prompt that texts are made with; see `label_names`.
            text_column (`str`, *optional*):
                Defaults to the saved one, or `"text"`.
            sampling ([`SamplingConfig`], *optional*):
                Defaults to the saved one, or `SamplingConfig()`.
            gguf_file (`str`, *optional*):
                A GGUF file in the folder or repository. Its weights are dequantised, which is slow: save the generator
                once and load the saved folder from then on.
            revision (`str`, *optional*):
                The Hub branch, tag or commit. Name a commit where others can push.
            dtype (`torch.dtype`, *optional*):
                Defaults to the checkpoint's.
            device (`str` or `torch.device`, *optional*):
                Defaults to the CPU.
            backend (`str`, *optional*, defaults to `"torch"`):
                See the class. It belongs to the machine, and is not saved.

        Raises:
            `OSError`: If the files are not there and the Hub cannot be reached.
            `ValueError`: If only one of `label_names` and `prompt` is given, or none and no generator was saved there.
        """
        name, config = str(name_or_path), None
        if label_names is None and prompt is None and gguf_file is None:
            config, revision = read_generator_config(name, revision)
        if config is not None:
            label_names, prompt = config["label_names"], Prompt.from_dict(config["prompt"])
            text_column = text_column or config["text_column"]
            sampling = sampling or SamplingConfig(**config["sampling"])
        if label_names is None or prompt is None:
            raise ValueError(
                f"label_names and prompt are both needed: {name!r} is a plain language model, not a saved generator. "
                "Pass for example label_names=['negative', 'positive'], prompt=LabelPrompt()."
            )
        model, tokenizer = load_causal_lm(
            name, gguf_file=gguf_file, revision=revision, dtype=dtype, device=device or "cpu"
        )
        return cls(model, tokenizer, label_names, prompt, text_column or "text", sampling, backend)

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, commit_message: str | None = None) -> str:
        """
        Uploads what [`~CausalLMGenerator.save_pretrained`] writes, in one commit. The token is the environment's.

        Args:
            repo_id (`str`):
                Such as `"user/name"`. Made if it does not exist.
            private (`bool`, *optional*):
                Whether a new repository is private. Defaults to the account's setting.
            commit_message (`str`, *optional*, defaults to `"Upload generator"`):
                The commit's first line.

        Returns:
            `str`: The commit's address.

        Raises:
            `ValueError`: If the prompt holds labelled texts, which would be published.
        """
        if isinstance(self.prompt, InstructPrompt) and self.prompt.examples:
            raise ValueError(
                "The prompt's examples are labelled texts, which a push would publish. Push "
                "generator.with_prompt(...) of a prompt without examples."
            )
        api = HfApi()
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                allow_patterns=list(FILE_PATTERNS),
                commit_message=commit_message or "Upload generator",
            )
