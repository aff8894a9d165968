import errno
import json
import os

import pytest

from hf_augment.files import parse_json, read_json, write_atomically, write_json


CONTENT = {"step": 3, "share": 0.1, "names": ["é", "\ud800"], "nested": {"none": None, "nan": float("inf")}}
REMEDY = "Delete it: it is made again"


def test_what_was_written_is_read_as_json_knows_it(tmp_path):
    path = tmp_path / "state.json"
    write_json(path, CONTENT | {"pair": (1, 2), "keys": {0: "a"}})
    assert read_json(path, REMEDY) == CONTENT | {"pair": [1, 2], "keys": {"0": "a"}}
    write_json(path, {"odd": {1, 2}}, default=sorted)
    assert read_json(path, REMEDY) == {"odd": [1, 2]}
    assert os.listdir(tmp_path) == ["state.json"]


def test_every_changed_or_missing_byte_is_noticed_or_changes_nothing(tmp_path):
    path = tmp_path / "state.json"
    write_json(path, CONTENT)
    whole = path.read_bytes()
    damaged = [whole[:end] for end in range(len(whole))]
    damaged += [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    answers = []
    for data in damaged:
        path.write_bytes(data)
        try:
            answers.append(read_json(path, REMEDY))
        except ValueError as error:
            answers.append(str(error))
    refused = [answer for answer in answers if answer != CONTENT]
    assert all(answer.startswith(str(path)) and answer.endswith(f"{REMEDY}.") for answer in refused)
    # A changed space between two values is no damage.
    assert len(refused) > 0.8 * len(damaged)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is damaged: it is no JSON"),
        (b"\xff\xfe", "is damaged: it is no JSON"),
        (b"[" * 100_000, "is damaged: it is no JSON"),
        (b"[1]", "is damaged: it holds no JSON object"),
        (b'{"step": 3}', "has no checksum: it is damaged, or of an earlier version"),
        (b'{"step": 3, "checksum": "0"}', "is damaged: its content does not have its checksum"),
        (b'{"step": 3, "checksum": null}', "has no checksum"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, data, what):
    path = tmp_path / "state.json"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"state\.json {what}.*{REMEDY}\.$"):
        read_json(path, REMEDY)


def test_a_missing_file_and_one_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ValueError, match=rf"state\.json is missing\. {REMEDY}\.$"):
        read_json(tmp_path / "state.json", REMEDY)
    with pytest.raises(ValueError, match=rf"cannot be read \(.*directory.*\)\. {REMEDY}\.$"):
        parse_json(tmp_path, REMEDY)


def test_a_file_that_could_not_be_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    write_json(path, {"step": 1})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, json.dumps({"step": 2}).encode())
    assert os.listdir(tmp_path) == ["state.json"]
    assert read_json(path, REMEDY) == {"step": 1}
