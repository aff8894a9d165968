"""The README says what was measured. `python -m tests.test_readme` writes its tables anew."""

import json
import statistics
from pathlib import Path

import pytest


ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
#: Labelled sentences of each class.
FEW_SHOT = (8, 32, 100, 3300)


def results(name):
    return json.loads((ROOT / "model_cards" / name / "results.json").read_text())


def rows(found, detectable=False):
    """A table's rows: arm, steps, and for each test set the accuracy, the difference and the verdict."""
    lines = []
    for arm in dict.fromkeys(run["arm"] for run in found["runs"]):
        runs = [run for run in found["runs"] if run["arm"] == arm]
        cells = [arm, str(runs[0]["steps"])]
        for evaluation in runs[0]["metrics"]:
            accuracies = [run["metrics"][evaluation]["accuracy"] for run in runs]
            cells += [f"{statistics.mean(accuracies):.3f} ± {statistics.stdev(accuracies):.3f}"]
            difference = [d for d in found["differences"] if (d["arm"], d["evaluation"]) == (arm, evaluation)]
            cells += _compared(*difference, detectable=detectable)
        lines.append(cells)
    return lines


def _compared(difference=None, *, detectable):
    if difference is None:
        return [""] * (2 + detectable)
    mean, low, high, seen = (100 * difference[name] for name in ("mean", "low", "high", "detectable"))
    points = f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
    return [points, *([f"{seen:.1f}"] if detectable else []), difference["verdict"]]


def table(header, lines):
    # An empty cell is written as one space.
    lines = ["".join(f"| {cell} " if cell else "| " for cell in cells) + "|" for cells in lines]
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *lines])


def tables():
    """The tables by the name of their place in the README."""
    against, verdict = "against the same steps, points (95 %)", "verdict"
    few_shot = [[str(n), *cells] for n in FEW_SHOT for cells in rows(results(f"sst2_{n}"), detectable=True)]
    header = ["per class", "arm", "steps", "accuracy", against, "could have seen", verdict]
    return {
        "sst2": table(header, few_shot),
        "imdb": table(
            ["arm", "steps", "test", against, verdict, "sst2", against, verdict], rows(results("imdb_small"))
        ),
        "cifar10": table(["arm", "steps", "test", against, verdict], rows(results("cifar10_small"))),
    }


def place(name, text):
    """What stands before the table of this name, the table, and what stands after it."""
    before, found, rest = text.partition(f"<!-- {name}:begin -->\n")
    shown, end, after = rest.partition(f"\n<!-- {name}:end -->")
    assert found
    assert end
    return before + found, shown, end + after


@pytest.mark.parametrize("name", ["sst2", "imdb", "cifar10"])
def test_a_table_says_what_was_measured(name):
    _, shown, _ = place(name, README.read_text(encoding="utf-8"))
    assert shown == tables()[name]


@pytest.mark.parametrize(("name", "card"), [("quickstart", "imdb_quickstart"), ("images", "cifar10_quickstart")])
def test_what_a_quickstart_prints_ends_with_what_was_found(name, card):
    _, shown, _ = place(name, README.read_text(encoding="utf-8"))
    found = results(card)
    sentences = [*found["notes"], *(difference["sentence"] for difference in found["differences"])]
    assert " ".join(shown.removesuffix("```").split()).endswith(" ".join(sentences))


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    for name, content in tables().items():
        before, _, after = place(name, text)
        text = before + content + after
    README.write_text(text, encoding="utf-8")
