"""The recipes from end to end with tiny parts in local folders, and what they refuse."""

import contextlib
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from safetensors.torch import load_file

from hf_augment import ShardStore
from hf_augment.generators.served.answer_store import AnswerStore
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toys import COLOURS, LABELS, TEXT, assert_equal_weights


ROOT = Path(__file__).parent.parent


#: Curves, robustness, and two runs at a time.
WATCHED = ("--eval_strategy", "steps", "--eval_steps", "2", "--curve_rows", "8", "--robustness_rows", "2")
WATCHED += ("--processes", "2", "--use_cpu", "true")


class Parts(ABC):
    """What a recipe is tried on: data and models in a folder, and what to expect of them."""

    kind: str
    recipe: str
    column: str
    #: Of a generator whose examples are not all rejected.
    shards: str
    #: Arguments of a short story, and of the whole one with its arms.
    short: tuple[str, ...]
    story: tuple[str, ...]
    arms: tuple[str, ...]
    report: tuple[str, ...] = ("report.html", "report.md", "report.png", "results.json")
    report += ("review.html", "curves.png", "generalization.png", "robustness.png")

    def __init__(self, root):
        self.root = root
        self.build()

    @abstractmethod
    def build(self):
        """Writes data and models."""

    @abstractmethod
    def own_arguments(self):
        """Arguments of this recipe."""

    def arguments(self):
        defaults = {
            "dataset": self.root / "data",
            "output_dir": self.root / "run",
            "train_per_class": 8,
            "seeds": 1,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 16,
            "generator_num_train_epochs": 1,
            "generator_batch_size": 8,
            "min_label_probability": 0.05,
            "synthetic_shard_size": 16,
            "save_strategy": "no",
            "dataloader_pin_memory": "false",
            # Too long for the name of a file, which a report asks of every value.
            "run_name": 300 * "x",
        }
        pairs = [(f"--{name}", str(value)) for name, value in (defaults | self.own_arguments()).items()]
        holdout = f"again|{self.root / 'data'}|test|{self.column}|label|negative=negative,positive=positive"
        return ["--holdouts", holdout, *(word for pair in pairs for word in pair)]

    def start(self, *arguments, launcher=(), **options):
        command = [sys.executable, *launcher, str(ROOT / "recipes" / self.recipe), *self.arguments()]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HOME": str(self.root / "home"), "HF_HUB_OFFLINE": "1"}
        return subprocess.Popen([*command, *map(str, arguments)], env=environment, cwd=self.root, text=True, **options)

    def run(self, *arguments, launcher=(), timeout=300):
        with self.start(*arguments, launcher=launcher, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class TextParts(Parts):
    kind, recipe, column, shards = "text", "imdb.py", "text", "instruct_unfiltered-shards"
    short = ("--generator_lora_rank", "2", "--generators", "trained", "instruct")
    story = (*WATCHED, "--classic", "eda", "--label_judge", "prompted", "--judge_template", "{text}:")
    story += ("--generators", "trained", "instruct", "instruct_unfiltered", "both", "real")
    arms = ("baseline", "baseline_same_steps", "eda", "trained", "instruct", "instruct_unfiltered", "both", "real")

    def build(self):
        (self.root / "data").mkdir()
        TEXT.rows(60).to_parquet(self.root / "data/train.parquet")
        TEXT.rows(20, seed=1).to_parquet(self.root / "data/test.parquet")
        tokenizer = tiny_tokenizer()
        for name, model in (("classifier", tiny_classifier()), ("lm", tiny_causal_lm(tokenizer))):
            model.save_pretrained(self.root / name)
            tokenizer.save_pretrained(self.root / name)

    def own_arguments(self):
        return {
            "model": self.root / "classifier",
            "generator_model": self.root / "lm",
            "instruct_model": self.root / "lm",
            "instruct_negative": "negative",
            "instruct_positive": "positive",
            "max_length": 24,
            "generator_max_length": 24,
            "max_new_tokens": 8,
            "zero_shot_rows": 4,
        }


class ImageParts(Parts):
    kind, recipe, column, shards = "image", "cifar10.py", "img", "trained-shards"
    short = ("--generators", "trained", "real")
    story = (*WATCHED, "--generators", "trained", "real_crop")
    arms = ("baseline", "baseline_same_steps", "crop", "trained", "trained_crop", "real_crop")
    report = (*Parts.report, "samples.png")

    def build(self):
        good, few = self.rows(60), self.rows(20, seed=1)
        self.save("data", good, few)
        fourth = [good[i][self.column] for i in range(4)]
        for name, image in {
            "sizes": fourth[3].resize((32, 40)),
            "corrupt": {"bytes": b"no image", "path": None},
            "missing": None,
        }.items():
            self.save(name, self.dataset([*fourth[:3], image], [0, 1, 0, 1]), few)
        self.save("one_class", good.filter(lambda row: row["label"] == 0), few)
        self.save("large", good, self.rows(4, size=40))
        self.save("grey", good, few.map(lambda row: {self.column: row[self.column].convert("L")}))
        table = good.data.table
        labels = [7, *good["label"][1:]]
        (self.root / "labels").mkdir()
        pq.write_table(table.set_column(1, table.field(1), [labels]), self.root / "labels/train.parquet")

    def rows(self, count, size=32, seed=0):
        rng, labels = np.random.default_rng(seed), [i % 2 for i in range(count)]
        noise = rng.integers(0, 56, (count, size, size, 3))
        images = [Image.fromarray((COLOURS[label] + noise[i]).astype(np.uint8)) for i, label in enumerate(labels)]
        return self.dataset(images, labels)

    def dataset(self, images, labels):
        features = {self.column: datasets.Image(), "label": datasets.ClassLabel(names=list(LABELS))}
        return datasets.Dataset.from_dict({self.column: images, "label": labels}, datasets.Features(features))

    def save(self, name, train, test):
        (self.root / name).mkdir()
        train.to_parquet(self.root / name / "train.parquet")
        test.to_parquet(self.root / name / "test.parquet")

    def own_arguments(self):
        return {
            "width": 4,
            "classic": "crop",
            "generator_width": 2,
            "generator_latent_size": 4,
            "quality_per_class": 4,
            "quality_steps": 2,
        }


KINDS = {of.kind: of for of in (TextParts, ImageParts)}


@pytest.fixture(scope="module", params=KINDS)
def parts(request, tmp_path_factory):
    return KINDS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_story_and_again_from_what_is_on_disk(parts):
    first = parts.run(*parts.story, "--seeds", "2")
    assert first.returncode == 0, first.stderr[-3000:]
    root = parts.root / "run"
    results = json.loads((root / "report/results.json").read_text())
    runs = results["runs"]
    assert [(r["arm"], r["seed"]) for r in runs] == [(arm, seed) for arm in parts.arms for seed in (0, 1)]
    steps = {r["arm"]: r["steps"] for r in runs}
    assert steps == {arm: 2 if arm == "baseline" else 4 for arm in parts.arms}
    assert all(set(r["metrics"]) == {"test", "again"} for r in runs)
    verdicts = {"helps", "hurts", "no detectable effect", "not tested"}
    assert {d["verdict"].partition(":")[0] for d in results["differences"]} <= verdicts
    assert {path.name for path in (root / "report").iterdir()} == set(parts.report)
    assert [len(r["robustness"]["test"]) for r in runs] == [15 if parts.kind == "image" else 10] * len(runs)
    assert all(set(r["classes"]["again"]) == set(LABELS) for r in runs)
    staged = {entry["suffix"] for entry in json.loads((root / "hub/push.json").read_text())["repositories"]}
    assert {"trained", "generator", "results"} <= staged
    # Of an untrained language model nothing was accepted, and what no filter has seen may repeat labelled rows.
    datasets_of = {name for name in staged if name.endswith("-synthetic")}
    assert datasets_of == ({"trained-synthetic"} if parts.kind == "image" else set())
    assert not any(name.startswith("real") for name in staged)
    # What may be pushed says nothing of where things lie here.
    texts = [*root.glob("report/*.*[ndl]"), *root.glob("split-0/*/model/*.json"), *root.glob("hub/*/README.md")]
    assert len(texts) > 10
    assert [path for path in texts if str(parts.root) in path.read_text()] == []
    (folder,) = (root / "split-0" / parts.shards).iterdir()
    columns = {parts.kind, "label", "slot", "label_probabilities"}
    assert set(ShardStore.open(folder).dataset().column_names) == columns
    # Of pickles only what the stock Trainer writes, and only in its checkpoints.
    pickles = [path for path in root.rglob("*") if path.suffix in {".bin", ".pkl", ".pt", ".pth"}]
    assert all(path.parent.name.startswith("checkpoint-") for path in pickles)

    second = parts.run(*parts.story, "--seeds", "2")
    assert second.returncode == 0, second.stderr[-3000:]
    assert "train_runtime" not in second.stdout
    assert json.loads((root / "report/results.json").read_text()) == results

    other = parts.run(*parts.story, "--learning_rate", "3e-3")
    assert other.returncode != 0
    assert "was made with learning_rate=" in other.stderr
    assert "and now it is '0.003'" in other.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_arms_do_not_depend_on_what_the_process_did_before(parts):
    """A generator once began with adapters that depended on what had been drawn for the arms before it."""
    story = list(parts.short)
    at_once = ["--output_dir", parts.root / "at-once"]
    begun_by_one = ["--output_dir", parts.root / "begun-by-one"]
    first = story[: story.index("trained") + 1]
    for arguments in ([*story, *at_once], [*first, *begun_by_one], [*story, *begun_by_one]):
        done = parts.run(*arguments)
        assert done.returncode == 0, done.stderr[-3000:]
    told = []
    for folder in ("at-once", "begun-by-one"):
        runs = json.loads((parts.root / folder / "report/results.json").read_text())["runs"]
        kept = ("arm", "metrics", "classes")
        told.append([{name: run[name] for name in kept} for run in runs])
    assert told[0] == told[1]
    weights = [
        load_file(parts.root / folder / "split-0/trained-generator/model/model.safetensors")
        for folder in ("at-once", "begun-by-one")
    ]
    assert_equal_weights(*weights)


@pytest.mark.slow
def test_the_story_with_two_processes(parts):
    # What `accelerate launch` runs; by itself it starts several processes on a CPU through MPI alone.
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    output = ("--output_dir", parts.root / "run-2")
    done = parts.run(*output, "--use_cpu", "true", "--ddp_backend", "gloo", launcher=launcher)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads((parts.root / "run-2/report/results.json").read_text())
    arms = ["baseline", "baseline_same_steps", *(["crop"] if parts.kind == "image" else []), "trained"]
    arms += ["trained_crop"] if parts.kind == "image" else []
    assert {r["arm"]: r["steps"] for r in results["runs"]} == dict.fromkeys(arms, 2)


@pytest.mark.slow
def test_the_story_in_mixed_precision(parts):
    """The trainers of a process share one precision: that of the last arguments made."""
    done = parts.run("--output_dir", parts.root / "run-bf16", "--use_cpu", "true", "--bf16", "true")
    assert done.returncode == 0, done.stderr[-3000:]


def run_until(parts, reached, *arguments, timeout=240):
    """Runs a recipe and kills it as soon as it has reached something; returns what it has printed."""
    log, start = parts.root / "log.txt", time.time()
    with log.open("w") as file, parts.start(*arguments, stdout=file, stderr=subprocess.STDOUT) as process:
        try:
            while not reached():
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.time() - start < timeout
                time.sleep(0.05)
        finally:
            process.kill()
    return log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("parts", ["image"], indirect=True)
def test_a_killed_training_of_the_generator_goes_on_as_if_it_had_not_been(parts):
    arguments = ["--generator_num_train_epochs", "400", "--generator_save_steps", "20"]
    arguments += ["--generator_ema_decay", "0.9", "--generator_diff_augment", "translation"]
    killed, whole = (parts.root / name / "split-0/trained-generator" for name in ("killed", "whole"))

    def finished(folder):
        marker = folder / "stage.json"
        return marker.exists() and "result" in json.loads(marker.read_text())

    # Some time after step 200 of 800.
    late = "checkpoints/checkpoint-[2-7]?0"
    run_until(parts, lambda: any(killed.glob(late)), *arguments, "--output_dir", "killed")
    assert not finished(killed)
    shutil.copytree(parts.root / "killed", parts.root / "whole")
    shutil.rmtree(whole)
    printed = [
        run_until(parts, lambda folder=folder: finished(folder), *arguments, "--output_dir", folder.parts[-3])
        for folder in (killed, whole)
    ]
    # Of the log of step 100.
    assert ["'epoch': '50'" in text for text in printed] == [False, True]
    assert_equal_weights(*(load_file(folder / "model/model.safetensors") for folder in (killed, whole)))


@contextmanager
def served(folder, log):
    """A real server with a real model; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).parent / "transformers", "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    with log.open("w") as file, subprocess.Popen([*command, folder], stdout=file, stderr=file, env=environment) as run:
        try:
            for _ in range(1200):
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            run.terminate()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("parts", ["text"], indirect=True)
def test_the_story_with_a_server_of_transformers_goes_on_after_a_kill(parts):
    # Without it, that server samples at no temperature.
    model = parts.root / "lm-that-samples"
    shutil.copytree(parts.root / "lm", model)
    path = model / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_sample": True}))
    log, answers = parts.root / "server.log", parts.root / "served/answers.sqlite"
    arguments = ["--generators", "instruct_unfiltered", "--label_judge", "probe", "--output_dir", "served"]
    arguments += ["--instruct_model", model]

    def kept():
        return len(AnswerStore(answers)) if answers.exists() else 0

    with served(model, log) as url:
        arguments += ["--instruct_url", url]
        run_until(parts, lambda: kept() > 4, *arguments)
        before = kept()
        done = parts.run(*arguments)
        assert done.returncode == 0, done.stderr[-3000:]
    assert "does not heed seeds, so its texts are those that are kept" in done.stdout
    # Beside what was under way when the run was killed, and ten questions about the server, each answer was asked for
    # once.
    sent = log.read_text().count("POST /v1/chat/completions")
    assert before < kept() - 1 <= sent <= kept() - 1 + 10 + 16
    results = json.loads((parts.root / "served/report/results.json").read_text())
    assert {run["arm"] for run in results["runs"]} == {"baseline", "baseline_same_steps", "instruct_unfiltered"}
    (arm,) = (run for run in results["runs"] if run["arm"] == "instruct_unfiltered")
    assert arm["shown"] == 1.0


#: Arguments that are refused, and with what words; `{root}` is the folder of the parts.
BAD_ANYWHERE = {
    "label column": (["--label_column", "stars"], "label_column='stars' is not a column"),
    "unknown label": (["--label_map", "good=positive"], "label_map='good=positive' names ['good']"),
    "dataset that is not there": (["--dataset", "./nowhere"], "'./nowhere' does not exist"),
    "holdouts": (["--holdouts", "sst2"], "holdouts has 'sst2': write name|source|split|data_column|label_column"),
    "too few rows": (["--train_per_class", "1000"], "train_per_class=1000 is more than the"),
    "one row of each class": (["--train_per_class", "1"], "there must be 2 of every class"),
    "ratio": (["--synthetic_ratio", "1.0"], "synthetic_ratio=1.0 is out of range"),
    "no ratio": (["--synthetic_ratio", "0.0"], "synthetic_ratio=0 leaves nothing to compare"),
    "a batch of one": (["--per_device_train_batch_size", "1"], "leaves batches of 1 without a real row"),
    "no rows for curves": (
        ["--eval_strategy", "steps", "--eval_steps", "1"],
        "eval_strategy needs curve_rows=100 rows",
    ),
    "a guard without evaluations": (
        ["--generators", "trained_guarded"],
        "needs eval_strategy=steps or epoch",
    ),
    "no test rows": (["--max_test_rows", "0"], "count=0 random rows is not possible"),
    "unknown argument": (["--synthetic_ration", "0.5"], "--synthetic_ration"),
}
BAD = {
    "text": BAD_ANYWHERE
    | {
        "text column": (["--text_column", "sentence"], "text_column='sentence' is not a column"),
        "no network": (["--dataset", "stanfordnlp/imdb"], "could not be loaded from the Hub"),
        "no network for the model": (
            ["--model", "google-bert/bert-base-uncased"],
            "model='google-bert/bert-base-uncased'",
        ),
        "no network for the generator": (["--generator_model", "openai-community/gpt2"], "openai-community/gpt2"),
        "generator's labels": (
            ["--generators", "instruct", "--instruct_negative", "bad"],
            "The prompt of 'instruct' is not for the labels of the dataset, ['negative', 'positive']",
        ),
        "no file of a prompt": (
            ["--generators", "instruct", "--instruct_prompt", "{root}/nowhere.json"],
            "nowhere.json is missing. Write it with json.dumps(prompt.to_dict())",
        ),
        "the judge's labels": (
            ["--label_judge", "prompted", "--judge_template", "{{text}}:", "--instruct_negative", "bad"],
            "The prompt of 'instruct' is not for the labels of the dataset, ['negative', 'positive']",
        ),
        "no network for the judge": (
            [
                *("--label_judge", "prompted", "--judge_template", "{{text}}:"),
                *("--instruct_model", "HuggingFaceTB/SmolLM2-135M-Instruct"),
            ],
            "The model of 'instruct', 'HuggingFaceTB/SmolLM2-135M-Instruct', is no model folder here",
        ),
        "unknown judge": (["--label_judge", "magic"], "--label_judge"),
        "a judge without a text": (["--judge_template", "Sentiment:"], "does not contain {text}"),
        "a judge of a server without options": (
            ["--label_judge", "prompted", "--instruct_url", "http://127.0.0.1:9/v1", "--judge_template", "{{text}}:"],
            "does not contain {options}",
        ),
        "examples for no server": (["--send_examples", "true"], "send_examples is of a server: pass instruct_url"),
        "a judge without a question": (["--label_judge", "prompted"], "needs judge_template"),
        "perplexity under two models": (
            ["--generators", "both", "--max_perplexity", "9"],
            "max_perplexity=9.0 is of one",
        ),
        "unknown arm": (["--generators", "magic"], "generators has ['magic']. There are real, "),
        "unknown classic augmentation": (["--classic", "crop"], "classic has ['crop']: for texts there is 'eda'"),
    },
    "image": BAD_ANYWHERE
    | {
        "image column": (["--image_column", "image"], "image_column='image' is not a column"),
        "no network": (["--dataset", "uoft-cs/cifar10"], "could not be loaded from the Hub"),
        "images of several sizes": (["--dataset", "{root}/sizes"], "images have 2 sizes, such as 32×32, 32×40"),
        "a corrupt image": (["--dataset", "{root}/corrupt"], "Row 3 is a corrupt image (of no known format)"),
        "a missing image": (["--dataset", "{root}/missing"], "Row 3 has no image"),
        "labels without a name": (
            ["--dataset", "{root}/labels"],
            "the labels [7], but its ClassLabel names only 2",
        ),
        "a class without images": (["--dataset", "{root}/one_class"], "is more than the 0 rows of 'positive'"),
        "test images of another size": (["--dataset", "{root}/large"], "The images of 'test' have shape (40, 40, 3)"),
        "grey test images": (["--dataset", "{root}/grey"], "The images of 'test' have shape (32, 32, 1)"),
        "image size": (["--image_size", "30"], "For the generator, image_size=30 must be 32 or 64"),
        "classic augmentation": (["--classic", "crop", "cutmix"], "classic has ['cutmix'], which is none of"),
        "the generator's loss": (["--generator_loss", "wgan"], "For the generator, loss='wgan' must be one of"),
        "a generator's batch of one": (["--generator_batch_size", "1"], "must be 2 or more, for batch norm"),
        "a generator's batch of all": (["--generator_batch_size", "17"], "more than the 16 labelled images"),
        "unknown arm": (["--generators", "instruct"], "generators has ['instruct']. There are real, "),
        "model": (["--model", "microsoft/resnet-18"], "model='microsoft/resnet-18' must be 'small_resnet18'"),
    },
}


@pytest.fixture
def refused(monkeypatch, capfd):
    """Runs a recipe in this process and returns the one line with which it ends."""

    def run(recipe, arguments):
        monkeypatch.setattr(sys, "argv", [recipe, *map(str, arguments)])
        monkeypatch.syspath_prepend(str(ROOT / "recipes"))
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "recipes" / recipe), run_name="__main__")
        # A string given to sys.exit is printed, and the status is 1.
        code = ended.value.code
        line = code if isinstance(code, str) else capfd.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("error: ")
        assert "\n" not in line
        return line

    return run


@pytest.mark.parametrize(
    ("parts", "case"), [(kind, case) for kind, cases in BAD.items() for case in cases], indirect=["parts"]
)
def test_bad_input_ends_with_one_line_before_any_training(parts, case, refused):
    arguments, message = BAD[parts.kind][case]
    output = parts.root / f"bad-{case.replace(' ', '-')}"
    arguments = ["--output_dir", output, *(word.format(root=parts.root) for word in arguments)]
    assert message in refused(parts.recipe, [*parts.arguments(), *arguments])
    assert not list(output.rglob("stage.json"))


@pytest.mark.parametrize("config", sorted(path.name for path in (ROOT / "recipes/configs").glob("*.yaml")))
def test_configurations_are_understood(config, tmp_path, refused):
    recipe = "cifar10.py" if config.startswith(("cifar10", "digits")) else "imdb.py"
    arguments = ["--config", ROOT / "recipes/configs" / config, "--dataset", tmp_path / "nowhere"]
    # What only a GPU does is refused before that where there is none.
    arguments += ["--bf16", "false"]
    # All other arguments are read before the data.
    assert refused(recipe, arguments).endswith(
        "nowhere' does not exist: pass a folder, a file or a Hub id (owner/name)."
    )
