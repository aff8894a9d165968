"""Arms, the ways of training that a study compares, and the sources of their synthetic examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hf_augment.filters.base import Filter
from hf_augment.generators.base import Generator
from hf_augment.generators.dataset import DatasetGenerator
from hf_augment.generators.ensemble import GeneratorEnsemble
from hf_augment.reporting.results import REAL_ROWS
from hf_augment.study.identity import FEEDBACK, arguments, identity_of
from hf_augment.study.split import REFERENCE, Basis, Split
from hf_augment.training.arguments import WEIGHTINGS, AugmentingTrainingArguments
from hf_augment.training.checks import check_generator
from hf_augment.training.feedback.policies import Policy


#: The filters of an arm, or what makes them for a split, a source and its generator.
Filters = Sequence[Filter] | Callable[[Split, "Source", Generator], Sequence[Filter]]


class Source(ABC):
    """
    Makes the generator of an arm for each split of the labelled rows. A subclass is best a dataclass: its fields are
    its identity, by which a study recognises what it has done before.

    Attributes:
        name (`str`): Name of its folders, and of the arm on a command line.
        learns (`bool`, defaults to `False`):
            Whether the generator learns the labelled rows, so that a classifier of these rows would confirm copies.
        shared (`bool`, defaults to `False`): Whether all splits have one generator, and so one stream of examples.
        real (`bool`, defaults to `False`): Whether the examples are real rows, which are not filtered or published.
        reuse (`int`, *optional*):
            How often each example is shown where that is not for `synthetic_reuse` to say, which spares examples that
            cost something.
    """

    name: str
    learns: ClassVar[bool] = False
    shared: ClassVar[bool] = False
    real: ClassVar[bool] = False
    reuse: ClassVar[int | None] = None

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models behind it that a reader can look up."""
        return (self.name,)

    @property
    def own_filters(self) -> Filters:
        """What judges its examples where they are real rows, which no other filter does."""
        return ()

    def identity(self) -> dict[str, str]:
        """Returns the values that the examples depend on, beside the labelled rows."""
        return identity_of(self.name, self)

    def check(self, study: Basis) -> None:  # noqa: B027 - most have nothing to check
        """Raises `ValueError` or `OSError` for what cannot work, before anything is trained."""

    def shows_rows(self, study: Basis) -> bool:
        """
        Returns whether its generator can write after labelled rows, as [`HardSeeds`] has it; raises `ValueError` where
        that would send them to another machine.
        """
        return False

    def leaves(self) -> list[Source]:
        """Returns the sources that it is made of: itself, unless it is a mixture."""
        return [self]

    @abstractmethod
    def open(self, split: Split) -> Generator:
        """Returns the generator for a split, trained if need be."""

    def note(self, first: Split) -> str | None:
        """Returns what a report says of it; `first` is the first split, after its runs. Every process calls it."""
        return None


class LearnedSource(Source):
    """A source whose generator is trained on the labelled rows of each split, once."""

    learns = True

    @abstractmethod
    def train(self, split: Split, folder: Path) -> dict[str, Any]:
        """
        Trains the generator on `split.train` and saves it in `folder/model`; goes on from what was interrupted there.
        Returns its `steps` and `seconds`, JSON serialisable.
        """

    @abstractmethod
    def load(self, folder: Path) -> Generator:
        """Returns the generator that `train` saved in a folder."""

    def folder(self, split: Split) -> Path:
        """Returns the folder of the trained generator."""
        return split.folder / f"{self.name}-generator/model"

    def learned(self, split: Split) -> dict[str, Any]:
        """Returns what `train` returned; trains the generator if that has not been done."""
        identity = split.study.rows_identity | split.study.device_identity | self.identity()
        if getattr(self, "style_rows", 0):
            identity |= split.unlabelled_identity
        return split.stage(f"{self.name}-generator", identity, lambda folder: self.train(split, folder))

    def open(self, split: Split) -> Generator:
        self.learned(split)
        return self.load(self.folder(split))


