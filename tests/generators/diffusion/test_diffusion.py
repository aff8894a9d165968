"""Pipelines of diffusers as generators of images."""

import json
import random
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from hf_augment import AugmentingTrainer, AugmentingTrainingArguments, DiffusionGenerator, ImageCollator, ImageRows
from hf_augment.generators.diffusion.loading import card_licence, model_name
from hf_augment.images.forms import fit
from hf_augment.seeding import derive_seed
from hf_augment.study.arms import Given
from tests.tiny_diffusion import tiny_consistency_model, tiny_dit, tiny_stable_diffusion
from tests.toys import assert_equal_weights, weights


NAMES = ["cat", "dog"]
FEW_STEPS = {"num_inference_steps": 1, "guidance_scale": 0.0}


class Recorder:
    """A pipeline that draws noise, and keeps what it was called with."""

    def __init__(self, flags=(), **parts):
        self.components = parts
        self.calls, self.flags, self.active = [], list(flags), None

    def set_progress_bar_config(self, **options):
        self.progress_bar = options

    def set_adapters(self, name):
        self.active = name

    def __call__(
        self,
        prompt=None,
        height=16,
        num_inference_steps=4,
        guidance_scale=5.0,
        negative_prompt=None,
        timesteps=None,
        generator=None,
        output_type="pil",
        num_images_per_prompt=1,
    ):
        return self.answer(prompt, generator, locals())

    def answer(self, prompt, generator, arguments):
        assert arguments.pop("self") is self
        self.calls.append(arguments | {"adapter": self.active})
        images = np.stack([torch.rand(16, 16, 3, generator=rng).numpy() for rng in generator])
        flags = [self.flags.pop(0) if self.flags else False for _ in prompt]
        images[flags] = 0
        return SimpleNamespace(images=images, nsfw_content_detected=flags)


class ImageRecorder(Recorder):
    vae_scale_factor = 2
    default_sample_size = 16

    def __call__(
        self, prompt=None, image=None, strength=0.8, num_inference_steps=4, generator=None, output_type="pil"
    ):
        return self.answer(prompt, generator, locals())


def with_adapters(*names):
    part = torch.nn.Linear(1, 1)
    part.peft_config = dict.fromkeys(names)
    return Recorder(unet=part)


def rows(size=(8, 8), labels=(0, 0, 1, 1, 1), names=NAMES, channels=3):
    """Images of one colour each, by which a row is known."""
    shape = (*size, 3) if channels == 3 else size
    images = [np.full(shape, (10 + 40 * i) % 256, np.uint8) for i in range(len(labels))]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(names))})
    return datasets.Dataset.from_dict({"image": images, "label": list(labels)}, features=features)


def arrays(examples):
    return [example["image"].astype(int) for example in examples]


def levels(some, others):
    """The largest difference of a pixel."""
    return max(np.abs(a - b).max() for a, b in zip(arrays(some), arrays(others), strict=True))


@pytest.fixture(scope="module", name="stable_diffusion")
def one_pipeline():
    return tiny_stable_diffusion()


KINDS = {
    "text": lambda: DiffusionGenerator(tiny_stable_diffusion(), NAMES, 16, **FEW_STEPS),
    "guided": lambda: DiffusionGenerator(
        tiny_stable_diffusion(), NAMES, 16, negative_prompt="blurred", num_inference_steps=2, guidance_scale=2
    ),
    "image": lambda: DiffusionGenerator(
        tiny_stable_diffusion("StableDiffusionImg2ImgPipeline"),
        NAMES,
        16,
        dataset=rows(),
        strength=[0.5, 1],
        num_inference_steps=2,
        guidance_scale=0,
    ),
    "consistency": lambda: DiffusionGenerator(tiny_consistency_model(), NAMES, 16, num_inference_steps=2),
    "dit": lambda: DiffusionGenerator(tiny_dit(), NAMES, 16, num_inference_steps=2, guidance_scale=1),
}


@pytest.fixture(params=KINDS, name="made", scope="module")
def each_kind(request):
    return KINDS[request.param]()


