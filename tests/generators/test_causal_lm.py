"""Sampling against the model's own probabilities, isolation from the process's random state, saving and loading."""

import itertools
import json
import logging
import random
import sys

import huggingface_hub
import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.prompts import InstructPrompt, LabelPrompt
from hf_augment.generators.sampling import GumbelSampler, SamplingConfig, cut_unfinished, pad_rows
from tests.tiny import tiny_causal_lm, tiny_tokenizer


NAMES = ["negative", "positive"]
TOKENIZER = tiny_tokenizer()


@pytest.fixture(params=["llama", "gpt2"])
def generator(request):
    return make(request.param)


def make(kind="llama", prompt=None, **sampling):
    settings = {"max_new_tokens": 8, "batch_size": 4, **sampling}
    return CausalLMGenerator(
        tiny_causal_lm(TOKENIZER, kind), TOKENIZER, NAMES, prompt or LabelPrompt(), sampling=SamplingConfig(**settings)
    )


def texts(generator, labels, seed):
    return [example["text"] for example in generator.generate(labels, seed)]


# The draw


def streams(n):
    return [np.random.default_rng(seed) for seed in range(n)]


def draws(scores, n, **settings):
    """Counts of `n` draws from one row of logits."""
    sampler = GumbelSampler(SamplingConfig(**settings), streams(n))
    drawn = sampler(None, scores.repeat(n, 1)).argmax(-1)
    return torch.bincount(drawn, minlength=len(scores)).double()


@pytest.mark.parametrize(
    "settings",
    [
        {"top_k": 0},
        {"top_k": 50},
        {"top_k": 3},
        {"top_k": 0, "temperature": 0.5},
        {"top_k": 0, "top_p": 0.7},
        {"top_k": 4, "top_p": 0.8, "temperature": 1.7},
    ],
)
def test_draws_are_distributed_like_the_softmax_of_the_librarys_warpers(settings):
    scores = torch.tensor([0.3, 2.1, -1.0, 1.4, 0.9, -3.0, 1.0])
    warpers = [TemperatureLogitsWarper(settings.get("temperature", 1.0))]
    if settings["top_k"]:
        warpers.append(TopKLogitsWarper(settings["top_k"]))
    warpers.append(TopPLogitsWarper(settings.get("top_p", 1.0)))
    expected = LogitsProcessorList(warpers)(None, scores[None])[0].softmax(-1).double()
    n = 40_000
    counts = draws(scores, n, **settings)
    possible = expected > 0
    assert counts[~possible].sum() == 0
    chi_square = ((counts - n * expected)[possible] ** 2 / (n * expected[possible])).sum()
    # The 0.999 quantile with 6 degrees of freedom; the seed is fixed, so this passes always or never.
    assert chi_square < 22.5


def test_top_k_of_one_is_greedy():
    assert draws(torch.tensor([0.0, 3.0, 1.0]), 100, top_k=1).tolist() == [0, 100, 0]


def test_a_token_ruled_out_is_never_drawn_whatever_the_noise():
    scores = torch.full((200, 1000), -float("inf"))
    scores[:, 7] = -50.0
    sampler = GumbelSampler(SamplingConfig(top_k=0), streams(200))
    assert (sampler(None, scores).argmax(-1) == 7).all()


def test_first_tokens_of_the_generator_follow_the_models_distribution():
    generator = make(max_new_tokens=1, batch_size=500, top_k=0, temperature=0.3)
    ids = torch.tensor(generator.encode_prompts(["Review (negative):"]))
    with torch.no_grad():
        logits = generator.model(ids).logits[0, -1]
    expected = (logits / 0.3).softmax(-1).double().numpy()
    letters = {chr(byte): TOKENIZER(chr(byte))["input_ids"][0] for byte in range(33, 127)}
    drawn = texts(generator, [0] * 5_000, seed=0)
    counts = {letter: drawn.count(letter) for letter in letters}
    z = [
        (counts[letter] - 5_000 * expected[token]) / np.sqrt(5_000 * expected[token])
        for letter, token in letters.items()
    ]
    assert np.square(z).sum() < 145  # the 0.999 quantile with 94 degrees of freedom is 141.6


# Seeds and isolation


def test_the_same_labels_and_seed_give_the_same_texts(generator):
    labels = [0, 1, 1, 0, 1, 0]
    first = texts(generator, labels, seed=7)
    assert len(first) == 6
    assert first == texts(generator, labels, seed=7)
    assert first != texts(generator, labels, seed=8)
    # Rows of one call do not repeat each other.
    assert len(set(texts(generator, [0] * 64, seed=7))) > 12


