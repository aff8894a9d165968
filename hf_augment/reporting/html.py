"""The report as one page that needs neither the network nor a script."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hf_augment.reporting.advice import next_steps
from hf_augment.reporting.answer import accuracies, answer
from hf_augment.reporting.cautions import cautions
from hf_augment.reporting.escape import plain
from hf_augment.reporting.results import Results
from hf_augment.reporting.sections import Section, limits
from hf_augment.reporting.tables import data_table


#: What a page may embed, by the suffix of the file.
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
#: A cell that is read as a number, with its unit, deviation or interval.
_NUMBER = re.compile(r"(?:[<>] )?[-+−]?\d[\d.,e+-]*(?: ?[%×s]| (?:±|to) [-+−]?\d[\d.,]*)?|-?")


def render_html(results: Results, sections: Sequence[Section], folder: Path, use: Sequence[str] = ()) -> str:
    """
    Writes the report as a page that holds its pictures, those of the results read from `folder`, its style, and how to
    `use` the classifier. All text is escaped by the template, shows no control characters, and cannot load or run
    anything, which the page's policy forbids too.
    """
    return page_template("report.html.jinja").render(
        results=results,
        summary=data_table(results)[2],
        answers=[answer(results), accuracies(results)],
        cautions=cautions(results),
        advice=next_steps(results),
        use=use,
        verdicts=results.on(results.test),
        sections=sections,
        pictures=[(said, data_uri((folder / name).read_bytes(), name)) for name, said in results.pictures.items()],
        limits=limits(results, results.arms),
        stated={"Versions": _words(results.versions), "Settings": _words(results.settings)},
    )


def page_template(name: str) -> jinja2.Template:
    """A template of a page, in which every variable is shown as text and does nothing else."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hf_augment.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["numeric"] = _numeric
    environment.filters["data_uri"] = data_uri
    return environment.get_template(name)


def check_pictures(results: Results, folder: Path) -> None:
    """
    Raises a `ValueError` for a further picture that is no file of the folder, or of a kind that browsers do not show.
    """
    for name in results.pictures:
        if Path(name).name != name or Path(name).suffix.lower() not in KINDS or not (folder / name).is_file():
            raise ValueError(
                f"pictures[{name!r}] is no picture in {folder}: write it there first, under a name with one of "
                f"{', '.join(KINDS)}."
            )


def _words(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values as rows of a table."""
    nested = (dict, list, tuple)
    words = {k: json.dumps(v, ensure_ascii=False, default=str) for k, v in values.items() if isinstance(v, nested)}
    return [(name, words.get(name, str(value))) for name, value in values.items()]


def _shown(value: Any) -> Any:
    """Returns a variable of the template as one line of printable text, unless it is a part of the template."""
    return value if isinstance(value, Markup) else plain(str(value))


def _numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    return all(_NUMBER.fullmatch(row[column]) for row in rows)


def data_uri(content: bytes, name: str = "x.png") -> str:
    """The content of a picture's file as an address."""
    return f"data:{KINDS[Path(name).suffix.lower()]};base64,{base64.b64encode(content).decode()}"
