"""The text of an example in what a language model answered."""

from __future__ import annotations

import regex


_ASSENT = "(?:sure(?: thing)?|certainly|of course|ok(?:ay)?|absolutely|got it|understood|no problem)"
_HERE = (
    "(?:here(?:['\u2019]s| is| are)|below (?:is|are)|the following (?:is|are)|i(?:['\u2019]ve| have)? wr(?:ote|itten))"
)
_KIND = (
    "(?:sentence|review|example|text|comment|tweet|post|message|response|answer|reply|version|paragraph|statement|"
    "description|summary|critique|snippet|rewrite|draft|option|one)s?"
)
#: "Sure! Here's a short review of it:"
_ANNOUNCED = rf"(?:{_ASSENT}\b[^:\n]{{0,80}}?[!,.]\s+)?{_HERE}\b[^:\n]{{0,160}}?\b{_KIND}\b[^:\n]{{0,160}}:"
#: "Positive film review"
_LABEL = (
    "(?:(?:positive|negative|neutral|short|film|movie|book|product|example|sample|generated) ){0,2}"
    "(?:sentence|review|text|answer|response|output|tweet|comment)"
)
#: "Sure, I'd be happy to help with that!"
_OFFER = rf"{_ASSENT}(?:[,!.]\s+(?:i\b[^:\n]{{0,80}}\bhelp|happy to help)\b[^:\n]{{0,60}})?[!.:]"


def _compile(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern, regex.IGNORECASE | regex.DOTALL)


#: A line before the text. One that only assents has to be a paragraph.
_LINES = _compile(
    rf"(?:\*\*|__|#+ )?(?:{_ANNOUNCED}|{_LABEL}:)(?:\*\*|__)?\s*(?:\n|$)"
    rf"|(?:#+ {_LABEL}|\*\*{_LABEL}\*\*:?)\s*\n|{_OFFER}\s*\n\s*\n"
)
#: The same before a quotation that is all of the rest.
_BEFORE_QUOTATION = _compile(rf"(?:{_ANNOUNCED}|{_LABEL}:|{_ASSENT}[!.:])\s+")
_FENCED = _compile(r"```\w*\n(.*)\n```")
#: The mark of a heading, a quotation or a list's only item.
_MARK = _compile(r"(?:[-*•+>]|#{1,6}|1[.)])\s+(?=\D)(?!.*\s(?:2[.)]|[-*•+])\s)")
_EMPHASIS = ("***", "**", "*", "___", "__", "_", "`")
#: Opening and closing quotation marks: straight, typographic, German, French, East Asian.
_QUOTES = tuple(zip("\"'\u201c\u2018\u201e«「『", "\"'\u201d\u2019\u201c»」』", strict=True))
_ENDED = _compile(r".*[\p{Sentence_Terminal}…][\p{Pe}\p{Pf}\"']*")


def one_line(text: str) -> str:
    """Strips a text and turns every run of white space into one space."""
    return " ".join(text.split())


def answered_text(answer: str) -> str:
    """
    The first paragraph of an answer in one line, without what a model puts around it: a line that announces it, an
    announcement before a quotation, quotation marks, emphasis or a fence around the whole, the mark of a list's only
    item. Everything else is text, whatever it begins with. Empty if the answer only announces one.

    Example:

    ```python
    >>> from hf_augment.generators.answers import answered_text
    >>> answered_text('Sure! Here is a review:\\n\\n**"A f***ing good film."**')
    'A f***ing good film.'
    >>> answered_text("Sure, here is the catch: it takes *three* hours.")
    'Sure, here is the catch: it takes *three* hours.'
    ```
    """
    text = answer.strip()
    while line := _LINES.match(text):
        text = text[line.end() :].strip()
    if fenced := _FENCED.fullmatch(text):
        text = fenced[1].strip()
    text = regex.split(r"\n\s*\n", text, maxsplit=1)[0]
    if (mark := _MARK.match(text)) and "\n" not in text:
        text = text[mark.end() :]
    text = one_line(text)
    if (preamble := _BEFORE_QUOTATION.match(text)) and _unwrapped(text[preamble.end() :]) is not None:
        text = text[preamble.end() :]
    while (inner := _unwrapped(text)) is not None:
        text = inner
    return _without_lost_quotation_mark(text)


def _unwrapped(text: str) -> str | None:
    """The text within marks around the whole of it, if there are any."""
    for opening, closing in _QUOTES:
        if len(text) > 1 and text[0] == opening and text[-1] == closing and _balanced(text[1:-1], opening, closing):
            return text[1:-1].strip()
    for mark in _EMPHASIS:
        inner = text[len(mark) : -len(mark)]
        if text == mark + inner.strip() + mark and inner and not _delimits(mark, inner):
            # A word between stars or underscores is an aside, or a name of a program.
            whole = _ENDED.fullmatch(inner) or (len(mark) > 1 and " " in inner)
            return inner if whole else None
    return None


def _delimits(mark: str, text: str) -> bool:
    """Whether a mark of emphasis begins or ends in a text; within a word, or longer, it is a character like others."""
    own = regex.escape(mark[0])
    runs = regex.finditer(rf"(?<!{own}){regex.escape(mark)}(?!{own})", text)
    return any(not (text[: run.start()][-1:].isalnum() and text[run.end() :][:1].isalnum()) for run in runs)


def _balanced(text: str, opening: str, closing: str) -> bool:
    """Whether every quotation in a text begins and ends in it; an apostrophe within a word is no mark."""
    depth = 0
    for index, character in enumerate(text):
        before, after = text[:index][-1:], text[index + 1 :][:1]
        if character not in (opening, closing) or (before.isalnum() and after.isalnum()):
            continue
        opens = character == opening and (opening != closing or not before.strip() or before in "([")
        depth += 1 if opens else -1
        if depth < 0:
            return False
    return depth == 0


def _without_lost_quotation_mark(text: str) -> str:
    """Drops a mark before or after the whole that lost its partner to a cut."""
    for opening, closing in _QUOTES:
        marks = text.count(opening) + (text.count(closing) if closing != opening else 0)
        if opening == "'" or closing == "\u2019" or marks != 1:
            continue
        if text.startswith(opening):
            return text[1:].strip()
        if text.endswith(closing) and _ENDED.fullmatch(text[:-1]):
            return text[:-1].strip()
    return text