def test_a_text_depends_on_its_row_its_label_and_the_seed_alone(generator):
    generator.prompt = InstructPrompt("{label} {word}:", attributes={"word": list("abcdefghij")}, style="continue")
    several = texts(generator, [0, 1, 1, 0, 1, 0], seed=7)
    assert texts(generator, [0, 1], seed=7) == several[:2]
    others = texts(generator, [1, 1, 0, 1, 1, 1], seed=7)
    assert (others[1], others[4]) == (several[1], several[4])
    assert others != several
    generator.sampling = SamplingConfig(max_new_tokens=8, batch_size=1)
    assert texts(generator, [0, 1, 1, 0, 1, 0], seed=7) == several


def test_generating_leaves_every_global_random_state_as_it_was(generator):
    generator.model.train()  # dropout would draw
    examples = [{"text": "abc"}]
    before = (torch.get_rng_state(), np.random.get_state(), random.getstate())
    generator.generate([0, 1, 0, 1, 1], seed=3)
    generator.label_posterior(examples)
    generator.negative_log_likelihood(examples, [1])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1], strict=True))
    assert random.getstate() == before[2]
    assert generator.model.training


def test_the_global_random_state_has_no_influence():
    generator = make()
    first = texts(generator, [0, 1], seed=3)
    torch.manual_seed(999)
    assert texts(generator, [0, 1], seed=3) == first


def test_generation_defaults_of_the_model_neither_matter_nor_change(caplog):
    generator = make()
    first = texts(generator, [0, 1, 1], seed=3)
    defaults = generator.model.generation_config
    defaults.repetition_penalty, defaults.temperature, defaults.do_sample, defaults.max_length = 9.0, 0.1, True, 5
    before = defaults.to_dict()
    with caplog.at_level(logging.WARNING):
        assert texts(generator, [0, 1, 1], seed=3) == first
    assert generator.model.generation_config is defaults
    assert defaults.to_dict() == before
    assert not caplog.records


def test_a_row_does_not_depend_on_the_length_of_its_neighbours_prompt():
    names = ["a", "a much longer name of a label"]
    generator = CausalLMGenerator(
        tiny_causal_lm(TOKENIZER), TOKENIZER, names, LabelPrompt("{label}:"), sampling=SamplingConfig(8, batch_size=2)
    )
    assert texts(generator, [0, 0], seed=1)[0] == texts(generator, [0, 1], seed=1)[0]


# Ends


def script(generator, tokens):
    """Makes the model write `tokens`, whatever it is asked for."""
    start = len(generator.encode_prompts(generator.prompt.prompts([0], NAMES, np.random.default_rng(0)))[0])
    head = generator.model.lm_head.forward
    position = itertools.count()

    def forward(hidden):
        logits = torch.full_like(head(hidden), -1e9)
        logits[:, :, tokens[min(next(position), len(tokens) - 1)]] = 0.0
        return logits

    generator.model.lm_head.forward = forward
    return start


@pytest.mark.parametrize(
    ("written", "limit", "cut", "text"),
    [
        (" A film.<end>ignored", 30, True, "A film."),
        (" A film. It mov", 15, True, "A film."),
        (" A film. It mov", 15, False, "A film. It"),
        (" a moving pict", 14, True, "a moving"),
        (" moving", 7, True, "moving"),
        # Of three bytes each: the limit is within a character, or after it.
        (" 很好。很", 11, True, "很好。"),
        (" 很好看", 9, True, "很"),
        (" 很好看", 10, True, "很好"),
        (" 很好看", 10, False, "很好"),
        (" यह अच्छा", 9, True, "यह"),
        (" good film 😀", 13, True, "good"),
        (" Good. 😀", 9, True, "Good."),
        (" é", 2, True, ""),
    ],
)
def test_where_a_text_ends(written, limit, cut, text):
    generator = make(max_new_tokens=limit, cut_at_sentence_end=cut)
    script(generator, TOKENIZER(written)["input_ids"])
    assert texts(generator, [0], seed=0) == [text]


def test_a_quotation_mark_ends_a_continued_opening():
    generator = make(prompt=InstructPrompt('{label}: "', style="continue"), max_new_tokens=40)
    script(generator, TOKENIZER('A film, they say" and so on')["input_ids"])
    assert texts(generator, [0], seed=0) == ["A film, they say"]


