"""What is staged, what is pushed, and what comes back. The Hub is one of our own, the client is the real one."""

import hashlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import datasets
import jinja2
import numpy as np
import pytest
import torch
from huggingface_hub import DatasetCard, close_session, hf_hub_download
from transformers import AutoModelForSequenceClassification, AutoTokenizer, ViTImageProcessor

from hf_augment import CausalLMGenerator, DCGANConfig, DCGANGenerator, LabelPrompt, SamplingConfig, ShardStore
from hf_augment import SmallResNetForImageClassification as SmallResNet
from hf_augment.cli import main
from hf_augment.files import write_json
from hf_augment.hub.pushing import PushError, push
from hf_augment.hub.staging import REPORT_FILES, Repository, stage, synthetic_dataset
from hf_augment.images.arrays import image_arrays
from hf_augment.synthesis.shards import Shard
from tests.fake_hub import TOKEN, FakeHub
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toys import LABELS


#: The client's own way of uploading without Xet.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROOT = Path(__file__).parents[2]
MODELS = ("trained", "generator", "images", "dcgan")
LARGE = ("model-1.safetensors", "model-2.safetensors")
CARD = "---\nlicense: mit\n---\n\n# A card\n"


def card():
    return CARD


# What is staged.


def save_texts(classifier, generator):
    tokenizer = tiny_tokenizer()
    tiny_classifier().save_pretrained(classifier)
    tokenizer.save_pretrained(classifier)
    sampling = SamplingConfig(max_new_tokens=8)
    CausalLMGenerator(
        tiny_causal_lm(tokenizer, "gpt2"), tokenizer, LABELS, LabelPrompt(), "text", sampling
    ).save_pretrained(generator)


def save_images(classifier, generator):
    SmallResNet.build(LABELS, width=2).save_pretrained(classifier)
    ViTImageProcessor(do_resize=False).save_pretrained(classifier)
    DCGANGenerator(DCGANConfig(width=2, id2label=dict(enumerate(LABELS)))).save_pretrained(generator)


def pixels(channels):
    return np.random.default_rng(channels).integers(0, 256, (8, 8, channels), dtype=np.uint8)


TOKENIZER = ["chat_template.jinja", "tokenizer.json", "tokenizer_config.json"]
KINDS = {
    "text": (
        save_texts,
        {"text": "fine"},
        ["config.json", "model.safetensors", *TOKENIZER],
        ["config.json", "generation_config.json", "generator_config.json", "model.safetensors", *TOKENIZER],
    ),
    # With the source that loads them where the package is not installed.
    "image": (
        save_images,
        {"image": pixels(3)},
        ["config.json", "model.safetensors", "preprocessor_config.json", "small_resnet.py"],
        ["config.json", "dcgan.py", "model.safetensors"],
    ),
}
REPORT = ["report.png", "results.json"]
#: What of a report may show labelled rows.
LOCAL = ["report.html", "report.md", "samples.png"]
#: What lies about and must not be seen.
STRAY = (".env", ".env.json", "optimizer.pt", "training_args.bin", "log.csv", "notes.txt.pkl")


def make_store(folder, *examples):
    store = ShardStore(folder, {"shard_size": 4}, "label", LABELS)
    labels = [i % 2 for i in range(len(examples))]
    store.write(Shard(0, list(range(len(examples))), labels, list(examples), [None] * len(examples)))
    return store


def make_report(folder):
    folder.mkdir(parents=True)
    for name in (*REPORT, *LOCAL):
        (folder / name).write_text(f'{{"name": "{name}"}}')
    (folder / "notes.txt").write_text("for us alone")


@pytest.fixture(params=KINDS, name="kind")
def kind_of_data(request, tmp_path):
    """An experiment's folder, in which there is more than may be seen."""
    save, example, *files = KINDS[request.param]
    root = tmp_path / "experiment"
    folders = [root / f"split-0/{name}/model" for name in ("trained-0", "generator")]
    save(*folders)
    make_report(root / "report")
    for folder in (root, root / "report", *folders):
        for name in STRAY:
            (folder / name).write_text(TOKEN)
    return root, make_store(tmp_path / "shards", example), *files


