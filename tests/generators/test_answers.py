"""What is taken from a model's answer: what announces and wraps goes, and any other text stays as it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_augment.generators.answers import answered_text
from hf_augment.generators.prompts import InstructPrompt


#: Texts as people write them.
TEXTS = [
    "A moving film.",
    "Sure, the plot is thin: but it works.",
    "Sure: why not?",
    "Okay, so here is the thing: it is bad.",
    "Okay: it is not great.",
    "Here is what I think: skip it.",
    "Here's a review in one word: awful.",
    "Here's looking at you, kid: a classic line.",
    'Here is what she said: "I loved it."',
    "Of course: it rains.",
    "Certainly not for children: blood everywhere.",
    "Sure!",
    "Okay.",
    "Sure, Jan.",
    "f***ing good",
    "What the f*** was that?",
    "a 5*3 grid of 2*2 stars",
    "the __init__ method of a class",
    "__init__",
    "snake_case and `code` and _names_",
    "***** (5/5)",
    "**** out of five",
    "*sigh*",
    "*sighs heavily*",
    "C:\\*.*",
    "100% ***recommended***",
    "*Heat* is better than *Cold*",
    "**Heat** is better than **Cold**",
    "_a_ and _b_",
    "good * bad * ugly",
    '"Heat" is not "Cold"',
    '"Okay" is the word.',
    'He said "no."',
    "It's 'great'",
    "'Tis a fine film",
    'a 15" screen',
    "He is 6'2\"",
    "\u201cHeat\u201d and \u201cCold\u201d",
    'My favourite line: "Play it."',
    "Review: a fine film.",
    "The verdict: fine",
    "Pros: good acting",
    "- 5 stars",
    "#1 film of the year",
    "2. Fast 2. Furious",
    "> 100 minutes of nothing",
    "-- and then it ends",
    "# 1 in my heart",
    "1) plot 2) cast 3) music: all bad",
    "- great cast - bad plot",
    "«Heat» и «Cold»",
    "看完了：很好。",
    "😀 ** 😀",
]

WRAPPED = {
    'Sure, here\'s a sentence:\n\n"A moving film."': "A moving film.",
    "Sure!\n\nA moving film.": "A moving film.",
    "Of course! I'd be happy to help with that.\n\nA moving film.": "A moving film.",
    "Okay. Here is a sentence about the plot:\nA moving film.": "A moving film.",
    "Certainly! Below is a negative review:\n\nA dull film.": "A dull film.",
    "The following is a short review of a hotel:\n\nA dull stay.": "A dull stay.",
    "Got it.\n\nHere's one:\n\n- A moving film.": "A moving film.",
    "Okay, here is a sentence about the plot: \u201cA moving film.\u201d": "A moving film.",
    "Here is a sentence: **A moving film.**": "A moving film.",
    'Sure! "A moving film."': "A moving film.",
    'Review: "A moving film."': "A moving film.",
    "Review:\nA moving film.": "A moving film.",
    "**Review:**\nA moving film.": "A moving film.",
    "**Positive film review**\nA moving film.": "A moving film.",
    "## Review\nA `moving` film.": "A `moving` film.",
    "Here is a review:": "",
    '"A moving film."\n\n(This sentence is positive.)': "A moving film.",
    '"The "Heat" of the city."': 'The "Heat" of the city.',
    "'It's a good film.'": "It's a good film.",
    "„Ein guter Film.\u201c": "Ein guter Film.",
    "«Un bon film.»": "Un bon film.",
    "「很好。」": "很好。",
    "**很好看。**": "很好看。",
    "*A moving film.*": "A moving film.",
    '**"A moving film."**': "A moving film.",
    '"**A moving film**"': "A moving film",
    '**"A f***ing good film."**': "A f***ing good film.",
    "**A f*** disaster, 5*3 hours long.**": "A f*** disaster, 5*3 hours long.",
    "_A snake_case_name for a film._": "A snake_case_name for a film.",
    "`A moving film.`": "A moving film.",
    "```\nA moving film.\n```": "A moving film.",
    "```text\nA moving\nfilm.\n```": "A moving film.",
    "1. A moving film.": "A moving film.",
    "# A moving film": "A moving film",
    '"A moving film that': "A moving film that",
    "\u201cA moving film that": "A moving film that",
    'A moving film."': "A moving film.",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_left_as_it_is(text):
    assert InstructPrompt("{label}").extract(text) == text


@pytest.mark.parametrize("answer", WRAPPED)
def test_what_is_around_a_text_goes(answer):
    assert InstructPrompt("{label}").extract(answer) == WRAPPED[answer]


def test_a_heading_and_an_assent_that_belong_to_the_text_stay():
    assert answered_text("# The Godfather\nA moving film.") == "# The Godfather A moving film."
    assert answered_text("Sure!\nIt is fun.") == "Sure! It is fun."
    assert answered_text("- good plot\n- bad cast") == "- good plot - bad cast"


ANNOUNCEMENTS = ("Sure, here's a sentence:\n\n", "Here is a short film review:\n", "Certainly!\n\n", "**Review:**\n")


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.sampled_from([text for text in TEXTS if text not in ("Sure!", "Okay.")]),
    st.sampled_from(["", *ANNOUNCEMENTS]),
    st.sampled_from(["", "\n\nI hope it helps!"]),
)
def test_a_text_comes_out_of_what_is_put_around_it(text, before, after):
    assert answered_text(before + text + after) == text


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.text(st.sampled_from("aé 好.:!*_`\"'#-1\n"), max_size=30))
def test_what_was_taken_once_stays(answer):
    once = answered_text(answer)
    assert "\n" not in once
    # Only characters that mark something are ever dropped from a paragraph without an announcement.
    assert [c for c in once if c in "aé好:!"] == [c for c in answer.strip().split("\n\n")[0] if c in "aé好:!"] or (
        "\n" in answer
    )
