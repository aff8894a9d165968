"""What a label is called, name by name, and files that describe labels, line by line."""

import pytest

from hf_augment.label_names import read_descriptions, readable_name, says_nothing, write_descriptions


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("card_arrival", "card arrival"),
        ("CardArrival", "card arrival"),
        ("Card Arrival?", "card arrival"),
        ("card-arrival ", "card arrival"),
        ("CARD_ARRIVAL", "card arrival"),
        ("Refund_not_showing_up", "refund not showing up"),
        ("atm.ATMSupport", "atm ATM support"),
        ("USA", "USA"),
        ("card_arrival; lost", "card arrival and lost"),
        ("getURLNow", "get URL now"),
        ("Sci/Tech", "sci/tech"),
        ("C++", "C++"),
        ("don't_know", "don't know"),
        ("version_1.5", "version 1.5"),
        ("Ärger_über_Gebühr", "ärger über gebühr"),
        ("退款", "退款"),
        (":)", ":)"),
    ],
)
def test_a_name_as_a_person_would_say_it(name, words):
    assert readable_name(name) == words


def test_names_that_only_number_their_classes():
    assert all(map(says_nothing, ["0", "LABEL_1", "class 2", "1.5", "-1", "", " ", "Topic-07"]))
    assert not any(map(says_nothing, ["5 stars", "A", "class_action", "+", "label"]))


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_descriptions_of_yaml_and_csv_are_read_as_they_are_written(tmp_path):
    yaml = write(tmp_path, "d.yaml", "007: a\n   long one\n'no': \"so: it is\"\n")
    table = write(tmp_path, "d.csv", '\ufefflabel,description\nno,"so: it is"\n\n007,a  long one\n')
    for path in (yaml, table):
        found = read_descriptions(path, ["no", "007"])
        assert list(found.items()) == [("no", "so: it is"), ("007", "a long one")]
    assert read_descriptions(write(tmp_path, "e.yml", "no: x\n007: 1.50\n"), ["no", "007"])["007"] == "1.50"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("d.yaml", "a: x\nb: y\na: z\n", "describes 'a' twice"),
        ("d.yaml", "a: x\n", r"does not describe \['b'\]"),
        ("d.yaml", "a: x\nb:\n", r"does not describe \['b'\]"),
        ("d.yaml", "a: x\nb: y\nc: z\n", r"describes \['c'\], but the labels are \['a', 'b'\]"),
        ("d.yaml", "a: [x]\nb: y\n", "lines `label: description`"),
        ("d.yaml", "- a\n- b\n", "lines `label: description`"),
        ("d.yaml", "{}", "lines `label: description`"),
        ("d.yaml", "", "lines `label: description`"),
        ("d.yaml", "a: 'x\n", "is no YAML file"),
        ("d.csv", "label,description\na,x,y\n", r"the row \['a', 'x', 'y'\]"),
        ("d.csv", "", r"does not describe \['a', 'b'\]"),
    ],
)
def test_a_file_that_does_not_describe_the_labels_is_refused(name, text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_descriptions(write(tmp_path, name, text), ["a", "b"])


@pytest.mark.parametrize("name", ["a.yaml", "a.csv"])
def test_a_draft_of_descriptions(name, tmp_path):
    names, path = ["card_arrival", "yes", "007", "a: b"], tmp_path / name
    write_descriptions(path, names)
    assert read_descriptions(path, names) == {
        "card_arrival": "card arrival",
        "yes": "yes",
        "007": "007",
        "a: b": "a b",
    }
    with pytest.raises(FileExistsError):
        write_descriptions(path, names)
