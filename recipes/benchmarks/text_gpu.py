"""
What do texts cost on a GPU? GPT-2 small writes them, 40 new tokens each, and BERT-base trains on batches of 32 × 128.

    python recipes/benchmarks/text_gpu.py

First the generator alone, by batch size and kind of cache. Then training, in turns: the stock Trainer, and with half
of the rows synthetic, each shown once, made in a thread ahead of training or inline. Models come from configs and
words from the script, since neither weights nor words change the speed; nothing is downloaded. `--toy` is for a CPU.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
)

from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, CausalLMGenerator, LabelPrompt, SamplingConfig
from hf_augment.generators.sampling import GumbelSampler


NAMES = ["negative", "positive"]
#: Seconds after which nothing new is begun.
BUDGET = 90
STARTED = time.perf_counter()


def tokenizer_of(size: int) -> PreTrainedTokenizerFast:
    """Words of a number, and letters for what is no such word."""
    names = ["<pad>", "<end>", "<unk>", *(f"w{number}" for number in range(size - 3))]
    backend = Tokenizer(models.WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<end>", unk_token="<unk>", model_max_length=128
    )


#: The classifier's.
TOKENIZER = tokenizer_of(30522)


def generator_of(options: argparse.Namespace, batch_size: int) -> CausalLMGenerator:
    """GPT-2 small, of random weights."""
    torch.manual_seed(0)
    size: dict[str, Any] = {"n_layer": 2, "n_embd": 64, "n_head": 2, "vocab_size": 500} if options.toy else {}
    config = GPT2Config(**size, bos_token_id=1, eos_token_id=1)
    model = GPT2LMHeadModel(config).to(options.device, options.dtype)
    sampling = SamplingConfig(max_new_tokens=options.new_tokens, batch_size=batch_size)
    return CausalLMGenerator(model, tokenizer_of(config.vocab_size), NAMES, LabelPrompt(), sampling=sampling)


def seconds_of(work: Callable[[], Any], rounds: int) -> tuple[float, float]:
    """Seconds of the first call, which may compile, and the median of those after it."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return times[0], statistics.median(times[1:])


def by_generate(generator: CausalLMGenerator, batch_size: int, cache: str | None) -> None:
    """The same number of texts by `generate` alone, every prompt read whole."""
    rows = torch.tensor(generator.encode_prompts([generator.prompt.scoring_prompt(NAMES[0])] * batch_size))
    rngs = [np.random.default_rng(row) for row in range(batch_size)]
    config = GenerationConfig(
        max_new_tokens=generator.sampling.max_new_tokens,
        do_sample=False,
        cache_implementation=cache,
        eos_token_id=1,
        pad_token_id=0,
    )
    model: Any = generator.model
    model.generate(
        rows.to(model.device),
        attention_mask=torch.ones_like(rows).to(model.device),
        generation_config=config,
        logits_processor=LogitsProcessorList([GumbelSampler(generator.sampling, rngs)]),
    )


