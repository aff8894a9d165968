# `make quickstart`, `make quickstart-images` and `make test` need Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart quickstart-images test test-slow lint types check clean

quickstart: .venv/installed
	$(BIN)/python recipes/imdb.py --config recipes/configs/imdb_quickstart.yaml

quickstart-images: .venv/installed
	$(BIN)/python recipes/cifar10.py --config recipes/configs/cifar10_quickstart.yaml

test: .venv/installed
	$(BIN)/python -m pytest -m "not slow"

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

check: lint types test test-slow

clean:
	rm -rf .venv runs

# Made anew when the dependencies change. The marker is written last, so a broken install is tried again.
.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hf_augment needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,gguf]'
	touch $@