@dataclass
class Given(Source):
    """
    A generator that is there already, the same for all splits, under the name of its folder. It must not have learned
    test rows. One whose prompts show examples, or which begins from images, may repeat these.
    """

    generator: Generator
    name: str = "generator"
    shared = True

    @property
    def learns(self) -> bool:  # type: ignore[override]
        shown = getattr(getattr(self.generator, "prompt", None), "examples", None)
        return bool(shown or getattr(self.generator, "begins_from_images", False))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(getattr(self.generator, "models", (self.name,)))

    def identity(self) -> dict[str, str]:
        return {f"{self.name}.fingerprint": self.generator.fingerprint()}

    def check(self, study: Basis) -> None:
        """The generator makes the classes of the rows."""
        check_generator(self.generator)
        if (known := list(self.generator.label_names)) != study.data.label_names:
            raise ValueError(
                f"The generator of the arm {self.name!r} has label_names={known}, but the rows have "
                f"{study.data.label_names}: use the same names in the same order."
            )

    def shows_rows(self, study: Basis) -> bool:
        return self.generator.takes_seed_rows

    def open(self, split: Split) -> Generator:
        return self.generator


@dataclass
class Shown(Source):
    """A source as judges see it where its generator is shown labelled rows, which it may repeat."""

    source: Source
    learns = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.source.name

    @property
    def real(self) -> bool:  # type: ignore[override]
        return self.source.real

    def leaves(self) -> list[Source]:
        return self.source.leaves()

    def open(self, split: Split) -> Generator:
        return self.source.open(split)


@dataclass
class RealRows(Source):
    """Real rows that are not among the labelled ones, as if they were generated: the ceiling."""

    name: str = "real"
    real = True

    @property
    def models(self) -> tuple[str, ...]:
        return (REAL_ROWS,)

    def check(self, study: Basis) -> None:
        """Every class needs a row that is not labelled; sets of labels are drawn as they occur."""
        if study.data.labels is not None and len(study.split(0).apart[1]):
            return
        rest = study.split(0).apart[1]
        counts = {name: rest["label"][:].count(label) for label, name in enumerate(study.data.label_names)}
        if not all(counts.values()):
            raise ValueError(
                f"The arm {self.name!r} draws rows that are not among the labelled ones, and of these there are "
                f"{counts}: lower train_per_class, or leave the arm out."
            )

    def open(self, split: Split) -> Generator:
        return DatasetGenerator(split.apart[1], as_they_occur=split.study.data.labels is not None)


@dataclass
class Mixture(Source):
    """Several sources, two or more, in equal shares, under the name of its folder."""

    name: str
    parts: Sequence[Source]

    @property
    def learns(self) -> bool:  # type: ignore[override]
        return any(part.learns for part in self.parts)

    @property
    def shared(self) -> bool:  # type: ignore[override]
        # The candidates of a part that all splits share are asked for by the same seeds.
        return any(part.shared for part in self.parts)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(model for part in self.parts for model in part.models)

    def identity(self) -> dict[str, str]:
        return {key: value for part in self.parts for key, value in part.identity().items()}

    def check(self, study: Basis) -> None:
        for part in self.parts:
            part.check(study)

    def shows_rows(self, study: Basis) -> bool:
        # Each of them is asked: one may have to refuse.
        shows = [part.shows_rows(study) for part in self.parts]
        return any(shows)

    def leaves(self) -> list[Source]:
        return [leaf for part in self.parts for leaf in part.leaves()]

    def open(self, split: Split) -> Generator:
        return GeneratorEnsemble([part.open(split) for part in self.parts])


