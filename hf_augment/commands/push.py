"""`hf_augment push RUN`: pushes what a run has staged."""

from __future__ import annotations

import argparse


SUMMARY = "push what a run has staged; repeat it where it failed"
DESCRIPTION = """\
Push what a run has staged in RUN/hub. What already arrived is not uploaded again. The token is that of
`hf auth login`, or HF_TOKEN."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("run_dir", metavar="RUN", help="the output_dir of a run")
    parser.add_argument("--repo_id", metavar="NAME", help="what all names begin with (default: the folder's name)")
    parser.add_argument("--private", action="store_true", help="new repositories are private")


def run(options: argparse.Namespace) -> None:
    """Pushes, and prints the addresses."""
    from hf_augment.hub.pushing import push

    for address in push(options.run_dir, options.repo_id, options.private or None):
        print(address)
