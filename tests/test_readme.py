"""The pages tell what was measured, in code that exists. `python -m tests.test_readme` writes their tables anew."""

import ast
import difflib
import doctest
import importlib
import inspect
import json
import re
import statistics
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pytest
from torchvision.transforms import v2
from transformers import ViTImageProcessor

import hf_augment
from hf_augment.reporting.results import Results
from hf_augment.reporting.terminal import closing_lines
from tests.tiny import tiny_classifier, tiny_tokenizer
from tests.toys import TEXT, ToyGenerator


ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
MEASURED = ROOT / "model_cards/README.md"
SCRIPTS = [ROOT / "tests/scripts" / name for name in ("text_classification.py", "text_classification_augmented.py")]
#: Arguments of a training in a test.
QUIET = {"report_to": "none", "use_cpu": True, "dataloader_pin_memory": False}
#: Labelled sentences of each class.
FEW_SHOT = (8, 32, 100, 3300)
#: Columns of most tables.
COMPARED = ["against the same steps, points (95 %)", "verdict"]
HEADER = ["arm", "steps", "accuracy", *COMPARED]


def results(name, file="results.json"):
    return json.loads((ROOT / "model_cards" / name / file).read_text())


def rows(found, detectable=False):
    """A table's rows: arm, steps, and for each test set the accuracy, the difference and the verdict."""
    lines = []
    for arm in dict.fromkeys(run["arm"] for run in found["runs"]):
        runs = [run for run in found["runs"] if run["arm"] == arm]
        cells = [arm, str(runs[0]["steps"])]
        for evaluation in runs[0]["metrics"]:
            accuracies = [run["metrics"][evaluation]["accuracy"] for run in runs]
            spread = f" ± {statistics.stdev(accuracies):.3f}" if len(accuracies) > 1 else ""
            cells += [f"{statistics.mean(accuracies):.3f}{spread}"]
            difference = [d for d in found["differences"] if (d["arm"], d["evaluation"]) == (arm, evaluation)]
            cells += _compared(*difference, detectable=detectable)
        lines.append(cells)
    return lines


def _compared(difference=None, *, detectable):
    if difference is None:
        return [""] * (2 + detectable)
    mean, low, high = (100 * difference[name] for name in ("mean", "low", "high"))
    points = f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"
    needed = "" if difference["detectable"] is None else f"{100 * difference['detectable']:.1f}"
    return [points, *([needed] if detectable else []), difference["verdict"]]


def table(header, lines):
    # An empty cell is written as one space.
    lines = ["".join(f"| {cell} " if cell else "| " for cell in cells) + "|" for cells in lines]
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *lines])


def with_classes(name, file):
    """A table of accuracy, the difference, and recall and F1 of each class; and the notes, as a list."""
    found = Results.load(ROOT / "model_cards" / name / file)
    measures = [(of, by_arm, kind) for kind in ("recall", "f1") for of, by_arm in found.classes("test", kind).items()]
    lines = [
        [*cells[:1], *cells[2:4], *(f"{by_arm[cells[0]]:.3f}" for _, by_arm, _ in measures)]
        for cells in rows(results(name, file))
    ]
    names = {"recall": "recall", "f1": "F1"}
    header = ["arm", "accuracy", COMPARED[0], *(f"{names[kind]} of {of}" for of, _, kind in measures)]
    return "\n\n".join([table(header, lines), "\n".join(f"- {note}" for note in found.notes)])


def script_diff():
    """The whole script without its docstring, with what changes; of several empty lines one."""
    before, after = (re.sub(r"\n{3,}", "\n\n", path.read_text()).splitlines()[2:] for path in SCRIPTS)
    lines = list(difflib.unified_diff(before, after, lineterm="", n=len(after)))[3:]
    return "\n".join(["```diff", *(line.rstrip() for line in lines), "```"])


def chosen(name):
    """A table, and what a comparison says of choosing beside chance."""
    found = results(name)
    notes = [f"- {note}" for note in found["notes"] if " against " in note and "_static" in note]
    return "\n\n".join([table(HEADER, rows(found)), "\n".join(notes)])


def live_beside_static(name):
    """What a comparison says of choosing beside chance."""
    return next(note for note in results(name)["notes"] if note.startswith("instruct_live against instruct_static"))


def last_screen(name):
    """What a quickstart says at its end."""
    run = Path("runs", name)
    arms = dict.fromkeys(run["arm"] for run in results(name)["runs"])
    lines = closing_lines(
        Results.load(ROOT / "model_cards" / name / "results.json"),
        run / "report/report.html",
        {arm: run / f"split-0/{arm}-0/model" for arm in arms},
    )
    return "\n".join(["```text", *lines, "```"])


