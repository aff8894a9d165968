"""Classifiers as judges: the same answers as the bare model, for texts and for images, and what they see."""

import copy
import random

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from hf_augment.judges.classifier import ClassifierFeatures, ClassifierJudge, ImageClassifierJudge


WORDS = ["a", "dull", "bright", "film", "story", "very", "short", "long"]


@pytest.fixture(scope="module")
def tokenizer():
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


@pytest.fixture
def model():
    config = BertConfig(
        vocab_size=len(WORDS) + 2,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        num_labels=3,
        initializer_range=1.0,
    )
    return seeded(lambda: BertForSequenceClassification(config))


def image_model(channels, kind="resnet"):
    if kind == "vit":
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        config = ViTConfig(**sizes, image_size=8, patch_size=4, num_channels=channels, num_labels=3)
        config.initializer_range = 1.0
        return seeded(lambda: ViTForImageClassification(config))
    sizes = {"embedding_size": 4, "hidden_sizes": [6], "depths": [1], "layer_type": "basic"}
    config = ResNetConfig(**sizes, num_channels=channels, num_labels=3)
    return seeded(lambda: ResNetForImageClassification(config))


def processor(channels, mean=0.4):
    return ViTImageProcessor(do_resize=False, image_mean=[mean] * channels, image_std=[0.3] * channels)


def some_images(count, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, channels), dtype=np.uint8)


def texts(*values):
    return [{"text": value} for value in values]


def pictures(images):
    return [{"image": image, "label": 0} for image in images]


def logits_of(model, images):
    pixels = torch.from_numpy((images.transpose(0, 3, 1, 2) / 255 - 0.4) / 0.3).float()
    with torch.no_grad():
        return model.eval()(pixel_values=pixels).logits


def global_states():
    return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


def test_a_text_judge_is_the_softmax_of_the_model(model, tokenizer):
    values = ["a dull film", "bright", "a very very long story", "unknown words", "short film"]
    judge = ClassifierJudge(model.train(), tokenizer, max_length=4, batch_size=2)
    before = global_states()
    probabilities = judge(texts(*values))
    assert global_states() == before
    for text, row in zip(values, probabilities, strict=True):
        ids = [tokenizer.convert_tokens_to_ids(word) for word in text.split()][:4]
        logits = model(input_ids=torch.tensor([ids])).logits[0]
        np.testing.assert_allclose(row, logits.softmax(-1).detach(), atol=1e-6)
    assert probabilities.max() > 0.5  # not merely uniform
    assert judge([]).shape == (0, 3)


@pytest.mark.parametrize(("channels", "kind"), [(1, "resnet"), (3, "resnet"), (1, "vit"), (3, "vit")])
def test_an_image_judge_is_the_softmax_of_the_model(channels, kind):
    model, images = image_model(channels, kind), some_images(5, channels)
    judge = ImageClassifierJudge(model.train(), processor(channels), batch_size=2)
    before = global_states()
    probabilities = judge(pictures(images))
    assert global_states() == before
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, logits_of(model, images).softmax(-1), atol=1e-6)
    assert np.ptp(probabilities, axis=0).max() > 1e-3  # images make a difference
    assert judge([]).shape == (0, 3)


def test_images_of_few_pixels_are_not_taken_for_channels():
    # Guessing would take the three rows, or the three columns, for channels.
    for shape in [(3, 8, 1), (3, 8, 3), (8, 3, 1), (1, 3, 3)]:
        image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        model = image_model(shape[2])
        [row] = ImageClassifierJudge(model, processor(shape[2]))(pictures([image]))
        np.testing.assert_allclose(row, logits_of(model, image[None])[0].softmax(-1), atol=1e-6)


def test_pillow_images_and_grey_arrays_without_channels_are_read_alike():
    images = some_images(2, 1)
    judge = ImageClassifierJudge(image_model(1), processor(1), image_column="scan")
    expected = judge([{"scan": image} for image in images])
    for others in (images[:, :, :, 0], [Image.fromarray(image[:, :, 0]) for image in images]):
        np.testing.assert_array_equal(judge([{"scan": image} for image in others]), expected)


