"""A language model asked for labels, against the naive way: one text at a time, all of the prompt read anew."""

import numpy as np
import pytest
import torch

from hf_augment import LabelAgreement, PromptedClassifier
from tests.tiny import tiny_causal_lm, tiny_tokenizer


NAMES = ["negative", "positive", "neither"]
TOKENIZER = tiny_tokenizer()
# It knows letters only; answers are told apart by their first token.
TOKENIZER.add_tokens([f" {name}" for name in NAMES])
EXAMPLES = [(f"{'abc'[label]}{i}", label) for i in range(4) for label in range(3)]
TEXTS = ["a dull film", "a moving story that is told well", "x", "what\n a   mess"]


def make(kind="llama", **options):
    return PromptedClassifier(tiny_causal_lm(TOKENIZER, kind), TOKENIZER, NAMES, **options)


def ask(texts):
    return [{"text": text} for text in texts]


def naive(classifier, kind, head, text):
    """The log-probabilities of the answers, read in one go."""
    prompt = head + classifier.template.replace("{text}", " ".join(text.split()))
    ids = TOKENIZER(prompt, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = tiny_causal_lm(TOKENIZER, kind)(input_ids=ids).logits[0, -1]
    return logits[-3:].double().log_softmax(-1).numpy()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_it_says_what_the_naive_way_says(kind, batch_size):
    classifier = make(kind, examples=EXAMPLES, demonstrations=1, opinions=3, batch_size=batch_size)
    expected = []
    for head in classifier._heads:
        shown = [text for text, _ in EXAMPLES if f" {text}\n" in head]
        assert len(shown) == 3
        rest = [text for text, _ in EXAMPLES if text not in shown]
        offset = np.mean([naive(classifier, kind, head, text) for text in rest], axis=0)
        expected.append([naive(classifier, kind, head, text) - offset for text in TEXTS])
    logits = np.mean(expected, axis=0)
    weights = np.exp(logits)
    # The cache and the padding change the order of sums in float32.
    np.testing.assert_allclose(classifier(ask(TEXTS)), weights / weights.sum(1, keepdims=True), atol=2e-5)


def test_without_examples_it_is_asked_once_and_as_it_is():
    classifier = make(opinions=5)
    assert classifier._heads == [""]
    expected = np.exp([naive(classifier, "llama", "", text) for text in TEXTS])
    np.testing.assert_allclose(classifier(ask(TEXTS)), expected, atol=2e-5)


def test_demonstrations_are_labelled_texts_of_every_class_and_each_opinion_has_others():
    classifier = make(examples=EXAMPLES, demonstrations=2, opinions=2)
    assert classifier._heads[0] != classifier._heads[1]
    for head in classifier._heads:
        for label, name in enumerate(NAMES):
            turns = [f"Text: {text}\nLabel: {name}\n\n" for text, of in EXAMPLES if of == label]
            assert sum(turn in head for turn in turns) == 2


def test_all_examples_as_demonstrations_leave_none_to_calibrate_with():
    classifier = make(examples=EXAMPLES, demonstrations=4, opinions=1)
    assert classifier._offsets[0].tolist() == [0, 0, 0]
    assert make(examples=EXAMPLES, demonstrations=3, opinions=1)._offsets[0].any()


def test_calibrated_answers_lean_to_no_class():
    classifier = make(examples=EXAMPLES, demonstrations=0)
    answers = np.log(classifier(ask([text for text, _ in EXAMPLES])))
    np.testing.assert_allclose(answers.mean(axis=0), answers.mean(), atol=1e-3)


def test_the_seed_decides_on_demonstrations_and_the_fingerprint_follows():
    first, second, other = (make(examples=EXAMPLES, seed=seed) for seed in (0, 0, 1))
    assert first._heads == second._heads != other._heads
    assert first.fingerprint() == second.fingerprint() != other.fingerprint()
    assert first.fingerprint() != make(examples=EXAMPLES, template="{text}:").fingerprint()
    agreement = LabelAgreement(first, 0.0, label_names=NAMES)
    assert first.fingerprint() in agreement.fingerprint()
    verdicts = agreement.judge(ask(TEXTS), [0, 1, 2, 0])
    np.testing.assert_array_equal([verdict.label_probabilities for verdict in verdicts], first(ask(TEXTS)))


def test_answers_that_begin_alike_are_told_apart_where_they_differ():
    letters = tiny_tokenizer()
    names = ["bad", "bold"]
    classifier = PromptedClassifier(tiny_causal_lm(letters), letters, names)
    ids = letters("Text: x\nLabel: b", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = tiny_causal_lm(letters)(input_ids=ids).logits[0, -1, letters("ao")["input_ids"]]
    np.testing.assert_allclose(classifier(ask("x"))[0], logits.double().softmax(-1), atol=2e-5)


def test_nothing_asked_nothing_answered():
    assert make(examples=EXAMPLES)([]).shape == (0, 3)


def test_braces_in_a_text_are_no_field():
    classifier = make()
    assert classifier._question("{text} {label}") == "Text: {text} {label}\nLabel:"


def test_it_does_not_touch_the_global_random_state():
    state = torch.get_rng_state()
    make("gpt2", examples=EXAMPLES)(ask(TEXTS))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "Label:"}, "does not contain {text}"),
        ({"template": "{text} {label}"}, "contains {label}"),
        ({"demonstrations": -1}, "demonstrations=-1"),
        ({"opinions": 0}, "opinions=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"answers": {"negative": "positive"}}, "not told apart"),
        ({"answers": {"negative": "positively"}}, "not told apart"),
        ({"examples": [("x", 3)]}, r"labels \[3\]"),
        ({"examples": EXAMPLES[:2]}, "has 0 of 'neither'"),
        ({"examples": EXAMPLES, "demonstrations": 5}, "has 4 of 'negative'"),
        ({"examples": [(text * 90, label) for text, label in EXAMPLES], "demonstrations": 1}, "does not fit"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_one_class_or_the_same_twice_is_refused():
    for names in (["a"], ["a", "a"]):
        with pytest.raises(ValueError, match="label_names"):
            PromptedClassifier(tiny_causal_lm(TOKENIZER), TOKENIZER, names)
