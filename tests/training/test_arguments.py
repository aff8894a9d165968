import dataclasses
import re

import pytest
from transformers import HfArgumentParser, TrainingArguments

from hf_augment import AugmentingTrainingArguments
from hf_augment.training.arguments import AugmentationArguments


def test_docstring_help_and_fields_agree_in_names_order_and_defaults():
    documented = re.findall(
        r"^ +(\w+) \(`([^`]+)`, \*optional\*, defaults to `?([^`)]+)`?\)",
        AugmentationArguments.__doc__,
        re.MULTILINE,
    )
    fields = dataclasses.fields(AugmentationArguments)
    assert [name for name, _, _ in documented] == [field.name for field in fields]
    for (name, _, default), field in zip(documented, fields, strict=True):
        assert field.metadata["help"], name
        if field.default is not None:
            assert default.strip('"') == str(field.default), name


def test_no_default_of_the_training_arguments_is_changed():
    ours = {field.name: field.default for field in dataclasses.fields(AugmentingTrainingArguments)}
    for field in dataclasses.fields(TrainingArguments):
        assert ours[field.name] == field.default or field.default is dataclasses.MISSING, field.name


def test_they_are_read_from_a_command_line(tmp_path):
    argv = f"--output_dir {tmp_path} --synthetic_ratio 0.25 --synthetic_reuse 3 --synthetic_producer inline".split()
    (args,) = HfArgumentParser(AugmentingTrainingArguments).parse_args_into_dataclasses(argv)
    assert (args.synthetic_ratio, args.synthetic_reuse, args.synthetic_producer) == (0.25, 3, "inline")


@pytest.mark.parametrize("ratio", [float("nan"), float("inf"), 1.0, -1e-9])
def test_a_ratio_that_is_no_share_is_refused(ratio, tmp_path):
    with pytest.raises(ValueError, match="synthetic_ratio="):
        AugmentingTrainingArguments(str(tmp_path), synthetic_ratio=ratio)


def test_a_number_in_quotes_is_named():
    with pytest.raises(ValueError, match=r"synthetic_ratio='0\.5' is out of range: pass a number, without quotes"):
        AugmentationArguments(synthetic_ratio="0.5")
