"""The parent's training loader, taken before accelerate holds it, and the same with blended batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.data as torch_data


@contextmanager
def swapped(owner: Any, **values: Any) -> Iterator[None]:
    """Gives an object other attributes inside the block."""
    before = {name: owner.__dict__.get(name, _ABSENT) for name in values}
    owner.__dict__.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is _ABSENT:
                del owner.__dict__[name]
            else:
                owner.__dict__[name] = value


_ABSENT = object()


def bare_loader(accelerator: Any, make: Callable[[], Any]) -> torch_data.DataLoader:
    """
    Returns the loader that `make` builds, without what `accelerator.prepare` would put around it.

    Raises:
        ValueError: If it is none of torch's.
    """

    def unchanged(*objects: Any, **options: Any) -> Any:
        return objects[0] if len(objects) == 1 else objects

    with swapped(accelerator, prepare=unchanged):
        loader = make()
    if type(loader) is not torch_data.DataLoader:
        raise ValueError(
            f"get_train_dataloader of the parent trainer returns a {type(loader).__name__}, whose batches cannot be "
            "blended: let it return a torch DataLoader over train_dataset."
        )
    return loader


def order_of(loader: torch_data.DataLoader) -> Iterable[int]:
    """
    The sampler that orders the rows of a loader.

    Raises:
        ValueError: If its batches are made otherwise than by cutting that order.
    """
    batches: Any = loader.batch_sampler
    if batches is None or type(batches).__iter__ is not torch_data.BatchSampler.__iter__:
        raise ValueError(
            f"The training loader's batches are put together by {type(batches).__name__}, and blending would take "
            "them apart: use a sampler of rows, such as batch_sampler='batch_sampler' of Sentence Transformers."
        )
    return batches.sampler


def check_loader(loader: torch_data.DataLoader, batch_size: int) -> None:
    """
    Refuses a parent's loader that the plan of the run does not fit.

    Args:
        loader (`torch.utils.data.DataLoader`): That of the parent.
        batch_size (`int`): Rows in a batch by the arguments.

    Raises:
        ValueError: If its batches are of another size, or an epoch of it is not as long as the dataset.
    """
    if loader.batch_size is not None and loader.batch_size != batch_size:
        raise ValueError(
            f"The training loader has batches of {loader.batch_size}, but synthetic rows are planned by "
            f"per_device_train_batch_size={batch_size}: make them agree."
        )
    sampler: Any = loader.sampler
    dataset: Any = loader.dataset
    if isinstance(dataset, torch_data.IterableDataset) or not hasattr(sampler, "__len__"):
        return
    if len(sampler) != len(dataset):
        raise ValueError(
            f"The sampler of the training loader yields {len(sampler)} rows, but an epoch is as long as "
            f"train_dataset, {len(dataset)}: let it yield as many, or leave out of train_dataset the rows that it "
            "leaves out."
        )


def with_batches(
    loader: torch_data.DataLoader, dataset: Any, batch_sampler: Any, collator: Any, seed: int
) -> torch_data.DataLoader:
    """
    Returns a loader like another one, with its workers, of other batches.

    Args:
        loader (`torch.utils.data.DataLoader`): The one whose options are taken.
        dataset (`Any`): The rows.
        batch_sampler (`Any`): The keys of each batch.
        collator (`Callable`): Rows to a batch.
        seed (`int`):
            Seeds the workers: without a generator of its own, a loader moves the global random state at every epoch.
    """
    return torch_data.DataLoader(
        dataset,
        batch_sampler=batch_sampler,
        collate_fn=collator,
        num_workers=loader.num_workers,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
        in_order=loader.in_order,
        generator=torch.Generator().manual_seed(seed),
    )
