from hf_augment.experiments.arms import Arm, as_run


RESULT = {
    "steps": 4,
    "seconds": 1.5,
    "wait": 0.25,
    "metrics": {"test": {"accuracy": 0.5}, "other": {"accuracy": 1.0}},
    "correct": {"test": [1, 1, 0, 0], "other": [1, 1]},
    "classes": {},
    "robustness": {"test": {"case": [0.5, 0.0]}},
    "curve": [{"step": 2, "loss": 0.1}],
    "shards": "0123",
}


def test_a_result_is_a_run_and_what_was_perturbed_is_compared_with_the_same_rows():
    run = as_run("trained", 1, 2, RESULT, perturbed_rows=3)
    assert (run.arm, run.split, run.seed, run.steps, run.wait) == ("trained", 1, 2, 4, 0.25)
    assert run.unperturbed == {"test": 2 / 3}
    assert run.unperturbed_accuracy("test") == 2 / 3
    assert run.unperturbed_accuracy("other") == 1.0
    assert as_run("trained", 1, 2, RESULT | {"robustness": {}}, perturbed_rows=0).unperturbed == {}


def test_an_arm_is_printed_by_its_name():
    assert f"{Arm('trained', generator='trained')}" == "trained"
