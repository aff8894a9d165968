"""Did it help, is it more robust, does it generalise: arms compared at equal steps, and the report."""

from hf_augment.evaluation.comparison import ArmRun, Difference, compare, compare_all, summarise
from hf_augment.evaluation.facts import ReportFacts
from hf_augment.evaluation.generalization import HoldoutResult, generalization
from hf_augment.evaluation.report import write_report
from hf_augment.evaluation.robustness import (
    RobustnessCallback,
    RobustnessReport,
    predict_with_pipeline,
    predict_with_trainer,
    robustness,
)


__all__ = [
    "ArmRun",
    "Difference",
    "HoldoutResult",
    "ReportFacts",
    "RobustnessCallback",
    "RobustnessReport",
    "compare",
    "compare_all",
    "generalization",
    "predict_with_pipeline",
    "predict_with_trainer",
    "robustness",
    "summarise",
    "write_report",
]
