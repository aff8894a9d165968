"""
Does a generator help a text classifier? The whole experiment, in numbered steps.

    accelerate launch recipes/imdb.py                                          # the documented one: IMDB, BERT, GPT-2
    python recipes/imdb.py --config recipes/configs/imdb_quickstart.yaml       # minutes, on a CPU, without the Hub
    python recipes/imdb.py --help                                              # every value can be set

Arms, each with the same labelled texts and the same seeds:
    baseline             the stock Trainer
    baseline_same_steps  the stock Trainer with as many optimizer steps as the augmented arms: the fair comparison
    trained              + texts from a language model that was trained on the same labelled texts
    instruct             + texts from an instruct model that was only prompted

Every stage keeps its result in output_dir; run the command again and what is done is not done again.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import sklearn.model_selection
import transformers
from accelerate import PartialState
from rich.console import Console

from hf_augment import AugmentingTrainingArguments
from hf_augment.blended_run import RunShape
from hf_augment.evaluation import ReportFacts, write_report
from hf_augment.experiments.arguments import parse_arguments
from hf_augment.experiments.data import sample_per_class
from hf_augment.experiments.stages import Stages
from hf_augment.experiments.text import (
    TextClassifier,
    TextData,
    TextExperimentArguments,
    as_run,
    check_generator,
    load_generator,
    load_text_data,
    make_filters,
    run_arm,
    zero_shot,
)
from hf_augment.filters import OutOfFoldReference
from hf_augment.generator_trainers import CausalLMGeneratorTrainer, CausalLMGeneratorTrainingArguments
from hf_augment.generators import CausalLMGenerator
from hf_augment.hub import push_experiment
from hf_augment.seeding import derive_seed
from hf_augment.synthesis import ShardStore


@dataclass
class ImdbTrainingArguments(AugmentingTrainingArguments):
    """The classifier's arguments; the defaults that differ from the Trainer's are the documented ones."""

    output_dir: str | None = field(default="runs/imdb", metadata={"help": "Where every stage keeps its result."})
    num_train_epochs: float = field(default=3.0, metadata={"help": "Passes over the labelled texts."})
    learning_rate: float = field(default=2e-5, metadata={"help": "Of AdamW."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Rows of a training batch."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Rows of an evaluation batch."})
    warmup_steps: float = field(default=500, metadata={"help": "Steps in which the learning rate rises."})
    weight_decay: float = field(default=0.01, metadata={"help": "Of AdamW."})


class Experiment:
    """The arguments, the data and the folder that the steps below share."""

    def __init__(self, args: TextExperimentArguments, training: ImdbTrainingArguments) -> None:
        self.args, self.training = args, training
        # Before anything else asks how many processes there are: the device decides how they talk.
        launched, found = int(os.environ.get("WORLD_SIZE", "1")), training.world_size
        if launched != found:
            raise ValueError(f"{launched} processes were started, but {found} can talk: pass --use_cpu without a GPU.")
        self.stages = Stages(str(training.output_dir))
        self.data: TextData = load_text_data(args, training.seed)
        self.classifier = TextClassifier(args, self.data.label_names)
        for arm in args.generators:
            check_generator(args, arm)
        # What a stage depends on. Where it is kept and what is only shown do not belong to it.
        shown = ("output_dir", "push_to_hub", "hub_model_id", "splits", "seeds", "generators", "zero_shot_rows")
        values = dataclasses.asdict(args) | training.to_sanitized_dict()
        self.facts = {name: str(value) for name, value in values.items() if name not in shown}
        self.runs: list[Any] = []
        self.stores: dict[str, ShardStore] = {}

    def augmented_steps(self, num_rows: int) -> int:
        """Optimizer steps of an augmented run on so many labelled texts."""
        training = self.training
        return RunShape.of(
            num_rows,
            training.train_batch_size,
            training.synthetic_ratio,
            training.world_size,
            training.dataloader_drop_last,
            training.gradient_accumulation_steps,
            int(training.max_steps),
            training.num_train_epochs,
        ).total_steps

    def stage(self, name: str, work: Any, **facts: Any) -> dict[str, Any]:
        """Does a stage once."""
        return self.stages.run(name, self.facts | facts, work)


# 1. The baseline: the stock Trainer on the labelled texts. With slots for synthetic rows an epoch has more steps, so
#    the fair comparison is the stock Trainer with as many. The first of these is kept, as a judge of prompted texts.
def baselines(ex: Experiment, split: int, train: datasets.Dataset) -> Path:
    steps = ex.augmented_steps(len(train))
    for seed in range(ex.args.seeds):
        for arm, limit in (("baseline", None), ("baseline_same_steps", steps)):
            work = partial(_train, ex, train=train, seed=seed, max_steps=limit, save=seed == 0 and limit is not None)
            result = ex.stage(f"split-{split}/{arm}-{seed}", work, max_steps=limit)
            ex.runs.append(as_run(arm, split, seed, result))
    return ex.stages.root / f"split-{split}/baseline_same_steps-0/model"


# 2. The generator: a language model learns the texts of each class, from the training split only.
def trained_generator(ex: Experiment, split: int, train: datasets.Dataset) -> CausalLMGenerator:
    def work(folder: Path) -> dict[str, Any]:
        generator = load_generator(ex.args, "trained", ex.data.label_names)
        arguments = CausalLMGeneratorTrainingArguments(
            output_dir=str(folder / "checkpoints"),
            num_train_epochs=ex.args.generator_num_train_epochs,
            per_device_train_batch_size=ex.args.generator_batch_size,
            learning_rate=ex.args.generator_learning_rate,
            lora_rank=ex.args.generator_lora_rank,
            max_length=ex.args.generator_max_length,
            seed=derive_seed(ex.training.seed, "generator", split) % 2**31,
            save_strategy="no",
            logging_steps=10,
            report_to="none",
            # Of all arguments of a process, the last ones decide how processes talk: the same for both trainers.
            use_cpu=ex.training.use_cpu,
            ddp_backend=ex.training.ddp_backend,
            dataloader_pin_memory=ex.training.dataloader_pin_memory,
        )
        output = CausalLMGeneratorTrainer(generator, arguments, train).train()
        if PartialState().is_main_process:
            generator.save_pretrained(folder / "model")
        return {"loss": output.training_loss, "steps": output.global_step}

    ex.stage(f"split-{split}/generator", work)
    return CausalLMGenerator.from_pretrained(ex.stages.root / f"split-{split}/generator/model")


# 3. The judges. Rows that trained the generator trained the baseline too, which would confirm copies of them; so the
#    trained generator is judged out of fold, the prompted one by the baseline with more steps.
def references(ex: Experiment, split: int, train: datasets.Dataset) -> OutOfFoldReference:
    folds = sklearn.model_selection.StratifiedKFold(ex.args.reference_folds, shuffle=True, random_state=split)
    judges, held_out, steps = [], [], ex.augmented_steps(len(train))
    for k, (rest, fold) in enumerate(folds.split(train["text"][:], train["label"][:])):
        name = f"split-{split}/reference-{k}"
        work = partial(_train, ex, train=train.select(rest), seed=k, evaluations={}, save=True, max_steps=steps)
        ex.stage(name, work, max_steps=steps)
        judges.append(ex.classifier.reference(ex.stages.root / name / "model"))
        held_out.append(train.select(fold)["text"][:])
    return OutOfFoldReference(judges, held_out)


# 4. The augmented arms: the same Trainer call with a generator.
def augmented(ex: Experiment, split: int, train: datasets.Dataset, arm: str, judge: Path) -> None:
    reference: Any
    if arm == "trained":
        generator, reference = trained_generator(ex, split, train), references(ex, split, train)
    else:
        generator, reference = prompted_generator(ex), ex.classifier.reference(judge)
    filters = make_filters(ex.args, train, ex.data.evaluations, generator, reference)
    shards = ex.stages.root / f"split-{split}/{arm}-shards"
    for seed in range(ex.args.seeds):
        # One synthetic stream for all seeds of a split: generation is paid for once.
        work = partial(
            _train,
            ex,
            train=train,
            seed=seed,
            generator=generator,
            filters=filters,
            save=seed == 0,
            synthetic_dir=str(shards),
            synthetic_seed=derive_seed(ex.training.seed, "synthetic", split) % 2**31,
        )
        result = ex.stage(f"split-{split}/{arm}-{seed}", work)
        ex.runs.append(as_run(arm, split, seed, result))
    if split == 0:
        (folder,) = shards.iterdir()
        ex.stores[arm] = ShardStore.open(folder)


def prompted_generator(ex: Experiment) -> CausalLMGenerator:
    def work(folder: Path) -> dict[str, Any]:
        if PartialState().is_main_process:
            load_generator(ex.args, "instruct", ex.data.label_names).save_pretrained(folder / "model")
        return {}

    ex.stage("instruct-model", work)
    return CausalLMGenerator.from_pretrained(ex.stages.root / "instruct-model/model")


# 5. The report: what changed, what it cost, what the model was shown, and how much the generators know by themselves.
def report(ex: Experiment) -> None:
    notes = []
    if ex.args.zero_shot_rows and "instruct" in ex.args.generators:
        test, rows = ex.data.evaluations["test"], ex.args.zero_shot_rows
        known = ex.stage(
            "zero-shot", lambda _: zero_shot(prompted_generator(ex), test, rows, ex.training.seed), rows=rows
        )
        notes.append(
            f"The instruct model itself, as a zero-shot classifier: accuracy {known['accuracy']:.3f} on {known['n']} "
            "test texts. Its knowledge of the task is what its texts can pass on."
        )
    order = ["baseline", "baseline_same_steps", *ex.args.generators]
    # A report may be pushed: of a local path it says the last part alone.
    settings = {name: Path(value).name if Path(value).exists() else value for name, value in ex.facts.items()}
    settings |= {"transformers_version": transformers.__version__, "python_version": platform.python_version()}
    facts = ReportFacts(
        title=f"{_short(settings['model'])} on {_short(settings['dataset'])}",
        settings=settings,
        runs=sorted(ex.runs, key=lambda run: (order.index(run.arm), run.split, run.seed)),
        reference="baseline_same_steps",
        test="test",
        stores=ex.stores,
        notes=notes,
    )
    if PartialState().is_main_process:
        write_report(ex.stages.root / "report", facts, Console(width=None if sys.stdout.isatty() else 100))


def _short(source: str) -> str:
    """A source without where in a wheel it lies."""
    return source.partition("#")[0].removeprefix("wheel://").partition("/")[0] if "://" in source else source


def _train(ex: Experiment, folder: Path, train: datasets.Dataset, seed: int, **options: Any) -> dict[str, Any]:
    evaluations = options.pop("evaluations", ex.data.evaluations)
    seed = derive_seed(ex.training.seed, "classifier", seed) % 2**31
    return run_arm(folder, ex.classifier, ex.training, train, evaluations, seed, **options)


def main() -> None:
    args, training = parse_arguments([TextExperimentArguments, ImdbTrainingArguments])
    ex = Experiment(args, training)
    for split in range(args.splits):
        train = sample_per_class(ex.data.train, args.train_per_class, training.seed, split)
        judge = baselines(ex, split, train)
        for arm in args.generators:
            augmented(ex, split, train, arm, judge)
    report(ex)
    # 6. The push, of what is on disk by now.
    if training.push_to_hub:
        push_experiment(ex.stages.root, training.hub_model_id or Path(str(training.output_dir)).name, ex.stores)


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        # Bad input: one line, not a traceback.
        sys.exit(f"error: {' '.join(str(error).split())}")
