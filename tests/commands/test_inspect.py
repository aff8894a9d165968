"""`hf_augment inspect DATA`."""

import pytest

from hf_augment.cli import main
from hf_augment.label_names import read_descriptions


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    texts = [f"[bold] message {i} about {' '.join(map(str, range(i, i + 9)))}" for i in range(40)]
    lines = [f"{text},{('card_arrival', 'refund')[i % 2]}" for i, text in enumerate(texts)]
    (tmp_path / "my.csv").write_text("\n".join(["message,intent", *lines]))
    return tmp_path / "my.csv"


def test_what_is_in_a_file(file, capsys):
    main(["inspect", str(file), "--descriptions", str(file.with_suffix(".yaml"))])
    printed = capsys.readouterr().out
    assert "texts: column 'message', by its name" in printed
    assert "labels: column 'intent', by its name" in printed
    assert "card_arrival │ 13       │ 7" in printed
    assert "Latin 100%" in printed
    assert f"To compare: hf_augment experiment {file} --descriptions {file.with_suffix('.yaml')}\n" in printed
    assert read_descriptions(file.with_suffix(".yaml"), ["card_arrival", "refund"]) == {
        "card_arrival": "card arrival",
        "refund": "refund",
    }


def test_what_is_asked_for(file, capsys):
    main(["inspect", str(file), "--test_fraction", "0.5", "--label_map", "refund=money,card_arrival=card"])
    printed = capsys.readouterr().out
    assert "money    │ 10       │ 10" in printed
    assert "labels: column 'intent', by its name" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.csv"], "error: 'gone.csv' does not exist: pass a folder, a file or a Hub id"),
        (["{file}", "--label_column", "message"], "error: label_column='message' of .* holds 40 different values"),
        (["{file}", "--text_column", "txt"], r"error: text_column='txt' is not a column of .*'message', 'intent'"),
        (["{file}", "--descriptions", "{file}"], "error: descriptions='.*my.csv' is there already: pass another name"),
        (["{file}", "--descriptions", "no/d.yaml"], "error: descriptions='no/d.yaml' is in no folder that is there"),
    ],
)
def test_bad_input_is_one_line(file, arguments, message, monkeypatch):
    monkeypatch.chdir(file.parent)
    with pytest.raises(SystemExit, match=message) as error:
        main(["inspect", *(argument.format(file=file) for argument in arguments)])
    assert "\n" not in str(error.value)
