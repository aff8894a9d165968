"""The three operations against what each may do, and words of tokens under real tokenizers."""

import doctest
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import DataCollatorWithPadding, PreTrainedTokenizerFast

from hf_augment.blending.dataset import BlendingCollator
from hf_augment.blending.sampler import Batch
from hf_augment.perturbations.easy_augmentation import EasyDataAugmentation, TokenAugmentation, augment_words
from tests.tiny import tiny_tokenizer


def is_subsequence(part, whole):
    rest = iter(whole)
    return all(item in rest for item in part)


def operation(words, result):
    """Which operation made the result of distinct words."""
    if Counter(words) == Counter(result):
        return "none" if words == result else "swap"
    if is_subsequence(result, words):
        return "deletion"
    assert is_subsequence(words, result)
    assert set(result) == set(words)
    return "insertion"


def test_each_operation_comes_as_often_and_changes_a_share_of_the_words():
    words = list(range(40))
    results = [augment_words(words, 0.1, np.random.default_rng(seed)) for seed in range(1500)]
    by_operation: dict[str, list[list[int]]] = {}
    for result in results:
        by_operation.setdefault(operation(words, result), []).append(result)
    # Two swaps may undo each other, and deletion may leave all: (1 - 0.1) ** 40 is 1.5 %.
    assert len(by_operation["none"]) < 20
    assert all(len(by_operation[name]) / 1500 == pytest.approx(1 / 3, abs=0.04) for name in ("swap", "insertion"))
    # Four swaps move eight words at most, and here and there one comes twice.
    moved = [sum(a != b for a, b in zip(words, result, strict=True)) for result in by_operation["swap"]]
    assert max(moved) == 8
    assert np.mean(moved) == pytest.approx(7.6, abs=0.3)
    assert {len(result) for result in by_operation["insertion"]} == {44}
    lost = [40 - len(result) for result in by_operation["deletion"]]
    assert np.mean(lost) == pytest.approx(4, abs=0.3)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 12), st.floats(0.01, 1), st.integers(0, 10**6))
def test_something_is_always_left(count, alpha, seed):
    words = list(range(count))
    result = augment_words(words, alpha, np.random.default_rng(seed))
    assert words == list(range(count))
    assert result == words if count < 2 else operation(words, result)
    assert len(result) <= count + max(1, int(alpha * count))


def test_one_word_at_least_is_changed_in_short_texts():
    results = {tuple(augment_words(["a", "b"], 0.1, np.random.default_rng(seed))) for seed in range(200)}
    insertions = {("a", "b", "b"), ("b", "a", "b"), ("a", "a", "b"), ("a", "b", "a")}
    assert results == {("a", "b"), ("b", "a"), ("a",), ("b",)} | insertions


def test_texts_depend_on_seed_and_row_alone():
    augment = EasyDataAugmentation(alpha=0.3)
    texts = ["one two three four five six seven"] * 8 + ["", "alone"]
    results = augment(texts, seed=3)
    assert results == augment(texts, seed=3)
    assert results != augment(texts, seed=4)
    assert results[2] == augment(["x", "y", texts[2]], seed=3)[2]
    assert len(set(results[:8])) > 4
    assert results[8:] == ["", "alone"]


@pytest.mark.parametrize("alpha", [0, -0.1, 1.5, float("nan")])
def test_alpha_is_checked(alpha):
    with pytest.raises(ValueError, match=f"alpha={alpha}: give the share of words"):
        EasyDataAugmentation(alpha)
    with pytest.raises(ValueError, match="alpha="):
        TokenAugmentation(list, tiny_tokenizer(), alpha)


# --- tokens ------------------------------------------------------------------------------------------------------

PIECES = ["a", "b", "c", "d", "##e", "##f", "##"]


def word_piece():
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *PIECES])}
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    backend.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def augmented(tokenizer, *texts, seeds=range(200), **arguments):
    """The rows that a collator gets, by torch's seeds."""
    rows = []
    augment = TokenAugmentation(lambda batch: rows.extend(batch), tokenizer, **{"alpha": 0.3, **arguments})
    encoded = dict(tokenizer(*texts))
    for seed in seeds:
        torch.manual_seed(seed)
        augment([{**encoded, "label": 1}])
    return rows


