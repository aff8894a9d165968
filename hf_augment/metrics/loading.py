"""Finds and loads the metrics that ship with the package."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_augment.extras import optional_imports


if TYPE_CHECKING:
    from evaluate import EvaluationModule


def metric_path(name: str) -> str:
    """
    Finds the folder of a metric that ships with the package, as `evaluate.load` takes it; `help(hf_augment.metrics)`
    lists them.

    Example:

    ```python
    >>> import evaluate
    >>> from hf_augment import metric_path
    >>> accuracy = evaluate.load(metric_path("accuracy"))
    >>> accuracy.compute(references=[0, 1], predictions=[0, 1])
    {'accuracy': 1.0}
    ```

    Args:
        name (`str`): Name of a folder beside this module.

    Raises:
        `ValueError`: If there is no metric of that name.
    """
    # A script of the folder's own name is what makes a folder a metric to `evaluate`.
    folders = {
        script.parent.name: script.parent
        for script in Path(__file__).parent.glob("*/*.py")
        if script.stem == script.parent.name
    }
    if name not in folders:
        raise ValueError(
            f"`name` is {name!r}, which is not a metric of this package. Choose one of {sorted(folders)}."
        )
    return str(folders[name])


def load_metric(name: str, **kwargs: Any) -> EvaluationModule:
    """
    Loads a metric that ships with the package. Safe in parallel processes: unlike `evaluate.load`, it keeps what it
    collects in memory, or under an `experiment_id` of its own, so that no two processes share a file. One object
    serves one thread at a time.

    Example:

    ```python
    >>> from hf_augment import load_metric
    >>> f1 = load_metric("f1")
    >>> f1.compute(references=[0, 1, 2, 1], predictions=[0, 1, 2, 2], average="micro")
    {'f1': 0.75}
    ```

    Args:
        name (`str`): See [`metric_path`].
        kwargs (*optional*):
            For `evaluate.load`, such as `config_name="multilabel"` for `"accuracy"` and `"f1"`. `keep_in_memory`
            defaults to `True` here. With `num_process` above one, `experiment_id` must be given, the same for all
            processes.

    Raises:
        `ValueError`: If there is no metric of that name, or `num_process` is above one without `experiment_id`.
    """
    # Here, as it takes long to import and most that imports this package computes no metric.
    with optional_imports("metrics"):
        import evaluate

    path = metric_path(name)
    num_process = kwargs.get("num_process", 1)
    if num_process == 1:
        kwargs = {"keep_in_memory": True, "experiment_id": uuid.uuid4().hex, **kwargs}
    elif kwargs.get("experiment_id") is None:
        raise ValueError(
            f"`num_process` is {num_process} and `experiment_id` is not given. Give every process of this run the "
            "same `experiment_id`, one that no other run uses: they share files of that name."
        )
    return evaluate.load(path, **kwargs)
