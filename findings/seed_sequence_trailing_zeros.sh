#!/usr/bin/env bash
# numpy 2.4.6, seen on 2026-11-28.
#
# SeedSequence([7]), SeedSequence([7, 0]) and SeedSequence([7, 0, 0]) are one and the same: zeros at the end of the
# entropy do not count. Streams that are told apart by a list of counters, such as [seed, epoch, rank], collide wherever
# the last counters are 0: the stream of epoch 0, rank 0 is the one of the bare seed. A zero in front counts, and so does
# one in `spawn_key`.
#
# Seen:
#   [7] and [7, 0]: equal
#   [7] and [7, 0, 0]: equal
#   [7] and [0, 7]: different
#   [7] and [7] with spawn_key=(0,): different
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" -I - <<'PY' || { echo "What is said above has changed." >&2; exit 1; }
from numpy.random import SeedSequence


def same(name, one, other, expected):
    equal = (one.generate_state(8) == other.generate_state(8)).all()
    print(f"{name}: {'equal' if equal else 'different'}")
    assert equal == expected, name


same("[7] and [7, 0]", SeedSequence([7]), SeedSequence([7, 0]), True)
same("[7] and [7, 0, 0]", SeedSequence([7]), SeedSequence([7, 0, 0]), True)
same("[7] and [0, 7]", SeedSequence([7]), SeedSequence([0, 7]), False)
same("[7] and [7] with spawn_key=(0,)", SeedSequence([7]), SeedSequence([7], spawn_key=(0,)), False)
PY
