"""Trainers of generators."""

from hf_augment.generator_trainers.causal_lm import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments
from hf_augment.generator_trainers.gan import GANTrainer, GANTrainingArguments


__all__ = [
    "CausalLMGeneratorTrainer",
    "CausalLMGeneratorTrainingArguments",
    "GANTrainer",
    "GANTrainingArguments",
]
