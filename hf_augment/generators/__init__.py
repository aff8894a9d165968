"""Generators: labels and a seed in, raw examples out."""

from transformers import AutoConfig, AutoModel

from hf_augment.generators.base import Generator
from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.dataset import DatasetGenerator
from hf_augment.generators.dcgan import DCGANConfig, DCGANDiscriminator, DCGANGenerator
from hf_augment.generators.ensemble import GeneratorEnsemble
from hf_augment.generators.prompted_classifier import PromptedClassifier
from hf_augment.generators.prompts import InstructPrompt, LabelPrompt, Prompt
from hf_augment.generators.sampling import SamplingConfig


# With the package, `AutoModel` needs no remote code.
AutoConfig.register(DCGANConfig.model_type, DCGANConfig)
AutoModel.register(DCGANConfig, DCGANGenerator)

__all__ = [
    "CausalLMGenerator",
    "DCGANConfig",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DatasetGenerator",
    "Generator",
    "GeneratorEnsemble",
    "InstructPrompt",
    "LabelPrompt",
    "Prompt",
    "PromptedClassifier",
    "SamplingConfig",
]
