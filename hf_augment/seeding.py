"""Counters to seeds, and a scope that keeps the global random state out of reach."""

from __future__ import annotations

import contextlib
import random
import zlib
from collections.abc import Iterator

import numpy as np
import torch


def derive_seed(seed: int, purpose: str, *counters: int) -> int:
    """
    Derives an independent seed from a base seed, a purpose and counters.

    Sums such as `seed + epoch` collide between runs (seed 1, epoch 0 is seed 0, epoch 1); a `SeedSequence` does not.

    Example:

    ```python
    >>> from hf_augment.seeding import derive_seed
    >>> derive_seed(42, "labels", 0) == derive_seed(42, "labels", 0)
    True
    >>> derive_seed(42, "labels", 0) == derive_seed(42, "candidates", 0)
    False
    ```

    Args:
        seed (`int`): The base seed, zero or more.
        purpose (`str`): Name of what is drawn with it. Two purposes never share a stream.
        counters (`int`):
            Counters, such as a shard, an attempt, an epoch; zero or more each. One purpose always takes the same
            number of them: a `SeedSequence` takes no notice of zeros at the end.

    Returns:
        `int`: A seed in `[0, 2**63)`, valid for `torch.Generator.manual_seed` and `np.random.default_rng`.
    """
    entropy = [seed, zlib.crc32(purpose.encode()), *counters]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


def derive_rng(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A NumPy generator on the stream that [`derive_seed`] names."""
    return np.random.default_rng(derive_seed(seed, purpose, *counters))


@contextlib.contextmanager
def isolated_rng(seed: int) -> Iterator[None]:
    """
    Seeds Python, NumPy and torch (CPU and CUDA) inside the block and restores all of them after it.

    Makes what runs inside repeatable, and keeps it from changing what is drawn outside. Only for the main thread: the
    states are process-wide, so in a background thread this would race with training.

    Args:
        seed (`int`): Zero or more; see [`derive_seed`].
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    # manual_seed reaches every CUDA device, so every device has to be restored.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
        random.seed(seed)
        np.random.seed(seed % 2**32)
        # Not torch.manual_seed, which reseeds devices of other kinds too, whose state nobody restores.
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
