"""What is done once, what is done again, and what is refused."""

import os

import pytest

from hf_augment.files import read_json
from hf_augment.study.stages import Stages, last_checkpoint


class Work:
    """Counts its calls; fails as often as told."""

    def __init__(self, result, failures=0):
        self.result, self.failures, self.folders = result, failures, []

    def __call__(self, folder):
        self.folders.append(folder)
        (folder / f"trace-{len(self.folders)}").write_text("x")
        if len(self.folders) <= self.failures:
            raise ArithmeticError("cut")
        return self.result


def test_a_stage_is_done_once(tmp_path):
    work = Work({"accuracy": 0.75, "rows": (1, 2), 3: None})
    first = Stages(tmp_path)
    result = first.run("split-0/baseline", {"seed": 1, "sizes": (4, 5)}, work)
    # The same whether it was done or read.
    assert result == {"accuracy": 0.75, "rows": [1, 2], "3": None}
    assert first.reused == []
    second = Stages(str(tmp_path))
    assert second.run("split-0/baseline", {"sizes": [4, 5], "seed": 1}, work) == result
    assert second.reused == ["split-0/baseline"]
    assert work.folders == [tmp_path / "split-0/baseline"]
    assert sorted(path.name for path in work.folders[0].iterdir()) == ["stage.json", "trace-1"]


def test_stages_within_a_stage_are_their_own(tmp_path):
    stages = Stages(tmp_path)
    inner = Work({"n": 1})
    outer = Work({"n": 2})
    assert stages.run("a/b", {}, inner) == {"n": 1}
    assert stages.run("a", {}, outer) == {"n": 2}
    assert (len(inner.folders), len(outer.folders)) == (1, 1)


def test_interrupted_work_is_done_again_and_finds_what_it_left(tmp_path):
    work = Work({"n": 1}, failures=1)
    with pytest.raises(ArithmeticError, match="cut"):
        Stages(tmp_path).run("train", {"seed": 1}, work)
    assert read_json(tmp_path / "train/stage.json", "") == {"identity": {"seed": 1}}
    assert (tmp_path / "train/trace-1").exists()
    # What it left was made with these identity, and is not gone on with by others.
    with pytest.raises(ValueError, match="train was made with seed=1, and now it is 2: pass what it was, another"):
        Stages(tmp_path).run("train", {"seed": 2}, work)
    again = Stages(tmp_path)
    assert again.run("train", {"seed": 1}, work) == {"n": 1}
    assert (len(work.folders), again.reused) == (2, [])


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ({"seed": 2, "model": "a"}, "was made with seed=1, and now it is 2"),
        ({"seed": 1, "model": "b"}, "was made with model='a', and now it is 'b'"),
        ({"seed": 1}, "was made with model='a', and now it is None"),
        ({"seed": 1, "model": "a", "rate": 0.5}, "was made with rate=None, and now it is 0.5"),
        ({"seed": "1", "model": "a"}, "was made with seed=1, and now it is '1'"),
    ],
)
def test_another_identity_are_refused_by_name(tmp_path, identity, message):
    stages = Stages(tmp_path)
    stages.run("train", {"seed": 1, "model": "a"}, Work({}))
    again = Work({})
    with pytest.raises(ValueError, match=f"train {message}: pass what it was, another output_dir, or delete"):
        stages.run("train", identity, again)
    assert again.folders == []


def test_a_result_that_json_does_not_know_is_no_result(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        Stages(tmp_path).run("train", {}, Work({"model": object()}))
    assert read_json(tmp_path / "train/stage.json", "") == {"identity": {}}
    assert Stages(tmp_path).run("train", {}, Work({"n": 1})) == {"n": 1}


def test_a_marker_is_whole_or_not_there(tmp_path, monkeypatch):
    replace = os.replace
    seen = []

    def cut(partial, path):
        seen.append((read_json(partial, ""), path.exists()))
        if "result" in seen[-1][0]:
            raise KeyboardInterrupt
        replace(partial, path)

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        Stages(tmp_path).run("train", {"seed": 1}, Work({"n": 1}))
    assert seen == [({"identity": {"seed": 1}}, False), ({"identity": {"seed": 1}, "result": {"n": 1}}, True)]
    assert read_json(tmp_path / "train/stage.json", "") == {"identity": {"seed": 1}}
    monkeypatch.setattr(os, "replace", replace)
    again = Work({"n": 2})
    assert Stages(tmp_path).run("train", {"seed": 1}, again) == {"n": 2}
    assert len(again.folders) == 1


def test_the_last_checkpoint_that_was_written_whole(tmp_path):
    folder = tmp_path / "checkpoints"
    assert last_checkpoint(folder) is None
    for step in (5, 10, 900, 1000):
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        (folder / f"checkpoint-{step}/model.safetensors").write_text("x")
    assert last_checkpoint(folder) is None
    for step in (5, 10, 900):
        (folder / f"checkpoint-{step}/trainer_state.json").write_text("{}")
    # By number, not by name; and the last one was being written when the process was killed.
    assert last_checkpoint(folder) == str(folder / "checkpoint-900")


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-5], lambda text: text.replace("0.75", "0.76"), lambda text: ""]
)
def test_a_damaged_stage_file_is_named_with_what_to_do(tmp_path, damage):
    Stages(tmp_path).run("train", {"seed": 1}, Work({"accuracy": 0.75}))
    marker = tmp_path / "train/stage.json"
    marker.write_text(damage(marker.read_text()))
    with pytest.raises(ValueError, match=rf"stage\.json is damaged.* Delete {tmp_path / 'train'}: the stage is done"):
        Stages(tmp_path).run("train", {"seed": 1}, Work({"accuracy": 0.75}))
