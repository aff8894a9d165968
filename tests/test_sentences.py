"""Numbers and names in sentences."""

from hf_augment.sentences import counted, named


def test_one_is_no_plural():
    assert [counted(number, "draw") for number in (0, 1, 2)] == ["0 draws", "1 draw", "2 draws"]


def test_of_many_names_the_first():
    assert named(iter("abcde")) == "a, b, c, d, e"
    assert named("abcdefg") == "a, b, c, d, e and 2 more"
    assert named([]) == ""
