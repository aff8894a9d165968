# `make quickstart`, `make quickstart-images` and `make test` need Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart quickstart-images documented-images few-shot unlabelled digits test test-slow lint types check findings clean

quickstart: .venv/installed
	$(BIN)/python recipes/imdb.py --config recipes/configs/imdb_quickstart.yaml $(ARGS)

quickstart-images: .venv/installed
	$(BIN)/python recipes/cifar10.py --config recipes/configs/cifar10_quickstart.yaml $(ARGS)

# The documented experiment on CIFAR-10, for one GPU: parts of minutes, and what is done is not done again. From a folder
# instead of the Hub: CIFAR10=FOLDER.
CIFAR10 ?= uoft-cs/cifar10

documented-images: .venv/installed
	$(BIN)/python recipes/cifar10.py --config recipes/configs/cifar10_documented.yaml --dataset $(CIFAR10) $(ARGS)

# SST-2 with 8, 32 and 100 labelled sentences of each class, and with nearly all of them, where augmentation must not hurt:
# hours on two slow cores. Elsewhere than on the Hub: SST2="FOLDER --text_column sentence --label_column label".
few-shot: few-shot-8 few-shot-32 few-shot-100 few-shot-3300

SST2 ?= SetFit/sst2
FEW_SHOT_8 := --num_train_epochs 7.5 --synthetic_ratio 0.9375 --generators instruct real trained --generator_num_train_epochs 10
FEW_SHOT_32 := --num_train_epochs 8 --generators instruct instruct_unfiltered real trained --generator_num_train_epochs 5
FEW_SHOT_100 := --num_train_epochs 3 --generators instruct real --robustness_rows 64
# With so many labels a classifier can judge those of the texts, and real rows come last.
FEW_SHOT_3300 := --num_train_epochs 1 --generators instruct --classic --splits 3 --synthetic_ratio 0.25 \
	--synthetic_reuse 2 --synthetic_schedule cosine_decay --min_label_probability 0.5

few-shot-%: .venv/installed
	$(BIN)/python recipes/imdb.py --config recipes/configs/sst2_few_shot.yaml --dataset $(SST2) \
		--train_per_class $* --output_dir runs/sst2_$* $(FEW_SHOT_$*)

# The same with sentences that a draw does not label, labelled by the language model: chosen by the classifier, by chance.
unlabelled: unlabelled-8 unlabelled-32 unlabelled-100

UNLABELLED := --label_judge prompted --min_label_probability 0.01 --pseudo_label_share 1.0 --synthetic_feedback 16 \
	--generation_backend auto --classic --generators pseudo_labels_static pseudo_labels_agreed \
	instruct_and_unlabelled_static instruct_and_unlabelled_agreed_weighted
UNLABELLED_8 := --num_train_epochs 7.5 --synthetic_ratio 0.9375
UNLABELLED_32 := --num_train_epochs 8
UNLABELLED_100 := --num_train_epochs 3

unlabelled-%: .venv/installed
	$(BIN)/python recipes/imdb.py --config recipes/configs/sst2_few_shot.yaml --dataset $(SST2) \
		--train_per_class $* --output_dir runs/sst2_$*_unlabelled $(UNLABELLED) $(UNLABELLED_$*) $(ARGS)

# Digits with 10, 30 and 100 labelled images of each class, five draws of each: about as many steps of the DCGAN each time.
digits: digits-10 digits-30 digits-100

DIGITS_10 := --generator_num_train_epochs 1500
DIGITS_30 := --generator_num_train_epochs 375
DIGITS_100 := --generator_num_train_epochs 100

digits-%: .venv/installed
	$(BIN)/python recipes/cifar10.py --config recipes/configs/digits_few_shot.yaml \
		--train_per_class $* --output_dir runs/digits_$* $(DIGITS_$*) $(ARGS)

# Tiny models gain nothing from a second thread, so each core has tests of its own.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4

test: .venv/installed
	$(PYTEST) -m "not slow"

test-slow: .venv/installed
	$(PYTEST) -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

check: lint types test test-slow

# Surprises of libraries that we build on: each script fails when what it shows has changed.
findings:
	set -e; for script in findings/*.sh; do echo "$$script"; $$script; done

clean:
	rm -rf .venv runs

# Made anew when the dependencies change. The marker is written last, so a broken install is tried again.
.venv/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hf_augment needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@echo "Building .venv, with PyTorch: a few minutes."
	@while sleep 5; do printf .; done & trap "kill $$!" EXIT INT TERM; \
		$(PYTHON) -m venv .venv && \
		$(BIN)/python -m pip install --disable-pip-version-check --editable '.[all,dev]'
	touch $@
