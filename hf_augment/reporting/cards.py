"""Cards of what a run made (classifiers, generators, synthetic examples, the run itself): results in, READMEs out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hf_augment.reporting.escape import escape_markdown, plain
from hf_augment.reporting.markdown import render_body
from hf_augment.reporting.metadata import TASKS, card_metadata
from hf_augment.reporting.results import Results


def render_card(results: Results, kind: str, arm: str = "", data_files: str = "data/*.parquet") -> str:
    """
    Renders the card of something that a run made, with the Hub's metadata. Any text in the results is shown as text,
    whatever it holds.

    Args:
        results ([`Results`]): Results of a comparison.
        kind (`str`):
            `"model"` for an arm's classifier, whose metadata has a `model-index` with the means over the arm's runs;
            `"generator"` for what generated for an arm; `"dataset"` for an arm's synthetic examples; or `"results"`
            for the run with all its arms, where the report's and the run's pictures are taken to lie beside the card.
        arm (`str`, *optional*): The arm; for `"results"` there is none.
        data_files (`str`, *optional*, defaults to `"data/*.parquet"`):
            Files that `load_dataset` reads of a `"dataset"`.

    Raises:
        ValueError: If the arm was not run, or nothing generates for it, or `results` lacks what every card needs: a
            title, the data's name, classes, number of labelled rows and of test rows, the classifier's name, and
            accuracy on the test set.
    """
    arms = [arm] if kind != "results" else None
    _check(results, arms or [], generating=kind in ("generator", "dataset"))
    # What is kept for each row, images and whatever shows a labelled row stay out of a card.
    public = Results.from_dict(results.to_dict())
    generator, body = public.generator(arm), Markup(render_body(public, arms))
    template = _environment().get_template("card.md.jinja")
    text = template.render(card=kind, results=public, arm=arm, generator=generator, body=body)
    return f"---\n{card_metadata(public, kind, arm, data_files).to_yaml()}\n---\n\n{text}"


def _check(results: Results, arms: Sequence[str], generating: bool) -> None:
    """Raises a `ValueError` that names what is missing in the results, or cannot be."""
    data, test = results.data, results.test
    needed: dict[str, Any] = {
        "title": plain(results.title),
        "data.name": plain(data.name),
        "data.label_names": data.label_names,
        "data.train_rows": data.train_rows,
        "runs": results.runs,
        "models.classifier": plain(results.models.get("classifier", "")),
    }
    for name in (name for name, value in needed.items() if not value):
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
