"""Train a classifier from its dataset and, on the fly, from a generator: the Hugging Face `Trainer`, extended."""

from hf_augment.evaluation import (
    RobustnessCallback,
    RobustnessReport,
    generalization,
    predict_with_pipeline,
    predict_with_trainer,
    robustness,
)
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
    DatasetGenerator,
    DCGANConfig,
    DCGANDiscriminator,
    DCGANGenerator,
    Generator,
    GeneratorEnsemble,
    InstructPrompt,
    LabelPrompt,
    PromptedClassifier,
    SamplingConfig,
)
from hf_augment.guard import AugmentationGuard
from hf_augment.hub import push
from hf_augment.image_rows import ImageCollator, ImageRows
from hf_augment.metrics import classification_metrics, load_metric, metric_path
from hf_augment.perturbations import (
    IMAGE_CORRUPTIONS,
    TEXT_PERTURBATIONS,
    EasyDataAugmentation,
    TokenAugmentation,
    corrupt_images,
    load_corrupted_set,
    perturb_texts,
)
from hf_augment.small_resnet import SmallResNetForImageClassification
from hf_augment.synthesis import ShardStore
from hf_augment.trainer import AugmentingTrainer
from hf_augment.training_args import AugmentingTrainingArguments


__version__ = "0.1.0"

__all__ = [
    "IMAGE_CORRUPTIONS",
    "TEXT_PERTURBATIONS",
    "AugmentationGuard",
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
    "DatasetGenerator",
    "EasyDataAugmentation",
    "EvaluationOverlap",
    "FeatureCopies",
    "Filter",
    "Fluency",
    "GANTrainer",
    "GANTrainingArguments",
    "Generator",
    "GeneratorEnsemble",
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
    "PromptedClassifier",
    "RealFeatures",
    "RobustnessCallback",
    "RobustnessReport",
    "SamplingConfig",
    "ShardStore",
    "SmallResNetForImageClassification",
    "TokenAugmentation",
    "Verdict",
    "classification_metrics",
    "corrupt_images",
    "generalization",
    "load_corrupted_set",
    "load_metric",
    "metric_path",
    "perturb_texts",
    "predict_with_pipeline",
    "predict_with_trainer",
    "push",
    "robustness",
]
