"""Image studies as far as they go without training: arguments, arms, checks, classic augmentation."""

import dataclasses
import json
import shutil

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import pipeline

from hf_augment import AugmentingTrainingArguments
from hf_augment.images.arrays import image_arrays
from hf_augment.seeding import isolated_rng
from hf_augment.study.image import ImageFilters, write_samples
from hf_augment.study.image_classifier import CLASSIC, ImageClassifier
from hf_augment.study.image_settings import ImageExperimentArguments
from hf_augment.study.image_sources import TrainedDCGAN
from hf_augment.study.split import REFERENCE
from recipes.cifar10 import build
from tests.toys import IMAGE, assert_equal_weights, weights


NAMES = ["cool", "warm"]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def save(path, labels, size=(32, 32), channels=3, seed=0):
    pictures = np.random.default_rng(seed).integers(0, 256, (len(labels), *size, channels), dtype=np.uint8)
    columns = {"img": [picture.squeeze() for picture in pictures], "label": labels}
    features = {"img": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)}
    path.parent.mkdir(exist_ok=True)
    datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(path)


@pytest.fixture
def make(tmp_path):
    """The recipe's study of images in a folder, with arguments of both kinds."""

    def study(train=None, test=None, **arguments):
        save(tmp_path / "pets/train.parquet", **({"labels": [0, 1] * 10} | (train or {})))
        save(tmp_path / "pets/test.parquet", **({"labels": [0, 1] * 3, "seed": 1} | (test or {})))
        given = {"use_cpu": True, "remove_unused_columns": False, "per_device_train_batch_size": 4}
        known = {field.name for field in dataclasses.fields(AugmentingTrainingArguments)}
        given |= {name: arguments.pop(name) for name in known & set(arguments)}
        tiny = {"dataset": str(tmp_path / "pets"), "width": 2, "generator_width": 2, "generator_batch_size": 4}
        training = AugmentingTrainingArguments(str(tmp_path / "run"), **given)
        return build(ImageExperimentArguments(**(tiny | arguments)), training)

    return study


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classic": ["crop", "crop"]}, r"classic=\['crop', 'crop'\] and generators=\['trained'\] name an arm twice"),
        ({"processes": 0}, "processes=0 must be 1 or more"),
        ({"robustness_rows": -1}, "robustness_rows=-1 must be 0 or more"),
        ({"classic": ["crop", "mixup"]}, r"classic has \['mixup'\], which is none of \['crop', 'flip_crop', 'rand"),
        ({"model": "resnet50"}, "model='resnet50' must be 'small_resnet18'; its width is free"),
        ({"width": 3}, "width=3 must be an even number, 2 or more"),
        ({"width": 0}, "width=0 must be an even number"),
        ({"image_size": 0}, "image_size=0 must be 1 or more"),
        ({"quality_per_class": 1}, "quality_per_class=1 must be 2 or more, or 0 for none"),
        ({"quality_per_class": -1}, "quality_per_class=-1 must be 2 or more"),
        ({"quality_steps": -1}, "quality_steps=-1 must be 0 or more"),
        ({"generators": ["trained"], "classic": ["trained"]}, "name an arm twice"),
        ({"seeds": 0}, "seeds=0 must be 1 or more"),
        ({"splits": 0}, "splits=0 must be 1 or more"),
        ({"splits": 2}, "splits=2 needs train_per_class"),
        ({"judge_folds": 1}, "judge_folds=1 must be 2 or more"),
        ({"min_label_probability": 1.5}, r"min_label_probability=1.5 must be in \[0, 1\]"),
        ({"pseudo_label_share": 0}, r"pseudo_label_share=0 must be in \(0, 1\]"),
    ],
)
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageExperimentArguments(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"generators": ["instruct"]}, r"generators has \['instruct'\]\. There are real, trained"),
        ({"train": {"labels": [0] * 20}}, "The training set has 0 rows of 'warm', but there must be 1 of every class"),
        ({"train": {"labels": [0] * 19 + [1]}}, "The training set has 1 rows of 'warm', but there must be 2"),
        ({"train_per_class": 4, "judge_folds": 5}, "The training set has 4 rows of 'cool', but there must be 5"),
        ({"train_per_class": 11}, "train_per_class=11 is more than the 10 rows of 'cool'"),
        (
            {"test": {"labels": [0], "size": (24, 32)}},
            r"The images of 'test' have shape \(24, 32, 3\), those of the tr",
        ),
        ({"test": {"labels": [0], "channels": 1}}, r"The images of 'test' have shape \(32, 32, 1\)"),
        (
            {"train": {"size": (28, 28)}, "test": {"size": (28, 28)}},
            "For the generator, image_size=28 must be 32 or 64",
        ),
        ({"image_size": 16}, "For the generator, image_size=16 must be 32 or 64"),
        (
            {"train": {"size": (32, 40)}, "test": {"size": (32, 40)}},
            "For the generator, image_size must be 32 or 64, .* these are 32×40",
        ),
        ({"generator_batch_size": 21}, "generator_batch_size=21 on 1 processes is more than the 20 labelled images"),
        ({"generator_batch_size": 1}, "For the generator, per_device_train_batch_size=1 must be 2 or more"),
        ({"generator_loss": "wgan"}, r"For the generator, loss='wgan' must be one of \['bce', 'hinge'\]"),
        ({"generator_ema_decay": 1.0}, r"For the generator, ema_decay=1.0 must be in \[0, 1\)"),
        ({"generator_diff_augment": ["blur"]}, r"For the generator, diff_augment=\['blur'\] must be some of"),
        ({"generator_latent_size": 0}, "For the generator, latent_size=0 must be 1 or more"),
        ({"generator_width": 0}, "For the generator, width=0 must be 1 or more"),
        ({"generator_style_rows": 5}, "trained has style_rows=5, and there are no rows without labels: pass unlab"),
        ({"generator_style_rows": -1}, "trained has style_rows=-1: it must be 0 or more"),
        ({"generators": ["real"]}, r"not among the labelled ones, and of these there are \{'cool': 0, 'warm': 0\}"),
        ({"synthetic_ratio": 0.0}, "synthetic_ratio=0 leaves nothing to compare: pass a share above 0"),
        ({"synthetic_ratio": 0.9}, "synthetic_ratio=0.9 leaves batches of 4 without a real row"),
        ({"synthetic_ratio": 0.001}, "synthetic_ratio=0.001 leaves no synthetic row"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_trained(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_a_stage_is_of_the_rows_it_was_done_with(make):
    def result(study):
        identity = study.arm_identity(study.arms["baseline"])
        return study.split(0).stage("stage", identity, lambda folder: {"rows": len(study.data.train)})

    assert result(make()) == result(make()) == {"rows": 20}
    # The same path, as many rows.
    for changed, name in (
        ({"train": {"labels": [1, 0] * 10}}, "train"),
        ({"train": {"seed": 2}}, "train"),
        ({"test": {"labels": [1, 0] * 3, "seed": 1}}, "test"),
    ):
        with pytest.raises(ValueError, match=f"was made with contents of {name}='[0-9a-f]{{16}}', and now it is"):
            result(make(**changed))


def test_a_run_depends_on_the_checkpoints_that_decide_which_weights_are_kept(make):
    watched = {"eval_strategy": "steps", "eval_steps": 5, "save_steps": 5, "curve_rows": 4, "train_per_class": 4}
    plain, best = (make(**watched, load_best_model_at_end=best) for best in (False, True))
    plain, best = (study.arm_identity(study.arms[REFERENCE]) for study in (plain, best))
    assert not {"save_steps", "save_strategy"} & set(plain)
    assert (best["save_steps"], best["save_strategy"]) == ("5", "steps")


def test_without_a_generator_any_size_and_ratio_will_do(make):
    oblong = {"labels": [0, 1] * 2, "size": (20, 28)}
    study = make(oblong, oblong, generators=[], synthetic_ratio=0.0, image_size=None)
    assert study.data.train.features["image"].shape == (20, 28, 3)
    assert list(study.arms) == ["baseline", "baseline_same_steps", "flip_crop"]
    images = image_arrays(study.data.train)
    batch = study.classifier.collator("flip_crop")([{"image": image, "label": 0} for image in images])
    assert batch["pixel_values"].shape == (4, 3, 20, 28)


def test_batches_of_one_image_without_a_generator(make):
    few = {"labels": [0, 1] * 2}
    batches = {
        "seeds": 1,
        "per_device_train_batch_size": 1,
        "num_train_epochs": 1,
        "save_strategy": "no",
        "report_to": "none",
    }
    study = make(few, few, generators=[], classic=["flip_crop"], dataloader_pin_memory=False, **batches)
    study.run()
    study.report()
    results = json.loads((study.folder / "report/results.json").read_text())
    # The arms have as many steps as with a generator.
    arms = [(run["arm"], run["steps"]) for run in results["runs"]]
    assert arms == [("baseline", 4), ("baseline_same_steps", 7), ("flip_crop", 7)]
    again = make(few, few, generators=[], classic=["flip_crop"], dataloader_pin_memory=False, **batches)
    again.run()
    names = [f"split-0/{arm}-0" for arm, _ in arms]
    assert (study.stages.reused, again.stages.reused) == ([], names)


def test_the_arms(make):
    generators = ["trained", "trained_unfiltered", "trained_guarded", "real"]
    watched = {"eval_strategy": "steps", "eval_steps": 5, "curve_rows": 4}
    study = make(classic=["crop", "augmix"], generators=generators, train_per_class=4, **watched)
    told = {
        name: (arm.source and arm.source.name, arm.filtered, arm.guarded, arm.augment, arm.same_steps)
        for name, arm in study.arms.items()
    }
    assert told == {
        "baseline": (None, False, False, None, False),
        "baseline_same_steps": (None, False, False, None, True),
        "crop": (None, False, False, "crop", True),
        "augmix": (None, False, False, "augmix", True),
        "trained": ("trained", True, False, None, True),
        "trained_crop": ("trained", True, False, "crop", True),
        "trained_augmix": ("trained", True, False, "augmix", True),
        "trained_unfiltered": ("trained", False, False, None, True),
        "trained_guarded": ("trained", True, True, None, True),
        "real": ("real", False, False, None, True),
    }
    assert [source.name for source in study.sources()] == ["trained", "real"]
    # 20 rows in batches of 4, of which 2 are synthetic, three times.
    assert study.augmented_steps(20) == 30


def test_the_ceiling_has_rows_of_its_own(make):
    study = make(generators=["real"], classic=[], train_per_class=4)
    split = study.split(1)
    used = {image.tobytes() for image in image_arrays(split.train)}
    drawn = study.arms["real"].source.open(split).generate([0, 1] * 6, seed=0)
    assert len({example["image"].tobytes() for example in drawn}) == 12
    assert used.isdisjoint(example["image"].tobytes() for example in drawn)


def test_an_image_that_is_there_twice_is_one_row(make, tmp_path):
    save(tmp_path / "again.parquet", [0, 1] * 10)
    double = datasets.concatenate_datasets([datasets.Dataset.from_parquet(str(tmp_path / "again.parquet"))] * 2)
    study = make()
    assert len(study.data.train) == 20
    double.to_parquet(tmp_path / "pets/train.parquet")
    args = ImageExperimentArguments(dataset=str(tmp_path / "pets"), generator_batch_size=8)
    assert len(build(args, study.training).data.train) == 20


def changed(one, other):
    """The names by which two identities differ."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


@pytest.mark.parametrize(
    ("argument", "classifier", "baseline", "generator", "arm"),
    [
        ({"learning_rate": 0.5}, {"learning_rate"}, {"learning_rate"}, set(), {"learning_rate"}),
        ({"generator_learning_rate": 0.5}, set(), set(), {"trained.learning_rate"}, {"trained.learning_rate"}),
        ({"generator_latent_size": 3}, set(), set(), {"trained.latent_size"}, {"trained.latent_size"}),
        ({"synthetic_weight": 0.5}, set(), set(), set(), {"synthetic_weight"}),
        ({"min_copy_distance": 0.5}, set(), set(), set(), {"filters.min_copy_distance"}),
        ({"robustness_rows": 2}, set(), {"robustness_rows"}, set(), {"robustness_rows"}),
        ({"width": 4}, {"width"}, {"width"}, set(), {"width"}),
        ({"seed": 1}, {"seed"}, {"seed"}, {"seed"}, {"seed"}),
        ({"test": {"labels": [1, 0] * 3}}, set(), {"contents of test"}, set(), {"contents of test"}),
        *(
            (argument, set(), set(), set(), set())
            for argument in (
                {"seeds": 2},
                {"classic": []},
                {"quality_per_class": 7},
                {"generator_save_steps": 9},
                {"generator_sample_steps": 9},
                {"cuda_graph": True},
                {"quality_steps": 9},
                {"logging_steps": 3},
                {"per_device_eval_batch_size": 3},
                {"save_steps": 9},
                {"synthetic_producer": "inline"},
                {"run_name": "another"},
            )
        ),
    ],
)
def test_a_stage_is_what_it_depends_on(make, argument, classifier, baseline, generator, arm):
    told = []
    for study in (make(), make(**argument)):
        trained = study.arms["trained"]
        learned = study.rows_identity | study.device_identity | trained.source.identity()
        parts = (study.classifier_identity, study.run_identity, learned)
        told.append((*parts, study.arm_identity(trained)))
    assert [changed(one, other) for one, other in zip(*told, strict=True)] == [classifier, baseline, generator, arm]


def test_random_weights_are_of_the_seed(make):
    classifier = make().classifier
    first, again, other = (classifier.new_model(seed) for seed in (1, 1, 2))
    assert_equal_weights(weights(first), weights(again))
    assert not torch.equal(first.timm_model.conv1.weight, other.timm_model.conv1.weight)
    assert first.config.id2label == dict(enumerate(NAMES))


def test_the_rest_is_what_a_split_leaves(make):
    split = make(train_per_class=3).split(0)
    used = {image.tobytes() for image in image_arrays(split.train)}
    rest = [image.tobytes() for image in image_arrays(split.rest)]
    assert (len(used), len(rest)) == (6, 14)
    assert used.isdisjoint(rest)


def test_a_dcgan_learns_beside_images_without_labels(make):
    learned, rejected = {}, {}
    for rows in (0, 4, 99):
        options = {"generator_style_rows": rows, "generator_num_train_epochs": 1.0, "min_label_probability": 0.0}
        study = make(train_per_class=3, seeds=1, max_steps=2, **options)
        split, source = study.split(0), study.arms["trained"].source
        assert len(split.unlabelled) == 14
        # A batch of the 6 labelled images.
        assert source.learned(split)["steps"] == 1
        learned[rows] = source.open(split).fingerprint()
        # What it has learned it may repeat, and the filter of copies knows it.
        copies = ImageFilters(min_label_probability=0.0)(split, source, None)[0]
        others = image_arrays(split.unlabelled)
        known = copies.judge([{"image": image} for image in others], [0] * len(others))
        rejected[rows] = sum(not verdict.accepted for verdict in known)
        shutil.rmtree(study.folder)
    assert len(set(learned.values())) == 3
    assert rejected[0] < rejected[99] == 14
    assert rejected[4] >= 4


def test_a_dcgan_that_learned_beside_other_images_is_not_gone_on_with(make, monkeypatch):
    monkeypatch.setattr(TrainedDCGAN, "train", lambda self, split, folder: {"steps": 1})

    def learned(style_rows, **watched):
        study = make(train_per_class=3, generator_style_rows=style_rows, **watched)
        return study.arms["trained"].source.learned(study.split(0))

    watched = {"eval_strategy": "steps", "eval_steps": 1, "curve_rows": 4}
    assert learned(4) == learned(4)
    with pytest.raises(ValueError, match="curve_rows='none, by eval_strategy=no', and now it is '4'"):
        learned(4, **watched)
    shutil.rmtree(make().folder)
    # Without them it depends on the labelled ones alone.
    assert learned(0) == learned(0, **watched)


@pytest.mark.parametrize("name", CLASSIC)
@pytest.mark.parametrize("channels", [1, 3])
def test_classic_augmentation(make, name, channels):
    # A ramp from left to right on a black ground, of which a mirror image rises to the left.
    image = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, :, None] * 8, (32, 32, channels)).copy()
    rows = [{"image": image, "label": 1}] * 40
    data = {"labels": [0, 1] * 10, "channels": channels}
    collator = make(data, data).classifier.collator(name)
    with isolated_rng(0):
        first = collator(rows)["pixel_values"]
    with isolated_rng(0):
        again = collator(rows)["pixel_values"]
    assert first.shape == (40, channels, 32, 32)
    assert torch.equal(first, again)
    assert first.min() >= -1
    assert first.max() <= 1
    # 81 places at most, so a few of 40 are the same.
    assert len({row.numpy().tobytes() for row in first}) > 20
    mirrored = (first[:, :, 8:24, 8].mean((1, 2)) > first[:, :, 8:24, 24].mean((1, 2))).float().mean().item()
    if name == "crop":
        assert mirrored == 0
    elif name == "flip_crop":
        assert 0.25 < mirrored < 0.75
    # What is tested on is left alone.
    plain = make(data, data).classifier.collator(None)(rows)["pixel_values"]
    assert torch.equal(plain, plain[:1].expand_as(plain))


def test_samples_are_drawn_of_every_class(make, tmp_path):
    class Painter:
        def generate(self, labels, seed):
            return [{"image": np.zeros((32, 32, 3), np.uint8)} for _ in labels]

    write_samples(tmp_path / "new/samples.png", make().split(0), Painter())
    assert (tmp_path / "new/samples.png").read_bytes().startswith(b"\x89PNG")


def test_a_classifier_of_another_shape_is_refused():
    rows = IMAGE.rows(4)
    height, width, channels = image_arrays(rows)[0].shape
    ImageClassifier(["a", "b"], (height, width, channels), width=2).check("train", rows)
    with pytest.raises(ValueError, match=r"shape=\(99, 99, 3\) is not that of the images of train"):
        ImageClassifier(["a", "b"], (99, 99, 3), width=2).check("train", rows)
    for shape in ((32, 32), (3, 32, 32)):
        with pytest.raises(ValueError, match=r"must be \(height, width, channels\), with 1 or 3 channels"):
            ImageClassifier(["a", "b"], shape, width=2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["network", "pixels"])
def test_a_saved_model_classifies_files_of_any_size_as_it_does_images(tmp_path, channels, kind):
    """`transformers.pipeline` opens every file as RGB."""
    classifier = ImageClassifier(["cat", "dog"], (16, 12, channels), width=8)
    model = classifier.new_model(0) if kind == "network" else classifier.frozen(0)
    with isolated_rng(0), torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    classifier.save(model.eval(), tmp_path / "model")
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (16, 12, channels), dtype=np.uint8)
    expected = classifier.judge(model)([{"image": image}])[0]
    Image.fromarray(image[:, :, 0] if channels == 1 else image).save(tmp_path / "same.png")
    classify = pipeline("image-classification", model=str(tmp_path / "model"), device="cpu")
    found = {one["label"]: one["score"] for one in classify(str(tmp_path / "same.png"))}
    np.testing.assert_allclose([found["cat"], found["dog"]], expected, atol=1e-5)
    Image.fromarray(np.kron(image[:, :, 0], np.ones((5, 5), np.uint8))).save(tmp_path / "large.png")
    assert sum(one["score"] for one in classify(str(tmp_path / "large.png"))) == pytest.approx(1)
