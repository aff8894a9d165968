"""Train a classifier from its dataset and, on the fly, from a generator: the Hugging Face `Trainer`, extended."""

from hf_augment.filters import (
    ClassCoverage,
    ClassifierFeatures,
    ClassifierReference,
    EvaluationOverlap,
    FeatureCopies,
    Filter,
    Fluency,
    ImageClassifierReference,
    LabelAgreement,
    Memorization,
    NearDuplicates,
    NearestImageFold,
    NearestTextFold,
    OutOfFoldReference,
    Perplexity,
    RealFeatures,
    Verdict,
)
from hf_augment.generator_trainers import (
    CausalLMGeneratorTrainer,
    CausalLMGeneratorTrainingArguments,
    GANTrainer,
    GANTrainingArguments,
)
from hf_augment.generators import (
    CausalLMGenerator,
    DCGANConfig,
    DCGANDiscriminator,
    DCGANGenerator,
    Generator,
    InstructPrompt,
    LabelPrompt,
    SamplingConfig,
)
from hf_augment.image_rows import ImageCollator, ImageRows
from hf_augment.metrics import classification_metrics, load_metric, metric_path
from hf_augment.small_resnet import SmallResNetForImageClassification
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
    "ClassCoverage",
    "ClassifierFeatures",
    "ClassifierReference",
    "DCGANConfig",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "EvaluationOverlap",
    "FeatureCopies",
    "Filter",
    "Fluency",
    "GANTrainer",
    "GANTrainingArguments",
    "Generator",
    "ImageClassifierReference",
    "ImageCollator",
    "ImageRows",
    "InstructPrompt",
    "LabelAgreement",
    "LabelPrompt",
    "Memorization",
    "NearDuplicates",
    "NearestImageFold",
    "NearestTextFold",
    "OutOfFoldReference",
    "Perplexity",
    "RealFeatures",
    "SamplingConfig",
    "ShardStore",
    "SmallResNetForImageClassification",
    "Verdict",
    "classification_metrics",
    "load_metric",
    "metric_path",
]
