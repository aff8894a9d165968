"""Arms on the same splits and seeds: means, paired differences and a verdict in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median_low
from typing import Any

import numpy as np

from hf_augment.blending.schedule import LEAST_SHOWN
from hf_augment.evaluation.statistics import cohens_h, crossed_bootstrap, crossed_error, holm, mcnemar


#: Largest probability of a false verdict on any of the arms that are compared at once.
LEVEL = 0.05


@dataclass(frozen=True)
class ArmRun:
    """
    One trained classifier of one arm.

    Args:
        arm (`str`): Name of the arm, such as `"baseline"`.
        split (`int`): Number of the draw of labelled rows.
        seed (`int`): Number of the run on this split; initialisation and order follow from both.
        steps (`int`): Number of optimizer steps.
        seconds (`float`): Wall time of training, waiting for generation included, as of a run that reads all its rows.
        metrics (`dict[str, dict[str, float]]`): Metrics, by evaluation set, then by name.
        correct (`dict[str, list[float]]`, *optional*):
            For each row 1 where the prediction was right, else 0, by evaluation set; for several versions of a row the
            share that was right. A comparison needs it.
        classes (`dict[str, dict[str, dict[str, float]]]`, *optional*):
            `precision`, `recall`, `f1` and `support`, by evaluation set, then by class.
        robustness (`dict[str, dict[str, list[float]]]`, *optional*):
            Accuracy at severity 1, 2, …, by evaluation set, then by perturbation.
        unperturbed (`dict[str, float]`, *optional*, defaults to that on the whole set):
            Accuracy without perturbation on the rows that were perturbed, by evaluation set.
        perturbed (`dict[str, list[float]]`, *optional*):
            For each row that was perturbed, the share of its versions that was right, by evaluation set.
        curve (`list[dict[str, float]]`, *optional*): Logs of the training, each with `step`.
        wait (`float`, *optional*, defaults to 0.0): Share of training time spent waiting for generation, in `[0, 1]`.
        shown (`float`, *optional*):
            Share of the scheduled synthetic rows that the classifier was shown, in `[0, 1]`: filters and a guard leave
            the others to real rows. `None` without a generator.
        scheduled (`int`, *optional*): Number of synthetic rows that ratio and schedule asked for.
        rounds (`list[dict[str, Any]]`, *optional*):
            What was decided while training: `step`, `class_shares` of what was chosen next, and `confusions` on
            validation rows, `[class, what it was taken for, rows]`.
    """

    arm: str
    split: int
    seed: int
    steps: int
    seconds: float
    metrics: dict[str, dict[str, float]]
    correct: dict[str, list[float]] = field(default_factory=dict, repr=False)
    classes: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict, repr=False)
    robustness: dict[str, dict[str, list[float]]] = field(default_factory=dict, repr=False)
    unperturbed: dict[str, float] = field(default_factory=dict, repr=False)
    perturbed: dict[str, list[float]] = field(default_factory=dict, repr=False)
    curve: list[dict[str, float]] = field(default_factory=list, repr=False)
    wait: float = 0.0
    shown: float | None = None
    scheduled: int | None = None
    rounds: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def unperturbed_accuracy(self, evaluation: str) -> float:
        """Accuracy on the rows of an evaluation set that were perturbed, as they are."""
        return self.unperturbed.get(evaluation, self.metrics[evaluation]["accuracy"])


@dataclass(frozen=True)
class Difference:
    """
    The difference between an arm's accuracy and another's on the same splits, seeds and rows.

    Args:
        arm (`str`): The arm.
        reference (`str`): The arm that it is compared with.
        evaluation (`str`): The evaluation set.
        mean (`float`): Mean difference in accuracy, in `[-1, 1]`. Every split counts the same, however many its seeds.
        low (`float`): Lower end of its 95 % interval, not corrected for the number of arms.
        high (`float`): Upper end.
        pairs (`int`): Number of pairs of runs.
        unit (`str`): Range of the interval: `"splits and rows"`, `"seeds and rows"` or, for one pair, `"test rows"`.
        p_value (`float`): Two-sided p-value, by the same error as the interval.
        p_holm (`float`): P-value after Holm's correction for the arms that were compared at once.
        family (`int`): Number of these arms.
        mcnemar_p (`float`):
            P-value of McNemar's exact test on the predictions of all pairs together. It takes them as independent,
            which several classifiers on the same rows are not, and so finds effects where there are none: no verdict
            rests on it.
        effect_size (`float`): Cohen's h of the two mean accuracies, in `[-π, π]`.
        d_z (`float`, *optional*):
            Cohen's d of the paired differences: their mean over splits (or seeds) divided by their standard deviation,
            so how reliably the next split would show the effect. `None` for one unit, or where all are equal.
        detectable (`float`, *optional*):
            Estimate of the true difference that a comparison like this one finds with a probability of 80 %, as the
            strictest test of the family (`0.05 / family`). `None` if no difference is large enough, as for one pair.
        discordant (`tuple[int, int]`, *optional*):
            Numbers of predictions, over all pairs, that are right in the arm alone, and in the reference alone; of
            rows that are right more often, where they have several versions.
        bootstrap (`tuple[float, float]`, *optional*):
            95 % interval by [`~hf_augment.evaluation.statistics.crossed_bootstrap`], too narrow for few units.
        shown (`float`, *optional*):
            Share of the scheduled synthetic rows that was shown, in `[0, 1]`: the median over runs, of two in the
            middle the lower one.
    """

    arm: str
    reference: str
    evaluation: str
    mean: float
    low: float
    high: float
    pairs: int
    unit: str
    p_value: float
    p_holm: float
    family: int
    mcnemar_p: float
    effect_size: float
    d_z: float | None = None
    detectable: float | None = None
    discordant: tuple[int, int] | None = None
    bootstrap: tuple[float, float] | None = None
    shown: float | None = None

    @property
    def untested(self) -> str:
        """
        Why there is no verdict, or `""` if there is one. One pair of runs does not show how training runs differ, and
        an arm of which half of the runs or more were shown less than a tenth of the synthetic rows that ratio and
        schedule asked for says nothing about them: a mean could hide that.
        """
        if self.pairs == 1:
            return "one pair of runs"
        if self.shown is not None and self.shown < LEAST_SHOWN:
            return f"shown {100 * self.shown:.1f} % of the scheduled synthetic rows"
        return ""

    @property
    def verdict(self) -> str:
        """
        `"helps"`, `"hurts"` or `"no detectable effect"`, at 5 % for all arms of the family together, or `"not tested:
        {untested}"`.
        """
        if self.untested:
            return f"not tested: {self.untested}"
        if self.p_holm >= LEVEL:
            return "no detectable effect"
        return "helps" if self.mean > 0 else "hurts"

    @property
    def points(self) -> str:
        """The mean difference in points, such as `"+1.3"`."""
        return _points(self.mean)

    @property
    def interval(self) -> str:
        """Its 95 % interval in points, such as `"-0.4 to +3.0"`."""
        return f"{_points(self.low)} to {_points(self.high)}"

    def describe(self) -> str:
        """The finding in one sentence."""
        found = f"{self.arm} against {self.reference} on {self.evaluation}: {self.points} points"
        interval = f"95 % interval {self.interval} over {self.unit}"
        if self.pairs == 1:
            return (
                f"{found} between these two classifiers ({interval}), {self.verdict}, and other training runs may "
                "differ by more: a verdict takes more pairs of runs."
            )
        corrected = f" (corrected for {self.family} arms)" if self.family > 1 and not self.untested else ""
        return f"{found} ({interval}, {self.pairs} pairs of runs), {self.verdict}{corrected}{self._power()}."

    def _power(self) -> str:
        if self.untested:
            return ""
        if self.detectable is not None:
            return f"; about {100 * self.detectable:.1f} points would have been needed for 80 % power"
        found = self.p_holm < LEVEL
        return "" if found else "; no difference, however large, could have been found"


def compare(runs: Sequence[ArmRun], arm: str, reference: str, evaluation: str, seed: int = 0) -> Difference:
    """
    Compares two arms run by run.

    The question is what other labelled rows or seeds *and* other test rows would give. So the interval has both parts:
    how much the difference varies between splits (or, with one split, between seeds) and how much between test rows
    ([`~hf_augment.evaluation.statistics.CrossedError`]). One pair has only the rows' part: its interval is about these
    two classifiers, not about their arms, and there is no verdict. `unit` says which it is.

    Seeds of one split are averaged first, as they are not independent. Splits are taken as independent draws. If they
    share a large part of the labelled rows, intervals are too narrow (Nadeau and Bengio 2003, Machine Learning 52).
    Their randomness (initialisation and order) must be drawn anew for every (split, seed), alike for all arms: where
    all splits share their seeds, and a seed moves an arm's accuracy by 0.9 to 1.4 points on every split, 5 splits of 1
    seed give a false verdict on one of 3 arms in 16 to 34 % of cases, and nothing in such runs shows it. An interval
    over splits does not cover what all splits share, such as a generator; one over seeds does not cover other labelled
    rows.

    Example:

    ```python
    from hf_augment.evaluation.comparison import compare

    print(compare(runs, "trained", "baseline_same_steps", "test").describe())
    # trained against baseline_same_steps on test: +1.3 points (95 % interval -0.4 to +3.0 over splits and rows,
    # 5 pairs of runs), no detectable effect; about 2.4 points would have been needed for 80 % power.
    ```

    Args:
        runs (`Sequence[ArmRun]`): Runs of all arms, in any order.
        arm (`str`): Arm to compare.
        reference (`str`): Arm to compare it with.
        evaluation (`str`): The evaluation set.
        seed (`int`, *optional*, defaults to 0): Seed of the bootstrap.

    Returns:
        `Difference`: `arm` minus `reference`, a family of its own.

    Raises:
        ValueError: If the arms were not run on the same splits and seeds, or not evaluated on the same rows.
    """
    return _compare(runs, arm, reference, evaluation, seed, family=1)


def best_of(differences: Sequence[Difference]) -> Difference | None:
    """The largest of the differences that help, or, if none does, of all; `None` if there are none."""
    helping = [difference for difference in differences if difference.verdict == "helps"]
    return max(helping or differences, key=lambda difference: difference.mean, default=None)


def compare_all(
    runs: Sequence[ArmRun], reference: str, evaluation: str, arms: Sequence[str] | None = None, seed: int = 0
) -> list[Difference]:
    """
    Compares arms (by default all others, in order of appearance) with a reference, each as [`compare`] does, and
    corrects the verdicts for their number: Holm's correction holds the probability of any false "helps" or "hurts" at
    5 % over the arms on this evaluation set. It does not range over several sets: name the one that decides before you
    look.

    Raises:
        ValueError: As for [`compare`], or if `arms` has an arm twice or the reference.
    """
    if arms is None:
        arms = [arm for arm in dict.fromkeys(run.arm for run in runs) if arm != reference]
    if len({*arms, reference}) <= len(arms):
        raise ValueError(f"arms={list(arms)} has an arm twice or {reference=}: name every other arm once.")
    return compare_pairs(runs, [(arm, reference) for arm in arms], evaluation, seed)


def compare_pairs(
    runs: Sequence[ArmRun], pairs: Sequence[tuple[str, str]], evaluation: str, seed: int = 0
) -> list[Difference]:
    """
    Compares the first with the second arm of each pair, as [`compare`] does, and corrects the verdicts for the number
    of pairs, as [`compare_all`] does for that of arms.

    Raises:
        ValueError: As for [`compare`].
    """
    found = [_compare(runs, arm, reference, evaluation, seed, family=len(pairs)) for arm, reference in pairs]
    corrected = holm([difference.p_value for difference in found])
    return [replace(difference, p_holm=p) for difference, p in zip(found, corrected, strict=True)]


def _distinct(runs: Sequence[ArmRun], *arms: str) -> list[ArmRun]:
    """The runs without copies: where neither arm is trained, all seeds of a split are one."""
    if any(run.steps for run in runs if run.arm in arms):
        return list(runs)
    first: dict[tuple[str, int], ArmRun] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        first.setdefault((run.arm, run.split), run)
    return list(first.values())


def _compare(runs: Sequence[ArmRun], arm: str, reference: str, evaluation: str, seed: int, family: int) -> Difference:
    runs = _distinct(runs, arm, reference)
    pairs, right, baseline = _paired(runs, arm, reference, evaluation)
    splits = np.array([split for split, _ in pairs])
    several = len(set(splits)) > 1
    units = splits if several else np.arange(len(pairs))

    def average(correct: np.ndarray) -> np.ndarray:
        return np.stack([correct[units == unit].mean(axis=0) for unit in np.unique(units)])

    of_arm, of_reference = average(right), average(baseline)
    gains = of_arm - of_reference
    mean = float(gains.mean())
    error = crossed_error(gains)
    half, p_value = error.half_width(0.05), error.p_value(mean)
    detectable = error.detectable(LEVEL / family) if len(gains) > 1 else math.inf
    shown = [run.shown for run in runs if run.arm == arm and run.shown is not None]
    deviation = float(gains.mean(axis=1).std(ddof=1)) if len(gains) > 1 else 0.0
    gained, lost = int((right > baseline).sum()), int((right < baseline).sum())
    return Difference(
        arm,
        reference,
        evaluation,
        mean,
        low=max(mean - half, -1.0),
        high=min(mean + half, 1.0),
        pairs=len(pairs),
        unit="test rows" if len(gains) == 1 else f"{'splits' if several else 'seeds'} and rows",
        p_value=p_value,
        p_holm=p_value,
        family=family,
        mcnemar_p=mcnemar(gained, lost),
        discordant=(gained, lost),
        effect_size=cohens_h(of_arm.mean(), of_reference.mean()),
        # Rounding leaves a trace of deviation between equal means.
        d_z=mean / deviation if deviation > 1e-12 else None,
        detectable=detectable if detectable <= 1 else None,
        bootstrap=crossed_bootstrap(gains, seed),
        shown=median_low(shown) if shown else None,
    )


def _paired(
    runs: Sequence[ArmRun], arm: str, reference: str, evaluation: str
) -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray]:
    """(split, seed) of each pair, and the correctness in either arm: float arrays of shape (pairs, rows)."""
    known = list(dict.fromkeys(run.arm for run in runs))
    for argument, name in (("arm", arm), ("reference", reference)):
        if name not in known:
            raise ValueError(f"{argument}={name!r} is none of the arms that were run, {known}: name one of these.")
    by_arm: dict[str, dict[tuple[int, int], np.ndarray]] = {arm: {}, reference: {}}
    for run in runs:
        if run.arm in by_arm:
            if evaluation not in run.correct:
                raise ValueError(
                    f"evaluation={evaluation!r}, but {run.arm!r} was evaluated on {list(run.correct)}: name one of "
                    "them."
                )
            if (run.split, run.seed) in by_arm[run.arm]:
                raise ValueError(
                    f"{run.arm!r} was run twice on split {run.split} and seed {run.seed}: pass one run of each."
                )
            by_arm[run.arm][run.split, run.seed] = np.array(run.correct[evaluation], dtype=float)
    if by_arm[arm].keys() != by_arm[reference].keys() or not by_arm[arm]:
        raise ValueError(
            f"{arm!r} was run on (split, seed) {sorted(by_arm[arm])}, {reference!r} on {sorted(by_arm[reference])}: "
            "a paired comparison needs the same ones."
        )
    lengths = {len(correct) for of_arm in by_arm.values() for correct in of_arm.values()}
    if len(lengths) > 1 or lengths == {0}:
        raise ValueError(
            f"The runs have {sorted(lengths)} rows of {evaluation!r}: evaluate all on the same rows, at least one."
        )
    pairs = sorted(by_arm[arm])
    right, baseline = (np.stack([by_arm[name][pair] for pair in pairs]) for name in (arm, reference))
    for values in (right, baseline):
        # NaN is in no range.
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(
                f"correct[{evaluation!r}] must be 1 where a prediction was right and 0 where not, or a share between: "
                "pass no predicted classes."
            )
    return pairs, right, baseline


def _points(share: float) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(100 * share, 1) + 0.0:+.1f}"
