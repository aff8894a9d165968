"""What is asked for, and what is taken from an answer, value by value."""

import hashlib
import json
import re

import numpy as np
import pytest

from hf_augment.generators.prompt_base import Prompt, fill
from hf_augment.generators.prompts import InstructPrompt, LabelPrompt, read_prompt


NAMES = ["neg", "pos"]


def test_a_value_with_braces_is_data_and_not_a_template():
    assert fill("{a} and {b}", {"a": "{b}", "b": "{a.__class__} {0} {"}) == "{b} and {a.__class__} {0} {"


def test_a_template_reaches_no_attribute_of_a_value():
    prompt = LabelPrompt("{label} {label.__class__} {label!r} {label:>9}")
    assert prompt.prompt("pos") == "pos {label.__class__} {label!r} {label:>9}"


def test_the_label_prompt_of_training_is_the_one_of_sampling_and_scoring():
    prompt = LabelPrompt("Review ({label}):")
    sampled = prompt.prompts([1, 0], NAMES, np.random.default_rng(0))
    assert sampled == ["Review (pos):", "Review (neg):"]
    trained, completion = prompt.training_text("pos", " two\n lines ")
    assert (trained, completion) == (sampled[0], " two lines")
    assert prompt.scoring_prompt("pos") == sampled[0]
    assert prompt.extract(completion) == "two lines"


@pytest.mark.parametrize(("template", "message"), [("Review:", "{label}"), ("{label} {tone}", "{tone}")])
def test_a_label_prompt_with_a_wrong_template_says_what_is_wrong(template, message):
    with pytest.raises(ValueError, match="template=") as error:
        LabelPrompt(template)
    assert message in str(error.value)


def test_attributes_are_drawn_by_label_and_from_the_rng_alone():
    prompt = InstructPrompt(
        "{label} {adjective} {aspect}",
        attributes={"adjective": {"neg": ["dull", "flat"], "pos": ["warm", "bright"]}, "aspect": ["plot", "cast"]},
        descriptions={"neg": "negative"},
    )
    prompts = prompt.prompts([0, 1] * 50, NAMES, np.random.default_rng(3))
    assert prompts == prompt.prompts([0, 1] * 50, NAMES, np.random.default_rng(3))
    assert prompts != prompt.prompts([0, 1] * 50, NAMES, np.random.default_rng(4))
    assert set(prompts) == {
        f"{label} {adjective} {aspect}"
        for label, adjectives in (("negative", ["dull", "flat"]), ("pos", ["warm", "bright"]))
        for adjective in adjectives
        for aspect in ("plot", "cast")
    }


def test_examples_are_of_the_label_and_drawn_without_replacement():
    prompt = InstructPrompt(
        "{examples}\nNow a {label} one.", examples={"neg": ["a", "b\nb", "c"], "pos": ["{label}"]}, num_examples=2
    )
    for text in prompt.prompts([0] * 20, NAMES, np.random.default_rng(0)):
        first, second, last = text.split("\n")
        assert first != second
        assert {first, second} < {'"a"', '"b b"', '"c"'}
        assert last == "Now a neg one."
    assert prompt.prompts([1], NAMES, np.random.default_rng(0)) == ['"{label}"\nNow a pos one.']


