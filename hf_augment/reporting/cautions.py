"""What a reader must know before any figure: rules over the results, each a function that returns its sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from hf_augment.blending.schedule import LEAST_SHOWN
from hf_augment.evaluation.comparison import LEVEL
from hf_augment.reporting.results import Results
from hf_augment.sentences import named


#: A smaller share of accepted candidates is worth a line: most of what was paid for was thrown away.
LEAST_ACCEPTED = 0.1
#: The share of its whole fall that a training loss may still fall by in the last quarter of the steps.
STILL_FALLING = 0.2


def cautions(results: Results, arms: Sequence[str] | None = None) -> list[str]:
    """
    Returns what makes the figures of `arms` (by default of all) say less than they seem to, most serious first.

    Example:

    ```python
    from hf_augment import Results
    from hf_augment.reporting.cautions import cautions

    print(*cautions(Results.load("runs/reviews/report/results.json")), sep="\\n")
    # prompted: 0 of 640 scheduled synthetic rows were shown, so its runs say nothing of its generator.
    ```
    """
    arms = results.arms if arms is None else arms
    return [sentence for rule in RULES for sentence in rule(results, arms)]


def hardly_shown(results: Results, arms: Sequence[str]) -> list[str]:
    """Arms with runs that were shown less than a tenth of the synthetic rows that were scheduled."""
    found = []
    for arm in arms:
        runs = results.of_arm(arm)
        starved = [run for run in runs if run.shown is not None and run.shown < LEAST_SHOWN]
        if starved:
            share = float(np.mean([run.shown for run in starved]))
            rows = sum(run.scheduled or 0 for run in starved)
            shown = f"{share * rows:.0f} of {rows}" if rows else f"{100 * share:.1f} % of the"
            where = "" if len(starved) == len(runs) else f" in {len(starved)} of {len(runs)} runs"
            what = "they say" if where else "its runs say"
            found.append(
                f"{arm}: {shown} scheduled synthetic rows were shown{where}, so {what} nothing of its generator."
            )
    return found


def not_tried(results: Results, arms: Sequence[str]) -> list[str]:
    """Arms that were left out, and why."""
    return [f"{arm} was not tried, {why}." for arm, why in results.not_tried.items()]


def fewer_steps(results: Results, arms: Sequence[str]) -> list[str]:
    """That there was time for fewer steps than is usual."""
    if results.usual_steps is None:
        return []
    steps = results.of_arm(results.reference)[0].steps
    return [f"A run had {steps} steps, of {results.usual_steps} that are usual: there was no time for more."]


def few_accepted(results: Results, arms: Sequence[str]) -> list[str]:
    """Arms of whose candidates the filters accepted less than a tenth, and the filter that let the fewest pass."""
    found = []
    for arm in arms:
        shares = results.acceptance.get(arm, {})
        if shares.get("acceptance", 1.0) < LEAST_ACCEPTED:
            name, share = strictest_filter(results, arm)
            found.append(
                f"{arm}: {100 * shares['acceptance']:.1f} % of the candidates were accepted; {name} let "
                f"{100 * share:.1f} % of what reached it pass."
            )
    return found


def strictest_filter(results: Results, arm: str) -> tuple[str, float]:
    """The filter of an arm that let the smallest share pass of what reached it, and that share."""
    shares = {k.removeprefix("acceptance_"): v for k, v in results.acceptance[arm].items() if "acceptance_" in k}
    return min(shares.items(), key=lambda named: named[1], default=("nothing", 1.0))


def at_chance(results: Results, arm: str) -> bool:
    """
    Whether an arm cannot be told from one that answers the classes as often as it does, but does not look at the rows:
    whether the exact binomial test of its mean number of right answers against the share that would be right so (the
    agreement by chance of Cohen 1960, Educational and Psychological Measurement 20, 37-46) has a one-sided p-value of
    5 % or more. `False` where the classes of the test rows are not known.
    """
    if not results.majority()[0]:
        return False
    support = results.support()
    rows = sum(support.values())
    chance = float(np.mean([_by_chance(run.classes.get(results.test, {}), support) for run in results.of_arm(arm)]))
    right = round(results.accuracy(arm) * rows)
    return bool(stats.binomtest(right, rows, min(chance, 1.0), "greater").pvalue >= LEVEL)


def _by_chance(classes: Mapping[str, Mapping[str, float]], support: Mapping[str, float]) -> float:
    """The share of test rows that would be right by chance, of a run's figures by class."""
    rows, found, left, largest = sum(support.values()), 0.0, sum(support.values()), 0.0
    for name, of_class in support.items():
        figures = classes.get(name, {})
        if figures.get("precision") and (answered := figures["recall"] * of_class / figures["precision"]):
            found += of_class * answered
            left -= answered
        else:
            largest = max(largest, of_class)
    # How often each class was answered that was never right is not known: the commonest of them is taken.
    return (found + max(left, 0.0) * largest) / rows**2


