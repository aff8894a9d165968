"""What a comparison found, in one sentence for somebody who reads nothing else, and how accurate everything was."""

from __future__ import annotations

from collections.abc import Sequence

from hf_augment.evaluation.comparison import Difference, best_of
from hf_augment.reporting.cautions import at_chance
from hf_augment.reporting.results import Results
from hf_augment.sentences import counted, named


def answer(results: Results, arms: Sequence[str] | None = None) -> str:
    """
    Says in one sentence whether the best of `arms` (by default of all that were tried) helps, and how sure that is. A
    gain over a baseline that a linear classifier on frozen features equals is no "yes".

    Example:

    ```python
    from hf_augment import Results
    from hf_augment.reporting.answer import answer

    print(answer(Results.load("runs/reviews/report/results.json")))
    # Yes: instruct raises accuracy on test from 59.2 % (baseline_same_steps) to 77.9 %, +18.7 points (95 % interval
    # +13.2 to +24.3, 5 pairs of runs).
    ```
    """
    tried = results.on(results.test, [arm for arm in results.tried if arms is None or arm in arms])
    if not tried:
        # A probe is to help a probe.
        fed = [arm for arm in results.fed_probes if arms is None or arm in arms]
        tried = [difference for difference in results.beside_probe if difference.arm in fed]
    if not tried:
        return f"No answer: nothing was tried that could be compared with {results.reference}."
    tested = [difference for difference in tried if not difference.untested]
    if not tested:
        why = named(f"{difference.arm} ({difference.untested})" for difference in tried)
        return f"Not tested: {why}."
    if all(at_chance(results, arm) for arm in results.arms):
        rows = counted(sum(results.support().values()), "test row")
        return f"No classifier, with synthetic examples or without, can be told from chance on {rows}."
    best = best_of(tested)
    assert best is not None
    # On the card of one arm there may be better ones.
    return _of_best(results, best, "" if len(tested) == 1 else "the best arm, ") + _of_probe(results, best) + "."


def _of_best(results: Results, best: Difference, which: str) -> str:
    name = f"{which}{best.arm}{',' if which else ''}"
    before, after = (f"{100 * results.accuracy(arm):.1f} %" for arm in (best.reference, best.arm))
    figures = f"{best.points} points (95 % interval {best.interval}, {best.pairs} pairs of runs)"
    course = f"accuracy on {results.test} from {before} ({best.reference}) to {after}, {figures}"
    if best.verdict == "helps":
        sure = "Yes" if not _equalled(results, best) else "Not beyond a simpler classifier"
        return f"{sure}: {best.arm} raises {course}"
    if best.verdict == "hurts":
        return f"No, it hurts: {'even ' if which else ''}{name} lowers {course}"
    # An interval is of one arm alone.
    alone = f"; corrected for {best.family} arms that is no finding" if best.low > 0 else ""
    power = "" if best.detectable is None else f"; about {100 * best.detectable:.1f} points would have been needed"
    return f"Not that these runs could tell: {name} moves {course}{alone}{power}"


def _of_probe(results: Results, best: Difference) -> str:
    if results.probe in (None, best.reference) or not _equalled(results, best):
        return ""
    assert results.probe is not None
    others = max(results.accuracy(best.arm), results.accuracy(best.reference))
    if best.verdict != "helps" and results.accuracy(results.probe) < others:
        # No arm is recommended, so that a simpler classifier which does worse is no objection.
        return ""
    seconds = results.mean(results.probe, lambda run: run.seconds)
    features = "pixels" if results.data.kind == "image" else "frozen features"
    return (
        f"; but {results.probe}, a linear classifier on {features} that takes {seconds:.0f} s, has "
        f"{100 * results.accuracy(results.probe):.1f} %"
    )


def _equalled(results: Results, best: Difference) -> bool:
    """Whether a probe does as well as the best arm, as far as these runs can tell."""
    return best.reference != results.probe and any(
        d.arm == best.arm and d.verdict != "helps" for d in results.beside_probe
    )


def accuracies(results: Results) -> str:
    """
    Says how accurate each arm is on the test set, and beside it what needs no training: the most frequent class, and
    a generator's own model, asked for the labels.
    """
    parts = [f"{arm} {100 * results.accuracy(arm):.1f} %" for arm in results.arms]
    parts += [f"{what} {100 * share:.1f} %" for what, share in untrained(results).items()]
    return f"Accuracy on {results.test}: {', '.join(parts)}."


def untrained(results: Results) -> dict[str, float]:
    """Accuracy on the test set of what needs no training, by its name, in `[0, 1]`."""
    name, share = results.majority()
    return ({f"always {name!r}": share} if name else {}) | results.zero_shot
