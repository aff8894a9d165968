"""Completions by OpenVINO GenAI, for CPUs: weights of eight bits, continuous batching, a cache of shared prefixes."""

from __future__ import annotations

import collections
import functools
import importlib.util
import shutil
import sys
import tempfile
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from hf_augment.extras import optional_imports
from hf_augment.generators.gguf_export import check_exportable, write_gguf
from hf_augment.generators.sampling import SamplingConfig


#: Instructions that make 8-bit weights faster than floats. Without any (AVX2 alone), torch was as fast, and a text
#: depended on its company.
_INTEGERS = ("avx_vnni", "avx512_vnni", "amx_int8")
#: One thread each: with more, and with other dynamic quantisation than the default, a text depends on its company.
#: Keys and values are not rounded, so that those of a prefix are the same whatever is read with it.
_PROPERTIES = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
#: Tokens of a block of the cache on a CPU. What prompts share is shared by whole blocks.
_BLOCK = 32


def _import_openvino() -> tuple[Any, Any]:
    """
    `openvino` and `openvino_genai`, without `openvino_telemetry`: with it, the import tells its makers who uses it,
    from a process that runs the main module again. It is in their requirements, and they do without it.
    """
    telemetry = "openvino_telemetry"
    hidden = telemetry not in sys.modules
    if hidden:
        sys.modules[telemetry] = None  # type: ignore[assignment]
    try:
        with optional_imports("openvino"):
            import openvino
            import openvino_genai
    finally:
        if hidden:
            del sys.modules[telemetry]
    return openvino, openvino_genai


def faster_backend() -> str:
    """
    Returns the backend that samples faster on this machine: `"openvino"` where it is installed, there is no
    accelerator, and the CPU has instructions for products of 8-bit integers; else `"torch"`.
    """
    if torch.accelerator.is_available() or importlib.util.find_spec("openvino_genai") is None:
        return "torch"
    known = torch.cpu.get_capabilities()
    return "openvino" if any(known.get(name) for name in _INTEGERS) else "torch"


def openvino_draws(sampling: SamplingConfig) -> str:
    """
    What the texts of a seed depend on besides model, prompt and settings.

    Raises:
        `ImportError`: Without the extra `openvino`.
        `ValueError`: If `top_k` and `top_p` are both used, since OpenVINO applies them in the other order.
    """
    if sampling.top_k and sampling.top_p < 1:
        raise ValueError(
            f"top_k={sampling.top_k} and top_p={sampling.top_p} together mean something else to backend='openvino', "
            "which applies top_p first. Use one of them (top_k=0, or top_p=1.0)."
        )
    with optional_imports("openvino"):
        import gguf  # noqa: F401
    return f"OpenVINO GenAI {_import_openvino()[1].__version__}, Q8_0, {_PROPERTIES}, one seed for each row"


class OpenVINOBackend:
    """
    Goes on from prompts by [OpenVINO GenAI](https://github.com/openvinotoolkit/openvino.genai), in as many pipelines
    of one thread as `torch` has threads. Which rows are completed together changes no completion; this is checked
    when it starts.

    Args:
        model ([`~transformers.PreTrainedModel`]):
            A causal language model; see [`~hf_augment.generators.gguf_export.check_exportable`].
        batch_size (`int`):
            Rows that a pipeline completes at once.

    Raises:
        `ImportError`: Without the extra `openvino`.
        `RuntimeError`: If completions of the same rows and seeds differ, alone and together.
        `ValueError`: If the model cannot be exported.
    """

    def __init__(self, model: PreTrainedModel, batch_size: int) -> None:
        check_exportable(model)
        # A pipeline reads the file when it is needed first.
        folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "model.gguf"
        write_gguf(model, path)
        self._pipelines = [_Pipelines(path, batch_size) for _ in range(torch.get_num_threads())]
        self._check_independence(model.config.get_text_config().vocab_size)

    def complete(
        self,
        rows: Sequence[list[int]],
        rngs: Sequence[np.random.Generator],
        sampling: SamplingConfig,
        end_ids: Sequence[int],
    ) -> list[list[int]]:
        """
        Goes on from prompts.

        Args:
            rows (`Sequence[list[int]]`):
                Token ids of the prompts.
            rngs (`Sequence[np.random.Generator]`):
                The source of what is drawn, for each row its own.
            sampling ([`SamplingConfig`]):
                Settings.
            end_ids (`Sequence[int]`):
                Tokens after which a row is finished, at least one.

        Returns:
            `list[list[int]]`: Token ids after each prompt, with the one that ended it.
        """
        settings = [self._settings(sampling, end_ids, int(rng.integers(2**32))) for rng in rngs]
        shares = [range(place, len(rows), len(self._pipelines)) for place in range(len(self._pipelines))]

        def work(pipelines: _Pipelines, share: range) -> list[list[int]]:
            return pipelines.complete([rows[row] for row in share], [settings[row] for row in share])

        completions: list[list[int]] = [[]] * len(rows)
        with ThreadPoolExecutor(len(self._pipelines)) as pool:
            for share, written in zip(shares, pool.map(work, self._pipelines, shares), strict=True):
                for row, completion in zip(share, written, strict=True):
                    completions[row] = completion
        return completions

    def _settings(self, sampling: SamplingConfig, end_ids: Sequence[int], seed: int) -> Any:
        settings = _import_openvino()[1].GenerationConfig()
        settings.apply_chat_template = False
        settings.do_sample = True
        settings.max_new_tokens = sampling.max_new_tokens
        settings.temperature = sampling.temperature
        settings.top_p = sampling.top_p
        if sampling.top_k:
            settings.top_k = sampling.top_k
        settings.rng_seed = seed
        settings.eos_token_id = end_ids[0]
        settings.stop_token_ids = set(end_ids)
        return settings

    def _check_independence(self, vocab_size: int) -> None:
        rng = np.random.default_rng(0)
        start = rng.integers(vocab_size, size=40).tolist()
        rows = [start[:5], start + start[:3], start + start[:9], start[7:20], start]

        def written(rows: list[list[int]]) -> list[list[int]]:
            rngs = [np.random.default_rng(sum(row)) for row in rows]
            return self.complete(rows, rngs, SamplingConfig(max_new_tokens=8), [0])

        together = written(rows)
        if not together == written(rows[::-1])[::-1] == [written([row])[0] for row in rows]:
            raise RuntimeError(
                "backend='openvino' writes other texts for the same prompts and seeds where other prompts come with "
                "them, so that no run could be repeated. Use backend='torch', or another version of openvino-genai."
            )