class TestRealPipelines:
    def test_an_image_depends_on_its_company_by_rounding_alone(self, made):
        labels = [0, 1, 1, 0, 1, 0, 0, 0, 0, 1]
        whole = made.generate(labels, seed=3)
        for size in (1, 7):
            made.batch_size = size
            assert levels(made.generate(labels, seed=3), whole) <= 1
        made.batch_size = 8
        for place in (0, 4, 9):
            alone = [1 - label for label in labels[:place]] + [labels[place]]
            assert levels(made.generate(alone, seed=3)[-1:], whole[place : place + 1]) <= 1
        # The class, the seed and the place each matter.
        assert levels(whole[1:2], made.generate([0, 0], seed=3)[1:]) > 1
        assert levels(whole[:1], made.generate([0], seed=4)) > 10
        assert levels(whole[1:2], whole[2:3]) > 10

    def test_images_are_uint8_of_the_size_asked_for(self, made):
        (example,) = made.generate(np.array([1]), seed=0)
        assert (example["image"].shape, example["image"].dtype) == ((16, 16, 3), np.uint8)
        assert example["image"].std() > 5
        assert made.generate([], seed=0) == []
        assert made.columns == ("image",)

    def test_global_random_states_are_neither_read_nor_moved(self, made):
        states = random.getstate(), torch.get_rng_state(), np.random.get_state()
        first = made.generate([0, 1], seed=1)
        now = random.getstate(), torch.get_rng_state(), np.random.get_state()
        assert states[0] == now[0]
        assert torch.equal(states[1], now[1])
        assert np.array_equal(states[2][1], now[2][1])
        torch.manual_seed(1)
        # In training mode a transformer would drop labels at random.
        for part in made.pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.train()
        assert levels(made.generate([0, 1], seed=1), first) == 0

    def test_saved_and_loaded_it_is_the_same_generator(self, made, tmp_path):
        made.save_pretrained(tmp_path)
        options = {"dataset": rows()} if made.begins_from_images else {}
        loaded = DiffusionGenerator.from_pretrained(tmp_path, **options)
        assert type(loaded.pipeline) is type(made.pipeline)
        assert loaded.fingerprint() == made.fingerprint()
        assert levels(loaded.generate([0, 1], seed=5), made.generate([0, 1], seed=5)) == 0
        if made.begins_from_images:
            with pytest.raises(ValueError, match=r"dataset is missing: .* begins from images, which were not saved"):
                DiffusionGenerator.from_pretrained(tmp_path)


@pytest.mark.parametrize(("make", "options"), [(tiny_stable_diffusion, FEW_STEPS), (tiny_consistency_model, {})])
def test_half_precision_on_a_cpu_draws_much_the_same(make, options):
    found = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        pipeline = make().to(dtype=dtype)
        found.append(DiffusionGenerator(pipeline, NAMES, 16, **options))
    whole = found[0].generate([0, 1, 1], seed=0)
    for made in found[1:]:
        examples = made.generate([0, 1, 1], seed=0)
        assert np.abs(np.stack(arrays(examples)) - np.stack(arrays(whole))).mean() < 3
        made.batch_size = 1
        assert levels(made.generate([0, 1, 1], seed=0), examples) <= 3
    assert len({made.fingerprint() for made in found}) == 3


def test_grey_and_oblong_images(stable_diffusion):
    made = DiffusionGenerator(stable_diffusion, NAMES, (8, 12), num_channels=1, image_column="img", **FEW_STEPS)
    (example,) = made.generate([0], seed=0)
    assert example["img"].shape == (8, 12, 1)
    assert made.columns == ("img",)


