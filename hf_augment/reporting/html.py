"""The report as one page that needs neither the network nor a script."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hf_augment.reporting.escape import plain
from hf_augment.reporting.facts import Findings, ReportFacts
from hf_augment.reporting.sections import Picture, Section


#: What a page may embed, by the suffix of the file.
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp"}
#: A cell that is read as a number, with its unit, deviation or interval.
_NUMBER = re.compile(r"(?:[<>] )?[-+−]?\d[\d.,e+-]*(?: ?[%×s]| (?:±|to) [-+−]?\d[\d.,]*)?|-?")


def render_html(findings: Findings, sections: Sequence[Section], folder: Path) -> str:
    """
    Writes the report as a page that holds its pictures and its style. All text is escaped by the template, shows no
    control characters, and cannot load or run anything, which the page's policy forbids too.

    Args:
        findings ([`Findings`]):
            What was found.
        sections (`Sequence[Section]`):
            Its chapters.
        folder (`Path`):
            Where the further pictures lie.

    Returns:
        `str`: HTML.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hf_augment.reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["numeric"] = _numeric
    environment.filters["data_uri"] = _data_uri
    facts = findings.facts
    further = {name: (folder / name).read_bytes() for name in facts.pictures}
    return environment.get_template("report.html.jinja").render(
        title=facts.title,
        summary=_summary(facts),
        reference=facts.reference,
        test=facts.test,
        verdicts=[(d.arm, d.verdict, d.describe()) for d in findings.on(facts.test)],
        sections=sections,
        pictures=[Picture(facts.pictures[name], content, name) for name, content in further.items()],
        notes=facts.notes,
        command=facts.command,
        stated=_stated(facts),
    )


def check_pictures(facts: ReportFacts, folder: Path) -> None:
    """
    Refuses further pictures that a page cannot embed.

    Raises:
        ValueError: If one is no file of the folder, or of a kind that browsers do not show.
    """
    for name in facts.pictures:
        if Path(name).name != name or Path(name).suffix.lower() not in KINDS or not (folder / name).is_file():
            raise ValueError(
                f"pictures[{name!r}] is no picture in {folder}: write it there first, under a name with one of "
                f"{', '.join(KINDS)}."
            )


def _summary(facts: ReportFacts) -> list[tuple[str, str]]:
    """What one must know to read the first sentences."""
    data, evaluations = facts.data, facts.data.get("evaluations", {})
    rows = f", {evaluations[facts.test]} rows" if facts.test in evaluations else ""
    splits, seeds = ({getattr(run, name) for run in facts.runs} for name in ("split", "seed"))
    counts = ((len(facts.arms), "arm"), (len(splits), "split"), (len(seeds), "seed"), (len(facts.runs), "run"))
    lines = [
        ("Data", " - ".join(str(data[name]) for name in ("name", "note") if data.get(name))),
        ("Labelled rows of a run", str(data.get("train_rows", ""))),
        ("Classifier", facts.models.get("classifier", "")),
        ("Runs", ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)),
        ("Compared with", f"{facts.reference}, on {facts.test}{rows}" if len(facts.arms) > 1 else ""),
    ]
    return [(term, value) for term, value in lines if value]


def _stated(facts: ReportFacts) -> dict[str, list[tuple[str, str]]]:
    """What the figures rest on, as tables of names and values."""
    stated = {"Models": facts.models, "Data": facts.data, "Versions": facts.versions, "Settings": facts.settings}
    return {title: [(name, _words(value)) for name, value in values.items()] for title, values in stated.items()}


def _words(value: Any) -> str:
    nested = isinstance(value, (dict, list, tuple))
    return json.dumps(value, ensure_ascii=False, default=str) if nested else str(value)


def _shown(value: Any) -> Any:
    """What a variable of the template becomes: one line of printable text, unless it is a part of the template."""
    return value if isinstance(value, Markup) else plain(str(value))


def _numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    return all(_NUMBER.fullmatch(row[column]) for row in rows)


def _data_uri(picture: Picture) -> str:
    kind = KINDS[Path(picture.file or "x.png").suffix.lower()]
    return f"data:{kind};base64,{base64.b64encode(picture.content).decode()}"
