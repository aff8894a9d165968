"""What a reader must know first: each rule with a case of it, and one that is just none."""

from dataclasses import replace

import numpy as np
import pytest

from hf_augment.evaluation.comparison import ArmRun
from hf_augment.reporting.cautions import at_chance, cautions, named
from hf_augment.reporting.results import Data, Results


def made(*runs, rows=(60, 40), settings=None, **described):
    """Results of runs `(arm, right answers of 100, further values)` of texts of as many classes as `rows` has."""
    names = [f"c{i}" for i in range(len(rows))]
    classes = {"test": {name: {"recall": 0.5, "support": float(n)} for name, n in zip(names, rows, strict=True)}}
    fields = {"steps": 40, "seconds": 1.0, "classes": classes}
    made_runs = [
        ArmRun(arm, 0, seed, metrics={"test": {"accuracy": right / sum(rows)}}, **fields | more)
        for seed, (arm, right, more) in enumerate(runs)
    ]
    data = Data(label_names=names, evaluations={"test": sum(rows)})
    return Results("t", made_runs, runs[0][0], "test", data, settings=settings or {}, **described)


def test_nothing_to_beware_of():
    assert cautions(made(("base", 90, {}), ("gen", 95, {"shown": 0.1, "scheduled": 640}))) == []


def test_an_arm_that_was_shown_next_to_nothing():
    starved = {"shown": 0.0, "scheduled": 640}
    assert cautions(made(("base", 90, {}), ("gen", 90, starved), ("gen", 90, starved))) == [
        "gen: 0 of 1280 scheduled synthetic rows were shown, so its runs say nothing of its generator."
    ]
    some = made(("base", 90, {}), ("gen", 90, {"shown": 0.05, "scheduled": 640}), ("gen", 90, {"shown": 1.0}))
    assert cautions(some) == [
        "gen: 32 of 640 scheduled synthetic rows were shown in 1 of 2 runs, so they say nothing of its generator."
    ]
    # Results of before tell no number.
    assert cautions(made(("base", 90, {}), ("gen", 90, {"shown": 0.01}))) == [
        "gen: 1.0 % of the scheduled synthetic rows were shown, so its runs say nothing of its generator."
    ]


def test_an_arm_that_there_was_no_time_for():
    assert cautions(made(("base", 90, {}), ("crop", 92, {}), not_tried={"trained": "since it is slow"})) == [
        "trained was not tried, since it is slow."
    ]


def test_fewer_steps_than_are_usual():
    assert cautions(made(("base", 90, {}), ("crop", 92, {}), usual_steps=800)) == [
        "A run had 40 steps, of 800 that are usual: there was no time for more."
    ]


def test_few_candidates_accepted_and_by_which_filter():
    shares = {"acceptance": 0.03, "acceptance_fluency": 0.5, "acceptance_label_agreement": 0.06, "per_second": 1.0}
    found = made(("base", 90, {}), acceptance={"base": shares, "other": shares | {"acceptance": 0.1}})
    assert cautions(found) == [
        "base: 3.0 % of the candidates were accepted; label_agreement let 6.0 % of what reached it pass."
    ]
    assert cautions(replace(found, acceptance={"base": shares | {"acceptance": 0.1}})) == []


def test_an_arm_at_chance():
    # Of 100 rows 60 are of one class: one-sided, 68 right answers have p = 0.061, 69 have 0.040.
    assert [at_chance(made(("base", right, {})), "base") for right in (30, 68, 69)] == [True, True, False]
    found = made(("base", 68, {}), ("gen", 69, {}))
    assert cautions(found) == ["At chance: base (68.0 %) cannot be told from answers that do not look at the rows."]
    # With several labels in a row there are more labels than rows, and chance is another thing.
    assert not at_chance(replace(found, data=Data(evaluations={"test": 70})), "base")
    found.runs[0].metrics["test"]["exact_match"] = 0.1
    assert not at_chance(found, "base")


