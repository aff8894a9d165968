"""Train a classifier from its dataset and, on the fly, from a generator: the Hugging Face `Trainer`, extended."""

from hf_augment.filters import (
    ClassifierReference,
    EvaluationOverlap,
    Filter,
    Fluency,
    LabelAgreement,
    Memorization,
    NearDuplicates,
    OutOfFoldReference,
    Perplexity,
    Verdict,
)
from hf_augment.generator_trainers import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments
from hf_augment.generators import CausalLMGenerator, Generator, InstructPrompt, LabelPrompt, SamplingConfig
from hf_augment.metrics import classification_metrics, load_metric, metric_path
from hf_augment.synthesis import ShardStore
from hf_augment.trainer import AugmentingTrainer
from hf_augment.training_args import AugmentingTrainingArguments


__version__ = "0.1.0"

__all__ = [
    "AugmentingTrainer",
    "AugmentingTrainingArguments",
    "CausalLMGenerator",
    "CausalLMGeneratorTrainer",
    "CausalLMGeneratorTrainingArguments",
    "ClassifierReference",
    "EvaluationOverlap",
    "Filter",
    "Fluency",
    "Generator",
    "InstructPrompt",
    "LabelAgreement",
    "LabelPrompt",
    "Memorization",
    "NearDuplicates",
    "OutOfFoldReference",
    "Perplexity",
    "SamplingConfig",
    "ShardStore",
    "Verdict",
    "classification_metrics",
    "load_metric",
    "metric_path",
]
