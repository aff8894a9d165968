"""
Fills the shards of a training on a Ray cluster, whose machines share a folder, before the training reads them.

    pip install ray
    python recipes/fill_ray.py --tasks 8 --gpus 1 reviews.csv --output_dir /shared/reviews
    hf_augment train reviews.csv --output_dir /shared/reviews

What follows the options of Ray is what `hf_augment fill` takes. Every task runs that same command, and claims in the
folder divide the shards among them: faster machines make more, and none waits for a range that another one was given.
Ray starts a task again whose machine is gone; what it had begun is made by whoever is free. A script of one's own
calls `fill` with a function that builds its trainer and calls `trainer.fill_shards()`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import ray

from hf_augment.cli import main as hf_augment


def fill(
    work: Callable[..., Any], arguments: Sequence[Any], tasks: int, gpus: float = 0.0, tries: int = 3
) -> list[Any]:
    """
    Calls a function with the same arguments in so many tasks at a time.

    Args:
        work (`Callable`): The function, of a module that all machines have.
        arguments (`Sequence`): Its arguments.
        tasks (`int`): Number of tasks: machines, or GPUs.
        gpus (`float`, *optional*, defaults to 0.0): GPUs of a task.
        tries (`int`, *optional*, defaults to 3): How often Ray starts a task again whose process or machine is gone.

    Returns:
        `list`: What each task returned.
    """
    task = ray.remote(work).options(max_retries=tries, num_gpus=gpus)
    return ray.get([task.remote(*arguments) for _ in range(tasks)])


def command(arguments: Sequence[str]) -> None:
    """`hf_augment` with these arguments, as a task."""
    try:
        hf_augment(arguments)
    except SystemExit as error:
        # Ray would take it for a machine that is gone, and start the task again.
        raise RuntimeError(error.code) from error


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--tasks", type=int, default=4, help="tasks at a time (default: 4)")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs of each task (default: 0)")
    parser.add_argument("--address", help="of the Ray cluster (default: the one that is there, or this machine)")
    options, more = parser.parse_known_args()
    ray.init(options.address)
    fill(command, [["fill", *more]], options.tasks, options.gpus)


if __name__ == "__main__":
    main()