@dataclass(frozen=True)
class Arm:
    """
    One way of training that is compared with others.

    Example:

    ```python
    >>> from hf_augment import Arm, NearDuplicates
    >>> from hf_augment.study.arms import RealRows
    >>> arms = [Arm("eda", augment="eda"), Arm("real", RealRows())]
    ```

    Args:
        name (`str`): Name in tables, and of folders.
        source (`Source` or `Generator`, *optional*): Source of synthetic examples. Defaults to none.
        filters (`Sequence[Filter]` or `Callable`, *optional*, defaults to `()`):
            Filters of the examples; or a function of the split, the source and its generator that returns them. A
            function is recognised by its fields if it is a dataclass, else by its name.
        guarded (`bool`, *optional*, defaults to `False`):
            Whether an [`AugmentationGuard`] may lower the share of synthetic rows.
        augment (`str`, *optional*): Classic augmentation of all training rows, by a name that the classifier knows.
        same_steps (`bool`, *optional*, defaults to `True`):
            Whether an arm without source is trained for as many steps as those with one.
        probe (`bool` or `str`, *optional*, defaults to `False`):
            Whether the pretrained model stays as it is, and a linear classifier learns from its features (of images,
            from pixels). The name of an arm with a source: it learns from what that arm is shown, too.
        policies (`Sequence[Policy]`, *optional*):
            What chooses, every `synthetic_feedback` steps, which of its candidates the classifier is shown next; none
            of them, `[]`, is choosing at random. Defaults to no choice: all examples are shown, in their order.
        longer (`bool`, *optional*, defaults to `False`):
            Whether it is trained for as many further steps as an arm spends that asks the classifier about its
            candidates, by arithmetic: asking about a row is a third of training on it.
        weighting (`str`, *optional*):
            How its synthetic rows weigh in the loss, `"constant"` or `"dynamic"`. Defaults to `synthetic_weighting`.
    """

    name: str
    source: Source | None = None
    filters: Filters = ()
    guarded: bool = False
    augment: str | None = None
    same_steps: bool = True
    probe: bool | str = False
    policies: Sequence[Policy] | None = None
    longer: bool = False
    weighting: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.source, Generator):
            object.__setattr__(self, "source", Given(self.source, self.name))
        if self.probe and (self.source is not None or self.guarded or self.augment is not None):
            raise ValueError(
                f"The arm {self.name!r} is a probe, which is not trained: it has no source, guard or augment; "
                "probe='other' gives it what the arm 'other' is shown."
            )
        if self.weighting not in (None, *WEIGHTINGS):
            raise ValueError(f"The arm {self.name!r} has weighting={self.weighting!r}: pass one of {WEIGHTINGS}.")

    def __str__(self) -> str:
        return self.name

    @property
    def filtered(self) -> bool:
        """Whether filters judge its examples."""
        return callable(self.filters) or len(self.filters) > 0

    def training_identity(self) -> dict[str, str]:
        """Returns what its trainings depend on beside rows and examples, where that is set."""
        augment = {} if self.augment is None else {"augment": self.augment}
        return augment | ({"guarded": "True"} if self.guarded else {})

    def filters_identity(self) -> dict[str, str]:
        """Returns the values that the filters depend on, beside rows and judges."""
        if callable(self.filters):
            return identity_of("filters", self.filters)
        return {"filters": str([f.fingerprint() for f in self.filters])}

    def policies_identity(self, training: AugmentingTrainingArguments) -> dict[str, str]:
        """Returns the values that what is chosen depends on; none where nothing is."""
        if self.policies is None:
            return {}
        policies = {"policies": str([policy.settings() for policy in self.policies])}
        return policies | arguments(training, FEEDBACK)

    @property
    def steers(self) -> bool:
        """Whether its policies decide what is generated, which is then of this arm alone."""
        return any(policy.steers for policy in self.policies or ())

    def make_filters(self, split: Split, generator: Generator) -> list[Filter]:
        """Returns the filters for a split."""
        if not callable(self.filters):
            return list(self.filters)
        assert self.judged is not None
        return list(self.filters(split, self.judged, generator))

    @property
    def seeds(self) -> bool:
        """Whether one of its policies has examples written after labelled rows."""
        return any(policy.seeds for policy in self.policies or ())

    @property
    def judged(self) -> Source | None:
        """The source as judges see it."""
        return Shown(self.source) if self.seeds and self.source is not None else self.source


#: The arms of every study.
BASELINES = (Arm("baseline", same_steps=False), Arm(REFERENCE))


def sources_of(arms: Iterable[Arm]) -> list[Source]:
    """Returns the sources of arms, each once, with those that mixtures are made of."""
    sources = [arm.source for arm in arms if arm.source is not None]
    return list({leaf.name: leaf for source in sources for leaf in source.leaves()}.values())
