"""The report of a study, and the parts of it that are published."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import datasets
from accelerate import PartialState
from rich.console import Console
from rich.text import Text

from hf_augment.evaluation.comparison import ArmRun, compare_pairs
from hf_augment.files import read_json
from hf_augment.hub.pushing import push
from hf_augment.hub.staging import REPORT_FILES, Repository, stage
from hf_augment.neighbours.features import RealFeatures
from hf_augment.neighbours.texts import COPY_SIMILARITY
from hf_augment.progress import working
from hf_augment.reporting.cards import render_card
from hf_augment.reporting.report import write_report
from hf_augment.reporting.results import Data, Results
from hf_augment.reporting.review import Neighbours, write_review
from hf_augment.reporting.terminal import REVIEW_PAGE, closing_lines
from hf_augment.study import identity
from hf_augment.study.arms import Arm, LearnedSource, Source, sources_of
from hf_augment.study.nearest_texts import NearestTexts
from hf_augment.study.split import HELD_OUT, REFERENCE, Basis
from hf_augment.study.variants import beside_static


#: What accuracy is where rows have several labels.
SEVERAL_LABELS = (
    "Rows have several labels, or none. The accuracy of a row is the share that is right of the labels that it has or "
    "is said to have."
)
LIBRARIES = ("hf_augment", "transformers", "torch", "datasets", "accelerate", "evaluate", "timm", "peft")


def write(study: Basis, arms: Mapping[str, Arm], settings: dict[str, Any], more: dict[str, Any]) -> Results | None:
    """Prints and writes the report of a study, and stages and pushes what may be published; see [`Study.report`]."""
    # A source may look at what a stage found, where processes wait for each other.
    told = [source.note(study.split(0)) for source in sources_of(arms.values())]
    if not PartialState().is_main_process:
        return None
    more = more | {"notes": [*filter(None, told), *more.get("notes", [])]}
    with working("Comparing the arms"):
        results = _results(study, arms, settings, more)
    console = Console(width=None if sys.stdout.isatty() else 100)
    saved = {arm: folder.relative_to(study.folder) for arm, folder in _saved(results, study.folder).items()}
    results = write_report(study.folder / "report", results, console, saved)
    if shown := {arm.name: study.stores[arm.name] for arm in _generating(study, arms)}:
        with working("Writing a page with all examples"):
            write_review(study.folder / "report" / REVIEW_PAGE, results.title, shown, _neighbours(study))
    _publish(study, arms, results)
    # Where a terminal stands at the end.
    print_end(console, results, study.folder, study.folder / "report/report.html")
    return results


def print_end(console: Console, results: Results, run_dir: Path, page: Path) -> None:
    """Prints the last lines of a run: what was found, where its page and its classifiers are."""
    for line in ["", *closing_lines(results, page, _saved(results, run_dir))]:
        console.print(Text(line), soft_wrap=True)


def _saved(results: Results, run_dir: Path) -> dict[str, Path]:
    """The folders of the first draw's classifiers, by arm; none without that of the reference."""
    models = {arm: run_dir / f"split-0/{arm}-0/model" for arm in results.arms}
    saved = {arm: folder for arm, folder in models.items() if folder.is_dir()}
    return saved if results.reference in saved else {}


def _neighbours(study: Basis) -> Neighbours:
    """Returns what finds the labelled row of the first split that is nearest to an example."""
    rows = study.classifier.values(study.split(0).train)
    if study.classifier.kind == "text":
        texts = NearestTexts(rows)
        return lambda examples: [(text, f"similarity {similarity:.2f}") for text, similarity in texts(examples)]
    pixels = RealFeatures(lambda examples: [example["image"].ravel() for example in examples], rows)

    def nearest(examples: list[dict[str, Any]]) -> list[tuple[Any, str]]:
        found = pixels.nearest(examples)
        return [(rows[row], f"distance {distance:.2f}") for row, distance in zip(*found, strict=True)]

    return nearest


