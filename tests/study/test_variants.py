"""The names that a command line gives to arms."""

import pytest

from hf_augment import AgreementSelection, Arm, Generator, NearDuplicates
from hf_augment.study.arms import Given, RealRows, Source
from hf_augment.study.variants import VARIANTS, arms_by_name, beside_static, listed, variants_of, with_classic


class Says(Generator):
    label_names = ("neg", "pos")

    def generate(self, labels, seed):
        return [{"text": f"so {label}"} for label in labels]

    def fingerprint(self):
        return "so"


class Learned(Source):
    name, learns = "learned", True

    def open(self, split):
        return Says()


def filters(split, source, generator):
    return [NearDuplicates()]


def test_the_command_line_names_arms_in_one_place():
    unlabelled = RealRows("unlabelled")
    sources = [Given(Says(), "given"), unlabelled, Learned()]
    variants = ("", "_unfiltered", "_guarded", "_live", "_steered", "_weighted", "_live_weighted")
    names = [
        "real",
        "unlabelled",
        "unlabelled_static",
        *(source.name + variant for source in sources[::2] for variant in variants),
    ]
    arms = arms_by_name(names, sources, filters)
    plain = {arm.name: (arm.source.name, arm.filtered, arm.guarded) for arm in arms if arm.policies is None}
    assert plain == {
        "real": ("real", False, False),
        "unlabelled": ("unlabelled", False, False),
        "given": ("given", True, False),
        "given_unfiltered": ("given", False, False),
        "given_guarded": ("given", True, True),
        "learned": ("learned", True, False),
        "learned_unfiltered": ("learned", False, False),
        "learned_guarded": ("learned", True, True),
        "given_weighted": ("given", True, False),
        "learned_weighted": ("learned", True, False),
    }
    chosen = {arm.name: (arm.filtered, len(arm.policies)) for arm in arms if arm.policies is not None}
    assert chosen == {
        "unlabelled_static": (False, 0),
        **{f"{name}_live": (True, 1) for name in ("given", "learned")},
        **{f"{name}_live_weighted": (True, 1) for name in ("given", "learned")},
        **{f"{name}_steered": (True, 3) for name in ("given", "learned")},
    }
    assert [arm.name for arm in arms if arm.steers] == ["given_steered", "learned_steered"]


def test_arms_come_in_the_order_of_their_names_and_an_unknown_one_is_refused():
    assert [arm.name for arm in arms_by_name(["learned_guarded", "real", "learned"], [Learned()], filters)] == [
        "learned_guarded",
        "real",
        "learned",
    ]
    known = (
        r"There are real, learned\. Ends of variants: of real _live, .*; of learned _unfiltered, .*, _weighted, also"
    )
    with pytest.raises(ValueError, match=rf"generators has \['given'\]\. {known}"):
        arms_by_name(["given", "real"], [Learned()], filters)
    assert listed(["probe", "eda"]) == "probe, eda"


def test_classic_augmentation_stands_at_the_end_of_what_has_a_source():
    learned, *_ = variants_of(Learned(), filters)
    found = with_classic([Arm("probe", probe=True), Arm("eda", augment="eda"), learned], ["crop", "augmix"])
    assert {name: (arm.name, arm.source, arm.augment) for name, arm in found.items()} == {
        "learned_crop": ("learned_crop", learned.source, "crop"),
        "learned_augmix": ("learned_augmix", learned.source, "augmix"),
    }


def test_rows_are_weighed_where_something_judges_them():
    arms = arms_by_name(["learned", "learned_weighted", "learned_static_weighted"], [Learned()], filters)
    assert [(arm.weighting, arm.policies) for arm in arms] == [(None, None), ("dynamic", None), ("dynamic", ())]
    assert not {"_unfiltered_weighted", "_guarded_weighted"} & VARIANTS.keys()
    with pytest.raises(ValueError, match=r"generators has \['real_weighted'\]"):
        arms_by_name(["real_weighted"], [], filters)


def test_what_chooses_is_compared_with_chance_and_rows_that_weigh_and_are_augmented_alike():
    ends = ("", "_live", "_agreed", "_static", "_static_longer", "_agreed_weighted", "_static_weighted", "_live_crop")
    arms = arms_by_name([f"learned{end}" for end in ends], [Learned()], filters, ["crop"])
    assert beside_static(arms) == [
        ("learned_live", "learned_static"),
        ("learned_live", "learned_static_longer"),
        ("learned_agreed", "learned_static"),
        ("learned_agreed", "learned_static_longer"),
        ("learned_agreed_weighted", "learned_static_weighted"),
    ]
    # By what they are, whatever they are called.
    source = Learned()
    mine, other = Arm("mine", source, policies=[AgreementSelection()]), Arm("tv_static", RealRows(), policies=[])
    assert beside_static([mine, other]) == []
    assert beside_static([mine, other, Arm("chance", source, policies=[])]) == [("mine", "chance")]


def test_any_arm_with_examples_may_be_augmented_too():
    names = ["learned_agreed_crop", "real_flip", "learned"]
    arms = arms_by_name(names, [Learned()], filters, ["crop", "flip"])
    assert [(arm.name, arm.augment, arm.policies is None) for arm in arms] == [
        ("learned_agreed_crop", "crop", False),
        ("real_flip", "flip", True),
        ("learned", None, True),
    ]
    with pytest.raises(ValueError, match=r"\['real_eda'\].* name that in --classic, too\."):
        arms_by_name(["real_eda"], [], filters, ["crop", "flip"])
    with pytest.raises(ValueError, match=r"\['said_crop'\] may be a source or one with classic augmentation"):
        arms_by_name(["said_crop"], [RealRows("said"), RealRows("said_crop")], filters, ["crop"])
