"""Several generators as one: who makes what, from which seed, and what is refused."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_augment import Generator, GeneratorEnsemble
from hf_augment.seeding import derive_seed


class Says(Generator):
    label_names = ("negative", "positive")

    def __init__(self, word, **attributes):
        self.word = word
        for name, value in attributes.items():
            setattr(self, name, value)

    def generate(self, labels, seed):
        return [{"text": f"{self.word} {label} {seed}"} for label in labels]

    def fingerprint(self):
        return self.word


def test_the_example_of_the_documentation():
    text = GeneratorEnsemble.__doc__.replace("```", "")
    example = doctest.DocTestParser().get_doctest(text, {}, "GeneratorEnsemble", None, 0)
    assert len(example.examples) == 3
    assert doctest.DocTestRunner().run(example).failed == 0


@given(st.lists(st.integers(0, 1), max_size=40), st.integers(0, 2**63 - 1), st.integers(2, 4))
def test_each_makes_its_share_of_the_labels_asked_for(labels, seed, count):
    ensemble = GeneratorEnsemble([Says(str(k)) for k in range(count)])
    examples = ensemble.generate(labels, seed)
    parts = [example["text"].split() for example in examples]
    assert [int(label) for _, label, _ in parts] == labels
    made = [sum(who == str(k) for who, _, _ in parts) for k in range(count)]
    assert max(made) - min(made) <= 1
    for label in (0, 1):
        of_class = [sum(who == str(k) and int(of) == label for who, of, _ in parts) for k in range(count)]
        assert max(of_class) - min(of_class) <= 1
    # Each draws from a seed of its own.
    assert len({own for _, _, own in parts}) == len({who for who, _, _ in parts})
    assert ensemble.generate(labels, seed) == examples


def test_who_makes_an_example_does_not_hang_on_its_place():
    examples = GeneratorEnsemble([Says("a"), Says("b")]).generate([0] * 64, seed=0)
    first = [example["text"][0] for example in examples]
    assert first.count("a") == 32
    assert first not in (["a", "b"] * 32, ["b", "a"] * 32, ["a"] * 32 + ["b"] * 32)


def test_its_fingerprint_is_that_of_all_in_their_order():
    assert GeneratorEnsemble([Says("a"), Says("b")]).fingerprint() == "ensemble(a, b)"


def test_it_may_run_in_a_thread_where_all_of_them_may():
    assert GeneratorEnsemble([Says("a"), Says("b")]).draws_from_seed_only
    assert not GeneratorEnsemble([Says("a"), Says("b", draws_from_seed_only=False)]).draws_from_seed_only


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([], "generators has 0"),
        ([Says("a")], "generators has 1"),
        ([Says("a"), Says("b", label_names=("positive", "negative"))], "differ in label_names"),
        ([Says("a"), Says("b", columns=("review",))], "differ in columns"),
    ],
)
def test_what_is_refused(generators, message):
    with pytest.raises(ValueError, match=message):
        GeneratorEnsemble(generators)


def test_a_generator_that_returns_too_few_is_named():
    class Lazy(Says):
        def generate(self, labels, seed):
            return []

    with pytest.raises(ValueError, match=r"generators\[1\], a Lazy, returned 0 examples for 2 labels"):
        GeneratorEnsemble([Says("a"), Lazy("b")]).generate([0, 1, 0, 1], seed=0)


def test_who_makes_what_is_drawn_from_another_seed_than_what_is_made():
    class Permutes(Says):
        def generate(self, labels, seed):
            return [{"text": str(i)} for i in np.random.default_rng(seed).permutation(8)[: len(labels)]]

    examples = GeneratorEnsemble([Permutes("a"), Permutes("b")]).generate([0] * 8, seed=0)
    places = np.random.default_rng(derive_seed(0, "ensemble", 0)).permutation(8)
    assert [examples[i]["text"] for i in sorted(places[::2])] != [str(i) for i in places[:4]]
