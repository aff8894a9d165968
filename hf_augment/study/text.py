"""Studies of text classifiers: their rows, filters, judges and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np

from hf_augment.data.holdouts import load_holdouts, load_train_and_test
from hf_augment.data.splits import sample_per_class, sample_rows
from hf_augment.data.texts import load_texts
from hf_augment.filters.base import Filter
from hf_augment.filters.fluency import Fluency, Perplexity
from hf_augment.filters.label_agreement import LabelAgreement
from hf_augment.filters.near_duplicates import EvaluationOverlap, Memorization, NearDuplicates
from hf_augment.generators.cached import CachedGenerator
from hf_augment.judges.prompted import PromptedJudge
from hf_augment.label_sets import memberships
from hf_augment.metrics.classification import share_right
from hf_augment.neighbours.texts import COPY_SIMILARITY
from hf_augment.seeding import derive_seed
from hf_augment.study.arms import Source
from hf_augment.study.labelled import LabelledData
from hf_augment.study.nearest_texts import NearestTexts, memorization
from hf_augment.study.served_model import ServedJudge
from hf_augment.study.split import Split
from hf_augment.study.study import Study
from hf_augment.study.style import learned_rows
from hf_augment.study.text_sources import PromptedLanguageModel


#: How a language model that is not asked for labels tells classes apart: by p(text | label).
BY_LIKELIHOOD = "by how likely it finds a text under each label"


def load_text_data(args: Any, seed: int) -> LabelledData:
    """
    Loads all texts; every name, column and label is checked here, before anything is trained. `args` are
    [`~hf_augment.study.settings.ExperimentArguments`] with `text_column`.
    """

    def load(split: str, label_names: list[str] | None, keep_columns: tuple[str, ...]) -> datasets.Dataset:
        columns = (args.text_column, args.label_column, args.label_map)
        return load_texts(args.dataset, split, *columns, label_names, keep_columns)

    train, test = load_train_and_test(args, load, lambda rows: rows["text"][:], seed)
    data = LabelledData(train, {"test": test}, args.dataset, args.data_note)
    data.evaluations |= load_holdouts(args, load_texts, data.label_names, seed)
    sample_per_class(data.train, args.train_per_class, seed)
    return data


@dataclass
class AskedModel:
    """
    A prompted language model that is asked for the labels of texts: `template` is the question, with `{text}`, and
    `answers` are by label name; `opinions` is how often it is asked, each time after other labelled texts.
    """

    source: PromptedLanguageModel
    template: str
    answers: dict[str, str]
    opinions: int = 2

    def identity(self) -> dict[str, str]:
        """Returns the values that its judgements depend on, beside the labelled rows."""
        asked = {"template": self.template, "answers": str(self.answers), "opinions": str(self.opinions)}
        return self.source.identity() | {f"{self.source.name}.judge.{key}": value for key, value in asked.items()}

    def check(self, study: Study, judged: Source) -> None:
        """Raises `ValueError`, `OSError` or `ImportError` for what cannot work."""
        self.source.check(study)

    def judge(self, split: Split, rows: datasets.Dataset | None = None) -> PromptedJudge:
        """Returns the judge; some labelled rows are shown to it and calibrate it."""
        generator = self.source.opened(split)
        return PromptedJudge(
            generator.model,
            generator.tokenizer,
            split.study.data.label_names,
            self.template,
            answers=self.answers,
            examples=[] if rows is None else list(zip(rows["text"][:], rows["label"][:], strict=True)),
            opinions=self.opinions,
            seed=derive_seed(split.seed, "judge", split.index),
        )


@dataclass
class TextFilters:
    """
    The filters of texts, cheap ones first.

    Args:
        duplicate_threshold (`float`, *optional*, defaults to `COPY_SIMILARITY`):
            Similarity, in `(0, 1]`, from which a text is a copy of a synthetic, labelled or test text.
        min_words (`int`, *optional*, defaults to 3): Shortest text, in words.
        max_perplexity (`float`, *optional*): Highest perplexity under the generator. Defaults to no limit.
        min_label_probability (`float`, *optional*, defaults to 0.5):
            Least probability of the requested label, in `[0, 1]`; 0 for no judge. With `None` the judges are linear
            classifiers on the frozen model, and the bound is what they give three in four labelled texts that they do
            not know: it is lower with more classes, and with judges that know less.
        judge_folds (`int`, *optional*, defaults to 2):
            Number of classifiers, each trained without one fold, that judge a generator which learned the labelled
            texts. One that has not is judged by a classifier of all of them.
        asked (`AskedModel` or `ServedJudge`, *optional*):
            Model, which has learned none of them, that judges in the place of classifiers.
    """

    duplicate_threshold: float = COPY_SIMILARITY
    min_words: int = 3
    max_perplexity: float | None = None
    min_label_probability: float | None = 0.5
    judge_folds: int = 2
    asked: AskedModel | ServedJudge | None = None

    @property
    def gives_label_probabilities(self) -> bool:
        """Whether one of them judges labels."""
        return self.min_label_probability != 0

    def check(self, study: Study, source: Source) -> None:
        """Raises `ValueError` for what cannot work with a source."""
        if self.max_perplexity is not None and (models := len(source.leaves())) > 1:
            raise ValueError(
                f"max_perplexity={self.max_perplexity} is of one language model, and the arm {source.name!r} has "
                f"{models}: leave one of them out."
            )
        if self.min_label_probability and self.asked is not None:
            self.asked.check(study, source)
        elif self.min_label_probability and source.learns:
            study.split(0).check_folds(self.judge_folds)

    def __call__(self, split: Split, source: Source, generator: Any) -> list[Filter]:
        """Returns the filters of a split."""
        threshold, evaluations = self.duplicate_threshold, split.study.data.evaluations.values()
        filters: list[Filter] = [
            Fluency(min_words=self.min_words),
            NearDuplicates(threshold=threshold),
            Memorization(
                [text for rows in learned_rows(split, source) for text in rows["text"][:]], threshold=threshold
            ),
            EvaluationOverlap([text for rows in evaluations for text in rows["text"][:]], threshold=threshold),
        ]
        if self.max_perplexity is not None:
            model: Any = generator.generator if isinstance(generator, CachedGenerator) else generator
            filters.append(Perplexity(model.negative_log_likelihood, max_perplexity=self.max_perplexity))
        judge, least = self._judge(split, source)
        if judge is not None:
            filters.append(LabelAgreement(judge, least, label_names=list(generator.label_names)))
        return filters

    def _judge(self, split: Split, source: Source) -> tuple[Callable[..., Any] | None, float]:
        """Returns the judge of labels, if there is one, and the least probability."""
        if self.min_label_probability is None:
            whole, out_of_fold, usual = split.probes
            return (out_of_fold if source.learns else whole), usual
        if not self.min_label_probability:
            return None, 0.0
        if self.asked is not None:
            return self.asked.judge(split, split.train), self.min_label_probability
        judge = split.out_of_fold_judge(self.judge_folds) if source.learns else split.judge()
        return judge, self.min_label_probability


def describe_texts(study: Study) -> dict[str, Any]:
    """Returns what a report says of synthetic texts: how near they come to the labelled ones."""
    first = study.split(0)
    nearest, test = NearestTexts(first.train["text"][:]), study.data.evaluations["test"]["text"][:]
    generated = {name: store for name, store in study.stores.items() if not study.is_real(name)}
    return {
        "nearest": dict.fromkeys(study.stores, nearest),
        "memorization": {name: memorization(nearest, store, test) for name, store in generated.items()},
    }


def zero_shot(
    study: Study, source: PromptedLanguageModel, asked: AskedModel | None, count: int
) -> tuple[list[str], dict[str, float]]:
    """
    Returns how well a prompted model itself tells the classes apart on `count` test texts: notes, and
    [`Results.zero_shot`], by its answers if it is asked, else by how likely it finds a text under each label.
    """
    first = study.split(0)
    rows = sample_rows(study.data.evaluations["test"], count, derive_seed(first.seed, "zero_shot"))
    identity = {"rows": str(count), "contents of test": study.run_identity["contents of test"]}

    def targets(classes: Any) -> np.ndarray:
        labels = study.data.labels
        return np.asarray(classes) if labels is None else memberships(study.data.label_names, labels)[classes]

    def work(_: Any) -> dict[str, Any]:
        texts, truth = [{"text": text} for text in rows["text"][:]], targets(rows["label"][:])
        ways: dict[str, Callable[..., np.ndarray]] = {"accuracy": source.opened(first).label_posterior}
        if asked is not None:
            ways |= {"asked": asked.judge(first), "shown": asked.judge(first, first.train)}
        found = {name: float(share_right(truth, targets(ask(texts).argmax(1))).mean()) for name, ask in ways.items()}
        return found | {"n": len(rows)}

    question = {} if asked is None else {"template": asked.template, "opinions": str(asked.opinions)}
    known = study.stages.run("zero-shot", study.rows_identity | source.identity() | identity | question, work)
    notes = [
        f"The {source.name} model itself, as a zero-shot classifier {BY_LIKELIHOOD}: accuracy "
        f"{known['accuracy']:.3f} on {known['n']} test texts. Its knowledge of the task is what its texts can pass on."
    ]
    if asked is not None:
        notes.append(
            f"Asked for the label of the same texts it is right on {known['asked']:.3f}, and after labelled texts of "
            f"the first split on {known['shown']:.3f}."
        )
    how = BY_LIKELIHOOD if asked is None else "asked"
    return notes, {f"the model of {source.name}, {how} ({known['n']} rows)": known.get("asked", known["accuracy"])}
