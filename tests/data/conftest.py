"""A cache of its own for each test, the warnings that it caused, and a folder as on the Hub."""

import datasets
import pytest

from tests.data.rows import rows


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.fixture
def said(monkeypatch):
    """The warnings that were given."""
    messages = []
    for module in ("labels", "splits", "holdouts"):
        monkeypatch.setattr(f"hf_augment.data.{module}.logger.warning", messages.append)
    return messages


@pytest.fixture
def folder(tmp_path):
    """As on the Hub: a parquet file for each split."""
    where = tmp_path / "reviews"
    where.mkdir()
    rows([1, 0, 1]).to_parquet(where / "train.parquet")
    rows([0, -1], ["dull", "who knows"]).to_parquet(where / "test.parquet")
    return where
