"""A `results.json` as a run of texts writes it: two arms without a generator, two with one, two sets."""

from __future__ import annotations

from typing import Any


TITLE = "bert-base-uncased on imdb"
PERTURBATIONS = {"typos": (0.03, 0.05, 0.09), "case": (0.01, 0.02, 0.03)}
ACCURACY = {
    "baseline": {"test": (0.58, 0.60, 0.62), "sst2": (0.55, 0.56, 0.57)},
    "baseline_same_steps": {"test": (0.69, 0.70, 0.71), "sst2": (0.63, 0.65, 0.67)},
    "trained": {"test": (0.69, 0.71, 0.72), "sst2": (0.64, 0.65, 0.66)},
    "instruct": {"test": (0.76, 0.77, 0.78), "sst2": (0.71, 0.72, 0.76)},
}


def make_results() -> dict[str, Any]:
    """A fresh one, to change at will."""
    return {
        "title": TITLE,
        "command": "python recipes/imdb.py --config recipes/configs/imdb.yaml --splits 3",
        "versions": {"python": "3.11.9", "hf_augment": "0.1.0", "torch": "2.15.0", "transformers": "5.23.0"},
        "settings": {"dataset": "stanfordnlp/imdb", "test_split": "test", "max_length": "256"},
        "data": {
            "name": "stanfordnlp/imdb",
            "kind": "text",
            "note": "Reviews of at least 20 words.",
            "label_names": ["negative", "positive"],
            "train_rows": 64,
            "evaluations": {"test": 400, "sst2": 872},
        },
        "models": {
            "classifier": "google-bert/bert-base-uncased",
            "trained": "openai-community/gpt2",
            "instruct": "HuggingFaceTB/SmolLM2-135M-Instruct",
        },
        "reference": "baseline_same_steps",
        "test": "test",
        "runs": [run(arm, split) for arm in ACCURACY for split in range(3)],
        "differences": [
            difference("baseline", "test", -0.1, -0.12, -0.08),
            difference("trained", "test", 0.0067, -0.008, 0.021),
            difference("instruct", "test", 0.07, 0.05, 0.09),
            difference("baseline", "sst2", -0.09, -0.14, -0.04),
            difference("trained", "sst2", 0.0, -0.02, 0.02),
            difference("instruct", "sst2", 0.08, 0.05, 0.11),
        ],
        "acceptance": {
            "trained": {"acceptance": 0.6, "acceptance_fluency": 0.96, "acceptance_label_agreement": 0.625},
            "instruct": {"acceptance": 0.5, "acceptance_label_agreement": 0.5, "per_second": 1.5},
        },
        "samples": {
            "instruct": [
                sample("accepted", "positive", "A warm and clever film.", similarity=0.12),
                sample("accepted", "negative", "The plot never finds its feet.", similarity=0.08),
                sample("rejected", "negative", "A delight.", "label_agreement: read as positive (0.93)"),
            ]
        },
        "memorization": {"instruct": {"median similarity to the nearest labelled row": 0.0312, "copies": 0}},
        "notes": ["The instruct model itself, as a zero-shot classifier: accuracy 0.719 on 64 test texts."],
        "tables": [["Diversity", ["measure", "value"], [["distinct 2-grams", "0.81"]]]],
        "pictures": {"samples.png": "Images"},
    }


def run(arm: str, split: int) -> dict[str, Any]:
    """One classifier, robustness included."""
    accuracy = {name: values[split] for name, values in ACCURACY[arm].items()}
    return {
        "arm": arm,
        "split": split,
        "seed": 0,
        "steps": 16 if arm == "baseline" else 64,
        "seconds": 20.0 + 10 * split,
        "metrics": {
            name: {"accuracy": value, "f1": value, "f1_macro": value - 0.01, "expected_calibration_error": 0.125}
            for name, value in accuracy.items()
        },
        "classes": {},
        "robustness": {
            "test": {name: [accuracy["test"] - loss for loss in losses] for name, losses in PERTURBATIONS.items()}
        },
        "wait": {"trained": 0.21, "instruct": 0.4}.get(arm, 0.0),
    }


def difference(arm: str, evaluation: str, mean: float, low: float, high: float) -> dict[str, Any]:
    """An arm against the reference: an effect if the interval leaves out zero."""
    p = 0.01 if low * high > 0 else 0.5
    return {
        "arm": arm,
        "reference": "baseline_same_steps",
        "evaluation": evaluation,
        "mean": mean,
        "low": low,
        "high": high,
        "pairs": 3,
        "unit": "splits and rows",
        "p_value": p,
        "p_holm": 2 * p,
        "family": 3,
        "mcnemar_p": 0.03,
        "effect_size": 1.5,
        "detectable": 0.026,
    }


def sample(
    verdict: str, label: str, example: str, reason: str = "", similarity: float | None = None
) -> dict[str, Any]:
    """A synthetic example as the report shows it."""
    return {"verdict": verdict, "label": label, "example": example, "reason": reason, "similarity": similarity}
