"""Weights are read from safetensors alone, and from nowhere but the model's own folder."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HFValidationError
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME

from hf_augment.files import parse_json


#: Endings of files that are or may be pickles.
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
#: What says where to find a model on the Hub, among the arguments of `from_pretrained`.
_WHERE = ("revision", "subfolder", "cache_dir", "token", "local_files_only")


def safetensors_only(name_or_path: str | Path, **where: Any) -> dict[str, Any]:
    """
    Checks a model before the library loads it.

    Example:

    ```python
    model = AutoModelForCausalLM.from_pretrained(name, **safetensors_only(name), trust_remote_code=False)
    ```

    Args:
        name_or_path (`str` or `Path`): A folder or a Hub id.
        where (*optional*):
            `revision`, `subfolder`, `cache_dir`, `token` and `local_files_only`, as for `from_pretrained`.

    Returns:
        `dict[str, Any]`: The option with which `from_pretrained` reads no pickle.

    Raises:
        `OSError`: If a folder has weights in pickle alone.
        `ValueError`: If an index is damaged, or names files outside of its folder or of another kind.
    """
    folder, within = Path(name_or_path), Path(where.get("subfolder") or "")
    if not folder.is_dir():
        # Without an index there is nothing to check, and loading fails with the better message.
        with contextlib.suppress(OSError, HFValidationError):
            index = Path(hf_hub_download(str(name_or_path), SAFE_WEIGHTS_INDEX_NAME, **where))
            _check_index(index, index.parents[2 + len(within.parts)])
        return {"use_safetensors": True}
    _check_formats(folder / within)
    for index in (folder / within).glob("*.safetensors.index.json"):
        # In the cache of the Hub files are links into the repository's own folder there.
        _check_index(index, folder.parents[1] if folder.parent.name == "snapshots" else index.parent)
    return {"use_safetensors": True}


class SafetensorsOnly:
    """Comes before `PreTrainedModel` among the bases of a model whose `from_pretrained` reads no pickle."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *model_args: Any, **kwargs: Any) -> Any:
        """As of `PreTrainedModel`, but only from safetensors, with the errors of [`safetensors_only`]."""
        if kwargs.get("use_safetensors") is False:
            raise ValueError("use_safetensors=False: weights in pickle are never read, since they can run code.")
        if pretrained_model_name_or_path is not None:
            where = {name: kwargs[name] for name in _WHERE if kwargs.get(name) is not None}
            kwargs |= safetensors_only(pretrained_model_name_or_path, **where)
        return super().from_pretrained(pretrained_model_name_or_path, *model_args, **kwargs)  # type: ignore[misc]


def _check_formats(folder: Path) -> None:
    adapters = (folder / "adapter_config.json").exists() and not (folder / "adapter_model.safetensors").exists()
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    pickles = sorted(path.name for path in files if path.suffix in _PICKLES and path.name != "training_args.bin")
    if pickles and (adapters or not any(path.suffix in (".safetensors", ".gguf") for path in files)):
        raise OSError(
            f"{folder} has weights only in {', '.join(pickles)}, which may run code when it is loaded and is never "
            "read. Save the model again as safetensors, where you trust it: load it with transformers and call "
            "`save_pretrained`."
        )


def _check_index(index: Path, root: Path) -> None:
    """Checks what an index names, which must lie in `root`."""
    remedy = "Save or download the model again"
    names = parse_json(index, remedy).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise ValueError(f"{index} is damaged: it has no weight_map from names to files. {remedy}.")
    for name in ["", *sorted(set(names.values()))]:
        if name and not name.endswith(".safetensors"):
            raise ValueError(f"{index} names {name!r}, which is no safetensors file: other weights are never read.")
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        if not inside or not (index.parent / name if name else index).resolve().is_relative_to(root.resolve()):
            raise ValueError(
                f"{index} {f'names {name!r}, which' if name else ''} leads out of its folder: put the file itself "
                "there, or do not load this model."
            )
