"""What a reader of a card finds, what is left out, what is missed, and text that wants to be more than text."""

import functools
import html
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from hypothesis import given, settings
from markdown_it import MarkdownIt

import hf_augment
from hf_augment.reporting.cards import render_card
from hf_augment.reporting.results import Results
from tests.reporting.card_results import difference, make_results, sample
from tests.reporting.test_escape import TEXTS


MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def card(content, kind, arm="instruct"):
    """The card of what is in a `results.json`."""
    return render_card(Results.from_dict(content), kind, arm)


CARDS = {kind: functools.partial(card, kind=kind) for kind in ("model", "generator", "dataset", "results")}
model_card, generator_card, dataset_card, results_card = (
    lambda content, *arm, kind=kind: card(content, kind, *arm) for kind in CARDS
)
MEASURED = Path(hf_augment.__file__).parents[1] / "model_cards"


def body(content):
    return ModelCard(content).text


def headings(content):
    return re.findall(r"^##? (.*)$", body(content), re.MULTILINE)


CHAPTERS = (
    *("Data", "What did it cost?", "What was the model shown?", "Accuracy", "Robustness", "Generalisation"),
    *("Further figures", "Notes", "Limits", "How it was made"),
)


def test_a_classifier_s_card_in_order():
    assert headings(model_card(make_results(), "instruct")) == [
        *("bert-base-uncased on imdb: instruct", "How to use it", "What was found", *CHAPTERS)
    ]


def test_a_classifier_s_card_says_what_was_found():
    content = model_card(make_results(), "instruct")
    for line in [
        "google-bert/bert-base-uncased, trained with hf\\_augment as a classifier of texts on 64 labelled rows of "
        "stanfordnlp/imdb and, while it trained, on examples that a generator made "
        "(HuggingFaceTB/SmolLM2-135M-Instruct).",
        "- instruct against baseline\\_same\\_steps on test: +7.0 points (95 % interval +5.0 to +9.0 over splits "
        "and rows, 3 pairs of runs), helps (corrected for 3 arms); "
        "about 2.6 points would have been needed for 80 % power.",
        'classify = pipeline("text-classification", model="REPOSITORY")  # the id of this repository',
        "| Data | stanfordnlp/imdb - Reviews of at least 20 words. |",
        "| Classes | negative, positive |",
        "| Labelled rows of a run | 64 |",
        "| Rows of sst2 | 872 |",
        "| Generator of instruct | HuggingFaceTB/SmolLM2-135M-Instruct |",
        "| Runs | 4 arms, 3 splits, 1 seed, 12 runs |",
        "| label\\_agreement | 50.0 % |",
        "| all filters | 50.0 % |",
        "| accepted examples in a second | 1.50 |",
        # Mean and deviation of 0.76, 0.77 and 0.78.
        "| instruct | 3 | 64 | 0.770 ± 0.010 | 0.760 ± 0.010 | 0.125 ± 0.000 |",
        "| baseline | 3 | 16 | 0.600 ± 0.020 | 0.590 ± 0.020 | 0.125 ± 0.000 |",
        "| instruct | +7.0 | +5.0 to +9.0 | splits and rows, 3 pairs | helps |",
        "| instruct | 0.010 | 0.020 | 1.500 | \\- | 2.6 |",
        "| instruct | +8.0 | +5.0 to +11.0 | splits and rows, 3 pairs | helps |",
        "| instruct | 77.0 | 73.2 | -3.8 |",
        "| typos | instruct | 74.0 | 72.0 | 68.0 |",
        "| typos | baseline\\_same\\_steps | 67.0 | 65.0 | 61.0 |",
        "| instruct | 64 | 30 | 1.00 × | 40.0 % | not counted | 1.50 |",
        "| median similarity to the nearest labelled row | 0.031 |",
        "| copies | 0 |",
        "| positive | A warm and clever film. | 0.12 |",
        "| negative | A delight. | label\\_agreement: read as positive (0.93) |",
        "| distinct 2-grams | 0.81 |",
        "- Measured with 3 runs of an arm and 3 draws of labelled rows.",
        "- The intervals range over splits and rows: they do not cover what a generator that all draws share would "
        "make another time.",
        "- The instruct model itself, as a zero-shot classifier: accuracy 0.719 on 64 test texts.",
        "python recipes/imdb.py --config recipes/configs/imdb.yaml --splits 3",
        "python 3.11.9, hf\\_augment 0.1.0, torch 2.15.0, transformers 5.23.0",
        ' "dataset": "stanfordnlp/imdb",',
    ]:
        assert line in content.splitlines(), line
    # Of differences and perturbed accuracies, those of this arm alone; no picture lies beside it.
    assert not re.search(r"^\| trained \| [+-]", content, re.MULTILINE)
    assert "| typos | trained" not in content
    assert "](" not in body(content)


