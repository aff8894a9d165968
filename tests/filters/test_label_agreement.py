"""Whom the filter asks, what it makes of the answer, and how a reference is identified."""

import copy
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from hf_augment.filters import ClassifierReference, LabelAgreement, OutOfFoldReference
from hf_augment.schema import weights_fingerprint


WORDS = ["a", "dull", "bright", "film", "story", "very", "short", "long"]


@pytest.fixture(scope="module")
def tokenizer():
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(WORDS) + 2,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=16,
            num_labels=3,
            initializer_range=1.0,
        )
        return BertForSequenceClassification(config)


def examples(*texts):
    return [{"text": text} for text in texts]


def saying(*rows):
    """A reference that says the same whatever it is asked."""
    return lambda asked: np.array(rows)


def accepted(verdicts):
    return [verdict.accepted for verdict in verdicts]


def test_the_requested_labels_probability_decides():
    agreement = LabelAgreement(saying([0.09, 0.91], [0.5, 0.5], [0.49, 0.51]), label_names=["neg", "pos"])
    verdicts = agreement.judge(examples("a", "b", "c"), [1, 0, 0])
    assert accepted(verdicts) == [True, True, False]
    assert [verdict.score for verdict in verdicts] == [0.91, 0.5, 0.49]
    assert verdicts[0].reason == "reference says pos (0.91)"
    assert verdicts[0].label_probabilities == (0.09, 0.91)
    assert LabelAgreement(saying([0.2, 0.8])).judge(examples("a"), [0])[0].reason == "reference says class 1 (0.80)"


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.01, [False, True, False, False]),
        (0.5, [True, True, False, False]),
        (0.51, [True, True, False, True]),
        (1, [True] * 4),
    ],
)
def test_target_acceptance_is_the_best_share_rounded_up_with_ties_in_order(share, expected):
    agreement = LabelAgreement(saying([0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.6, 0.4]), target_acceptance=share)
    assert accepted(agreement.judge(examples(*"abcd"), [0] * 4)) == expected


def test_target_acceptance_is_not_led_astray_by_rounding():
    agreement = LabelAgreement(saying(*[[0.4, 0.6]] * 100), target_acceptance=0.55)
    assert sum(accepted(agreement.judge(examples(*["a"] * 100), [0] * 100))) == 55


def test_no_candidates_ask_nobody():
    assert LabelAgreement(lambda asked: 1 / 0).judge([], []) == []


def test_classifier_reference_is_the_softmax_of_the_model(model, tokenizer):
    texts = ["a dull film", "bright", "a very very long story", "unknown words", "short film"]
    reference = ClassifierReference(model.train(), tokenizer, max_length=4, batch_size=2)
    global_states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    probabilities = reference(examples(*texts))
    assert torch.equal(torch.get_rng_state(), global_states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == global_states[1:]
    for text, row in zip(texts, probabilities, strict=True):
        ids = [tokenizer.convert_tokens_to_ids(word) for word in text.split()][:4]
        logits = model(input_ids=torch.tensor([ids])).logits[0]
        np.testing.assert_allclose(row, logits.softmax(-1).detach(), atol=1e-6)
    assert probabilities.max() > 0.5  # not merely uniform
    assert reference([]).shape == (0, 3)


def test_classifier_reference_has_its_own_tokenizer(model, tokenizer):
    reference = ClassifierReference(model, tokenizer)
    before = reference(examples("a very long story"))
    mine = tokenizer.backend_tokenizer
    assert reference.tokenizer.backend_tokenizer is not mine
    mine.enable_truncation(1)
    np.testing.assert_array_equal(reference(examples("a very long story")), before)
    mine.no_truncation()


def test_classifier_reference_fingerprint(model, tokenizer):
    reference = ClassifierReference(model, tokenizer)
    fingerprint = reference.fingerprint()
    assert ClassifierReference(copy.deepcopy(model), tokenizer, batch_size=1).fingerprint() == fingerprint
    assert ClassifierReference(model, tokenizer, max_length=64).fingerprint() != fingerprint
    more = copy.deepcopy(tokenizer)
    more.add_tokens(["dull film"])
    assert ClassifierReference(model, more).fingerprint() != fingerprint
    assert LabelAgreement(reference).fingerprint() == f"label_agreement(threshold=0.5, reference={fingerprint})"
    assert LabelAgreement(reference, target_acceptance=1).fingerprint() == (
        f"label_agreement(target_acceptance=1.0, reference={fingerprint})"
    )
    model.classifier.bias.data[0] += 1
    assert reference.fingerprint() != fingerprint


def test_the_order_of_classes_must_agree(model, tokenizer):
    model.config.id2label = {0: "neg", 1: "neutral", 2: "pos"}
    reference = ClassifierReference(model, tokenizer)
    LabelAgreement(reference, label_names=("neg", "neutral", "pos"))
    LabelAgreement(reference, label_names=["bad", "fair", "good"])
    with pytest.raises(ValueError, match=r"`label_names` is \['pos', 'neutral', 'neg'\], but the reference has"):
        LabelAgreement(reference, label_names=["pos", "neutral", "neg"])


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(" ".join), min_size=2, unique=True),
    st.integers(2, 4),
)
def test_a_memorised_row_is_never_judged_by_who_saw_it(rows, count):
    folds = [rows[fold::count] for fold in range(min(count, len(rows)))]

    def trained_without(fold):
        def reference(asked):
            assert {example["text"] for example in asked} <= set(folds[fold])
            return np.tile([fold, 1 - fold], (len(asked), 1))

        return reference

    reference = OutOfFoldReference([trained_without(fold) for fold in range(len(folds))], folds)
    shuffled = random.Random(0).sample(rows, len(rows))
    expected = [next(fold for fold, texts in enumerate(folds) if text in texts) for text in shuffled]
    assert reference(examples(*shuffled))[:, 0].tolist() == expected


