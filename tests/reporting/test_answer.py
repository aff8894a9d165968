"""The answer in one sentence: what a newcomer may conclude, and no more."""

from dataclasses import replace

import numpy as np

from hf_augment.evaluation.comparison import ArmRun
from hf_augment.reporting.advice import next_steps
from hf_augment.reporting.answer import accuracies, answer
from hf_augment.reporting.results import Data, Results
from hf_augment.reporting.tables import arm_table


NAMES = ("no", "yes")


def compared(pairs=3, models=None, steps=None, shown=None, rows=1000, **right):
    """Results of arms, each right on so many of 1000 rows."""
    runs = []
    classes = {"test": {name: {"recall": 0.5, "support": rows / 2} for name in NAMES}}
    for arm, count in right.items():
        for seed in range(pairs):
            # The same rows are easy for all arms, in each run a few others.
            correct = np.roll(np.arange(rows) < count, 2 * seed).astype(float)
            metrics = {"test": {"accuracy": float(correct.mean())}}
            of_steps = (steps or {}).get(arm, 40)
            made = ArmRun(arm, 0, seed, of_steps, 1.0, metrics, {"test": correct.tolist()}, classes)
            runs.append(replace(made, shown=(shown or {}).get(arm)))
    data = Data(label_names=list(NAMES), evaluations={"test": rows})
    return Results.of_runs("t", runs, "same_steps", "test", data=data, models=models or {})


def test_an_arm_that_helps():
    found = compared(baseline=500, same_steps=600, eda=602, instruct=780)
    assert answer(found).startswith(
        "Yes: instruct raises accuracy on test from 60.0 % (same_steps) to 78.0 %, +18.0 points (95 % interval +"
    )
    assert answer(found).endswith(", 3 pairs of runs).")
    # Of a card about another arm.
    assert answer(found, ["eda"]).startswith("Not that these runs could tell: eda moves accuracy on test from")


def test_an_arm_that_helps_is_better_than_one_of_which_that_is_not_known():
    found = compared(baseline=500, same_steps=600, instruct=660, noisy=670)
    # Its runs differ so much that its higher mean proves nothing.
    (noisy,) = (d for d in found.differences if d.arm == "noisy")
    at = found.differences.index(noisy)
    found.differences[at] = replace(noisy, low=-0.2, high=0.35, p_holm=0.4)
    assert [d.verdict for d in found.differences[1:]] == ["helps", "no detectable effect"]
    assert answer(found).startswith("Yes: instruct raises accuracy on test from 60.0 % (same_steps) to 66.0 %")
    assert next_steps(found) == []


def test_a_probe_is_to_help_a_probe():
    """What it has beside a trained classifier is not what the generator brings."""
    steps, models = {"probe": 0, "probe_prompted": 0}, {"prompted": "lm", "probe_prompted": "lm"}
    shown = {"prompted": 1.0, "probe_prompted": 1.0}
    told = {"pairs": 5, "steps": steps, "models": models, "shown": shown}
    found = compared(same_steps=600, prompted=603, probe=750, probe_prompted=770, **told)
    assert (found.tried, found.fed_probes) == (["prompted"], ["probe_prompted"])
    assert answer(found).startswith("Not that these runs could tell: prompted moves accuracy on test from 60.0 %")
    # Seeds of what is not trained are copies, of one run on this draw.
    (beside,) = (d for d in found.beside_probe if d.arm == "probe_prompted")
    assert (beside.pairs, beside.verdict) == (1, "not tested: one pair of runs")
    rows = {row[0]: row[1:4] for row in arm_table(found, "test")[2]}
    assert rows["probe"] == ("1", "-", "0.750")
    # A trained classifier has as many runs as seeds, also beside a probe.
    assert next(d for d in found.beside_probe if d.arm == "prompted").pairs == 5
    alone = compared(same_steps=600, probe=750, probe_prompted=770, **told)
    assert answer(alone) == "Not tested: probe_prompted (one pair of runs)."


def test_the_ceiling_of_real_rows_and_the_stock_baseline_are_not_what_was_tried():
    found = compared(baseline=900, same_steps=600, real=850, models={"real": "real rows"})
    assert answer(found) == "No answer: nothing was tried that could be compared with same_steps."
    assert "could tell: eda moves" in answer(
        compared(baseline=900, same_steps=600, real=850, eda=601, models={"real": "real rows"})
    )


