"""Arms on the same splits and seeds: means, paired differences and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class ArmRun:
    """
    One trained classifier of one arm.

    Args:
        arm (`str`):
            Such as `"baseline"`.
        split (`int`):
            Which labelled rows it was given.
        seed (`int`):
            Of initialisation and order.
        steps (`int`):
            Optimizer steps.
        seconds (`float`):
            Wall time of training, waiting for generation included.
        metrics (`dict[str, dict[str, float]]`):
            By evaluation set, then by metric.
        correct (`dict[str, list[int]]`):
            By evaluation set: for each row 1 where the prediction was right, else 0.
        classes (`dict[str, dict[str, dict[str, float]]]`, *optional*):
            By evaluation set, then by class name: `precision`, `recall`, `f1` and `support`.
        robustness (`dict[str, dict[str, list[float]]]`, *optional*):
            By evaluation set, then by perturbation: accuracy at severity 1, 2, …
        curve (`list[dict[str, float]]`, *optional*):
            What was logged while training, each with `step`: `loss`, and with a generator `synthetic_ratio`,
            `synthetic_acceptance`, `synthetic_wait`.
        wait (`float`, *optional*, defaults to 0.0):
            Share of training time spent waiting for generation, in `[0, 1]`.
    """

    arm: str
    split: int
    seed: int
    steps: int
    seconds: float
    metrics: dict[str, dict[str, float]]
    correct: dict[str, list[int]] = field(repr=False)
    classes: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict, repr=False)
    robustness: dict[str, dict[str, list[float]]] = field(default_factory=dict, repr=False)
    curve: list[dict[str, float]] = field(default_factory=list, repr=False)
    wait: float = 0.0


@dataclass(frozen=True)
class Difference:
    """
    How an arm's accuracy differs from another's on the same splits, seeds and rows.

    Args:
        arm (`str`):
            What is compared.
        reference (`str`):
            What it is compared with.
        evaluation (`str`):
            The evaluation set.
        mean (`float`):
            Mean difference in accuracy, in `[-1, 1]`.
        low (`float`):
            The lower end of its 95 % interval.
        high (`float`):
            The upper end.
        pairs (`int`):
            How many pairs of runs it rests on.
        unit (`str`):
            What the interval ranges over: `"splits"`, `"seeds"` or `"test rows"`.
    """

    arm: str
    reference: str
    evaluation: str
    mean: float
    low: float
    high: float
    pairs: int
    unit: str

    @property
    def verdict(self) -> str:
        """`"helps"`, `"hurts"` or `"no detectable effect"`: whether the interval leaves out zero."""
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "no detectable effect"


def summarise(runs: Sequence[ArmRun], evaluation: str, metric: str) -> dict[str, tuple[float, float, int]]:
    """
    Mean, standard deviation and number of runs by arm, in the order in which arms appear.

    Args:
        runs (`Sequence[ArmRun]`):
            Of all arms.
        evaluation (`str`):
            The evaluation set.
        metric (`str`):
            Such as `"accuracy"`.

    Returns:
        `dict[str, tuple[float, float, int]]`: The deviation is the sample's (n - 1), and 0 for one run.
    """
    values: dict[str, list[float]] = {}
    for run in runs:
        values.setdefault(run.arm, []).append(run.metrics[evaluation][metric])
    return {
        arm: (float(np.mean(v)), float(np.std(v, ddof=1)) if len(v) > 1 else 0.0, len(v)) for arm, v in values.items()
    }


def compare(runs: Sequence[ArmRun], arm: str, reference: str, evaluation: str, seed: int = 0) -> Difference:
    """
    Compares two arms run by run.

    With three splits or more, the interval is Student's t over the splits' mean differences; with one split and three
    seeds or more, over the seeds; either takes the rows of the evaluation set as given. With fewer, or if all these
    differences are equal, it is a paired bootstrap (percentile, 10,000 draws) over the rows of the evaluation set,
    which does not cover how much another training run would differ. `unit` says which.

    Args:
        runs (`Sequence[ArmRun]`):
            Of all arms.
        arm (`str`):
            What is compared.
        reference (`str`):
            What it is compared with.
        evaluation (`str`):
            The evaluation set.
        seed (`int`, *optional*, defaults to 0):
            Of the bootstrap.

    Returns:
        `Difference`: `arm` minus `reference`.

    Raises:
        ValueError: If the arms were not run on the same splits and seeds, or not evaluated on the same rows.
    """
    by_arm: dict[str, dict[tuple[int, int], np.ndarray]] = {arm: {}, reference: {}}
    for run in runs:
        if run.arm in by_arm:
            if evaluation not in run.correct or (run.split, run.seed) in by_arm[run.arm]:
                raise ValueError(
                    f"{run.arm!r} was run twice on split {run.split} and seed {run.seed}, or not evaluated on "
                    f"evaluation={evaluation!r} but on {list(run.correct)}: pass one run of each, evaluated on it."
                )
            by_arm[run.arm][run.split, run.seed] = np.array(run.correct[evaluation], dtype=float)
    if by_arm[arm].keys() != by_arm[reference].keys() or not by_arm[arm]:
        raise ValueError(
            f"{arm!r} was run on (split, seed) {sorted(by_arm[arm])}, {reference!r} on {sorted(by_arm[reference])}: "
            "a paired comparison needs the same ones."
        )
    pairs = sorted(by_arm[arm])
    lengths = {len(correct) for of_arm in by_arm.values() for correct in of_arm.values()}
    if len(lengths) > 1:
        raise ValueError(f"The runs have {sorted(lengths)} rows of {evaluation!r}: evaluate all on the same rows.")
    gains = np.stack([by_arm[arm][pair] - by_arm[reference][pair] for pair in pairs])
    means = gains.mean(axis=1)
    splits = np.array([split for split, _ in pairs])
    if len(set(splits)) == 1:
        units, unit = means, "seeds"
    else:
        # Seeds of one split are not independent of each other.
        units, unit = np.array([means[splits == split].mean() for split in sorted(set(splits))]), "splits"
    if len(units) >= 3 and np.ptp(units) > 1e-12:
        spread = units.std(ddof=1) / np.sqrt(len(units))
        low, high = stats.t.interval(0.95, len(units) - 1, units.mean(), spread)
    else:
        unit = "test rows"
        low, high = _row_interval(gains.mean(axis=0), seed)
    return Difference(arm, reference, evaluation, float(gains.mean()), float(low), float(high), len(pairs), unit)


def _row_interval(gains: np.ndarray, seed: int) -> tuple[float, float]:
    if np.ptp(gains) == 0:
        return float(gains[0]), float(gains[0])
    rng = np.random.default_rng(seed)
    result = stats.bootstrap((gains,), np.mean, n_resamples=10_000, method="percentile", batch=500, rng=rng)
    return tuple(result.confidence_interval)
