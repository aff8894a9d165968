#!/usr/bin/env bash
# transformers 5.24.0 with torch 2.14.1, seen on 2026-11-30.
#
# One optimizer step over four rows should be the same step whether they come in one batch or, with
# `gradient_accumulation_steps=4`, one by one. Whether it is depends on the head. `Trainer` divides the loss by the number
# of batches, unless `forward` takes keyword arguments and the model does not deny it by `accepts_loss_kwargs`: then the
# head is trusted to divide by `num_items_in_batch`. Causal language models and ViT do, and ConvNeXt denies it. The heads
# that classify texts or tokens take the number and do not look at it: their step, and the loss that is logged, is four
# times as large.
#
# Seen (length of a step of plain descent with accumulation, by that without):
#   BertForSequenceClassification: 4.00
#   LlamaForSequenceClassification: 4.00
#   BertForTokenClassification: 4.00
#   LlamaForCausalLM: 1.00
#   ViTForImageClassification: 1.00
#   ConvNextForImageClassification: 1.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check transformers==5.24.0 torch==2.14.1 accelerate==1.15.0
cd "$folder"
"$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import tempfile

import torch
import transformers
from transformers import Trainer, TrainingArguments


LAYERS = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
TEXT = {**LAYERS, "vocab_size": 32, "pad_token_id": 0}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
HEADS = {
    "BertForSequenceClassification": ({**TEXT, **STILL}, 4),
    "LlamaForSequenceClassification": (TEXT, 4),
    "BertForTokenClassification": ({**TEXT, **STILL}, 4),
    "LlamaForCausalLM": (TEXT, 1),
    "ViTForImageClassification": ({**LAYERS, "image_size": 8, "patch_size": 4}, 1),
    "ConvNextForImageClassification": ({"hidden_sizes": [8], "depths": [1], "num_stages": 1}, 1),
}


def rows(name):
    """Four rows of equal length, which nothing pads."""
    rng = torch.Generator().manual_seed(0)
    for label in (0, 1, 1, 0):
        ids = torch.randint(3, 32, (6,), generator=rng)
        if "Image" in name:
            yield {"pixel_values": torch.rand(3, 8, 8, generator=rng), "labels": label}
        elif "Token" in name:
            yield {"input_ids": ids, "labels": ids % 2}
        else:
            yield {"input_ids": ids, "labels": ids if "Causal" in name else label}


def moved(name, batch, steps):
    """How far one step moves the weights, of four rows in so many batches."""
    torch.manual_seed(0)
    head = getattr(transformers, name)
    model = head(head.config_class(**HEADS[name][0]))
    before = [p.detach().clone() for p in model.parameters()]
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder, per_device_train_batch_size=batch, gradient_accumulation_steps=steps, max_steps=1, optim="sgd",
            learning_rate=0.01, lr_scheduler_type="constant", max_grad_norm=0.0, use_cpu=True, report_to="none",
            disable_tqdm=True, save_strategy="no", logging_strategy="no", dataloader_pin_memory=False,
        )
        trainer = Trainer(model, args, train_dataset=list(rows(name)))
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return sum(((p - b) ** 2).sum() for p, b in zip(model.parameters(), before)).sqrt().item()


for name, (_, expected) in HEADS.items():
    ratio = moved(name, 1, 4) / moved(name, 4, 1)
    print(f"{name}: {ratio:.2f}", flush=True)
    assert abs(ratio - expected) < 0.05, name
PY
