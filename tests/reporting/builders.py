"""Results of a comparison, small enough for a test, and text that tries to be more than text."""

from pathlib import Path

import numpy as np

from hf_augment.evaluation.comparison import ArmRun
from hf_augment.reporting.results import Results
from hf_augment.synthesis.shards import Shard, ShardStore
from tests.toys import LABELS


HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> | `code` ![i](http://evil.example/i.png) "
    "[a](javascript:alert(3)) \x1b[31mred [red]x[/red] :smile: \u202eback\nnew\r\nline https://evil.example "
    "www.evil.example \\| $x$ ~~gone~~ **bold** <!-- # heading"
)
ARMS = ("baseline", "baseline_same_steps", "trained", "instruct")
REFERENCE = "baseline_same_steps"


def runs(arms=ARMS, evaluations=("test", "sst2"), seeds=3, rows=60):
    rng = np.random.default_rng(0)
    made = []
    for i, arm in enumerate(arms):
        for seed in range(seeds):
            correct = {name: (rng.random(rows) < 0.6 + 0.05 * i).astype(int).tolist() for name in evaluations}
            metrics = {
                name: {
                    "accuracy": float(np.mean(c)),
                    "f1_macro": 0.5 + 0.01 * seed,
                    "expected_calibration_error": 0.125,
                }
                for name, c in correct.items()
            }
            made.append(ArmRun(arm, 0, seed, 128, 10.0 + seed, metrics, correct))
    return made


def measured(arms=ARMS, evaluations=("test", "sst2"), seeds=3, perturbations=("typos", "noise"), classes=LABELS):
    """Runs with everything that a run may have."""
    made = runs(arms, evaluations, seeds)
    for run in made:
        i = arms.index(run.arm)
        for name in evaluations:
            accuracy = run.metrics[name]["accuracy"]
            run.robustness[name] = {
                p: [accuracy - 0.01 * s * (j % 4 + 1) for s in range(1, 6)] for j, p in enumerate(perturbations)
            }
            run.classes[name] = {
                c: {"precision": 0.5, "recall": 0.25, "f1": 0.5 + 0.01 * i, "support": 30.0} for c in classes
            }
        for step in range(8, 129, 8):
            run.curve.append({"step": step, "epoch": step / 8, "loss": 0.7 * 0.99**step + 0.01 * i})
            if arm_is_augmented(run.arm):
                factor = 1.0 if step < 64 else 0.5
                run.curve[-1] |= {"synthetic_ratio": 0.5 * factor, "synthetic_wait": 0.1, "synthetic_guard": factor}
        if arm_is_augmented(run.arm):
            # Of the first class more is chosen from round to round.
            shares = [[1 / len(classes)] * len(classes), [0.75, *[0.25 / (len(classes) - 1)] * (len(classes) - 1)]]
            mistakes = [[[0, 1, 6], [1, 0, 2]], [[0, 1, 3 + run.seed]]]
            for step, share, found in zip((32, 64), shares, mistakes, strict=True):
                run.rounds.append({"step": step, "class_shares": share, "confusions": found})
        for step in (64, 128):
            run.curve.append({"step": step, "eval_accuracy": 0.5 + step / 1000, "eval_runtime": 3.0})
    return made


def arm_is_augmented(arm):
    return not arm.startswith("baseline")


def store(root, texts=("a warm film", "a dull one"), rejected=None, sample=(), labels=LABELS):
    made = ShardStore(root, {"shard_size": 4}, "label", labels)
    filled = {"slots": [0, 1], "labels": [1, 0], "examples": [{"text": t} for t in texts]}
    rejected = {"fluency": 4, "near_duplicates": 0, "label_agreement": 2} if rejected is None else rejected
    made.write(
        Shard(
            0,
            **filled,
            label_probabilities=[None, None],
            candidates=8,
            rejected=rejected,
            seconds=4.0,
            reject_sample=list(sample),
        )
    )
    return made


def image_store(root, count=2, labels=LABELS):
    """Accepted images, and a rejected one."""
    made = ShardStore(root, {"shard_size": 8}, "label", labels)
    images = [np.full((8, 8, 3), 20 * i, np.uint8) for i in range(count)]
    sample = [
        {"filter": "feature_copies", "reason": "near", "score": 0.0, "label": 0, "example": {"image": images[0]}}
    ]
    made.write(
        Shard(
            0,
            list(range(count)),
            [(i + 1) % len(labels) for i in range(count)],
            [{"image": image} for image in images],
            [None] * count,
            candidates=2 * count,
            rejected={"feature_copies": count},
            reject_sample=sample,
        )
    )
    return made


def reject(text, name="fluency", reason="too short"):
    return {"filter": name, "reason": reason, "score": 1.0, "label": 0, "example": {"text": text}}


def results(tmp_path, **kwargs):
    given = {
        "title": "tiny-bert on reviews",
        "settings": {"learning_rate": "5e-05", "folder": Path("x")},
        "runs": runs(),
        "reference": REFERENCE,
        "test": "test",
        "stores": {"trained": store(tmp_path / "trained"), "instruct": store(tmp_path / "instruct")},
        "notes": ["Zero-shot accuracy 0.9."],
    }
    return Results.of_runs(**(given | kwargs))
