"""Did it help: arms compared at equal steps, and the report."""

from hf_augment.evaluation.comparison import ArmRun, Difference, compare, summarise
from hf_augment.evaluation.report import ReportFacts, write_report


__all__ = ["ArmRun", "Difference", "ReportFacts", "compare", "summarise", "write_report"]
