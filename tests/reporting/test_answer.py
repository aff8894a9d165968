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
    assert answer(found, ["eda"]).startswith("Not that these runs could tell: the best arm, eda, moves accuracy")


def test_an_arm_that_helps_is_better_than_one_of_which_that_is_not_known():
    found = compared(baseline=500, same_steps=600, instruct=660, noisy=670)
    # Its runs differ so much that its higher mean proves nothing.
    (noisy,) = (d for d in found.differences if d.arm == "noisy")
    at = found.differences.index(noisy)
    found.differences[at] = replace(noisy, low=-0.2, high=0.35, p_holm=0.4)
    assert [d.verdict for d in found.differences[1:]] == ["helps", "no detectable effect"]
    assert answer(found).startswith("Yes: instruct raises accuracy on test from 60.0 % (same_steps) to 66.0 %")
    assert next_steps(found) == []


def test_the_ceiling_of_real_rows_and_the_stock_baseline_are_not_what_was_tried():
    found = compared(baseline=900, same_steps=600, real=850, models={"real": "real rows"})
    assert answer(found) == "No answer: nothing was tried that could be compared with same_steps."
    assert "the best arm, eda, moves" in answer(
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
    assert answer(weak).endswith("; but probe, a linear classifier on frozen features that takes seconds, has 78.5 %.")
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


def test_a_probe_that_learned_synthetic_rows_too_is_one_of_the_arms_that_were_tried():
    arms = {"same_steps": 600, "probe": 700, "probe_instruct": 800, "instruct": 780}
    found = compared(**arms, steps={"probe": 0, "probe_instruct": 0}, shown={"probe_instruct": 1.0})
    assert (found.probe, found.tried) == ("probe", ["probe_instruct", "instruct"])
    assert answer(found).startswith("Yes: probe_instruct raises accuracy on test from 60.0 % (same_steps) to 80.0 %")


def test_no_effect_and_harm():
    none = answer(compared(baseline=500, same_steps=700, instruct=703))
    assert none.startswith("Not that these runs could tell: the best arm, instruct, moves accuracy on test from 70.")
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
        "No classifier learned the task, with synthetic examples or without: all are at chance."
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
        ("probe", "3", "-", rows[2][3]),
        ("always 'no'", "-", "-", "0.500"),
        ("the model of instruct, asked (64 rows)", "-", "-", "0.745"),
    ]
