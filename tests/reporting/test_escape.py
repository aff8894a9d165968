"""Any text in Markdown is shown as it is, wherever it stands."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hf_augment.reporting.escape import code_block, escape_markdown, markdown_table, plain


MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
#: Pieces that mean something to Markdown, more often than chance would draw them.
PIECES = st.sampled_from(
    [
        *("---", "===", "- ", "+ ", "* ", "1. ", "2) ", "# ", "> ", "```", "~~~", "|", ":-:", "\\", "\\(", "`", "<b>"),
        *("&lt;", "<!--", "</details>", "{{x}}", "{%x%}", "{#x#}", "](", "![", "[a]: b", "*", "_", "~~", "$x$", "a"),
        *("http://a.b", "www.a.b", "WWW.a.b", "a@b.c", "é", "日本", " ", "    ", "\n", "\r\n", "\t", "\x1b", "\u202e"),
        *("\u2028", "\x85", "\ud800"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join)


def text_of(rendered):
    """What a reader sees, and the tags around it."""
    return html.unescape(re.sub(r"<[^>]*>", "", rendered)).strip(), re.findall(r"<(\w+)", rendered)


@given(TEXTS)
def test_any_text_is_shown_and_does_nothing(text):
    escaped, seen = escape_markdown(text), plain(text)
    assert "\n" not in escaped
    assert not re.search(r"(?i)[{}<]|://|www\.", escaped)
    for before, after, tags in [
        ("", "", ["p"]),
        ("# ", "", ["h1"]),
        ("above\n\n", "", ["p", "p"]),
        # Neither the underline of a heading nor the delimiter of a table.
        ("above\n", "\nbelow", ["p"]),
        ("- ", "", ["ul", "li"]),
        ("> x ", "", ["blockquote", "p"]),
    ]:
        shown, found = text_of(MARKDOWN.render(f"{before}{escaped}{after}"))
        if seen:
            assert found == tags
            assert shown.removeprefix("above").removesuffix("below").removeprefix("x ").strip() == seen


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=3), TEXTS)
def test_any_cells_make_a_table_of_as_many_cells(rows, name):
    rendered = MARKDOWN.render(markdown_table(("a", name), rows))
    cells = [html.unescape(cell) for cell in re.findall(r"<t[hd]>(.*?)</t[hd]>", rendered)]
    assert cells == ["a", plain(name), *(plain(cell) for row in rows for cell in row)]
    assert set(re.findall(r"<(\w+)", rendered)) <= {"table", "thead", "tbody", "tr", "th", "td"}


@given(TEXTS)
def test_no_text_leaves_a_code_block(text):
    tokens = MARKDOWN.parse(code_block(text, "bash"))
    assert [token.type for token in tokens] == ["fence"]
    expected = "\n".join("".join(c if c.isprintable() else " " for c in line) for line in text.split("\n"))
    assert tokens[0].content == f"{expected}\n"
    assert tokens[0].info == "bash"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<b>*fine*</b> | www.x.org", r"&lt;b&gt;\*fine\*&lt;/b&gt; \| www\.x.org"),
        ("---", r"\---"),
        ("- item", r"\- item"),
        ("10. item", r"10\. item"),
        # Numbers stay as they are.
        ("-10.4", "-10.4"),
        ("+4.0", "+4.0"),
        ("0.510 ± 0.010", "0.510 ± 0.010"),
        ("see https://x.org", r"see https:\//x.org"),
        # Two backslashes before a bracket would be a formula on the Hub.
        (r"\(x\)", "&#92;(x&#92;)"),
        ("{{ 7 * 7 }}", r"&#123;&#123; 7 \* 7 &#125;&#125;"),
        (" two\nlines\u202e ", "two lines"),
    ],
)
def test_what_is_written(text, escaped):
    assert escape_markdown(text) == escaped


def test_a_table_and_a_block_as_written():
    assert markdown_table(("arm", "accuracy"), [("a|b", "0.5")]) == (
        "| arm | accuracy |\n| --- | --- |\n| a\\|b | 0.5 |"
    )
    assert code_block("a\n```b\x07", "json") == "````json\na\n```b \n````"
    assert code_block("a") == "```\na\n```"