def test_a_gain_over_a_weak_baseline_is_no_yes():
    arms = {"baseline": 500, "same_steps": 600, "instruct": 780}
    weak = compared(**arms, probe=785, steps={"probe": 0})
    assert weak.probe == "probe"
    assert [(d.arm, d.reference) for d in weak.beside_probe] == [
        *(("baseline", "probe"), ("same_steps", "probe"), ("instruct", "probe"))
    ]
    assert answer(weak).startswith("Not beyond a simpler classifier: instruct raises accuracy on test from 60.0 %")
    assert answer(weak).endswith("; but probe, a linear classifier on frozen features that takes 1 s, has 78.5 %.")
    # It is the model to use, where it is saved.
    assert (weak.best_arm(), weak.best_arm(["same_steps", "instruct"])) == ("probe", "instruct")
    assert compared(**arms, probe=770, steps={"probe": 0}).best_arm() == "instruct"
    # One that is clearly beaten is no matter.
    assert answer(compared(**arms, probe=650, steps={"probe": 0})).startswith("Yes: instruct")
    assert "probe" not in answer(compared(**arms, probe=650, steps={"probe": 0}))
    assert Results.from_dict(weak.to_dict()).beside_probe == weak.beside_probe
    # What does not help is not beside a simpler classifier that does worse.
    for probe, said in ((750, False), (850, True)):
        harmful = compared(baseline=500, same_steps=800, instruct=700, probe=probe, steps={"probe": 0})
        assert answer(harmful).startswith("No, it hurts")
        assert ("; but probe" in answer(harmful)) is said


def test_of_several_arms_the_best_is_named():
    assert "could tell: the best arm, eda, moves" in answer(compared(baseline=600, same_steps=600, eda=601, dull=600))
    worse = answer(compared(baseline=600, same_steps=600, eda=400, dull=300))
    assert worse.startswith("No, it hurts: even the best arm, eda, lowers accuracy")


def test_no_effect_and_harm():
    none = answer(compared(baseline=500, same_steps=700, instruct=703))
    assert none.startswith("Not that these runs could tell: instruct moves accuracy on test from 70.")
    assert none.endswith("points would have been needed.")
    harm = answer(compared(baseline=500, same_steps=700, eda=500, instruct=600))
    assert harm.startswith("No, it hurts: even the best arm, instruct, lowers accuracy on test from 70.0 %")


def test_an_interval_beside_zero_is_no_finding_among_many_arms():
    found = compared(baseline=500, same_steps=700, instruct=703)
    found.differences[:] = [replace(d, low=0.01, high=0.02, mean=0.015, family=4) for d in found.differences]
    assert "; corrected for 4 arms that is no finding; about" in answer(found)


def test_what_was_not_tested():
    found = compared(baseline=500, same_steps=700, instruct=700, shown={"instruct": 0.0})
    assert answer(found) == "Not tested: instruct (shown 0.0 % of the scheduled synthetic rows)."
    assert answer(compared(pairs=1, baseline=500, same_steps=700, instruct=800)) == (
        "Not tested: instruct (one pair of runs)."
    )


def test_all_at_chance():
    assert answer(compared(baseline=500, same_steps=505, instruct=510)) == (
        "No classifier, with synthetic examples or without, can be told from chance on 1000 test rows."
    )


def test_accuracies_beside_what_needs_no_training():
    found = replace(
        compared(baseline=500, same_steps=600, probe=785, steps={"probe": 0}),
        zero_shot={"the model of instruct, asked (64 rows)": 0.745},
    )
    assert accuracies(found) == (
        "Accuracy on test: baseline 50.0 %, same_steps 60.0 %, probe 78.5 %, always 'no' 50.0 %, "
        "the model of instruct, asked (64 rows) 74.5 %."
    )
    rows = arm_table(found, "test")[2]
    assert [row[:4] for row in rows[2:]] == [
        ("probe", "1", "-", rows[2][3]),
        ("always 'no'", "-", "-", "0.500"),
        ("the model of instruct, asked (64 rows)", "-", "-", "0.745"),
    ]