def test_an_image_is_cut_to_the_proportions_and_resized_by_lanczos():
    image = np.random.default_rng(0).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    expected = Image.fromarray(image).resize((10, 10), Image.Resampling.LANCZOS, box=(12, 0, 52, 40))
    assert np.array_equal(fit(image, (10, 10)), np.asarray(expected))
    assert np.array_equal(fit(image, (40, 64)), image)
    grey = np.asarray(ImageOps.grayscale(Image.fromarray(image)))
    assert np.array_equal(fit(image, (40, 64), 1)[:, :, 0], grey)
    # Stripes of a pixel become their mean: nothing is left out.
    stripes = np.zeros((64, 64, 1), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(fit(stripes, (8, 8)).astype(int)[:, 1:-1] - 100).max() <= 1


class TestPrompts:
    def prompts(self, pipeline, labels, **options):
        DiffusionGenerator(pipeline, ["big_cat", "Dog"], 16, **options).generate(labels, seed=0)
        return [prompt for call in pipeline.calls for prompt in call["prompt"]]

    def test_names_are_words(self):
        assert self.prompts(Recorder(), [0, 1]) == ["a photo of a big cat", "a photo of a dog"]

    @pytest.mark.parametrize("prompts", [["<x>", "a {label} {}"], {"Dog": "a {label} {}", "big_cat": ["<x>"]}])
    def test_a_prompt_for_each_class(self, prompts):
        assert self.prompts(Recorder(), [1, 0], prompts=prompts) == ["a dog {}", "<x>"]

    def test_of_several_one_is_drawn_for_each_image(self):
        several = {"big_cat": ["a {label}", "two {label}s"], "Dog": "a dog"}
        found = self.prompts(Recorder(), [0] * 20 + [1], prompts=several)
        assert {"a big cat", "two big cats", "a dog"} == set(found)
        assert 3 < found.count("a big cat") < 17

    @pytest.mark.parametrize(
        ("prompts", "message"),
        [
            ("a photo", r"prompts asks for 'big_cat' and 'Dog' in the same words, 'a photo'.*write \{label\}"),
            ([["a", "b"], ["c", "b"]], "in the same words, 'b'"),
            (["a"], "prompts has 1 entries for 2 classes"),
            ({"big_cat": "a"}, r"prompts lacks \['Dog'\]"),
            ({"big_cat": "a", "Dog": "b", "fox": "c"}, r"has \['fox'\], which are no classes"),
            (["a", " "], "prompts has ' ' for 'Dog': give a text that is not empty"),
            (["a", []], r"prompts has \[\] for 'Dog'"),
        ],
    )
    def test_prompts_that_cannot_be(self, prompts, message):
        with pytest.raises(ValueError, match=message):
            DiffusionGenerator(Recorder(), ["big_cat", "Dog"], 16, prompts=prompts)

    def test_names_that_are_the_same_in_words(self):
        with pytest.raises(ValueError, match="'big_cat' and 'big-cat' in the same words"):
            DiffusionGenerator(Recorder(), ["big_cat", "big-cat"], 16)


class TestCalls:
    def test_a_call_has_one_prompt_and_a_generator_for_each_image(self):
        pipeline = Recorder()
        options = {"negative_prompt": "bad", "call_arguments": {"height": 32}, "num_inference_steps": 7}
        made = DiffusionGenerator(pipeline, NAMES, 16, batch_size=3, **options)
        labels = [0, 1, 0, 0, 0, 1]
        examples = made.generate(labels, seed=11)
        assert [call["prompt"] for call in pipeline.calls] == [
            ["a photo of a cat"] * 3,
            ["a photo of a cat"],
            ["a photo of a dog"] * 2,
        ]
        for call in pipeline.calls:
            assert call["negative_prompt"] == ["bad"] * len(call["prompt"])
            assert (call["height"], call["num_inference_steps"], call["guidance_scale"]) == (32, 7, 5.0)
            assert (call["output_type"], call["timesteps"], call["num_images_per_prompt"]) == ("np", None, 1)
        assert pipeline.progress_bar == {"disable": True}
        # In the order of the labels, each from its own seed.
        for place, example in enumerate(examples):
            rng = torch.Generator().manual_seed(derive_seed(11, "diffusion", place))
            drawn = torch.rand(16, 16, 3, generator=rng).numpy()
            assert np.array_equal(example["image"], (drawn * 255).round().astype(np.uint8))

    def test_many_classes_and_one(self):
        names = [f"thing {i}" for i in range(1000)]
        made = DiffusionGenerator(Recorder(), names, 16)
        assert len(made.generate([999, 0, 999], seed=0)) == 3
        assert DiffusionGenerator(Recorder(), ["cat"], 16, prompts="a photo").generate([0], 0)[0]["image"].any()
        numbers = DiffusionGenerator(tiny_consistency_model(1000), names, 16)
        alone = numbers.generate([999], seed=0)
        assert levels(numbers.generate([999, 0, 1, 2], seed=0)[:1], alone) <= 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"image_size": 4}, "`image_size` must be a whole number between 8 and 4096, but is 4"),
            ({"image_size": (16, 5000)}, "but is 5000"),
            ({"image_size": 16.0}, "a whole number"),
            ({"label_names": []}, r"label_names=\[\] must be different names"),
            ({"label_names": ["a", "a"]}, "must be different names"),
            ({"num_channels": 4}, "num_channels=4 must be 3 for RGB or 1 for grey"),
            ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1"),
            ({"num_inference_steps": 0}, "`num_inference_steps` must be a whole number of at least 1"),
            ({"guidance_scale": -1}, "`guidance_scale` must be a number of at least 0"),
            ({"call_arguments": {"heigth": 3}}, "call_arguments has 'heigth', which this pipeline does not take. It"),
            ({"call_arguments": {"generator": 3}}, "'generator', which comes from the seed"),
            ({"call_arguments": {"prompt": "a"}}, "'prompt', which comes from the argument of the generator"),
            ({"call_arguments": {"timesteps": np.ones(2)}}, "call_arguments must be JSON serialisable"),
            ({"negative_prompt": "bad", "guidance_scale": 1}, "negative_prompt='bad' has no effect with guidance_sca"),
            ({"class_ids": [1, 2]}, "class_ids was given, but a Recorder takes none"),
            ({"dataset": rows()}, "dataset was given, but a Recorder begins from no image: pass `AutoPipelineForIma"),
            ({"strength": 0.5}, "strength=0.5 is of images to begin from: pass them as `dataset`"),
            ({"init_size": 32}, "init_size=32 is of images to begin from"),
            ({"adapters": "a"}, r"adapters has 'a', but the pipeline has \[\]: call `pipeline.load_lora_weights"),
        ],
    )
    def test_arguments_that_cannot_be(self, options, message):
        with pytest.raises(ValueError, match=message):
            DiffusionGenerator(Recorder(), **{"label_names": NAMES, "image_size": 16, **options})

    @pytest.mark.parametrize("label", [-1, 2])
    def test_a_label_that_does_not_exist(self, label):
        with pytest.raises(ValueError, match=rf"labels has \[{label}\], but label_names has only 2"):
            DiffusionGenerator(Recorder(), NAMES, 16).generate([0, label], seed=0)


