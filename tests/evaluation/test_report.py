"""The report's files, and hostile text in them and in the terminal."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from hf_augment.evaluation import ArmRun, ReportFacts, compare, write_report
from hf_augment.evaluation.report import example_rows
from hf_augment.synthesis import Shard, ShardStore
from tests.toys import LABELS


HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> | `code` ![i](http://evil.example/i.png) "
    "[a](javascript:alert(3)) \x1b[31mred [red]x[/red] :smile: \u202eback\nnew\r\nline https://evil.example "
    "www.evil.example \\| $x$ ~~gone~~ **bold** <!-- # heading"
)
ARMS = ("baseline", "baseline_same_steps", "trained", "instruct")


def runs(arms=ARMS, evaluations=("test", "sst2"), seeds=3, rows=60):
    rng = np.random.default_rng(0)
    made = []
    for i, arm in enumerate(arms):
        for seed in range(seeds):
            correct = {name: (rng.random(rows) < 0.6 + 0.05 * i).astype(int).tolist() for name in evaluations}
            metrics = {
                name: {
                    "accuracy": float(np.mean(c)),
                    "f1_macro": 0.5 + 0.01 * seed,
                    "expected_calibration_error": 0.125,
                }
                for name, c in correct.items()
            }
            made.append(ArmRun(arm, 0, seed, 128, 10.0 + seed, metrics, correct))
    return made


def store(root, texts=("a warm film", "a dull one"), rejected=None, sample=()):
    made = ShardStore(root, {"shard_size": 4}, "label", LABELS)
    filled = {"slots": [0, 1], "labels": [1, 0], "examples": [{"text": t} for t in texts]}
    rejected = {"fluency": 4, "near_duplicates": 0, "label_agreement": 2} if rejected is None else rejected
    made.write(
        Shard(
            0,
            **filled,
            label_probabilities=[None, None],
            candidates=8,
            rejected=rejected,
            seconds=4.0,
            reject_sample=list(sample),
        )
    )
    return made


def reject(text, name="fluency", reason="too short"):
    return {"filter": name, "reason": reason, "score": 1.0, "label": 0, "example": {"text": text}}


def facts(tmp_path, **kwargs):
    given = {
        "title": "tiny-bert on reviews",
        "settings": {"learning_rate": "5e-05", "folder": Path("x")},
        "runs": runs(),
        "reference": "baseline_same_steps",
        "test": "test",
        "stores": {"trained": store(tmp_path / "trained"), "instruct": store(tmp_path / "instruct")},
        "notes": ["Zero-shot accuracy 0.9."],
    }
    return ReportFacts(**(given | kwargs))


def write(tmp_path, what, width=100):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    results = write_report(tmp_path / "report", what, console)
    return results, console.file.getvalue(), (tmp_path / "report/report.md").read_text(encoding="utf-8")


def test_all_files_are_written_and_say_the_same(tmp_path):
    what = facts(tmp_path)
    results, printed, markdown = write(tmp_path, what)
    folder = tmp_path / "report"
    assert sorted(path.name for path in folder.iterdir()) == ["report.md", "report.png", "results.json"]
    assert (folder / "report.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    read = json.loads((folder / "results.json").read_text())
    assert read == json.loads(json.dumps(results, default=str))
    assert read["settings"] == {"learning_rate": "5e-05", "folder": "x"}
    assert len(read["runs"]) == 12
    assert "correct" not in read["runs"][0]
    assert [(d["evaluation"], d["arm"]) for d in read["differences"]] == [
        (name, arm) for name in ("test", "sst2") for arm in ("baseline", "trained", "instruct")
    ]
    by_hand = compare(what.runs, "instruct", "baseline_same_steps", "sst2")
    assert (read["differences"][-1]["low"], read["differences"][-1]["verdict"]) == (by_hand.low, by_hand.verdict)
    assert read["acceptance"]["trained"] == {
        "acceptance": 0.25,
        "acceptance_fluency": 0.5,
        "acceptance_near_duplicates": 1.0,
        "acceptance_label_agreement": 0.5,
        "per_second": 0.5,
    }
    assert read["notes"] == ["Zero-shot accuracy 0.9."]
    for text in (printed, markdown):
        assert "Zero-shot accuracy 0.9." in text
        for value in ("0.510 ± 0.010", "0.125 ± 0.000", "50.0 %", "25.0 %", f"{100 * by_hand.mean:+.1f}"):
            assert value in text
    assert printed.splitlines()[-1] == f"Report: {folder / 'report.md'}, picture: {folder / 'report.png'}"


def test_tables_fit_a_terminal_of_100_columns(tmp_path):
    printed = write(tmp_path, facts(tmp_path))[1].splitlines()
    assert max(map(len, printed[:-1])) <= 100
    # Nothing is wrapped in the rows of arms and differences.
    values = re.compile(
        r"│ baseline_same_steps +│ 3 │ 128 +│ 11 +│ 0.\d{3} ± 0.\d{3} │ 0.510 ± 0.010 │ 0.125 ± 0.000 │"
    )
    assert sum(bool(values.fullmatch(line)) for line in printed) == 2
    verdict = re.compile(
        r"│ instruct +│ [+-]\d+\.\d +│ [+-]\S+ to [+-]\S+ +│ seeds, 3 pairs │ (helps|hurts|no det.+) +│"
    )
    assert sum(bool(verdict.fullmatch(line)) for line in printed) == 2
    assert any(line.startswith("sst2: accuracy against baseline_same_steps") for line in printed)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("hostile")
    stores = {
        "trained": store(tmp_path / "t", (HOSTILE[:150], HOSTILE[120:]), sample=[reject(HOSTILE, reason=HOSTILE)])
    }
    settings = {"text": HOSTILE + "\n```\n# out"}
    what = facts(
        tmp_path,
        title=HOSTILE,
        notes=[HOSTILE],
        stores=stores,
        settings=settings,
        tables=[(HOSTILE, ("class", "share"), [(HOSTILE, "0.5")])],
        pictures={"samples.png": HOSTILE},
    )
    return write(tmp_path, what, width=400)


def test_hostile_text_is_text_in_markdown(hostile):
    markdown = hostile[2]
    assert "<script" not in markdown.partition("## Settings")[0]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in markdown
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", markdown)
    assert "https://" not in markdown.partition("## Settings")[0]
    assert not re.search(r"www\.", markdown.partition("## Settings")[0])
    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    tags = set(re.findall(r"<(/?\w+)", rendered))
    assert {tag.strip("/") for tag in tags} == {
        *("h1", "h2", "p", "img", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre", "code")
    }
    report, samples = re.findall(r"<img[^>]*/>", rendered)
    assert report == '<img src="report.png" alt="Accuracy by arm, differences and acceptance" />'
    assert samples.startswith('<img src="samples.png" alt="&lt;script&gt;alert(1)&lt;/script&gt; &lt;img src=x')
    assert rendered.count("<code") == 1
    # The cells hold the text, character for character, in four columns.
    assert "| `code` ![i](http://evil.example/i.png) [a](javascript:alert(3))  [31mred [red]x[/red]" in rendered
    rows = re.findall(r"<tr>\s*<td>(?:accepted|rejected)</td>.*?</tr>", rendered, re.DOTALL)
    assert [row.count("<td>") for row in rows] == [4, 4, 4]


def test_hostile_text_is_printed_as_it_is(hostile):
    printed = hostile[1]
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert "\r" not in printed
    # In the table and in the note: neither markup nor emoji.
    assert printed.count("<script>alert(1)</script>") >= 3
    assert printed.count("[red]x[/red] :smile:") >= 3


def test_a_terminal_gets_no_colours_of_the_text(tmp_path):
    console = Console(file=io.StringIO(), width=400, force_terminal=True, color_system="standard")
    write_report(tmp_path / "report", facts(tmp_path, notes=["\x1b[31mred [bold]x[/bold]"]), console)
    assert "\x1b[31mred" not in console.file.getvalue()
    assert "[31mred [bold]x[/bold]" in console.file.getvalue()


def test_examples_are_of_different_filters(tmp_path):
    sample = [reject(f"short {i}") for i in range(9)] + [reject("copy", "near_duplicates", "of 3: x")]
    rows = example_rows(store(tmp_path, ("x" * 300, "short"), sample=sample), each=3)
    assert rows[0] == ("accepted", "positive", "x" * 159 + "…", "")
    assert rows[1] == ("accepted", "negative", "short", "")
    assert [row[2] for row in rows[2:]] == ["short 0", "copy", "short 1"]
    assert rows[3] == ("rejected", "negative", "copy", "near_duplicates: of 3: x")
    assert len(example_rows(store(tmp_path / "none"), each=3)) == 2


def test_further_tables_and_pictures_are_shown(tmp_path):
    tables = [("Quality", ("measure", "value"), [("copies", "0.0 %"), ("recall", "0.25")]), ("Nothing", ("x",), [])]
    pictures = {"samples.png": "Training images, then generated ones"}
    results, printed, markdown = write(tmp_path, facts(tmp_path, tables=tables, pictures=pictures))
    assert json.loads(json.dumps(results["tables"])) == [
        ["Quality", ["measure", "value"], [["copies", "0.0 %"], ["recall", "0.25"]]],
        ["Nothing", ["x"], []],
    ]
    rendered = MarkdownIt("commonmark").enable("table").render(markdown)
    assert "<h2>Quality</h2>" in rendered
    assert "<td>copies</td>\n<td>0.0 %</td>" in rendered
    assert '<img src="samples.png" alt="Training images, then generated ones" />' in rendered
    assert "Quality" in printed
    assert re.search(r"│ copies +│ 0.0 % +│", printed)
    # A table without rows is left out, and after the comparison come its explanations.
    assert "Nothing" not in printed + markdown
    order = (
        "sst2: accuracy against",
        "## Quality",
        "trained: share accepted",
        "samples.png",
        "- Zero-shot",
        "Settings",
    )
    assert [markdown.index(part) for part in order] == sorted(markdown.index(part) for part in order)


def test_arrays_among_examples_and_rejects_are_named_by_their_shape(tmp_path):
    made = ShardStore(tmp_path / "images", {"shard_size": 4}, "label", LABELS)
    image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    sample = [{"filter": "feature_copies", "reason": "near", "score": 0.0, "label": 0, "example": {"image": image}}]
    example = {"image": image, "name": "a cat"}
    made.write(
        Shard(0, [0], [1], [example], [None], candidates=2, rejected={"feature_copies": 1}, reject_sample=sample)
    )
    assert example_rows(made) == [
        ("accepted", "positive", "uint8 array of 8×8×3 a cat", ""),
        ("rejected", "negative", "uint8 array of 8×8×3", "feature_copies: near"),
    ]
    results, _, markdown = write(tmp_path, facts(tmp_path, stores={"trained": made}))
    assert results["acceptance"]["trained"]["acceptance_feature_copies"] == 0.5
    assert "uint8 array of 8×8×3 a cat" in markdown


def test_arms_may_have_different_filters_and_stores_may_be_empty(tmp_path):
    empty = ShardStore(tmp_path / "empty", {"shard_size": 4}, "label", LABELS)
    stores = {"trained": store(tmp_path / "t", rejected={"perplexity": 3, "fluency": 3}), "instruct": empty}
    results, printed, markdown = write(tmp_path, facts(tmp_path, stores=stores))
    assert results["acceptance"]["instruct"] == {}
    assert "instruct: examples" not in printed + markdown
    assert "trained: examples" in printed


@pytest.mark.parametrize("arms", [("baseline_same_steps",), ("baseline_same_steps", "an_arm_with_a_$very$_long_name")])
def test_few_arms_one_evaluation_one_run_no_store(tmp_path, arms):
    what = facts(tmp_path, runs=runs(arms, ("test",), seeds=1), stores={}, notes=[])
    results, printed, markdown = write(tmp_path, what)
    assert len(results["differences"]) == len(arms) - 1
    assert ("test rows, 1 pair " in printed) == (len(arms) > 1)
    assert "±" not in printed.partition("\n")[2]
    assert ("against baseline" in markdown) == (len(arms) > 1)


def test_the_report_leaves_matplotlib_s_backend_alone(tmp_path):
    import matplotlib

    before = matplotlib.rcParams._get("backend")
    write(tmp_path, facts(tmp_path))
    assert matplotlib.rcParams._get("backend") is before