def test_the_sentiment_prompt_asks_for_the_label_with_an_adjective_of_it():
    prompt = InstructPrompt.for_sentiment(negative="neg", positive="pos", subject="book")
    prompt.validate(NAMES)
    adjectives = prompt.attributes["adjective"]
    assert [len(set(adjectives[name])) for name in ("neg", "pos")] == [35, 35]
    assert not set(adjectives["neg"]) & set(adjectives["pos"])
    (text,) = prompt.prompts([1], NAMES, np.random.default_rng(0))
    pattern = r"Write one [a-z ]+ sentence from a positive book review saying the book is ([a-z]+)\."
    assert re.fullmatch(pattern, text)[1] in adjectives["pos"]
    assert prompt.scoring_prompt("neg") == 'In a negative book review, the critic wrote: "'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"template": "A review."}, "does not contain {label}"),
        ({"template": "{label} {tone}"}, "{tone}, which nothing fills"),
        ({"template": "{label}", "style": "poem"}, "style='poem'"),
        ({"template": 3}, "template=3 must be a text"),
        ({"template": "{label}", "num_examples": 0}, "num_examples=0"),
        ({"template": "{label}", "num_examples": "2"}, "num_examples='2' must be an integer"),
        ({"template": "{label}", "examples": ["a"]}, r"examples=\['a'\] must be a dictionary"),
        ({"template": "{label} {tone}", "attributes": {"tone": [1]}}, r"tone=\[1\] must be a list"),
        ({"template": "{label}", "examples": {"neg": ["a"]}}, "does not contain {examples}"),
        ({"template": "{label} {tone}", "attributes": {"tone": []}}, r"tone=\[\] must be a list"),
        ({"template": "{label} {tone}", "attributes": {"tone": {"neg": "dull"}}}, r"tone\['neg'\]='dull' must be"),
        ({"template": "{label}", "attributes": {"label": ["x"]}}, "Use another name"),
        ({"template": "{label}", "scoring_template": "{label} {x}"}, "scoring_template="),
    ],
)
def test_an_instruct_prompt_that_cannot_work_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        InstructPrompt(**arguments)


def test_what_of_a_subject_is_judged():
    film = InstructPrompt.for_sentiment()
    texts = film.prompts([0] * 300, ["negative", "positive"], np.random.default_rng(0))
    aspects = {re.search(r"saying the (\w+) is", text)[1] for text in texts}
    assert {"film", "plot", "acting"} < aspects
    assert len(set(texts)) > 270
    hotel = InstructPrompt.for_sentiment(subject="hotel", aspects=["room"])
    assert "saying the room is" in hotel.prompts([0], ["negative", "positive"], np.random.default_rng(0))[0]


def test_the_prompt_for_two_sentiments_is_the_one_of_earlier_versions():
    """Its texts are kept under a hash of it."""
    values = json.dumps(InstructPrompt.for_sentiment("neg", "pos", "book").to_dict(), sort_keys=True)
    assert hashlib.sha256(values.encode()).hexdigest()[:16] == "7a9c0a15565216a4"


def test_a_prompt_for_labels_names_them_in_words():
    names = ["card_arrival", "CardLinking", "0"]
    prompt = InstructPrompt.for_labels(
        names,
        kind="message to a bank",
        descriptions={"0": "closing an account"},
        attributes={"tone": ["polite"], "bank_branch": {name: [name[0]] for name in names}},
    )
    assert prompt.prompts([0, 1, 2], names, np.random.default_rng(0)) == [
        "Write one message to a bank about card arrival (tone: polite; bank branch: c).",
        "Write one message to a bank about card linking (tone: polite; bank branch: C).",
        "Write one message to a bank about closing an account (tone: polite; bank branch: 0).",
    ]
    assert prompt.scoring_prompt("card_arrival") == 'In a message to a bank about card arrival, they wrote: "'


def test_a_prompt_for_labels_shows_examples_of_the_label():
    options = {"kind": "note", "examples": {"neg": ["a\nb"], "pos": ["c"]}}
    shown = 'Each of these is a note about neg:\n"a b"\n\nWrite one more'
    for attributes, end in (({}, "."), ({"tone": ["sad"]}, " (tone: sad).")):
        prompt = InstructPrompt.for_labels(NAMES, attributes=attributes, **options)
        assert prompt.prompts([0], NAMES, np.random.default_rng(0)) == [shown + end]


def test_a_template_of_ones_own_takes_the_place_of_the_one_for_labels():
    prompt = InstructPrompt.for_labels(NAMES, template="Say {label} in {place}.", attributes={"place": ["a bar"]})
    assert prompt.prompts([1], NAMES, np.random.default_rng(0)) == ["Say pos in a bar."]


