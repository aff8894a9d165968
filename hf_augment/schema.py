"""What several rooms of the package agree on."""

from __future__ import annotations

import hashlib

import torch


def weights_fingerprint(module: torch.nn.Module) -> str:
    """
    Identifies a module by its weights: the same names, dtypes, shapes and bytes give the same fingerprint, on any
    device.

    Example:

    ```python
    >>> import torch
    >>> from hf_augment.schema import weights_fingerprint
    >>> layer = torch.nn.Linear(2, 2)
    >>> before = weights_fingerprint(layer)
    >>> _ = layer.weight.data.mul_(2)
    >>> weights_fingerprint(layer) == before
    False
    ```

    Args:
        module (`torch.nn.Module`):
            Anything with a `state_dict` of tensors. It is hashed tensor by tensor, so no second copy is in memory.

    Returns:
        `str`: The first 16 hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        # NumPy has no bfloat16, but every dtype has bytes.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
