"""How likely a language model finds texts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from hf_augment.generators.sampling import pad_rows


#: How many tokens are scored at once. Each has a row of logits, 200 kB for a vocabulary of 50,000.
SCORED_TOKENS = 2048


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Without gradients and without dropout, which draws from the global random state; afterwards as it was."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def encode_open(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], **options: bool) -> list[list[int]]:
    """
    Token ids of texts that go on, by a tokenizer called with `options`. Some tokenizers end every text, and after an
    end nothing is continued.
    """
    if not texts:
        return []
    rows = tokenizer(list(texts), **options)["input_ids"]
    return [row[:-1] if row and row[-1] == tokenizer.eos_token_id else row for row in rows]


def longest_input(model: PreTrainedModel) -> int:
    """Returns the number of tokens a model can read; practically endless where it does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**31


def log_likelihoods(
    model: PreTrainedModel, prompts: Sequence[list[int]], completions: Sequence[list[int]], pad_token_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """
    Scores completions token by token: `prompts` are token ids that are read, not scored, at least one each; what is
    beyond the model's last position is left out. `pad_token_id` may be any token of the vocabulary.

    Returns:
        `tuple[np.ndarray, np.ndarray]`, each of shape `(len(prompts),)`: The sums of the completions'
            log-probabilities, and how many tokens were summed.
    """
    longest = longest_input(model)
    rows = [(head + tail)[:longest] for head, tail in zip(prompts, completions, strict=True)]
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]), reverse=True)
    with evaluating(model):
        while order:
            # The first is the longest, so this many fit into the budget together.
            size = max(1, SCORED_TOKENS // len(rows[order[0]]))
            batch, order = order[:size], order[size:]
            starts = [len(prompts[i]) for i in batch]
            sums[batch], counts[batch] = _score(model, [rows[i] for i in batch], starts, pad_token_id)
    return sums, counts


def _score(
    model: PreTrainedModel, rows: list[list[int]], starts: list[int], pad_token_id: int
) -> tuple[np.ndarray, np.ndarray]:
    mask = pad_rows([[1] * len(row) for row in rows], 0).to(model.device)
    targets = pad_rows([[-100] * start + row[start:] for row, start in zip(rows, starts, strict=True)], -100)
    targets = targets[:, 1:].to(model.device)
    input_ids = pad_rows(rows, pad_token_id).to(model.device)
    logits = model(input_ids=input_ids, attention_mask=mask).logits[:, :-1].float()
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    return -losses.double().sum(-1).cpu().numpy(), (targets != -100).sum(-1).cpu().numpy()
