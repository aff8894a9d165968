"""Completions by the model itself, in torch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from hf_augment.generators.sampling import GumbelSampler, SamplingConfig, pad_rows
from hf_augment.generators.scoring import evaluating
from hf_augment.generators.shared_prefix import read_prefix, remembers_every_token, shared_prefix


#: What the texts of a seed depend on besides model, prompt and settings. It changes with how they are drawn.
DRAWS = "torch, one stream for each row"


def complete(
    model: PreTrainedModel,
    rows: Sequence[list[int]],
    rngs: Sequence[np.random.Generator],
    sampling: SamplingConfig,
    end_ids: list[int],
    pad_token_id: int,
) -> list[list[int]]:
    """
    Goes on from prompts, batch by batch.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal language model.
        rows (`Sequence[list[int]]`): Token ids of the prompts.
        rngs (`Sequence[np.random.Generator]`): The source of what is drawn, for each row its own.
        sampling ([`SamplingConfig`]): Settings.
        end_ids (`list[int]`): Tokens after which a row is finished.
        pad_token_id (`int`): Any token of the vocabulary.

    Returns:
        `list[list[int]]`: Token ids after each prompt, with the one that ended it; what follows that has no meaning.
    """
    completions: list[list[int]] = [[]] * len(rows)
    # Rows of about the same length together need the least padding.
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    for start in range(0, len(rows), sampling.batch_size):
        batch = order[start : start + sampling.batch_size]
        sampler = GumbelSampler(sampling, [rngs[row] for row in batch])
        written = _complete_batch(model, [rows[row] for row in batch], sampler, end_ids, pad_token_id)
        for row, completion in zip(batch, written, strict=True):
            completions[row] = completion
    return completions


def _complete_batch(
    model: PreTrainedModel, rows: Sequence[list[int]], sampler: GumbelSampler, end_ids: list[int], pad_token_id: int
) -> list[list[int]]:
    shares = remembers_every_token(model)
    start = shared_prefix(rows) if shares else 0
    prefix, rests = rows[0][:start], [row[start:] for row in rows]
    # What is padded stands between the prefix and the rest of a row.
    heads = torch.tensor([prefix] * len(rows), dtype=torch.long)
    input_ids = torch.cat([heads, pad_rows(rests, pad_token_id, left=True)], dim=1).to(model.device)
    mask = pad_rows([[1] * len(rest) for rest in rests], 0, left=True)
    mask = torch.nn.functional.pad(mask, (start, 0), value=1).to(model.device)
    width, limit = input_ids.shape[1], input_ids.shape[1] + sampler.config.max_new_tokens
    # A shallow copy shares every weight. With a generation config of its own, nothing in the model's (a repetition
    # penalty, say) joins the sampling, and the model's stays as it is.
    view: Any = copy.copy(model)
    view.generation_config = GenerationConfig()
    written: list[list[int]] = [[]] * len(rows)
    places = torch.arange(len(rows), device=model.device)
    with evaluating(model):
        cache = read_prefix(model, prefix, len(rows), limit) if shares else {}
        while len(places):
            # A CPU has less to do with fewer rows; elsewhere they take as long.
            enough = max(1, len(places) // 16) if shares and model.device.type == "cpu" else len(places)
            stop = _EnoughFinished(end_ids, enough)
            output = view.generate(
                input_ids=input_ids,
                attention_mask=mask,
                generation_config=GenerationConfig(
                    max_length=limit, do_sample=False, eos_token_id=end_ids, pad_token_id=pad_token_id
                ),
                logits_processor=LogitsProcessorList([sampler]),
                stopping_criteria=StoppingCriteriaList([stop]),
                **cache,
            )
            for place, row in zip(places.tolist(), output[:, width:].tolist(), strict=True):
                written[place] = row
            going_on = stop.unfinished() if output.shape[1] < limit else places[:0]
            places, input_ids = places[going_on], output[going_on]
            mask = torch.nn.functional.pad(mask[going_on], (0, output.shape[1] - mask.shape[1]), value=1)
            sampler.select(going_on)
            for layers in cache.values():
                layers.batch_select_indices(going_on)
    return written


class _EnoughFinished(StoppingCriteria):
    """
    Ends a call of `generate` when some of its rows are finished, so that the others go on without them.

    Args:
        end_ids (`list[int]`): Tokens after which a row is finished.
        enough (`int`): How many rows are.
    """

    def __init__(self, end_ids: list[int], enough: int) -> None:
        self.end_ids, self.enough = torch.tensor(end_ids), enough
        self.finished = torch.zeros((), dtype=torch.bool)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Says of all rows that they end, or of none."""
        self.finished = self.finished.to(input_ids.device) | torch.isin(
            input_ids[:, -1], self.end_ids.to(input_ids.device)
        )
        return (self.finished.sum() >= self.enough).expand(len(input_ids))

    def unfinished(self) -> torch.Tensor:
        """Indices of the rows that go on."""
        return torch.nonzero(~self.finished)[:, 0]