def repositories_of(root, store):
    return [
        Repository("trained", "model", root / "split-0/trained-0/model", card),
        Repository("trained-synthetic", "dataset", store, card),
        Repository("generator", "model", root / "split-0/generator/model", card),
        Repository("results", "dataset", root / "report", card, REPORT_FILES),
    ]


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_published_is_staged_and_nothing_else(kind):
    root, store, classifier, generator = kind
    hub = stage(root, repositories_of(root, store))
    assert hub == root / "hub"
    expected = {
        "trained": (["README.md", *classifier], "model"),
        "trained-synthetic": (["README.md", "data/train.parquet"], "dataset"),
        "generator": (["README.md", *generator], "model"),
        "results": (["README.md", *REPORT], "dataset"),
    }
    staged = files_below(hub)
    assert sorted(staged) == sorted(
        ["push.json", *(f"{name}/{file}" for name, (files, _) in expected.items() for file in files)]
    )
    manifest = json.loads(staged["push.json"])
    assert manifest["format_version"] == 1
    assert manifest["repositories"] == [
        {"folder": name, "suffix": name, "repo_type": kind, "files": sorted(files)}
        for name, (files, kind) in expected.items()
    ]
    for path, content in staged.items():
        assert TOKEN.encode() not in content, path
        assert str(root.parent).encode() not in content, path
    weights = root / "split-0/trained-0/model/model.safetensors"
    assert (hub / "trained/model.safetensors").samefile(weights)