def _results(study: Basis, arms: Mapping[str, Arm], settings: dict[str, Any], more: dict[str, Any]) -> Results:
    """Returns the results: the changes, their cost, and the examples that the models were shown."""
    data = study.data
    shown = study.classifier_identity | identity.arguments(study.training, identity.SYNTHESIS) | settings
    name, classifier = short_names([data.name, study.classifier.name])
    notes = [*([] if data.labels is None else [SEVERAL_LABELS]), *_beside_static(study.runs, list(arms.values()))]
    more = more | {"notes": [*notes, *more.get("notes", [])]}
    found = Results.of_runs(
        title=f"{classifier} on {name}" + (f" ({data.note})" if data.note else ""),
        settings={key: _shown(value) for key, value in shown.items()},
        runs=study.runs,
        reference=REFERENCE,
        test="test",
        uncompared=[name for name, arm in arms.items() if arm.longer],
        # Of real rows there is no acceptance to tell, and their examples are not for everybody.
        stores={arm.name: study.stores[arm.name] for arm in _generating(study, arms)},
        judge_accuracy=_judge_accuracy(study),
        command=_command(study.training.hub_token),
        versions=_versions(),
        data=replace(data_of(study), name=name),
        models={"classifier": classifier, **_models(arms)},
        **more,
    )
    made = found.generating
    # What a probe learns was made for the arm that it names, and would have to be made for the probe alone, too.
    return replace(found, generating=made | {name: made[of] for name, of in _fed(arms).items() if of in made})


def data_of(study: Basis) -> Data:
    """Returns what a reader is told of the data of a study."""
    data = study.data
    return Data(
        name=data.name,
        kind=study.classifier.kind,
        label_names=list(data.labels or data.label_names),
        train_rows=len(study.split(0).train),
        evaluations={name: len(rows) for name, rows in data.evaluations.items()},
        perturbed_rows=min(study.robustness_rows, len(data.evaluations["test"])),
        note=data.note,
        pairs=data.pairs,
        several=data.labels is not None,
        max_length=getattr(study.classifier, "max_length", None),
    )


def _models(arms: Mapping[str, Arm]) -> dict[str, str]:
    """Returns what made the examples of each arm that has any; a probe of real ones is no generator's, either."""
    made_by = {
        name: " and ".join(dict.fromkeys(short_names(arm.source.models)))
        for name, arm in arms.items()
        if arm.source is not None
    }
    return made_by | {name: made_by[of] for name, of in _fed(arms).items() if _source(arms[of]).real}


def _fed(arms: Mapping[str, Arm]) -> dict[str, str]:
    """Returns the probes that learn what another arm is shown, each with the name of that arm."""
    return {name: arm.probe for name, arm in arms.items() if isinstance(arm.probe, str)}


def _beside_static(runs: Sequence[ArmRun], arms: Sequence[Arm]) -> list[str]:
    """Returns what deciding while training brings beside chance that draws from as many candidates."""
    return [difference.describe() for difference in compare_pairs(runs, beside_static(arms), "test")]


def _judge_accuracy(study: Basis) -> float | None:
    """Returns the mean accuracy of all splits' judges on the fold that each has not seen; `None` without any."""
    stages = [read_json(path, f"Delete {path.parent}") for path in study.folder.glob("split-*/judge-*/stage.json")]
    measured = [stage.get("result", {}).get("metrics", {}) for stage in stages]
    found = [metrics[HELD_OUT]["accuracy"] for metrics in measured if HELD_OUT in metrics]
    return sum(found) / len(found) if found else None