def test_sentence_ends():
    assert cut_unfinished('He said "no." Then', True) == 'He said "no."'
    assert cut_unfinished("It cost 3.5 mill", True) == "It cost 3.5"
    assert cut_unfinished("moving .  and", True) == "moving ."
    assert cut_unfinished("", True) == ""


def test_a_character_that_never_became_whole_ends_a_text_before_it():
    generator = make(max_new_tokens=40)
    tokens = TOKENIZER(" A film. It is 好 and long<end>")["input_ids"]
    broken = TOKENIZER("好")["input_ids"][1]
    assert tokens.count(broken) == 1
    script(generator, [token for token in tokens if token != broken])
    assert texts(generator, [0], seed=0) == ["A film."]


@pytest.mark.parametrize(
    ("text", "whole", "shorter"),
    [
        ("很好看。演员", "很好看。", "很好看。演"),
        ("「很好！」他说。「我也", "「很好！」他说。", "「很好！」他说。「我"),
        ("真的？！太好了", "真的？！", "真的？！太好"),
        ("ठीक है। और भी", "ठीक है।", "ठीक है। और"),
        ("هل هو جيد؟ نعم جدا", "هل هو جيد؟", "هل هو جيد؟ نعم"),
        ("یہ اچھا ہے۔ لیکن بہت", "یہ اچھا ہے۔", "یہ اچھا ہے۔ لیکن"),
        ("Լավ է։ Բայց շատ", "Լավ է։", "Լավ է։ Բայց"),
        ("ጥሩ ነው። ግን በጣም", "ጥሩ ነው።", "ጥሩ ነው። ግን"),
        ("Er sagte: „Gut.\u201c Dann ging", "Er sagte: „Gut.\u201c", "Er sagte: „Gut.\u201c Dann"),
        ("Il dit « oui. » Puis il", "Il dit « oui. »", "Il dit « oui. » Puis"),
        ("Wow‼️ so good", "Wow‼️", "Wow‼️ so"),
        ("Great?! (So good!) and more", "Great?! (So good!)", "Great?! (So good!) and"),
        ("หนังดี", "หนัง", "หนัง"),
        ("v1.5。x", "v1.5。", "v1.5。x"),
    ],
)
def test_sentence_ends_of_other_scripts(text, whole, shorter):
    assert cut_unfinished(text, True) == whole
    assert cut_unfinished(text, False) == shorter


def test_padding():
    assert pad_rows([[1], [2, 3]], 0).tolist() == [[1, 0], [2, 3]]
    assert pad_rows([[1], [2, 3]], 9, left=True).tolist() == [[9, 1], [2, 3]]


# Prompts and tokens


def test_a_chat_goes_through_the_chat_template():
    generator = make(prompt=InstructPrompt("Be {label}."))
    (row,) = generator.encode_prompts(["Be negative."])
    assert TOKENIZER.decode(row) == "<user>Be negative.<end><assistant>"


def test_a_text_cannot_smuggle_in_a_special_token():
    generator = make()
    (row,) = generator.encode_texts(["a<end>b"])
    assert TOKENIZER.eos_token_id not in row
    assert TOKENIZER.decode(row) == " a<end>b"


def test_the_tokenizer_is_a_copy_that_can_pad():
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    generator = CausalLMGenerator(tiny_causal_lm(TOKENIZER), tokenizer, NAMES, LabelPrompt())
    assert generator.tokenizer.pad_token_id == tokenizer.eos_token_id
    assert tokenizer.pad_token is None
    assert len(generator.generate([0, 1], seed=0)) == 2


# Scores


def naive_log_likelihood(model, prompt, text):
    ids = TOKENIZER(prompt)["input_ids"]
    total = 0.0
    for token in TOKENIZER(" " + text)["input_ids"]:
        with torch.no_grad():
            total += model(torch.tensor([ids])).logits[0, -1].double().log_softmax(-1)[token].item()
        ids = [*ids, token]
    return total


def test_likelihoods_are_those_of_one_token_at_a_time(generator):
    examples = [{"text": "a rather long review"}, {"text": "x"}, {"text": "two words"}]
    labels = [1, 0, 1]
    expected = [
        -naive_log_likelihood(generator.model, f"Review ({NAMES[label]}):", example["text"])
        / (len(example["text"]) + 1)
        for example, label in zip(examples, labels, strict=True)
    ]
    assert generator.negative_log_likelihood(examples, labels) == pytest.approx(expected, rel=1e-5)