def test_staging_again_makes_the_same_files_and_forgets_others(kind):
    root, store, *_ = kind
    first = files_below(stage(root, repositories_of(root, store)))
    (root / "hub/trained/more.json").write_text("{}")
    assert files_below(stage(root, repositories_of(root, store))) == first
    # What was interrupted has no list.
    (root / "hub/push.json").unlink()
    assert files_below(stage(root, repositories_of(root, store))) == first
    (root / "hub/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"hub holds notes\.txt, which is not of this comparison: move it away"):
        stage(root, repositories_of(root, store))
    (root / "hub/notes.txt").unlink()
    stage(root, repositories_of(root, store)[:1])
    assert [path.name for path in (root / "hub").iterdir() if path.is_dir()] == ["trained"]


@pytest.mark.parametrize("example", [{"text": "a"}, {"image": pixels(3)}, {"image": pixels(1)}, {"x": 1, "y": "b"}])
def test_the_staged_dataset_loads(example, tmp_path):
    store = make_store(tmp_path / "shards", example, example)
    folder = stage(tmp_path, [Repository("synthetic", "dataset", store, card)]) / "synthetic"
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    ours = store.dataset()
    assert loaded.features == synthetic_dataset(store).features
    assert loaded.features["label"].names == list(LABELS)
    for name in ours.column_names:
        if name == "image":
            assert np.array_equal(image_arrays(loaded), image_arrays(ours))
            assert np.array_equal(image_arrays(loaded)[0], example["image"])
        else:
            assert loaded[name][:] == ours[name][:]


def test_the_card_of_a_dataset_says_where_its_rows_are(tmp_path):
    store = make_store(tmp_path / "shards", {"text": "a"})
    wrong = "---\nlicense: mit\nconfigs:\n- config_name: other\n  data_files: elsewhere.csv\n---\n\n# A card\n\n---\n"
    folder = stage(tmp_path, [Repository("synthetic", "dataset", store, lambda: wrong)]) / "synthetic"
    read = DatasetCard.load(folder / "README.md")
    rows = {"config_name": "default", "data_files": [{"split": "train", "path": "data/train.parquet"}]}
    assert read.data.to_dict() == {"license": "mit", "configs": [rows]}
    assert read.text.strip() == "# A card\n\n---"


def undefined():
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string("{{ name }}").render()


FAILING_CARDS = {
    "template": (undefined, "UndefinedError: 'name' is undefined"),
    "missing": (lambda: {}["runs"], "KeyError: 'runs'"),
    "type": (lambda: "---" + 1, "TypeError"),
    "nothing where there should be figures": (lambda: None.get("accuracy"), "AttributeError"),
    "value": (lambda: [1].index(2), "ValueError"),
    "yaml": (lambda: "---\na: [\n---\n", "ParserError"),
    "no mapping": (lambda: "---\n- a\n---\n", "ValueError: repo card metadata block should be a dict"),
}


@pytest.mark.parametrize("name", FAILING_CARDS)
def test_a_card_that_fails_loses_no_push(name, tmp_path, monkeypatch):
    warned = []
    monkeypatch.setattr("hf_augment.hub.staging.logger.warning", warned.append)
    failing, why = FAILING_CARDS[name]
    make_report(tmp_path / "report")
    store = make_store(tmp_path / "shards", {"text": "a"})
    results = Repository("results", "model", tmp_path / "report", failing, REPORT_FILES)
    hub = stage(tmp_path, [results, Repository("rows", "dataset", store, failing)])
    assert (
        hub / "results/README.md"
    ).read_text() == "---\ntags:\n- hf_augment\n---\n\n# results\n\nMade by hf_augment.\n"
    assert "path: data/train.parquet" in (hub / "rows/README.md").read_text()
    assert len(warned) == 2
    for suffix, text in zip(["results", "rows"], warned, strict=True):
        assert f"The card of {suffix} could not be rendered" in text
    assert why in warned[0]


def test_a_card_that_is_a_text_is_refused(tmp_path):
    with pytest.raises(ValueError, match="card='# Results' must be a function that makes the README"):
        Repository("results", "model", tmp_path, "# Results")


def test_a_bug_in_a_card_is_no_card_that_fails(tmp_path):
    make_report(tmp_path / "report")
    with pytest.raises(NameError):
        stage(tmp_path, [Repository("results", "model", tmp_path / "report", lambda: nowhere, REPORT_FILES)])  # noqa: F821


def test_an_arm_without_an_accepted_example_has_no_dataset(tmp_path, monkeypatch):
    warned = []
    monkeypatch.setattr("hf_augment.hub.staging.logger.warning", warned.append)
    make_report(tmp_path / "report")
    results = Repository("results", "dataset", tmp_path / "report", card, REPORT_FILES)
    hub = stage(tmp_path, [Repository("rows", "dataset", make_store(tmp_path / "shards"), card), results])
    assert [entry["suffix"] for entry in json.loads((hub / "push.json").read_text())["repositories"]] == ["results"]
    assert "loosen the filters" in warned[0]


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_out_of_the_folder_is_refused(link, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/key.json").write_text(TOKEN)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    if link == "file":
        (model / "more.json").symlink_to(tmp_path / "secrets/key.json")
        with pytest.raises(ValueError, match=r"more\.json leads out of its folder"):
            stage(tmp_path, [Repository("trained", "model", model, card)])
    else:
        (model / "more").symlink_to(tmp_path / "secrets")
        hub = stage(tmp_path, [Repository("trained", "model", model, card)])
        assert sorted(files_below(hub)) == ["push.json", "trained/README.md", "trained/config.json"]
    assert not (tmp_path / "hub/push.json").exists() or link == "folder"


def test_a_card_never_writes_into_the_source(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/README.md").write_text("mine")
    stage(tmp_path, [Repository("trained", "model", tmp_path / "model", card, ["*.md"])])
    assert (tmp_path / "model/README.md").read_text() == "mine"
    assert (tmp_path / "hub/trained/README.md").read_text() == CARD


def test_without_hard_links_files_are_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    make_report(tmp_path / "report")
    hub = stage(tmp_path, [Repository("results", "dataset", tmp_path / "report", card, REPORT_FILES)])
    assert (hub / "results/results.json").read_bytes() == (tmp_path / "report/results.json").read_bytes()
    assert not (hub / "results/results.json").samefile(tmp_path / "report/results.json")


def test_bad_repositories_are_refused_early(tmp_path):
    (tmp_path / "empty").mkdir()
    for suffix in ("a/b", "a b", "-a"):
        with pytest.raises(ValueError, match=re.escape(suffix)):
            Repository(suffix, "model", tmp_path, card)
    with pytest.raises(ValueError, match="repo_type='space' must be 'model' or 'dataset'"):
        Repository("a", "space", tmp_path, card)
    with pytest.raises(FileNotFoundError, match="has none of the files to publish"):
        stage(tmp_path, [Repository("a", "model", tmp_path / "empty", card)])


# What is pushed.


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with FakeHub() as hub:
        hub.play(monkeypatch, tmp_path / "home")
        # No waits, but remembered. The client's own go the same way.
        hub.waits = []
        monkeypatch.setattr(time, "sleep", hub.waits.append)
        yield hub
        close_session()


@pytest.fixture
def run_dir(tmp_path):
    """Staged: a model with two large files, and results without one."""
    root = tmp_path / "demo"
    (root / "model").mkdir(parents=True)
    for name in LARGE:
        (root / "model" / name).write_bytes(name.encode() * 9000)
    (root / "model/config.json").write_text('{"model_type": "none"}')
    make_report(root / "report")
    (root / "report/report.png").unlink()
    model = Repository("trained", "model", root / "model", card)
    stage(root, [model, Repository("results", "dataset", root / "report", card, REPORT_FILES)])
    return root


NAMES = {"models/user/demo-trained": "trained", "datasets/user/demo-results": "results"}


def assert_arrived_once(hub, run_dir):
    """All files are there, each by one upload and one commit of its repository, and no token."""
    assert set(hub.repositories) == set(NAMES)
    for name, folder in NAMES.items():
        repository = hub.repositories[name]
        theirs = {".gitattributes": b"*.png filter=lfs"}
        assert repository.files == files_below(run_dir / "hub" / folder) | theirs
        assert [summary for _, summary, _ in repository.commits] == ["initial commit", "Upload with hf_augment"]
        assert not any(
            TOKEN.encode() in content for content in [*repository.files.values(), *repository.objects.values()]
        )
    assert len(hub.uploads) == len(set(hub.uploads)) == 2


def test_a_push_arrives_and_a_repeat_uploads_nothing(hub, run_dir):
    addresses = [f"{hub.url}/user/demo-trained", f"{hub.url}/datasets/user/demo-results"]
    assert push(run_dir) == addresses
    assert_arrived_once(hub, run_dir)
    for name in STRAY:  # Not staged, so not pushed.
        (run_dir / "hub/trained" / name).write_text(TOKEN)
    assert push(run_dir, "user/demo") == addresses
    for name in STRAY:
        (run_dir / "hub/trained" / name).unlink()
    assert_arrived_once(hub, run_dir)
    assert (hub.count("^PUT"), hub.count("^POST .*/commit/"), hub.waits) == (2, 2, [])


def test_a_changed_file_alone_is_uploaded_again(hub, run_dir):
    push(run_dir)
    (run_dir / "hub/trained/model-2.safetensors").write_bytes(b"other weights")
    push(run_dir)
    assert hub.count("^PUT") == 3
    assert len(hub.repositories["models/user/demo-trained"].commits) == 3
    assert hub.repositories["models/user/demo-trained"].files["model-2.safetensors"] == b"other weights"
    assert len(hub.repositories["datasets/user/demo-results"].commits) == 2


def test_private_is_asked_for_and_made_sure_of(hub, run_dir):
    push(run_dir, private=True)
    assert all(repository.private for repository in hub.repositories.values())
    hub.repositories["models/user/demo-trained"].private = False
    with pytest.raises(PushError, match="exists and is public, but private=True was asked for"):
        push(run_dir, private=True)


COMMIT, CREATE, PUT = r"POST .*/commit/main", "POST /api/repos/create", "PUT /lfs"
PASSING = {
    "no connection to create": (CREATE, "cut", {}),
    "an error in creating": (CREATE, 500, {}),
    "too many created": (CREATE, 429, {"headers": {"Retry-After": "37"}}),
    "an error in checking the card": ("validate-yaml", 503, {"body": "<html>no</html>"}),
    "an error before the upload": ("preupload", 502, {}),
    "an error in planning the upload": ("objects/batch", 500, {}),
    "a cut in the middle of an upload": (PUT, "cut", {}),
    "a lost answer to an upload": (PUT, "lose", {}),
    "an error in an upload": (PUT, 500, {}),
    "an error in verifying": ("verify", 503, {}),
    "a cut in the middle of a commit": (COMMIT, "cut", {}),
    "a lost answer to a commit": (COMMIT, "lose", {}),
    "an error in a commit": (COMMIT, 500, {}),
    "too many commits": (COMMIT, 429, {"headers": {"RateLimit": '"api";r=0;t=41'}}),
    "a commit of somebody else": (COMMIT, 412, {}),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_tried_again(name, hub, run_dir):
    pattern, how, details = PASSING[name]
    hub.fail(pattern, how, **details)
    push(run_dir)
    if (pattern, how) == (PUT, "lose"):
        # The one case where what arrived is sent again: its sender cannot know.
        hub.uploads.remove(max(hub.uploads, key=hub.uploads.count))
    assert_arrived_once(hub, run_dir)
    asked = {37.0: "too many created", 41.0: "too many commits"}
    assert [wait for wait in hub.waits if wait in asked] == [wait for wait, case in asked.items() if case == name]
    assert len([wait for wait in hub.waits if wait > 0]) == 1


REFUSED = "the Hub refused the token ({}); run `hf auth login`, or set HF_TOKEN to a token with write access."
LASTING = {
    "a token that is not known": (CREATE, 401, {}, REFUSED.format(401), 1),
    "a token that may not write": (COMMIT, 403, {}, REFUSED.format(403), 1),
    "no connection": (CREATE, "cut", {}, "Server disconnected without sending a response", 4),
    "an error in every commit": (COMMIT, 500, {}, "Server error '500 Internal Server Error'", 4),
    "a cut in every commit": (COMMIT, "cut", {}, "", 4),
    "an error in every upload": (PUT, 500, {}, "Error while uploading 'model-", 12),
    "a cut in every upload": (PUT, "cut", {}, "Error while uploading 'model-", 12),
    "a long wait": (CREATE, 429, {"headers": {"Retry-After": "3600"}}, "the Hub asks to wait for 3600 s", 1),
    "a card that is refused": (
        "validate-yaml",
        400,
        {"body": '{"errors": [{"message": "bad license"}]}'},
        "bad license",
        1,
    ),
    "something that is not the Hub": (CREATE, 200, {"body": "<html>Log in</html>"}, "what answered is not the Hub", 4),
}


# The second repository has no large file.
@pytest.mark.parametrize(
    ("name", "second"),
    [(name, second) for name in LASTING for second in (False, True) if not (second and LASTING[name][0] == PUT)],
)
def test_what_lasts_ends_with_one_line_and_can_be_repeated(name, second, hub, run_dir, capfd):
    pattern, how, details, message, attempts = LASTING[name]
    hub.fail(pattern, how, times=99, after=int(second), **details)
    with pytest.raises(SystemExit) as ended:
        main(["push", str(run_dir), "--repo_id", "demo"])
    error = str(ended.value)
    assert error.startswith(f"error: demo-{'results' if second else 'trained'} could not be pushed: ")
    assert message in error
    assert "\n" not in error
    arrived, missing = ("user/demo-trained", "demo-results") if second else ("nothing", "demo-trained, demo-results")
    assert f"Arrived: {arrived}. Did not arrive: {missing}." in error
    assert error.endswith(f"Repeat with: hf_augment push {run_dir} --repo_id demo")
    assert hub.count(pattern) - second == attempts
    hub.failures.clear()
    main(["push", str(run_dir), "--repo_id", "demo"])
    assert_arrived_once(hub, run_dir)
    assert not re.search(f"{TOKEN}|Traceback", error + "".join(capfd.readouterr()))


def test_what_arrived_of_a_repository_is_not_uploaded_again(hub, run_dir):
    """One of two large files arrives, the other does not; then both do, but not the commit."""
    first, second = (hashlib.sha256(name.encode() * 9000).hexdigest() for name in LARGE)
    hub.fail(f"PUT .*{second}", 500, times=99)
    with pytest.raises(PushError, match=r"Error while uploading 'model-2\.safetensors'.*500"):
        push(run_dir)
    assert hub.uploads == [first]
    hub.failures.clear()
    hub.fail(COMMIT, "cut", times=99)
    with pytest.raises(PushError):
        push(run_dir)
    assert hub.uploads == [first, second]
    hub.failures.clear()
    push(run_dir)
    assert_arrived_once(hub, run_dir)


def test_the_token_of_an_argument_is_the_one_that_is_used(hub, run_dir, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(PushError, match="Not logged in: run `hf auth login`, or set HF_TOKEN"):
        push(run_dir)
    assert not hub.requests
    push(run_dir, token=TOKEN)
    assert_arrived_once(hub, run_dir)


def test_nothing_is_sent_that_is_not_staged_whole(hub, run_dir, tmp_path):
    manifest = run_dir / "hub/push.json"
    good = manifest.read_text()
    (run_dir / "secret.json").write_text(TOKEN)
    broken = {
        good.replace("config.json", "../../secret.json"): "leads out of its folder",
        good.replace('"folder": "trained"', '"folder": ".."'): "leads out of its folder",
        good.replace("config.json", "weights.json"): "names trained/weights.json, which is missing",
        good.replace('"format_version": 1', '"format_version": 2'): "is of format 2, not 1",
        good[:-9]: r"push\.json is damaged",
    }
    for text, message in broken.items():
        assert text != good
        manifest.write_text(text)
        if "is damaged" not in message:
            with pytest.raises(ValueError, match=r"push\.json is damaged: its content does not have its checksum"):
                push(run_dir)
            write_json(manifest, {name: value for name, value in json.loads(text).items() if name != "checksum"})
        with pytest.raises(ValueError, match=message):
            push(run_dir)
    manifest.unlink()
    with pytest.raises(ValueError, match=r"has nothing staged in hub/push\.json: run the recipe again"):
        push(run_dir)
    with pytest.raises(ValueError, match="is no folder: pass the output_dir of a run"):
        push(tmp_path / "nowhere")
    manifest.write_text(good)
    for name in ("a b", "a/b/c", "user/", "-a"):
        with pytest.raises(ValueError, match=f"repo_id='{name}' makes the name"):
            push(run_dir, name)
    assert not hub.requests


# What comes back.


def read_back(prefix):
    """All that a run publishes, loaded from folders or from the Hub, as JSON can say it."""
    found = {}
    tokenizer = AutoTokenizer.from_pretrained(f"{prefix}trained")
    classifier = AutoModelForSequenceClassification.from_pretrained(f"{prefix}trained")
    with torch.no_grad():
        found["logits"] = classifier(
            **tokenizer(["fine", "dull film"], return_tensors="pt", padding=True)
        ).logits.tolist()
    generator = CausalLMGenerator.from_pretrained(f"{prefix}generator")
    found["fingerprint"], found["texts"] = generator.fingerprint(), generator.generate([0, 1, 1], seed=3)
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found["image logits"] = SmallResNet.from_pretrained(f"{prefix}images")(images).logits.tolist()
    generated = DCGANGenerator.from_pretrained(f"{prefix}dcgan").generate([0, 1], seed=4)
    found["generated"] = [example["image"].tolist() for example in generated]
    found["rows"] = datasets.load_dataset(f"{prefix}trained-synthetic", split="train")[:]
    pictures = datasets.load_dataset(f"{prefix}images-synthetic", split="train")
    found["pictures"], found["features"] = image_arrays(pictures).tolist(), str(pictures.features)
    path = f"{prefix}results/results.json"
    if not Path(path).exists():
        path = hf_hub_download(f"{prefix}results", "results.json", repo_type="dataset")
        weights = {name: hf_hub_download(f"{prefix}{name}", "model.safetensors") for name in MODELS}
    else:
        weights = {name: f"{prefix}{name}/model.safetensors" for name in MODELS}
    found["results"] = json.loads(Path(path).read_text())
    found["weights"] = {name: hashlib.sha256(Path(path).read_bytes()).hexdigest() for name, path in weights.items()}
    return found


@pytest.mark.slow
def test_all_that_is_pushed_loads_back_elsewhere(tmp_path):
    """By the command line and in another process, over a line that breaks."""
    root = tmp_path / "runs/demo"
    save_texts(root / "trained", root / "texts")
    save_images(root / "small", root / "dcgan")
    make_report(root / "report")
    repositories = [
        Repository("trained", "model", root / "trained", card),
        Repository("generator", "model", root / "texts", card),
        Repository("images", "model", root / "small", card),
        Repository("dcgan", "model", root / "dcgan", card),
        Repository("trained-synthetic", "dataset", make_store(tmp_path / "a", {"text": "a"}, {"text": "b"}), card),
        Repository("images-synthetic", "dataset", make_store(tmp_path / "b", {"image": pixels(3)}), card),
        Repository("results", "dataset", root / "report", card, REPORT_FILES),
    ]
    stage(root, repositories)
    script = f"""
import json, runpy, sys
sys.argv = ["hf_augment", "push", {str(root)!r}, "--private"]
runpy.run_module("hf_augment", run_name="__main__")
from tests.hub.test_hub import read_back
print(json.dumps(read_back("user/demo-")))
"""
    with FakeHub() as hub:
        hub.fail(PUT, "cut")
        hub.fail(COMMIT, "lose", after=1)
        environment = hub.environment(tmp_path / "home") | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240
        )
    assert done.returncode == 0, done.stderr
    *addresses, found = done.stdout.splitlines()
    kinds = {"model": "", "dataset": "datasets/"}
    assert addresses == [f"{hub.url}/{kinds[r.repo_type]}user/demo-{r.suffix}" for r in repositories]
    assert json.loads(found) == json.loads(json.dumps(read_back(f"{root}/hub/")))
    assert all(repository.private and len(repository.commits) == 2 for repository in hub.repositories.values())
    assert len(hub.uploads) == len(set(hub.uploads))
    assert TOKEN not in done.stdout + done.stderr
    for repository in hub.repositories.values():
        assert not any(TOKEN.encode() in content or b"runs/demo" in content for content in repository.files.values())
