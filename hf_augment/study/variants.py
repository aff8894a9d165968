"""The arms that a command line names: a source of examples, and how these are filtered, chosen and weighed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from hf_augment.study.arms import Arm, Filters, RealRows, Source
from hf_augment.training.feedback.policies import ClassAllocation, HardSeeds
from hf_augment.training.feedback.selection import AgreementSelection, UncertaintySelection


#: At the end of a name: rows weigh by what a judge and the classifier say of them.
WEIGHTED = "_weighted"
_UNWEIGHTED: dict[str, dict[str, Any]] = {
    "": {},
    "_unfiltered": {"filters": ()},
    "_guarded": {"guarded": True},
    "_live": {"policies": (UncertaintySelection(),)},
    "_agreed": {"policies": (AgreementSelection(),)},
    "_allocated": {"policies": (ClassAllocation(ahead=True),)},
    "_seeded": {"policies": (HardSeeds(),)},
    "_steered": {"policies": (AgreementSelection(), ClassAllocation(ahead=True), HardSeeds())},
    "_static": {"policies": ()},
    "_static_longer": {"policies": (), "longer": True},
}
#: What the end of an arm's name on a command line stands for. Without filters nothing judges.
VARIANTS = _UNWEIGHTED | {
    name + WEIGHTED: values | {"weighting": "dynamic"}
    for name, values in _UNWEIGHTED.items()
    if name not in ("_unfiltered", "_guarded")
}
#: Of these, those of real rows; weighed are they only where something judges their labels.
OF_REAL_ROWS = ("", "_live", "_agreed", "_allocated", "_static", "_static_longer")


def variants_of(source: Source, filters: Filters, watched: bool = True) -> list[Arm]:
    """
    Returns the arms of a source: with these filters and without, guarded, with policies and with chance alone, and
    weighed. Some policies need trainings that are `watched` on validation rows.
    """
    known = list(VARIANTS)
    if source.real:
        weighed = [name + WEIGHTED for name in OF_REAL_ROWS] if source.own_filters else []
        known = [*OF_REAL_ROWS, *weighed]
    plain = Arm(source.name, source, source.own_filters if source.real else filters)
    arms = [dataclasses.replace(plain, name=source.name + name, **VARIANTS[name]) for name in known]
    return [arm for arm in arms if watched or not any(policy.needs_validation for policy in arm.policies or ())]


def arms_by_name(
    names: Sequence[str], sources: Iterable[Source], filters: Filters, classic: Sequence[str] = ()
) -> list[Arm]:
    """
    Returns arms by the names that a command line gives them: each source with its variants, and real rows, each of
    them also with a `classic` augmentation at the end of its name. Raises a `ValueError` if a name is none of these.
    """
    arms = {arm.name: arm for source in (RealRows(), *sources) for arm in variants_of(source, filters)}
    both = with_classic(arms.values(), classic)
    if twice := sorted(arms.keys() & both.keys()):
        raise ValueError(f"{twice} may be a source or one with classic augmentation: give the source another name.")
    if unknown := sorted(set(names) - arms.keys() - both.keys()):
        augmented = any(name.rpartition("_")[0] in arms for name in unknown)
        also = " For one with classic augmentation at its end, name that in --classic, too." if augmented else ""
        raise ValueError(f"generators has {unknown}. There are {listed(arms)}.{also}")
    return [(arms | both)[name] for name in names]


def chooses_in_rounds(name: str) -> bool:
    """
    Whether an arm of this name is a variant that chooses in rounds, also with classic augmentation at its end.

    Example:

    ```python
    >>> from hf_augment.study.variants import chooses_in_rounds
    >>> [chooses_in_rounds(name) for name in ("real_live", "trained_agreed_flip_crop", "trained_flip_crop")]
    [True, True, False]
    ```
    """
    return any(f"{end}_" in f"{name}_" for end, values in VARIANTS.items() if "policies" in values)


def with_classic(arms: Iterable[Arm], kinds: Iterable[str]) -> dict[str, Arm]:
    """
    Returns by its name each arm that has a source, with each kind of classic augmentation, that stands at its end.

    Example:

    ```python
    >>> from hf_augment.study.arms import Arm, RealRows
    >>> from hf_augment.study.variants import with_classic
    >>> with_classic([Arm("probe", probe=True), Arm("real", RealRows())], ["crop"])["real_crop"].augment
    'crop'
    ```
    """
    return {
        f"{arm.name}_{kind}": dataclasses.replace(arm, name=f"{arm.name}_{kind}", augment=kind)
        for arm in arms
        if arm.source is not None
        for kind in kinds
    }


def listed(arms: Iterable[str]) -> str:
    """
    Names of arms in a sentence, of variants the ends alone.

    Example:

    ```python
    >>> from hf_augment.study.variants import listed
    >>> listed(["eda", "real", "real_live", "said", "said_live", "said_weighted", "said_live_weighted"])
    'eda, real, said. Ends of variants: of real _live; of said _live, _weighted, also after another one'
    ```
    """
    names = dict.fromkeys(arms)
    ends = [end for end in VARIANTS if end and any(name + end in names for name in names)]
    plain = [name for name in names if not any(name.endswith(end) and name.removesuffix(end) in names for end in ends)]
    own = {name: tuple(end for end in ends if name + end in names) for name in plain}
    groups = {some: ", ".join(name for name in plain if own[name] == some) for some in own.values() if some}
    said = "; ".join(f"of {group} {_ends(some)}" for some, group in groups.items())
    return ", ".join(plain) + (f". Ends of variants: {said}" if said else "")


def _ends(of: Sequence[str]) -> str:
    single = ", ".join(end for end in of if end == WEIGHTED or not end.endswith(WEIGHTED))
    both = any(end.endswith(WEIGHTED) and end != WEIGHTED for end in of)
    return single + (", also after another one" if both else "")


def beside_static(arms: Sequence[Arm]) -> list[tuple[str, str]]:
    """
    Returns the names of each arm that decides while it trains, with those of the arms beside it that chance decides,
    with as many steps or as much time, and that are alike in all else.
    """

    def alike(arm: Arm) -> tuple[Any, ...]:
        return arm.source, arm.filters, arm.guarded, arm.augment, arm.weighting

    chance = [arm for arm in arms if arm.policies is not None and not arm.policies]
    return [(arm.name, other.name) for arm in arms if arm.policies for other in chance if alike(arm) == alike(other)]