def only_chance(results: Results, arms: Sequence[str]) -> list[str]:
    """Arms that cannot be told from chance, and others with less than always answering the most frequent class."""
    name, share = results.majority()
    figures = {arm: f"{arm} ({100 * results.accuracy(arm):.1f} %)" for arm in arms}
    lost = [arm for arm in arms if at_chance(results, arm)]
    beaten = [arm for arm in arms if arm not in lost and results.accuracy(arm) < share]
    found = []
    if lost:
        which = named(figures[arm] for arm in lost)
        found.append(f"At chance: {which} cannot be told from answers that do not look at the rows.")
    if beaten:
        which = named(figures[arm] for arm in beaten)
        found.append(f"Less accurate than always answering {name!r} ({100 * share:.1f} %): {which}.")
    return found


def endless_warmup(results: Results, arms: Sequence[str]) -> list[str]:
    """Arms whose training ended before the learning rate had reached its full height."""
    warmup = warmup_steps(results)
    found = [arm for arm in arms if 0 < (steps := results.of_arm(arm)[0].steps) <= warmup and steps]
    return [f"Warm-up never ended: {warmup} steps of it, and {named(found)} ended by then."] if found else []


def warmup_steps(results: Results) -> int:
    """The warm-up of the runs, in optimizer steps; 0 where it is a share of them."""
    stated = re.fullmatch(r"(\d+)(\.0*)?", str(results.settings.get("warmup_steps")))
    return int(stated[1]) if stated else 0


def still_falling(results: Results, arms: Sequence[str]) -> list[str]:
    """
    Arms whose training loss had not levelled off: its mean fell from each quarter of the steps to the next, and by a
    fifth or more of its whole fall to the last one. A loss that decays by the same factor from quarter to quarter does
    so if that factor is 0.64 or more.
    """
    found = []
    for arm in arms:
        quarters = _loss_by_quarter(results, arm)
        falls = -np.diff(quarters)
        if len(quarters) and (falls > 0).all() and falls[-1] >= STILL_FALLING * falls.sum():
            found.append(arm)
    return [f"Training loss still falling: {named(found)}, when training ended."] if found else []


def _loss_by_quarter(results: Results, arm: str) -> np.ndarray:
    """The mean training loss of each quarter of the steps, float of shape `(4,)`, or `(0,)` where one has no log."""
    losses: list[list[float]] = [[], [], [], []]
    for run in results.of_arm(arm):
        for log in run.curve:
            if "loss" in log:
                losses[min(int(4 * (log["step"] - 1) / run.steps), 3)].append(log["loss"])
    return np.array([np.mean(quarter) for quarter in losses]) if all(losses) else np.empty(0)


def not_tested_classes(results: Results, arms: Sequence[str]) -> list[str]:
    """Classes that no test row has."""
    missing = [repr(name) for name, rows in results.support().items() if not rows]
    return [f"No test row is of {named(missing)}: nothing is measured of it."] if missing else []


def missed_classes(results: Results, arms: Sequence[str]) -> list[str]:
    """Classes of which an arm recognised no test row in any run; of an arm at chance that goes without saying."""
    recall, support = results.classes(results.test, "recall"), results.support()
    by_classes: dict[tuple[str, ...], list[str]] = {}
    for arm in arms:
        missed = tuple(name for name, rows in support.items() if rows and recall[name].get(arm) == 0)
        if missed and not at_chance(results, arm):
            by_classes.setdefault(missed, []).append(arm)
    return [
        f"Never recognised: {named(map(repr, missed))}, by {named(who)}, on any test row."
        for missed, who in by_classes.items()
    ]


#: All rules, the most serious first.
RULES = (
    *(hardly_shown, not_tried, fewer_steps, few_accepted, only_chance, endless_warmup, still_falling),
    *(not_tested_classes, missed_classes),
)