def test_a_model_in_half_precision_gets_its_own_type():
    model, images = image_model(3), some_images(4, 3)
    expected = ImageClassifierJudge(model, processor(3))(pictures(images))
    halved = ImageClassifierJudge(copy.deepcopy(model).bfloat16(), processor(3))(pictures(images))
    assert halved.dtype == np.float32
    np.testing.assert_allclose(halved, expected, atol=0.02)


def test_a_text_judge_has_its_own_tokenizer(model, tokenizer):
    judge = ClassifierJudge(model, tokenizer)
    before = judge(texts("a very long story"))
    mine = tokenizer.backend_tokenizer
    assert judge.tokenizer.backend_tokenizer is not mine
    mine.enable_truncation(1)
    np.testing.assert_array_equal(judge(texts("a very long story")), before)
    mine.no_truncation()


def test_the_classes_are_in_the_models_order(model, tokenizer):
    model.config.id2label = {2: "pos", 0: "neg", 1: "neutral"}
    assert ClassifierJudge(model, tokenizer).label_names == ("neg", "neutral", "pos")


def test_the_fingerprint_of_a_text_judge(model, tokenizer):
    judge = ClassifierJudge(model, tokenizer)
    fingerprint = judge.fingerprint()
    assert ClassifierJudge(copy.deepcopy(model), tokenizer, batch_size=1).fingerprint() == fingerprint
    assert ClassifierJudge(model, tokenizer, max_length=64).fingerprint() != fingerprint
    assert ClassifierJudge(model, tokenizer, text_column="review").fingerprint() != fingerprint
    more = copy.deepcopy(tokenizer)
    more.add_tokens(["dull film"])
    assert ClassifierJudge(model, more).fingerprint() != fingerprint
    model.classifier.bias.data[0] += 1
    assert judge.fingerprint() != fingerprint


def test_the_fingerprint_of_an_image_judge():
    model = image_model(1)
    judge = ImageClassifierJudge(model, processor(1))
    fingerprint = judge.fingerprint()
    judge(pictures(some_images(2, 1)))
    same = ImageClassifierJudge(copy.deepcopy(model), processor(1), batch_size=1)
    assert same.fingerprint() == judge.fingerprint() == fingerprint
    assert ImageClassifierJudge(model, processor(1, mean=0.5)).fingerprint() != fingerprint
    assert ImageClassifierJudge(model, processor(1), image_column="scan").fingerprint() != fingerprint
    assert ClassifierFeatures(judge).fingerprint() == f"features({fingerprint})"
    model.classifier[1].bias.data[0] += 1
    assert judge.fingerprint() != fingerprint


def test_features_times_the_last_weights_are_the_logits(model, tokenizer):
    judge = ClassifierJudge(model, tokenizer, batch_size=2)
    features = ClassifierFeatures(judge)
    values = texts("a dull film", "bright", "a very very long story")
    vectors = features(values)
    assert (vectors.shape, vectors.dtype) == ((3, 16), np.float32)
    logits = torch.from_numpy(vectors) @ model.classifier.weight.T + model.classifier.bias
    np.testing.assert_allclose(logits.softmax(-1).detach(), judge(values), atol=1e-6)
    assert features([]).shape == (0, 16)
    for kind, size in [("resnet", 6), ("vit", 16)]:
        model, images = image_model(1, kind), some_images(3, 1)
        vectors = ClassifierFeatures(ImageClassifierJudge(model, processor(1), batch_size=2))(pictures(images))
        assert vectors.shape == (3, size)
        head = [*model.modules()][-1]
        logits = torch.from_numpy(vectors) @ head.weight.T + head.bias
        np.testing.assert_allclose(logits.detach(), logits_of(model, images), atol=1e-5)