def test_the_posterior_is_bayes_rule(generator):
    examples = [{"text": "a rather long review"}, {"text": "x"}]
    sums = np.array(
        [[naive_log_likelihood(generator.model, f"Review ({n}):", e["text"]) for n in NAMES] for e in examples]
    )
    expected = np.exp(sums) / np.exp(sums).sum(1, keepdims=True)
    np.testing.assert_allclose(generator.label_posterior(examples), expected, rtol=1e-4)


def test_empty_texts_and_no_texts():
    generator = make(prompt=InstructPrompt("{label}"))
    assert generator.negative_log_likelihood([{"text": ""}], [0]) == [float("inf")]
    assert generator.label_posterior([]).shape == (0, 2)
    assert generator.negative_log_likelihood([], []) == []
    assert generator.generate([], seed=0) == []


def test_a_text_longer_than_the_model_is_scored_as_far_as_it_reads(generator):
    (value,) = generator.negative_log_likelihood([{"text": "word " * 200}], [0])
    assert 0 < value < 20


# Identity


def test_the_fingerprint_follows_what_changes_the_texts():
    base = make()
    known = {base.fingerprint()}
    assert make().fingerprint() in known
    for other in (make("gpt2"), make(prompt=LabelPrompt("{label}!")), make(top_k=7), make(batch_size=5)):
        assert other.fingerprint() not in known
        known.add(other.fingerprint())
    with torch.no_grad():
        base.model.lm_head.weight.mul_(2)
    base.model = base.model
    assert base.fingerprint() not in known


# Saving and loading


def test_another_prompt_makes_another_generator_of_the_same_model():
    prompt = InstructPrompt.for_sentiment()
    for known in (False, True):
        generator = make()
        before = generator.fingerprint() if known else None
        other = generator.with_prompt(prompt)
        assert other.model is generator.model
        assert other.fingerprint() == make(prompt=prompt).fingerprint() != before
        assert texts(other, [0, 1], 3) == texts(make(prompt=prompt), [0, 1], 3)
        assert texts(generator, [0, 1], 3) == texts(make(), [0, 1], 3)


def test_a_saved_generator_comes_back_with_everything(generator, tmp_path):
    generator.text_column = "sentence"
    generator.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "generator_config.json"} <= names
    assert all(name.endswith((".safetensors", ".json", ".jinja")) for name in names)
    loaded = CausalLMGenerator.from_pretrained(tmp_path)
    assert loaded.fingerprint() == generator.fingerprint()
    assert loaded.label_names == tuple(NAMES)
    assert loaded.generate([0, 1, 1], seed=5) == generator.generate([0, 1, 1], seed=5)
    assert set(loaded.generate([0], seed=5)[0]) == {"sentence"}
    other = SamplingConfig(max_new_tokens=3)
    assert CausalLMGenerator.from_pretrained(tmp_path, sampling=other).sampling == other


def test_an_interrupted_save_leaves_no_generator(generator, tmp_path, monkeypatch):
    generator.save_pretrained(tmp_path)

    def fail(folder):
        raise OSError("disk full")

    monkeypatch.setattr(generator.tokenizer, "save_pretrained", fail)
    with pytest.raises(OSError, match="disk full"):
        generator.save_pretrained(tmp_path)
    assert not (tmp_path / "generator_config.json").exists()


def test_a_plain_language_model_needs_labels_and_a_prompt(generator, tmp_path):
    generator.model.save_pretrained(tmp_path)
    generator.tokenizer.save_pretrained(tmp_path)
    for arguments in ({}, {"label_names": NAMES}, {"prompt": LabelPrompt()}):
        with pytest.raises(ValueError, match="label_names and prompt are both needed"):
            CausalLMGenerator.from_pretrained(tmp_path, **arguments)
    loaded = CausalLMGenerator.from_pretrained(tmp_path, label_names=NAMES, prompt=LabelPrompt())
    assert loaded.sampling == SamplingConfig()
    assert loaded.columns == ("text",)


def test_a_saved_generator_of_another_format_is_refused(generator, tmp_path):
    generator.save_pretrained(tmp_path)
    path = tmp_path / "generator_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(ValueError, match="Update hf_augment"):
        CausalLMGenerator.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"format_version": 1,', "is damaged: it is no JSON"),
        ('{"format_version": 1}', r"is damaged: it lacks \['label_names', 'prompt', 'sampling', 'text_column'\]"),
        ("1", "is damaged: it holds no JSON object"),
    ],
)
def test_a_damaged_config_is_named_with_what_to_do(generator, tmp_path, text, what):
    generator.save_pretrained(tmp_path)
    (tmp_path / "generator_config.json").write_text(text)
    with pytest.raises(ValueError, match=rf"generator_config\.json {what}.* Update hf_augment, or save the generator"):
        CausalLMGenerator.from_pretrained(tmp_path)


