"""The report's files, and hostile text in them and in the terminal."""

import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from hf_augment.evaluation.comparison import compare_all
from hf_augment.reporting import plots
from hf_augment.reporting.cards import render_card
from hf_augment.reporting.report import write_report
from hf_augment.reporting.results import Data, Results
from hf_augment.reporting.samples import Sample, choose_samples
from hf_augment.reporting.tables import robustness_means
from hf_augment.synthesis.shards import Shard, ShardStore
from tests.reporting.builders import HOSTILE, REFERENCE, image_store, measured, reject, results, runs, store
from tests.toys import LABELS


QUOTING = ("memorization", "evaluation_overlap")
CARD_DATA = Data("reviews", label_names=list(LABELS), train_rows=8, evaluations={"test": 60, "sst2": 60})
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Other tests look at the pictures."""
    monkeypatch.setattr(plots, "png", lambda figure: PNG)


def write(tmp_path, what, width=100):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    for name in what.pictures:
        (tmp_path / "report").mkdir(exist_ok=True)
        (tmp_path / "report" / name).write_bytes(PNG)
    written = write_report(tmp_path / "report", what, console)
    return written, console.file.getvalue(), (tmp_path / "report/report.md").read_text(encoding="utf-8")


def test_all_files_are_written_and_say_the_same(tmp_path):
    what = results(tmp_path)
    written, printed, markdown = write(tmp_path, what)
    folder = tmp_path / "report"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("generalization.png", "report.html", "report.md", "report.png", "results.json")
    ]
    assert all(path.read_bytes().startswith(PNG) for path in folder.glob("*.png"))
    read = json.loads((folder / "results.json").read_text())
    assert written == Results.from_dict(read)
    by_hand = compare_all(what.runs, REFERENCE, "sst2")[-1]
    assert read["acceptance"]["trained"] == {
        "acceptance": 0.25,
        "acceptance_fluency": 0.5,
        "acceptance_near_duplicates": 1.0,
        "acceptance_label_agreement": 0.5,
        "per_second": 0.5,
    }
    sentences = [d["sentence"] for d in read["differences"]]
    page = (folder / "report.html").read_text(encoding="utf-8")
    for text in (" ".join(printed.split()), re.sub(r"\\(.)", r"\1", markdown), page):
        assert "Zero-shot accuracy 0.9." in text
        for value in ("0.510 ± 0.010", "0.125 ± 0.000", "50.0 %", "25.0 %", f"{100 * by_hand.mean:+.1f}"):
            assert value in text
        assert all(sentence in text for sentence in sentences)


def test_what_may_be_published_shows_no_row(tmp_path):
    nearest = {"trained": lambda examples: [(f"like {example['text']}", 0.5) for example in examples]}
    sample = [reject("short")]
    # Neither do rejects that repeat one, nor the reasons, which quote it.
    sample += [reject("Jane Roe of Elm Street", name, "1.00 like a row 'Jane Roe'") for name in QUOTING]
    stores = {"trained": store(tmp_path / "t", sample=sample), "instruct": store(tmp_path / "i", sample=sample)}
    what = results(tmp_path, runs=measured(), stores=stores, nearest=nearest)
    written = write(tmp_path, what)[0]
    rejected = Sample("rejected", "negative", "short", "fluency: too short")
    assert written.samples["trained"][2:] == [replace(rejected, similarity=0.5)]
    assert written.samples["instruct"][2:] == [rejected]
    published = (tmp_path / "report/results.json").read_text()
    assert not {"correct", "perturbed"} & set(json.loads(published)["runs"][0])
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    # The page shows a labelled row, what may be published does not.
    for text in ("Jane Roe", "like short"):
        assert text in page
        assert text not in published
        assert text not in repr(written)
    # Nor does a card, also of results with everything.
    described = replace(what, data=CARD_DATA, models={"classifier": "tiny-bert", "trained": "tiny-gpt"})
    for card in (render_card(described, "results"), render_card(described, "dataset", "trained")):
        assert "fluency: too short" in card
        assert "Jane Roe" not in card
        assert "like short" not in card


def test_accepted_texts_that_repeat_a_labelled_row_are_not_published(tmp_path):
    near = {"trained": lambda examples: [("a row", 0.7 if "warm" in e["text"] else 0.69) for e in examples]}
    write(tmp_path, results(tmp_path, stores={"trained": store(tmp_path / "t")}, nearest=near))
    written = Results.load(tmp_path / "report/results.json")
    assert [sample.example for sample in written.samples["trained"]] == ["a dull one"]


def test_pictures_are_files_where_there_is_something_to_show(tmp_path):
    _, _, markdown = write(tmp_path, results(tmp_path, runs=measured(evaluations=("test",))))
    names = {path.name for path in (tmp_path / "report").glob("*.png")}
    assert names == {"curves.png", "class_shares.png", "robustness.png", "report.png"}
    assert all(f"]({name})" in markdown for name in names)


@pytest.mark.parametrize("name", ["missing.png", "../outside.png", "samples.svg"])
def test_further_pictures_are_checked_before_anything_is_written(tmp_path, name):
    (tmp_path / "outside.png").write_bytes(PNG)
    (tmp_path / "report").mkdir()
    (tmp_path / "report/samples.svg").write_text("<svg/>")
    with pytest.raises(ValueError, match=r"is no picture in .*write it there first"):
        write_report(tmp_path / "report", results(tmp_path, pictures={name: "Images"}))
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["samples.svg"]


def test_tables_fit_a_terminal_of_100_columns(tmp_path):
    printed = write(tmp_path, results(tmp_path))[1].splitlines()
    assert max(map(len, printed[:-3])) <= 100
    # Nothing is wrapped in the rows of arms and differences.
    values = re.compile(r"│ baseline_same_steps +│ 3 │ 128 +│ 0.\d{3} ± 0.\d{3} │ 0.510 ± 0.010 │ 0.125 ± 0.000 │")
    assert sum(bool(values.fullmatch(line)) for line in printed) == 2
    verdict = re.compile(
        r"│ instruct +│ [+-]\d+\.\d +│ [+-]\S+ to [+-]\S+ +│ seeds and rows, 3 pairs +│ (helps|hurts|no det.+) +│"
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
    what = results(
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
    assert "<script" not in markdown.partition("## How it was made")[0]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in markdown
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", markdown)
    assert "https://" not in markdown.partition("## How it was made")[0]
    assert not re.search(r"www\.", markdown.partition("## How it was made")[0])
    rendered = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    tags = set(re.findall(r"<(/?\w+)", rendered))
    assert {tag.strip("/") for tag in tags} == {
        *("h1", "h2", "h3", "p", "img", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre", "code"),
        *("details", "summary"),
    }
    report, hold_outs, samples = re.findall(r"<img[^>]*/>", rendered)
    assert hold_outs == '<img src="generalization.png" alt="Accuracy on each evaluation set by arm" />'
    assert report == '<img src="report.png" alt="Accuracy by arm, differences and acceptance" />'
    assert samples.startswith('<img src="samples.png" alt="&lt;script&gt;alert(1)&lt;/script&gt; &lt;img src=x')
    assert rendered.count("<code") == 1
    # The cells hold the text, character for character, in columns of their own.
    assert "| `code` ![i](http://evil.example/i.png) [a](javascript:alert(3))  [31mred [red]x[/red]" in rendered
    rows = re.findall(r"<tr>\s*<td>(?:negative|positive)</td>.*?</tr>", rendered, re.DOTALL)
    assert [row.count("<td>") for row in rows] == [2, 2, 3]


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
    write_report(tmp_path / "report", results(tmp_path, notes=["\x1b[31mred [bold]x[/bold]"]), console)
    assert "\x1b[31mred" not in console.file.getvalue()
    assert "[31mred [bold]x[/bold]" in console.file.getvalue()


def test_examples_are_of_different_filters(tmp_path):
    sample = [reject(f"short {i}") for i in range(9)] + [reject("copy", "near_duplicates", "of 3: x")]
    samples = choose_samples(store(tmp_path, ("x" * 300, "short"), sample=sample), each=3)
    assert samples[:2] == [Sample("accepted", "positive", "x" * 159 + "…"), Sample("accepted", "negative", "short")]
    assert [sample.example for sample in samples[2:]] == ["short 0", "copy", "short 1"]
    assert samples[3] == Sample("rejected", "negative", "copy", "near_duplicates: of 3: x")
    assert len(choose_samples(store(tmp_path / "none"), each=1)) == 1


def test_no_more_shards_are_read_than_are_shown(tmp_path):
    made = store(tmp_path)
    shard = made.read(0)
    shard.index, shard.slots = 1, [4, 5]
    made.write(shard)
    read = made.read
    made.read = lambda index: read({0: 0}[index])
    assert len(choose_samples(made, each=2)) == 2


def test_nearest_rows_are_asked_for_texts_and_for_kept_images(tmp_path):
    asked = []

    def nearest(examples):
        asked.append(len(examples))
        return [("y" * 200, 0.25)] * len(examples)

    texts = choose_samples(store(tmp_path / "texts", sample=[reject("no")]), nearest)
    assert [(sample.nearest, sample.similarity) for sample in texts] == [("y" * 159 + "…", 0.25)] * 3
    images = choose_samples(image_store(tmp_path / "images"), nearest)
    assert [sample.similarity for sample in images] == [0.25, 0.25, None]
    assert [sample.image is not None for sample in images] == [True, True, True]
    assert asked == [3, 2]
    with pytest.raises(ValueError, match="named 1 labelled rows for 2 examples"):
        choose_samples(store(tmp_path / "others"), lambda examples: [("a", 0.5)])


def test_further_tables_and_pictures_are_shown(tmp_path):
    tables = [("Quality", ("measure", "value"), [("copies", "0.0 %"), ("recall", "0.25")]), ("Nothing", ("x",), [])]
    pictures = {"samples.png": "Training images, then generated ones"}
    written, printed, markdown = write(tmp_path, results(tmp_path, tables=tables, pictures=pictures))
    assert written.tables == tables
    rendered = MarkdownIt("commonmark").enable("table").render(markdown)
    assert "<h3>Quality</h3>" in rendered
    assert "<td>copies</td>\n<td>0.0 %</td>" in rendered
    assert '<img src="samples.png" alt="Training images, then generated ones" />' in rendered
    assert "Quality" in printed
    assert re.search(r"│ copies +│ 0.0 % +│", printed)
    # A table without rows is left out; the findings come first, what they rest on last.
    assert "Nothing" not in printed + markdown
    order = (
        "trained against baseline",
        "## What did it cost?",
        "trained: accepted examples",
        "trained: share accepted",
        "## Accuracy",
        "sst2: accuracy against",
        "### Quality",
        "samples.png",
        "- Zero-shot",
        "## Limits",
        "## How it was made",
    )
    markdown = markdown.replace("\\", "")
    assert [markdown.index(part) for part in order] == sorted(markdown.index(part) for part in order)


def test_arrays_among_examples_and_rejects_are_named_by_their_shape(tmp_path):
    made = ShardStore(tmp_path / "images", {"shard_size": 4}, "label", LABELS)
    image = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    sample = [{"filter": "feature_copies", "reason": "near", "score": 0.0, "label": 0, "example": {"image": image}}]
    example = {"image": image, "name": "a cat"}
    made.write(
        Shard(0, [0], [1], [example], [None], candidates=2, rejected={"feature_copies": 1}, reject_sample=sample)
    )
    accepted, rejected = choose_samples(made)
    assert accepted == Sample("accepted", "positive", "uint8 array of 8×8×3 a cat")
    assert np.array_equal(accepted.image, image)
    assert rejected == Sample("rejected", "negative", "uint8 array of 8×8×3", "feature_copies: near")
    written, _, markdown = write(tmp_path, results(tmp_path, stores={"trained": made}))
    assert written.acceptance["trained"]["acceptance_feature_copies"] == 0.5
    assert "uint8 array of 8×8×3 a cat" in markdown
    assert written.samples["trained"] == [accepted, rejected]


def test_arms_may_have_different_filters_and_stores_may_be_empty(tmp_path):
    empty = ShardStore(tmp_path / "empty", {"shard_size": 4}, "label", LABELS)
    stores = {"trained": store(tmp_path / "t", rejected={"perplexity": 3, "fluency": 3}), "instruct": empty}
    written, printed, markdown = write(tmp_path, results(tmp_path, stores=stores))
    assert written.acceptance["instruct"] == {}
    assert "instruct: accepted" not in printed + markdown
    assert "trained: accepted examples" in printed


@pytest.mark.parametrize("arms", [("baseline_same_steps",), ("baseline_same_steps", "an_arm_with_a_$very$_long_name")])
def test_few_arms_one_evaluation_one_run_no_store(tmp_path, arms):
    what = results(tmp_path, runs=runs(arms, ("test",), seeds=1), stores={}, notes=[])
    written, printed, markdown = write(tmp_path, what)
    assert [d.verdict for d in written.differences] == ["not tested: one pair of runs"] * (len(arms) - 1)
    assert ("test rows, 1 pair " in printed) == (len(arms) > 1)
    assert not re.search(r"\d ± \d", printed)
    assert ("accuracy against baseline" in markdown.replace("\\", "")) == (len(arms) > 1)
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert ("No answer: nothing was tried" in page) == (len(arms) == 1)
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        *("report.html", "report.md", "report.png", "results.json")
    }


def test_the_report_leaves_matplotlib_s_backend_alone(tmp_path, monkeypatch):
    import matplotlib

    monkeypatch.undo()
    before = matplotlib.rcParams._get("backend")
    write(tmp_path, results(tmp_path))
    assert matplotlib.rcParams._get("backend") is before


def test_perturbed_rows_are_compared_with_the_same_rows_as_they_are(tmp_path):
    what = results(tmp_path, runs=measured())
    whole = {arm: what.mean(arm, lambda run: run.metrics["test"]["accuracy"]) for arm in what.arms}
    assert robustness_means(what, "test")["not perturbed"] == whole
    what.runs[:] = [replace(run, unperturbed={"test": 0.875}) for run in what.runs]
    assert robustness_means(what, "test")["not perturbed"] == dict.fromkeys(what.arms, 0.875)
    # Of another set nothing else is known.
    assert robustness_means(what, "sst2")["not perturbed"] != dict.fromkeys(what.arms, 0.875)


def test_arms_are_compared_on_perturbed_rows_where_all_have_them(tmp_path):
    made = measured(seeds=4)
    rng = np.random.default_rng(1)
    for run in made:
        run.perturbed["test"] = (rng.random(40) * (0.1 if run.arm == "instruct" else 0.9)).tolist()
    what = results(tmp_path, runs=made)
    written, _, text = write(tmp_path, what)
    found = {d.arm: d for d in written.on("test, perturbed")}
    mean = {arm: what.mean(arm, lambda run: np.mean(run.perturbed["test"])) for arm in what.arms}
    assert list(found) == ["baseline", "trained", "instruct"]
    for arm, difference in found.items():
        assert difference.mean == pytest.approx(mean[arm] - mean["baseline_same_steps"], abs=1e-12)
    assert found["instruct"].verdict == "hurts"
    assert "test, perturbed: accuracy against baseline\\_same\\_steps" in text
    assert not written.on("sst2, perturbed")
    for none in ({}, {"test": []}):
        assert not results(tmp_path, runs=[replace(made[0], perturbed=none), *made[1:]]).on("test, perturbed")


def test_a_figure_that_some_runs_lack_is_left_out_or_the_mean_of_the_others(tmp_path):
    what = results(tmp_path, runs=measured())
    del what.runs[0].classes["test"][LABELS[0]]
    what.runs[0].classes["test"][LABELS[1]]["f1"] = 0.8
    del what.runs[0].metrics["test"]["f1_macro"]
    arm = what.runs[0].arm
    f1 = what.classes("test", "f1")
    assert f1[LABELS[0]][arm] == pytest.approx(0.5)
    assert f1[LABELS[1]][arm] == pytest.approx(0.6)
    assert list(f1) == [LABELS[1], LABELS[0]]
    printed = write(tmp_path, what)[1]
    (row, *_) = [line for line in printed.splitlines() if line.startswith(f"│ {arm} ")]
    assert [cell.strip() for cell in row.strip("│").split("│")][5] == "-"


def test_it_says_how_many_rows_were_perturbed(tmp_path):
    """A reader of a percentage wants to know what of."""
    what = results(tmp_path, runs=measured())
    for data, words in ((Data(), "the same rows"), (Data(perturbed_rows=32), "32 random rows")):
        text = write(tmp_path, replace(what, data=data))[2]
        assert f"test: accuracy on {words}, %\n" in text
