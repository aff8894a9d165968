"""A comparison on one's own data: what it is made of, so that every process builds the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hf_augment.data.cells import few
from hf_augment.data.opening import Data, open_data
from hf_augment.data.splits import sample_rows
from hf_augment.generators.prompts import InstructPrompt, LabelPrompt, Prompt, read_prompt
from hf_augment.generators.sampling import SamplingConfig
from hf_augment.label_sets import described_sets
from hf_augment.study.arms import Arm, Filters, Mixture, RealRows, Source
from hf_augment.study.classifiers import Classifier
from hf_augment.study.labelled import LabelledData
from hf_augment.study.pseudo_labels import Asked, PseudoLabels
from hf_augment.study.study import Study
from hf_augment.study.variants import listed, variants_of, with_classic
from hf_augment.text_pairs import SEPARATOR
from hf_augment.training.arguments import AugmentingTrainingArguments


@dataclass(frozen=True)
class Experiment:
    """
    A study of one's own data, as values that another process reads.

    Example:

    ```python
    from hf_augment.study.experiment import Experiment, build

    experiment = Experiment({"source": "tickets.csv"}, {"output_dir": "runs/tickets"}, arms=("probe", "prompted"))
    study = build(experiment)
    ```

    Args:
        data (`dict[str, Any]`): Arguments of [`open_data`].
        training (`dict[str, Any]`): Arguments of [`AugmentingTrainingArguments`].
        arms (`tuple[str, ...]`):
            Names of arms: of texts `probe`, `probe_prompted`, `eda`, `prompted` and `trained`; of images `probe`,
            `trained`, and classic augmentations such as `crop`; of data with unlabelled
            rows also `pseudo_labels` and `probe_pseudo_labels`; with `train_per_class` these, of the rows that a draw
            leaves if no others have no labels, and `real`, as many of these with their labels. Of texts there is
            `both`, half of it prompted and half trained. What has further rows has variants
            ([`~hf_augment.study.variants`]), such as `_unfiltered`, `_live` and `_static_weighted`, each of them also
            with a classic augmentation at its end, such as `pseudo_labels_agreed_crop`.
        seeds (`int`, *optional*, defaults to 3): The most runs of each arm, on each split.
        train_per_class (`int`, *optional*, defaults to all of them):
            Number of labelled rows of each class that are learned, drawn at random.
        splits (`int`, *optional*, defaults to 1): Number of such draws.
        max_test_rows (`int`, *optional*): Random test rows, at most.
        classifier (`dict[str, Any]`, *optional*, defaults to `{}`):
            Arguments of [`TextClassifier`] or [`ImageClassifier`], but the classes and the shape.
        model (`dict[str, Any]`, *optional*, defaults to `{}`):
            The language model: `model`, `gguf_file` and `backend`, or `endpoint`, arguments of [`Endpoint`],
            `send_examples`, and `judges`, whether it also judges labels; or, of images, arguments of [`DCGANConfig`].
        sampling (`dict[str, Any]`, *optional*, defaults to `{}`): Arguments of [`SamplingConfig`].
        prompt (`dict[str, Any]`, *optional*, defaults to `{}`):
            Arguments of [`InstructPrompt.for_labels`], or `file`, a prompt's JSON file.
        generator_training (`dict[str, Any]`, *optional*, defaults to `{}`): Arguments of the generator's trainer.
        filters (`dict[str, Any]`, *optional*, defaults to `{}`): Arguments of the filters, such as
            `min_label_probability`.
        pseudo_label_share (`float`, *optional*, defaults to 0.6):
            Of the unlabelled rows that are taken for a class, the share that `pseudo_labels` keeps: the surest.
    """

    data: dict[str, Any]
    training: dict[str, Any]
    arms: tuple[str, ...]
    seeds: int = 3
    train_per_class: int | None = None
    splits: int = 1
    max_test_rows: int | None = None
    classifier: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    prompt: dict[str, Any] = field(default_factory=dict)
    generator_training: dict[str, Any] = field(default_factory=dict)
    filters: dict[str, Any] = field(default_factory=dict)
    pseudo_label_share: float = PseudoLabels.confident_share

    @property
    def of_images(self) -> bool:
        """Whether its rows are images: their classifier has a width, that of texts a model."""
        return "width" in self.classifier


def build(experiment: Experiment, data: Data | None = None) -> Study:
    """
    Puts the study together; what cannot work is refused.

    Args:
        experiment ([`Experiment`]): What it is made of.
        data ([`Data`], *optional*): What was opened by `experiment.data` already.
    """
    data = open_data(**experiment.data) if data is None else data
    # Two losses of each quarter of the steps tell whether they still fall.
    logging = {"logging_steps": max(1, experiment.training.get("max_steps", 0) // 8)}
    training = AugmentingTrainingArguments(**logging | experiment.training)
    test = sample_rows(data.test, experiment.max_test_rows, training.seed)
    rows = LabelledData(data.train, {"test": test}, data.name, unlabelled=data.unlabelled)
    classifier, made, classic = (_image_parts if data.kind == "image" else _text_parts)(experiment, rows)
    known = {arm.name: arm for arm in made}
    both = known | with_classic(made, classic)
    if unknown := sorted(set(experiment.arms) - both.keys()):
        others = ": it is of rows that train_per_class leaves" if unknown == ["real"] else ""
        ends = " or ".join(f"_{kind}" for kind in classic)
        raise ValueError(
            f"There is no arm {few(unknown)}{others}. There are {listed(known)}. What has a generator or further rows "
            f"may also end in {ends}; a probe may not."
        )
    arms = [both[name] for name in experiment.arms]
    drawn = partial(Study, train_per_class=experiment.train_per_class, splits=experiment.splits)
    study = drawn(rows, classifier, training, arms, seeds=experiment.seeds)
    if training.max_steps > 0:
        # Every arm has as many steps: it would be the same as the other baseline.
        del study.arms["baseline"]
    return study


#: A classifier, the arms that there are, and the names of classic augmentations.
Parts = tuple[Classifier, list[Arm], list[str]]


def _text_parts(experiment: Experiment, rows: LabelledData) -> Parts:
    from hf_augment.generators.served.connection import Endpoint
    from hf_augment.study.served_model import ServedJudge, ServedLanguageModel
    from hf_augment.study.text import TextFilters
    from hf_augment.study.text_classifier import TextClassifier
    from hf_augment.study.text_sources import PromptedLanguageModel, TrainedLanguageModel

    # A model that is only prompted has to be told how a pair is written.
    usual = {"kind": f"pair of texts with {SEPARATOR} between them"} if rows.pairs else {}
    sampling, about = SamplingConfig(**experiment.sampling), usual | experiment.prompt
    if rows.labels is not None and "descriptions" in about:
        about["descriptions"] = described_sets(rows.label_names, about["descriptions"])
    file, kind = about.pop("file", None), about.get("kind", "text")
    prompt: Prompt | Callable[..., Prompt]
    prompt = partial(InstructPrompt.for_labels, **about) if file is None else read_prompt(file)
    written = LabelPrompt(f"{kind[:1].upper()}{kind[1:]} ({{label}}):")
    filters = TextFilters(**{"min_words": 1, "min_label_probability": None} | experiment.filters)
    sources: list[Source] = []
    model = dict(experiment.model)
    if "endpoint" in model:
        endpoint = Endpoint(**model.pop("endpoint"))
        served = dataclasses.replace(sampling, top_k=0)
        judges = model.pop("judges", False)
        asked = ServedLanguageModel("prompted", endpoint, prompt, served, **model)
        sources.append(asked)
        if judges:
            judge = ServedJudge(asked, descriptions=about.get("descriptions", {}))
            filters = TextFilters(min_words=1, asked=judge, **experiment.filters)
    else:
        training = experiment.generator_training
        sources.append(PromptedLanguageModel("prompted", prompt=prompt, sampling=sampling, **model))
        sources.append(TrainedLanguageModel("trained", prompt=written, sampling=sampling, training=training, **model))
    arms = [Arm("probe", probe=True), Arm("eda", augment="eda")]
    if len(sources) > 1:
        sources.append(Mixture("both", sources[:]))
    for source in sources:
        arms += _with_probe(source, filters)
    arms += _of_rows(experiment, rows, filters.asked)
    classifier = TextClassifier(
        label_names=rows.label_names, labels=rows.labels, pairs=rows.pairs, **experiment.classifier
    )
    return classifier, arms, ["eda"]


def _with_probe(source: Source, filters: Filters = ()) -> list[Arm]:
    """The arms of a source, and a probe of what it is shown."""
    # No rows are set apart to watch a training.
    return [*variants_of(source, filters, watched=False), Arm(f"probe_{source.name}", probe=source.name)]


def _of_rows(experiment: Experiment, rows: LabelledData, asked: Asked | None = None) -> list[Arm]:
    """The arms that learn from further rows: those without labels, or those that a draw leaves."""
    drawn = experiment.train_per_class is not None
    unlabelled = PseudoLabels(confident_share=experiment.pseudo_label_share, asked=asked)
    arms = _with_probe(unlabelled) if drawn or rows.unlabelled is not None else []
    return arms + (_with_probe(RealRows()) if drawn else [])


def _image_parts(experiment: Experiment, rows: LabelledData) -> Parts:
    from hf_augment.study.image import ImageFilters
    from hf_augment.study.image_classifier import CLASSIC, ImageClassifier
    from hf_augment.study.image_sources import TrainedDCGAN

    source = TrainedDCGAN("trained", shape=experiment.model, training=experiment.generator_training)
    arms = [Arm("probe", probe=True), *(Arm(kind, augment=kind) for kind in CLASSIC)]
    # No rows are set apart to watch a training.
    arms += variants_of(source, ImageFilters(**experiment.filters), watched=False)
    arms += _of_rows(experiment, rows)
    shape = rows.train.features["image"].shape
    return ImageClassifier(rows.label_names, shape, **experiment.classifier), arms, list(CLASSIC)
