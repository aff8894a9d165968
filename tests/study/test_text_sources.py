"""Language models of a study sample with the backend that was asked for."""

import sys
from types import SimpleNamespace

import pytest

from hf_augment.generators.causal_lm import CausalLMGenerator
from hf_augment.generators.prompts import LabelPrompt
from hf_augment.study.text_sources import PromptedLanguageModel, TrainedLanguageModel


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
    prompted.opened(study)
    assert asked == [backend] * 3
    assert trained.identity()["trained.backend"] == backend


def test_a_backend_that_is_not_installed_is_said_before_anything_is_trained(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino_genai", None)
    source = PromptedLanguageModel("instruct", "model", LabelPrompt(), backend="openvino")
    with pytest.raises(ImportError, match=r"hf_augment\[openvino\]"):
        source.check(None)
