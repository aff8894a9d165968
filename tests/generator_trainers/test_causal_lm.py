"""What is learned, what it leads to, and that training can be interrupted, merged and refused."""

import inspect

import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from peft import LoraConfig, get_peft_model
from transformers import TrainingArguments

from hf_augment.generator_trainers.causal_lm import (
    CausalLMGeneratorTrainer,
    CausalLMGeneratorTrainingArguments,
    CompletionCollator,
    encode_dataset,
)
from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.prompts import InstructPrompt, LabelPrompt
from hf_augment.generators.sampling import SamplingConfig
from tests.tiny import tiny_causal_lm, tiny_gguf, tiny_tokenizer


NAMES = ["neg", "pos"]
TOKENIZER = tiny_tokenizer()
PAD, END = TOKENIZER.pad_token_id, TOKENIZER.eos_token_id
TEXTS = {0: "bad awful", 1: "good great"}

# peft 0.19 reads a property that transformers 5.23 has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


def make(kind="llama", prompt=None):
    model = tiny_causal_lm(TOKENIZER, kind)
    return CausalLMGenerator(
        model, TOKENIZER, NAMES, prompt or LabelPrompt("{label}:"), sampling=SamplingConfig(max_new_tokens=16)
    )


def dataset(n=128, flipped=False):
    labels = [i % 2 for i in range(n)]
    return Dataset.from_dict({"text": [TEXTS[label ^ flipped] for label in labels], "label": labels})


