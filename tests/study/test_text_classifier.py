"""Text classifiers by name, from a folder."""

import json

import datasets
import numpy as np
import pytest
import torch

from hf_augment.progress import say_once
from hf_augment.study.text_classifier import TextClassifier
from tests.tiny import tiny_classifier, tiny_tokenizer


@pytest.mark.parametrize("known", [True, False])
def test_classic_augmentation_makes_no_text_that_is_longer_than_the_model_reads(known, tmp_path):
    tokenizer = tiny_tokenizer()
    model = tiny_classifier(tokenizer=tokenizer)
    longest = model.config.max_position_embeddings
    if known:
        tokenizer.model_max_length = longest
    for part in (tokenizer, model):
        part.save_pretrained(tmp_path)
    classifier = TextClassifier(str(tmp_path), ["neg", "pos"], max_length=longest)
    row = classifier.tokenize({"text": ["so " * longest]})
    assert len(row["input_ids"][0]) == longest
    rows = [{name: values[0] for name, values in row.items()}] * 16
    torch.manual_seed(0)
    assert classifier.collator("eda")(rows)["input_ids"].shape == (16, longest)
    short = classifier.tokenize({"text": ["so it goes on and on and on"]})
    rows = [{name: values[0] for name, values in short.items()}] * 16
    assert classifier.collator("eda")(rows)["input_ids"].shape[1] > len(short["input_ids"][0])


def saved(folder, **config):
    tokenizer = tiny_tokenizer()
    model = tiny_classifier(tokenizer=tokenizer)
    for part in (tokenizer, model):
        part.save_pretrained(folder)
    described = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(described | config))
    return str(folder)


def test_a_head_of_other_classes_is_replaced_and_that_is_said_once(tmp_path, capsys):
    say_once.cache_clear()
    classifier = TextClassifier(saved(tmp_path), ["a", "b", "c"])
    one, other = classifier.new_model(1), classifier.new_model(2)
    assert one.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert one.classifier.weight.shape[0] == 3
    assert not torch.equal(one.classifier.weight, other.classifier.weight)
    body = f"{one.base_model_prefix}."
    known = [name for name in one.state_dict() if name.startswith(body)]
    assert all(torch.equal(one.state_dict()[name], other.state_dict()[name]) for name in known)
    told = capsys.readouterr()
    assert told.out == "Weights classifier.bias, classifier.weight are new: the model has none of that size.\n"
    assert "MISSING" not in told.err


def test_a_body_of_another_size_than_its_config_says_is_refused(tmp_path):
    classifier = TextClassifier(saved(tmp_path, vocab_size=9), ["a", "b"])
    with pytest.raises(ValueError, match=r"embeddings.* of another size than its config says: it is damaged"):
        classifier.new_model(1)


def test_texts_are_asked_about_in_the_order_of_their_lengths_and_answered_in_their_own(tmp_path):
    classifier, asked = TextClassifier(saved(tmp_path), ["neg", "pos"]), []

    def model(texts):
        asked.extend(texts)
        return [[len(text), ord(text[0])] for text in texts]

    texts = ["bbb", "a", "cccc", "", "dd", "e"]
    answers = classifier.ask(lambda values: model([f"{value}!" for value in values]), texts)
    assert asked == ["!", "a!", "e!", "dd!", "bbb!", "cccc!"]
    np.testing.assert_array_equal(answers, model([f"{text}!" for text in texts]))


def test_what_a_layer_reads_of_texts_of_many_lengths_is_in_their_order(tmp_path):
    classifier = TextClassifier(saved(tmp_path), ["neg", "pos"], max_length=16)
    texts = [f"{'so it goes ' * (number % 5)}on {number}" for number in range(150)]
    rows = datasets.Dataset.from_dict({"text": texts, "label": [0] * len(texts)})
    features = classifier.features(0)
    read = classifier.read(features, rows)
    one_at_a_time = np.concatenate([features([{"text": text}]) for text in texts])
    np.testing.assert_allclose(read, one_at_a_time, atol=1e-5)
    assert np.abs(read[0] - read[1]).max() > 1e-3
