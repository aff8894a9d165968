"""Untrusted text in Markdown: it is shown, and does nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


# Entities instead of backslashes, because the Hub reads two of those before a bracket as a formula, and of braces, so
# that no template engine finds its own.
_CHARACTERS = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;", "{": "&#123;", "}": "&#125;"}
    | {c: f"\\{c}" for c in "`*_[]|!~$@#"}
)
# At the start of a line: a rule, an underline of a heading or of a table's header, and an item of a list.
_BLOCK_START = re.compile(r"^(?=[-+=:][-+=: ]*$|[-+] )")
_NUMBERED_START = re.compile(r"^(\d{1,9})(?=[.)](?: |$))")


def plain(text: str) -> str:
    """The text on one line, without control characters, marks of direction and spaces at its ends."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def escape_markdown(text: str) -> str:
    r"""
    Makes one line of Markdown that shows the text, wherever a line may stand: in a paragraph, a heading, an item of a
    list or a cell of a table.

    Nothing in it becomes a link, an image, HTML, a formula, a heading, a list, a rule or a further column, and no
    brace is left for a template engine. What is not printable (line breaks, control characters, marks of direction)
    becomes a space; spaces at the ends are dropped.

    Example:

    ```python
    >>> from hf_augment.reporting.escape import escape_markdown
    >>> print(escape_markdown("<b>*fine*</b> | www.x.org"))
    &lt;b&gt;\*fine\*&lt;/b&gt; \| www\.x.org
    >>> print(escape_markdown("---"))
    \---
    ```
    """
    escaped = plain(text).translate(_CHARACTERS)
    # Bare addresses become links too.
    escaped = re.sub(r"(?i)(www)\.", r"\1\\.", escaped.replace("://", ":\\//"))
    return _NUMBERED_START.sub(r"\1\\", _BLOCK_START.sub(r"\\", escaped))


def code_block(text: str, language: str = "") -> str:
    """
    Makes a fenced block that holds the text, whatever fences are in it, highlighted as `language`. Line feeds are
    kept, other unprintable characters become spaces.
    """
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    lines = ("".join(c if c.isprintable() else " " for c in line) for line in text.split("\n"))
    return "\n".join([f"{fence}{language}", *lines, fence])


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Makes a table of untrusted cells, without a line feed at its end."""
    lines = [header, *rows]
    written = [f"| {' | '.join(map(escape_markdown, cells))} |" for cells in lines]
    return "\n".join([written[0], f"|{' --- |' * len(header)}", *written[1:]])
