import json

import datasets
import numpy as np
import pytest
from PIL import Image, ImageOps

from hf_augment import Filter, Generator, Memorization, NearDuplicates, ShardStore, Verdict
from hf_augment.synthesis.pipeline import SynthesisPipeline, class_weights
from hf_augment.synthesis.shards import acceptance
from tests.toys import (
    TEXT,
    WORDS,
    EveryThird,
    comparable,
    each_toy,  # noqa: F401 - the fixture `toy`
)


def pipeline(generator, filters=(), weights=(0.5, 0.5), seed=1, shard_size=8, max_attempts=3):
    return SynthesisPipeline(generator, filters, np.array(weights), seed, shard_size, max_attempts, rejects_kept=3)


def contents(shard):
    examples = comparable(shard.examples)
    return shard.slots, shard.labels, examples, shard.label_probabilities, shard.candidates, shard.rejected


class Nothing(Filter):
    name = "nothing"

    def judge(self, examples, labels):
        return [Verdict(False, 0.0, "never") for _ in examples]

    def fingerprint(self):
        return "0"


class Remembers(Filter):
    name = "remembers"

    def __init__(self):
        self.told = []

    def judge(self, examples, labels):
        return [Verdict(True, 1.0, "") for _ in examples]

    def remember(self, examples):
        self.told.append(list(examples))

    def fingerprint(self):
        return "0"


def test_a_shard_depends_on_its_number_and_not_on_what_was_made_before(toy):
    one, other = (pipeline(toy.generator(), [EveryThird(toy)]) for _ in range(2))
    for index in (0, 1, 2):
        one.make(index)
    assert contents(one.make(3)) == contents(other.make(3))
    assert contents(one.make(3)) != contents(pipeline(toy.generator(), [EveryThird(toy)], seed=2).make(3))


def test_labels_follow_the_weights_over_shards(toy):
    made = pipeline(toy.generator(), weights=(0.7, 0.2, 0.1), shard_size=10)
    assert all(sorted(made.labels(i)) != made.labels(i) for i in range(20)), "in random order"
    counts = np.bincount(np.concatenate([made.labels(i) for i in range(200)]))
    assert counts.tolist() == [1400, 400, 200]
    odd = pipeline(toy.generator(), shard_size=7)
    assert {tuple(np.bincount(odd.labels(i))) for i in range(20)} == {(3, 4), (4, 3)}, (
        "each class in turn has one more"
    )


def test_rejected_slots_are_tried_again_and_then_stay_empty(toy):
    filtered = pipeline(toy.generator(), [EveryThird(toy)], shard_size=30, max_attempts=2)
    shard = filtered.make(0)
    assert [len(set(shard.slots)), len(shard.examples)] == [len(shard.slots)] * 2
    first = shard.candidates - 30
    assert 0 < first < 30, "the second attempt is for the empty slots alone"
    assert shard.rejected == {"every_third": shard.candidates - len(shard.slots)}
    assert all(toy.number(example) % 3 for example in shard.examples)
    assert [set(reject) for reject in shard.reject_sample] == [{"filter", "reason", "score", "label", "example"}] * 3
    assert set(shard.label_probabilities) == {(0.75, 0.25), (0.25, 0.75)}


def test_slots_are_those_of_the_shard_and_labels_are_theirs(toy):
    made = pipeline(toy.generator(), [EveryThird(toy)], max_attempts=1)
    shard = made.make(3)
    assert 0 < len(shard.slots) < 8
    assert shard.slots == sorted(set(shard.slots) & set(range(24, 32)))
    assert shard.labels == [made.labels(3)[slot - 24] for slot in shard.slots]


