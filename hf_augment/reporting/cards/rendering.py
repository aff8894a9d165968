"""Cards of what a run made: its classifiers, generators and synthetic examples, and of the run itself."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from huggingface_hub import CardData
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hf_augment.reporting.cards.facts import arms_of, check_generator, check_results
from hf_augment.reporting.cards.metadata import dataset_metadata, generator_metadata, model_metadata, results_metadata
from hf_augment.reporting.cards.sections import TableView, view
from hf_augment.reporting.escape import code_block, escape_markdown, markdown_table


def render_model_card(results: dict[str, Any], arm: str) -> str:
    """
    Renders the card of an arm's classifier.

    Its metadata has a `model-index` with the means over the arm's runs on every evaluation set.

    Example:

    ```python
    import json
    from pathlib import Path

    from hf_augment.reporting.cards.rendering import render_model_card

    results = json.loads(Path("runs/imdb/report/results.json").read_text())
    Path("README.md").write_text(render_model_card(results, "trained"), encoding="utf-8")
    ```

    Args:
        results (`dict[str, Any]`):
            What is in a run's `results.json`. Any text in it is shown as text, whatever it holds.
        arm (`str`):
            The arm, with or without a generator.

    Returns:
        `str`: A `README.md`.

    Raises:
        ValueError: If the arm was not run, or `results` has not what every card needs: `title`, `data` (`name`,
            `kind`, `label_names`, `train_rows`, `evaluations`), `models` (`classifier`), `reference`, `test` and
            `runs`. Whatever else is missing leaves its section out.
    """
    check_results(results, arm)
    return _render("model.md.jinja", model_metadata(results, arm), results, [arm])


def render_generator_card(results: dict[str, Any], arm: str) -> str:
    """
    Renders the card of what generated for an arm.

    Args:
        results (`dict[str, Any]`):
            As for [`render_model_card`].
        arm (`str`):
            The arm.

    Returns:
        `str`: A `README.md`.

    Raises:
        ValueError: As of [`render_model_card`], or if `models` names nothing that generates for the arm.
    """
    check_results(results, arm)
    check_generator(results, arm)
    return _render("generator.md.jinja", generator_metadata(results, arm), results, [arm])


def render_dataset_card(results: dict[str, Any], arm: str, data_files: str = "data/*.parquet") -> str:
    """
    Renders the card of an arm's synthetic examples.

    Args:
        results (`dict[str, Any]`):
            As for [`render_model_card`].
        arm (`str`):
            The arm.
        data_files (`str`, *optional*, defaults to `"data/*.parquet"`):
            Which files of the repository `load_dataset` reads.

    Returns:
        `str`: A `README.md`.

    Raises:
        ValueError: As of [`render_generator_card`].
    """
    check_results(results, arm)
    check_generator(results, arm)
    return _render("dataset.md.jinja", dataset_metadata(results, arm, data_files), results, [arm])


def render_results_card(results: dict[str, Any]) -> str:
    """
    Renders the card of a run: all its arms. The report's and the run's pictures are taken to lie beside it.

    Args:
        results (`dict[str, Any]`):
            As for [`render_model_card`].

    Returns:
        `str`: A `README.md`, for a dataset repository.

    Raises:
        ValueError: As of [`render_model_card`].
    """
    check_results(results)
    return _render("results.md.jinja", results_metadata(results), results, arms_of(results))


def _render(template: str, metadata: CardData, results: dict[str, Any], arms: Sequence[str]) -> str:
    body = _environment().get_template(template).render(view(results, arms), arm=arms[0])
    return f"---\n{metadata.to_yaml()}\n---\n\n{body}"


@functools.cache
def _environment() -> Environment:
    """Whatever a template shows is escaped, unless a filter of ours made Markdown of it."""
    environment = Environment(
        loader=PackageLoader("hf_augment.reporting.cards"),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else Markup(escape_markdown(str(value))),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = lambda text, language="": Markup(code_block(text, language))
    environment.filters["table"] = _table
    # A file name cannot leave the parentheses of an image.
    environment.filters["file"] = lambda name: Markup(quote(name, safe="", errors="replace"))
    return environment


def _table(table: TableView) -> Markup:
    return Markup(markdown_table(table.header, table.rows))
