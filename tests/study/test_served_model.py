from functools import partial
from types import SimpleNamespace

import pytest

from hf_augment import (
    AugmentingTrainingArguments,
    Endpoint,
    InstructPrompt,
    LabelledData,
    LabelPrompt,
    Study,
    TextClassifier,
)
from hf_augment.study.served_model import ServedJudge, ServedLanguageModel, is_local
from hf_augment.study.variants import variants_of
from tests.tiny import tiny_classifier, tiny_tokenizer
from tests.toys import TEXT


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://10.0.0.2:8000/v1", False),
        ("http://localhost.example.com/v1", False),
        ("https://router.huggingface.co/v1", False),
    ],
)
def test_labelled_texts_are_shown_to_servers_of_this_machine(address, local):
    assert is_local(address) == local
    made = partial(ServedLanguageModel, "served", Endpoint(address, "m"), partial(InstructPrompt.for_labels, kind="x"))
    assert made().shows_examples == made().learns == local
    assert made().shared == (not local)
    assert made(send_examples=True).shows_examples


def test_a_prompt_that_is_given_is_the_same_for_all():
    source = ServedLanguageModel("served", Endpoint("http://127.0.0.1/v1", "m"), LabelPrompt())
    assert source.shared
    assert not source.learns
    assert source.models == ("m",)


def test_how_a_server_is_asked_is_no_part_of_the_identity():
    def identity(address="http://127.0.0.1/v1", model="m", **options):
        return ServedLanguageModel("served", Endpoint(address, model, **options), LabelPrompt()).identity()

    assert identity() == identity("http://localhost:9/v1", concurrency=2, max_requests=5)
    assert identity() != identity(model="other")
    assert identity() != ServedLanguageModel("served", Endpoint("http://h/v1", "m"), LabelPrompt("{label}")).identity()


def test_where_it_is_decides_what_its_prompts_show_which_is_part_of_the_identity():
    def identity(address, **options):
        prompt = partial(InstructPrompt.for_labels)
        return ServedLanguageModel("served", Endpoint(address, "m"), prompt, **options).identity()

    assert identity("http://127.0.0.1/v1") != identity("http://elsewhere/v1")
    assert identity("http://127.0.0.1/v1") == identity("http://localhost/v1")
    # Elsewhere it writes the same if labelled texts may be sent there.
    assert identity("http://127.0.0.1/v1") == identity("http://elsewhere/v1", send_examples=True)
    assert identity("http://127.0.0.1/v1")["served.shows_examples"] == "True"


def test_examples_of_a_prompt_that_is_given_are_sent_to_no_other_machine():
    prompt = InstructPrompt("{label}: {examples}", examples={"a": ["a text of mine"], "b": ["another"]})

    def source(address, **options):
        return ServedLanguageModel("served", Endpoint(address, "m"), prompt, **options)

    with pytest.raises(ValueError, match=r"'served' holds examples, which http://10\.0\.0\.2/v1 would be sent"):
        source("http://10.0.0.2/v1").check(None)
    assert source("http://127.0.0.1/v1").learns


class Learner:
    name, learns = "trained", True


def test_a_judge_elsewhere_is_sent_no_texts_of_a_model_that_learned_labelled_ones(monkeypatch):
    monkeypatch.setattr(ServedLanguageModel, "check", lambda self, study: None)

    def check(address, judged, **options):
        ServedJudge(ServedLanguageModel("served", Endpoint(address, "m"), LabelPrompt(), **options)).check(
            None, judged
        )

    with pytest.raises(ValueError, match=r"10\.0\.0\.2/v1 would be sent the texts of 'trained'.*pass send_examples"):
        check("http://10.0.0.2/v1", Learner())
    check("http://10.0.0.2/v1", Learner(), send_examples=True)
    check("http://127.0.0.1/v1", Learner())
    check("http://10.0.0.2/v1", ServedLanguageModel("served", Endpoint("http://10.0.0.2/v1", "m"), LabelPrompt()))


def test_a_judge_asks_what_it_is_given_and_keeps_answers_with_those_of_the_texts(server, tmp_path):
    def asked(address=None, **options):
        source = ServedLanguageModel("served", Endpoint(address or server.url, "m"), LabelPrompt())
        return ServedJudge(source, **options)

    study = SimpleNamespace(data=SimpleNamespace(label_names=["a", "b"]), folder=tmp_path)
    judge = asked(descriptions={"a": "apples"}).judge(SimpleNamespace(study=study))
    assert judge([{"text": "x"}]).argmax() == 0
    assert "A: apples\nB: b" in server.requests[-1][1]["messages"][0]["content"]
    assert (tmp_path / "answers.sqlite").exists()
    assert asked("http://localhost:9/v1").identity() == asked().identity()
    assert asked(template="{options} {text}").identity() != asked().identity()


def test_an_arm_that_shows_labelled_texts_sends_none_to_another_machine_unless_it_may(tmp_path):
    data = LabelledData(TEXT.rows(40), {"test": TEXT.rows(12, seed=1)}, "toys")
    tokenizer = tiny_tokenizer()
    for part in (tokenizer, tiny_classifier(tokenizer=tokenizer)):
        part.save_pretrained(tmp_path / "tiny")
    training = {"max_steps": 40, "save_strategy": "no", "use_cpu": True, "report_to": "none", "synthetic_feedback": 4}

    def study(prompt, **options):
        source = ServedLanguageModel("served", Endpoint("http://far.example/v1", "m"), prompt, **options)
        arms = [arm for arm in variants_of(source, ()) if arm.name == "served_seeded"]
        args = AugmentingTrainingArguments(str(tmp_path / "run"), **training)
        return Study(data, TextClassifier(str(tmp_path / "tiny"), data.label_names), args, arms, train_per_class=6)

    for prompt in (InstructPrompt.for_labels, InstructPrompt.for_labels(data.label_names)):
        with pytest.raises(ValueError, match=r"served.* which http://far.example/v1 would be sent: leave the arm out"):
            study(prompt)
    with pytest.raises(ValueError, match="written after labelled rows, which 'served' cannot: leave it out"):
        study(LabelPrompt("{label}:"), send_examples=True)
    # What such an arm makes is judged as what a generator made that has seen the rows.
    source = ServedLanguageModel("served", Endpoint("http://far.example/v1", "m"), LabelPrompt("{label}:"))
    arms = {arm.name: arm for arm in variants_of(source, ())}
    seeded, plain = arms["served_seeded"], arms["served_live"]
    assert (seeded.judged.learns, plain.judged.learns) == (True, False)
    assert (seeded.judged.name, seeded.judged.leaves()) == ("served", [source])
