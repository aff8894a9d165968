"""Cards of what a run made (classifiers, generators, synthetic examples, the run itself): results in, READMEs out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from huggingface_hub import CardData
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hf_augment.reporting.escape import escape_markdown, plain
from hf_augment.reporting.markdown import render_body
from hf_augment.reporting.metadata import (
    TASKS,
    dataset_metadata,
    generator_metadata,
    model_metadata,
    results_metadata,
)
from hf_augment.reporting.results import Results


def render_model_card(results: Results, arm: str) -> str:
    """
    Renders the card of an arm's classifier, whose metadata has a `model-index` with the means over the arm's runs on
    every evaluation set.

    Example:

    ```python
    from pathlib import Path

    from hf_augment.reporting.cards import render_model_card
    from hf_augment.reporting.results import Results

    results = Results.load("runs/imdb/report/results.json")
    Path("README.md").write_text(render_model_card(results, "trained"), encoding="utf-8")
    ```

    Args:
        results ([`Results`]):
            Results of a comparison. Any text in it is shown as text, whatever it holds.
        arm (`str`):
            The arm, with or without a generator.

    Returns:
        `str`: Content of a `README.md`.

    Raises:
        ValueError: If the arm was not run, or `results` lacks what every card needs: a title, the data's name,
            classes, number of labelled rows and of test rows, the classifier's name, and accuracy on the test set.
    """
    _check(results, [arm])
    return _render("model", results, model_metadata(results, arm), [arm])


def render_generator_card(results: Results, arm: str) -> str:
    """
    Renders the card of what generated for an arm.

    Args:
        results ([`Results`]):
            Results of a comparison.
        arm (`str`):
            The arm.

    Returns:
        `str`: Content of a `README.md`.

    Raises:
        ValueError: See [`render_model_card`]; also if nothing generates for the arm.
    """
    _check(results, [arm], generating=True)
    return _render("generator", results, generator_metadata(results, arm), [arm])


def render_dataset_card(results: Results, arm: str, data_files: str = "data/*.parquet") -> str:
    """
    Renders the card of an arm's synthetic examples.

    Args:
        results ([`Results`]):
            Results of a comparison.
        arm (`str`):
            The arm.
        data_files (`str`, *optional*, defaults to `"data/*.parquet"`):
            Files of the repository that `load_dataset` reads.

    Returns:
        `str`: Content of a `README.md`.

    Raises:
        ValueError: See [`render_generator_card`].
    """
    _check(results, [arm], generating=True)
    return _render("dataset", results, dataset_metadata(results, arm, data_files), [arm])


def render_results_card(results: Results) -> str:
    """
    Renders the card of a run, with all its arms. The report's and the run's pictures are taken to lie beside it.

    Args:
        results ([`Results`]):
            Results of a comparison.

    Returns:
        `str`: Content of a `README.md`, for a dataset repository.

    Raises:
        ValueError: See [`render_model_card`].
    """
    _check(results)
    return _render("results", results, results_metadata(results), None)


def _check(results: Results, arms: Sequence[str] = (), generating: bool = False) -> None:
    """Raises a `ValueError` that names what is missing in the results, or cannot be."""
    data, test = results.data, results.test
    needed: dict[str, Any] = {
        "title": plain(results.title),
        "data.name": plain(data.name),
        "data.label_names": data.label_names,
    }
    needed |= {"data.train_rows": data.train_rows, "runs": results.runs}
    needed |= {"models.classifier": plain(results.models.get("classifier", ""))}
    for name, value in needed.items():
        if not value:
            raise ValueError(f"`results` has no `{name}`, which a card needs: give it.")
    if data.kind not in TASKS:
        raise ValueError(f"`results` has the `data.kind` {data.kind!r}: give one of {list(TASKS)}.")
    if test not in data.evaluations or not all(map(plain, data.evaluations)):
        raise ValueError(f"`data.evaluations` of `results` are {list(data.evaluations)}: name each, also {test!r}.")
    for name, arm in (("reference", results.reference), *(("arm", arm) for arm in arms)):
        if arm not in results.arms:
            raise ValueError(f"{name}={arm!r} is none of the arms that were run, {results.arms}.")
    for arm in results.arms:
        if not results.metric(arm, test, "accuracy"):
            raise ValueError(f"A run of arm {arm!r} has no accuracy on the `test` {test!r} in its `metrics`.")
    for arm in arms if generating else ():
        if results.generator(arm) is None:
            having = [name for name in results.arms if results.generator(name) is not None]
            raise ValueError(f"arm={arm!r} has no generator in `results.models`; those that have are {having}.")


def _render(card: str, results: Results, metadata: CardData, arms: Sequence[str] | None) -> str:
    # What is kept for each row, images and whatever shows a labelled row stay out of a card.
    public = Results.from_dict(results.to_dict())
    arm = arms[0] if arms else ""
    text = (
        _environment()
        .get_template("card.md.jinja")
        .render(
            card=card,
            results=public,
            arm=arm,
            generator=public.generator(arm),
            body=Markup(render_body(public, arms)),
        )
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n{text}"


@functools.cache
def _environment() -> Environment:
    """Whatever the template shows is escaped, but for the body, which is Markdown already."""
    return Environment(
        loader=PackageLoader("hf_augment.reporting"),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else Markup(escape_markdown(str(value))),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
