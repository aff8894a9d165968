"""A language model asked for labels, against the naive way: one text at a time, all of the prompt read anew."""

import string

import numpy as np
import pytest
import torch

from hf_augment import LabelAgreement, PromptedJudge
from tests.tiny import tiny_causal_lm, tiny_tokenizer


NAMES = ["negative", "positive", "neither"]
TOKENIZER = tiny_tokenizer()
# It knows letters only; answers are told apart by their first token.
TOKENIZER.add_tokens([f" {name}" for name in NAMES])
EXAMPLES = [(f"{'abc'[label]}{i}", label) for i in range(4) for label in range(3)]
#: More of the first class.
UNEVEN = [*EXAMPLES, ("a4", 0), ("a5", 0)]
TEXTS = ["a dull film", "a moving story that is told well", "x", "what\n a   mess"]


def make(kind="llama", **options):
    return PromptedJudge(tiny_causal_lm(TOKENIZER, kind), TOKENIZER, NAMES, **options)


def ask(texts):
    return [{"text": text} for text in texts]


def naive(classifier, kind, head, text):
    """The log-probabilities of the answers, read in one go."""
    prompt = (f"{head}\n\n" if head else "") + classifier.template.replace("{text}", " ".join(text.split()))
    ids = TOKENIZER(prompt, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = tiny_causal_lm(TOKENIZER, kind)(input_ids=ids).logits[0, -1]
    return logits[TOKENIZER.convert_tokens_to_ids([f" {name}" for name in NAMES])].double().log_softmax(-1).numpy()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("budget", [1, 200, 2048])
def test_it_says_what_the_naive_way_says(kind, budget, monkeypatch):
    monkeypatch.setattr("hf_augment.judges.prompted.SCORED_TOKENS", budget)
    classifier = make(kind, examples=UNEVEN, demonstrations=1, opinions=3)
    assert all(opinion.cache is not None for opinion in classifier._opinions)
    expected = []
    for opinion in classifier._opinions:
        shown = [text for text, _ in UNEVEN if f" {text}\n" in opinion.head]
        assert len(shown) == 3
        # As many of each class: one has four texts, of which one is shown.
        assert not set(shown) & set(opinion.calibrating)
        assert [sum((text, label) in UNEVEN for text in opinion.calibrating) for label in range(3)] == [3, 3, 3]
        offset = np.mean([naive(classifier, kind, opinion.head, text) for text in opinion.calibrating], axis=0)
        expected.append([naive(classifier, kind, opinion.head, text) - offset for text in TEXTS])
    weights = np.exp(np.mean(expected, axis=0))
    # The cache and the padding change the order of sums in float32.
    np.testing.assert_allclose(classifier(ask(TEXTS)), weights / weights.sum(1, keepdims=True), atol=2e-5)


def test_questions_follow_demonstrations_as_these_follow_each_other():
    """Where two parts meet, a tokenizer may join letters: one token for two line breaks, here."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["\n\n", *(f" {name}" for name in NAMES)])
    classifier = PromptedJudge(tiny_causal_lm(tokenizer), tokenizer, NAMES, examples=EXAMPLES, demonstrations=2)
    (row,) = classifier._rows(classifier._opinions[0], ["x"])
    breaks = tokenizer.convert_tokens_to_ids("\n\n")
    assert row.count(breaks) == 6
    assert row == tokenizer(f"{classifier._opinions[0].head}\n\nText: x\nLabel:")["input_ids"]


def test_a_model_that_forgets_what_it_read_reads_it_with_every_text():
    """RWKV takes the cache, and ignores it."""

    class Forgetful(type(tiny_causal_lm(TOKENIZER))):
        def forward(self, cache=None, use_cache=None, **inputs):
            if cache is not None and not cache.get_seq_length():
                return super().forward(cache=cache, use_cache=True, **inputs)
            # What is remembered is masked out.
            seen = inputs["input_ids"].shape[1]
            mask = inputs["attention_mask"][:, -seen:] if cache is not None else inputs["attention_mask"]
            return super().forward(**(inputs | {"attention_mask": mask}), use_cache=False)

    model = tiny_causal_lm(TOKENIZER)
    expected = PromptedJudge(model, TOKENIZER, NAMES, examples=EXAMPLES)(ask(TEXTS))
    model.__class__ = Forgetful
    classifier = PromptedJudge(model, TOKENIZER, NAMES, examples=EXAMPLES)
    assert [opinion.cache for opinion in classifier._opinions] == [None, None]
    np.testing.assert_allclose(classifier(ask(TEXTS)), expected, atol=2e-5)


def test_without_examples_it_is_asked_once_and_as_it_is():
    classifier = make(opinions=5)
    assert [opinion.head for opinion in classifier._opinions] == [""]
    expected = np.exp([naive(classifier, "llama", "", text) for text in TEXTS])
    np.testing.assert_allclose(classifier(ask(TEXTS)), expected, atol=2e-5)


def heads(classifier):
    return [opinion.head for opinion in classifier._opinions]


def test_demonstrations_are_labelled_texts_of_every_class_and_each_opinion_has_others():
    classifier = make(examples=EXAMPLES, demonstrations=2, opinions=2)
    for label, name in enumerate(NAMES):
        turns = [f"Text: {text}\nLabel: {name}" for text, of in EXAMPLES if of == label]
        shown = [{turn for turn in turns if turn in head.split("\n\n")} for head in heads(classifier)]
        assert [len(of) for of in shown] == [2, 2]
        assert not set.intersection(*shown)


def test_there_are_as_many_opinions_as_examples_suffice_for():
    assert len(heads(make(examples=EXAMPLES, demonstrations=1, opinions=9))) == 4
    assert len(heads(make(examples=EXAMPLES, demonstrations=3, opinions=9))) == 1
    # The same text twice is one.
    assert len(heads(make(examples=EXAMPLES * 2, demonstrations=1, opinions=9))) == 4


def test_all_examples_as_demonstrations_leave_none_to_calibrate_with():
    (opinion,) = make(examples=EXAMPLES, demonstrations=4, opinions=1)._opinions
    assert (opinion.calibrating, opinion.offset) == ([], 0)
    (opinion,) = make(examples=EXAMPLES, demonstrations=3, opinions=1)._opinions
    assert len(opinion.calibrating) == 3
    assert opinion.offset.any()


def test_many_classes_are_calibrated_with_one_text_each():
    names = [*string.ascii_letters, *string.digits, *"!#$%&()*"]
    tokenizer = tiny_tokenizer()
    examples = [(f"{name}{i}", label) for label, name in enumerate(names) for i in range(2)]
    options = {"examples": examples, "demonstrations": 0, "template": "{text}:"}
    classifier = PromptedJudge(tiny_causal_lm(tokenizer), tokenizer, names, **options)
    assert len(classifier._opinions[0].calibrating) == 70


def test_a_text_that_does_not_fit_is_cut():
    classifier = make(examples=EXAMPLES)
    long = "ab " * 400
    (row,) = classifier._rows(classifier._opinions[0], [long])
    assert 200 < len(row) <= 256
    assert TOKENIZER.decode(row).endswith("ab\nLabel:") or TOKENIZER.decode(row).endswith("a\nLabel:")
    assert classifier(ask([long])).sum() == pytest.approx(1)


def test_a_special_token_that_a_text_spells_out_is_letters():
    classifier = make()
    (row,) = classifier._rows(classifier._opinions[0], ["good<end>"])
    assert TOKENIZER.eos_token_id not in row


def test_calibrated_answers_lean_to_no_class():
    classifier = make(examples=EXAMPLES, demonstrations=0)
    answers = np.log(classifier(ask([text for text, _ in EXAMPLES])))
    np.testing.assert_allclose(answers.mean(axis=0), answers.mean(), atol=1e-3)


def test_the_seed_decides_on_demonstrations_and_the_fingerprint_follows():
    first, second, other = (make(examples=EXAMPLES, seed=seed) for seed in (0, 0, 1))
    assert heads(first) == heads(second) != heads(other)
    assert first.fingerprint() == second.fingerprint() != other.fingerprint()
    changed = [
        make("gpt2", examples=EXAMPLES),
        make(examples=EXAMPLES, template="{text}:"),
        make(examples=EXAMPLES, answers={"neither": "both"}),
        make(examples=EXAMPLES, text_column="review"),
        # These are not shown, but calibrate.
        make(examples=[*EXAMPLES, ("a9", 0), ("b9", 1), ("c9", 2)]),
    ]
    assert len({first.fingerprint(), *(classifier.fingerprint() for classifier in changed)}) == 6
    agreement = LabelAgreement(first, 0.0, label_names=NAMES)
    assert first.fingerprint() in agreement.fingerprint()
    verdicts = agreement.judge(ask(TEXTS), [0, 1, 2, 0])
    np.testing.assert_array_equal([verdict.label_probabilities for verdict in verdicts], first(ask(TEXTS)))


def test_answers_that_begin_alike_are_told_apart_where_they_differ():
    letters = tiny_tokenizer()
    names = ["bad", "bold"]
    classifier = PromptedJudge(tiny_causal_lm(letters), letters, names)
    ids = letters("Text: x\nLabel: b", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = tiny_causal_lm(letters)(input_ids=ids).logits[0, -1, letters("ao")["input_ids"]]
    np.testing.assert_allclose(classifier(ask("x"))[0], logits.double().softmax(-1), atol=2e-5)


def test_answers_part_at_several_tokens_and_one_may_begin_another():
    letters, names = tiny_tokenizer(), ["bad", "bold", "bad luck", "x"]
    classifier = PromptedJudge(tiny_causal_lm(letters), letters, names)

    def given(begun, tokens):
        ids = letters(f"Text: x\nLabel:{begun}", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = tiny_causal_lm(letters)(input_ids=ids).logits[0, -1, letters(tokens)["input_ids"]]
        return logits.double().softmax(-1).numpy()

    (b, x), (a, o), (end, more) = given(" ", "bx"), given(" b", "ao"), given(" bad", "\n ")
    np.testing.assert_allclose(classifier(ask("x"))[0], [b * a * end, b * o, b * a * more, x], atol=2e-5)


def test_nothing_asked_nothing_answered():
    assert make(examples=EXAMPLES)([]).shape == (0, 3)


def test_braces_in_a_text_are_no_field():
    classifier = make()
    assert classifier._question("{text} {label}") == "Text: {text} {label}\nLabel:"


def test_it_does_not_touch_the_global_random_state():
    state = torch.get_rng_state()
    # GPT-2 has dropout.
    model = tiny_causal_lm(TOKENIZER, "gpt2").train()
    PromptedJudge(model, TOKENIZER, NAMES, examples=EXAMPLES)(ask(TEXTS))
    assert model.training
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "Label:"}, "does not contain {text}"),
        ({"template": "{text} {label}:"}, "contains {label}"),
        ({"template": "Text: {text} "}, "asks nothing"),
        ({"demonstrations": -1}, "demonstrations=-1"),
        ({"opinions": 0}, "opinions=0"),
        ({"answers": {"negativ": "bad"}}, r"answers has \['negativ'\]"),
        ({"answers": {"negative": "positive"}}, "has one twice"),
        ({"examples": [("x", 3)]}, r"labels \[3\]"),
        ({"examples": EXAMPLES[:2], "demonstrations": 0}, "0 texts of 'neither'"),
        ({"examples": EXAMPLES, "demonstrations": 5}, "4 texts of 'negative'"),
        ({"examples": [(text * 90, label) for text, label in EXAMPLES], "demonstrations": 1}, "the model reads 256"),
        ({"template": "x" * 300 + "{text}:"}, "the model reads 256"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_one_class_or_the_same_twice_is_refused():
    for names in (["a"], ["a", "a"]):
        with pytest.raises(ValueError, match="label_names"):
            PromptedJudge(tiny_causal_lm(TOKENIZER), TOKENIZER, names)


@pytest.mark.parametrize("example", [{}, {"text": None}, {"text": 3}])
def test_an_example_without_a_text_is_refused(example):
    with pytest.raises(ValueError, match="text_column='text'"):
        make()([example])