def test_retries_and_rejects_are_of_the_class_that_was_asked_for():
    shard = pipeline(TEXT.generator(), [EveryThird(TEXT)], weights=(0.3, 0.7), shard_size=30).make(0)
    assert shard.candidates > 30
    told = [(example, label) for example, label in zip(shard.examples, shard.labels, strict=True)]
    told += [(reject["example"], reject["label"]) for reject in shard.reject_sample]
    assert {label for _, label in told[-3:]} == {0, 1}
    for example, label in told:
        assert set(example["text"].split()[1:-1]) <= set(WORDS[label])


def test_the_identity_names_all_that_a_shard_depends_on(toy):
    def identity(generator="toy", filters=(), **options):
        return json.dumps(pipeline(toy.generator(generator), filters, **options).identity())

    others = [{"seed": 2}, {"shard_size": 9}, {"max_attempts": 4}, {"weights": (0.4, 0.6)}, {"generator": "other"}]
    others += [{"filters": [Nothing()]}, {"filters": [Nothing(), EveryThird(toy)]}]
    assert identity() == identity()
    assert len({identity(), *(identity(**options) for options in others)}) == 1 + len(others)


def test_a_filter_that_rejects_all_ends_after_the_attempts(toy):
    generator = toy.generator()
    shard = pipeline(generator, [Nothing()], max_attempts=4).make(0)
    assert (shard.slots, shard.candidates, len(generator.calls)) == ([], 32, 4)


def test_later_filters_see_what_earlier_ones_accepted_and_all_are_told_the_outcome(toy):
    memory = Remembers()
    made = pipeline(toy.generator(), [memory, EveryThird(toy), Nothing()], max_attempts=1)
    shard = made.make(0)
    assert shard.rejected["remembers"] == 0
    assert shard.rejected["every_third"] + shard.rejected["nothing"] == 8
    assert memory.told == [[]]


def test_soft_labels_are_those_of_the_last_filter_that_gives_some(toy):
    class Sure(EveryThird):
        name = "sure"

        def judge(self, examples, labels):
            return [Verdict(True, 1.0, "", (1.0, 0.0)) for _ in examples]

    sure, soft, silent = Sure(toy), EveryThird(toy), Remembers()
    for filters, expected in (
        ([soft, silent], {(0.75, 0.25), (0.25, 0.75)}),
        ([silent, soft, silent], {(0.75, 0.25), (0.25, 0.75)}),
        ([sure, soft], {(0.75, 0.25), (0.25, 0.75)}),
        ([soft, sure, silent], {(1.0, 0.0)}),
        ([silent], {None}),
    ):
        shard = pipeline(toy.generator(), filters).make(0)
        assert set(shard.label_probabilities) == expected
        if len(expected) == 2:
            assert shard.label_probabilities == [(0.25, 0.75) if label else (0.75, 0.25) for label in shard.labels]


@pytest.mark.parametrize(
    ("balance", "expected"),
    [("dataset", [0.6, 0.3, 0.1]), ("uniform", [1 / 3] * 3), ("rare_first", [0.0, 0.375, 0.625])],
)
def test_class_weights(balance, expected):
    assert class_weights(balance, np.array([60, 30, 10])) == pytest.approx(expected)


def test_rare_first_of_balanced_classes_is_uniform():
    assert class_weights("rare_first", np.array([5, 5])).tolist() == [0.5, 0.5]


def test_a_retry_is_compared_with_what_earlier_attempts_accepted(toy):
    memory = Remembers()
    shard = pipeline(toy.generator(), [memory, EveryThird(toy)], max_attempts=3).make(0)
    assert len(memory.told) > 1
    told = [toy.key(example) for examples in memory.told for example in examples]
    assert sorted(told) == sorted(map(toy.key, shard.examples))


def test_a_generator_that_breaks_its_word_is_named(toy):
    short, wrong = toy.generator(), toy.generator()
    short.generate = lambda labels, seed: toy.generator().generate(labels[:1], seed)
    wrong.generate = lambda labels, seed: [{"another": "one"} for _ in labels]
    with pytest.raises(ValueError, match=r"ToyGenerator\.generate returned 1 examples for 8 labels"):
        pipeline(short).make(0)
    with pytest.raises(ValueError, match=rf"with the keys \['another'\], but its columns are \['{toy.name}'\]"):
        pipeline(wrong).make(0)