class TestPipelinesThatCannotBe:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda self, prompt=None, output_type="pil": 0, r"takes no \['generator'\]"),
            (lambda self, generator=None, output_type="pil": 0, "takes neither `prompt` nor `class_labels`"),
            (lambda self, prompt, mood, generator=None, output_type="pil": 0, r"call_arguments lacks \['mood'\]"),
        ],
    )
    def test_calls(self, call, message):
        kind = type("Odd", (Recorder,), {"__call__": call})
        with pytest.raises(ValueError, match=message):
            DiffusionGenerator(kind(), NAMES, 16)

    def test_no_pipeline(self):
        with pytest.raises(ValueError, match="pipeline='sd-turbo' is no pipeline of diffusers"):
            DiffusionGenerator("sd-turbo", NAMES, 16)

    def test_a_scheduler_that_draws_from_the_global_state(self):
        scheduler = SimpleNamespace(noise_sampler=None)
        with pytest.raises(ValueError, match=r"pipeline.scheduler=SimpleNamespace draws its noise from the global"):
            DiffusionGenerator(Recorder(scheduler=scheduler), NAMES, 16)

    def test_weights_that_are_not_in_memory(self):
        with pytest.raises(ValueError, match=r"pipeline.unet has no weights in memory"):
            DiffusionGenerator(Recorder(unet=torch.nn.Linear(1, 1, device="meta")), NAMES, 16)

    def test_pixels_that_are_no_numbers(self, stable_diffusion):
        broken = tiny_stable_diffusion()
        broken.vae.decoder.conv_out.bias.data.fill_(float("nan"))
        with pytest.raises(RuntimeError, match=r"drew pixels that are no numbers.*dtype=torch.float32"):
            DiffusionGenerator(broken, NAMES, 16, **FEW_STEPS).generate([0], seed=0)

    def test_guidance_of_a_transformer_with_few_classes(self):
        with pytest.raises(ValueError, match=r"guidance_scale=4.0 of a DiTPipeline takes class 1000 .* has 2 classes"):
            DiffusionGenerator(tiny_dit(), NAMES, 16)


