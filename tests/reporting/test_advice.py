"""What to try next: each rule, its order, and silence where nothing is wrong."""

from dataclasses import replace

from hf_augment.reporting.advice import next_steps
from tests.reporting.test_answer import compared


JUDGED = {"acceptance": 0.5, "acceptance_fluency": 0.9, "acceptance_label_agreement": 0.55}


def test_nothing_to_improve():
    assert next_steps(compared(baseline=500, same_steps=800, instruct=900)) == []


def test_a_classifier_that_learned_nothing():
    found = replace(compared(baseline=500, same_steps=510, instruct=900), settings={"learning_rate": "5e-05"})
    assert next_steps(found) == [
        "Raise learning_rate (now 5e-05) or num_train_epochs: in 40 steps same_steps learned nothing that could be "
        "told from chance."
    ]
    assert next_steps(replace(found, settings={"learning_rate": "5e-05", "max_steps": "40"})) == [
        "Raise learning_rate (now 5e-05) or max_steps: in 40 steps same_steps learned nothing that could be told "
        "from chance."
    ]
    assert next_steps(replace(found, settings={"warmup_steps": "500"})) == [
        "Lower warmup_steps: 500 for 40 steps keep the learning rate low; a tenth of them is usual."
    ]


def test_a_filter_that_rejects_nearly_everything():
    shares = {"acceptance": 0.03, "acceptance_fluency": 0.9, "acceptance_label_agreement": 0.033}
    found = replace(compared(baseline=500, same_steps=800, instruct=900), acceptance={"instruct": shares})
    assert next_steps(found) == [
        "Loosen the filter label_agreement, or change what generates for instruct: the filter label_agreement let 3.3 "
        "% of what reached it pass, and what is not shown teaches nothing."
    ]
    # The command for one's own data has an option for this filter alone.
    (said,) = next_steps(replace(found, settings={"minutes": "15"}))
    assert said.startswith("Lower --min_label_probability, or change what generates for instruct: the filter label_")
    copies = {"acceptance": 0.03, "acceptance_label_agreement": 0.9, "acceptance_memorization": 0.033}
    (said,) = next_steps(replace(found, settings={"minutes": "15"}, acceptance={"instruct": copies}))
    assert said.startswith("Change what generates for instruct: the filter memorization let 3.3 % of what reached it")


def test_more_runs():
    assert next_steps(compared(pairs=1, baseline=500, same_steps=800, instruct=900)) == [
        "Compare more runs: one pair gives no verdict. Pass --seeds 3, or --splits 5 with train_per_class."
    ]
    (said,) = next_steps(compared(baseline=500, same_steps=800, instruct=803))
    assert said.startswith("Compare more draws (--splits): 3 pairs of runs see effects from about ")
    timed = {"settings": {"minutes": "15.0"}}
    assert next_steps(replace(compared(pairs=1, baseline=500, same_steps=800, instruct=900), **timed)) == [
        "Compare more runs: one pair gives no verdict. Pass --seeds 3, or more --minutes: what is done is kept."
    ]
    short = compared(pairs=1, baseline=500, same_steps=800, instruct=900)
    assert next_steps(replace(short, usual_steps=120, **timed)) == [
        "Compare more runs: one pair gives no verdict. Pass more --minutes, and a new --output_dir: runs of 120 steps "
        "are usual."
    ]
    (said,) = next_steps(replace(compared(baseline=500, same_steps=800, instruct=803), **timed))
    assert said.startswith(
        "Compare more runs (more --minutes, and a new --output_dir): 3 pairs of runs see effects from about "
    )
    # A number of runs that was asked for is done in any time.
    asked = {"settings": {"minutes": "15.0", "seeds": "3"}}
    (said,) = next_steps(replace(compared(baseline=500, same_steps=800, instruct=803), **asked))
    assert said.startswith("Compare more runs (more --seeds, and a new --output_dir): 3 pairs")
    assert next_steps(replace(compared(pairs=1, baseline=500, same_steps=800, instruct=900), **asked)) == [
        "Compare more runs: one pair gives no verdict. Pass --seeds 3: what is done is kept."
    ]
    drawn = replace(compared(baseline=500, same_steps=800, instruct=803), **timed)
    drawn.runs[:] = [replace(run, split=run.seed, seed=0) for run in drawn.runs]
    (said,) = next_steps(drawn)
    assert said.startswith("Compare more draws (more --splits, and a new --output_dir): 3 pairs")
    # What looks like harm is not worth more runs.
    assert next_steps(compared(baseline=500, same_steps=800, instruct=797)) == []


def test_longer_training():
    found = replace(compared(baseline=500, same_steps=800, instruct=900), settings={"num_train_epochs": "3.0"})
    for run in found.of_arm("instruct"):
        run.curve.extend({"step": 10 * i, "loss": 5.0 - i} for i in range(1, 5))
    assert next_steps(found) == [
        "Train longer (num_train_epochs, now 3.0): the training loss was still falling at the end."
    ]
    assert next_steps(replace(found, settings={"num_train_epochs": "3.0", "max_steps": "120"})) == [
        "Train longer (max_steps, now 120): the training loss was still falling at the end."
    ]


