import numpy as np

from hf_augment.study.arms import Arm, as_run, rows_to_perturb


RESULT = {
    "steps": 4,
    "seconds": 1.5,
    "wait": 0.25,
    "metrics": {"test": {"accuracy": 0.5}, "other": {"accuracy": 1.0}},
    "correct": {"test": [1, 1, 0, 0], "other": [1, 1]},
    "classes": {},
    "robustness": {"test": {"case": [0.5, 0.0]}},
    "perturbed": {"test": [0.5, 0.0, 0.25]},
    "curve": [{"step": 2, "loss": 0.1}],
    "shards": "0123",
}


def test_a_result_is_a_run_and_what_was_perturbed_is_compared_with_the_same_rows():
    run = as_run("trained", 1, 2, RESULT, perturbed_rows=3)
    assert (run.arm, run.split, run.seed, run.steps, run.wait) == ("trained", 1, 2, 4, 0.25)
    rows = rows_to_perturb(4, 3)
    assert run.unperturbed == {"test": np.array(RESULT["correct"]["test"])[rows].mean()}
    assert run.unperturbed_accuracy("test") == run.unperturbed["test"]
    assert run.unperturbed_accuracy("other") == 1.0
    assert run.perturbed == RESULT["perturbed"]
    assert as_run("trained", 1, 2, RESULT | {"robustness": {}}, perturbed_rows=0).unperturbed == {}


def test_rows_to_perturb_are_of_the_whole_set():
    rows = rows_to_perturb(1000, 100)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(rows) == 100
    # A set that is sorted by class is sampled as a whole.
    assert all(np.sum((rows >= start) & (rows < start + 250)) > 10 for start in range(0, 1000, 250))
    assert rows_to_perturb(5, 100).tolist() == [0, 1, 2, 3, 4]


def test_an_arm_is_printed_by_its_name():
    assert f"{Arm('trained', generator='trained')}" == "trained"
