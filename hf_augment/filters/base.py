"""The interface of a filter: candidates in, one verdict each out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Verdict:
    """
    A filter's answer about one candidate.

    Args:
        accepted (`bool`): Whether the candidate may go on to the next filter.
        score (`float`): The number that was compared with the threshold, in the filter's own unit.
        reason (`str`): One short phrase for a person, such as `"judge says neg (0.91)"`.
        label_probabilities (`tuple[float, ...]`, *optional*):
            The classes' probabilities, from a filter that knows them; they become the soft label.
    """

    accepted: bool
    score: float
    reason: str
    label_probabilities: tuple[float, ...] | None = None


class Filter(ABC):
    """
    Judges candidates before they enter a shard. Filters run in the order given, each on what the last one accepted.

    Example:

    ```python
    >>> from hf_augment import Filter, Verdict

    >>> class NoUrls(Filter):
    ...     name = "no_urls"
    ...
    ...     def judge(self, examples, labels):
    ...         return [Verdict("http" not in e["text"], float("http" in e["text"]), "has a URL") for e in examples]
    ...
    ...     def fingerprint(self):
    ...         return "no_urls-1"
    ```

    Attributes:
        name (`str`): The key under which verdicts are counted and logged.
    """

    name: ClassVar[str]

    #: Whether `judge` fills `Verdict.label_probabilities`, which soft labels need.
    gives_label_probabilities: ClassVar[bool] = False

    @abstractmethod
    def judge(self, examples: Sequence[dict[str, Any]], labels: Sequence[int]) -> list[Verdict]:
        """
        Judges candidates of one attempt at one shard.

        Args:
            examples (`Sequence[dict[str, Any]]`): Raw examples with the generator's columns.
            labels (`Sequence[int]`): The class each was asked to be.

        Returns:
            `list[Verdict]`: One for each example, in their order.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies the filter with its thresholds and data, like [`Generator.fingerprint`]."""

    def check(self, label_names: Sequence[str]) -> None:  # noqa: B027 - most filters judge any class
        """
        Raises a `ValueError` for a generator of other classes than this filter judges, when the trainer is built.

        Args:
            label_names (`Sequence[str]`): The generator's classes, in order.
        """

    def remember(self, examples: Sequence[dict[str, Any]]) -> None:  # noqa: B027 - most filters have no memory
        """
        Adds to the memory of a filter that compares candidates with what was accepted before. One that has it must
        define `forget` too.

        It is called after each attempt at a shard with the examples that *every* filter accepted, and for shards that
        are on disk already with all examples of one: what is remembered must not depend on their order within a shard.
        """

    def forget(self) -> None:  # noqa: B027
        """
        Empties the memory. It is called whenever the next shard follows on others than those remembered: when training
        resumes, or when another trainer or loader has used the filter.
        """

    #: The shards that the filter remembers, as noted by the pipeline that used it last.
    _remembered_shards: Any = None
