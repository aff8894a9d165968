import json
import multiprocessing

import numpy as np
import pytest

from hf_augment import Generator
from hf_augment.generators.cached import CachedGenerator


class Counting(Generator):
    """Notes every call in a file."""

    label_names = ("neg", "pos")

    def __init__(self, calls, name="counting"):
        self.calls, self.name = calls, name

    def generate(self, labels, seed):
        with self.calls.open("a") as file:
            file.write(f"{self.name} {labels} {seed}\n")
        rng = np.random.default_rng(seed)
        return [{"text": f"{self.label_names[label]} {rng.integers(100)} \u00e9"} for label in labels]

    def fingerprint(self):
        return self.name


def test_what_was_made_is_not_made_again(tmp_path):
    calls = tmp_path / "calls"
    kept = CachedGenerator(Counting(calls), tmp_path / "kept")
    assert kept.label_names == ("neg", "pos")
    assert kept.columns == ("text",)
    assert kept.fingerprint() == "counting"
    first = kept.generate([0, 1], 7)
    assert first == Counting(tmp_path / "other").generate([0, 1], 7)
    again = CachedGenerator(Counting(calls), tmp_path / "kept")
    assert again.generate(np.array([0, 1]), 7) == first
    assert len(calls.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "labels", "seed"), [("counting", [0, 1], 8), ("counting", [1, 0], 7), ("x", [0, 1], 7)]
)
def test_other_labels_another_seed_or_another_generator_is_another_thing(tmp_path, name, labels, seed):
    calls = tmp_path / "calls"
    CachedGenerator(Counting(calls), tmp_path / "kept").generate([0, 1], 7)
    found = CachedGenerator(Counting(calls, name), tmp_path / "kept").generate(labels, seed)
    assert found == Counting(tmp_path / "other").generate(labels, seed)
    assert len(calls.read_text().splitlines()) == 2


def ask(folder, results):
    results.put(CachedGenerator(Counting(folder / "calls"), folder / "kept").generate([0, 1, 1], 3))


def test_processes_that_ask_at_once_pay_once(tmp_path):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=ask, args=(tmp_path, results)) for _ in range(4)]
    for process in processes:
        process.start()
    answers = {json.dumps(results.get(timeout=60)) for _ in processes}
    for process in processes:
        process.join()
    assert len(answers) == 1
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-5], lambda text: text.replace("neg", "nag"), lambda text: "[]"]
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, damage):
    generator = CachedGenerator(Counting(tmp_path / "calls"), tmp_path / "kept")
    before = generator.generate([0, 1], seed=1)
    [path] = (tmp_path / "kept").glob("*.json")
    whole = path.read_text()
    path.write_text(damage(whole))
    assert path.read_text() != whole
    with pytest.raises(ValueError, match=rf"{path} (is damaged|has no checksum).* Delete it: it is made again\."):
        generator.generate([0, 1], seed=1)
    path.unlink()
    assert generator.generate([0, 1], seed=1) == before