class TestClassNumbers:
    def test_the_number_that_the_model_has(self):
        pipeline = tiny_consistency_model(5)
        made = DiffusionGenerator(pipeline, NAMES, 16, class_ids={"dog": 4, "cat": 1})
        other = DiffusionGenerator(pipeline, ["a", "b", "c", "d", "e"], 16)
        assert levels(made.generate([0, 1], seed=2), other.generate([1, 4], seed=2)) <= 1

    @pytest.mark.parametrize(
        ("classes", "options", "message"),
        [
            (5, {}, "class_ids is missing: the pipeline has 5 classes and label_names 2"),
            (5, {"class_ids": [1, 5]}, "`class_ids` must be a whole number between 0 and 4, but is 5"),
            (5, {"class_ids": [1, 1]}, r"class_ids=\[1, 1\] names a class twice"),
            (5, {"class_ids": [1]}, "class_ids has 1 entries for 2 classes"),
            (None, {}, r"has a model without classes \(num_class_embeds is None\)"),
            (2, {"prompts": "a {label}"}, "prompts was given, but a ConsistencyModelPipeline takes none"),
            (2, {"guidance_scale": 2}, "guidance_scale=2 is no argument of this pipeline"),
            (2, {"negative_prompt": "bad"}, "negative_prompt='bad' is no argument of this pipeline"),
        ],
    )
    def test_numbers_that_cannot_be(self, classes, options, message):
        with pytest.raises(ValueError, match=message):
            DiffusionGenerator(tiny_consistency_model(classes), NAMES, 16, **options)


class TestImages:
    def test_an_image_begins_from_a_row_of_its_class_at_a_strength_of_the_list(self):
        pipeline = ImageRecorder()
        made = DiffusionGenerator(pipeline, NAMES, 16, dataset=rows((8, 12)), strength=[0.25, 0.5])
        made.generate([0] * 12 + [1] * 12, seed=0)
        begun = {"a photo of a cat": set(), "a photo of a dog": set()}
        for call in pipeline.calls:
            for prompt, image in zip(call["prompt"], call["image"], strict=True):
                # The pipeline's 32 pixels for the shorter side, in whole latent pixels.
                assert (image.mode, image.size) == ("RGB", (48, 32))
                begun[prompt].add(image.getpixel((0, 0))[0])
        assert begun == {"a photo of a cat": {10, 50}, "a photo of a dog": {90, 130, 170}}
        assert {call["strength"] for call in pipeline.calls} == {0.25, 0.5}

    def test_a_size_of_ones_own_and_grey_rows(self):
        pipeline = ImageRecorder()
        DiffusionGenerator(pipeline, NAMES, 16, dataset=rows(channels=1), init_size=(24, 40)).generate([1], seed=0)
        (image,) = pipeline.calls[0]["image"]
        assert (image.mode, image.size, pipeline.calls[0]["strength"]) == ("RGB", (40, 24), 0.5)

    def test_one_prompt_for_all_tells_classes_apart_by_their_rows_unless_all_is_noise(self):
        DiffusionGenerator(ImageRecorder(), NAMES, 16, dataset=rows(), prompts="a photo")
        with pytest.raises(ValueError, match="in the same words"):
            DiffusionGenerator(ImageRecorder(), NAMES, 16, dataset=rows(), prompts="a photo", strength=[0.5, 1])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "dataset is missing: a ImageRecorder begins from images"),
            ({"dataset": rows(labels=[1, 1])}, r"dataset has no row of \['cat'\]"),
            ({"dataset": rows(names=["dog", "cat"])}, "The dataset's labels are"),
            ({"dataset": rows(), "image_column": "img"}, "image_column='img' is not a column of the dataset"),
            ({"dataset": rows(), "strength": 0}, "strength=0 of num_inference_steps=4 is no step at all"),
            ({"dataset": rows(), "strength": [0.5, 0.2]}, "strength=0.2 of num_inference_steps=4 is no step at all"),
            ({"dataset": rows(), "strength": 1.5}, "`strength` must be a number between 0 and 1, but is 1.5"),
            ({"dataset": rows(), "strength": []}, "strength is empty"),
            ({"dataset": rows(), "init_size": 3}, "`init_size` must be a whole number between 8"),
        ],
    )
    def test_what_cannot_be(self, options, message):
        with pytest.raises(ValueError, match=message):
            DiffusionGenerator(ImageRecorder(), NAMES, 16, **options)

    def test_a_pipeline_whose_size_nobody_knows(self):
        pipeline = ImageRecorder()
        pipeline.default_sample_size = None
        with pytest.raises(ValueError, match="init_size is missing"):
            DiffusionGenerator(pipeline, NAMES, 16, dataset=rows())


