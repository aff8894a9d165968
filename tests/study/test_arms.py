"""Arms and sources as objects."""

from types import SimpleNamespace

import pytest

from hf_augment import Generator, NearDuplicates
from hf_augment.study.arms import Arm, Given, Mixture, RealRows, Source, arms_by_name


class Says(Generator):
    label_names = ("neg", "pos")

    def __init__(self, word):
        self.word = word

    def generate(self, labels, seed):
        return [{"text": f"{self.word} {label}"} for label in labels]

    def fingerprint(self):
        return self.word


class Learned(Source):
    name, learns = "learned", True

    def open(self, split):
        return Says(f"split {split}")


def filters(split, source, generator):
    return [NearDuplicates()]


def test_a_generator_is_a_source_of_its_own():
    arm = Arm("mine", Says("so"), filters=[NearDuplicates()])
    assert isinstance(arm.source, Given)
    assert (arm.source.name, arm.source.shared, arm.source.learns) == ("mine", True, False)
    assert arm.source.open(None).word == "so"
    assert arm.source.identity() == {"mine.fingerprint": "so"}
    assert arm.filtered
    assert f"{arm}" == "mine"


def test_a_generator_that_is_shown_examples_may_repeat_them():
    generator = Says("so")
    for examples, learns in (({}, False), ({"neg": ["a"], "pos": ["b"]}, True)):
        generator.prompt = SimpleNamespace(examples=examples)
        assert Given(generator).learns is learns
    assert not Arm("mine", Says("so")).filtered


def test_the_command_line_names_arms_in_one_place():
    unlabelled = RealRows("unlabelled")
    sources = [Given(Says("so"), "given"), unlabelled, Learned()]
    variants = ("", "_unfiltered", "_guarded", "_live", "_steered")
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
    }
    chosen = {arm.name: (arm.filtered, len(arm.policies)) for arm in arms if arm.policies is not None}
    assert chosen == {
        "unlabelled_static": (False, 0),
        **{f"{name}_live": (True, 1) for name in ("given", "learned")},
        **{f"{name}_steered": (True, 3) for name in ("given", "learned")},
    }
    assert [arm.name for arm in arms if arm.steers] == ["given_steered", "learned_steered"]


def test_arms_come_in_the_order_of_their_names_and_an_unknown_one_is_refused():
    assert [arm.name for arm in arms_by_name(["learned_guarded", "real", "learned"], [Learned()], filters)] == [
        "learned_guarded",
        "real",
        "learned",
    ]
    known = r"\['real', 'real_live', 'real_reducible', 'real_allocated', 'real_static', 'learned', .*\]"
    with pytest.raises(ValueError, match=rf"generators has \['given'\]: it must be some of {known}"):
        arms_by_name(["given", "real"], [Learned()], filters)


def test_a_mixture_is_what_its_parts_are():
    one, two, learned = Given(Says("so"), "one"), Given(Says("very"), "two"), Learned()
    mixture = Mixture("both", [one, learned])
    assert (mixture.learns, mixture.shared) == (True, True)
    assert (Mixture("both", [one, two]).learns, Mixture("both", [learned, learned]).shared) == (False, False)
    assert mixture.leaves() == [one, learned]
    assert Mixture("all", [mixture, two]).leaves() == [one, learned, two]
    assert mixture.models == ("one", "learned")
    examples = mixture.open("3").generate([0] * 8, seed=0)
    assert {text.rpartition(" ")[0] for text in (example["text"] for example in examples)} == {"so", "split 3"}


def test_what_filters_depend_on():
    near, far = (Arm("a", Says("so"), [NearDuplicates(threshold=t)]) for t in (0.7, 0.9))
    assert near.filters_identity() != far.filters_identity()
    assert near.filters_identity() == {"filters": str([NearDuplicates(threshold=0.7).fingerprint()])}
    made = Arm("a", Says("so"), filters)
    assert made.filters_identity() == {"filters": f"{__name__}.filters"}
    assert [f.name for f in made.make_filters(None, None)] == ["near_duplicates"]