def test_the_nearest_row_chooses_the_reference():
    folds = [["a dull film", "such a long story"], ["a bright film", "what music"], ["a dull story"]]
    reference = OutOfFoldReference([saying([1, 0])] * 3, folds)
    nearest = reference.folds_of(examples("bright bright film", "The music!", "a dull, dull story", "nothing known"))
    assert nearest == [1, 1, 2, 0]
    reordered = OutOfFoldReference([saying([1, 0])] * 2, [["film dull"], ["dull film"]])
    assert reordered.folds_of(examples("dull film", "film dull", "Dull film")) == [1, 0, 0]
    assert reference([]).shape == (0,)


def test_out_of_fold_fingerprint():
    def make(folds):
        return OutOfFoldReference([saying([1, 0])] * 2, folds).fingerprint()

    assert make([["a b"], ["c", "d"]]) == make([["a b"], ["c", "d"]])
    assert make([["a b"], ["c", "d"]]) != make([["a b", "c"], ["d"]])


def test_weights_fingerprint_covers_names_dtypes_shapes_and_bytes():
    def module(**tensors):
        result = torch.nn.Module()
        for name, tensor in tensors.items():
            result.register_buffer(name, tensor)
        return result

    zeros = torch.zeros(2, 3)
    different = [
        module(),
        module(a=zeros),
        module(b=zeros),
        module(a=zeros, b=zeros),
        module(a=zeros.reshape(3, 2)),
        module(a=zeros.int()),
        module(a=zeros.bfloat16()),
        module(a=-zeros),
        module(a=torch.ones(2, 3).bfloat16()),
        module(a=torch.tensor(True)),
        module(a=torch.empty(0)),
    ]
    fingerprints = [weights_fingerprint(each) for each in different]
    assert len(set(fingerprints)) == len(fingerprints)
    assert all(len(fingerprint) == 16 and int(fingerprint, 16) >= 0 for fingerprint in fingerprints)
    # The order of registration and the memory layout are no part of it, and hashing changes nothing.
    values = torch.arange(6.0).reshape(2, 3)
    transposed = values.t().contiguous().t()
    assert weights_fingerprint(module(a=zeros, b=values)) == weights_fingerprint(module(b=transposed, a=zeros))


def test_weights_fingerprint_of_tied_weights():
    def tied(tie):
        first, second = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False)
        first.weight.data.fill_(1)
        second.weight.data.fill_(1)
        if tie:
            second.weight = first.weight
        return torch.nn.Sequential(first, second)

    assert weights_fingerprint(tied(True)) == weights_fingerprint(tied(False))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LabelAgreement("model"), "`reference` must be callable, but is 'model'"),
        (lambda: LabelAgreement(len, 0.5, 0.5), "`min_probability` and `target_acceptance` exclude each other"),
        (lambda: LabelAgreement(len, 50), "`min_probability` must be a number between 0 and 1, but is 50"),
        (lambda: LabelAgreement(len, target_acceptance=0), "`target_acceptance` must be above 0"),
        (lambda: LabelAgreement(len, target_acceptance=-1), "`target_acceptance`.*-1"),
        (lambda: LabelAgreement(saying([2.0, -3.0])).judge([{}], [0]), "Apply a softmax"),
        (lambda: LabelAgreement(saying([np.nan, 1])).judge([{}], [0]), "must return probabilities"),
        (lambda: LabelAgreement(saying([0.5, 0.5])).judge([{}, {}], [0, 0]), r"shape \(2, num_labels\).*\(1, 2\)"),
        (lambda: LabelAgreement(saying([1, 0]), label_names="abc").judge([{}], [0]), r"\(1, 3\).*\(1, 2\)"),
        (lambda: LabelAgreement(saying([0.5, 0.5])).judge([{}], [2]), "`labels` go from 2 to 2"),
        (lambda: OutOfFoldReference([len], [["a"]]), "at least 2, but are 1 and 1"),
        (lambda: OutOfFoldReference([len, len], [["a"]]), "equally many and at least 2, but are 2 and 1"),
        (lambda: OutOfFoldReference([len, len], [["a"], []]), r"`folds\[1\]` must hold at least one text"),
        (lambda: OutOfFoldReference([len, len], [["a"], ["b", "a"]]), "folds 0 and 1 both have 'a'"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_models_are_named(model, tokenizer):
    with pytest.raises(ValueError, match="`max_length` must be a whole number of at least 1, but is 0"):
        ClassifierReference(model, tokenizer, max_length=0)
    with pytest.raises(ValueError, match=r"`batch_size`.*2\.5"):
        ClassifierReference(model, tokenizer, batch_size=2.5)
    model.config.problem_type = "multi_label_classification"
    with pytest.raises(ValueError, match="problem_type='multi_label_classification'"):
        ClassifierReference(model, tokenizer)