class TestAdapters:
    def test_each_class_is_drawn_with_its_own(self):
        pipeline = with_adapters("of_cats", "of_dogs")
        made = DiffusionGenerator(
            pipeline, NAMES, 16, prompts="a photo", adapters={"dog": "of_dogs", "cat": "of_cats"}
        )
        made.generate([1, 0, 1], seed=0)
        assert [(call["adapter"], len(call["prompt"])) for call in pipeline.calls] == [("of_dogs", 2), ("of_cats", 1)]
        one = DiffusionGenerator(pipeline, NAMES, 16, adapters="of_dogs")
        one.generate([0], seed=0)
        assert pipeline.calls[-1]["adapter"] == "of_dogs"
        assert one.fingerprint() != made.fingerprint()

    def test_adapters_that_nobody_named(self):
        with pytest.raises(ValueError, match=r"adapters is missing: the pipeline has \['a', 'b'\]"):
            DiffusionGenerator(with_adapters("a", "b"), NAMES, 16)
        with pytest.raises(ValueError, match=r"adapters has 'c', but the pipeline has \['a'\]"):
            DiffusionGenerator(with_adapters("a"), NAMES, 16, adapters=["a", "c"])
        pipeline = with_adapters()
        made = DiffusionGenerator(pipeline, NAMES, 16)
        pipeline.components["unet"].peft_config["late"] = None
        with pytest.raises(RuntimeError, match=r"The adapters \['late'\] were loaded after the generator was made"):
            made.generate([0], seed=0)

    # peft says so at the second of any adapters.
    @pytest.mark.filterwarnings("ignore:Already found a `peft_config` attribute:UserWarning")
    def test_real_ones(self, tmp_path):
        pipeline = tiny_stable_diffusion()
        plain = DiffusionGenerator(pipeline, NAMES, 16, **FEW_STEPS).generate([0, 1], seed=0)
        rng = torch.Generator().manual_seed(0)
        layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_v.lora"
        for name, size in (("cat", 0.0), ("dog", 30.0)):
            matrices = torch.randn(2, 2, 8, generator=rng) * size
            lora = {f"{layer}_A.weight": matrices[0], f"{layer}_B.weight": matrices[1].T.contiguous()}
            pipeline.load_lora_weights(lora, adapter_name=name)
        made = DiffusionGenerator(pipeline, NAMES, 16, adapters=NAMES, **FEW_STEPS)
        found = made.generate([0, 1], seed=0)
        assert levels(found[:1], plain[:1]) <= 1
        assert levels(found[1:], plain[1:]) > 10
        assert levels(made.generate([1, 1], seed=0)[1:], found[1:]) <= 1
        with pytest.raises(ValueError, match=r"The pipeline has the adapters \['cat', 'dog'\], which would be saved"):
            made.save_pretrained(tmp_path)


