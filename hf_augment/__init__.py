"""Train a classifier from its dataset and, on the fly, from a generator: the Hugging Face `Trainer`, extended."""

from hf_augment.filters.base import Filter, Verdict
from hf_augment.generators.base import Generator
from hf_augment.trainer import AugmentingTrainer
from hf_augment.training_args import AugmentingTrainingArguments
