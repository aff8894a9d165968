"""What a run found, as the README of a repository: its facts in, Markdown with the Hub's metadata out."""

from hf_augment.cards.escape import escape_markdown
from hf_augment.cards.rendering import (
    render_dataset_card,
    render_generator_card,
    render_model_card,
    render_results_card,
)


__all__ = [
    "escape_markdown",
    "render_dataset_card",
    "render_generator_card",
    "render_model_card",
    "render_results_card",
]