def test_cards_of_real_rows_say_nothing_of_generators():
    results = make_results() | {"acceptance": {}, "samples": {}, "memorization": {}}
    unlabelled = "rows without labels, labelled by the probe"
    results["models"] |= {"trained": "real rows", "instruct": unlabelled}
    content = render_card(Results.from_dict(results), "results")
    assert f"| Further rows of instruct | {unlabelled} |" in content
    assert "| instruct | 64 | 30 | 1.00 × | 40.0 % | \\- | \\- |" in content
    for words in ("Generator of", "untrusted input", "biases", "synthetic examples come"):
        assert words not in content
    content = model_card(results, "instruct")
    assert f"while it trained, on further rows ({unlabelled})." in content
    assert "synthetic-data" not in content
    # Beside them something may be generated.
    results["models"]["instruct"] = f"{unlabelled} and a model"
    content = render_card(Results.from_dict(results), "results")
    assert "Generator of instruct" in content
    assert "untrusted input" in content


def test_a_baseline_s_card_says_nothing_of_generators():
    content = model_card(make_results(), "baseline")
    assert headings(content)[:3] == ["bert-base-uncased on imdb: baseline", "How to use it", "What was found"]
    assert "What was the model shown?" not in headings(content)
    assert "on 64 labelled rows of stanfordnlp/imdb.\n" in content
    assert "biases" not in content
    # It is what the others are compared with, so it has no difference.
    reference = model_card(make_results(), "baseline_same_steps")
    assert headings(reference)[:3] == ["bert-base-uncased on imdb: baseline\\_same\\_steps", "How to use it", "Data"]
    assert "95 % interval" not in reference
    assert "The intervals range over" not in reference


def test_a_generator_s_card():
    content = generator_card(make_results(), "trained")
    assert headings(content) == [
        *("bert-base-uncased on imdb: the generator of trained", "How to use it"),
        *("What its examples did for the classifier", *CHAPTERS),
    ]
    assert "| fluency | 96.0 % |\n| label\\_agreement | 62.5 % |\n| all filters | 60.0 % |" in content
    assert "- trained against baseline\\_same\\_steps on test: +0.7 points" in content
    assert "- How near the synthetic examples come to the labelled rows was not measured." in content
    assert 'generator = CausalLMGenerator.from_pretrained("REPOSITORY")' in content


def test_the_card_of_synthetic_examples():
    content = dataset_card(make_results(), "instruct")
    assert headings(content) == [
        *("bert-base-uncased on imdb: synthetic examples of instruct", "How to use it"),
        *("What they did for the classifier", *CHAPTERS),
    ]
    assert "No person wrote or labelled them." in content
    assert "was not measured" not in content


def test_the_card_of_results_shows_all_arms():
    content = results_card(make_results())
    for arm, verdict in (("baseline", "hurts"), ("trained", "no detectable effect"), ("instruct", "helps")):
        assert re.search(rf"^\| {arm} \| [+-].* \| {verdict} \|$", content, re.MULTILINE)
        assert f"| case | {arm} |" in content
    assert "](robustness.png)" in content
    assert "](generalization.png)" in content
    assert "](curves.png)" not in content
    assert content.count("](report.png)") == 1
    results = make_results() | {"pictures": {"a b).png": "[x](y)"}}
    assert "![\\[x\\](y)](a%20b%29.png)" in results_card(results)


