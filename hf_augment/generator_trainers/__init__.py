"""Trainers of generators."""

from hf_augment.generator_trainers.causal_lm import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments


__all__ = ["CausalLMGeneratorTrainer", "CausalLMGeneratorTrainingArguments"]
