"""Tables of the text perturbations: neighbouring keys, short and long forms, sentences about nothing."""

from __future__ import annotations

import regex


_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _neighbours() -> dict[str, str]:
    # Each row of a keyboard stands about half a key to the right of the one above.
    places = {key: (y, x) for y, row in enumerate(_ROWS) for x, key in enumerate(row)}
    touching = ((0, -1), (0, 1), (-1, 0), (-1, 1), (1, -1), (1, 0))
    at = {place: key for key, place in places.items()}
    return {
        key: "".join(at[y + dy, x + dx] for dy, dx in touching if (y + dy, x + dx) in at)
        for key, (y, x) in places.items()
    }


#: The letters whose keys touch a letter's key on a QWERTY keyboard.
NEIGHBOURS = _neighbours()

_NOT = ("is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "would", "should", "could")
_LONG_NOT = {f"{verb} not": f"{verb}n't" for verb in _NOT} | {"will not": "won't", "cannot": "can't"}
_LONG_BE = (
    {f"{word} is": f"{word}'s" for word in ["it", "that", "there", "here", "he", "she", "what", "who", "where"]}
    | {f"{word} are": f"{word}'re" for word in ("you", "we", "they")}
    | {f"{word} will": f"{word}'ll" for word in ["i", "you", "he", "she", "it", "we", "they"]}
    | {"i am": "i'm"}
)
# Not turned around: "I have a dog" and "let us out" have no short form.
_SHORT_ONLY = {f"{word}'ve": f"{word} have" for word in ("i", "you", "we", "they")} | {"let's": "let us"}
# Left out for having two long forms: 'd (had, would) and ain't.

#: The other form of each, in lower case with a straight apostrophe.
OTHER_FORM = (
    {"can not": "can't"}
    | _LONG_NOT
    | _LONG_BE
    | {short: long for long, short in (_LONG_NOT | _LONG_BE).items()}
    | _SHORT_ONLY
)


def _any_of(forms: dict[str, str]) -> str:
    # Corpora split as the Penn Treebank is have a space in short forms: "ca n't", "it 's".
    patterns = (regex.sub(r"(n't|'\w+)$", r"\\s?\1", form.replace(" ", r"\s+")) for form in forms)
    return "|".join(pattern.replace("'", r"['\u2019]") for pattern in patterns)


_SHORT = {form: other for form, other in OTHER_FORM.items() if "'" in form}
#: Finds what has another form. Not "it's been", which is "it has been"; nor "is" where its clause ends, as in "what it
#: is", nor before a split "n't".
FORMS = regex.compile(
    rf"(?<![\w'\u2019])(?:(?:{_any_of(_SHORT)})(?![\w'\u2019])(?!(?<=['\u2019]s)\s+(?:been|got|had)\b)"
    rf"|(?:{_any_of(_LONG_NOT)}|can\s+not)(?!\w)"
    rf"|(?:{_any_of(_LONG_BE)})(?=\s+(?!n['\u2019]t)\w))",
    regex.IGNORECASE,
)

#: True whatever the text is about, and about nothing a classifier is asked for.
DISTRACTORS = (
    "A week has seven days.",
    "Tuesday comes after Monday.",
    "There are twelve months in a year.",
    "Two plus two is four.",
    "A square has four sides.",
    "The alphabet begins with the letter A.",
    "April comes before May.",
    "Ten is twice as much as five.",
    "An hour has sixty minutes.",
    "The number nine is odd.",
    "Some words are longer than others.",
    "Every triangle has three corners.",
)
