"""A linear classifier on frozen features: what it reads, what it says, and that transformers load it."""

import copy

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    pipeline,
)

from hf_augment import Arm, ClassifierFeatures, ClassifierJudge, ImageClassifier, TextClassifier
from hf_augment.study.probe import fit_head, pool_by_mean
from tests.tiny import tiny_classifier, tiny_tokenizer
from tests.toys import IMAGE, LABELS, TEXT


SMALL = {"vocab_size": 70, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_labels": 3}
SMALL |= {"intermediate_size": 32, "max_position_embeddings": 40}
DISTIL = {"vocab_size": 70, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "num_labels": 3}
FAMILIES = [
    (BertForSequenceClassification, BertConfig(**SMALL), torch.tanh),
    (RobertaForSequenceClassification, RobertaConfig(**SMALL), torch.tanh),
    (DistilBertForSequenceClassification, DistilBertConfig(**DISTIL), torch.relu),
]
IDS = torch.tensor([[5, 6, 7, 8, 9], [10, 11, 12, 1, 1]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.mark.parametrize(("kind", "config", "activation"), FAMILIES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_head_reads_the_normalised_mean_of_all_tokens_and_the_model_is_one_of_transformers(
    kind, config, activation, tmp_path
):
    torch.manual_seed(0)
    model = kind(copy.deepcopy(config)).eval()
    with torch.no_grad():
        states = model.base_model(IDS, attention_mask=MASK).last_hidden_state
        means = torch.stack([states[0].mean(0), states[1, :3].mean(0)])
        expected = activation(0.3 * torch.nn.functional.layer_norm(means, means.shape[1:]))
        read = []
        pool_by_mean(model).eval()
        head = [part for part in model.modules() if isinstance(part, torch.nn.Linear)][-1]
        hook = head.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
        logits = model(IDS, attention_mask=MASK).logits
        hook.remove()
    # The token's own state is a hundredth of it.
    np.testing.assert_allclose(read[0], expected, atol=0.02)
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(again) is kind
    torch.testing.assert_close(again(IDS, attention_mask=MASK).logits, logits)


def test_a_model_that_knows_how_to_pool_is_told_so_and_another_one_stays_as_it_is():
    config = ModernBertConfig(**SMALL, pad_token_id=1, bos_token_id=None, eos_token_id=None, classifier_pooling="cls")
    model = pool_by_mean(ModernBertForSequenceClassification(config))
    assert model.config.classifier_pooling == "mean"
    assert len(model.model.layers) == 2


@pytest.mark.parametrize("classes", [2, 3])
def test_the_last_layer_says_what_logistic_regression_says_and_nothing_else_changes(classes):
    tokenizer = tiny_tokenizer()
    model = tiny_classifier(4, tokenizer)
    before = copy.deepcopy(model.state_dict())
    features = ClassifierFeatures(ClassifierJudge(model, tokenizer))
    words = ["dull and flat", "warm and bright", "so so"][:classes]
    examples = [{"text": f"{word} {i}"} for i in range(6) for word in words]
    labels = [1, 3, 0][:classes] * 6
    assert fit_head(features, features(examples), labels) is model
    probabilities = features.judge(examples)
    assert probabilities.argmax(axis=1).tolist() == labels
    absent = [label for label in range(4) if label not in labels]
    assert probabilities[:, absent].max() < 1e-3
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["classifier.weight", "classifier.bias"]


@pytest.fixture
def folder(tmp_path):
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(tokenizer=tokenizer)):
        part.save_pretrained(tmp_path / "tiny")
    return str(tmp_path / "tiny")


def test_a_text_classifier_that_starts_as_a_probe_knows_the_rows_before_it_is_trained(folder, tmp_path):
    rows = TEXT.rows(40)
    classifier = TextClassifier(folder, list(LABELS), max_length=24, start="probe")
    assert classifier.identity() == TextClassifier(folder, list(LABELS), max_length=24).identity() | {"start": "probe"}
    model = classifier.begin(1, rows)
    probabilities = classifier.judge(model)([{"text": text} for text in rows["text"][:]])
    assert (probabilities.argmax(axis=1) == rows["label"][:]).mean() > 0.9
    for part in (model, classifier.tokenizer):
        part.save_pretrained(tmp_path / "model")
    said = pipeline("text-classification", model=str(tmp_path / "model"), device="cpu")(rows["text"][0])
    assert said[0]["label"] == LABELS[rows["label"][0]]
    with pytest.raises(ValueError, match="start='linear' must be 'probe', or None"):
        TextClassifier(folder, list(LABELS), start="linear")


def test_the_probe_of_an_image_classifier_reads_pixels_since_its_network_knows_nothing(tmp_path):
    rows = IMAGE.rows(40)
    classifier = ImageClassifier(list(LABELS), (8, 8, 3), width=4)
    model = classifier.probe(1, rows)
    assert sum(weights.numel() for weights in model.parameters()) == (8 * 8 * 3 + 1) * 2
    examples = [{"image": image} for image in classifier.values(rows)]
    probabilities = classifier.judge(model)(examples)
    assert probabilities.argmax(axis=1).tolist() == rows["label"][:]
    model.save_pretrained(tmp_path)
    np.testing.assert_array_equal(classifier.as_judge(tmp_path)(examples), probabilities)


def test_a_probe_is_not_trained():
    with pytest.raises(ValueError, match="The arm 'p' is a probe, which is not trained"):
        Arm("p", probe=True, augment="eda")


def test_each_of_several_labels_has_a_regression_of_its_own():
    examples = [{"text": text} for text in ("dull flat", "dull day", "warm day", "warm flat", "so", "so it is")]
    rows = np.array([[1, 1, 0, 1], [1, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]], bool)
    model = tiny_classifier(4)
    model.config.id2label, model.config.problem_type = dict(enumerate("abcd")), "multi_label_classification"
    judge = ClassifierJudge(model, tiny_tokenizer(), label_sets=["a", "none"])
    features = ClassifierFeatures(judge)
    fit_head(features, features(examples), rows)
    assert (judge(examples)[:, 0] > 0.5).tolist() == rows[:, 0].tolist()
    inputs = judge.tokenizer([example["text"] for example in examples], padding=True, return_tensors="pt")
    with torch.no_grad():
        likely = model(**inputs).logits.sigmoid().numpy()
    # So it is with any logistic regression that weighs both alike, if its intercept is free.
    for label in (0, 1):
        has, lacks = likely[rows[:, label], label], likely[~rows[:, label], label]
        assert 1 - has.mean() == pytest.approx(lacks.mean(), abs=1e-3)
    # A label that no example has is never there, one that all have always.
    assert likely[:, 2].max() < 1e-3
    assert likely[:, 3].min() > 1 - 1e-3


@pytest.mark.parametrize("make", [TEXT, IMAGE], ids=["text", "image"])
def test_rows_are_read_once_for_all_folds_and_the_same_in_another_process(make, tmp_path, monkeypatch):
    kinds = {
        TEXT: lambda: TextClassifier(str(tmp_path / "tiny"), LABELS, 16, start="probe"),
        IMAGE: lambda: ImageClassifier(LABELS, IMAGE.rows(1).features["image"].shape, width=8),
    }
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    tiny_classifier(tokenizer=tiny_tokenizer()).save_pretrained(tmp_path / "tiny")
    rows, classifier, calls = make.rows(20), kinds[make](), []
    read = ClassifierFeatures.__call__
    monkeypatch.setattr(ClassifierFeatures, "__call__", lambda self, x: calls.append(len(x)) or read(self, x))
    fold = np.arange(4, 20)
    first = classifier.probe(0, rows, of=fold).state_dict()
    classifier.probe(0, rows)
    assert calls == [20]
    again = kinds[make]().probe(0, rows, of=fold).state_dict()
    assert calls == [20, 20]
    for name, weights in first.items():
        torch.testing.assert_close(again[name], weights, rtol=0, atol=0)
    # Processes with one folder read them once.
    readers = [kinds[make](), kinds[make]()]
    for reader in readers:
        reader.cache.folder = tmp_path / "features"
    found = [reader.probe(0, rows, of=fold).state_dict() for reader in readers]
    assert calls == [20, 20, 20]
    assert all(torch.equal(found[1][name], weights) for name, weights in first.items())
    calls.clear()
    # Other rows, and another model below the head, are read anew.
    classifier.probe(0, make.rows(10))
    assert calls == [10]


def test_what_the_head_says_of_what_it_reads_is_what_the_classifier_says():
    tokenizer = tiny_tokenizer()
    judge = ClassifierJudge(tiny_classifier(tokenizer=tokenizer), tokenizer)
    examples = [{"text": text} for text in TEXT.rows(6)["text"][:]]
    features = ClassifierFeatures(judge)
    np.testing.assert_allclose(features.judge_read(features(examples)), judge(examples), atol=1e-6)
