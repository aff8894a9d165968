"""What a prompted language model itself knows of the task, and how that was found out."""

from types import SimpleNamespace

import numpy as np
import pytest

from hf_augment.generators.prompts import LabelPrompt
from hf_augment.study.stages import Stages
from hf_augment.study.text import AskedModel, zero_shot
from hf_augment.study.text_sources import PromptedLanguageModel
from tests.toys import TEXT


def always(label):
    return lambda texts: np.eye(2)[[label] * len(texts)]


class Asked:
    """It takes every text for one of class 1; after labelled texts, of class 0."""

    template, opinions = "What is {text}?", 2

    def judge(self, split, rows=None):
        return always(0 if rows is not None else 1)


@pytest.fixture
def study(tmp_path):
    test = TEXT.rows(20)
    first = SimpleNamespace(seed=42, train=TEXT.rows(4, seed=1))
    return SimpleNamespace(
        split=lambda index: first,
        data=SimpleNamespace(evaluations={"test": test}, labels=None, label_names=["a", "b"]),
        run_identity={"contents of test": "rows"},
        rows_identity={},
        stages=Stages(tmp_path),
        share=np.bincount(test["label"][:], minlength=2) / 20,
    )


SOURCE = SimpleNamespace(
    name="prompted",
    identity=lambda: {"prompted": "1"},
    opened=lambda split: SimpleNamespace(label_posterior=always(0)),
)


def test_a_model_that_nobody_asked_is_not_said_to_have_been_asked(study):
    notes, figures = zero_shot(study, SOURCE, None, 20)
    likely = "by how likely it finds a text under each label"
    assert figures == {f"the model of prompted, {likely} (20 rows)": study.share[0]}
    assert notes == [
        f"The prompted model itself, as a zero-shot classifier {likely}: accuracy {study.share[0]:.3f} on 20 test "
        "texts. Its knowledge of the task is what its texts can pass on."
    ]


def test_a_model_that_was_asked_is_measured_by_its_answers(study):
    notes, figures = zero_shot(study, SOURCE, Asked(), 20)
    assert figures == {"the model of prompted, asked (20 rows)": study.share[1]}
    assert notes[1] == (
        f"Asked for the label of the same texts it is right on {study.share[1]:.3f}, and after labelled texts of the "
        f"first split on {study.share[0]:.3f}."
    )


def test_a_model_that_is_asked_is_known_by_what_its_answers_depend_on(tmp_path):
    def identity(template="What is {text}?", **of_source):
        return AskedModel(
            PromptedLanguageModel("lm", str(tmp_path), LabelPrompt(), **of_source), template, {}
        ).identity()

    (tmp_path / "config.json").write_text("{}")
    was = identity()
    assert was == identity(candidates="elsewhere")
    assert was != identity("Is {text} good?")
    (tmp_path / "config.json").write_text('{"vocab_size": 7}')
    assert was != identity()
