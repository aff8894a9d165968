"""Language models of a study sample with the backend that was asked for."""

import sys
from functools import partial
from types import SimpleNamespace

import pytest
from datasets import Dataset

from hf_augment import Arm, AugmentingTrainingArguments, LabelledData, Memorization, Study, TextClassifier
from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.prompts import InstructPrompt, LabelPrompt
from hf_augment.generators.sampling import SamplingConfig
from hf_augment.study import text_sources
from hf_augment.study.style import style_rows_of
from hf_augment.study.text import TextFilters
from hf_augment.study.text_sources import PromptedLanguageModel, TrainedLanguageModel
from tests.tiny import tiny_causal_lm, tiny_classifier, tiny_tokenizer
from tests.toys import TEXT


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_the_backend_reaches_every_generator_and_the_identity(backend, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        CausalLMGenerator, "from_pretrained", lambda *args, **options: asked.append(options["backend"])
    )
    study = SimpleNamespace(
        data=SimpleNamespace(label_names=["a"]), folder=tmp_path, stages=SimpleNamespace(run=lambda *args: None)
    )
    trained = TrainedLanguageModel("trained", str(tmp_path), LabelPrompt(), backend=backend)
    prompted = PromptedLanguageModel("instruct", str(tmp_path), LabelPrompt(), backend=backend)
    trained.pretrained(study)
    trained.load(tmp_path)
    prompted.opened(SimpleNamespace(study=study))
    assert asked == [backend] * 3
    assert trained.identity()["trained.backend"] == backend


def test_a_backend_that_is_not_installed_is_said_before_anything_is_trained(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino_genai", None)
    source = PromptedLanguageModel("instruct", "model", LabelPrompt(), backend="openvino")
    with pytest.raises(ImportError, match=r"hf_augment\[openvino\]"):
        source.check(None)


def split_of(rows, folder):
    """A split of a study that keeps its stages in a folder."""
    data = Dataset.from_dict({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    study = SimpleNamespace(
        data=SimpleNamespace(label_names=["lost", "fee"], labels=None),
        folder=folder,
        stages=SimpleNamespace(run=lambda name, identity, work: work(folder / name)),
    )
    return SimpleNamespace(study=study, train=data)


def test_a_prompt_of_labelled_texts_is_made_anew_for_each_split(tmp_path):
    tokenizer = tiny_tokenizer()
    for part in (tiny_causal_lm(tokenizer), tokenizer):
        part.save_pretrained(tmp_path / "lm")
    make = partial(InstructPrompt.for_labels, template="{label}: {examples}", num_examples=2)
    source = PromptedLanguageModel("instruct", str(tmp_path / "lm"), make, SamplingConfig(max_new_tokens=2))
    assert (source.learns, source.shared) == (True, False)
    rows = [("I lost it", 0), ("why a fee", 1), ("it is lost", 0)]
    generators = [source.open(split_of(of, tmp_path)) for of in (rows, rows[:2])]
    assert [generator.generator.prompt.examples for generator in generators] == [
        {"lost": ["I lost it", "it is lost"], "fee": ["why a fee"]},
        {"lost": ["I lost it"], "fee": ["why a fee"]},
    ]
    assert len({generator.fingerprint() for generator in generators}) == 2
    assert len(generators[0].generate([0, 1, 1], seed=0)) == 3
    # The rows are in no file but that of what the model wrote.
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "candidates" not in path.parts]
    assert not [path for path in written if b"lost it" in path.read_bytes()]


def test_a_gguf_file_is_read_once_for_all_that_use_it(tmp_path, monkeypatch):
    tokenizer, reads = tiny_tokenizer(), []

    def read(name, **options):
        reads.append((name, options["gguf_file"]))
        return tiny_causal_lm(tokenizer), tokenizer

    monkeypatch.setattr(text_sources, "load_causal_lm", read)
    monkeypatch.setattr(text_sources, "cached_assets_path", lambda *names: tmp_path.joinpath(*names))
    split = split_of([("I lost it", 0), ("why a fee", 1)], tmp_path)
    sampling = SamplingConfig(max_new_tokens=2)
    prompted = PromptedLanguageModel("prompted", "lm", LabelPrompt(), sampling, "a.gguf")
    trained = TrainedLanguageModel("trained", "lm", LabelPrompt("{label}:"), sampling, "a.gguf")
    fingerprints = [source.pretrained(split.study).fingerprint() for source in (prompted, trained, prompted)]
    assert reads == [("lm", "a.gguf")]
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]
    PromptedLanguageModel("other", "lm", LabelPrompt(), sampling, "b.gguf").pretrained(split.study)
    assert reads[1:] == [("lm", "b.gguf")]


def test_a_prompt_of_labelled_texts_is_known_by_how_it_is_made():
    def identity(**options):
        source = PromptedLanguageModel("instruct", "model", partial(InstructPrompt.for_labels, **options))
        return source.identity()["instruct.prompt"]

    assert identity(kind="note") == identity(kind="note")
    assert len({identity(kind="note"), identity(kind="tweet"), identity(kind="note", num_examples=2)}) == 3
    assert not PromptedLanguageModel("instruct", "model", InstructPrompt.for_sentiment()).learns


def test_a_trained_model_learns_the_style_of_texts_without_labels_first(tmp_path):
    tokenizer, data = tiny_tokenizer(), LabelledData(TEXT.rows(40), {"test": TEXT.rows(12, seed=1)}, "toys")
    for name, model in (("lm", tiny_causal_lm(tokenizer)), ("tiny", tiny_classifier(tokenizer=tokenizer))):
        for part in (model, tokenizer):
            part.save_pretrained(tmp_path / name)
    learning = {"num_train_epochs": 1.0, "per_device_train_batch_size": 4}

    def source(rows):
        model, prompt = str(tmp_path / "lm"), LabelPrompt("{label}:")
        return TrainedLanguageModel("trained", model, prompt, training=learning, style_rows=rows)

    def study(rows, per_class=6):
        args = {"max_steps": 2, "save_strategy": "no", "use_cpu": True, "report_to": "none"}
        training = AugmentingTrainingArguments(str(tmp_path / f"run-{rows}"), **args)
        classifier = TextClassifier(str(tmp_path / "tiny"), data.label_names, max_length=24)
        return Study(data, classifier, training, [Arm("trained", source(rows))], train_per_class=per_class, seeds=1)

    # 12 labelled texts and 16 of the 28 others, or none.
    steps = {rows: source(rows).learned(study(rows).split(0)) for rows in (0, 16)}
    assert (steps[0]["steps"], steps[16]["steps"]) == (3, 4 + 3)
    assert "the style of 16 texts without labels, and then the labelled texts in 7 steps" in source(16).note(
        study(16).split(0)
    )
    learned = [source(rows).folder(study(rows).split(0)) / "model.safetensors" for rows in steps]
    assert learned[0].read_bytes() != learned[1].read_bytes()
    # What it has learned it may repeat, and the filter of copies knows it.
    split = study(16).split(0)
    learned = [{"text": text} for text in style_rows_of(split, 16)["text"][:]]
    rejected = {}
    for rows in (0, 16):
        filters = TextFilters(min_words=1, min_label_probability=0.0)(split, source(rows), None)
        (copies,) = (f for f in filters if isinstance(f, Memorization))
        rejected[rows] = sum(not verdict.accepted for verdict in copies.judge(learned, [0] * 16))
    assert rejected[0] < rejected[16] == 16
    with pytest.raises(ValueError, match="trained has style_rows=16, and there are no rows without labels"):
        source(16).check(study(16, per_class=20))