def arguments(tmp_path, **changes):
    settings = {
        "output_dir": str(tmp_path),
        "learning_rate": 1e-2,
        "max_length": 24,
        "max_steps": 150,
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "use_cpu": True,
        **changes,
    }
    return CausalLMGeneratorTrainingArguments(**settings)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of a generator that learned the texts of `TEXTS`, each after its label."""
    generator = make()
    CausalLMGeneratorTrainer(generator, arguments(tmp_path_factory.mktemp("trained")), dataset()).train()
    return generator


def copy_of(generator):
    copy = make()
    copy.model.load_state_dict(generator.model.state_dict())
    copy.model = copy.model
    return copy


def confirmed(generator, flipped=False):
    """Share of samples that are the text of their label."""
    labels = [0, 1] * 32
    examples = generator.generate(labels, seed=0)
    return sum(e["text"] == TEXTS[label ^ flipped] for e, label in zip(examples, labels, strict=True)) / len(labels)


# What is learned


def test_only_the_text_and_its_end_are_learned():
    encoded = encode_dataset(make(), dataset(2), "label", max_length=24)
    for row, name, text in zip(encoded, NAMES, TEXTS.values(), strict=True):
        prompt, completion = TOKENIZER(f"{name}:")["input_ids"], TOKENIZER(f" {text}")["input_ids"]
        assert row["input_ids"] == [*prompt, *completion, END]
        assert row["labels"] == [-100] * 4 + [*completion, END]


def test_a_text_that_is_cut_does_not_end_there():
    (row,) = encode_dataset(make(), dataset(1), "label", max_length=10)
    assert TOKENIZER.decode(row["input_ids"]) == "neg: bad a"
    assert row["labels"][4:] == row["input_ids"][4:]


def test_texts_without_labels_are_learned_as_they_stand():
    rows = dataset(2).remove_columns("label")
    encoded = encode_dataset(make(), rows, None, max_length=24)
    for row, text in zip(encoded, TEXTS.values(), strict=True):
        completion = TOKENIZER(f" {text}")["input_ids"]
        assert row["input_ids"] == [END, *completion, END]
        assert row["labels"] == [-100, *completion, END]


@pytest.mark.parametrize("rank", [0, 4])
def test_the_style_comes_first_and_then_the_labels(rank, tmp_path):
    generator, rows = make(), dataset().remove_columns("label")
    before = sum(generator.negative_log_likelihood([{"text": text} for text in TEXTS.values()], [0, 1]))
    style = CausalLMGeneratorTrainer(generator, arguments(tmp_path / "0", lora_rank=rank), rows, label_column=None)
    style.train()
    after = sum(generator.negative_log_likelihood([{"text": text} for text in TEXTS.values()], [0, 1]))
    assert after < before
    learned = generator.fingerprint()
    CausalLMGeneratorTrainer(generator, arguments(tmp_path / "1", lora_rank=rank), dataset()).train()
    assert generator.fingerprint() != learned
    if rank == 0:
        assert confirmed(generator) > 0.9


def test_a_batch_is_padded_to_its_longest_row():
    rows = [{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [5, 8], "labels": [-100, 8]}]
    batch = CompletionCollator(PAD)(rows)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [5, 8, PAD]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["labels"].tolist() == [[-100, 6, 7], [-100, 8, -100]]


def test_the_loss_is_the_generators_own_score_of_the_texts(tmp_path):
    generator = make()
    trainer = CausalLMGeneratorTrainer(generator, arguments(tmp_path, eval_strategy="no"), dataset(), dataset(2))
    row = trainer.eval_dataset[0]
    with torch.no_grad():
        logits = generator.model(torch.tensor([row["input_ids"]])).logits[0]
    scores = logits.log_softmax(-1)
    start = row["labels"].count(-100)
    expected = [-scores[i - 1, row["input_ids"][i]].item() for i in range(start, len(row["input_ids"]))]
    batch = trainer.data_collator([row])
    assert trainer.compute_loss(trainer.model, batch).item() == pytest.approx(sum(expected) / len(expected), rel=1e-5)


# What it leads to


def test_a_trained_generator_is_class_conditional(trained):
    assert confirmed(trained) > 0.9
    posterior = trained.label_posterior([{"text": TEXTS[0]}, {"text": TEXTS[1]}])
    assert posterior[0, 0] > 0.99
    assert posterior[1, 1] > 0.99
    right, wrong = trained.negative_log_likelihood([{"text": TEXTS[0]}] * 2, [0, 1])
    assert right < 0.1 < wrong


def test_a_trained_generator_is_ready_and_has_a_new_fingerprint(tmp_path):
    generator = make("gpt2")
    before = generator.fingerprint()
    trainer = CausalLMGeneratorTrainer(generator, arguments(tmp_path, max_steps=2), dataset())
    trainer.train()
    assert generator.fingerprint() != before
    assert not generator.model.training
    assert trainer.model is generator.model
    generator.save_pretrained(tmp_path / "saved")
    loaded = CausalLMGenerator.from_pretrained(tmp_path / "saved")
    assert loaded.fingerprint() == generator.fingerprint()
    assert loaded.generate([0, 1], seed=1) == generator.generate([0, 1], seed=1)


def test_adapters_learn_and_are_merged_into_plain_weights(trained, tmp_path):
    generator = copy_of(trained)
    names, embeddings = list(generator.model.state_dict()), generator.model.get_input_embeddings().weight.clone()
    args = arguments(tmp_path, lora_rank=8, lora_dropout=0.1, max_steps=100)
    trainer = CausalLMGeneratorTrainer(generator, args, dataset(flipped=True))
    assert sum(p.requires_grad for p in trainer.model.parameters()) == 2 * 2 * 7
    trainer.train()
    assert confirmed(generator, flipped=True) > 0.9
    assert list(generator.model.state_dict()) == names
    assert torch.equal(generator.model.get_input_embeddings().weight, embeddings)
    assert all(p.requires_grad for p in generator.model.parameters())
    assert not generator.model.training
    generator.save_pretrained(tmp_path / "saved")
    loaded = CausalLMGenerator.from_pretrained(tmp_path / "saved")
    assert loaded.fingerprint() == generator.fingerprint() != trained.fingerprint()
    with pytest.raises(RuntimeError, match="merged already"):
        trainer.train()


def test_adapters_leave_tied_weights_tied(tmp_path):
    generator = make("gpt2")
    CausalLMGeneratorTrainer(generator, arguments(tmp_path, lora_rank=2, max_steps=2), dataset()).train()
    assert generator.model.lm_head.weight is generator.model.transformer.wte.weight
    generator.save_pretrained(tmp_path / "saved")
    assert CausalLMGenerator.from_pretrained(tmp_path / "saved").fingerprint() == generator.fingerprint()


def test_a_peft_model_becomes_plain_weights_in_a_generator():
    model = tiny_causal_lm(TOKENIZER)
    names = list(model.state_dict())
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"))
    generator = CausalLMGenerator(adapted, TOKENIZER, NAMES, LabelPrompt())
    assert list(generator.model.state_dict()) == names


TIED = {
    "output": ("gpt2", ["lm_head"]),
    "input": ("gpt2", ["wte"]),
    "both": ("gpt2", ["wte", "lm_head"]),
    "output and others": ("gpt2", ["c_attn", "lm_head"]),
    "output of another kind": ("tied llama", ["lm_head", "q_proj"]),
    "neither": ("gpt2", ["c_attn"]),
}


@pytest.mark.filterwarnings("ignore:.*(tie_word_embeddings|fan_in_fan_out):UserWarning")
@pytest.mark.parametrize("case", TIED)
def test_adapters_of_one_side_of_tied_weights_are_merged_into_that_side(case, tmp_path):
    kind, targets = TIED[case]
    model, ids = tiny_causal_lm(TOKENIZER, kind), torch.tensor([[5, 6, 7, 8]])
    config = LoraConfig(task_type="CAUSAL_LM", target_modules=targets, init_lora_weights=False)
    adapted = get_peft_model(model, config).eval()
    with torch.no_grad():
        before = adapted(ids).logits
        generator = CausalLMGenerator(adapted, TOKENIZER, NAMES, LabelPrompt())
        torch.testing.assert_close(generator.model(ids).logits, before)
        generator.save_pretrained(tmp_path)
        loaded = CausalLMGenerator.from_pretrained(tmp_path)
        torch.testing.assert_close(loaded.model(ids).logits, before)
    assert loaded.fingerprint() == generator.fingerprint()
    tied = generator.model.get_input_embeddings().weight is generator.model.get_output_embeddings().weight
    assert tied == (case == "neither")


def test_mixed_precision_of_training_does_not_reach_generation(tmp_path):
    generator = make()
    CausalLMGeneratorTrainer(generator, arguments(tmp_path, bf16=True, max_steps=2), dataset()).train()
    assert generator.model(torch.tensor([[5, 6]])).logits.dtype == torch.float32
    copy = copy_of(generator)
    assert copy.fingerprint() == generator.fingerprint()
    assert copy.generate([0, 1] * 4, seed=0) == generator.generate([0, 1] * 4, seed=0)


@pytest.mark.parametrize("rank", [0, 4])
def test_a_gguf_file_is_dequantised_and_can_be_trained_and_saved(rank, tmp_path):
    pytest.importorskip("gguf")
    tiny_gguf(tmp_path / "tiny.gguf")
    generator = CausalLMGenerator.from_pretrained(
        tmp_path, gguf_file="tiny.gguf", label_names=NAMES, prompt=LabelPrompt("{label}:")
    )
    before = generator.fingerprint()
    CausalLMGeneratorTrainer(generator, arguments(tmp_path, max_steps=2, lora_rank=rank), dataset()).train()
    assert generator.fingerprint() != before
    generator.save_pretrained(tmp_path / "saved")
    loaded = CausalLMGenerator.from_pretrained(tmp_path / "saved")
    assert loaded.fingerprint() == generator.fingerprint()
    assert loaded.generate([0, 1], seed=1) == generator.generate([0, 1], seed=1)


def test_adapters_do_not_depend_on_what_was_drawn_before(tmp_path):
    weights = []
    for drawn_before, seed in ((0, 42), (1, 42), (0, 43)):
        generator = make()
        torch.manual_seed(drawn_before)
        settings = arguments(tmp_path, max_steps=2, lora_rank=2, lora_dropout=0.1, seed=seed, data_seed=0)
        CausalLMGeneratorTrainer(generator, settings, dataset()).train()
        weights.append(generator.model.state_dict())
    same, other = ([torch.equal(w, weights[0][name]) for name, w in ws.items()] for ws in weights[1:])
    assert all(same)
    assert not all(other)


@pytest.mark.parametrize("rank", [0, 4])
def test_a_resumed_training_equals_an_uninterrupted_one(rank, tmp_path):
    whole, part = make(), make()
    settings = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3, "lora_rank": rank, "lora_dropout": 0.1}
    CausalLMGeneratorTrainer(whole, arguments(tmp_path, **settings), dataset()).train()
    trainer = CausalLMGeneratorTrainer(part, arguments(tmp_path, **settings), dataset())
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert part.fingerprint() == whole.fingerprint()


# What is refused


def test_an_instruct_prompt_cannot_be_trained(tmp_path):
    with pytest.raises(TypeError, match=r"InstructPrompt, which needs no training.*LabelPrompt\(\)"):
        CausalLMGeneratorTrainer(make(prompt=InstructPrompt("{label}")), arguments(tmp_path), dataset())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (dataset(0), "empty"),
        (dataset(2).rename_column("text", "sentence"), r"text_column='text' is not in the dataset.*'sentence'"),
        (dataset(2).remove_columns("label"), r"label_column='label' is not a column of .*\['text'\]"),
        (Dataset.from_dict({"text": ["a", "b"], "label": [0, 2]}), "Row 1 has the label 2"),
        (Dataset.from_dict({"text": ["a"], "label": [-1]}), "Row 0 has the label -1"),
        (Dataset.from_dict({"text": ["a"], "label": [0.0]}), "Row 0 has the label 0.0"),
        (Dataset.from_dict({"text": ["a", None], "label": [0, 1]}), "Row 1 has the text None"),
        (
            Dataset.from_dict(
                {"text": ["a"], "label": [0]},
                features=Features({"text": Value("string"), "label": ClassLabel(names=["pos", "neg"])}),
            ),
            r"labels are \['pos', 'neg'\], the generator's \['neg', 'pos'\]",
        ),
    ],
)
def test_a_dataset_that_cannot_be_learned_is_refused_at_construction(rows, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        CausalLMGeneratorTrainer(make(), arguments(tmp_path), rows)


def test_a_length_without_room_for_a_text_is_refused(tmp_path):
    with pytest.raises(ValueError, match="max_length=4 leaves no room after a prompt of 4 tokens"):
        CausalLMGeneratorTrainer(make(), arguments(tmp_path, max_length=4), dataset(2))


@pytest.mark.parametrize(
    ("name", "value"), [("max_length", 1), ("lora_rank", -1), ("lora_alpha", 0), ("lora_dropout", 1.0)]
)
def test_arguments_out_of_range_are_refused(name, value, tmp_path):
    with pytest.raises(ValueError, match=f"{name}={value} must be"):
        arguments(tmp_path, **{name: value})


def test_the_docstring_names_the_defaults(tmp_path):
    args, stock = CausalLMGeneratorTrainingArguments(output_dir=tmp_path), TrainingArguments(output_dir=tmp_path)
    own = {"max_length", "lora_rank", "lora_alpha", "lora_dropout"}
    changed = {name for name in stock.__dataclass_fields__ if getattr(args, name) != getattr(stock, name)}
    assert changed == {"num_train_epochs", "per_device_train_batch_size"}
    documentation = inspect.getdoc(CausalLMGeneratorTrainingArguments)
    for name in own | {"num_train_epochs", "per_device_train_batch_size"}:
        kind = type(getattr(args, name)).__name__
        assert f"{name} (`{kind}`, *optional*, defaults to {getattr(args, name)})" in documentation
