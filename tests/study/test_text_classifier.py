"""Text classifiers by name, from a folder."""

import pytest
import torch

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
