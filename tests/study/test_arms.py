"""Arms and sources as objects."""

from types import SimpleNamespace

from hf_augment import Generator, NearDuplicates
from hf_augment.study.arms import Arm, Given, Mixture, Source


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