def _publish(study: Basis, arms: Mapping[str, Arm], results: Results) -> None:
    """
    Stages the first split's classifiers that a generator fed, their synthetic examples if filters judged them, the
    trained generator and the report, and pushes them if that is asked for; `hf_augment push RUN` does it
    later. Of the report what shows no labelled row.
    """
    training, generating, folder = study.training, _generating(study, arms), study.split(0).folder
    # Pictures of examples show labelled ones too.
    results = replace(results, pictures={})
    repositories, published, repeats = [], set(), partial(_repeats, study)
    for arm in generating:
        model, rows = (partial(render_card, results, kind, arm.name) for kind in ("model", "dataset"))
        repositories.append(Repository(arm.name, "model", folder / f"{arm.name}-0/model", model))
        store = study.stores[arm.name]
        # What no filter has compared with the labelled rows may repeat them; and with classic augmentation of all
        # rows an arm shows the same examples as without.
        if arm.filtered and store.folder not in published:
            repositories.append(Repository(f"{arm.name}-synthetic", "dataset", store, rows, private=repeats))
        published.add(store.folder)
    # The arm of a trained generator alone says more of it than one that it shares with another, or that chooses.
    fed = [arm for arm in arms.values() if arm.source is not None]
    alone = sorted(fed, key=lambda arm: (arm in generating, -len(_source(arm).models), -fed.index(arm)))
    owner = {leaf.name: arm.name for arm in alone for leaf in _source(arm).leaves()}
    learned = [leaf for leaf in sources_of(arms.values()) if isinstance(leaf, LearnedSource)]
    for source in learned:
        models = results.models | {owner[source.name]: short_names(source.models)[0]}
        card = partial(render_card, replace(results, models=models), "generator", owner[source.name])
        suffix = "generator" if len(learned) == 1 else f"{source.name}-generator"
        repositories.append(Repository(suffix, "model", source.folder(study.split(0)), card))
    card = partial(render_card, results, "results")
    repositories.append(Repository("results", "dataset", study.folder / "report", card, REPORT_FILES))
    stage(study.folder, repositories)
    if training.push_to_hub:
        push(study.folder, training.hub_model_id, training.hub_private_repo, training.hub_token)


def _repeats(study: Basis, examples: datasets.Dataset) -> list[int]:
    """Returns the examples that repeat a real row of the study: an image exactly, a text by [`Memorization`]."""
    with working("Looking for real rows among the examples to publish"):
        # Those without labels, too: a generator may have learned what they are like.
        unlabelled = [] if study.data.unlabelled is None else [study.data.unlabelled]
        rows_of_all = (study.data.train, *study.data.evaluations.values(), *unlabelled)
        real = [study.classifier.values(rows) for rows in rows_of_all]
        if study.classifier.kind == "image":
            known = {image.tobytes() for images in real for image in images}
            return [i for i, image in enumerate(study.classifier.values(examples)) if image.tobytes() in known]
        nearest = NearestTexts([text for texts in real for text in texts])
        return [i for i, (_, similarity) in enumerate(nearest(examples)) if similarity >= COPY_SIMILARITY]


def _generating(study: Basis, arms: Mapping[str, Arm]) -> list[Arm]:
    """Returns the arms whose examples a generator made."""
    return [arm for name, arm in arms.items() if name in study.stores and not _source(arm).real]


def _source(arm: Arm) -> Source:
    assert arm.source is not None
    return arm.source


def short_names(models: Sequence[str]) -> list[str]:
    """Names of models or data for readers: without their place on this machine, or in a wheel."""
    return [_short(_last_part(model)) for model in models]


def _shown(value: Any) -> str:
    return str([_last_parts(str(item)) for item in value]) if isinstance(value, list) else _last_part(str(value))


def _versions() -> dict[str, str]:
    """The versions of those libraries that are installed: some come with extras."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _command(secret: str | None) -> str:
    """Returns the command line without the secret, however it was given; of outer paths the last part alone."""
    shown: list[str] = []
    for word in sys.argv[1:]:
        if secret and secret in word:
            # A word of its own follows the argument's name.
            del shown[len(shown) - (word == secret) :]
            continue
        name, equals, value = word.partition("=")
        shown.append(f"{name}={_last_parts(value)}" if name.startswith("--") and equals else _last_parts(word))
    # The console command, and `python -m hf_augment`.
    ours = Path(sys.argv[0]).stem in ("hf_augment", "__main__")
    program = ["hf_augment"] if ours else ["python", _last_part(os.path.relpath(sys.argv[0]))]
    return shlex.join([*program, *shown])


def _last_part(value: str) -> str:
    """Returns the last part of a path that is not below the working directory, since a report may be pushed."""
    path = Path(value)
    # Not Path.exists, which raises where a value is too long for a name.
    return path.name if os.path.exists(value) and (path.is_absolute() or ".." in path.parts) else value


def _last_parts(value: str) -> str:
    """Does the same with each part of a hold-out."""
    return "|".join(map(_last_part, value.split("|")))


def _short(source: str) -> str:
    """Returns a source without its place in a wheel."""
    return source.partition("#")[0].removeprefix("wheel://").partition("/")[0] if "://" in source else source
