"""One run: what it is shown, what it is tested on, and what is told of it."""

import numpy as np

from hf_augment import AugmentingTrainingArguments
from hf_augment.study.runs import as_run, rows_to_perturb, run_arm
from hf_augment.study.text_classifier import TextClassifier
from tests.tiny import tiny_classifier, tiny_tokenizer
from tests.toys import LABELS, TEXT


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


class Collator:
    """Notes down the texts that it pads, by the name of its augmentation."""

    def __init__(self, pad, augment, seen):
        self.pad, self.augment, self.seen = pad, augment, seen

    def __call__(self, rows):
        self.seen.setdefault(self.augment, []).extend(tuple(row["input_ids"]) for row in rows)
        return self.pad(rows)


def test_only_training_rows_are_augmented(tmp_path):
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(tokenizer=tokenizer)):
        part.save_pretrained(tmp_path / "tiny")

    seen = {}

    class Noting(TextClassifier):
        perturbations = ("case",)

        def collator(self, augment=None):
            return Collator(super().collator(), augment, seen)

    rows = {name: TEXT.rows(8, seed=seed) for seed, name in enumerate(("train", "validation", "test"))}
    classifier = Noting(str(tmp_path / "tiny"), list(LABELS), max_length=24)
    args = AugmentingTrainingArguments(
        str(tmp_path), max_steps=2, eval_strategy="steps", eval_steps=1, save_strategy="no", use_cpu=True
    )
    result = run_arm(
        tmp_path / "run",
        classifier,
        args,
        rows["train"],
        {"test": rows["test"]},
        seed=1,
        augment="eda",
        validation=rows["validation"],
        robustness_rows=4,
    )
    ids = {name: {tuple(ids) for ids in classifier.rows(of, name)["input_ids"]} for name, of in rows.items()}
    assert set(seen["eda"]) == ids["train"]
    assert set(seen[None]) >= ids["validation"] | ids["test"]
    assert not ids["train"] & set(seen[None])
    assert len(result["correct"]["test"]) == 8
    assert len(result["perturbed"]["test"]) == 4
