"""Results as Markdown, for a reader on the Hub or on GitHub."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from hf_augment.evaluation.robustness import TableRows
from hf_augment.reporting.advice import next_steps
from hf_augment.reporting.answer import accuracies, answer
from hf_augment.reporting.cautions import cautions
from hf_augment.reporting.escape import code_block, escape_markdown, markdown_table, plain
from hf_augment.reporting.results import Results
from hf_augment.reporting.sections import limits, make_sections
from hf_augment.reporting.tables import data_table


def render_report(results: Results) -> str:
    """
    Writes the report as Markdown, with pictures of its own folder; generated text in it is shown and does nothing
    else.
    """
    return f"# {escape_markdown(results.title)}\n\n{render_body(results)}"


def render_body(results: Results, arms: Sequence[str] | None = None) -> str:
    """
    Writes everything but the title: findings, chapters, notes, limits and settings. It is about `arms`, see
    [`~hf_augment.reporting.sections.make_sections`]; without them it is about all, and the report's pictures are taken
    to lie beside it.
    """
    with_pictures, about = arms is None, results.arms if arms is None else arms
    parts = _summary(results, about)
    if with_pictures:
        if advice := next_steps(results):
            parts += ["## What to try next", _items(advice)]
        parts.append(_picture("Accuracy by arm, differences and acceptance", "report.png"))
    parts += ["## Data", _table(data_table(results))]
    for section in make_sections(results, about):
        files = [(picture.caption, picture.file) for picture in section.pictures if picture.file and with_pictures]
        if section.tables or section.folded or files:
            parts += [f"## {escape_markdown(section.title)}", *map(escape_markdown, section.text)]
            parts += [_picture(caption, file) for caption, file in files]
        for table in section.tables:
            parts += [f"### {escape_markdown(table[0])}", _table(table)]
        parts += [_folded(table[0], _table(table)) for table in section.folded]
    if with_pictures:
        for file, caption in results.pictures.items():
            parts += [f"## {escape_markdown(caption)}", _picture(caption, file)]
    if results.notes:
        parts += ["## Notes", _items(results.notes)]
    parts += ["## Limits", _items(limits(results, about)), *_made(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _summary(results: Results, arms: Sequence[str]) -> list[str]:
    """The answer, how accurate everything was, what to beware of, and each finding, where there is one."""
    found = [difference.describe() for difference in results.on(results.test, arms)]
    if not found:
        return []
    said = [answer(results, arms)] if set(arms) & set(results.tried) else []
    beware = "\n".join(f"- **{escape_markdown(sentence)}**" for sentence in cautions(results, arms))
    return [*map(escape_markdown, [*said, accuracies(results)]), beware, _items(found)]


def _made(results: Results) -> list[str]:
    """The command, versions and settings."""
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    parts = [code_block(results.command, "bash") if results.command else "", escape_markdown(versions)]
    if results.settings:
        # Text that is not of this alphabet, such as a mark of direction, stays a number here.
        settings = json.dumps(results.settings, indent=1, ensure_ascii=True, default=str)
        parts.append(_folded("Settings", code_block(settings, "json")))
    return ["## How it was made", *parts] if any(parts) else []


def _table(table: TableRows) -> str:
    return markdown_table(table[1], table[2])


def _folded(title: str, content: str) -> str:
    # Markdown's own escapes mean nothing in HTML.
    title = html.escape(plain(title)).replace("{", "&#123;").replace("}", "&#125;")
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n\n</details>"


def _picture(caption: str, file: str) -> str:
    # A file name cannot leave the parentheses of an image.
    return f"![{escape_markdown(caption)}]({quote(file, safe='', errors='replace')})"


def _items(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {escape_markdown(sentence)}" for sentence in sentences)
