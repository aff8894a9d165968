"""What is done once, what is done again, and what is refused."""

import json
import os

import pytest

from hf_augment.experiments.stages import Stages


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
    assert not (tmp_path / "train/stage.json").exists()
    assert (tmp_path / "train/trace-1").exists()
    # Nothing was done, so other facts are no contradiction.
    assert Stages(tmp_path).run("train", {"seed": 2}, work) == {"n": 1}
    assert len(work.folders) == 2


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"seed": 2, "model": "a"}, "was made with seed=1, and now it is 2"),
        ({"seed": 1, "model": "b"}, "was made with model='a', and now it is 'b'"),
        ({"seed": 1}, "was made with model='a', and now it is None"),
        ({"seed": 1, "model": "a", "rate": 0.5}, "was made with rate=None, and now it is 0.5"),
        ({"seed": "1", "model": "a"}, "was made with seed=1, and now it is '1'"),
    ],
)
def test_other_facts_are_refused_by_name(tmp_path, facts, message):
    stages = Stages(tmp_path)
    stages.run("train", {"seed": 1, "model": "a"}, Work({}))
    again = Work({})
    with pytest.raises(ValueError, match=f"train {message}: pass what it was, another output_dir, or delete"):
        stages.run("train", facts, again)
    assert again.folders == []


def test_a_result_that_json_does_not_know_leaves_no_marker(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        Stages(tmp_path).run("train", {}, Work({"model": object()}))
    assert [path.name for path in (tmp_path / "train").iterdir()] == ["trace-1"]
    assert Stages(tmp_path).run("train", {}, Work({"n": 1})) == {"n": 1}


def test_a_marker_is_whole_or_not_there(tmp_path, monkeypatch):
    replace = os.replace
    seen = []

    def cut(partial, path):
        seen.append((json.loads(partial.read_text()), path.exists()))
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        Stages(tmp_path).run("train", {"seed": 1}, Work({"n": 1}))
    assert seen == [({"facts": {"seed": 1}, "result": {"n": 1}}, False)]
    assert not (tmp_path / "train/stage.json").exists()
    monkeypatch.setattr(os, "replace", replace)
    again = Work({"n": 2})
    assert Stages(tmp_path).run("train", {"seed": 1}, again) == {"n": 2}
    assert len(again.folders) == 1
