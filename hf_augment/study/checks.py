"""What a study refuses before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

from hf_augment.study.arms import Arm
from hf_augment.study.split import Basis


def check_policies(study: Basis, arm: Arm, arms: Mapping[str, Arm]) -> None:
    """Raises `ValueError` for an arm that chooses what it is shown where it cannot; `arms` are those of the study."""
    training = study.training
    if arm.policies is None:
        if isinstance(arm.probe, str) and arms[arm.probe].policies is not None:
            raise ValueError(f"The arm {arm.name!r} would learn all candidates of {arm.probe!r}: leave it out.")
        return
    if arm.source is None or arm.guarded:
        raise ValueError(f"The arm {arm.name!r} has policies, which need a source, and no guard: leave them out.")
    if not training.synthetic_feedback:
        raise ValueError(f"The arm {arm.name!r} chooses in rounds: pass synthetic_feedback, the steps between them.")
    if training.eval_strategy == "no" and any(policy.needs_validation for policy in arm.policies):
        raise ValueError(f"A policy of the arm {arm.name!r} looks at validation rows: pass eval_strategy=steps.")
    if arm.seeds and not arm.source.shows_rows(study):
        raise ValueError(
            f"The arm {arm.name!r} has examples written after labelled rows, which {arm.source.name!r} cannot: leave "
            "it out, or give it a generator that is prompted with instructions."
        )


def check_kind(study: Basis) -> None:
    """Raises `ValueError` for what does not go with pairs of texts, or several labels in a row."""
    data, classifier, training = study.data, study.classifier, study.training
    if classifier.pairs != data.pairs:
        raise ValueError(
            f"classifier has pairs={classifier.pairs}, and the rows have pairs={data.pairs}: pass "
            "TextClassifier(..., pairs=data.pairs)."
        )
    labels = data.labels
    if (known := classifier.labels) != labels and list(known or ()) != list(labels or ()):
        raise ValueError(
            f"classifier has labels={known}, but the rows have {labels}: pass TextClassifier(..., "
            "labels=data.labels). Several labels in a row are not supported for other kinds of classifiers."
        )
    if labels is None:
        return
    plain = {"labels": "hard", "weight": 1.0, "weighting": "constant", "feedback": 0}
    for name, value in plain.items():
        if (given := getattr(training, f"synthetic_{name}")) != value:
            raise ValueError(
                f"synthetic_{name}={given!r} is not supported for several labels in a row: pass {value!r}."
            )
