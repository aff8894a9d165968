"""What a person rejected is left out, and nothing else; what is left is a generator of its own."""

import datasets
import numpy as np
import pytest

from hf_augment import DatasetGenerator
from hf_augment.files import read_json
from hf_augment.study.review import leave_out
from tests.reporting.builders import image_store, store


@pytest.fixture
def run_dir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def told(run_dir):
    return store(run_dir / "split-0/told-shards", ("a warm film", "a dull one"))


def test_what_is_left_of_images_is_a_generator_with_an_identity_of_its_own(run_dir, tmp_path):
    made = image_store(run_dir / "split-0/gan-shards", count=5)
    (kept,) = leave_out(run_dir, [f"{made.folder.name}-{slot}" for slot in (3, 0, 3)], tmp_path / "out")
    assert (kept.folder, kept.rejected, kept.rows, kept.missing) == (tmp_path / "out/gan", 2, 3, [])
    rows = datasets.load_from_disk(kept.folder)
    assert rows.column_names == ["image", "label"]
    generator = DatasetGenerator(rows)
    examples = generator.generate(made.dataset().select([1, 2, 4])["label"][:], seed=0)
    assert sorted(int(example["image"][0, 0, 0]) for example in examples) == [20, 40, 80]
    assert {example["image"].dtype for example in examples} == {np.dtype(np.uint8)}
    (other,) = leave_out(run_dir, [f"{made.folder.name}-1"], tmp_path / "other")
    assert generator.fingerprint() != DatasetGenerator(datasets.load_from_disk(other.folder)).fingerprint()
    about = read_json(kept.folder / "review.json", "")
    assert about["rejected"] == [f"{made.folder.name}-0", f"{made.folder.name}-3"]
    assert about["identity"] == made.identity


def test_only_the_streams_that_are_named_are_written(run_dir, told, tmp_path):
    made = image_store(run_dir / "split-0/gan-shards", count=5)
    # The same stream in another split is not on the page.
    store(run_dir / "split-1/told-shards", ("x", "y"))
    leave_out(run_dir, [f"{made.folder.name}-0"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["gan"]


def test_bad_ids_and_folders(run_dir, told, tmp_path):
    identity = told.folder.name
    for ids, error in (
        ([], "There is no id"),
        (["nonsense"], rf"'nonsense' is no example of .*: its streams are \['{identity}'\]"),
        ([f"{identity}-x"], "is no example of"),
        ([f"{identity}-7"], f"{identity} has no example 7: take ids from"),
    ):
        with pytest.raises(ValueError, match=error):
            leave_out(run_dir, ids, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="holds no synthetic examples: pass the output_dir of a study"):
        leave_out(tmp_path / "nowhere", [f"{identity}-0"], tmp_path / "out")
    made = image_store(run_dir / "split-0/gan-shards", count=5)
    (tmp_path / "out/gan").mkdir(parents=True)
    with pytest.raises(ValueError, match="gan exists: write into another folder, or delete it"):
        leave_out(run_dir, [f"{made.folder.name}-0"], tmp_path / "out")
