"""Generators: labels and a seed in, raw examples out."""

from hf_augment.generators.base import Generator
from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.prompts import InstructPrompt, LabelPrompt, Prompt
from hf_augment.generators.sampling import SamplingConfig


__all__ = ["CausalLMGenerator", "Generator", "InstructPrompt", "LabelPrompt", "Prompt", "SamplingConfig"]