def test_what_more_labels_are_worth():
    arms = {"baseline": 500, "same_steps": 800, "instruct": 850, "models": {"real": "real rows"}}
    assert next_steps(compared(**arms, real=900)) == [
        "Label more rows: as many real rows in the place of the synthetic ones (real) bring +10.0 points, instruct "
        "+5.0."
    ]
    assert next_steps(compared(**arms, real=840)) == []


def test_what_was_not_tested_is_no_advice():
    shown = {"prompted": 0.01, "trained": 1.0}
    found = compared(same_steps=600, prompted=690, trained=602, shown=shown)
    (said,) = [sentence for sentence in next_steps(found) if sentence.startswith("Compare more")]
    assert "trained has +0.2" in said


def test_a_probe_that_nothing_beats():
    arms = {"baseline": 500, "same_steps": 800, "instruct": 850, "steps": {"probe": 0}}
    assert next_steps(compared(**arms, probe=860)) == [
        "Use probe, or train the classifier in another way: nothing here was better, and it takes 1 s."
    ]
    (said,) = next_steps(compared(**arms, real=900, models={"real": "real rows"}, probe=860))[-1:]
    assert said.endswith(": nothing here was better but more labelled rows (real), and it takes 1 s.")
    assert next_steps(compared(**arms, probe=840)) == []
    # The baseline may beat it where nothing that was tried does.
    assert next_steps(compared(**arms | {"same_steps": 900}, probe=860)) == []


def test_a_judge_that_knows_little():
    found = replace(compared(baseline=500, same_steps=700, instruct=850), acceptance={"instruct": JUDGED})
    said = (
        "Try another judge of labels, or label more rows for it: the one here learned the same rows as same_steps, "
        "and has an accuracy of "
    )
    assert next_steps(found) == [f"{said}70.0 % on test."]
    assert next_steps(replace(found, judge_accuracy=0.61)) == [f"{said}61.0 % out of fold."]
    assert next_steps(replace(found, judge_accuracy=0.75)) == []
    assert next_steps(replace(found, settings={"label_judge": "classifier"})) == [
        "Try another judge of labels (--label_judge prompted): the one here learned the same rows as same_steps, and "
        "has an accuracy of 70.0 % on test."
    ]
    assert next_steps(replace(found, settings={"label_judge": "prompted"})) == []
    # The judge is the probe of the same rows, where there is one.
    beside = compared(baseline=500, same_steps=700, instruct=850, probe=660, steps={"probe": 0})
    assert next_steps(replace(beside, acceptance={"instruct": JUDGED})) == [f"{said}66.0 % on test."]
    # By a probability that was typed for one's own data the trained classifier judges.
    typed = {"minutes": "15", "min_label_probability": "0.5"}
    assert next_steps(replace(beside, acceptance={"instruct": JUDGED}, settings=typed)) == [f"{said}70.0 % on test."]
    beside = compared(baseline=500, same_steps=700, instruct=950, probe=800, steps={"probe": 0})
    assert next_steps(replace(beside, acceptance={"instruct": JUDGED})) == []
    assert next_steps(replace(found, acceptance={"instruct": {"acceptance": 0.5}})) == []


def test_a_language_model_that_knows_more_than_what_it_taught():
    found = compared(baseline=500, same_steps=800, instruct=900)
    asked = {"the model of instruct, asked (80 rows)": 0.925}
    assert next_steps(replace(found, zero_shot=asked)) == [
        "Try the language model itself as the classifier: the model of instruct, asked (80 rows), has 92.5 %, and no "
        "arm more than 90.0 %."
    ]
    assert next_steps(replace(found, zero_shot=dict.fromkeys(asked, 0.9))) == []


def test_a_prompt_whose_texts_hurt():
    found = replace(compared(baseline=500, same_steps=800, prompted=700), settings={"minutes": "15.0"})
    assert next_steps(found) == [
        "Say what each class is (--descriptions FILE, which `hf_augment inspect` drafts), with a new --output_dir: "
        "what prompted wrote without them moves accuracy by -10.0 points."
    ]
    # Either is given already, or would be refused.
    for given in ("descriptions", "prompt"):
        assert next_steps(replace(found, settings={"minutes": "15.0", given: "a file"})) == []
    assert next_steps(replace(found, settings={})) == []


def test_three_at_most_what_keeps_from_an_answer_first():
    found = compared(
        baseline=500, same_steps=505, instruct=510, real=900, models={"real": "real rows"}, shown={"instruct": 0.0}
    )
    shares = JUDGED | {"acceptance": 0.0, "acceptance_label_agreement": 0.0}
    said = next_steps(replace(found, acceptance={"instruct": shares}))
    assert [sentence.partition(" ")[0] for sentence in said] == ["Raise", "Loosen", "Label"]