def test_features_leave_no_hook_behind(model, tokenizer):
    features = ClassifierFeatures(ClassifierJudge(model, tokenizer))
    features(texts("a dull film"))
    assert not model.classifier._forward_pre_hooks
    with pytest.raises(ValueError, match="`text_column` is 'text'"):
        features([{"review": "a dull film"}])
    assert not model.classifier._forward_pre_hooks


class WordByWord(torch.nn.Module):
    """A head that scores every token and returns the first one's logits."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(16, 3)

    def forward(self, pooled):
        return self.linear(pooled[:, None, :])[:, 0]


def test_models_without_such_a_head_are_named(model, tokenizer):
    model.classifier = WordByWord()
    features = ClassifierFeatures(ClassifierJudge(model, tokenizer))
    with pytest.raises(ValueError, match=r"one vector for each of 2 examples, but it reads \[\(2, 1, 16\)\]"):
        features(texts("a", "dull"))
    model.classifier = torch.nn.Bilinear(1, 1, 3)
    with pytest.raises(ValueError, match=r"a `torch.nn.Linear` with 3 outputs, but its linear layers have \[16, 16"):
        ClassifierFeatures(ClassifierJudge(model, tokenizer))


def test_wrong_arguments_are_named(model, tokenizer):
    with pytest.raises(ValueError, match="`max_length` must be a whole number of at least 1, but is 0"):
        ClassifierJudge(model, tokenizer, max_length=0)
    with pytest.raises(ValueError, match=r"`batch_size`.*2\.5"):
        ClassifierJudge(model, tokenizer, batch_size=2.5)
    with pytest.raises(ValueError, match=r"`batch_size`.*0"):
        ImageClassifierJudge(image_model(1), processor(1), batch_size=0)
    model.config.problem_type = "multi_label_classification"
    with pytest.raises(ValueError, match="problem_type='multi_label_classification'"):
        ClassifierJudge(model, tokenizer)


def test_wrong_images_are_named():
    judge = ImageClassifierJudge(image_model(1), processor(1))
    with pytest.raises(ValueError, match=r"`image_column` is 'image'.*\['label', 'scan'\]"):
        judge([{"scan": some_images(1, 1)[0], "label": 0}])
    with pytest.raises(ValueError, match="Row 1 is of type float64"):
        judge(pictures([some_images(1, 1)[0], np.zeros((8, 8, 1))]))


def test_of_independent_labels_sets_are_judged_by_their_share_of_the_product(tokenizer, model):
    labels, examples = ("dull", "long", "short"), [{"text": "a dull film"}, {"text": "a very long story"}]
    model.config.id2label, model.config.problem_type = dict(enumerate(labels)), "multi_label_classification"
    model.num_labels = model.config.num_labels
    model.classifier = seeded(lambda: torch.nn.Linear(16, 3))
    sets = ["none", "dull; long", "short", "dull"]
    judge = ClassifierJudge(model, tokenizer, label_sets=sets)
    assert judge.label_names == tuple(sets)
    model.eval()
    inputs = tokenizer([example["text"] for example in examples], padding=True, return_tensors="pt")
    p = torch.sigmoid(model(**inputs).logits).detach().numpy()
    product = np.stack(
        [
            (1 - p[:, 0]) * (1 - p[:, 1]) * (1 - p[:, 2]),
            p[:, 0] * p[:, 1] * (1 - p[:, 2]),
            (1 - p[:, 0]) * (1 - p[:, 1]) * p[:, 2],
            p[:, 0] * (1 - p[:, 1]) * (1 - p[:, 2]),
        ],
        axis=1,
    )
    np.testing.assert_allclose(judge(examples), product / product.sum(axis=1, keepdims=True), rtol=1e-5)
    assert judge.fingerprint() != ClassifierJudge(model, tokenizer, label_sets=sets[::-1]).fingerprint()
    with pytest.raises(ValueError, match="judges sets of them, if they are given as `label_sets`"):
        ClassifierJudge(model, tokenizer)
    with pytest.raises(ValueError, match=r"The set 'red' has the labels \['red'\], which are none of"):
        ClassifierJudge(model, tokenizer, label_sets=["red"])