@pytest.mark.parametrize("arguments", [{}, {"label_names": NAMES, "prompt": LabelPrompt()}])
def test_a_hub_that_cannot_be_reached_says_what_to_do(arguments, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=r"name_or_path='nobody/nothing' could not be loaded(.|\n)*local folder"):
        CausalLMGenerator.from_pretrained("nobody/nothing", **arguments)


def test_labelled_texts_in_a_prompt_are_not_pushed(monkeypatch):
    monkeypatch.setattr("hf_augment.generators.causal_lm.HfApi", None)
    examples = {name: ["a private text"] for name in NAMES}
    with pytest.raises(ValueError, match="would publish") as error:
        make(prompt=InstructPrompt.for_labels(NAMES, examples=examples)).push_to_hub("user/name")
    assert "private" not in str(error.value)


def test_what_is_pushed_is_what_is_saved(monkeypatch):
    calls = []

    class Api:
        def create_repo(self, repo_id, private, exist_ok):
            calls.append((repo_id, private, exist_ok))
            return huggingface_hub.RepoUrl("https://huggingface.co/user/films")

        def upload_folder(self, repo_id, folder_path, allow_patterns, commit_message):
            calls.append((repo_id, allow_patterns, commit_message))
            assert CausalLMGenerator.from_pretrained(folder_path).label_names == tuple(NAMES)
            return "the commit"

    monkeypatch.setattr(sys.modules[CausalLMGenerator.__module__], "HfApi", Api)
    assert make().push_to_hub("films", private=True) == "the commit"
    patterns = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
    assert calls == [("films", True, True), ("user/films", patterns, "Upload generator")]


# Refusals


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("temperature", 0.0),
        ("temperature", float("nan")),
        ("top_k", -1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("batch_size", 0),
        ("batch_size", 1.5),
    ],
)
def test_sampling_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        SamplingConfig(**{name: value})


def test_what_cannot_work_is_refused_at_once():
    model, plain = tiny_causal_lm(TOKENIZER), tiny_tokenizer()
    plain.chat_template = None
    with pytest.raises(ValueError, match="chat template"):
        CausalLMGenerator(model, plain, NAMES, InstructPrompt("{label}"))
    with pytest.raises(ValueError, match=r"label_names=\['negative', 'positive'\]"):
        CausalLMGenerator(model, TOKENIZER, NAMES, InstructPrompt.for_sentiment(negative="0", positive="1"))
    with pytest.raises(ValueError, match="different names"):
        CausalLMGenerator(model, TOKENIZER, ["a", "a"], LabelPrompt())
    endless = tiny_tokenizer()
    endless.eos_token = None
    with pytest.raises(ValueError, match="end-of-sequence"):
        CausalLMGenerator(model, endless, NAMES, LabelPrompt())


def test_labels_and_lengths_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match=r"labels has \[2\]"):
        make().generate([0, 2], seed=0)
    with pytest.raises(ValueError, match="max_new_tokens=250 is more than the 238 tokens"):
        make(max_new_tokens=250).generate([0], seed=0)


# peft asks transformers by a name that is deprecated.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_a_folder_of_adapters_is_merged_through_peft_and_refused_where_it_could_not_be(tmp_path):
    tokenizer = tiny_tokenizer()
    tiny_causal_lm(tokenizer).save_pretrained(tmp_path / "base")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    adapted = get_peft_model(
        base, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], init_lora_weights=False)
    )
    for folder in (adapted, tokenizer):
        folder.save_pretrained(tmp_path / "adapters")
    expected = adapted.merge_and_unload().state_dict()

    with pytest.raises(ValueError, match=r"PeftModel\.from_pretrained"):
        CausalLMGenerator.from_pretrained(tmp_path / "adapters", label_names=["a", "b"], prompt=LabelPrompt())
    loaded = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tmp_path / "base"), str(tmp_path / "adapters")
    )
    merged = CausalLMGenerator(loaded, tokenizer, ["a", "b"], LabelPrompt()).model.state_dict()
    assert merged.keys() == expected.keys()
    assert all(torch.equal(merged[name], weight) for name, weight in expected.items())