def generated():
    """By page and by the name of the place in it, what stands there."""
    few_shot = [[str(n), *cells] for n in FEW_SHOT for cells in rows(results(f"sst2_{n}"), detectable=True)]
    return {
        (README, "script"): script_diff(),
        (README, "table"): table(HEADER, rows(results("sst2_8"))),
        (MEASURED, "imdb_quickstart"): last_screen("imdb_quickstart"),
        (MEASURED, "cifar10_quickstart"): last_screen("cifar10_quickstart"),
        (MEASURED, "digits_10"): chosen("digits_10"),
        (MEASURED, "digits_10_trained"): chosen("digits_10_trained"),
        (MEASURED, "digits_30"): chosen("digits_30"),
        (MEASURED, "sst2"): table(
            ["per class", *HEADER[:-1], "needed for 80 % power", HEADER[-1]],
            few_shot,
        ),
        (MEASURED, "sst2_live"): "\n\n".join(
            [table(HEADER, rows(results("sst2_32_live"))), live_beside_static("sst2_32_live")]
        ),
        (MEASURED, "sst2_entropy"): "\n\n".join(
            [table(HEADER, rows(results("sst2_32_entropy"))), live_beside_static("sst2_32_entropy")]
        ),
        (MEASURED, "sst2_unlabelled"): chosen("sst2_32_unlabelled"),
        (MEASURED, "wrong_labels"): with_classes("sst2_32_wrong_labels", "wrong_labels.json"),
        (MEASURED, "banking77"): table(HEADER, rows(results("banking77_5"))),
        (MEASURED, "banking77_trained"): table(HEADER, rows(results("banking77_5_trained"))),
        (MEASURED, "banking77_setfit"): table(
            ["arm", "steps", "accuracy", "against SetFit, points (95 %)", "verdict"],
            rows(results("banking77_5_trained", "beside_setfit.json")),
        ),
        (MEASURED, "banking77_10"): table(HEADER, rows(results("banking77_10"))),
        (MEASURED, "banking77_10_trained"): table(HEADER, rows(results("banking77_10_trained"))),
        (MEASURED, "banking77_10_setfit"): table(
            ["arm", "steps", "accuracy", "against SetFit, points (95 %)", "verdict"],
            rows(results("banking77_10", "beside_setfit.json")),
        ),
        (MEASURED, "imdb"): table(["arm", "steps", "test", *COMPARED, "sst2", *COMPARED], rows(results("imdb_small"))),
        (MEASURED, "cifar10"): table(["arm", "steps", "test", *COMPARED], rows(results("cifar10_small"))),
    }


def place(name, text):
    """What stands before the place of this name, what is in it, and what stands after it."""
    before, found, rest = text.partition(f"<!-- {name}:begin -->\n")
    shown, end, after = rest.partition(f"<!-- {name}:end -->")
    assert found
    assert end
    return before + found, shown.removesuffix("\n"), end + after


@pytest.mark.parametrize(("page", "name"), generated(), ids=lambda value: getattr(value, "stem", value))
def test_a_page_shows_the_script_and_what_was_measured(page, name):
    _, shown, _ = place(name, page.read_text(encoding="utf-8"))
    assert shown == generated()[page, name]


def test_the_readme_is_short_and_its_table_has_six_rows():
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") <= 180
    assert len(rows(results("sst2_8"))) == 6


PAGES = [README, *(ROOT / "model_cards").glob("*.md"), ROOT / "recipes/README.md", ROOT / "CONTRIBUTING.md"]


MODULES = sorted((ROOT / "hf_augment").rglob("*.py"))


def blocks(text):
    """The Python of a page or a docstring, without prompts and outputs."""
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        prompted = doctest.DocTestParser().get_examples(block)
        yield "".join(example.source for example in prompted) if prompted else block


def check_code(code):
    """What is imported from the package exists, and so do the arguments that its public objects are given by name."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "hf_augment":
            module = importlib.import_module(node.module)
            assert not (missing := [alias.name for alias in node.names if not hasattr(module, alias.name)]), missing
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in hf_augment.__all__:
            parameters = inspect.signature(getattr(hf_augment, node.func.id)).parameters
            unknown = {keyword.arg for keyword in node.keywords} - {None} - set(parameters)
            assert not unknown or any(p.kind is p.VAR_KEYWORD for p in parameters.values()), (node.func.id, unknown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_uses_names_and_arguments_that_exist(page):
    for code in blocks(page.read_text(encoding="utf-8")):
        check_code(code)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_of_a_module_use_names_and_arguments_that_exist(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            for code in blocks(ast.get_docstring(node) or ""):
                check_code(code)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


@pytest.mark.slow
def test_the_image_example_of_the_recipes_trains_and_evaluates(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    images = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(32)]
    dataset = datasets.Dataset.from_dict({"img": images, "label": [0, 1] * 16}, features=features)
    names = {name: getattr(hf_augment, name) for name in hf_augment.__all__} | {
        "names": ["cat", "dog"],
        "dataset": dataset,
        "processor": ViTImageProcessor(do_resize=False),
        "v2": v2,
        "GANTrainingArguments": partial(
            hf_augment.GANTrainingArguments, max_steps=2, per_device_train_batch_size=16, **QUIET
        ),
        "AugmentingTrainingArguments": partial(hf_augment.AugmentingTrainingArguments, max_steps=3, **QUIET),
    }
    page = (ROOT / "recipes/README.md").read_text()
    exec(re.search(r"^```python\n(config = DCGANConfig.*?)^```", page, re.DOTALL | re.MULTILINE)[1], names)
    trainer = names["trainer"]
    trainer.train()
    assert len(trainer.shards.dataset()) > 0
    assert trainer.evaluate(hf_augment.ImageRows(dataset, "img"))["eval_loss"] > 0


@pytest.mark.slow
def test_the_study_of_the_readme_tells_its_findings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("reviews.csv").write_text("text,label\n" + "".join(f"a {w} film {i},{w}\n" for w in "ab" for i in range(9)))
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(tokenizer=tokenizer)):
        part.save_pretrained("google-bert/bert-base-uncased")
    names = {name: getattr(hf_augment, name) for name in hf_augment.__all__} | {
        "prompted": ToyGenerator(TEXT),
        "AugmentingTrainingArguments": partial(hf_augment.AugmentingTrainingArguments, max_steps=2, **QUIET),
    }
    code = re.search(
        r"^```python\n(train, test = split_by_label.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE
    )
    names["prompted"].label_names = ("a", "b")
    exec(code[1], names)
    assert "prompted against baseline_same_steps on test: " in capsys.readouterr().out.splitlines()[-1]


if __name__ == "__main__":
    for (page, name), content in generated().items():
        before, _, after = place(name, page.read_text(encoding="utf-8"))
        page.write_text(f"{before}{content}\n{after}", encoding="utf-8")
