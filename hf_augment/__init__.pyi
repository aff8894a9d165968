# What `hf_augment/__init__.py` offers: each name is imported when it is first asked for.
from .data.opening import Data, open_data
from .data.splits import split_by_label
from .data.texts import load_texts
from .evaluation.generalization import generalization
from .evaluation.robustness import (
    RobustnessCallback,
    RobustnessReport,
    predict_with_pipeline,
    predict_with_trainer,
    robustness,
)
from .filters.base import Filter, Verdict
from .filters.class_coverage import ClassCoverage
from .filters.feature_copies import FeatureCopies
from .filters.fluency import Fluency, Perplexity
from .filters.label_agreement import LabelAgreement
from .filters.near_duplicates import EvaluationOverlap, Memorization, NearDuplicates
from .generator_trainers.causal_lm import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments
from .generator_trainers.gan import GANTrainer
from .generator_trainers.gan_arguments import GANTrainingArguments
from .generators.base import Generator
from .generators.cached import CachedGenerator
from .generators.causal_lm import CausalLMGenerator
from .generators.dataset import DatasetGenerator
from .generators.dcgan import DCGANConfig, DCGANDiscriminator, DCGANGenerator
from .generators.diffusion.generator import DiffusionGenerator
from .generators.ensemble import GeneratorEnsemble
from .generators.prompts import InstructPrompt, LabelPrompt
from .generators.sampling import SamplingConfig
from .generators.served.connection import Endpoint
from .generators.served.endpoint import EndpointGenerator
from .hub.pushing import push
from .images.rows import ImageCollator, ImageRows
from .images.small_resnet import SmallResNetForImageClassification
from .judges.classifier import ClassifierFeatures, ClassifierJudge, ImageClassifierJudge
from .judges.endpoint import EndpointJudge
from .judges.out_of_fold import NearestImageFold, NearestTextFold, OutOfFoldJudge
from .judges.prompted import PromptedJudge
from .judges.pseudo_labels import pseudo_label
from .metrics.classification import classification_metrics
from .metrics.loading import load_metric, metric_path
from .neighbours.features import RealFeatures
from .perturbations.easy_augmentation import EasyDataAugmentation, TokenAugmentation
from .perturbations.images import IMAGE_CORRUPTIONS, corrupt_images, load_corrupted_set
from .perturbations.text import TEXT_PERTURBATIONS, perturb_texts
from .reporting.results import Results
from .study.arms import Arm
from .study.image_classifier import ImageClassifier
from .study.labelled import LabelledData
from .study.study import Study
from .study.text_classifier import TextClassifier
from .synthesis.shards import ShardStore
from .training.arguments import AugmentationArguments, AugmentingTrainingArguments
from .training.feedback.policies import ClassAllocation, HardSeeds, Policy
from .training.feedback.selection import AgreementSelection, UncertaintySelection
from .training.guard import AugmentationGuard
from .training.mixin import AugmentingMixin
from .training.shape import baseline_steps
from .training.trainer import AugmentingTrainer

__version__: str

__all__ = [
    "IMAGE_CORRUPTIONS",
    "TEXT_PERTURBATIONS",
    "AgreementSelection",
    "Arm",
    "AugmentationArguments",
    "AugmentationGuard",
    "AugmentingMixin",
    "AugmentingTrainer",
    "AugmentingTrainingArguments",
    "CachedGenerator",
    "CausalLMGenerator",
    "CausalLMGeneratorTrainer",
    "CausalLMGeneratorTrainingArguments",
    "ClassAllocation",
    "ClassCoverage",
    "ClassifierFeatures",
    "ClassifierJudge",
    "DCGANConfig",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Data",
    "DatasetGenerator",
    "DiffusionGenerator",
    "EasyDataAugmentation",
    "Endpoint",
    "EndpointGenerator",
    "EndpointJudge",
    "EvaluationOverlap",
    "FeatureCopies",
    "Filter",
    "Fluency",
    "GANTrainer",
    "GANTrainingArguments",
    "Generator",
    "GeneratorEnsemble",
    "HardSeeds",
    "ImageClassifier",
    "ImageClassifierJudge",
    "ImageCollator",
    "ImageRows",
    "InstructPrompt",
    "LabelAgreement",
    "LabelPrompt",
    "LabelledData",
    "Memorization",
    "NearDuplicates",
    "NearestImageFold",
    "NearestTextFold",
    "OutOfFoldJudge",
    "Perplexity",
    "Policy",
    "PromptedJudge",
    "RealFeatures",
    "Results",
    "RobustnessCallback",
    "RobustnessReport",
    "SamplingConfig",
    "ShardStore",
    "SmallResNetForImageClassification",
    "Study",
    "TextClassifier",
    "TokenAugmentation",
    "UncertaintySelection",
    "Verdict",
    "baseline_steps",
    "classification_metrics",
    "corrupt_images",
    "generalization",
    "load_corrupted_set",
    "load_metric",
    "load_texts",
    "metric_path",
    "open_data",
    "perturb_texts",
    "predict_with_pipeline",
    "predict_with_trainer",
    "pseudo_label",
    "push",
    "robustness",
    "split_by_label",
]