class TestSafetyChecker:
    def test_a_flagged_image_is_drawn_again_from_another_seed(self):
        plain = DiffusionGenerator(Recorder(), NAMES, 16).generate([0, 0, 0], seed=0)
        pipeline = Recorder(flags=[False, True, False, True, False])
        found = DiffusionGenerator(pipeline, NAMES, 16).generate([0, 0, 0], seed=0)
        assert [len(call["prompt"]) for call in pipeline.calls] == [3, 1, 1]
        assert levels(found[::2], plain[::2]) == 0
        assert found[1]["image"].any()
        assert levels(found[1:2], plain[1:2]) > 10

    def test_what_is_always_flagged_is_an_error(self):
        pipeline = Recorder(flags=[True] * 100)
        with pytest.raises(RuntimeError, match=r"flagged 10 images in a row of 'dog' \('a photo of a dog'\).*None"):
            DiffusionGenerator(pipeline, NAMES, 16).generate([1], seed=0)
        assert len(pipeline.calls) == 10


class TestFingerprint:
    def test_it_changes_with_what_is_drawn_and_with_nothing_else(self, stable_diffusion):
        def of(pipeline=stable_diffusion, **options):
            return DiffusionGenerator(pipeline, NAMES, **{"image_size": 16, **FEW_STEPS, **options}).fingerprint()

        import diffusers

        other = tiny_stable_diffusion(scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1))
        found = [
            of(),
            of(tiny_stable_diffusion(seed=1)),
            of(other),
            of(prompts="a {label}"),
            of(num_inference_steps=2),
            of(guidance_scale=2),
            of(guidance_scale=2, negative_prompt="bad"),
            of(call_arguments={"height": 32}),
            of(image_size=(16, 17)),
            of(image_column="img"),
            of(num_channels=1),
            of(batch_size=1),
        ]
        assert len(set(found)) == len(found)
        assert of() == of(tiny_stable_diffusion()) == of(name="another", licence="mit")

    def test_a_learned_token(self):
        made, pipeline = [], tiny_stable_diffusion()
        for token in ("<x>", "<y>"):
            pipeline.load_textual_inversion(torch.ones(8), token=token)
            made.append(DiffusionGenerator(pipeline, NAMES, 16, prompts=["a <x>", "a dog"], **FEW_STEPS))
            made[-1].fingerprint()
        assert made[0].fingerprint() != made[1].fingerprint()

    def test_rows_and_strengths(self):
        def of(**options):
            return DiffusionGenerator(ImageRecorder(), NAMES, 16, **{"dataset": rows(), **options}).fingerprint()

        changed = [{}, {"strength": 0.75}, {"strength": [0.5, 0.75]}, {"init_size": 16}, {"dataset": rows((9, 9))}]
        changed.append({"dataset": rows(labels=(0, 1, 1, 1, 1))})
        assert len({of(**options) for options in changed}) == len(changed)
        assert of() == of(strength=[0.5])