def test_a_prompt_for_labels_names_a_word_of_the_class():
    examples = {"neg": ["dull"], "pos": ["warm"]}
    prompt = InstructPrompt.for_labels(NAMES, kind="note", examples=examples, attributes={"tone": ["sad"]})
    assert prompt.prompts([1], NAMES, np.random.default_rng(0)) == [
        'Each of these is a note about pos:\n"warm"\n\nWrite one more, with the word "warm" (tone: sad).'
    ]
    prompt = InstructPrompt.for_labels(NAMES, kind="note", attributes={"word": ["bleak"]})
    assert prompt.prompts([1], NAMES, np.random.default_rng(0)) == ['Write one note about pos, with the word "bleak".']


def test_words_of_the_examples_vary_a_prompt_that_asks_for_them():
    examples = {"neg": ["a dull film", "dull, dull"], "pos": ["a warm film", "warm and long"]}
    prompt = InstructPrompt.for_labels(NAMES, template='{label} with "{word}"', examples=examples)
    # Nothing shows the texts themselves.
    assert prompt.examples == {}
    drawn = set(prompt.prompts([0, 1] * 50, NAMES, np.random.default_rng(0)))
    assert drawn == {'neg with "dull"', 'pos with "warm"', 'pos with "and"', 'pos with "long"'}
    own = {"word": ["bleak"]}
    prompt = InstructPrompt.for_labels(NAMES, template='{label} "{word}"', examples=examples, attributes=own)
    assert prompt.prompts([0], NAMES, np.random.default_rng(0)) == ['neg "bleak"']
    with pytest.raises(ValueError, match="word}, which nothing fills"):
        InstructPrompt.for_labels(NAMES, template='{label} "{word}"', examples={"neg": ["退款"], "pos": ["a b"]})


def test_of_a_long_example_the_beginning_is_shown():
    prompt = InstructPrompt("{examples} {label}", examples={"neg": ["so " * 100]})
    assert prompt.prompts([0], ["neg"], np.random.default_rng(0)) == [f'"{"so " * 59}so" neg']


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["0", "1"], {}, r"label_names has \['0', '1'\], which do not say what the classes are"),
        (["Card Arrival", "card_arrival", "x"], {}, r"\['Card Arrival', 'card_arrival'\] read as 'card arrival'"),
        (NAMES, {"descriptions": {"positive": "good"}}, r"descriptions has \['positive'\]"),
        (NAMES, {"descriptions": {"neg": "good", "pos": "good"}}, "read as 'good'"),
        (NAMES, {"attributes": {"tone": {"neg": ["sad"]}}}, r"labels \['neg'\], but label_names=\['neg', 'pos'\]"),
        (NAMES, {"examples": {"neg": ["dull"], "pos": []}}, r"examples\['pos'\]=\[\] must be a list"),
        (NAMES, {"examples": {"neg": ["dull"], "pos": "warm"}}, r"examples\['pos'\]='warm' must be a list"),
    ],
)
def test_labels_that_a_prompt_cannot_tell_apart_are_refused(names, options, message):
    with pytest.raises(ValueError, match=message):
        InstructPrompt.for_labels(names, **options)


