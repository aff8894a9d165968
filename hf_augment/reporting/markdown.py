"""The report as Markdown, for a reader on the Hub or on GitHub."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hf_augment.reporting.escape import code_block, escape_markdown, markdown_table
from hf_augment.reporting.facts import Findings
from hf_augment.reporting.sections import Section


def render_markdown(findings: Findings, sections: Sequence[Section]) -> str:
    """
    Writes the report as Markdown; generated text in it is shown and does nothing else.

    Args:
        findings ([`Findings`]):
            What was found.
        sections (`Sequence[Section]`):
            Its chapters; of their pictures, those that are files.

    Returns:
        `str`: Markdown that names pictures in its own folder.
    """
    facts = findings.facts
    parts = [f"# {escape_markdown(facts.title)}", "![Accuracy by arm, differences and acceptance](report.png)"]
    parts += [_items([d.describe() for d in findings.on(facts.test)])]
    for section in sections:
        pictures = [(picture.caption, picture.file) for picture in section.pictures if picture.file]
        if section.tables or pictures:
            parts += [f"## {escape_markdown(section.title)}", *map(escape_markdown, section.text)]
            parts += [f"![{escape_markdown(caption)}]({file})" for caption, file in pictures]
        for title, header, rows in section.tables:
            parts += [f"### {escape_markdown(title)}", markdown_table(header, rows)]
    for file, caption in facts.pictures.items():
        parts += [f"## {escape_markdown(caption)}", f"![{escape_markdown(caption)}]({file})"]
    parts += [_items(facts.notes), "## Settings"]
    if facts.command:
        parts += [code_block(facts.command)]
    stated = {"models": facts.models, "data": facts.data, "versions": facts.versions, "settings": facts.settings}
    # Text that is not of this alphabet, such as a mark of direction, stays a number here.
    filled = {name: value for name, value in stated.items() if value}
    parts += [code_block(json.dumps(filled, indent=1, ensure_ascii=True, default=str), "json")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _items(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {escape_markdown(sentence)}" for sentence in sentences)