class TestLoading:
    def test_a_plain_pipeline(self, stable_diffusion, tmp_path):
        stable_diffusion.save_pretrained(tmp_path / "sd")
        (tmp_path / "sd/README.md").write_text("---\nlicense: openrail++\n---\n# A model\n")
        made = DiffusionGenerator.from_pretrained(tmp_path / "sd", NAMES, 16, **FEW_STEPS)
        here = DiffusionGenerator(stable_diffusion, NAMES, 16, **FEW_STEPS)
        assert levels(made.generate([0, 1], seed=0), here.generate([0, 1], seed=0)) == 0
        # No place on this machine.
        assert made.models == ("sd (licence openrail++)",)
        assert Given(made).models == made.models
        assert here.models == ("StableDiffusionPipeline (licence unknown)",)
        made.save_pretrained(tmp_path / "saved")
        assert str(tmp_path) not in (tmp_path / "saved/generator_config.json").read_text()
        begun = DiffusionGenerator.from_pretrained(
            tmp_path / "sd", NAMES, 16, dataset=rows(), num_inference_steps=2, guidance_scale=0
        )
        assert type(begun.pipeline).__name__ == "StableDiffusionImg2ImgPipeline"
        assert Given(begun).learns
        assert not Given(made).learns
        for missing in ({"label_names": NAMES}, {"image_size": 16}, {}):
            with pytest.raises(ValueError, match="label_names and image_size are both needed"):
                DiffusionGenerator.from_pretrained(tmp_path / "sd", **missing)

    def test_what_cannot_be_reached_says_so_at_once(self, tmp_path):
        with pytest.raises(OSError, match=r"(?s)name_or_path='nobody/nothing' could not be loaded.*Pass the path"):
            DiffusionGenerator.from_pretrained("nobody/nothing", NAMES, 16)
        with pytest.raises(OSError, match="'nobody/nothing' could not be loaded"):
            DiffusionGenerator.from_pretrained("nobody/nothing")
        with pytest.raises(OSError, match=r"(?s)could not be loaded.*model_index.json"):
            DiffusionGenerator.from_pretrained(tmp_path, NAMES, 16)

    def test_weights_in_pickle_and_foreign_indices_are_refused(self, stable_diffusion, tmp_path):
        stable_diffusion.save_pretrained(tmp_path)
        weights_of_unet = tmp_path / "unet/diffusion_pytorch_model.safetensors"
        kept = weights_of_unet.rename(tmp_path / "kept.safetensors")
        torch.save({}, weights_of_unet.with_suffix(".bin"))
        with pytest.raises(OSError, match=r"unet has weights only in diffusion_pytorch_model.bin"):
            DiffusionGenerator.from_pretrained(tmp_path, NAMES, 16)
        index = {"metadata": {}, "weight_map": {"a": "../kept.safetensors"}}
        (tmp_path / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
        weights_of_unet.with_suffix(".bin").unlink()
        with pytest.raises(ValueError, match=f"names '../{kept.name}', which leads out of its folder"):
            DiffusionGenerator.from_pretrained(tmp_path, NAMES, 16)

    def test_code_of_a_repository_is_not_run(self, stable_diffusion, tmp_path):
        stable_diffusion.save_pretrained(tmp_path)
        (tmp_path / "pipeline.py").write_text("raise SystemExit('ran')\n")
        index = json.loads((tmp_path / "model_index.json").read_text())
        (tmp_path / "model_index.json").write_text(json.dumps(index | {"_class_name": ["pipeline", "Mine"]}))
        with pytest.raises((OSError, ValueError), match="trust_remote_code"):
            DiffusionGenerator.from_pretrained(tmp_path, NAMES, 16)

    def test_names_and_licences(self, tmp_path):
        cached = tmp_path / "models--org--name/snapshots/abc"
        cached.mkdir(parents=True)
        assert model_name(str(cached)) == "org/name"
        assert model_name("org/name") == "org/name"
        assert card_licence(str(cached)) is None
        (cached / "README.md").write_text("---\nlicense: [\n---\n")
        assert card_licence(str(cached)) is None
        assert card_licence("nobody/nothing", local_only=True) is None


@pytest.mark.slow
def test_a_run_that_was_interrupted_and_one_that_was_not_are_equal(tmp_path, stable_diffusion):
    from transformers import ViTImageProcessor

    from hf_augment import SmallResNetForImageClassification
    from tests.training.test_interruption import StopAt

    def train(name, resume=None, **options):
        torch.manual_seed(0)
        args = AugmentingTrainingArguments(
            str(tmp_path / name),
            per_device_train_batch_size=4,
            num_train_epochs=2,
            save_steps=2,
            logging_steps=2,
            synthetic_shard_size=4,
            report_to="none",
            use_cpu=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        trainer = AugmentingTrainer(
            SmallResNetForImageClassification.build(NAMES, width=8),
            args,
            train_dataset=ImageRows(rows(size=(32, 32), labels=[0, 1] * 6)),
            data_collator=ImageCollator(ViTImageProcessor(do_resize=False)),
            generator=DiffusionGenerator(stable_diffusion, NAMES, 32, **FEW_STEPS),
            **options,
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole, cut = train("whole"), train("cut", callbacks=[StopAt(2)])
    resumed = train("cut", resume=True)
    assert resumed.state.global_step == whole.state.global_step > cut.state.global_step == 2
    assert_equal_weights(weights(resumed.model), weights(whole.model))
    assert resumed.shards.dataset().to_dict() == whole.shards.dataset().to_dict()
    assert len(whole.shards.dataset()) > 0