class _Pipelines:
    """
    Two pipelines of one thread, with a cache of prefixes and without.

    What several prompts begin with, block by block, is read first, once, and is then in the cache. Only that may be
    taken from there: of a block that is not full, or of a prompt that is there to its end, OpenVINO GenAI 2026.4 lets
    several rows write into one copy, and what they write is garbage. Such rows go through the pipeline without a
    cache, and rows go through the other no more at once than it completes at once.
    """

    def __init__(self, path: Path, batch_size: int) -> None:
        self.path, self.batch_size = path, batch_size
        #: Whole blocks that prompts began with, and hashes of what finished rows left behind.
        self.starts: set[tuple[int, ...]] = set()
        self.left: set[int] = set()

    @functools.cached_property
    def cached(self) -> Any:
        """The pipeline with a cache."""
        return self._load(True)

    @functools.cached_property
    def plain(self) -> Any:
        """The pipeline without."""
        return self._load(False)

    def _load(self, caches: bool) -> Any:
        _, openvino_genai = _import_openvino()
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = caches
        # A prompt is read at once, and not in parts.
        scheduler.dynamic_split_fuse = False
        scheduler.max_num_batched_tokens = 2**16
        scheduler.max_num_seqs = self.batch_size
        return openvino_genai.ContinuousBatchingPipeline(str(self.path), scheduler, "CPU", dict(_PROPERTIES))

    def complete(self, rows: Sequence[list[int]], settings: Sequence[Any]) -> list[list[int]]:
        """Token ids after each prompt."""
        written: list[list[int]] = []
        for first in range(0, len(rows), self.batch_size):
            batch = range(first, min(first + self.batch_size, len(rows)))
            shares = [row for row in batch if self._may_share(rows[row])]
            alone = [row for row in batch if row not in set(shares)]
            self._read_starts([rows[row] for row in shares])
            done: dict[int, list[int]] = {}
            for own, cached in ((shares, True), (alone, False)):
                if own:
                    pipeline = self.cached if cached else self.plain
                    results = _run(pipeline, [rows[row] for row in own], [settings[row] for row in own])
                    done |= dict(zip(own, results, strict=True))
            # The last token of a completion was never read.
            self.left |= {hash((*rows[row], *done[row][:-1])) for row in shares}
            written += [done[row] for row in batch]
        return written

    def _may_share(self, row: list[int]) -> bool:
        tokens = tuple(row)
        return (
            len(row) > _BLOCK
            and len(row) % _BLOCK > 0
            and not any(hash(tokens[:length]) in self.left for length in range(1, len(row) + 1))
        )

    def _read_starts(self, rows: Sequence[list[int]]) -> None:
        times = collections.Counter(tuple(row[: len(row) // _BLOCK * _BLOCK]) for row in rows)
        new = [list(start) for start, count in times.items() if count > 1 and start not in self.starts]
        if new:
            once = _import_openvino()[1].GenerationConfig()
            once.apply_chat_template = False
            once.max_new_tokens = 1
            _run(self.cached, new, [once] * len(new))
        self.starts |= {start[:length] for start in times for length in range(_BLOCK, len(start) + 1, _BLOCK)}


def _run(pipeline: Any, prompts: Sequence[list[int]], settings: list[Any]) -> list[list[int]]:
    openvino, _ = _import_openvino()
    tensors = [openvino.Tensor(np.array([prompt], dtype=np.int64)) for prompt in prompts]
    return [result.m_generation_ids[0] for result in pipeline.generate(tensors, settings)]