def test_choices_for_other_labels_than_the_datasets_are_refused():
    with pytest.raises(ValueError, match=r"labels \['negative', 'positive'\], but label_names=\['neg', 'pos'\]"):
        InstructPrompt.for_sentiment().validate(NAMES)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("A moving film.", "A moving film."),
        ("\n A moving\nfilm. \n\n This sentence is positive.", "A moving film."),
        ('"A moving film."', "A moving film."),
        ("\u201cA moving film.\u201d", "A moving film."),
        ('"A moving film that', "A moving film that"),
        ('A moving film."', "A moving film."),
        ('Sure, here\'s a sentence:\n\n"A moving film."', "A moving film."),
        ("Here\u2019s one: **A moving** film.", "Here\u2019s one: **A moving** film."),
        ("## Review\nA `moving` film.", "A `moving` film."),
        ("1. A moving film.", "A moving film."),
        ("- A moving film.", "A moving film."),
        ('"Heat" is a moving film.', '"Heat" is a moving film.'),
        ('"The "Heat" of the city."', 'The "Heat" of the city.'),
        ('"Heat" is not "Cold"', '"Heat" is not "Cold"'),
        ("It's 'great'", "It's 'great'"),
        ("The verdict: a moving film.", "The verdict: a moving film."),
        ("", ""),
        ('"', ""),
    ],
)
def test_the_text_of_a_chat_answer(answer, text):
    assert InstructPrompt("{label}").extract(answer) == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ('A moving film." She added', "A moving film."),
        ("A moving film.\u201d She added", "A moving film."),
        ("A moving film\nNext", "A moving film"),
        (" Here is a sentence: it moves", "Here is a sentence: it moves"),
    ],
)
def test_the_text_of_a_continued_opening_ends_with_its_quotation(answer, text):
    assert InstructPrompt('{label}: "', style="continue").extract(answer) == text


@pytest.mark.parametrize(
    "prompt",
    [
        LabelPrompt("<{label}>"),
        InstructPrompt.for_sentiment(subject="hotel"),
        InstructPrompt("{label} {examples}", examples={"a": ["x"]}, num_examples=1, style="continue"),
    ],
)
def test_a_prompt_survives_json(prompt):
    values = json.loads(json.dumps(prompt.to_dict()))
    assert values["type"] == type(prompt).__name__
    assert Prompt.from_dict(values) == prompt


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"type": "os.system"}, "type='os.system' is no prompt"),
        ({"template": "{label}"}, "type=None"),
        ({"type": "InstructPrompt", "style": "chat"}, r"InstructPrompt needs \['template'\]"),
        ({"type": "LabelPrompt", "template": "{label}", "code": "x"}, r"\['code'\] are no arguments of LabelPrompt"),
    ],
)
def test_a_file_that_describes_no_prompt_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Prompt.from_dict(values)


def test_a_prompt_is_read_from_a_file_that_errors_name(tmp_path):
    prompt, path = InstructPrompt.for_sentiment(), tmp_path / "prompt.json"
    path.write_text(json.dumps(prompt.to_dict()))
    assert read_prompt(path) == prompt
    for content, message in (('{"type": "Prose"}', "describes no prompt: type='Prose'"), ("[]", "no JSON object")):
        path.write_text(content)
        with pytest.raises(ValueError, match=message) as error:
            read_prompt(path)
        assert str(path) in str(error.value)


def test_a_text_is_shown_in_the_place_of_the_examples_or_as_one_to_write_another_like():
    rng = np.random.default_rng
    shown = InstructPrompt.for_labels(["lost", "fee"], examples={"lost": ["I lost it"], "fee": ["why this fee"]})
    prompt = shown.prompt_like("fee", "what\nis charged", rng(0))
    assert '"what is charged"' in prompt
    assert "why this fee" not in prompt
    assert "{" not in prompt
    bare = InstructPrompt("Write one {label} text.")
    assert bare.prompt_like("fee", "the fee", rng(0)) == (
        'Write one fee text.\nLet it be another one like this:\n"the fee"'
    )
    opened = InstructPrompt('A {label} text: "', style="continue", scoring_template='In a {label} text: "')
    assert opened.prompt_like("fee", "the fee", rng(0)) == 'In a fee text: "the fee"\nA fee text: "'
    long = bare.prompt_like("fee", "word " * 100, rng(0))
    assert long.count("word") == 60
    # Braces in it are data.
    assert "{label}" in bare.prompt_like("fee", "{label}", rng(0))
    assert not LabelPrompt.takes_seed_texts
    with pytest.raises(NotImplementedError, match="LabelPrompt has no place for a text"):
        LabelPrompt().prompt_like("fee", "x", rng(0))
