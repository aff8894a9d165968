#!/usr/bin/env bash
# scikit-learn 1.9.1, seen on 2026-11-28.
#
# CountVectorizer and TfidfVectorizer find words by the pattern `\b\w\w+\b`, and Python's `\w` matches no combining mark.
# The vowel signs of Hindi, Bengali and Thai are combining marks: words are cut there, and pieces of one letter dropped.
# Sentences about different things become the same vector, or an empty one, without a warning. Latin text in decomposed
# form (NFD) is cut too, so it is another text than in composed form (NFC).
#
# Seen:
#   'किताब पुरानी है' (the book is old): []
#   'गाड़ी नीली थी' (the car was blue): []
#   'यह फिल्म अच्छी थी' (this film was good): ['यह', 'अच']
#   'সিনেমাটি ভালো' (the film is good): []
#   'café résumé' in NFC: ['café', 'résumé']
#   'café résumé' in NFD: ['cafe', 're', 'sume']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check scikit-learn==1.9.1
"$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
import unicodedata

from sklearn.feature_extraction.text import CountVectorizer


words = CountVectorizer().build_analyzer()
for text, meaning, expected in (
    ("किताब पुरानी है", "the book is old", []),
    ("गाड़ी नीली थी", "the car was blue", []),
    ("यह फिल्म अच्छी थी", "this film was good", ["यह", "अच"]),
    ("সিনেমাটি ভালো", "the film is good", []),
):
    print(f"{text!r} ({meaning}): {words(text)}")
    assert words(text) == expected, text
for form, expected in (("NFC", ["café", "résumé"]), ("NFD", ["cafe", "re", "sume"])):
    found = words(unicodedata.normalize(form, "café résumé"))
    print(f"'café résumé' in {form}: {found}")
    assert found == expected, form
PY