def test_words_of_word_pieces_stay_whole_between_their_special_tokens():
    tokenizer = word_piece()
    text = "aef b ce zz d"
    results = set()
    for row in augmented(tokenizer, text):
        tokens = tokenizer.convert_ids_to_tokens(row["input_ids"])
        assert (tokens[0], tokens[-1]) == ("[CLS]", "[SEP]")
        assert row["attention_mask"] == [1] * len(tokens)
        assert row["token_type_ids"] == [0] * len(tokens)
        assert row["label"] == 1
        results.add(" ".join(tokens[1:-1]).replace(" ##", ""))
    # "zz" is unknown, and a word all the same.
    words = ["aef", "b", "ce", "[UNK]", "d"]
    assert {operation(words, result.split()) for result in results} == {"none", "swap", "deletion", "insertion"}


def test_the_texts_of_a_pair_are_augmented_apart():
    tokenizer = word_piece()
    for row in augmented(tokenizer, "a b", "c d"):
        tokens, segments = tokenizer.convert_ids_to_tokens(row["input_ids"]), row["token_type_ids"]
        assert tokens.count("[SEP]") == 2
        for token, segment in zip(tokens, segments, strict=True):
            assert {"a": 0, "b": 0, "c": 1, "d": 1}.get(token, segment) == segment
        assert segments == sorted(segments)


def test_words_of_bytes():
    tokenizer = tiny_tokenizer()
    decoded = {tokenizer.decode(row["input_ids"]) for row in augmented(tokenizer, " big old red hat")}
    assert {operation([" big", " old", " red", " hat"], [f" {w}" for w in text.split()]) for text in decoded} == {
        *("none", "swap", "deletion", "insertion")
    }


def test_words_of_sentence_pieces():
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<unk>", "\u2581a", "\u2581b", "c", "##"])}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>")),
        pad_token="<pad>",
        unk_token="<unk>",
    )
    rows = []
    augment = TokenAugmentation(rows.extend, tokenizer)
    for seed in range(100):
        torch.manual_seed(seed)
        augment([{"input_ids": [2, 4, 4, 3, 4]}])
    whole = {(2, 4, 4, 3, 4), (3, 4, 2, 4, 4), (2, 4, 4), (3, 4)}
    found = {tuple(row["input_ids"]) for row in rows}
    assert whole < found
    assert all(len(ids) > 5 for ids in found - whole)


def test_rows_stay_within_the_length_a_model_takes():
    tokenizer = word_piece()
    lengths = {len(row["input_ids"]) for row in augmented(tokenizer, "a b c d", alpha=0.5, max_length=7)}
    assert max(lengths) == 7
    assert max(len(row["input_ids"]) for row in augmented(tokenizer, "a b c d", alpha=0.5)) == 8
    # A row that is longer as it comes does not grow.
    assert max(len(row["input_ids"]) for row in augmented(tokenizer, "a b c d", alpha=0.5, max_length=3)) == 6
    tokenizer.model_max_length = 7
    pairs = augmented(tokenizer, "a b", "c d", alpha=1.0)
    assert max(len(row["input_ids"]) for row in pairs) == 7
    assert all(row["input_ids"].count(3) == 2 for row in pairs)


def test_a_batch_by_its_seed_under_the_augmenting_trainer():
    tokenizer = word_piece()
    inner = TokenAugmentation(DataCollatorWithPadding(tokenizer), tokenizer, alpha=0.3)
    collate = BlendingCollator(inner, 1.0, 2)
    rows = [{**dict(tokenizer("a b c d ae bf")), "label": label} for label in (0, 1, 1)]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    batches = [collate(Batch(rows, seed)) for seed in (7, 7, 8)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(batches[0]["input_ids"], batches[1]["input_ids"])
    assert batches[0]["input_ids"].tolist() != batches[2]["input_ids"].tolist()
    assert batches[0]["labels"].tolist() == [0, 1, 1]
    assert rows[0]["input_ids"] == dict(tokenizer("a b c d ae bf"))["input_ids"]
    # Tensors, as of set_format("torch"), are taken too.
    tensors = [{name: torch.tensor(value) for name, value in row.items()} for row in rows]
    assert torch.equal(collate(Batch(tensors, 7))["input_ids"], batches[0]["input_ids"])


def test_rows_that_cannot_be_augmented():
    tokenizer = word_piece()
    augment = TokenAugmentation(list, tokenizer)
    with pytest.raises(ValueError, match=r"columns \['text'\], no 'input_ids': tokenise"):
        augment([{"text": "a b"}])
    with pytest.raises(ValueError, match="A row is padded"):
        augment([dict(tokenizer("a b", padding="max_length", max_length=9))])


def test_documented_example_runs():
    text = EasyDataAugmentation.__doc__.replace("```python", "").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, "EasyDataAugmentation", None, 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
