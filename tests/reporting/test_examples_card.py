"""The card of examples alone: right counts, metadata that the Hub reads, and text that stays text."""

from huggingface_hub import DatasetCard

from hf_augment.reporting.examples_card import examples_card, filter_rows
from hf_augment.synthesis.shards import Shard


ACCOUNTS = [
    Shard(0, candidates=10, rejected={"fluency": 2, "label_agreement": 3}),
    Shard(1, candidates=6, rejected={"fluency": 0, "label_agreement": 4}),
]


def test_filters_are_told_with_what_reached_them():
    assert filter_rows(ACCOUNTS) == [["fluency", "16", "2"], ["label_agreement", "14", "7"]]


def test_what_cannot_be_encoded_is_told_first_whichever_shard_had_it():
    torn = Shard(2, candidates=4, rejected={"unencodable": 1, "fluency": 0, "label_agreement": 0})
    expected = [["unencodable", "20", "1"], ["fluency", "19", "2"], ["label_agreement", "17", "7"]]
    assert filter_rows([*ACCOUNTS, torn]) == filter_rows([torn, *ACCOUNTS]) == expected


def test_the_card_has_the_counts_and_the_files():
    files = {"default": "data/train.parquet", "rejected": "rejected/train.parquet"}
    text = examples_card("owner/tickets", "text", "lm", 5, {"new": 3, "lost": 4}, ACCOUNTS, '{"seed": 1}', files)
    card = DatasetCard(text)
    assert card.data.configs == [
        {"config_name": "default", "data_files": "data/train.parquet"},
        {"config_name": "rejected", "data_files": "rejected/train.parquet"},
    ]
    assert card.data.task_categories == ["text-classification"]
    assert card.data.source_datasets == ["extended|owner/tickets"]
    assert "5 examples that lm generated and filters accepted, of 16 candidates." in card.text
    assert "| new | 3 |\n| lost | 4 |" in card.text
    assert "| label\\_agreement | 14 | 7 |" in card.text
    assert '```json\n{"seed": 1}\n```' in card.text


def test_names_are_shown_and_do_nothing_else():
    text = examples_card("a|<b>.csv", "image", "[x](y)", 1, {"<i>": 1}, [], "{}", {"default": "data/train.parquet"})
    assert "<b>" not in text.partition("---\n\n")[2]
    assert "<i>" not in text
    assert "\\[x\\](y)" in text
    assert "rejected" not in DatasetCard(text).text.replace("| filter | candidates | rejected |", "")
