"""What the trainer relies on, of every generator there is."""

import threading

import datasets
import numpy as np
import pytest
import torch

from hf_augment import (
    CausalLMGenerator,
    DatasetGenerator,
    DCGANConfig,
    DCGANGenerator,
    DiffusionGenerator,
    Endpoint,
    EndpointGenerator,
    GeneratorEnsemble,
    InstructPrompt,
    LabelPrompt,
    SamplingConfig,
)
from hf_augment.generators.cached import CachedGenerator
from hf_augment.training.checks import check_generator
from tests.tiny import tiny_causal_lm, tiny_tokenizer
from tests.tiny_diffusion import tiny_consistency_model, tiny_dit, tiny_stable_diffusion
from tests.toy_server import ToyServer, serving


NAMES = ["negative", "positive"]
LABELS = [0, 1, 1, 0, 1]


def language_model(prompt=None, **settings):
    tokenizer, sampling = tiny_tokenizer(), SamplingConfig(**{"max_new_tokens": 4, **settings})
    return CausalLMGenerator(tiny_causal_lm(tokenizer), tokenizer, NAMES, prompt or LabelPrompt(), sampling=sampling)


def instructed(**options):
    template = "Write one {label} text:"
    return language_model(InstructPrompt.for_labels(NAMES, template=template, **options), max_new_tokens=16)


def images(seed=0):
    torch.manual_seed(seed)
    shape = {"image_size": 32, "width": 8, "latent_size": 8}
    return DCGANGenerator(
        DCGANConfig(**shape, id2label=dict(enumerate(NAMES)), label2id={"negative": 0, "positive": 1})
    )


def rows(texts="ab"):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=NAMES)})
    values = {"text": [f"{text} {i}" for text in texts for i in range(9)], "label": [0] * 9 + [1] * 9}
    return DatasetGenerator(datasets.Dataset.from_dict(values, features=features))


def diffusion(pipeline, **options):
    return DiffusionGenerator(pipeline, NAMES, image_size=8, **options)


def prompted(**options):
    return diffusion(tiny_stable_diffusion(), **{"num_inference_steps": 1, "guidance_scale": 0, **options})


