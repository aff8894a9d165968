"""What a study refuses before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_augment.blending.schedule import max_slots
from hf_augment.hub.pushing import check_push
from hf_augment.study.arms import Arm
from hf_augment.study.split import Basis
from hf_augment.training.feedback.policies import Policy
from hf_augment.training.shape import effects_of


def check_arm(study: Basis, arm: Arm, arms: Mapping[str, Arm]) -> None:
    """Raises `ValueError` for an arm that asks for what is not there; `arms` are those of the study."""
    training = study.training
    if isinstance(arm.probe, str):
        if arm.probe not in (fed := [other.name for other in arms.values() if other.source is not None]):
            raise ValueError(f"The arm {arm.name!r} has probe={arm.probe!r}: name an arm with a source, of {fed}.")
        if training.synthetic_keep != "all":
            raise ValueError(
                f"The arm {arm.name!r} learns from all examples: pass synthetic_keep='all', or leave it out."
            )
        if arms[arm.probe].policies is not None:
            raise ValueError(f"The arm {arm.name!r} would learn all candidates of {arm.probe!r}: leave it out.")
    if arm.guarded and training.eval_strategy == "no":
        raise ValueError(f"The arm {arm.name!r} is _guarded: it needs eval_strategy=steps or epoch, with eval_steps.")
    if arm.longer and arm.policies is None:
        raise ValueError(f"The arm {arm.name!r} has longer=True, and no policies that choose: pass policies=[].")
    if arm.policies is not None:
        _check_policies(study, arm, arm.policies)
    if arm.source is not None:
        _check_weighing(study, arm)


def _check_policies(study: Basis, arm: Arm, policies: Sequence[Policy]) -> None:
    """Raises `ValueError` for an arm that chooses what it is shown where it cannot."""
    training = study.training
    if arm.source is None or arm.guarded:
        raise ValueError(f"The arm {arm.name!r} has policies, which need a source, and no guard: leave them out.")
    if not training.synthetic_feedback:
        raise ValueError(f"The arm {arm.name!r} chooses in rounds: pass synthetic_feedback, the steps between them.")
    effects_of(training.synthetic_feedback, study.augmented_steps(), training)
    if training.eval_strategy == "no" and any(policy.needs_validation for policy in policies):
        raise ValueError(f"A policy of the arm {arm.name!r} looks at validation rows: pass eval_strategy=steps.")
    if arm.seeds and not arm.source.shows_rows(study):
        raise ValueError(
            f"The arm {arm.name!r} has examples written after labelled rows, which {arm.source.name!r} cannot: leave "
            "it out, or give it a generator that is prompted with instructions."
        )


def _check_weighing(study: Basis, arm: Arm) -> None:
    """Raises `ValueError` for an arm whose rows weigh by what a judge says of them, or are labelled by it, in vain."""
    training = study.training
    weighs = (arm.weighting or training.synthetic_weighting) == "dynamic"
    if not weighs and training.synthetic_labels != "soft":
        return
    what = f"The arm {arm.name!r} {'weighs rows' if weighs else 'labels rows softly'}"
    if study.data.labels is not None:
        raise ValueError(f"{what}, which is not supported for several labels in a row.")
    if training.label_smoothing_factor:
        raise ValueError(f"{what}, which does not go with label_smoothing_factor: leave that or the arm out.")
    if weighs and max_slots(training.train_batch_size, training.synthetic_ratio) < 2:
        raise ValueError(
            f"{what} against each other, and synthetic_ratio={training.synthetic_ratio} leaves one in a batch: raise "
            "it or per_device_train_batch_size, or leave the arm out."
        )
    # Of other functions the trainer asks what they return.
    known = arm.filters if isinstance(arm.filters, Sequence) else [arm.filters]
    if not any(getattr(filter, "gives_label_probabilities", callable(arm.filters)) for filter in known):
        raise ValueError(
            f"{what} by what a judge says of their labels, and none of its filters does: add LabelAgreement (in a "
            "recipe: --min_label_probability above 0), or leave the arm out."
        )


def check_publication(study: Basis, arms: Mapping[str, Arm]) -> None:
    """Raises what a push at the end would, for names that the Hub does not take, or without a token."""
    training = study.training
    if training.push_to_hub:
        name = training.hub_model_id or study.folder.absolute().name
        fed = [arm for arm in arms.values() if arm.source is not None]
        # The longest name that each arm may have: those of its model and of a learned generator are no longer.
        suffixes = ["results", *(f"{arm.name}-synthetic" for arm in fed)]
        check_push("hub_model_id", name, [f"{name}-{suffix}" for suffix in suffixes], training.hub_token)


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
