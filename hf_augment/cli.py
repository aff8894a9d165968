"""The command line: `python -m hf_augment push RUN_DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hf_augment.hub.pushing import push


def main(arguments: Sequence[str] | None = None) -> None:
    """
    Runs a command. Bad input and a Hub that refuses end with one line, not with a traceback.

    Args:
        arguments (`Sequence[str]`, *optional*): Defaults to what was typed.
    """
    parser = argparse.ArgumentParser(prog="python -m hf_augment")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    pushing = commands.add_parser(
        "push",
        help="push what a run has staged; repeat it where it failed",
        description="Push what a run has staged in RUN_DIR/hub. What already arrived is not uploaded again. The token "
        "is that of `hf auth login`, or HF_TOKEN.",
    )
    pushing.add_argument("run_dir", metavar="RUN_DIR", help="the output_dir of a run")
    pushing.add_argument("--repo_id", metavar="NAME", help="what all names begin with (default: the folder's name)")
    pushing.add_argument("--private", action="store_true", help="new repositories are private")
    options = parser.parse_args(arguments)
    try:
        for address in push(options.run_dir, options.repo_id, options.private or None):
            print(address)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
