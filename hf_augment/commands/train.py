"""`hf_augment train DATA`: just the classifier that learns from one's own data and from generated examples."""

from __future__ import annotations

import argparse

from hf_augment.commands.trainer_options import add_arm_arguments, add_model_arguments, add_own_arguments, read_more


SUMMARY = "train one classifier of your data with generated examples, and save it"
DESCRIPTION = """\
Trains one classifier of your data with generated examples, on the fly, and saves it in FOLDER in the form that
transformers loads. What is not given is chosen as by `hf_augment experiment`, which tells whether the examples help:
one training does not. Further options are those of the Trainer: --help-all lists them."""

#: What is not known here is for the Trainer.
TAKES_MORE = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add_own_arguments(parser)
    add_arm_arguments(parser)
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Trains, and says where the classifier is and how to use it."""
    from hf_augment.progress import working

    with working("Loading PyTorch and transformers"):
        from hf_augment.study.own_arm import train
    read_more(options, add_arguments)
    train(options)