def test_a_warm_up_that_never_ended():
    found = made(("base", 90, {"steps": 15}), ("gen", 90, {"steps": 501}), settings={"warmup_steps": "500.0"})
    assert cautions(found) == ["Warm-up never ended: 500 steps of it, and base ended by then."]
    # A share of the steps ends before they do, and a probe has none.
    for other in ({"warmup_steps": "0.5"}, {"warmup_steps": "None"}, {}):
        assert cautions(replace(found, settings=other)) == []
    assert cautions(made(("probe", 90, {"steps": 0}), settings={"warmup_steps": 10})) == []


@pytest.mark.parametrize(
    ("losses", "falling"),
    [
        ([4.0, 3.0, 2.0, 1.0], True),
        # By the same factor each time: falls of 1, f and f², of which the last is a fifth at 0.64.
        (np.cumsum([5, -1, -0.65, -(0.65**2)]), True),
        (np.cumsum([5, -1, -0.63, -(0.63**2)]), False),
        ([4.0, 3.0, 3.1, 2.0], False),
        ([1.0, 1.0, 1.0, 1.0], False),
        ([3.0, 2.0, 1.0], False),
    ],
)
def test_a_loss_that_is_still_falling(losses, falling):
    curve = [{"step": 10 * (i + 1), "loss": float(loss)} for i, loss in enumerate(losses)]
    curve += [{"step": 40, "eval_loss": 0.5}]
    found = made(("base", 90, {"curve": curve}), ("gen", 90, {"curve": curve}))
    said = ["Training loss still falling: base, gen, when training ended."]
    assert cautions(found) == (said if falling else [])
    assert cautions(found, ["gen"]) == (["Training loss still falling: gen, when training ended."] if falling else [])


def test_classes_without_test_rows_and_never_recognised():
    found = made(("base", 90, {}), ("gen", 90, {}), rows=(50, 50, 0))
    for arm, missed in (("base", ("c1", "c2")), ("gen", ("c1",))):
        of_arm = found.of_arm(arm)[0].classes
        of_arm["test"] = {n: f | ({"recall": 0.0} if n in missed else {}) for n, f in of_arm["test"].items()}
    assert cautions(found) == [
        "No test row is of 'c2': nothing is measured of it.",
        "Never recognised: 'c1', by base, gen, on any test row.",
    ]


def test_of_many_names_the_first_ones():
    assert named("abcde") == "a, b, c, d, e"
    assert named("abcdefg") == "a, b, c, d, e and 2 more"


def seen(arm, answered):
    """A run of an arm that answers `answered[i][j]` rows of class i with class j."""
    table = np.array(answered, dtype=float)
    right = table.diagonal()
    figures = {
        f"c{i}": {
            "recall": right[i] / table[i].sum(),
            "precision": right[i] / table[:, i].sum() if table[:, i].sum() else 0.0,
            "support": float(table[i].sum()),
        }
        for i in range(len(table))
    }
    return arm, right.sum(), {"classes": {"test": figures}}


def test_a_classifier_that_tells_a_rare_class_is_not_at_chance():
    """It is right less often than one that always answers the common class, and knows much more."""
    learned = seen("base", [[620, 280], [20, 80]])
    lazy, blind = seen("lazy", [[900, 0], [100, 0]]), seen("blind", [[450, 450], [50, 50]])
    found = made(learned, lazy, blind, rows=(900, 100))
    assert [at_chance(found, arm) for arm in ("base", "lazy", "blind")] == [False, True, True]
    assert cautions(found)[:2] == [
        "At chance: lazy (90.0 %), blind (50.0 %) cannot be told from answers that do not look at the rows.",
        "Less accurate than always answering 'c0' (90.0 %): base (70.0 %).",
    ]
    # What is never right may have been answered often: that is taken to be luck, not skill.
    assert at_chance(made(seen("base", [[0, 10], [0, 10]]), rows=(10, 10)), "base")