def redrawn(**options):
    images = [np.full((8, 8, 3), 20 * i, np.uint8) for i in range(4)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    dataset = datasets.Dataset.from_dict({"image": images, "label": [0, 1, 0, 1]}, features=features)
    pipeline = tiny_stable_diffusion("StableDiffusionImg2ImgPipeline")
    return diffusion(pipeline, **{"dataset": dataset, "num_inference_steps": 2, "guidance_scale": 0, **options})


def served(url, **options):
    prompt = options.pop("prompt", InstructPrompt.for_labels(NAMES))
    return EndpointGenerator(Endpoint(url, "m", pause=0.01), NAMES, prompt, **options)


#: Of each kind one, and another whose examples differ.
KINDS = {
    "causal_lm": lambda url, path: (language_model(), language_model(LabelPrompt("A {label} text:"))),
    "causal_lm_sampling": lambda url, path: (language_model(), language_model(temperature=0.5)),
    "dcgan": lambda url, path: (images(), images(1)),
    "diffusion_prompts": lambda url, path: (prompted(), prompted(prompts="a {label}")),
    "diffusion_images": lambda url, path: (redrawn(), redrawn(strength=[0.5, 1.0])),
    "diffusion_consistency": lambda url, path: (
        diffusion(tiny_consistency_model()),
        diffusion(tiny_consistency_model(), class_ids=[1, 0]),
    ),
    "diffusion_transformer": lambda url, path: (
        diffusion(tiny_dit(), guidance_scale=1, num_inference_steps=2),
        diffusion(tiny_dit(seed=1), guidance_scale=1, num_inference_steps=2),
    ),
    "dataset": lambda url, path: (rows(), rows("cd")),
    "ensemble": lambda url, path: (GeneratorEnsemble([rows(), rows("cd")]), GeneratorEnsemble([rows(), rows()])),
    "cached": lambda url, path: (CachedGenerator(rows(), path / "1"), CachedGenerator(rows("cd"), path / "1")),
    "instructed": lambda url, path: (instructed(), instructed(kind="message")),
    "ensemble_instructed": lambda url, path: (
        GeneratorEnsemble([instructed(), instructed(kind="message")]),
        GeneratorEnsemble([instructed(kind="message"), instructed()]),
    ),
    "cached_instructed": lambda url, path: (
        CachedGenerator(instructed(), path / "1"),
        CachedGenerator(instructed(kind="message"), path / "1"),
    ),
    "endpoint": lambda url, path: (served(url), served(url, prompt=LabelPrompt())),
    "endpoint_kept": lambda url, path: (
        served(url, answers=path / "a.sqlite"),
        served(url, answers=path / "a.sqlite", sampling=SamplingConfig(top_k=3)),
    ),
}


@pytest.fixture(params=KINDS)
def pair(request, tmp_path):
    with serving(ToyServer()) as url:
        yield KINDS[request.param](url, tmp_path)


def as_values(examples):
    return [{name: np.asarray(value).tolist() for name, value in example.items()} for example in examples]


class TestContract:
    def test_as_many_examples_as_labels_with_the_columns(self, pair):
        made, _ = pair
        check_generator(made)
        examples = made.generate(LABELS, seed=1)
        assert len(examples) == len(LABELS)
        assert {tuple(example) for example in examples} == {tuple(made.columns)}
        assert made.generate([], seed=1) == []

    def test_the_same_labels_and_seed_make_the_same_examples(self, pair):
        made, _ = pair
        first = as_values(made.generate(LABELS, seed=2**63 - 1))
        assert as_values(made.generate(np.array(LABELS), seed=2**63 - 1)) == first
        assert as_values(made.generate(LABELS, seed=7)) != first

    def test_global_random_states_are_neither_read_nor_moved(self, pair):
        made, _ = pair
        torch.manual_seed(3)
        np.random.seed(3)
        first = as_values(made.generate(LABELS, seed=1))
        after = torch.rand(1).item(), float(np.random.rand())
        torch.manual_seed(3)
        np.random.seed(3)
        assert (torch.rand(1).item(), float(np.random.rand())) == after
        assert as_values(made.generate(LABELS, seed=1)) == first

    def test_a_thread_beside_makes_the_same(self, pair):
        made, _ = pair
        assert made.draws_from_seed_only
        expected = [as_values(made.generate(LABELS, seed=seed)) for seed in range(3)]
        found = {}
        threads = [
            threading.Thread(target=lambda s=seed: found.update({s: as_values(made.generate(LABELS, seed=s))}))
            for seed in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [found[seed] for seed in range(3)] == expected

    def test_the_fingerprint_is_of_what_is_made(self, pair):
        made, other = pair
        assert made.fingerprint() == made.fingerprint()
        assert made.fingerprint() != other.fingerprint()
        assert made.replayable is True

    def test_after_rows_it_makes_others_and_without_any_the_same(self, pair):
        made, _ = pair
        plain = as_values(made.generate(LABELS, seed=1))
        assert as_values(made.generate_like(LABELS, [None] * 5, seed=1)) == plain
        if not made.takes_seed_rows:
            with pytest.raises(NotImplementedError, match=r"nothing after a given row|no place for a text"):
                made.generate_like(LABELS, [None] * 4 + [{"text": "dull"}], seed=1)
            return
        after = [[None, None, {"text": text}, None, {"text": text}] for text in ("dull", "a bright film")]
        seeds = range(1, 6)
        plain = [as_values(made.generate(LABELS, seed)) for seed in seeds]
        found = [[as_values(made.generate_like(LABELS, rows, seed)) for seed in seeds] for rows in after]
        # A row changes its own example alone, and the same rows make the same again.
        assert found[0] != found[1]
        assert plain not in found
        for others in found:
            assert [[one[i] for i in (0, 1, 3)] for one in others] == [[one[i] for i in (0, 1, 3)] for one in plain]
        assert as_values(made.generate_like(LABELS, after[0], seed=5)) == found[0][-1]