class Torn(Generator):
    """Its first candidates end in half of an emoji."""

    label_names = ("negative", "positive")

    def __init__(self):
        self.calls = 0

    def generate(self, labels, seed):
        self.calls += 1
        end = "\ud83d" if self.calls == 1 else "\U0001f600"
        return [{"text": f"film {i} {end if i < 2 else ''}"} for i in range(len(labels))]

    def fingerprint(self):
        return "torn"


def test_a_lone_surrogate_costs_one_candidate_wherever_it_would_be_met(tmp_path):
    memory = NearDuplicates(1.0)
    made = pipeline(Torn(), [memory, Memorization(["another \udc00 row"])], shard_size=4)
    shard = made.make(0)
    assert (shard.candidates, shard.rejected) == (6, {"unencodable": 2, "near_duplicates": 0, "memorization": 0})
    assert shard.reject_sample[0]["example"] == {"text": "film 0 \\ud83d"}
    assert (shard.reject_sample[0]["filter"], shard.reject_sample[0]["reason"]) == (
        "unencodable",
        "a lone surrogate, U+D83D",
    )
    assert sorted(example["text"] for example in shard.examples) == [
        "film 0 \U0001f600",
        "film 1 \U0001f600",
        "film 2 ",
        "film 3 ",
    ]
    store = ShardStore(tmp_path, made.identity(), "label", Torn.label_names)
    store.write(shard)
    assert store.read(0).examples == shard.examples
    json.dumps(store.account(0).reject_sample, ensure_ascii=False).encode()
    assert acceptance([shard])["acceptance_unencodable"] == pytest.approx(4 / 6)
    assert "unencodable" not in made.make(1).rejected


def test_texts_within_columns_are_looked_at_too():
    class Nested(Torn):
        columns = ("turns", "pixels")

        def generate(self, labels, seed):
            return [{"turns": [{"role": "user", "said": ["\udfff"]}], "pixels": np.zeros((1, 2, 1))} for _ in labels]

    shard = pipeline(Nested(), max_attempts=1).make(0)
    assert shard.rejected == {"unencodable": 8}
    assert shard.reject_sample[0]["example"]["turns"] == [{"role": "user", "said": ["\\udfff"]}]


class Photographs(Generator):
    label_names, columns = ("a", "b"), ("photograph", "note")

    def __init__(self, path):
        self.path = path

    def generate(self, labels, seed):
        return [{"photograph": Image.open(self.path), "note": "x"} for _ in labels]

    def fingerprint(self):
        return "0"


def test_pictures_of_files_are_kept_themselves_and_the_right_way_up(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # Lies on its side.
    Image.fromarray(noise).save(tmp_path / "a.jpg", exif=exif)
    pixels = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))
    assert pixels.shape == (6, 8, 3)
    made = pipeline(Photographs(tmp_path / "a.jpg"), shard_size=2)
    store = ShardStore(tmp_path / "shards", made.identity(), "label", ("a", "b"))
    store.write(made.make(0))
    (tmp_path / "a.jpg").unlink()
    for example in store.read(0).examples:
        np.testing.assert_array_equal(np.asarray(example["photograph"]), pixels)
    encoded = store.dataset().cast_column("photograph", datasets.Image(decode=False))
    assert [row["photograph"]["path"] for row in encoded] == [None, None]


@pytest.mark.parametrize("judged", [[True] * 8, [Verdict(True, 1.0, "")] * 7, []])
def test_a_filter_that_gives_no_verdict_for_each_is_named(judged):
    wrong = Nothing()
    wrong.judge = lambda examples, labels: judged
    with pytest.raises(ValueError, match=r"Nothing.judge returned .* for 8 examples: return a list"):
        pipeline(TEXT.generator(), [wrong]).make(0)
