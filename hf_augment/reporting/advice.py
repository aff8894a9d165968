"""What to try next: rules over the results, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from hf_augment.blending.schedule import LEAST_SHOWN
from hf_augment.evaluation.comparison import Difference, best_of
from hf_augment.reporting.cautions import (
    LEAST_ACCEPTED,
    at_chance,
    hardly_shown,
    still_falling,
    strictest_filter,
    warmup_steps,
)
from hf_augment.reporting.results import REAL_ROWS, Results
from hf_augment.sentences import named


#: More advice than this nobody follows at once.
MOST_ADVICE = 3
#: The share of what there is to know beyond chance that a judge should know.
ABLE_JUDGE = 0.5


def next_steps(results: Results) -> list[str]:
    """
    Returns what is worth trying next and why, most useful first, three sentences at most: first what kept the
    comparison from telling anything, then what may bring more.

    Example:

    ```python
    from hf_augment import Results
    from hf_augment.reporting.advice import next_steps

    print(*next_steps(Results.load("runs/reviews/report/results.json")), sep="\\n")
    # Label more rows: as many real rows in the place of the synthetic ones (real) bring +24.0 points, instruct +18.7.
    ```
    """
    rules = (
        *(_learn, _show, _repeat, _train_longer, _label_more),
        *(_take_the_probe, _ask_the_model, _describe, _judge_better),
    )
    return [sentence for rule in rules for sentence in rule(results)][:MOST_ADVICE]


def _learn(results: Results) -> Iterator[str]:
    warmup, steps = warmup_steps(results), results.of_arm(results.reference)[0].steps
    if warmup > steps / 2:
        yield f"Lower warmup_steps: {warmup} for {steps} steps keep the learning rate low; a tenth of them is usual."
    elif at_chance(results, results.reference):
        rate = results.settings.get("learning_rate", "unknown")
        yield (
            f"Raise learning_rate (now {rate}) or {_length(results)[0]}: in {steps} steps {results.reference} learned "
            "nothing that could be told from chance."
        )


def _show(results: Results) -> Iterator[str]:
    for arm in results.tried:
        shares = results.acceptance.get(arm, {})
        if shares and (shares["acceptance"] < LEAST_ACCEPTED or hardly_shown(results, [arm])):
            name, share = strictest_filter(results, arm)
            loosen = f"Loosen the filter {name}, or change"
            if "minutes" in results.settings:
                # The command for one's own data has no option for the other filters.
                loosen = "Lower --min_label_probability, or change" if name == "label_agreement" else "Change"
            yield (
                f"{loosen} what generates for {arm}: the filter {name} let {100 * share:.1f} % of what reached it "
                "pass, and what is not shown teaches nothing."
            )


def _repeat(results: Results) -> Iterator[str]:
    best = _best(results)
    if best is None:
        return
    if best.pairs == 1:
        yield f"Compare more runs: one pair gives no verdict. Pass {_first_runs(results)}."
    elif best.verdict == "no detectable effect" and best.mean > 0 and best.detectable is not None:
        yield (
            f"Compare more {_more_runs(results)}: {best.pairs} pairs of runs see effects from about "
            f"{100 * best.detectable:.1f} points, and {best.arm} has {best.points}."
        )


def _first_runs(results: Results) -> str:
    if "minutes" not in results.settings:
        return "--seeds 3, or --splits 5 with train_per_class"
    if results.usual_steps is not None:
        return f"more --minutes, and a new --output_dir: runs of {results.usual_steps} steps are usual"
    # A number of runs that was asked for is done in any time.
    return f"--seeds 3{'' if 'seeds' in results.settings else ', or more --minutes'}: what is done is kept"


def _more_runs(results: Results) -> str:
    # Where rows were drawn, more runs on the same draws tell nothing of others.
    drawn = len({run.split for run in results.runs}) > 1
    if "minutes" not in results.settings:
        return "draws (--splits)"
    # Runs that are added after a verdict would make the next one too sure.
    option = "--splits" if drawn else "--seeds" if "seeds" in results.settings else "--minutes"
    return f"{'draws' if drawn else 'runs'} (more {option}, and a new --output_dir)"


def _train_longer(results: Results) -> Iterator[str]:
    arms = [results.reference, *(best.arm for best in [_best(results)] if best)]
    if still_falling(results, arms):
        name, now = _length(results)
        yield f"Train longer ({name}, now {now}): the training loss was still falling at the end."


def _label_more(results: Results) -> Iterator[str]:
    best = _best(results)
    for real in results.on(results.test, [arm for arm, made_of in results.models.items() if made_of == REAL_ROWS]):
        if real.verdict == "helps" and (best is None or real.mean > best.mean):
            beside = f", {best.arm} {best.points}" if best else ""
            yield (
                f"Label more rows: as many real rows in the place of the synthetic ones ({real.arm}) bring "
                f"{real.points} points{beside}."
            )


def _take_the_probe(results: Results) -> Iterator[str]:
    probe = results.probe
    if probe is None:
        return
    better = [arm for arm in results.arms if results.accuracy(arm) > results.accuracy(probe)]
    if all(results.models.get(arm) == REAL_ROWS for arm in better):
        but = f" but more labelled rows ({named(better)})" if better else ""
        seconds = results.mean(probe, lambda run: run.seconds)
        yield (
            f"Use {probe}, or train the classifier in another way: nothing here was better{but}, and it takes "
            f"{seconds:.0f} s."
        )


def _ask_the_model(results: Results) -> Iterator[str]:
    most = max(map(results.accuracy, results.arms))
    for what, share in results.zero_shot.items():
        if share > most:
            yield (
                f"Try the language model itself as the classifier: {what}, has {100 * share:.1f} %, and no arm more "
                f"than {100 * most:.1f} %."
            )


def _describe(results: Results) -> Iterator[str]:
    # Of the arms of a command line, the one whose examples follow from the names of the classes and a few rows.
    written = [d for d in results.on(results.test, ["prompted"]) if d.verdict == "hurts"]
    # A prompt of one's own is whole.
    if written and "minutes" in results.settings and not {"descriptions", "prompt"} & results.settings.keys():
        yield (
            "Say what each class is (--descriptions FILE, which `hf_augment inspect` drafts), with a new "
            f"--output_dir: what prompted wrote without them moves accuracy by {written[0].points} points."
        )


def _judge_better(results: Results) -> Iterator[str]:
    chance, known, how_known = results.majority()[1], results.judge_accuracy, "out of fold"
    option = results.settings.get("label_judge")
    if known is None:
        # A judge of what has not learned the labelled rows is a run of the reference, or of the probe of these rows.
        # By a probability that is typed the command for one's own data has the classifier judge.
        typed = "minutes" in results.settings and results.settings.get("min_label_probability", "None") != "None"
        learned = option == "classifier" or typed
        judge = "probe" if not learned and "probe" in results.arms else results.reference
        known, how_known = results.accuracy(judge), f"on {results.test}"
    judged = [arm for arm in results.tried if "acceptance_label_agreement" in results.acceptance.get(arm, {})]
    if judged and option != "prompted" and known - chance < ABLE_JUDGE * (1 - chance):
        how = " (--label_judge prompted)" if option not in (None, "None") else ", or label more rows for it"
        yield (
            f"Try another judge of labels{how}: the one here learned the same rows as {results.reference}, and has an "
            f"accuracy of {100 * known:.1f} % {how_known}."
        )


def _length(results: Results) -> tuple[str, str]:
    """Returns the argument that says how long every run was trained, and its value."""
    steps = results.settings.get("max_steps", "-1")
    if steps not in ("-1", "0"):
        return "max_steps", steps
    return "num_train_epochs", results.settings.get("num_train_epochs", "unknown")


def _best(results: Results) -> Difference | None:
    tried = results.on(results.test, results.tried)
    # Of what was shown next to nothing nothing is known; of one pair of runs, less than of several.
    shown = [d for d in tried if d.shown is None or d.shown >= LEAST_SHOWN]
    return best_of([d for d in shown if d.pairs > 1] or shown)
