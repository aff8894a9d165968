"""
Does a generator help a text classifier? The whole experiment, in numbered steps.

    accelerate launch recipes/imdb.py                                          # the documented one: IMDB, BERT, GPT-2
    python recipes/imdb.py --config recipes/configs/imdb_quickstart.yaml       # minutes, on a CPU, without the Hub
    python recipes/imdb.py --help                                              # every value can be set

Arms, each with the same labelled texts and the same seeds:
    baseline             the stock Trainer
    baseline_same_steps  the stock Trainer with as many optimizer steps as the augmented arms: the fair comparison
    eda                  with classic augmentation: words swapped, left out, repeated
    trained              + texts from a language model that was trained on the same labelled texts
    instruct             + texts from an instruct model that was only prompted
    both                 + texts from either of them, half each
    ..._unfiltered       the same without filters
    ..._guarded          the same with a guard that may lower their share
    real                 + real texts that are not among the labelled ones: the ceiling
--classic and --generators say which; by default only `trained` joins the baselines.

The steps (hf_augment/study/experiment.py tells them for all kinds of data):
    1. Draw the labelled texts of a split; train the baselines, and classic augmentation.
    2. Train the generator on them, or take the prompted one.
    3. Train the judges of what it makes: each without one fold of the labelled texts, because who has seen a text
       confirms a copy of it. The prompted generator is judged by the baseline with more steps.
    4. Train the augmented arms: the same Trainer call with a generator and filters.
    5. Report what changed on the test set, on hold-outs and on perturbed texts, what it cost, what the model was
       shown, and what the instruct model knows by itself.
    6. Lay out what may be published, and push it, if asked to: now or by `python -m hf_augment push RUN_DIR`.

Every step keeps its result in output_dir; run the command again and what is done is not done again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hf_augment import AugmentingTrainingArguments
from hf_augment.study.command import main
from hf_augment.study.text import TextExperiment
from hf_augment.study.text_settings import TextExperimentArguments


@dataclass
class ImdbTrainingArguments(AugmentingTrainingArguments):
    """The classifier's arguments; the defaults that differ from the Trainer's are the documented ones."""

    output_dir: str | None = field(default="runs/imdb", metadata={"help": "Where every step keeps its result."})
    num_train_epochs: float = field(default=3.0, metadata={"help": "Passes over the labelled texts."})
    learning_rate: float = field(default=2e-5, metadata={"help": "Of AdamW."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Rows of a training batch."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Rows of an evaluation batch."})
    warmup_steps: float = field(default=500, metadata={"help": "Steps in which the learning rate rises."})
    weight_decay: float = field(default=0.01, metadata={"help": "Of AdamW."})


if __name__ == "__main__":
    main(TextExperiment, [TextExperimentArguments, ImdbTrainingArguments])