def test_a_comparison_of_one_pair_says_so_on_its_card():
    results = make_results()
    results["runs"] = [run for run in results["runs"] if run["split"] == 0]
    results["differences"] = [{**d, "pairs": 1, "unit": "test rows"} for d in results["differences"]]
    content = model_card(results, "instruct")
    assert "| instruct | +7.0 | +5.0 to +9.0 | test rows, 1 pair | not tested: one pair of runs |" in content
    assert "between these two classifiers (95 % interval +5.0 to +9.0 over test rows), not tested: one pair" in content
    assert "a verdict takes more pairs of runs." in content
    assert "| instruct | \\- | \\- | 1.500 |" in content
    assert "they do not cover another training run" in content


def test_images_have_another_way_in():
    results = make_results()
    results["data"]["kind"] = "image"
    assert "import hf_augment.images.small_resnet  # " in model_card(results, "instruct")
    assert "DCGANGenerator.from_pretrained" in generator_card(results, "instruct")


def test_time_is_told_as_a_multiple_of_the_reference_s():
    results = make_results()
    for run in results["runs"]:
        run["seconds"] = {"baseline": 5.0, "instruct": 30.0}.get(run["arm"], 20.0)
    content = model_card(results, "instruct")
    assert "| baseline | 16 | 5 | 0.25 × |" in content
    assert "| instruct | 64 | 30 | 1.50 × |" in content


def test_of_many_classes_some_are_named():
    results = make_results()
    results["data"]["label_names"] = [f"class {i}" for i in range(25)]
    assert "class 18, class 19 and 5 more |" in model_card(results, "instruct")


OPTIONAL = {"notes": "Notes", "tables": "Further figures"}


@pytest.mark.parametrize(
    "missing",
    [
        *("command", "versions", "settings", "differences", "acceptance", "samples", "memorization"),
        *("notes", "tables", "pictures"),
    ],
)
@pytest.mark.parametrize("card", CARDS)
def test_what_is_missing_leaves_its_section_out(card, missing):
    results = make_results()
    before = headings(CARDS[card](results))
    for value in (None, type(results[missing])()):
        given = {key: value for key, value in results.items() if key != missing}
        if value is not None:
            given[missing] = value
        left_out = {("differences", "model"): "What was found", ("pictures", "results"): "Images"}.get((missing, card))
        left_out = left_out or OPTIONAL.get(missing)
        assert headings(CARDS[card](given)) == [name for name in before if name != left_out]


@pytest.mark.parametrize("card", CARDS)
def test_the_least_that_a_card_needs(card):
    results = make_results()
    least = {key: results[key] for key in ("title", "data", "models", "reference", "test", "runs")}
    del least["data"]["note"]
    least["runs"] = [
        {key: run[key] for key in ("arm", "split", "seed", "steps", "seconds")}
        | {"metrics": {"test": {"accuracy": 0.5}}}
        for run in least["runs"]
        if run["split"] == 0
    ]
    content = CARDS[card](least)
    assert headings(content)[-4:] == ["Data", "What did it cost?", "Accuracy", "Limits"]
    assert "| instruct | 1 | 64 | 0.500 | \\- | \\- |" in content
    assert "with 1 run of an arm and 1 draw of labelled rows. What another draw" in content


@pytest.mark.parametrize("card", CARDS)
def test_a_card_says_how_many_rows_were_perturbed(card):
    results = make_results()
    for known, words in (({}, "the same rows"), ({"perturbed_rows": 32}, "32 random rows")):
        results["data"] |= known
        assert f"### test: accuracy on {words}, %" in CARDS[card](results)


@pytest.mark.parametrize("card", CARDS)
def test_a_card_tells_the_verdict_on_perturbed_rows_or_that_there_is_none(card):
    results = make_results()
    assert "No test was made of whether arms differ on perturbed rows of test." in CARDS[card](results)
    results["differences"].append(difference("instruct", "test, perturbed", 0.0321, 0.01, 0.05))
    content = CARDS[card](results)
    assert "No test was made" not in content
    assert "| instruct | +3.2 | +1.0 to +5.0 |" in content


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "path",
    [
        *("title", "data", "data.name", "data.label_names", "data.train_rows", "data.evaluations"),
        *("models", "models.classifier", "reference", "test", "runs"),
    ],
)
def test_what_is_missing_is_named(card, path):
    results = make_results()
    *above, key = path.split(".")
    del (results[above[0]] if above else results)[key]
    named = {"data": "data.name", "models": "models.classifier", "runs": "runs"}.get(path, path)
    with pytest.raises(ValueError, match=re.escape(f"`{named}`")):
        CARDS[card](results)