def sample(options: argparse.Namespace) -> int:
    """Prints texts a second, and returns the best batch size."""
    rates: dict[int, float] = {}
    for size in options.batch_sizes:
        generator = generator_of(options, size)
        calls: dict[str, Callable[[], Any]] = {
            "this package": functools.partial(generator.generate, [0, 1] * (size // 2), 0),
            "generate": functools.partial(by_generate, generator, size, None),
        }
        for name, work in calls.items():
            first, later = seconds_of(work, 5)
            say(f"sampling, batch {size}, {name}: {size / later:.0f} texts/s (n=5, first call {first:.1f} s)")
            if name == "this package":
                rates[size] = size / later
    return max(rates, key=lambda size: rates[size])


def sample_static(options: argparse.Namespace, batch_size: int) -> None:
    """Prints the same for a static cache, for which `generate` compiles on a GPU: that takes long, so it is last."""
    generator = generator_of(options, batch_size)
    first, later = seconds_of(lambda: by_generate(generator, batch_size, "static"), 3)
    say(
        f"sampling, batch {batch_size}, static cache: {batch_size / later:.0f} texts/s (n=3, first call {first:.1f} s)"
    )


def classifier_of(options: argparse.Namespace) -> BertForSequenceClassification:
    """BERT-base, of random weights."""
    torch.manual_seed(0)
    tokens: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": 1}
    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    return BertForSequenceClassification(BertConfig(**tokens | (size if options.toy else {})))


def preprocess(columns: dict[str, list[Any]]) -> Any:
    """Texts to 128 token ids each."""
    return TOKENIZER(columns["text"], truncation=True, max_length=128, padding="max_length")


@functools.cache
def real_rows(count: int) -> datasets.Dataset:
    """Texts of random words, tokenised."""
    words = np.random.default_rng(0).integers(30000, size=(count, 126))
    raw = {"text": [" ".join(f"w{word}" for word in row) for row in words], "label": [i % 2 for i in range(count)]}
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=NAMES)})
    return datasets.Dataset.from_dict(raw, features=features).map(preprocess, batched=True)


def train(options: argparse.Namespace, kind: str, batch_size: int) -> tuple[float, float]:
    """Seconds of a training of `kind` stock, thread or inline, and the share of them that waited for texts."""
    with tempfile.TemporaryDirectory() as folder:
        args = AugmentingTrainingArguments(
            str(Path(folder) / "out"),
            per_device_train_batch_size=options.rows,
            max_steps=options.steps,
            bf16=not options.toy,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
            use_cpu=options.toy,
            synthetic_ratio=0.5,
            synthetic_shard_size=batch_size,
            synthetic_producer="thread" if kind == "stock" else kind,
        )
        rows = real_rows(options.steps * options.rows)
        common: dict[str, Any] = {"args": args, "train_dataset": rows, "processing_class": TOKENIZER}
        trainer: Any
        if kind == "stock":
            trainer = Trainer(classifier_of(options), **common)
        else:
            generator = generator_of(options, batch_size)
            trainer = AugmentingTrainer(classifier_of(options), **common, generator=generator, preprocess=preprocess)
        trainer.remove_callback(PrinterCallback)
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    return seconds, 0.0 if kind == "stock" else trainer.waited_seconds / seconds


def say(line: str) -> None:
    print(f"[{time.perf_counter() - STARTED:5.0f} s] {line}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toy", action="store_true", help="Tiny models and few steps, in float32 on the CPU.")
    parser.add_argument("--rounds", type=int, default=3, help="How often each training is timed.")
    options = parser.parse_args()
    options.device, options.dtype = ("cpu", torch.float32) if options.toy else ("cuda", torch.bfloat16)
    options.steps, options.rows, options.new_tokens = (4, 8, 8) if options.toy else (100, 32, 40)
    options.batch_sizes = [8, 16] if options.toy else [64, 256, 512]
    datasets.disable_progress_bars()
    say("the CPU, at toy size" if options.toy else torch.cuda.get_device_name())
    best = sample(options)
    kinds = ("stock", "thread", "inline")
    for kind in kinds:
        train(options, kind, best)  # Warms up, and is not timed.
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    waits: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        if time.perf_counter() - STARTED > BUDGET:
            break
        for kind in kinds:
            one, wait = train(options, kind, best)
            seconds[kind].append(one)
            waits[kind].append(wait)
    for kind in kinds[1:]:
        ratios = [one / stock for one, stock in zip(seconds[kind], seconds["stock"], strict=True)]
        say(
            f"training, {kind}, texts made {best} at a time: {statistics.median(ratios):.2f} times stock "
            f"({min(ratios):.2f} to {max(ratios):.2f}, n={len(ratios)}), "
            f"{statistics.median(waits[kind]):.0%} of the time waiting; stock "
            f"{1000 * statistics.median(seconds['stock']) / options.steps:.1f} ms a step"
        )
    if time.perf_counter() - STARTED < BUDGET:
        sample_static(options, best)


if __name__ == "__main__":
    main()
