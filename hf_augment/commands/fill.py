"""`hf_augment fill DATA`: the generated examples of a training, made ahead of it by many machines."""

from __future__ import annotations

import argparse

from hf_augment.commands.trainer_options import add_arm_arguments, add_model_arguments, add_own_arguments, read_more


SUMMARY = "make the generated examples of `hf_augment train` ahead of it, on many machines"
DESCRIPTION = """\
Makes the shards of generated examples that `hf_augment train` with the same options will show, and trains no
classifier but judges of filters. Any number of these commands may run at the same time, on hosts of one kind that
share FOLDER: each shard is made by one of them, and what one that died had begun is made by another. When all are
there, `hf_augment train` with the same options reads them; the classifier is the same as without this command."""

#: What is not known here is for the Trainer.
TAKES_MORE = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command: those of `hf_augment train`, and which shards."""
    add_own_arguments(parser)
    add_arm_arguments(parser)
    group = parser.add_argument_group("shards")
    group.add_argument(
        "--shards",
        metavar="FIRST:END",
        help="from the shard FIRST on, those before END (default: all of the training)",
    )
    group.add_argument("--world_size", type=int, metavar="N", help="processes of the training (default: of this)")
    group.add_argument(
        "--lapse", type=float, default=60.0, metavar="SECONDS", help="after which a dead process is taken over from"
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Makes shards, and says who made them."""
    from hf_augment.progress import working

    with working("Loading PyTorch and transformers"):
        from hf_augment.study.own_arm import fill_shards
    read_more(options, add_arguments)
    fill_shards(options)