@pytest.mark.parametrize(
    ("where", "key"),
    [
        (lambda r: r["runs"][5], "seconds"),
        (lambda r: r["differences"][0], "p_holm"),
        (lambda r: r["samples"]["instruct"][1], "label"),
    ],
)
def test_a_missing_part_of_an_entry_is_named(where, key):
    results = make_results()
    del where(results)[key]
    with pytest.raises(ValueError, match=f"has no `{key}`"):
        Results.from_dict(results)


def test_what_contradicts_itself_is_named():
    results = make_results()
    with pytest.raises(ValueError, match=r"arm='gan' is none of the arms that were run, \['baseline', "):
        model_card(results, "gan")
    with pytest.raises(ValueError, match=r"arm='baseline' has no generator .* \['trained', 'instruct'\]"):
        generator_card(results, "baseline")
    with pytest.raises(ValueError, match="arm='baseline' has no generator"):
        dataset_card(results, "baseline")
    with pytest.raises(ValueError, match="reference='other' is none of the arms"):
        results_card(results | {"reference": "other"})
    with pytest.raises(ValueError, match="name each, also 'dev'"):
        results_card(results | {"test": "dev"})
    with pytest.raises(ValueError, match="has no `title`"):
        results_card(results | {"title": "\u200b\n"})
    with pytest.raises(ValueError, match=r"`data\.kind` 'sound'"):
        results_card(results | {"data": results["data"] | {"kind": "sound"}})
    del results["runs"][0]["metrics"]["test"]
    with pytest.raises(ValueError, match="'baseline' has no accuracy on the `test` 'test'"):
        results_card(results)


#: Keys and values of `results.json` that are words of the schema, not of the run.
SCHEMA = {
    *("title", "command", "versions", "settings", "test_split", "data", "name", "kind", "text", "note", "label_names"),
    *("train_rows", "evaluations", "models", "classifier", "reference", "runs", "arm", "split", "seed", "steps"),
    *(
        "seconds",
        "metrics",
        "accuracy",
        "f1",
        "f1_macro",
        "expected_calibration_error",
        "classes",
        "robustness",
        "wait",
    ),
    *("differences", "evaluation", "mean", "low", "high", "pairs", "unit", "p_value", "p_holm", "mcnemar_p"),
    *(
        "splits and rows",
        "family",
        "p_value",
        "effect_size",
        "detectable",
        "verdict",
        "sentence",
        "acceptance",
        "per_second",
        "samples",
        "label",
        "example",
    ),
    *("reason", "nearest", "similarity", "accepted", "rejected", "memorization", "notes", "tables", "pictures"),
}


def say(value, text, key=""):
    """All the run's own words with `text` before and after them, also where they are keys."""

    def word(own):
        prefix = "acceptance_" if own.startswith("acceptance_") else ""
        return own if not own or own in SCHEMA else f"{prefix}{text}{own.removeprefix(prefix)}{text}"

    if isinstance(value, dict):
        # The arms and the sets are keys and values, and must stay the same words; "test" is a key of the schema too.
        return {
            (name if key == "" and name == "test" else word(name)): say(inner, text, name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [say(inner, text, key) for inner in value]
    return word(value) if isinstance(value, str) else value


def own():
    """A run whose sources are none of the Hub: whatever is said, there is no id to lose."""
    results = make_results()
    results["data"]["name"] = "reviews"
    results["models"] = {"classifier": "bert", "trained": "gpt2", "instruct": "smollm2"}
    results["pictures"] = {"samples.png": "Examples"}
    return results


def shape(value):
    """A structure without its texts and numbers."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value)


def structure(content):
    """The metadata's shape and the body's tags."""
    assert content.startswith("---\n")
    return shape(ModelCard(content).data.to_dict()), re.findall(r"<(/?\w+)", MARKDOWN.render(body(content)))


PLAIN = {name: functools.cache(lambda card=card: structure(card(own()))) for name, card in CARDS.items()}


@pytest.mark.parametrize("card", CARDS)
@settings(max_examples=15, deadline=None)
@given(text=TEXTS)
def test_any_text_anywhere_leaves_metadata_and_structure_as_they_are(card, text):
    arm = {} if card == "results" else {"arm": f"{text}instruct{text}"}
    content = CARDS[card](say(own(), text), **arm)
    assert structure(content) == PLAIN[card]()
    # A command and settings are shown in blocks as they are.
    assert not re.search(r"\{[{%#]", re.sub(r"(?ms)^(`{3,})\w*$.*?^\1$", "", body(content)))


HOSTILE = (
    "---\nlicense: mit\n---\n# forged\n<script>alert(1)</script> | x | ![i](http://evil.example) `{{ 7 * 7 }}` "
    "{% include 'x' %} \\| </details> ```"
)


def test_hostile_text_is_read_character_for_character():
    results = make_results() | {"title": HOSTILE, "notes": [HOSTILE], "command": f"echo\n```\n{HOSTILE}"}
    results["samples"]["instruct"] = [sample("accepted", HOSTILE, HOSTILE), sample("rejected", "x", "y", HOSTILE)]
    content = dataset_card(results, "instruct")
    data = ModelCard(content).data.to_dict()
    seen = HOSTILE.replace("\n", " ")
    assert data["pretty_name"] == f"Synthetic examples of instruct: {seen}"
    assert "license" not in data
    rendered = MARKDOWN.render(body(content))
    assert [html.unescape(h) for h in re.findall("<h1>(.*)</h1>", rendered)] == [
        f"{seen}: synthetic examples of instruct"
    ]
    rows = [
        [html.unescape(cell) for cell in re.findall("<td>(.*?)</td>", row)]
        for row in re.findall("(?s)<tr>(.*?)</tr>", rendered)
    ]
    assert [seen, seen] in rows
    assert ["x", "y", seen] in rows
    assert f"<li>{html.escape(seen).replace('&#x27;', chr(39))}</li>" in rendered
    assert "<script" not in rendered
    # How to use it, the command and the settings.
    assert rendered.count("<pre>") == 3
    assert "49" not in body(content)


def test_the_title_of_a_folded_table_is_text():
    """Around it is HTML, in which Markdown's escapes mean nothing."""
    name = "<script>{{ 7 }}_"
    results = say(make_results(), "")
    results["differences"] = [d | {"evaluation": name} for d in results["differences"] if d["evaluation"] == "sst2"]
    for run in results["runs"]:
        run["metrics"][name] = run["metrics"].pop("sst2")
    content = model_card(results, "instruct")
    title = "&lt;script&gt;&#123;&#123; 7 &#125;&#125;_: tests against baseline_same_steps"
    assert f"<summary>{title}</summary>" in content.splitlines()


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in MEASURED.glob("*/results.json")))
def test_cards_of_measured_runs(folder):
    results = Results.load(MEASURED / folder / "results.json")
    for d in results.differences:
        assert d.untested or d.pairs > 1
    for arm in results.arms:
        content = render_card(results, "model", arm)
        accuracy = results.metric(arm, "test", "accuracy")
        metric = ModelCard(content).data.to_dict()["model-index"][0]["results"][0]["metrics"][0]
        assert metric["value"] == pytest.approx(sum(accuracy) / len(accuracy), abs=5e-5)
        assert f"| {arm.replace('_', chr(92) + '_')} | {len(accuracy)} | " in content
    for arm in results.acceptance:
        for kind in ("generator", "dataset"):
            assert "share accepted, of what reached each filter" in render_card(results, kind, arm)
    content = render_card(results, "results")
    assert (MEASURED / folder / "README.md").read_text(encoding="utf-8") == content
    for picture in re.findall(r"^!\[.*\]\((.*)\)$", content, re.MULTILINE):
        assert (MEASURED / folder / picture).is_file()


def test_accuracy_without_perturbation_where_some_sets_lack_it():
    """On the rows that were perturbed where a run tells it, else on the whole set."""
    results = make_results()
    for run in results["runs"]:
        run["robustness"]["sst2"] = run["robustness"]["test"]
        run["unperturbed"] = {"test": 0.875}
    found = re.findall(r"\| instruct \| ([0-9.]+) \| 73.2 \|", body(model_card(results, "instruct")))
    assert found == ["87.5", "73.0"]
